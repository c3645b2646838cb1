#pragma once

#include <compare>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/store/mailbox.h"
#include "controllers/node/node_controller.h"

namespace margay::agent {

/// What its writer should know of an object that parses, and who is told: the log, `status` and
/// margay_invalid_objects.
struct Remark {
  enum class Cause : std::uint8_t {
    Conflict,   ///< what it says is left out: another object has it
    Reference,  ///< in force, but what it refers to is not there, or no pool has its address
    Host,       ///< nothing is wrong with it: the host is not so far
  };
  api::ObjectKey about;    ///< may be what is missing itself: "Profile web"
  api::ObjectKey written;  ///< the object that says so
  Cause cause = Cause::Reference;
  std::string field;  ///< of `written`
  std::string reason;
  auto operator<=>(const Remark&) const = default;
};

/// Sorted. O(policies + workloads of the node).
[[nodiscard]] std::vector<Remark> remarks(const controllers::NodeController& controller);

/// What the sources know of the places of objects; the first source that has one counts.
using Places = std::map<api::ObjectKey, api::Place>;
[[nodiscard]] Places placesOf(const std::map<std::string, api::SourceState>& sources);

/// A remark in the terms of who wrote the object: his kind, name, file and field.
[[nodiscard]] api::InvalidObject asWritten(const Remark& remark, const Places& places);
/// "Pod default/a (pods.yaml, document 2): status.podIPs: address ..."
[[nodiscard]] std::string text(const Remark& remark, const Places& places);

/// A line of the log with all that is known of the object.
void warnOf(std::string_view message, const api::InvalidObject& object);

/// Objects by kind that cannot be used, or not as they are meant: each counts once, whatever is
/// wrong with it.
[[nodiscard]] std::map<std::string, std::size_t> invalidByKind(
    const std::map<std::string, api::SourceState>& sources, std::span<const Remark> remarks);

}  // namespace margay::agent

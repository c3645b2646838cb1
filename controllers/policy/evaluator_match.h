#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "api/model/object.h"
#include "api/selector/effective.h"
#include "base/shared.h"
#include "controllers/policy/evaluator.h"

/// The parts of the plain evaluator that say whether a rule matches a packet.
namespace margay::controllers {

[[nodiscard]] Shared<api::Profile> profileNamed(const Objects& objects, const std::string& name);

/// Labels of an endpoint or a network set: its own, then those that its profiles apply, first
/// profile first.
class EndpointLabels final : public api::LabelSource {
 public:
  EndpointLabels(const Objects& objects, const api::WorkloadEndpoint& endpoint);
  EndpointLabels(const Objects& objects, const api::NetworkSet& set);
  [[nodiscard]] std::optional<std::string_view> get(std::string_view key) const override;

 private:
  api::Labels own_;
  std::vector<Shared<api::Profile>> profiles_;
};

/// Who has an address: the endpoints with it and the network sets that cover it.
struct Owners {
  std::vector<EndpointLabels> all;
  /// Of the endpoints, in the order of their labels in `endpointLabels`.
  std::vector<Shared<api::WorkloadEndpoint>> endpoints;
  std::vector<EndpointLabels> endpointLabels;
};

class PacketView {
 public:
  PacketView(const Objects& objects, const Packet& packet);
  /// Every field of the rule holds for the packet. `ns`: of the policy, empty for global ones and
  /// profiles.
  [[nodiscard]] bool matches(const api::PolicyRule& rule, std::string_view ns) const;

 private:
  enum class End { Source, Destination };
  [[nodiscard]] bool endMatches(const api::PolicyRule& rule, End end, std::string_view ns) const;
  [[nodiscard]] bool portMatches(const std::vector<api::Port>& ports, End end,
                                 const std::function<bool(std::size_t)>& ownerCounts) const;
  [[nodiscard]] bool serviceMatches(const api::ServiceRef& service, End end) const;
  [[nodiscard]] bool icmpMatches(const api::IcmpFields& fields) const;

  const Objects& objects_;
  Packet packet_;
  Owners source_;
  Owners destination_;
};

}  // namespace margay::controllers

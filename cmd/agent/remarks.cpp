#include "cmd/agent/remarks.h"

#include <algorithm>
#include <string_view>
#include <tuple>

#include "base/log.h"

namespace margay::agent {
namespace {

using api::Kind;

constexpr std::string_view kOfNamespace = "kns.";

/// The workload that has the profile, first by its interface.
const api::WorkloadEndpoint* userOf(const std::string& profile,
                                    std::span<const controllers::WorkloadInterface> interfaces) {
  for (const auto& interface : interfaces) {
    const auto& endpoint = *interface.endpoint->endpoint;
    if (!endpoint.profiles) continue;
    const auto& names = *endpoint.profiles;
    if (std::find(names.begin(), names.end(), profile) != names.end()) return &endpoint;
  }
  return nullptr;
}

Remark remarkOf(const controllers::Notice& notice,
                std::span<const controllers::WorkloadInterface> interfaces) {
  Remark out{notice.object, notice.object, Remark::Cause::Reference, notice.field, notice.reason};
  if (notice.object.kind == Kind::WorkloadEndpoint) out.cause = Remark::Cause::Host;
  std::string profile;
  if (notice.object.kind == Kind::Profile) profile = notice.object.name;
  if (notice.object.kind == Kind::Namespace)
    profile = std::string(kOfNamespace) + notice.object.name;
  if (profile.empty()) return out;
  if (const auto* user = userOf(profile, interfaces)) {
    out.written = controllers::keyOf(*user);
    out.field = "spec.profiles";
  }
  return out;
}

/// What a Pod's fields become in a WorkloadEndpoint, backwards.
std::string fieldOfPod(const std::string& field) {
  if (field == "spec.ipNetworks") return "status.podIPs";
  if (field == "spec.profiles") return "metadata.namespace";
  return field == "spec.interfaceName" ? "" : field;
}

std::string named(const api::InvalidObject& object) {
  std::string out =
      object.kindName + ' ' + (object.ns.empty() ? "" : object.ns + '/') + object.name;
  if (object.file.empty()) return out;
  return out + " (" + object.file + ", document " + std::to_string(object.document) + ')';
}

}  // namespace

std::vector<Remark> remarks(const controllers::NodeController& controller) {
  std::vector<Remark> out;
  for (const auto& notice : controller.notices())
    out.push_back(remarkOf(notice, controller.interfaces()));
  for (const auto& problem : controller.problems()) {
    const bool conflict = problem.severity == controllers::EndpointProblem::Severity::Error;
    out.push_back({problem.endpoint, problem.endpoint,
                   conflict ? Remark::Cause::Conflict : Remark::Cause::Reference, problem.field,
                   problem.reason});
  }
  std::sort(out.begin(), out.end());
  return out;
}

Places placesOf(const std::map<std::string, api::SourceState>& sources) {
  Places out;
  for (const auto& [name, state] : sources) out.insert(state.places.begin(), state.places.end());
  return out;
}

api::InvalidObject asWritten(const Remark& remark, const Places& places) {
  const auto& key = remark.written;
  api::InvalidObject out{key.kind,     std::string(api::kindText(key.kind)),
                         key.ns.str(), key.name,
                         "",           0,
                         remark.field, remark.reason};
  if (remark.about != key) out.reason = remark.about.str() + ' ' + out.reason;
  const auto place = places.find(key);
  if (place == places.end()) return out;
  out.kindName = place->second.kind;
  out.name = place->second.name;
  out.file = place->second.file;
  out.document = place->second.document;
  if (out.kindName == api::kindText(Kind::Pod)) out.field = fieldOfPod(out.field);
  return out;
}

std::string text(const Remark& remark, const Places& places) {
  const auto written = asWritten(remark, places);
  return named(written) + ": " + (written.field.empty() ? "" : written.field + ": ") +
         written.reason;
}

void warnOf(std::string_view message, const api::InvalidObject& object) {
  log::warn(message, {{"kind", object.kindName},
                      {"namespace", object.ns},
                      {"name", object.name},
                      {"file", object.file},
                      {"document", object.document},
                      {"field", object.field},
                      {"reason", object.reason}});
}

std::map<std::string, std::size_t> invalidByKind(
    const std::map<std::string, api::SourceState>& sources, std::span<const Remark> remarks) {
  using Identity =
      std::tuple<std::string_view, std::string_view, std::string_view, std::string_view, int>;
  std::map<std::string, std::size_t> out;
  std::set<api::ObjectKey> counted;
  for (const auto& [source, state] : sources) {
    std::set<Identity> objects;
    for (const auto& object : state.invalid) {
      if (objects.insert({object.kindName, object.ns, object.name, object.file, object.document})
              .second)
        ++out[std::string(api::kindText(object.kind))];
    }
  }
  for (const auto& remark : remarks) {
    if (remark.cause == Remark::Cause::Host || !counted.insert(remark.written).second) continue;
    ++out[std::string(api::kindText(remark.written.kind))];
  }
  return out;
}

}  // namespace margay::agent

#include "cmd/agent/live_parameters.h"

#include "base/log.h"
#include "cmd/agent/node_options.h"

namespace margay::agent {

bool LiveParameters::take(const api::Update& update) {
  if (update.key.kind != api::Kind::FelixConfiguration) return false;
  configurations_.erase(update.key.name);
  if (update.value)
    configurations_.emplace(
        update.key.name, *std::get<std::shared_ptr<const api::FelixConfiguration>>(*update.value));
  return true;
}

std::optional<api::FelixConfiguration> LiveParameters::find(const std::string& name) const {
  const auto found = configurations_.find(name);
  if (found == configurations_.end()) return std::nullopt;
  return found->second;
}

std::optional<controllers::NodeOptions> LiveParameters::changed(
    const controllers::NodeOptions& now) {
  auto parameters = parametersOf(settings_, find("node." + settings_.nodeName), find("default"));
  if (parameters == parameters_) return std::nullopt;
  auto options = nodeOptionsOf(parameters, settings_.networkingBackend,
                               now.endpoints.defaultRpFilter, now.families.size() > 1);
  if (!options) {
    log::error("parameters from FelixConfiguration cannot be used; the old ones stay in force",
               {{"why", options.error().what}});
    return std::nullopt;
  }
  log::info("parameters changed");
  parameters_ = std::move(parameters);
  return std::move(*options);
}

}  // namespace margay::agent

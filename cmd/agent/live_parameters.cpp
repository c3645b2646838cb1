#include "cmd/agent/live_parameters.h"

#include "base/log.h"
#include "cmd/agent/node_options.h"

namespace margay::agent {

bool LiveParameters::take(const api::Update& update) {
  if (update.key.kind != api::Kind::FelixConfiguration) return false;
  configurations_.erase(update.key.name);
  if (update.value)
    configurations_.emplace(update.key.name,
                            *std::get<Shared<api::FelixConfiguration>>(*update.value));
  return true;
}

std::optional<api::FelixConfiguration> LiveParameters::find(const std::string& name) const {
  const auto found = configurations_.find(name);
  if (found == configurations_.end()) return std::nullopt;
  return found->second;
}

Result<controllers::NodeOptions> LiveParameters::options(const api::Parameters& parameters,
                                                         const controllers::NodeOptions& now,
                                                         Backend backend) const {
  return nodeOptionsOf(parameters, {.backend = backend,
                                    .networkingBackend = settings_.networkingBackend,
                                    .defaultRpFilter = now.endpoints.defaultRpFilter,
                                    .ipv6 = now.families.size() > 1});
}

std::optional<controllers::NodeOptions> LiveParameters::changed(const controllers::NodeOptions& now,
                                                                Backend backend) {
  auto parameters = parametersOf(settings_, find("node." + settings_.nodeName), find("default"));
  if (parameters == parameters_) return std::nullopt;
  auto options = this->options(parameters, now, backend);
  if (!options) {
    log::error("parameters from FelixConfiguration cannot be used; the old ones stay in force",
               {{"why", options.error().what}});
    return std::nullopt;
  }
  log::info("parameters changed");
  parameters_ = std::move(parameters);
  return std::move(*options);
}

controllers::NodeOptions LiveParameters::forBackend(const controllers::NodeOptions& now,
                                                    Backend backend) const {
  auto made = options(parameters_, now, backend);
  if (made) return std::move(*made);
  log::error("parameters cannot be used with this rule backend; the old ones stay in force",
             {{"backend", backendText(backend)}, {"why", made.error().what}});
  auto kept = now;
  kept.statics.dispatch = dispatchOf(backend);
  return kept;
}

}  // namespace margay::agent

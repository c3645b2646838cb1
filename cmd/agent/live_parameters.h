#pragma once

#include <map>
#include <optional>
#include <string>

#include "api/model/object.h"
#include "cmd/agent/backend.h"
#include "cmd/agent/settings.h"
#include "controllers/node/node_controller.h"

namespace margay::agent {

/// The parameters in force: of the environment and the file, under those FelixConfigurations that
/// are for this node. The loop's thread.
class LiveParameters {
 public:
  LiveParameters(const Settings& settings, api::Parameters start)
      : settings_(settings), parameters_(std::move(start)) {}

  [[nodiscard]] const api::Parameters& get() const { return parameters_; }
  /// False if `update` is of another kind.
  bool take(const api::Update& update);
  /// After updates were taken: the options to go on with, or none if nothing is different.
  /// Parameters that cannot be used are logged, and the old ones stay in force. `now`: the options
  /// in force.
  std::optional<controllers::NodeOptions> changed(const controllers::NodeOptions& now,
                                                  Backend backend);
  /// `now`, as rules in `backend` need it.
  [[nodiscard]] controllers::NodeOptions forBackend(const controllers::NodeOptions& now,
                                                    Backend backend) const;

 private:
  [[nodiscard]] std::optional<api::FelixConfiguration> find(const std::string& name) const;
  [[nodiscard]] Result<controllers::NodeOptions> options(const api::Parameters& parameters,
                                                         const controllers::NodeOptions& now,
                                                         Backend backend) const;

  const Settings& settings_;
  api::Parameters parameters_;
  std::map<std::string, api::FelixConfiguration> configurations_;
};

}  // namespace margay::agent

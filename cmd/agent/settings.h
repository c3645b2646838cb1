#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "api/config/parameters.h"
#include "base/result.h"

/// What the agent is told by its environment and files, before any source has listed.
namespace margay::agent {

struct Settings {
  std::map<std::string, std::string> environment;
  std::string nodeName;
  std::string datastore;  ///< "file" (the default) or "etcdv3"
  std::string dataDir;
  std::string runDir;
  std::string sysctlDir;  ///< where the files of /proc/sys can be written
  std::string felixFile;
  std::string felixText;
  std::string networkingBackend;  ///< "direct" (the default), "none", "bird", "vxlan"
  std::vector<std::string> warnings;
};

/// From `environment` (NODENAME, MARGAY_DATA_DIR, DATASTORE_TYPE, ...) and the felix.cfg at
/// `felixFile` (empty: /etc/calico/felix.cfg, which may be missing). `Errc::Invalid` with one line
/// that says what to do.
Result<Settings> readSettings(std::map<std::string, std::string> environment,
                              const std::string& felixFile);

/// The process's environment.
[[nodiscard]] std::map<std::string, std::string> processEnvironment();

/// The parameters in force with these FelixConfiguration objects.
[[nodiscard]] api::Parameters parametersOf(const Settings& settings,
                                           const std::optional<api::FelixConfiguration>& perHost,
                                           const std::optional<api::FelixConfiguration>& global);

}  // namespace margay::agent

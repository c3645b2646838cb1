#pragma once

#include <map>
#include <string>

#include "base/result.h"

namespace margay::ctl {

using Variables = std::map<std::string, std::string>;

inline constexpr const char* kDefaultConfigFile = "/etc/calico/calicoctl.cfg";

/// The variables that say where the datastore is, in calicoctl's way: of the process's environment
/// (CALICO_ETCD_ENDPOINTS goes before ETCD_ENDPOINTS, and so on), or of the CalicoAPIConfig in
/// `file` and then of nothing else. The default file may be missing. `context` (if any) is that of
/// the kubeconfig to use; where nothing says which, that is ~/.kube/config. `Errc::Invalid` names
/// the file and the field.
Result<Variables> datastoreVariables(const std::string& file, const std::string& context);

/// What a CalicoAPIConfig says, as variables; `text` is its YAML or JSON. Pure.
Result<Variables> variablesOfConfig(const std::string& text);

}  // namespace margay::ctl

#include "cmd/agent/settings.h"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <fstream>
#include <set>
#include <sstream>

extern char** environ;

namespace margay::agent {
namespace {

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

std::string hostName() {
  char name[256] = {};
  gethostname(name, sizeof name - 1);
  return lower(name);
}

Result<std::string> readFile(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  if (!file || !(text << file.rdbuf()))
    return fail(Errc::NotFound, "cannot read " + path + ": does it exist?");
  return text.str();
}

}  // namespace

std::map<std::string, std::string> processEnvironment() {
  std::map<std::string, std::string> out;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text(*entry);
    const auto equals = text.find('=');
    if (equals != std::string::npos) out[text.substr(0, equals)] = text.substr(equals + 1);
  }
  return out;
}

Result<Settings> readSettings(std::map<std::string, std::string> environment,
                              const std::string& felixFile) {
  const auto get = [&](const std::string& name, const std::string& otherwise) {
    const auto found = environment.find(name);
    return found == environment.end() || found->second.empty() ? otherwise : found->second;
  };
  Settings out;
  out.felixFile = felixFile.empty() ? "/etc/calico/felix.cfg" : felixFile;
  if (auto text = readFile(out.felixFile)) {
    out.felixText = std::move(*text);
  } else if (!felixFile.empty()) {
    return Fail(text.error());
  }
  const auto felixHost = get("FELIX_FELIXHOSTNAME", "");
  out.nodeName = get("NODENAME", felixHost.empty() ? hostName() : felixHost);
  out.dataDir = get("MARGAY_DATA_DIR", "/etc/margay/data");
  out.runDir = get("MARGAY_RUN_DIR", "/run/margay");
  out.sysctlDir = get("MARGAY_SYSCTL_DIR", "/proc/sys");
  out.networkingBackend =
      lower(get("CALICO_NETWORKING_BACKEND",
                get("CALICO_NETWORKING", "true") == "false" ? "none" : "direct"));
  out.datastore = lower(get("DATASTORE_TYPE", get("FELIX_DATASTORETYPE", "file")));
  if (out.datastore == "kubernetes") {
    return fail(Errc::Unsupported,
                "DATASTORE_TYPE=kubernetes is not built yet: set DATASTORE_TYPE=file and "
                "MARGAY_DATA_DIR, or DATASTORE_TYPE=etcdv3 and ETCD_ENDPOINTS");
  }
  if (out.datastore != "file" && out.datastore != "etcdv3")
    return fail(Errc::Invalid, "DATASTORE_TYPE=" + out.datastore +
                                   " is not known: it must be file, kubernetes or etcdv3");
  if (out.networkingBackend == "bird") {
    out.warnings.emplace_back(
        "CALICO_NETWORKING_BACKEND=bird: there is no BGP yet; direct routes to the nodes of this "
        "L2 network take its place");
  } else if (out.networkingBackend == "vxlan") {
    out.warnings.emplace_back(
        "CALICO_NETWORKING_BACKEND=vxlan: there is no VXLAN yet; direct routes to the nodes of "
        "this L2 network take its place");
  }
  static const std::set<std::string> kBackends = {"direct", "none", "bird", "vxlan"};
  if (!kBackends.contains(out.networkingBackend)) {
    return fail(Errc::Invalid, "CALICO_NETWORKING_BACKEND=" + out.networkingBackend +
                                   " is not known: it must be none, bird or vxlan");
  }
  out.environment = std::move(environment);
  return out;
}

api::Parameters parametersOf(const Settings& settings,
                             const std::optional<api::FelixConfiguration>& perHost,
                             const std::optional<api::FelixConfiguration>& global) {
  return api::Parameters::resolve(
      {settings.environment, settings.felixFile, settings.felixText, perHost, global});
}

}  // namespace margay::agent

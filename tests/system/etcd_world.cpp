#include "tests/system/etcd_world.h"

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

namespace margay::system_tests {
namespace {

constexpr const char* kAddress = "172.30.0.100";

std::string escaped(const std::string& text) {
  return nlohmann::json(text).dump();
}

}  // namespace

EtcdWorld::EtcdWorld() {
  const auto entered = cluster_.lan().enter();
  static_cast<void>(testing::mustShell("ip address add " + std::string(kAddress) + "/24 dev br0"));
  etcd_ = api::test::EtcdServer::at(kAddress);
  if (etcd_) startEtcd();
}

EtcdWorld::~EtcdWorld() = default;

void EtcdWorld::startEtcd() {
  const auto entered = cluster_.lan().enter();
  etcd_->start(api::test::EtcdServer::Wait::No);
  // Also one that asks for a user is there.
  const auto answers = [&] {
    const auto got = etcdctl("endpoint status");
    return got.status == 0 || got.output.find("user name is empty") != std::string::npos;
  };
  EXPECT_TRUE(eventually(answers, std::chrono::seconds(30)));
}

Environment EtcdWorld::environment() const {
  return {{"DATASTORE_TYPE", "etcdv3"}, {"ETCD_ENDPOINTS", etcd_->url()}};
}

void EtcdWorld::start(Host& host, Environment extra) {
  extra.merge(environment());
  host.start(extra);
}

ShellResult EtcdWorld::ctl(const Host& host, const std::string& arguments,
                           const std::string& input) const {
  const auto file = cluster_.directory() / "input";
  std::ofstream(file) << input;
  return host.ctl(arguments + " < " + file.string(), environment());
}

ShellResult EtcdWorld::etcdctl(const std::string& arguments) const {
  const auto entered = cluster_.lan().enter();
  return testing::shell("ETCDCTL_API=3 etcdctl --endpoints " + etcd_->url() + " " + arguments);
}

void EtcdWorld::put(const std::string& key, const std::string& value) const {
  const auto file = cluster_.directory() / "value";
  std::ofstream(file) << value;
  const auto done = etcdctl("put '" + key + "' < " + file.string());
  EXPECT_EQ(done.status, 0) << key << ": " << done.output;
}

void EtcdWorld::remove(const std::string& key) const {
  const auto done = etcdctl("del '" + key + "'");
  EXPECT_EQ(done.output, "1\n") << key;
}

std::string EtcdWorld::get(const std::string& key) const {
  auto out = etcdctl("get --print-value-only '" + key + "'").output;
  if (!out.empty()) out.pop_back();  // etcdctl's line end
  return out;
}

nlohmann::json EtcdWorld::document(const std::string& key) const {
  auto parsed = nlohmann::json::parse(get(key), nullptr, false);
  EXPECT_FALSE(parsed.is_discarded()) << key << ": " << get(key);
  return parsed;
}

std::vector<std::string> EtcdWorld::keys(const std::string& prefix) const {
  std::istringstream lines(etcdctl("get --prefix --keys-only '" + prefix + "'").output);
  std::vector<std::string> out;
  for (std::string line; std::getline(lines, line);) {
    if (!line.empty()) out.push_back(line);
  }
  return out;
}

namespace stored {

std::string object(const Meta& meta, const std::string& spec) {
  std::string out = R"({"kind":")" + meta.kind +
                    R"(","apiVersion":"projectcalico.org/v3","metadata":{"name":)" +
                    escaped(meta.name);
  if (!meta.generateName.empty()) out += R"(,"generateName":)" + escaped(meta.generateName);
  if (!meta.ns.empty()) out += R"(,"namespace":)" + escaped(meta.ns);
  out +=
      R"(,"uid":"9c6e0b7a-8d1f-4b6e-9c53-0242ac110002","creationTimestamp":"2024-03-01T10:20:30Z")";
  if (!meta.labels.empty()) out += R"(,"labels":)" + meta.labels;
  return out + R"(},"spec":)" + spec + (meta.kind == "Node" ? R"(,"status":{}})" : "}");
}

std::string workloadEndpointKey(const Pod& pod) {
  return kPrefix + "workloadendpoints/" + pod.spec().ns + "/" + pod.host().name() + "-k8s-" +
         pod.spec().name + "-eth0";
}

std::string workloadEndpoint(const Pod& pod) {
  const auto& spec = pod.spec();
  auto labels = spec.labels;
  labels["projectcalico.org/namespace"] = spec.ns;
  labels["projectcalico.org/orchestrator"] = "k8s";
  labels["projectcalico.org/serviceaccount"] = spec.serviceAccount;
  nlohmann::json networks = nlohmann::json::array();
  for (const auto& address : spec.addresses)
    networks.push_back(Prefix::host(*Address::parse(address)).str());
  const auto name = pod.host().name() + "-k8s-" + spec.name + "-eth0";
  return object(
      {.kind = "WorkloadEndpoint",
       .name = name,
       .ns = spec.ns,
       .generateName = spec.name + "-",
       .labels = nlohmann::json(labels).dump()},
      R"({"orchestrator":"k8s","node":)" + escaped(pod.host().name()) +
          R"(,"containerID":"5c6f54d5fa0b7c5ff21c51b3d8c0c7e9f0b6d2c4e4ab0a2e9b8c1f2f6a7d8e90","pod":)" +
          escaped(spec.name) + R"(,"endpoint":"eth0","serviceAccountName":)" +
          escaped(spec.serviceAccount) + R"(,"ipNetworks":)" + networks.dump() +
          R"(,"profiles":["kns.)" + spec.ns + R"(","ksa.)" + spec.ns + "." + spec.serviceAccount +
          R"("],"interfaceName":")" + pod.device() + R"(","mac":")" + spec.mac + R"(","ports":)" +
          (spec.ports.empty() ? "[]" : spec.ports) + "}");
}

std::string namespaceProfile(const std::string& ns,
                             const std::map<std::string, std::string>& labels) {
  std::map<std::string, std::string> prefixed = {{"pcns.projectcalico.org/name", ns}};
  for (const auto& [key, value] : labels) prefixed["pcns." + key] = value;
  return object({.kind = "Profile", .name = "kns." + ns},
                R"({"ingress":[{"action":"Allow","source":{},"destination":{}}],"egress":[{)"
                R"("action":"Allow","source":{},"destination":{}}],"labelsToApply":)" +
                    nlohmann::json(prefixed).dump() + "}");
}

std::string accountProfile(const std::string& ns, const std::string& name) {
  return object({.kind = "Profile", .name = "ksa." + ns + "." + name},
                R"({"labelsToApply":{"pcsa.projectcalico.org/name":")" + name + R"("}})");
}

}  // namespace stored
}  // namespace margay::system_tests

#include "tests/system/etcd_world.h"

#include <unistd.h>

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

EtcdWorld::EtcdWorld(const EtcdShape& shape) : shape_(shape) {
  const auto entered = cluster_.lan().enter();
  static_cast<void>(testing::mustShell("ip address add " + std::string(kAddress) + "/24 dev br0"));
  members_ = api::test::EtcdServer::clusterAt(kAddress, shape.members, shape.certificates);
  if (ready()) startEtcd();
}

EtcdWorld::~EtcdWorld() = default;

void EtcdWorld::startEtcd() {
  const auto entered = cluster_.lan().enter();
  for (auto& member : members_) member->start(api::test::EtcdServer::Wait::No);
  // Also one that asks for a user is there.
  const auto answers = [&] {
    const auto got = etcdctl("endpoint status");
    return got.status == 0 || got.output.find("user name is empty") != std::string::npos;
  };
  EXPECT_TRUE(eventually(answers, std::chrono::seconds(30)));
}

void EtcdWorld::switchOnUsers(const std::string& password) {
  for (const auto& command : {"user add root:" + password, std::string("role add root"),
                              std::string("user grant-role root root"), std::string("auth enable")})
    EXPECT_EQ(etcdctl(command).status, 0) << command;
  password_ = password;
}

void EtcdWorld::setPassword(const std::string& password) {
  const auto file = cluster_.directory() / "password";
  std::ofstream(file) << password;
  const auto done = etcdctl("user passwd root --interactive=false < " + file.string());
  EXPECT_EQ(done.status, 0) << done.output;
  password_ = password;
}

void EtcdWorld::killLeader() {
  const auto leads = [&](const auto& member) {
    const auto status = nlohmann::json::parse(
        etcdctlAt(member->url(), "endpoint status -w json").output, nullptr, false);
    return status.is_array() &&
           status[0]["Status"]["leader"] == status[0]["Status"]["header"]["member_id"];
  };
  auto leader = members_.end();
  EXPECT_TRUE(eventually([&] {
    leader = std::find_if(members_.begin(), members_.end(), leads);
    return leader != members_.end();
  }));
  if (leader != members_.end()) (*leader)->kill();
}

std::string EtcdWorld::endpoints() const {
  std::string out;
  for (const auto& member : members_) out += (out.empty() ? "" : ",") + member->url();
  return out;
}

Environment EtcdWorld::environment() const {
  Environment out = {{"DATASTORE_TYPE", "etcdv3"}, {"ETCD_ENDPOINTS", endpoints()}};
  if (!password_.empty())
    out.merge(Environment{{"ETCD_USERNAME", "root"}, {"ETCD_PASSWORD", password_}});
  if (!shape_.certificates.empty())
    out.merge(Environment{{"ETCD_CA_CERT_FILE", shape_.certificates + "/ca.pem"},
                          {"ETCD_CERT_FILE", shape_.certificates + "/client.pem"},
                          {"ETCD_KEY_FILE", shape_.certificates + "/client.key"}});
  return out;
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
  return etcdctlAt(endpoints(), arguments);
}

ShellResult EtcdWorld::etcdctlAt(const std::string& endpoints, const std::string& arguments) const {
  const auto entered = cluster_.lan().enter();
  std::string who;
  if (!password_.empty()) who += " --user root:" + password_;
  if (!shape_.certificates.empty())
    who += " --cacert " + shape_.certificates + "/ca.pem --cert " + shape_.certificates +
           "/client.pem --key " + shape_.certificates + "/client.key";
  return testing::shell("ETCDCTL_API=3 etcdctl --endpoints " + endpoints + who + " " + arguments);
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

void EtcdTest::SetUp() {
  if (geteuid() != 0) GTEST_SKIP() << "system tests make network namespaces: run them as root";
  world_ = std::make_unique<EtcdWorld>(shape());
  if (!world_->ready()) GTEST_SKIP() << "no etcd to run";
  host_ = &world_->cluster().addHost("one");
}

void EtcdTest::TearDown() {
  if (host_ != nullptr && HasFailure()) std::cerr << host_->log();
}

std::string EtcdTest::readiness() {
  return host().sh("curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:9099/readiness").output;
}

bool EtcdTest::becomesReady(std::chrono::milliseconds patience) {
  return eventually([&] { return readiness() == "200"; }, patience);
}

bool EtcdTest::logs(const std::string& text) {
  return eventually([&] { return host().log().find(text) != std::string::npos; },
                    std::chrono::seconds(30));  // three handshakes fail first
}

std::vector<std::string> EtcdTest::logLines(const std::string& with) {
  std::vector<std::string> out;
  std::istringstream lines(host().log());
  for (std::string line; std::getline(lines, line);) {
    if (line.find(with) != std::string::npos) out.push_back(line);
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

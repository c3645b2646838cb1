#include "tests/system/policy_fixture.h"

#include <unistd.h>

#include <algorithm>
#include <sstream>
#include <thread>

namespace margay::system_tests {

std::unique_ptr<PolicyTest::World> PolicyTest::world_;

bool reaches(const From& from, const Address& to, std::string_view flow,
             std::chrono::milliseconds patience) {
  if (flow == "ping") return pingReaches(from, to, patience);
  const auto port = static_cast<std::uint16_t>(std::stoi(std::string(flow.substr(4))));
  return flow.starts_with("tcp/") ? tcpReaches(from, to, port, patience)
                                  : udpReaches(from, to, port, patience);
}

void PolicyTest::SetUpTestSuite() {
  if (geteuid() != 0) return;
  world_ = std::make_unique<World>();
  auto& world = *world_;
  world.cluster = std::make_unique<Cluster>();
  auto& cluster = *world.cluster;
  world.one = &cluster.addHost("one");
  world.two = &cluster.addHost("two");
  cluster.addNamespace("default", {{"kubernetes.io/metadata.name", "default"}, {"team", "red"}});
  cluster.addNamespace("other", {{"kubernetes.io/metadata.name", "other"}, {"team", "blue"}});
  cluster.apply("robot.yaml",
                "apiVersion: v1\nkind: ServiceAccount\n"
                "metadata: {name: robot, namespace: other, labels: {duty: robot}}\n");
  world.web = &cluster.addPod(*world.one, {.name = "web",
                                           .addresses = {"10.65.1.2", "fd65:0:0:1::2"},
                                           .labels = {{"app", "web"}},
                                           .ports = "[{name: http, containerPort: 80}]"});
  world.near = &cluster.addPod(*world.one, {.name = "near",
                                            .addresses = {"10.65.1.3", "fd65:0:0:1::3"},
                                            .labels = {{"app", "client"}, {"role", "near"}}});
  world.far = &cluster.addPod(*world.two, {.name = "far",
                                           .addresses = {"10.65.2.3", "fd65:0:0:2::3"},
                                           .labels = {{"app", "client"}, {"role", "far"}},
                                           .ports = "[{name: http, containerPort: 8080}]"});
  world.twin = &cluster.addPod(*world.one, {.name = "twin",
                                            .ns = "other",
                                            .addresses = {"10.65.1.4", "fd65:0:0:1::4"},
                                            .labels = {{"app", "twin"}},
                                            .serviceAccount = "robot"});
  world.odd = &cluster.addPod(*world.two, {.name = "odd",
                                           .ns = "other",
                                           .addresses = {"10.65.2.4", "fd65:0:0:2::4"},
                                           .labels = {{"app", "odd"}},
                                           .serviceAccount = "robot"});
  for (const auto* pod : {world.web, world.near, world.far, world.twin, world.odd})
    for (const auto port : kPorts)
      world.servers.push_back(std::make_unique<EchoServer>(pod->ns(), port));
  world.one->start();
  world.two->start();
  cluster.converge();
}

void PolicyTest::TearDownTestSuite() {
  world_.reset();
}

void PolicyTest::SetUp() {
  if (!world_) GTEST_SKIP() << "system tests make network namespaces: run them as root";
}

void PolicyTest::TearDown() {
  if (!world_) return;
  for (const auto& file : files_) cluster().remove(file);
  for (const auto* pod : {&web(), &near(), &far(), &twin(), &odd()}) cluster().rewrite(*pod);
  if (HasFailure()) std::cerr << "log of one:\n" << one().log() << "log of two:\n" << two().log();
}

void PolicyTest::put(const std::string& file, const std::string& text) {
  cluster().apply(file, text);
  files_.insert(file);
  const auto valid = one().ctl("validate -f " + (cluster().dataDir() / file).string());
  EXPECT_EQ(valid.status, 0) << valid.output;
}

void PolicyTest::take(const std::string& file) {
  cluster().remove(file);
  files_.erase(file);
}

void PolicyTest::network(const std::string& name, const std::string& spec) {
  put(name + ".yaml", "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: " +
                          name + ", namespace: default}\nspec: " + spec + "\n");
}

void PolicyTest::calico(const std::string& kind, const std::string& name, const std::string& spec,
                        const std::string& metadata) {
  const auto place = kind == "NetworkPolicy" || kind == "NetworkSet" ? ", namespace: default" : "";
  put(kind + "-" + name + ".yaml",
      "apiVersion: projectcalico.org/v3\nkind: " + kind + "\nmetadata: {name: " + name + place +
          (metadata.empty() ? "" : ", " + metadata) + "}\nspec: " + spec + "\n");
}

void PolicyTest::expect(const std::vector<Expected>& all, const std::vector<Family>& families) {
  struct Probe {
    const Expected* what;
    std::string flow;
    Family family;
    bool passed = false;
  };
  std::vector<Probe> probes;
  for (const auto& one : all) {
    std::istringstream words(one.flows);
    for (std::string flow; words >> flow;)
      for (const auto family : families) probes.push_back({&one, flow, family});
  }
  cluster().converge();
  std::vector<std::thread> threads;
  threads.reserve(probes.size());
  for (auto& probe : probes) {
    threads.emplace_back([&probe] {
      const auto& what = *probe.what;
      probe.passed = reaches(what.from->from(), what.to->address(probe.family), probe.flow,
                             what.passes ? kPatience : kNoAnswer);
    });
  }
  for (auto& thread : threads) thread.join();
  for (const auto& probe : probes) {
    EXPECT_EQ(probe.passed, probe.what->passes)
        << probe.what->from->spec().name << " to " << probe.what->to->spec().name << ' '
        << probe.flow << (probe.family == Family::V4 ? " IPv4" : " IPv6");
  }
}

}  // namespace margay::system_tests

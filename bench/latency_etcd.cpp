#include <algorithm>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include "api/etcd/stored_object.h"
#include "bench/agent_process.h"
#include "bench/etcd_endpoint.h"
#include "bench/percentiles.h"
#include "dataplane/ipset_driver.h"
#include "tests/api/etcd_server.h"

/// How long is it from a write to a real etcd to the kernel, with the whole agent, on a node with
/// 110 pods of a large cluster and 10,000 rules? Beside it the time after which etcd itself has
/// answered the write. Prints one JSON object a line. Needs root.
///   latency_etcd [PODS [EVENTS [POLICIES]]]     default 100000, 300, and 100 of 100 rules each
/// Without events it tells the memory that the agent needs, and ends.
namespace margay::bench {
namespace {

using api::EtcdWrite;
using testing::NetworkNamespace;

constexpr int kRulesEach = 100;
/// Pods of this app may reach those of app-0; they are all elsewhere.
constexpr int kClients = 10;

EtcdWrite object(const char* kind, const std::string& ns, const std::string& name,
                 const std::string& spec) {
  return {.key = api::storedKeyOf(*api::storedKindNamed(kind), ns, name),
          .value = std::string(R"({"kind":")") + kind +
                   R"(","apiVersion":"projectcalico.org/v3","metadata":{"name":")" + name +
                   R"(","uid":"11111111-2222-4333-8444-555555555555"},"spec":)" + spec + "}"};
}

EtcdWrite policy(int number) {
  std::string rules = R"j({"action":"Allow","source":{"selector":"app == 'app-)j" +
                      std::to_string(kClients) + R"('"}})";
  for (int i = 1; i < kRulesEach; ++i)
    rules += R"(,{"action":"Allow","protocol":"TCP","source":{"nets":["192.)" +
             std::to_string(number) + "." + std::to_string(i) +
             R"(.0/24"]},"destination":{"ports":[)" + std::to_string(1000 + i) + "]}}";
  return object("GlobalNetworkPolicy", "", "default.p-" + std::to_string(number),
                R"j({"selector":"app == 'app-0'","types":["Ingress"],"ingress":[)j" + rules + "]}");
}

std::vector<EtcdWrite> cluster(int pods, int policies) {
  std::vector<EtcdWrite> out;
  for (int i = 0; i < pods; ++i) out.push_back(etcdEndpoint(endpointNumber(i)));
  for (int i = 0; i <= pods / 100; ++i)
    out.push_back(object("Profile", "", "kns.ns-" + std::to_string(i),
                         R"({"ingress":[{"action":"Allow"}],"egress":[{"action":"Allow"}]})"));
  for (int i = 0; i < policies; ++i) out.push_back(policy(i));
  return out;
}

class Bench {
 public:
  Bench(api::EtcdClient& etcd, dataplane::IpsetDriver& sets) : etcd_(etcd), sets_(sets) {}

  bool fill(const std::vector<EtcdWrite>& writes) {
    for (std::size_t i = 0; i < writes.size(); i += 100) {
      const auto end = std::min(i + 100, writes.size());
      if (!etcd_.write({}, {writes.begin() + static_cast<std::ptrdiff_t>(i),
                            writes.begin() + static_cast<std::ptrdiff_t>(end)}))
        return false;
    }
    return true;
  }

  bool podJoins(int events, int pods) {
    for (int i = 0; i < events; ++i) {
      auto pod = endpointNumber(pods + i);
      pod.node = pod.app = 0;
      pod.address = "172.20." + std::to_string(i / 250) + "." + std::to_string(i % 250 + 1);
      if (!observe(etcdEndpoint(pod), "mgy4-local", pod.address)) return false;
    }
    report("etcd to kernel: a pod joins a group of a node with 10,000 rules");
    return true;
  }

  bool podMovesElsewhere(int events) {
    auto pod = endpointNumber(kClients * 50 + 5);
    const auto set = setOf(pod.address);
    if (set.empty()) return false;
    for (int i = 0; i < events; ++i) {
      pod.address = "172.21." + std::to_string(i / 250) + "." + std::to_string(i % 250 + 1);
      if (!observe(etcdEndpoint(pod), set, pod.address)) return false;
    }
    report("etcd to kernel: a pod elsewhere changes address");
    return true;
  }

 private:
  [[nodiscard]] bool has(const std::string& set, const std::string& address) const {
    const auto members = sets_.members(set);
    const auto wanted = Prefix::parseNetwork(address);
    return members && std::any_of(members->begin(), members->end(),
                                  [&](const auto& member) { return member.net == *wanted; });
  }
  /// The smallest one: the rest of the time would be the benchmark's, to list it.
  [[nodiscard]] std::string setOf(const std::string& address) const {
    const auto all = sets_.list();
    if (!all) return {};
    std::string found;
    std::uint32_t fewest = 0;
    for (const auto& [name, header] : *all) {
      if (header.spec.type != dataplane::SetType::HashNet || !has(name, address)) continue;
      if (found.empty() || header.entries < fewest) {
        found = name;
        fewest = header.entries;
      }
    }
    return found;
  }
  /// Writes, and waits until the set has the address.
  bool observe(const EtcdWrite& write, const std::string& set, const std::string& address) {
    const auto begin = Clock::now();
    if (!etcd_.write({}, {write})) return false;
    answered_.push_back(secondsSince(begin) * 1e3);
    while (!has(set, address)) {
      if (secondsSince(begin) > 10) return false;
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
    inKernel_.push_back(secondsSince(begin) * 1e3);
    return true;
  }
  void report(const std::string& what) {
    const auto whole = percentiles(inKernel_);
    const auto etcd = percentiles(answered_);
    print({what + ", p50 of " + std::to_string(inKernel_.size()), whole.p50, "ms", etcd.p50});
    print({what + ", p99", whole.p99, "ms", etcd.p99});
    inKernel_.clear();
    answered_.clear();
  }

  api::EtcdClient& etcd_;
  dataplane::IpsetDriver& sets_;
  std::vector<double> inKernel_;
  std::vector<double> answered_;
};

int failed(const std::string& why) {
  std::cerr << why << '\n';
  return 1;
}

int run(int pods, int events, int policies) {
  const auto where = NetworkNamespace::create();
  if (!where) return failed(where.error().what);
  const auto entered = where->enter();
  const auto etcd = api::test::EtcdServer::at("127.0.0.1");
  if (!etcd) return failed("no etcd to run");
  etcd->start();
  api::EtcdClient client(api::test::quickOptions({etcd->url()}));
  auto sets = dataplane::KernelIpsetDriver::open();
  if (!sets) return failed("cannot begin");
  Bench bench(client, **sets);
  if (!bench.fill(cluster(pods, policies))) return failed("etcd takes no writes");
  const ScratchDirectory scratch;
  const AgentProcess agent(*where, scratch.path(),
                           {{"DATASTORE_TYPE", "etcdv3"},
                            {"ETCD_ENDPOINTS", etcd->url()},
                            {"MARGAY_PUBLISH_NODE", "false"},
                            {"FELIX_IPTABLESBACKEND", "Legacy"}});
  if (!agent.waitReady()) return failed("the agent does not become ready\n" + agent.log());
  print({.work = "etcd: resident memory when the node is ready",
         .ours = agent.memory("VmRSS"),
         .unit = "MiB",
         .goal = 64});
  print({.work = "etcd: highest resident memory until then",
         .ours = agent.memory("VmHWM"),
         .unit = "MiB"});
  if (events == 0) return 0;
  if (!bench.podJoins(events, pods) || !bench.podMovesElsewhere(events))
    return failed("an event did not come to the kernel\n" + agent.log());
  return 0;
}

}  // namespace
}  // namespace margay::bench

int main(int argc, char** argv) {
  return margay::bench::run(argc > 1 ? std::atoi(argv[1]) : 100000,
                            argc > 2 ? std::atoi(argv[2]) : 300,
                            argc > 3 ? std::atoi(argv[3]) : 100);
}

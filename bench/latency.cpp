#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "bench/agent_process.h"
#include "bench/node_network.h"
#include "bench/percentiles.h"
#include "bench/rule_kernel.h"

/// From an event to the kernel, with the whole agent, on a node with the interfaces of its 110 pods
/// of a large cluster and of 102 others, and many rules. Two clocks: the agent's own, from the
/// moment in which the source has handed the object over to the end of the pass that leaves nothing
/// to do; and from the rename of the file to the moment in which the kernel has the change, which
/// adds what the file source waits for (2 ms of quiet) and reads. Prints one JSON object a line.
/// Needs root.
///   latency [BACKEND [PODS [EVENTS]]]     BACKEND as in FELIX_IPTABLESBACKEND; default Legacy,
///   100000 and 300
namespace margay::bench {
namespace {

constexpr int kPolicies = 100;
constexpr int kRulesEach = 106;

/// margay_update_latency_seconds, as the agent counts it.
struct Latency {
  double sum = 0;
  double count = 0;
};
Latency scrape() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_port = htons(9091);
  where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::string text;
  if (connect(fd, reinterpret_cast<sockaddr*>(&where), sizeof where) == 0) {
    const std::string request = "GET /metrics HTTP/1.0\r\n\r\n";
    if (write(fd, request.data(), request.size()) > 0) {
      char buffer[65536];
      for (ssize_t got = 0; (got = read(fd, buffer, sizeof buffer)) > 0;)
        text.append(buffer, static_cast<std::size_t>(got));
    }
  }
  close(fd);
  const auto value = [&](const std::string& name) {
    const auto at = text.find("\n" + name + ' ');
    return at == std::string::npos ? 0.0 : std::atof(text.c_str() + at + name.size() + 2);
  };
  return {value("margay_update_latency_seconds_sum"), value("margay_update_latency_seconds_count")};
}

/// Waits until the agent has ended `more` updates after `before`.
std::optional<Latency> waitFor(const Latency& before) {
  const auto begin = Clock::now();
  while (secondsSince(begin) < 10) {
    const auto now = scrape();
    if (now.count > before.count) return now;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return std::nullopt;
}

struct Series {
  std::vector<double> agent;   ///< ms
  std::vector<double> rename;  ///< ms
};

/// Between two looks at the kernel: without a pause they would take the agent's processor and
/// locks.
constexpr auto kLookPause = std::chrono::microseconds(200);

/// Runs `event` and waits until `there`, by both clocks.
bool observe(Series& series, const std::function<void()>& event,
             const std::function<bool()>& there) {
  const auto before = scrape();
  const auto begin = Clock::now();
  event();
  while (!there()) {
    if (secondsSince(begin) > 10) return false;
    std::this_thread::sleep_for(kLookPause);
  }
  const auto seen = secondsSince(begin);
  const auto after = waitFor(before);
  if (!after) return false;
  if (after->count - before.count == 1) series.agent.push_back((after->sum - before.sum) * 1e3);
  series.rename.push_back(seen * 1e3);
  return true;
}

std::string pod(const std::string& ns, const std::string& name, const std::string& labels,
                const std::string& node, const std::string& address) {
  return "apiVersion: v1\nkind: Pod\nmetadata: {name: " + name + ", namespace: " + ns +
         ", labels: {" + labels + "}}\nspec: {nodeName: " + node +
         ", containers: [{name: c, image: i}]}\nstatus: {phase: Running, podIP: " + address + "}\n";
}

/// Selects KEY=VALUE and has `rules` rules.
std::string policy(const std::string& name, const std::string& selector, int number, int rules) {
  std::string out =
      "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: " + name +
      ", namespace: rules}\nspec: {podSelector: {matchLabels: {" + selector +
      "}}, policyTypes: [Ingress], ingress: [";
  for (int i = 0; i < rules; ++i)
    out += "{from: [{ipBlock: {cidr: 192." + std::to_string(number % 256) + '.' +
           std::to_string(i % 256) +
           ".0/24}}], ports: [{protocol: TCP, port: " + std::to_string(1000 + i) + "}]},";
  return out + "]}\n";
}

std::string ruleSet() {
  std::string out = "apiVersion: v1\nkind: Namespace\nmetadata: {name: rules}\n";
  for (int i = 0; i < kPolicies; ++i) {
    const auto app = "app: r-" + std::to_string(i);
    out += "---\n" + policy("r-" + std::to_string(i), app, i, kRulesEach);
    out += "---\n" + pod("rules", "r-" + std::to_string(i), app, "node-0",
                         "10.64.0." + std::to_string(i + 120));
  }
  return out;
}

void report(const std::string& what, const Series& series, double goalMs, double referenceMs) {
  const auto own = percentiles(series.agent);
  const auto whole = percentiles(series.rename);
  const auto count = " (" + std::to_string(series.agent.size()) + " events)";
  // A goal of its own is the p99's; one against the kernel's time is that of the common case.
  const auto goalOfMost = referenceMs > 0 ? std::optional(goalMs) : std::nullopt;
  const auto goalOfAll = referenceMs > 0 ? std::nullopt : std::optional(goalMs);
  print({what + ", p50" + count, own.p50, "ms", referenceMs, goalOfMost});
  print({what + ", p99", own.p99, "ms", referenceMs, goalOfAll});
  print({what + ", from the rename of its file, p50", whole.p50, "ms"});
  print({what + ", from the rename of its file, p99", whole.p99, "ms"});
}

class Bench {
 public:
  Bench(const ScratchDirectory& scratch, const AgentProcess& agent, RuleKernel& kernel)
      : scratch_(scratch), agent_(agent), kernel_(kernel) {}

  bool podJoins(int events);
  bool podMovesElsewhere(int events);
  bool podNeedsGroup(int events);
  bool oneRuleMore(int events);

 private:
  void remove(const std::string& file) const {
    const auto before = scrape();
    std::filesystem::remove(scratch_.path() / "data" / file);
    waitFor(before);
  }
  [[nodiscard]] std::string node() const {
    return kernel_.backend() + " node with " + std::to_string(kernel_.rules()) + " rules";
  }

  /// The kernel's own time. Without the agent, which would look at each of these changes.
  [[nodiscard]] double commitMs() const {
    agent_.pause();
    const double took = kernel_.commitMs();
    agent_.resume();
    return took;
  }

  const ScratchDirectory& scratch_;
  const AgentProcess& agent_;
  RuleKernel& kernel_;
};

bool Bench::podJoins(int events) {
  Series series;
  for (int i = 0; i < events; ++i) {
    const auto address = "10.64.1." + std::to_string(i % 200 + 1);
    const auto text = pod("rules", "joins", "app: r-0", "node-0", address);
    if (!observe(
            series, [&] { scratch_.put("joins.yaml", text); },
            [&] { return kernel_.has("mgy4-local", address); }))
      return false;
    remove("joins.yaml");
  }
  report("a pod joins a group, " + node(), series, 1, 0);
  return true;
}

bool Bench::podMovesElsewhere(int events) {
  const auto at = [](int i) { return "10.64.5." + std::to_string(120 + i % 100); };
  const auto put = [&](int i) {
    scratch_.put("elsewhere.yaml", pod("ns-0", "elsewhere", "app: app-1", "node-5", at(i)));
  };
  const auto before = scrape();
  put(0);
  waitFor(before);
  const auto set = kernel_.selectorSetWith(at(0));
  if (set.empty()) return false;
  Series series;
  for (int i = 1; i <= events; ++i) {
    if (!observe(
            series, [&] { put(i); }, [&] { return kernel_.has(set, at(i)); }))
      return false;
  }
  report("a pod elsewhere changes address, " + kernel_.backend(), series, 1, 0);
  return true;
}

bool Bench::podNeedsGroup(int events) {
  std::string extra;
  for (int i = 0; i < events; ++i)
    extra += "---\n" +
             policy("x-" + std::to_string(i), "extra: x-" + std::to_string(i), 200 + i % 50, 1);
  const auto before = scrape();
  scratch_.put("extra.yaml", extra);
  waitFor(before);
  Series series;
  for (int i = 0; i < events; ++i) {
    const auto address = "10.64.2." + std::to_string(i % 200 + 1);
    const auto text =
        pod("rules", "new", "app: r-0, extra: x-" + std::to_string(i), "node-0", address);
    if (!observe(
            series, [&] { scratch_.put("new.yaml", text); },
            [&] { return kernel_.has("mgy4-local", address); }))
      return false;
    remove("new.yaml");
  }
  report("a pod needs a new group, " + node(), series, 1.5, commitMs());
  return true;
}

bool Bench::oneRuleMore(int events) {
  Series series;
  for (int i = 0; i < events; ++i) {
    const auto before = kernel_.fingerprint();
    const auto text = policy("more", "app: r-1", 199, 2 + i % 2);
    if (!observe(
            series, [&] { scratch_.put("more.yaml", text); },
            [&] { return kernel_.fingerprint() != before; }))
      return false;
    // The chains that it replaces go in a commit of their own.
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  report("a policy gets one rule more, " + node(), series, 3, commitMs());
  return true;
}

int run(const std::string& backend, int pods, int events) {
  auto interfaces = interfacesOfNode(pods);
  for (int i = 0; i < kPolicies; ++i)
    interfaces.push_back(interfaceOf("rules", "r-" + std::to_string(i)));
  for (const auto* name : {"joins", "new"}) interfaces.push_back(interfaceOf("rules", name));
  const auto node = NodeNetwork::make(interfaces);
  if (!node) return 1;
  const ScratchDirectory scratch;
  writeCluster(scratch.path() / "data" / "cluster.json", pods);
  scratch.put("rules.yaml", ruleSet());
  const AgentProcess agent(
      node->host, scratch.path(),
      {{"FELIX_PROMETHEUSMETRICSENABLED", "true"}, {"FELIX_IPTABLESBACKEND", backend}});
  if (!agent.waitReady()) {
    std::cerr << "the agent does not become ready\n" << agent.log();
    return 1;
  }
  const auto entered = node->host.enter();
  const auto kernel = RuleKernel::open(backend, scratch.path() / "lock");
  if (!kernel) return 1;
  Bench bench(scratch, agent, *kernel);
  const bool done = bench.podJoins(events) && bench.podMovesElsewhere(events) &&
                    bench.podNeedsGroup(std::min(events, 40)) &&
                    bench.oneRuleMore(std::min(events, 40));
  if (!done) std::cerr << "an event did not come to the kernel\n" << agent.log();
  return done ? 0 : 1;
}

}  // namespace
}  // namespace margay::bench

int main(int argc, char** argv) {
  return margay::bench::run(argc > 1 ? argv[1] : "Legacy", argc > 2 ? std::atoi(argv[2]) : 100000,
                            argc > 3 ? std::atoi(argv[3]) : 300);
}

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>

#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <numeric>
#include <string>
#include <vector>

#include "bench/agent_process.h"
#include "bench/node_network.h"

/// What a new flow costs between two pods of one node, in nanoseconds on one core, by the number of
/// groups: with the agent's rules, with a tree of chains a pod as the benchmark itself builds it,
/// and with connection tracking alone. Real packets on real interfaces, each of a flow of its own,
/// sent by the far end of a veth pair, so that the whole way through the host runs in the sender's
/// system call. Prints one JSON object a line. Needs root and the legacy iptables tools.
///   flows [BACKEND [GROUPS...]]     BACKEND as in FELIX_IPTABLESBACKEND; default Legacy 10 50 100
///   200
namespace margay::bench {
namespace {

using testing::shell;

constexpr std::uint16_t kPort = 5000;
constexpr int kFlows = 20000;  // a round
constexpr int kRounds = 5;

struct Pod {
  std::string name;
  std::string address;
  std::string device;  // host side
};

std::vector<Pod> podsOf(int count) {
  std::vector<Pod> out;
  for (int i = 0; i < count; ++i) {
    const auto name = "pod-" + std::to_string(i);
    out.push_back({name, "10.64." + std::to_string(i / 250) + '.' + std::to_string(i % 250 + 2),
                   interfaceOf("default", name)});
  }
  return out;
}

/// A host that forwards. `routes`: also the routes to the pods.
enum class Routes { Ours, Agents };
std::optional<NodeNetwork> nodeWith(const std::vector<Pod>& pods, Routes routes) {
  std::vector<std::string> interfaces;
  std::string text;
  for (const auto& pod : pods) {
    interfaces.push_back(pod.device);
    if (routes == Routes::Ours)
      text += "route replace " + pod.address + "/32 dev " + pod.device + " scope link\n";
    text += "neigh replace " + pod.address + " dev " + pod.device + " lladdr " +
            NodeNetwork::kPodMac + " nud noarp\n";
  }
  auto node = NodeNetwork::make(interfaces, false);
  if (!node) return std::nullopt;
  const auto entered = node->host.enter();
  // Both: the one of an interface counts as much as that of all.
  const std::string forward =
      "sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0; "
      "for file in /proc/sys/net/ipv4/conf/cali*/rp_filter; do echo 0 >$file; done";
  if (!must(forward) || !mustBatch("ip -batch", text)) return std::nullopt;
  return node;
}

std::uint16_t checksum(const std::uint8_t* header) {
  std::uint32_t sum = 0;
  for (int i = 0; i < 20; i += 2) sum += (std::uint32_t{header[i]} << 8U) | header[i + 1];
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16U);
  return static_cast<std::uint16_t>(~sum);
}

/// An Ethernet frame with UDP from `from` to `to`.
std::array<std::uint8_t, 60> frame(const Pod& from, const Pod& to) {
  std::array<std::uint8_t, 60> out{};
  const std::uint8_t start[] = {2, 0,    0, 0, 0,  1, 2, 0, 0, 0,  0,  2, 8,
                                0, 0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17, 0, 0};
  std::copy(std::begin(start), std::end(start), out.begin());
  inet_pton(AF_INET, from.address.c_str(), &out[26]);
  inet_pton(AF_INET, to.address.c_str(), &out[30]);
  const auto sum = checksum(&out[14]);
  out[24] = static_cast<std::uint8_t>(sum >> 8U);
  out[25] = static_cast<std::uint8_t>(sum & 0xffU);
  out[36] = kPort >> 8U;
  out[37] = kPort & 0xffU;
  out[39] = 26;  // length; no checksum
  return out;
}

/// Packets that came out at the far end of a pod.
long arrived(const NodeNetwork& node, int pod) {
  const auto entered = node.pods.enter();
  const auto got = shell("ip -s -j link show p" + std::to_string(pod) +
                         " | sed 's/.*\"rx\":{\"bytes\":[0-9]*,\"packets\":\\([0-9]*\\).*/\\1/'");
  return std::atol(got.output.c_str());
}

/// Keeps the thread, and with it the softirqs of what it sends, on one core.
class OneCore {
 public:
  OneCore() {
    sched_getaffinity(0, sizeof before_, &before_);
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(1, &one);
    sched_setaffinity(0, sizeof one, &one);
  }
  ~OneCore() { sched_setaffinity(0, sizeof before_, &before_); }
  OneCore(const OneCore&) = delete;
  OneCore& operator=(const OneCore&) = delete;

 private:
  cpu_set_t before_{};
};

/// Nanoseconds a flow, of the fastest round: each round has pods of its own, spread over all
/// groups. No value if packets were lost.
std::optional<double> measure(const NodeNetwork& node, const std::vector<Pod>& pods) {
  const auto entered = node.pods.enter();
  const OneCore here;
  const int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
  std::vector<double> rounds;
  const auto count = static_cast<int>(pods.size());
  for (int round = 0; round < kRounds; ++round) {
    double nanoseconds = 0;
    int flows = 0;
    // Ten pairs a round, at equal distances through all pods, and so through all groups.
    for (int pair = 0; pair < 10; ++pair) {
      const int from = pair * count / 10;
      const int to = ((pair + 5) % 10) * count / 10 + count / 20;
      auto packet = frame(pods[static_cast<std::size_t>(from)], pods[static_cast<std::size_t>(to)]);
      sockaddr_ll where{};
      where.sll_family = AF_PACKET;
      where.sll_ifindex = static_cast<int>(if_nametoindex(("p" + std::to_string(from)).c_str()));
      where.sll_halen = 6;
      const auto before = arrived(node, to);
      const auto begin = Clock::now();
      for (int i = 0; i < kFlows / 10; ++i) {
        const auto source = static_cast<std::uint16_t>(1024 + round * kFlows / 10 + i);
        packet[34] = static_cast<std::uint8_t>(source >> 8U);
        packet[35] = static_cast<std::uint8_t>(source & 0xffU);
        sendto(fd, packet.data(), packet.size(), 0, reinterpret_cast<sockaddr*>(&where),
               sizeof where);
      }
      nanoseconds += secondsSince(begin) * 1e9;
      flows += kFlows / 10;
      if (arrived(node, to) - before != kFlows / 10) {
        std::cerr << "of " << kFlows / 10 << " packets from "
                  << pods[static_cast<std::size_t>(from)].name << " to "
                  << pods[static_cast<std::size_t>(to)].name << " only "
                  << arrived(node, to) - before << " arrived\n";
        close(fd);
        return std::nullopt;
      }
    }
    rounds.push_back(nanoseconds / flows);
  }
  close(fd);
  return *std::min_element(rounds.begin(), rounds.end());
}

std::string manifests(const std::vector<Pod>& pods) {
  std::string out =
      "apiVersion: v1\nkind: Node\nmetadata: {name: node-0}\nspec: {podCIDR: 10.64.0.0/16}\n"
      "status: {addresses: [{type: InternalIP, address: 172.16.0.1}]}\n---\n"
      "apiVersion: v1\nkind: Namespace\nmetadata: {name: default}\n";
  for (const auto& pod : pods) {
    out += "---\napiVersion: v1\nkind: Pod\nmetadata: {name: " + pod.name +
           ", namespace: default, labels: {app: " + pod.name +
           "}}\nspec: {nodeName: node-0, containers: [{name: c, image: i}]}\nstatus: {phase: "
           "Running, podIP: " +
           pod.address + "}\n";
    out +=
        "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: " + pod.name +
        ", namespace: default}\nspec: {podSelector: {matchLabels: {app: " + pod.name +
        "}}, policyTypes: [Ingress, Egress], ingress: [{ports: [{protocol: UDP, port: " +
        std::to_string(kPort) +
        "}], from: [{podSelector: {}}]}], egress: [{to: [{podSelector: "
        "{}}]}]}\n";
  }
  return out;
}

/// The same policies as a tree: by direction, then by the first digit of the interface's name, then
/// a chain a pod, which asks the pod's policy.
std::string tree(const std::vector<Pod>& pods) {
  std::string chains = "*filter\n:FORWARD ACCEPT [0:0]\n:from - [0:0]\n:to - [0:0]\n";
  std::string rules =
      "-A FORWARD -i cali+ -j from\n-A FORWARD -o cali+ -j to\n-A FORWARD -m mark --mark "
      "0x10000/0x10000 -j ACCEPT\n";
  for (const std::string digit :
       {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "a", "b", "c", "d", "e", "f"}) {
    chains += ":from-" + digit + " - [0:0]\n:to-" + digit + " - [0:0]\n";
    rules += "-A from -i cali" + digit + "+ -g from-" + digit + "\n-A to -o cali" + digit +
             "+ -g to-" + digit + '\n';
  }
  for (const auto& pod : pods) {
    for (const std::string direction : {"from", "to"}) {
      const auto leaf = direction + '-' + pod.device.substr(4, 1);
      const auto own = direction + '-' + pod.device;
      const auto policy = "p" + own;
      chains += ':' + own + " - [0:0]\n:" + policy + " - [0:0]\n";
      rules +=
          "-A " + leaf + (direction == "from" ? " -i " : " -o ") + pod.device + " -g " + own + '\n';
      const auto line = "-A " + own + ' ';
      rules += line + "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n";
      rules += line + "-m conntrack --ctstate INVALID -j DROP\n";
      rules += line + "-j MARK --set-xmark 0x0/0x10000\n";
      rules += line + "-j MARK --set-xmark 0x0/0x20000\n";
      rules += line + "-m mark --mark 0x0/0x20000 -j " + policy + '\n';
      rules += line + "-m mark --mark 0x10000/0x10000 -j RETURN\n";
      rules += line + "-m mark --mark 0x0/0x20000 -j DROP\n" + line + "-j DROP\n";
      rules +=
          "-A " + policy +
          (direction == "from" ? " -m set --match-set bench-all dst"
                               : " -p udp -m set --match-set bench-all src -m multiport --dports " +
                                     std::to_string(kPort)) +
          " -j MARK --set-xmark 0x10000/0x10000\n";
      rules += "-A " + policy + " -m mark --mark 0x10000/0x10000 -j RETURN\n";
    }
  }
  for (const std::string direction : {"from", "to"}) rules += "-A " + direction + " -j DROP\n";
  return chains + rules + "COMMIT\n";
}

std::optional<double> withAgent(const std::vector<Pod>& pods, const std::string& backend) {
  const ScratchDirectory scratch;
  const auto node = nodeWith(pods, Routes::Agents);
  if (!node) return std::nullopt;
  scratch.put("pods.yaml", manifests(pods));
  const AgentProcess agent(node->host, scratch.path(), {{"FELIX_IPTABLESBACKEND", backend}});
  if (!agent.waitReady()) {
    std::cerr << "the agent does not become ready\n" << agent.log();
    return std::nullopt;
  }
  return measure(*node, pods);
}

std::optional<double> withTree(const std::vector<Pod>& pods) {
  const auto node = nodeWith(pods, Routes::Ours);
  if (!node) return std::nullopt;
  {
    const auto entered = node->host.enter();
    std::string members = "create bench-all hash:net\n";
    for (const auto& pod : pods) members += "add bench-all " + pod.address + '\n';
    if (!mustBatch("ipset restore -f", members) ||
        !mustBatch("iptables-legacy-restore", tree(pods)))
      return std::nullopt;
  }
  return measure(*node, pods);
}

std::optional<double> withConntrackOnly(const std::vector<Pod>& pods) {
  const auto node = nodeWith(pods, Routes::Ours);
  if (!node) return std::nullopt;
  {
    const auto entered = node->host.enter();
    if (!must("iptables-legacy -A FORWARD -m conntrack --ctstate INVALID -j DROP"))
      return std::nullopt;
  }
  return measure(*node, pods);
}

int run(const std::string& backend, const std::vector<int>& sizes) {
  for (const int groups : sizes) {
    const auto pods = podsOf(groups);
    const auto bare = withConntrackOnly(pods);
    const auto reference = withTree(pods);
    const auto ours = withAgent(pods, backend);
    if (!bare || !reference || !ours) return 1;
    const auto goal = backend == "NFT" ? 1.0 : 3.0;
    const auto what = ", " + backend + ", " + std::to_string(groups) + " groups";
    print({"new flow" + what, *ours, "ns", *reference, goal});
    print({"its rules alone" + what, *ours - *bare, "ns", *reference - *bare, goal});
  }
  return 0;
}

}  // namespace
}  // namespace margay::bench

int main(int argc, char** argv) {
  std::vector<int> sizes;
  for (int i = 2; i < argc; ++i) sizes.push_back(std::atoi(argv[i]));
  if (sizes.empty()) sizes = {10, 50, 100, 200};
  return margay::bench::run(argc > 1 ? argv[1] : "Legacy", sizes);
}

#include "bench/node_network.h"

#include <poll.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <utility>

#include "base/hash.h"
#include "bench/agent_process.h"

namespace margay::bench {
namespace {

using testing::NetworkNamespace;
using testing::shell;

/// The kernel brings interfaces into operation behind `ip link set up`; until then it drops.
bool operating(const NetworkNamespace& where) {
  const auto entered = where.enter();
  const auto deadline = Clock::now() + std::chrono::seconds(30);
  while (shell("ip -br link show type veth | grep -qv ' UP '").status == 0) {
    if (Clock::now() > deadline) return false;
    poll(nullptr, 0, 10);
  }
  return true;
}

bool prepare(const NetworkNamespace& where, bool ipv6, const std::string& links) {
  const auto entered = where.enter();
  const std::string off =
      "sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1";
  return (ipv6 || must(off)) && mustBatch("ip -batch", links);
}

}  // namespace

bool must(const std::string& command) {
  const auto done = shell(command);
  if (done.status != 0) std::cerr << command << ": " << done.output << '\n';
  return done.status == 0;
}

bool mustBatch(const std::string& tool, const std::string& text) {
  char file[] = "/tmp/margay-bench-batch-XXXXXX";
  const int fd = mkstemp(file);
  if (fd < 0) return false;
  std::ofstream(file) << text;
  const bool done = must(tool + ' ' + file);
  close(fd);
  std::filesystem::remove(file);
  return done;
}

std::string interfaceOf(const std::string& ns, const std::string& pod) {
  return "cali" + sha1Hex(ns + '.' + pod).substr(0, 11);
}

std::optional<NodeNetwork> NodeNetwork::make(const std::vector<std::string>& interfaces,
                                             bool ipv6) {
  auto host = NetworkNamespace::create();
  auto pods = NetworkNamespace::create();
  if (!host || !pods) {
    std::cerr << (host ? pods.error().what : host.error().what) << '\n';
    return std::nullopt;
  }
  const auto other = " netns " + pods->path();
  std::string near = "link add eth0 type veth peer name eth0" + other +
                     "\nlink set eth0 up\naddress add 172.16.0.1/12 dev eth0\n";
  std::string far = "link set eth0 up\n";
  for (std::size_t i = 0; i < interfaces.size(); ++i) {
    const auto peer = "p" + std::to_string(i);
    near += "link add " + interfaces[i] + " address " + kHostMac + " type veth peer name " + peer +
            " address " + kPodMac + other + "\nlink set " + interfaces[i] + " up\n";
    far += "link set " + peer + " up\n";
  }
  if (!prepare(*host, ipv6, near) || !prepare(*pods, ipv6, far) || !operating(*host) ||
      !operating(*pods))
    return std::nullopt;
  return NodeNetwork{std::move(*host), std::move(*pods)};
}

}  // namespace margay::bench

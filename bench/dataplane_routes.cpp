#include <benchmark/benchmark.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "dataplane/route_driver.h"

// How near the route driver comes to what the kernel can do: the same routes through the driver and
// through the shortest loop that batches prepared messages, one after the other in one iteration,
// so that a noisy machine hits both. Runs in a network namespace of its own.
namespace {

using namespace margay;
using namespace margay::dataplane;
using Seconds = std::chrono::duration<double>;

constexpr const char* kDevice = "bench0";
constexpr std::size_t kBatch = 4096;

[[noreturn]] void die(const std::string& what) {
  std::fprintf(stderr, "dataplane_routes: %s\n", what.c_str());
  std::exit(1);
}

void enterFreshNamespace() {
  if (::unshare(CLONE_NEWNET) != 0) die("needs root to make a network namespace");
  const std::string make = std::string("ip link add ") + kDevice +
                           " type veth peer name bench1 && " +
                           "ip link set bench1 up && ip link set " + kDevice + " up";
  if (std::system(make.c_str()) != 0) die("cannot make a veth pair");
}

Prefix destination(Family family, std::uint32_t i) {
  if (family == Family::V4) return Prefix::host(Address::v4(0x0a000000U + i));
  std::array<std::uint8_t, 16> bytes{0xfd};
  for (std::size_t k = 0; k < 4; ++k) bytes[15 - k] = static_cast<std::uint8_t>(i >> (8 * k));
  return Prefix::host(Address::fromBytes(bytes));
}

std::vector<Change<Route>> changesOf(Op op, Family family, std::uint32_t count) {
  std::vector<Change<Route>> changes(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    Route& route = changes[i].value;
    changes[i].op = op;
    route.key.destination = destination(family, i);
    route.key.metric = 1024;
    if (family == Family::V4) route.scope = RouteScope::Link;
    route.device = kDevice;
  }
  return changes;
}

double throughDriver(RouteDriver& driver, const std::vector<Change<Route>>& changes) {
  const auto start = std::chrono::steady_clock::now();
  const auto results = driver.apply(changes);
  const Seconds took = std::chrono::steady_clock::now() - start;
  for (const auto& result : results) {
    if (!result) die(result.error().what);
  }
  return took.count();
}

struct RawMessage {
  nlmsghdr head;
  rtmsg route;
  std::uint8_t attributes[48];
};

std::vector<std::uint8_t> rawMessages(bool add, Family family, std::uint32_t first,
                                      std::uint32_t count) {
  std::vector<std::uint8_t> bytes;
  const auto index = ::if_nametoindex(kDevice);
  for (std::uint32_t i = first; i < first + count; ++i) {
    RawMessage message{};
    const auto to = destination(family, i);
    message.head.nlmsg_type = add ? RTM_NEWROUTE : RTM_DELROUTE;
    message.head.nlmsg_flags = NLM_F_REQUEST;
    if (add) message.head.nlmsg_flags |= NLM_F_CREATE | NLM_F_EXCL;
    if (i + 1 == first + count) message.head.nlmsg_flags |= NLM_F_ACK;
    message.route.rtm_family = static_cast<unsigned char>(afOf(family));
    message.route.rtm_dst_len = to.length;
    message.route.rtm_table = RT_TABLE_MAIN;
    message.route.rtm_protocol = kRouteProtocol;
    message.route.rtm_scope = add ? RT_SCOPE_LINK : RT_SCOPE_NOWHERE;
    message.route.rtm_type = add ? RTN_UNICAST : RTN_UNSPEC;
    std::size_t at = 0;
    const auto put = [&](unsigned short type, const void* data, std::size_t size) {
      const rtattr head{static_cast<unsigned short>(RTA_LENGTH(size)), type};
      std::memcpy(message.attributes + at, &head, sizeof head);
      std::memcpy(message.attributes + at + sizeof head, data, size);
      at += RTA_SPACE(size);
    };
    const std::uint32_t metric = 1024;
    put(RTA_DST, to.address.bytes().data(), to.address.bytes().size());
    put(RTA_PRIORITY, &metric, sizeof metric);
    if (add) put(RTA_OIF, &index, sizeof index);
    message.head.nlmsg_len = static_cast<std::uint32_t>(NLMSG_LENGTH(sizeof message.route) + at);
    const auto* raw = reinterpret_cast<const std::uint8_t*>(&message);
    bytes.insert(bytes.end(), raw, raw + message.head.nlmsg_len);
  }
  return bytes;
}

/// Messages are prepared before the clock starts.
double throughKernel(bool add, Family family, std::uint32_t count) {
  std::vector<std::vector<std::uint8_t>> batches;
  for (std::uint32_t first = 0; first < count; first += kBatch) {
    batches.push_back(
        rawMessages(add, family, first, std::min<std::uint32_t>(kBatch, count - first)));
  }
  const int fd = ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  const int size = 1 << 20;
  if (fd < 0 || ::setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) != 0) {
    die("cannot open a netlink socket");
  }
  std::uint8_t answer[8192];
  const auto start = std::chrono::steady_clock::now();
  for (const auto& batch : batches) {
    if (::send(fd, batch.data(), batch.size(), 0) < 0) die("send failed");
    if (::recv(fd, answer, sizeof answer, 0) < 0) die("recv failed");
    const auto* head = reinterpret_cast<const nlmsghdr*>(answer);
    const auto* error = static_cast<const nlmsgerr*>(NLMSG_DATA(head));
    if (head->nlmsg_type != NLMSG_ERROR || error->error != 0) die("the kernel refused a route");
  }
  const Seconds took = std::chrono::steady_clock::now() - start;
  ::close(fd);
  return took.count();
}

void report(benchmark::State& state, double ours, double kernel, double routes) {
  state.counters["ours_per_s"] = routes / ours;
  state.counters["kernel_per_s"] = routes / kernel;
  state.counters["ratio"] = kernel / ours;
}

void addRoutes(benchmark::State& state, Family family) {
  const auto count = static_cast<std::uint32_t>(state.range(0));
  auto driver = makeRouteDriver();
  if (!driver) die(driver.error().what);
  const auto additions = changesOf(Op::Add, family, count);
  double ours = 0;
  double kernel = 0;
  double routes = 0;
  for ([[maybe_unused]] auto iteration : state) {
    const double took = throughDriver(**driver, additions);
    throughKernel(false, family, count);
    kernel += throughKernel(true, family, count);
    throughKernel(false, family, count);
    ours += took;
    routes += count;
    state.SetIterationTime(took);
  }
  report(state, ours, kernel, routes);
}

void removeRoutes(benchmark::State& state, Family family) {
  const auto count = static_cast<std::uint32_t>(state.range(0));
  auto driver = makeRouteDriver();
  if (!driver) die(driver.error().what);
  const auto removals = changesOf(Op::Remove, family, count);
  double ours = 0;
  double kernel = 0;
  double routes = 0;
  for ([[maybe_unused]] auto iteration : state) {
    throughKernel(true, family, count);
    const double took = throughDriver(**driver, removals);
    throughKernel(true, family, count);
    kernel += throughKernel(false, family, count);
    ours += took;
    routes += count;
    state.SetIterationTime(took);
  }
  report(state, ours, kernel, routes);
}

void listRoutes(benchmark::State& state, Family family) {
  const auto count = static_cast<std::uint32_t>(state.range(0));
  auto driver = makeRouteDriver();
  if (!driver) die(driver.error().what);
  throughKernel(true, family, count);
  for ([[maybe_unused]] auto iteration : state) {
    const auto start = std::chrono::steady_clock::now();
    auto routes = (*driver)->list();
    const Seconds took = std::chrono::steady_clock::now() - start;
    if (!routes || routes->size() != count) die("the list is wrong");
    state.SetIterationTime(took.count());
  }
  throughKernel(false, family, count);
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()) * count);
}

BENCHMARK_CAPTURE(addRoutes, v4, Family::V4)
    ->Arg(10)
    ->Arg(1000)
    ->Arg(100000)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(addRoutes, v6, Family::V6)
    ->Arg(100000)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(removeRoutes, v4, Family::V4)
    ->Arg(10)
    ->Arg(1000)
    ->Arg(100000)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(removeRoutes, v6, Family::V6)
    ->Arg(100000)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(listRoutes, v4, Family::V4)
    ->Arg(100000)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(listRoutes, v6, Family::V6)
    ->Arg(100000)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  enterFreshNamespace();
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}

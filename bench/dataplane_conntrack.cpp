#include <arpa/inet.h>
#include <benchmark/benchmark.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sched.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "dataplane/conntrack_driver.h"
#include "dataplane/conntrack_message.h"
#include "dataplane/netlink_socket.h"

// What it costs to forget the flows of a pod that left, on a host with many flows of others; beside
// it what a list of all of them costs, of which the loop could take its own. Runs in a network
// namespace of its own.
namespace {

using namespace margay;
using namespace margay::dataplane;
using Seconds = std::chrono::duration<double>;

[[noreturn]] void die(const char* what) {
  std::fprintf(stderr, "dataplane_conntrack: %s\n", what);
  std::exit(1);
}

void putTuple(NetlinkBatch& batch, std::uint16_t type, std::uint32_t from, std::uint32_t to,
              std::uint16_t fromPort, std::uint16_t toPort) {
  const auto tuple = batch.beginNested(type);
  const auto ip = batch.beginNested(CTA_TUPLE_IP);
  batch.attribute(CTA_IP_V4_SRC, htonl(from));
  batch.attribute(CTA_IP_V4_DST, htonl(to));
  batch.endNested(ip);
  const auto proto = batch.beginNested(CTA_TUPLE_PROTO);
  batch.attribute(CTA_PROTO_NUM, std::uint8_t{IPPROTO_UDP});
  batch.attribute(CTA_PROTO_SRC_PORT, htons(fromPort));
  batch.attribute(CTA_PROTO_DST_PORT, htons(toPort));
  batch.endNested(proto);
  batch.endNested(tuple);
}

/// A UDP flow from `client` to 10.0.0.1 port 53.
void putFlow(NetlinkBatch& batch, std::uint32_t client) {
  constexpr std::uint32_t kServer = 0x0a000001;
  batch.begin((NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_NEW, NLM_F_CREATE);
  nfgenmsg header{};
  header.nfgen_family = AF_INET;
  header.version = NFNETLINK_V0;
  batch.header(header);
  putTuple(batch, CTA_TUPLE_ORIG, client, kServer, 1000, 53);
  putTuple(batch, CTA_TUPLE_REPLY, kServer, client, 53, 1000);
  batch.attribute(CTA_TIMEOUT, htonl(3600));
  batch.end();
}

void makeFlows(NetlinkSocket& socket, std::uint32_t count) {
  constexpr std::uint32_t kFirst = 0x0b000000;
  for (std::uint32_t i = 0; i < count;) {
    NetlinkBatch batch;
    for (; i < count && batch.messages() < socket.maxBatch(); ++i) putFlow(batch, kFirst + i);
    if (!socket.send(batch, [](const auto&) { die("the kernel refuses a flow"); }))
      die("cannot make flows");
  }
}

void forgetOneAddress(benchmark::State& state) {
  if (::unshare(CLONE_NEWNET) != 0) die("needs root to make a network namespace");
  auto socket = NetlinkSocket::open(NETLINK_NETFILTER);
  auto driver = makeConntrackDriver();
  if (!socket || !driver) die("cannot speak with connection tracking");
  makeFlows(*socket, static_cast<std::uint32_t>(state.range(0)));
  const Address gone = Address::v4(0x0c000001);
  double ours = 0;
  double all = 0;
  for (auto _ : state) {
    NetlinkBatch one;
    putFlow(one, 0x0c000001);
    if (!socket->send(one, [](const auto&) {})) die("cannot make a flow");
    const auto begin = std::chrono::steady_clock::now();
    const auto deleted = (*driver)->deleteFlows({&gone, 1});
    const auto middle = std::chrono::steady_clock::now();
    NetlinkBatch dump;
    putFlowDump(dump);
    std::size_t seen = 0;
    if (!socket->dump(dump, [&](const nlmsghdr&) { ++seen; })) die("cannot list flows");
    const auto end = std::chrono::steady_clock::now();
    if (!deleted || *deleted != 1) die("the flow was not deleted");
    ours += Seconds(middle - begin).count();
    all += Seconds(end - middle).count();
    state.SetIterationTime(Seconds(middle - begin).count());
  }
  const auto turns = static_cast<double>(state.iterations());
  state.counters["ours_ms"] = ours / turns * 1e3;
  state.counters["kernel_ms"] = all / turns * 1e3;
  state.counters["ratio"] = ours / all;
}
BENCHMARK(forgetOneAddress)->Arg(1000)->Arg(100000)->UseManualTime()->Unit(benchmark::kMillisecond);

}  // namespace

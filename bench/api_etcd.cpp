#include <benchmark/benchmark.h>
#include <poll.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "api/etcd/etcd_source.h"
#include "api/etcd/stored_object.h"
#include "bench/etcd_endpoint.h"
#include "bench/first_list.h"
#include "bench/own_memory.h"
#include "tests/api/etcd_server.h"

/// How long does the first list of a cluster's workload endpoints from a real etcd take, and how
/// much memory at its peak, beside fetching and parsing the same bytes only? And how long is it
/// from a write to its value in the mailbox?
namespace margay::api {
namespace {

using bench::etcdEndpoint;
using nlohmann::json;
using Clock = std::chrono::steady_clock;

std::unique_ptr<EtcdClient> connect(const std::string& url) {
  return std::make_unique<EtcdClient>(test::quickOptions({url}));
}

/// As the agent of node-0 makes it.
EtcdSourceOptions agentsSource() {
  EtcdSourceOptions out;
  out.node = "node-0";
  return out;
}

/// An etcd with `count` endpoints, filled once; empty where there is none.
std::string etcdWith(int count) {
  static std::map<int, std::unique_ptr<test::EtcdServer>> servers;
  auto& server = servers[count];
  if (server) return server->url();
  server = test::EtcdServer::alone();
  if (!server) return {};
  auto client = connect(server->url());
  std::vector<EtcdWrite> writes;
  for (int i = 0; i < count; ++i) {
    writes.push_back(etcdEndpoint(bench::endpointNumber(i)));
    if (writes.size() < 100 && i + 1 < count) continue;
    if (!client->write({}, writes)) return {};
    writes.clear();
  }
  return server->url();
}

void fetchAndParse(benchmark::State& state) {
  const auto url = etcdWith(static_cast<int>(state.range(0)));
  if (url.empty()) return state.SkipWithError("no etcd");
  const auto client = connect(url);
  double peak = 0;
  std::size_t bytes = 0;
  for (auto round : state) {
    static_cast<void>(round);
    const bench::OwnMemory memory;
    bytes = 0;
    const auto listed = client->list(std::string(kResourcePrefix),
                                     [&](EtcdKeyValue& kv) {
                                       bytes += kv.value.size();
                                       benchmark::DoNotOptimize(json::parse(kv.value));
                                     },
                                     {});
    if (!listed) return state.SkipWithError(listed.error().what.c_str());
    peak = memory.peak();
  }
  state.counters["peakMB"] = peak;
  state.counters["bytesMB"] = static_cast<double>(bytes) / (1 << 20);
}
BENCHMARK(fetchAndParse)->Arg(10'000)->Arg(100'000)->Unit(benchmark::kMillisecond)->UseRealTime();

void listIntoStore(benchmark::State& state) {
  const auto count = static_cast<std::size_t>(state.range(0));
  const auto url = etcdWith(static_cast<int>(count));
  if (url.empty()) return state.SkipWithError("no etcd");
  bench::listIntoStore(state, "etcd", count, [&](Mailbox& mailbox) {
    return std::make_unique<EtcdSource>(connect(url), mailbox, agentsSource());
  });
}
BENCHMARK(listIntoStore)->Arg(10'000)->Arg(100'000)->Unit(benchmark::kMillisecond)->UseRealTime();

void writeToMailbox(benchmark::State& state) {
  const auto url = etcdWith(static_cast<int>(state.range(0)));
  if (url.empty()) return state.SkipWithError("no etcd");
  const auto client = connect(url);
  Mailbox mailbox;
  EtcdSource source(connect(url), mailbox, agentsSource());
  source.start();
  const auto wait = [&](const auto& wanted) {
    for (;;) {
      auto batch = mailbox.take();
      if (wanted(batch)) return;
      pollfd entry{mailbox.fd(), POLLIN, 0};
      ::poll(&entry, 1, 10'000);
    }
  };
  wait([](const Mailbox::Batch& batch) {
    return batch.states.contains("etcd") && batch.states.at("etcd").synced;
  });
  std::vector<double> took;
  int version = 1;
  for (auto round : state) {
    static_cast<void>(round);
    auto changed = bench::endpointNumber(7);
    changed.address = "10." + std::to_string(++version % 100) + ".0.7";
    const auto write = etcdEndpoint(changed);
    const auto begin = Clock::now();
    if (!client->write({}, {write})) return state.SkipWithError("cannot write");
    wait([](const Mailbox::Batch& batch) { return !batch.updates.empty(); });
    took.push_back(std::chrono::duration<double, std::milli>(Clock::now() - begin).count());
  }
  std::sort(took.begin(), took.end());
  state.counters["p50ms"] = took[took.size() / 2];
  state.counters["p99ms"] = took[took.size() * 99 / 100];
}
BENCHMARK(writeToMailbox)
    ->Arg(10'000)
    ->Iterations(1000)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

}  // namespace
}  // namespace margay::api

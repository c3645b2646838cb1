#include <benchmark/benchmark.h>
#include <netinet/in.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bench/kernel_table.h"
#include "dataplane/iptables_driver.h"

/// How much of a change of a large legacy table is ours, and how much is what the kernel itself
/// takes to hand out the table and to take it back. In a network namespace of its own; needs root.
namespace margay::dataplane {
namespace {

constexpr TableId kTable{Family::V4, TableName::Filter};
constexpr std::size_t kRulesPerChain = 10;

/// Processor time of the thread: the kernel's work for us is in it, a busy machine is not.
double nowMs() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}
double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

/// A policy's chain, as the agent would write it: ports and marks, a verdict, a comment at its
/// head.
ChainRules policyChain(std::size_t number, std::size_t rules) {
  auto out = std::make_shared<std::vector<Rule>>();
  for (std::size_t i = 0; i < rules; ++i) {
    Rule rule;
    const auto net = "10." + std::to_string(number / 250) + '.' + std::to_string(number % 250) +
                     '.' + std::to_string(i);
    rule.matches = {ProtocolMatch{IPPROTO_TCP}, NetMatch{End::Source, *Prefix::parseNetwork(net)}};
    if (i % 2 == 0)
      rule.matches.push_back(
          PortsMatch{End::Destination, {{80, 80}, {static_cast<std::uint16_t>(1000 + i), 2000}}});
    rule.action = SetMark{0x10000, 0x10000};
    if (i == 0) rule.comment = "policy default.p" + std::to_string(number);
    out->push_back(std::move(rule));
  }
  return out;
}

ChainName chainName(std::size_t number) {
  return "mgy-pi-" + std::to_string(number);
}

std::optional<IptablesDriver> openInOwnNamespace(benchmark::State& state) {
  if (unshare(CLONE_NEWNET) != 0) {
    state.SkipWithError("no network namespace: run as root");
    return std::nullopt;
  }
  const auto lock = "/tmp/margay-bench-iptables." + std::to_string(getpid()) + ".lock";
  auto driver = IptablesDriver::open({.lockPath = lock});
  if (driver) return std::move(*driver);
  state.SkipWithError(driver.error().what.c_str());
  return std::nullopt;
}

bool commit(IptablesDriver& driver, const TableEdit& edit, benchmark::State& state) {
  const auto fingerprint = driver.fingerprint(kTable);
  const auto done = fingerprint ? driver.commit(kTable, edit, *fingerprint) : fingerprint;
  if (!done) state.SkipWithError(done.error().what.c_str());
  return done.has_value();
}

TableEdit allChains(std::size_t rules) {
  TableEdit edit;
  for (std::size_t i = 0; i * kRulesPerChain < rules; ++i)
    edit.set[chainName(i)] = policyChain(i, kRulesPerChain);
  return edit;
}

bool fill(IptablesDriver& driver, std::size_t rules, benchmark::State& state) {
  return commit(driver, allChains(rules), state);
}

/// Runs `edit(iteration)` through the driver in turn with the kernel's own loop over the same
/// table.
template <class Edit>
void compare(benchmark::State& state, IptablesDriver& driver, Edit edit) {
  bench::KernelTable kernel;
  std::vector<double> ours;
  std::vector<double> bare;
  std::size_t iteration = 0;
  for (auto _ : state) {
    const auto change = edit(iteration++);
    const auto start = nowMs();
    if (!commit(driver, change, state)) return;
    const auto between = nowMs();
    if (!kernel.run()) return state.SkipWithError("the kernel refused its own table");
    const auto end = nowMs();
    ours.push_back(between - start);
    bare.push_back(end - between);
    state.SetIterationTime(ours.back() / 1000);
  }
  state.counters["ours_ms"] = median(ours);
  state.counters["kernel_ms"] = median(bare);
  state.counters["ratio"] = median(ours) / median(bare);
}

void oneRuleMore(benchmark::State& state) {
  auto driver = openInOwnNamespace(state);
  if (!driver || !fill(*driver, static_cast<std::size_t>(state.range(0)), state)) return;
  compare(state, *driver, [](std::size_t i) {
    TableEdit edit;
    edit.set[chainName(7)] = policyChain(7, kRulesPerChain + (i + 1) % 2);
    return edit;
  });
}
BENCHMARK(oneRuleMore)
    ->Arg(1000)
    ->Arg(11000)
    ->Arg(50000)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond)
    ->MinTime(2);

/// Three chains come, and go with the next iteration.
void aNewGroup(benchmark::State& state) {
  auto driver = openInOwnNamespace(state);
  if (!driver || !fill(*driver, static_cast<std::size_t>(state.range(0)), state)) return;
  compare(state, *driver, [](std::size_t i) {
    TableEdit edit;
    for (const auto number : {900001, 900002, 900003}) {
      const auto n = static_cast<std::size_t>(number);
      if (i % 2 == 0) edit.set[chainName(n)] = policyChain(n % 1000, kRulesPerChain);
      if (i % 2 == 1) edit.remove.push_back(chainName(n));
    }
    return edit;
  });
}
BENCHMARK(aNewGroup)->Arg(10000)->UseManualTime()->Unit(benchmark::kMillisecond)->MinTime(2);

/// All chains in one commit, into an empty table; the kernel's loop is over the full one.
void fullProgramming(benchmark::State& state) {
  const auto rules = static_cast<std::size_t>(state.range(0));
  auto driver = openInOwnNamespace(state);
  if (!driver) return;
  bench::KernelTable kernel;
  std::vector<double> ours;
  std::vector<double> bare;
  const auto full = allChains(rules);
  TableEdit empty;
  for (const auto& entry : full.set) empty.remove.push_back(entry.first);
  for (auto _ : state) {
    const auto start = nowMs();
    if (!commit(*driver, full, state)) return;
    const auto between = nowMs();
    if (!kernel.run()) return state.SkipWithError("the kernel refused its own table");
    ours.push_back(between - start);
    bare.push_back(nowMs() - between);
    state.SetIterationTime(ours.back() / 1000);
    if (!commit(*driver, empty, state)) return;
  }
  state.counters["ours_ms"] = median(ours);
  state.counters["kernel_ms"] = median(bare);
  state.counters["ratio"] = median(ours) / median(bare);
}
BENCHMARK(fullProgramming)->Arg(10000)->UseManualTime()->Unit(benchmark::kMillisecond)->MinTime(2);

/// Reading the table back as digests, and the fingerprint that says whether that is needed.
void readDigests(benchmark::State& state) {
  auto driver = openInOwnNamespace(state);
  if (!driver || !fill(*driver, static_cast<std::size_t>(state.range(0)), state)) return;
  for (auto _ : state) benchmark::DoNotOptimize(driver->read(kTable));
}
BENCHMARK(readDigests)->Arg(11000)->Unit(benchmark::kMillisecond);

void fingerprint(benchmark::State& state) {
  auto driver = openInOwnNamespace(state);
  if (!driver || !fill(*driver, static_cast<std::size_t>(state.range(0)), state)) return;
  for (auto _ : state) benchmark::DoNotOptimize(driver->fingerprint(kTable));
}
BENCHMARK(fingerprint)->Arg(11000)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace margay::dataplane

#include <benchmark/benchmark.h>
#include <sched.h>
#include <unistd.h>

#include <optional>
#include <string>

#include "bench/kernel_table.h"
#include "bench/rule_changes.h"
#include "dataplane/iptables_driver.h"

/// How much of a change of a large legacy table is ours, and how much is what the kernel itself
/// takes to hand out the table and to take it back. In a network namespace of its own; needs root.
namespace margay::dataplane {
namespace {

using bench::commitTo;
using bench::Comparison;
using bench::kFilter4;
using bench::kRulesPerPolicy;
using bench::policyChain;
using bench::policyChainName;
using bench::threadMs;

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

TableEdit allChains(std::size_t rules) {
  return bench::policyChains(0, rules / kRulesPerPolicy);
}

bool fill(IptablesDriver& driver, std::size_t rules, benchmark::State& state) {
  return commitTo(driver, allChains(rules), state);
}

/// Runs `edit(iteration)` through the driver in turn with the kernel's own loop over the same
/// table.
template <class Edit>
void compare(benchmark::State& state, IptablesDriver& driver, Edit edit) {
  bench::KernelTable kernel;
  Comparison both;
  std::size_t iteration = 0;
  for (auto _ : state) {
    const auto change = edit(iteration++);
    const auto start = threadMs();
    if (!commitTo(driver, change, state)) return;
    const auto between = threadMs();
    if (!kernel.run()) return state.SkipWithError("the kernel refused its own table");
    both.kernel(threadMs() - between);
    both.ours(between - start, state);
  }
  both.report(state);
}

void oneRuleMore(benchmark::State& state) {
  auto driver = openInOwnNamespace(state);
  if (!driver || !fill(*driver, static_cast<std::size_t>(state.range(0)), state)) return;
  compare(state, *driver, [](std::size_t i) {
    TableEdit edit;
    edit.set[policyChainName(7)] = policyChain(7, kRulesPerPolicy + (i + 1) % 2);
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
      if (i % 2 == 0) edit.set[policyChainName(n)] = policyChain(n % 1000, kRulesPerPolicy);
      if (i % 2 == 1) edit.remove.push_back(policyChainName(n));
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
  Comparison both;
  const auto full = allChains(rules);
  TableEdit empty;
  for (const auto& entry : full.set) empty.remove.push_back(entry.first);
  for (auto _ : state) {
    const auto start = threadMs();
    if (!commitTo(*driver, full, state)) return;
    const auto between = threadMs();
    if (!kernel.run()) return state.SkipWithError("the kernel refused its own table");
    both.kernel(threadMs() - between);
    both.ours(between - start, state);
    if (!commitTo(*driver, empty, state)) return;
  }
  both.report(state);
}
BENCHMARK(fullProgramming)->Arg(10000)->UseManualTime()->Unit(benchmark::kMillisecond)->MinTime(2);

/// Reading the table back as digests, and the fingerprint that says whether that is needed.
void readDigests(benchmark::State& state) {
  auto driver = openInOwnNamespace(state);
  if (!driver || !fill(*driver, static_cast<std::size_t>(state.range(0)), state)) return;
  for (auto _ : state) benchmark::DoNotOptimize(driver->read(kFilter4));
}
BENCHMARK(readDigests)->Arg(11000)->Unit(benchmark::kMillisecond);

void fingerprint(benchmark::State& state) {
  auto driver = openInOwnNamespace(state);
  if (!driver || !fill(*driver, static_cast<std::size_t>(state.range(0)), state)) return;
  for (auto _ : state) benchmark::DoNotOptimize(driver->fingerprint(kFilter4));
}
BENCHMARK(fingerprint)->Arg(11000)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace margay::dataplane

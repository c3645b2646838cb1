#pragma once

#include <benchmark/benchmark.h>
#include <netinet/in.h>

#include <algorithm>
#include <ctime>
#include <memory>
#include <string>
#include <vector>

#include "dataplane/drivers.h"

/// What the benchmarks of both rule backends share: one clock, the same policies, one report.
namespace margay::bench {

inline constexpr dataplane::TableId kFilter4{Family::V4, dataplane::TableName::Filter};
inline constexpr std::size_t kRulesPerPolicy = 10;

/// Processor time of the thread: the kernel's work for us is in it, a busy machine is not.
inline double threadMs() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}
/// 0 if there are none.
inline double percentile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(share * static_cast<double>(values.size() - 1))];
}

/// Which ports every other rule of a policy names.
enum class Ports { PortAndRange, List };

/// A policy's chain, as the agent would write it: ports and marks, a verdict, a comment at its
/// head.
inline dataplane::ChainRules policyChain(std::size_t number, std::size_t rules,
                                         Ports ports = Ports::PortAndRange) {
  using namespace dataplane;
  auto out = std::make_shared<std::vector<Rule>>();
  for (std::size_t i = 0; i < rules; ++i) {
    Rule rule;
    const auto net = "10." + std::to_string(number / 250) + '.' + std::to_string(number % 250) +
                     '.' + std::to_string(i);
    rule.matches = {ProtocolMatch{IPPROTO_TCP}, NetMatch{End::Source, *Prefix::parseNetwork(net)}};
    const auto first = static_cast<std::uint16_t>(1000 + i);
    const PortRange last = ports == Ports::List ? PortRange{first, first} : PortRange{first, 2000};
    if (i % 2 == 0) rule.matches.push_back(PortsMatch{End::Destination, {{80, 80}, last}});
    rule.action = SetMark{0x10000, 0x10000};
    if (i == 0) rule.comment = "policy default.p" + std::to_string(number);
    out->push_back(std::move(rule));
  }
  return out;
}
inline dataplane::ChainName policyChainName(std::size_t number) {
  return "mgy-pi-" + std::to_string(number);
}
inline dataplane::TableEdit policyChains(std::size_t first, std::size_t count,
                                         Ports ports = Ports::PortAndRange) {
  dataplane::TableEdit edit;
  for (std::size_t i = first; i < first + count; ++i)
    edit.set[policyChainName(i)] = policyChain(i, kRulesPerPolicy, ports);
  return edit;
}

/// What the driver refuses ends the benchmark.
inline bool commitTo(dataplane::RuleDriver& driver, const dataplane::TableEdit& edit,
                     benchmark::State& state) {
  const auto fingerprint = driver.fingerprint(kFilter4);
  const auto done = fingerprint ? driver.commit(kFilter4, edit, *fingerprint) : fingerprint;
  if (!done) state.SkipWithError(done.error().what.c_str());
  return done.has_value();
}

/// Ours in turn with the kernel's own, in milliseconds.
class Comparison {
 public:
  void ours(double ms, benchmark::State& state) {
    ours_.push_back(ms);
    state.SetIterationTime(ms / 1000);
  }
  void kernel(double ms) { kernel_.push_back(ms); }
  void report(benchmark::State& state) const {
    const double own = percentile(ours_, 0.5);
    const double bare = percentile(kernel_, 0.5);
    if (bare == 0) return state.SkipWithError("the kernel refused its own part");
    state.counters["ours_ms"] = own;
    state.counters["p99_ms"] = percentile(ours_, 0.99);
    state.counters["kernel_ms"] = bare;
    state.counters["ratio"] = own / bare;
  }

 private:
  std::vector<double> ours_;
  std::vector<double> kernel_;
};

}  // namespace margay::bench

#include <benchmark/benchmark.h>
#include <netinet/in.h>
#include <sched.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "bench/nft_messages.h"
#include "bench/rule_changes.h"
#include "dataplane/nft_driver.h"

/// How much of a change of nf_tables is ours, and how much is what the kernel itself takes for the
/// same messages, ready made, in one send. Each in a network namespace of its own; needs root.
namespace margay::dataplane {
namespace {

using bench::Comparison;
using bench::kRulesPerPolicy;
using bench::policyChainName;
using bench::policyChains;
using bench::threadMs;
using Changes = std::vector<Change<SetMember>>;

/// The look-up from a base chain, so that the kernel has all chains to check.
TableEdit dispatch(std::size_t groups) {
  TableEdit edit = policyChains(0, groups);
  LookUpChain look{"mgy4-to", End::Destination, {}};
  for (std::size_t i = 0; i < groups; ++i)
    look.chains.emplace(static_cast<std::uint32_t>(i + 1), policyChainName(i));
  edit.set["mgy-to-dispatch"] =
      std::make_shared<const std::vector<Rule>>(std::vector<Rule>{{{}, std::move(look), ""}});
  edit.hooks[{BaseChain::Forward, Position::First}] = {{{}, Jump{"mgy-to-dispatch"}, "margay: "}};
  return edit;
}

Changes members(SetType type, std::size_t count) {
  Changes out(count);
  for (std::size_t i = 0; i < count; ++i) {
    SetMember& member = out[i].value;
    member.net = Prefix::host(Address::v4(0x0a000000U + static_cast<std::uint32_t>(i) * 2));
    if (type == SetType::HashIpPort) {
      member.protocol = IPPROTO_TCP;
      member.port = 80;
    }
  }
  return out;
}
SetMember pod(std::size_t number, std::size_t group) {
  SetMember out;
  out.net = Prefix::host(Address::v4(0x0aff0000U + static_cast<std::uint32_t>(number)));
  out.device = "cali" + std::to_string(number);
  out.target = numberText(static_cast<std::uint32_t>(group + 1));
  return out;
}

std::unique_ptr<NftDriver> openDriver(benchmark::State& state) {
  if (unshare(CLONE_NEWNET) != 0) {
    state.SkipWithError("no network namespace: run as root");
    return nullptr;
  }
  auto driver = NftDriver::open();
  if (driver) return std::move(*driver);
  state.SkipWithError(driver.error().what.c_str());
  return nullptr;
}

bool flush(NftDriver& driver, benchmark::State& state) {
  const auto refused = driver.flush();
  if (!refused.empty()) state.SkipWithError(refused.front().error.what.c_str());
  return refused.empty();
}
bool commit(NftDriver& driver, const TableEdit& edit, benchmark::State& state) {
  return bench::commitTo(driver.rules(), edit, state) && flush(driver, state);
}
bool makeMap(NftDriver& driver, std::size_t groups, benchmark::State& state) {
  const auto made = driver.sets().create({"mgy4-to", SetType::NumberMap, Family::V4});
  if (!made) state.SkipWithError(made.error().what.c_str());
  return made.has_value() && commit(driver, dispatch(groups), state);
}

void allRules(benchmark::State& state, bench::Ports ports) {
  const auto count = static_cast<std::size_t>(state.range(0)) / kRulesPerPolicy;
  const auto edit = policyChains(0, count, ports);
  Comparison both;
  for (auto _ : state) {
    auto driver = openDriver(state);
    if (!driver) return;
    const auto start = threadMs();
    if (!commit(*driver, edit, state)) return;
    both.ours(threadMs() - start, state);
    auto fresh = openDriver(state);
    auto socket = NfnetlinkSocket::open();
    NftBatch batch;
    batch.table(Family::V4);
    bench::putChains(batch, edit);
    both.kernel(bench::kernelMs(batch, *socket));
  }
  both.report(state);
}

void onePolicyMore(benchmark::State& state) {
  auto driver = openDriver(state);
  const auto count = static_cast<std::size_t>(state.range(0)) / kRulesPerPolicy;
  if (!driver || !makeMap(*driver, count, state)) return;
  auto socket = NfnetlinkSocket::open();
  Comparison both;
  std::size_t next = count;
  for (auto _ : state) {
    const auto mine = policyChains(next++, 1);
    const auto start = threadMs();
    if (!commit(*driver, mine, state)) return;
    both.ours(threadMs() - start, state);
    NftBatch batch;
    bench::putChains(batch, policyChains(next++, 1));
    both.kernel(bench::kernelMs(batch, *socket));
  }
  both.report(state);
}

/// 110 pods or more are there, in groups that have all the rules; one more comes.
void podJoins(benchmark::State& state) {
  auto driver = openDriver(state);
  const auto groups = static_cast<std::size_t>(state.range(0)) / kRulesPerPolicy;
  if (!driver || !makeMap(*driver, groups, state)) return;
  const SetSpec spec{"mgy4-to", SetType::NumberMap, Family::V4};
  Changes all;
  for (std::size_t i = 0; i < std::max<std::size_t>(110, groups); ++i)
    all.push_back({Op::Add, pod(i, i % groups)});
  driver->sets().apply(spec.name, all);
  if (!flush(*driver, state)) return;
  auto socket = NfnetlinkSocket::open();
  Comparison both;
  std::size_t next = all.size();
  for (auto _ : state) {
    const Changes mine{{Op::Add, pod(next, next % groups)}};
    ++next;
    const auto start = threadMs();
    driver->sets().apply(spec.name, mine);
    if (!flush(*driver, state)) return;
    both.ours(threadMs() - start, state);
    NftBatch batch;
    bench::putMembers(batch, spec, Changes{{Op::Add, pod(next, next % groups)}});
    ++next;
    both.kernel(bench::kernelMs(batch, *socket));
  }
  both.report(state);
}

void addElements(benchmark::State& state, SetType type) {
  const auto all = members(type, static_cast<std::size_t>(state.range(0)));
  const SetSpec spec{"mgy4-set", type, Family::V4};
  Comparison both;
  for (auto _ : state) {
    auto driver = openDriver(state);
    if (!driver || !driver->sets().create(spec)) return;
    const auto start = threadMs();
    driver->sets().apply(spec.name, all);
    if (!flush(*driver, state)) return;
    both.ours(threadMs() - start, state);
    auto fresh = openDriver(state);
    auto socket = NfnetlinkSocket::open();
    NftBatch batch;
    batch.table(Family::V4);
    batch.set(batch.add({Family::V4, spec.name, spec.name, TableName::Filter, 0}), spec);
    bench::putMembers(batch, spec, all);
    both.kernel(bench::kernelMs(batch, *socket));
  }
  both.report(state);
}

BENCHMARK_CAPTURE(allRules, port_and_range, bench::Ports::PortAndRange)
    ->Arg(10000)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(allRules, sets_of_ports, bench::Ports::List)
    ->Arg(10000)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK(onePolicyMore)->Arg(10000)->UseManualTime()->Unit(benchmark::kMillisecond);
BENCHMARK(podJoins)->Arg(1000)->Arg(10000)->UseManualTime()->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(addElements, intervals, SetType::HashNet)
    ->Arg(500000)
    ->Iterations(3)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(addElements, addresses, SetType::HashAddress)
    ->Arg(500000)
    ->Iterations(3)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(addElements, ip_port, SetType::HashIpPort)
    ->Arg(500000)
    ->Iterations(3)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace margay::dataplane

#include <benchmark/benchmark.h>
#include <netinet/in.h>
#include <sched.h>

#include <algorithm>
#include <ctime>
#include <memory>
#include <string>
#include <vector>

#include "dataplane/nft_driver.h"
#include "dataplane/nft_elements.h"

/// How much of a change of nf_tables is ours, and how much is what the kernel itself takes for the
/// same messages, ready made, in one send. Each in a network namespace of its own; needs root.
namespace margay::dataplane {
namespace {

constexpr TableId kTable{Family::V4, TableName::Filter};
constexpr std::size_t kRulesPerChain = 10;
using Changes = std::vector<Change<SetMember>>;

/// Processor time of the thread: the kernel's work for us is in it, a busy machine is not.
double nowMs() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}
double percentile(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(share * static_cast<double>(values.size() - 1))];
}

std::vector<Rule> policy(std::size_t number, std::size_t rules) {
  std::vector<Rule> out;
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
    out.push_back(std::move(rule));
  }
  return out;
}
ChainName chainName(std::size_t number) {
  return "mgy-gi-" + std::to_string(number);
}
TableEdit chains(std::size_t first, std::size_t count) {
  TableEdit edit;
  for (std::size_t i = first; i < first + count; ++i)
    edit.set[chainName(i)] = std::make_shared<const std::vector<Rule>>(policy(i, kRulesPerChain));
  return edit;
}
/// The look-up from a base chain, so that the kernel has all chains to check.
TableEdit dispatch(std::size_t groups) {
  TableEdit edit = chains(0, groups);
  LookUpChain look{"mgy4-to", End::Destination, {}};
  for (std::size_t i = 0; i < groups; ++i)
    look.chains.emplace(static_cast<std::uint32_t>(i + 1), chainName(i));
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
  const auto fingerprint = driver.rules().fingerprint(kTable);
  const auto done = fingerprint ? driver.rules().commit(kTable, edit, *fingerprint) : fingerprint;
  if (!done) state.SkipWithError(done.error().what.c_str());
  return done.has_value() && flush(driver, state);
}
bool makeMap(NftDriver& driver, std::size_t groups, benchmark::State& state) {
  const auto made = driver.sets().create({"mgy4-to", SetType::NumberMap, Family::V4});
  if (!made) state.SkipWithError(made.error().what.c_str());
  return made.has_value() && commit(driver, dispatch(groups), state);
}

/// Milliseconds of the kernel for a transaction that is ready made; 0 if it refused it.
double kernelMs(NftBatch& batch, NfnetlinkSocket& socket) {
  batch.seal();
  const auto first = socket.sequences(batch.messages());
  const auto datagram = batch.datagram(first, {});
  if (!socket.reserve(datagram.size())) return 0;
  const auto start = nowMs();
  const auto sent = socket.send(datagram);
  const auto took = nowMs() - start;
  bool refused = !sent;
  const auto drained = socket.drain([&](const nlmsghdr& answer) {
    refused = refused || errorOf(answer) > 0;
    return NfnetlinkSocket::More::Wanted;
  });
  batch.clear();
  return refused || !drained ? 0 : took;
}
void addChains(NftBatch& batch, const TableEdit& edit) {
  for (const auto& [name, rules] : edit.set) {
    const auto unit = batch.add({Family::V4, name, {}, TableName::Filter, 0});
    batch.chain(unit, TableName::Filter, name);
    batch.flushChain(unit, name);
    for (const Rule& rule : *rules)
      batch.rule(unit, name, *nftExpressions(rule, Family::V4), rule.comment, 1);
  }
}
void addMembers(NftBatch& batch, const SetSpec& spec, std::span<const Change<SetMember>> changes) {
  while (!changes.empty()) {
    const auto unit = batch.add({Family::V4, spec.name, spec.name, TableName::Filter, 0});
    changes = changes.subspan(batch.elements(unit, spec, Op::Add, changes));
  }
}

void report(benchmark::State& state, const std::vector<double>& ours,
            const std::vector<double>& kernel) {
  if (ours.empty() || kernel.empty() || percentile(kernel, 0.5) == 0)
    return state.SkipWithError("the kernel refused");
  state.counters["ours_ms"] = percentile(ours, 0.5);
  state.counters["ours_p99_ms"] = percentile(ours, 0.99);
  state.counters["kernel_ms"] = percentile(kernel, 0.5);
  state.counters["kernel_over_ours"] = percentile(kernel, 0.5) / percentile(ours, 0.5);
}

void allRules(benchmark::State& state) {
  const auto count = static_cast<std::size_t>(state.range(0)) / kRulesPerChain;
  const auto edit = chains(0, count);
  std::vector<double> ours;
  std::vector<double> kernel;
  for (auto _ : state) {
    auto driver = openDriver(state);
    if (!driver) return;
    const auto start = nowMs();
    if (!commit(*driver, edit, state)) return;
    ours.push_back(nowMs() - start);
    state.SetIterationTime(ours.back() / 1000);
    auto fresh = openDriver(state);
    auto socket = NfnetlinkSocket::open();
    NftBatch batch;
    batch.table(Family::V4);
    addChains(batch, edit);
    kernel.push_back(kernelMs(batch, *socket));
  }
  report(state, ours, kernel);
}

void onePolicyMore(benchmark::State& state) {
  auto driver = openDriver(state);
  const auto count = static_cast<std::size_t>(state.range(0)) / kRulesPerChain;
  if (!driver || !makeMap(*driver, count, state)) return;
  auto socket = NfnetlinkSocket::open();
  std::vector<double> ours;
  std::vector<double> kernel;
  std::size_t next = count;
  for (auto _ : state) {
    const auto mine = chains(next++, 1);
    const auto start = nowMs();
    if (!commit(*driver, mine, state)) return;
    ours.push_back(nowMs() - start);
    state.SetIterationTime(ours.back() / 1000);
    NftBatch batch;
    addChains(batch, chains(next++, 1));
    kernel.push_back(kernelMs(batch, *socket));
  }
  report(state, ours, kernel);
}

/// 110 pods are there, in groups that have all the rules; one more comes.
void podJoins(benchmark::State& state) {
  auto driver = openDriver(state);
  const auto groups = static_cast<std::size_t>(state.range(0)) / kRulesPerChain;
  if (!driver || !makeMap(*driver, groups, state)) return;
  const SetSpec spec{"mgy4-to", SetType::NumberMap, Family::V4};
  Changes all;
  for (std::size_t i = 0; i < std::max<std::size_t>(110, groups); ++i)
    all.push_back({Op::Add, pod(i, i % groups)});
  driver->sets().apply(spec.name, all);
  if (!flush(*driver, state)) return;
  auto socket = NfnetlinkSocket::open();
  std::vector<double> ours;
  std::vector<double> kernel;
  std::size_t next = all.size();
  for (auto _ : state) {
    const Changes mine{{Op::Add, pod(next, next % groups)}};
    ++next;
    const auto start = nowMs();
    driver->sets().apply(spec.name, mine);
    if (!flush(*driver, state)) return;
    ours.push_back(nowMs() - start);
    state.SetIterationTime(ours.back() / 1000);
    NftBatch batch;
    addMembers(batch, spec, Changes{{Op::Add, pod(next, next % groups)}});
    ++next;
    kernel.push_back(kernelMs(batch, *socket));
  }
  report(state, ours, kernel);
}

void addElements(benchmark::State& state, SetType type) {
  const auto all = members(type, static_cast<std::size_t>(state.range(0)));
  const SetSpec spec{"mgy4-set", type, Family::V4};
  std::vector<double> ours;
  std::vector<double> kernel;
  for (auto _ : state) {
    auto driver = openDriver(state);
    if (!driver || !driver->sets().create(spec)) return;
    const auto start = nowMs();
    driver->sets().apply(spec.name, all);
    if (!flush(*driver, state)) return;
    ours.push_back(nowMs() - start);
    state.SetIterationTime(ours.back() / 1000);
    auto fresh = openDriver(state);
    auto socket = NfnetlinkSocket::open();
    NftBatch batch;
    batch.table(Family::V4);
    batch.set(batch.add({Family::V4, spec.name, spec.name, TableName::Filter, 0}), spec);
    addMembers(batch, spec, all);
    kernel.push_back(kernelMs(batch, *socket));
  }
  report(state, ours, kernel);
}

BENCHMARK(allRules)->Arg(10000)->UseManualTime()->Unit(benchmark::kMillisecond);
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

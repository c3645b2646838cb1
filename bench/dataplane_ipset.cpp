// How much of the kernel's own rate of writing set members does KernelIpsetDriver reach? Both sides
// write the same members to the same set in turns: the driver from values, the kernel's side from
// messages laid out before the clock starts, with one acknowledgement at the end. Needs root; makes
// its own network namespace.

#include <benchmark/benchmark.h>
#include <linux/netfilter/ipset/ip_set.h>
#include <linux/netlink.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "dataplane/ipset_driver.h"

namespace {

using namespace margay;
using namespace margay::dataplane;
using Seconds = std::chrono::duration<double>;

const SetName kSet = "mgy-bench";

std::vector<Change<SetMember>> additions(SetType type, Family family, std::size_t count) {
  std::vector<Change<SetMember>> out(count);
  for (std::size_t i = 0; i < count; ++i) {
    auto& member = out[i].value;
    const auto low = static_cast<std::uint32_t>(i);
    if (family == Family::V4) {
      member.net = Prefix::host(Address::v4(0x0a000000 + low));
    } else {
      std::uint8_t bytes[16] = {0xfd};
      for (int at = 0; at < 4; ++at)
        bytes[12 + at] = static_cast<std::uint8_t>(low >> (24 - 8 * at));
      member.net = Prefix::host(Address::fromBytes(bytes));
    }
    if (type == SetType::HashIpPort) {
      member.protocol = 6;
      member.port = 8080;
    }
    if (type == SetType::HashNetIface) member.device = "cali" + std::to_string(i % 110);
  }
  return out;
}

/// The shortest way to the kernel: a socket, and messages that are ready.
class RawWriter {
 public:
  RawWriter(const std::vector<Change<SetMember>>& changes, std::size_t listBytes)
      : socket_(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER)) {
    const int size = 4 << 20;
    setsockopt(socket_, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
    for (std::size_t at = 0; at < changes.size();) {
      IpsetMessages list(listBytes + 512);
      list.begin(IPSET_CMD_ADD, 0, 1);
      list.putString(IPSET_ATTR_SETNAME, kSet);
      list.beginElements();
      while (at < changes.size() && list.elementBytes() < listBytes)
        list.putElement(changes[at++].value, 0);
      list.endElements();
      list.end(at == changes.size() ? NLM_F_ACK : 0);
      lists_.push_back(std::move(list));
    }
  }
  ~RawWriter() { close(socket_); }

  bool write() {
    for (const auto& list : lists_) {
      if (::send(socket_, list.view().data(), list.size(), 0) < 0) return false;
    }
    return acknowledged();
  }

  bool flush() {
    IpsetMessages message(256);
    message.begin(IPSET_CMD_FLUSH, NLM_F_ACK, 2);
    message.putString(IPSET_ATTR_SETNAME, kSet);
    message.end();
    return ::send(socket_, message.view().data(), message.size(), 0) >= 0 && acknowledged();
  }

 private:
  bool acknowledged() {
    std::vector<std::byte> answer(256 * 1024);
    const auto got = recv(socket_, answer.data(), answer.size(), 0);
    return got > 0 && errorOf(*reinterpret_cast<const nlmsghdr*>(answer.data())) == 0;
  }

  int socket_;
  std::vector<IpsetMessages> lists_;
};

template <class Work>
double secondsOf(Work&& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return Seconds(std::chrono::steady_clock::now() - start).count();
}

std::unique_ptr<KernelIpsetDriver> driverWithSet(benchmark::State& state, SetType type,
                                                 Family family) {
  if (unshare(CLONE_NEWNET) != 0) {
    state.SkipWithError("needs root: a network namespace could not be made");
    return nullptr;
  }
  auto opened = KernelIpsetDriver::open();
  if (!opened) {
    state.SkipWithError(opened.error().what.c_str());
    return nullptr;
  }
  const auto made = (*opened)->create({kSet, type, family, 1 << 20});
  if (!made) {
    state.SkipWithError(made.error().what.c_str());
    return nullptr;
  }
  return std::move(*opened);
}

void addMembers(benchmark::State& state, SetType type, Family family) {
  const auto driver = driverWithSet(state, type, family);
  if (!driver) return;
  const auto count = static_cast<std::size_t>(state.range(0));
  const auto changes = additions(type, family, count);
  RawWriter raw(changes, 60 * 1024);
  // Once before the clock: the hash table grows to its size and keeps it over a flush.
  for (const auto& result : driver->apply(kSet, changes)) {
    if (!result) return state.SkipWithError(result.error().what.c_str());
  }
  double ours = 0;
  double kernel = 0;
  for (auto _ : state) {
    bool fine = raw.flush();
    ours += secondsOf([&] {
      const auto results = driver->apply(kSet, changes);
      fine &= results.back().has_value();
    });
    fine &= raw.flush();
    kernel += secondsOf([&] { fine &= raw.write(); });
    if (!fine) return state.SkipWithError("a write failed");
  }
  const double members = static_cast<double>(count) * static_cast<double>(state.iterations());
  state.counters["ours_per_s"] = members / ours;
  state.counters["kernel_per_s"] = members / kernel;
  state.counters["ratio"] = kernel / ours;
}

/// The kernel's rate for several sizes of a list of elements.
void rawListBytes(benchmark::State& state) {
  const auto driver = driverWithSet(state, SetType::HashNet, Family::V4);
  if (!driver) return;
  const auto changes = additions(SetType::HashNet, Family::V4, 500000);
  RawWriter raw(changes, static_cast<std::size_t>(state.range(0)));
  if (!raw.write()) return state.SkipWithError("a write failed");
  double kernel = 0;
  for (auto _ : state) {
    raw.flush();
    kernel += secondsOf([&] { raw.write(); });
  }
  state.counters["kernel_per_s"] = 500000.0 * static_cast<double>(state.iterations()) / kernel;
}

void listHeaders(benchmark::State& state) {
  const auto driver = driverWithSet(state, SetType::HashNet, Family::V4);
  if (!driver) return;
  const auto changes =
      additions(SetType::HashNet, Family::V4, static_cast<std::size_t>(state.range(1)));
  driver->apply(kSet, changes);
  for (std::int64_t i = 1; i < state.range(0); ++i) {
    const auto made =
        driver->create({kSet + std::to_string(i), SetType::HashNet, Family::V4, 1 << 20});
    if (!made) return state.SkipWithError(made.error().what.c_str());
  }
  for (auto _ : state) benchmark::DoNotOptimize(driver->list());
}

void readMembers(benchmark::State& state) {
  const auto driver = driverWithSet(state, SetType::HashNet, Family::V4);
  if (!driver) return;
  driver->apply(kSet,
                additions(SetType::HashNet, Family::V4, static_cast<std::size_t>(state.range(0))));
  for (auto _ : state) benchmark::DoNotOptimize(driver->members(kSet));
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

/// One member more in a set that has many: what a pod that joins a group costs.
void addOne(benchmark::State& state) {
  const auto driver = driverWithSet(state, SetType::HashNetIface, Family::V4);
  if (!driver) return;
  driver->apply(kSet, additions(SetType::HashNetIface, Family::V4, 110));
  std::vector<Change<SetMember>> one(1);
  one[0].value.net = Prefix::host(Address::v4(0xc0000201));
  one[0].value.device = "cali12345678901";
  for (auto _ : state) {
    one[0].op = one[0].op == Op::Add ? Op::Remove : Op::Add;
    benchmark::DoNotOptimize(driver->apply(kSet, one));
  }
}

BENCHMARK_CAPTURE(addMembers, hash_net, SetType::HashNet, Family::V4)
    ->Arg(1000)
    ->Arg(100000)
    ->Arg(500000);
BENCHMARK_CAPTURE(addMembers, hash_net_ipv6, SetType::HashNet, Family::V6)->Arg(500000);
BENCHMARK_CAPTURE(addMembers, hash_ip_port, SetType::HashIpPort, Family::V4)->Arg(500000);
BENCHMARK_CAPTURE(addMembers, hash_net_iface, SetType::HashNetIface, Family::V4)->Arg(500000);
BENCHMARK(rawListBytes)->Arg(256)->Arg(4096)->Arg(16384)->Arg(32768)->Arg(61440);
BENCHMARK(listHeaders)
    ->ArgNames({"sets", "members"})
    ->Args({1, 0})
    ->Args({200, 0})
    ->Args({1, 100000});
BENCHMARK(readMembers)->Arg(100000)->Unit(benchmark::kMillisecond);
BENCHMARK(addOne);

}  // namespace

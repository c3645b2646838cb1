#include "dataplane/route_driver.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <cerrno>
#include <set>
#include <utility>

#include "dataplane/netlink_interfaces.h"
#include "dataplane/netlink_socket.h"
#include "dataplane/route_message.h"

namespace margay::dataplane {
namespace {

constexpr std::size_t kNoChange = SIZE_MAX;
constexpr unsigned kMaxExtras = 8;
constexpr std::size_t kMessagesOfOneChange = kMaxExtras + 1;

std::string describe(std::string_view verb, const RouteKey& key) {
  std::string text(verb);
  text.append(" route ").append(key.destination.str());
  text.append(" table ").append(std::to_string(key.table));
  if (key.metric != 0) text.append(" metric ").append(std::to_string(key.metric));
  return text;
}

std::string_view verbOf(Op op) {
  switch (op) {
    case Op::Add:
      return "add";
    case Op::Replace:
      return "replace";
    case Op::Remove:
      return "remove";
  }
  return "change";
}

/// IPv4 without a metric.
bool isBare(const RouteKey& key) {
  return key.metric == 0 && key.destination.family() == Family::V4;
}

/// Who holds a key now. IPv4 looks up and replaces the first route of a key.
struct Holders {
  std::uint8_t first = 0;    ///< protocol of the first
  std::uint8_t foreign = 0;  ///< protocol of a foreign one
  unsigned ours = 0;
};
using HoldersByKey = std::map<RouteKey, Holders>;

class KernelRouteDriver final : public RouteDriver {
 public:
  KernelRouteDriver(NetlinkSocket socket, InterfaceNames names)
      : socket_(std::move(socket)), names_(std::move(names)) {}

  Result<RouteMap> list() override;
  std::vector<Result<void>> apply(std::span<const Change<Route>> changes) override;
  [[nodiscard]] std::uint32_t port() const override { return socket_.port(); }

 private:
  using Results = std::vector<Result<void>>;

  /// Fills in who holds the keys of `wanted`, which come with empty values. One dump a table and
  /// family.
  Result<void> findHolders(HoldersByKey& wanted);
  /// An error if a route that is not ours holds the key.
  static Result<void> checkOwner(const RouteKey& key, const Holders& holders);
  Result<HoldersByKey> holdersOfReplaced(std::span<const Change<Route>> changes);
  Result<void> findBareRoutes(std::span<const Change<Route>> changes);
  /// Whether change `index` is a removal that would hit a route of another metric.
  bool wouldMiss(std::span<const Change<Route>> changes, std::size_t index, Results& results);
  void put(const Change<Route>& change, std::size_t index, const HoldersByKey& holders,
           Results& results);
  void putRoute(const Route& route, std::size_t index, Op op, IfPresent ifPresent,
                Results& results);
  void putReplacement(const Change<Route>& change, std::size_t index, const Holders& holders,
                      Results& results);
  [[nodiscard]] bool full() const {
    return inBatch_.size() + kMessagesOfOneChange > socket_.maxBatch();
  }
  void flush(std::span<const Change<Route>> changes, Results& results);
  void resolveConflicts(std::span<const Change<Route>> changes, Results& results);

  NetlinkSocket socket_;
  InterfaceNames names_;
  NetlinkBatch batch_;
  std::vector<std::size_t> inBatch_;    ///< message of the batch -> change
  std::vector<std::size_t> conflicts_;  ///< Adds whose key exists
  /// Whether a route of ours may have a metric in IPv4; see findBareRoutes.
  bool metricsInUse_ = true;
  bool checkRemovals_ = false;  ///< in this `apply`; the next two hold only then
  std::set<RouteKey> bare_;     ///< bare routes of ours before this `apply`
  std::map<RouteKey, std::vector<std::size_t>> bareAdds_;  ///< changes that set a bare route
};

Result<RouteMap> KernelRouteDriver::list() {
  RouteMap routes;
  names_.forget();
  bool metrics = false;
  for (const Family family : {Family::V4, Family::V6}) {
    batch_.clear();
    putRouteDump(batch_, family, kRouteProtocol, 0);
    auto listed = socket_.dump(batch_, [&](const nlmsghdr& message) {
      auto entry = parseRoute(message);
      if (!entry || entry->protocol != kRouteProtocol) return;
      if (entry->index != 0) entry->route.device = names_.nameOf(entry->index);
      metrics = metrics || (family == Family::V4 && entry->route.key.metric != 0);
      routes.emplace_hint(routes.end(), entry->route.key, std::move(entry->route));
    });
    if (!listed) return Fail(withContext(listed.error(), "list routes"));
  }
  metricsInUse_ = metrics;
  return routes;
}

Result<void> KernelRouteDriver::findHolders(HoldersByKey& wanted) {
  std::set<std::pair<Family, std::uint32_t>> tables;
  for (const auto& [key, holders] : wanted) tables.emplace(key.destination.family(), key.table);
  for (const auto& [family, table] : tables) {
    batch_.clear();
    putRouteDump(batch_, family, 0, table);
    auto listed = socket_.dump(batch_, [&](const nlmsghdr& message) {
      const auto entry = parseRoute(message);
      if (!entry) return;
      const auto found = wanted.find(entry->route.key);
      if (found == wanted.end()) return;
      Holders& holders = found->second;
      if (holders.first == 0) holders.first = entry->protocol;
      if (entry->protocol == kRouteProtocol) {
        ++holders.ours;
      } else {
        holders.foreign = entry->protocol;
      }
    });
    // ENOENT: the table does not exist, so nobody holds a key in it.
    if (!listed && listed.error().sysErrno != ENOENT) return listed;
  }
  return {};
}

Result<void> KernelRouteDriver::checkOwner(const RouteKey& key, const Holders& holders) {
  const bool firstDecides = key.destination.family() == Family::V4;
  const bool foreign =
      firstDecides ? holders.first != 0 && holders.first != kRouteProtocol : holders.foreign != 0;
  if (!foreign) return {};
  return fail(Errc::Invalid,
              describe("set", key) + ": a route of protocol " +
                  std::to_string(firstDecides ? holders.first : holders.foreign) +
                  ", which is not ours, has this destination and metric",
              EEXIST);
}

Result<HoldersByKey> KernelRouteDriver::holdersOfReplaced(std::span<const Change<Route>> changes) {
  HoldersByKey holders;
  for (const auto& change : changes) {
    if (change.op == Op::Replace) holders.try_emplace(storedKey(change.value.key));
  }
  if (!holders.empty()) {
    if (auto found = findHolders(holders); !found) return Fail(found.error());
  }
  return holders;
}

// A removal without metric matches routes of every metric in IPv4, lowest first: right while the
// route without metric exists, wrong when it is gone and another metric is left. Where we use
// metrics at all, such removals are therefore sent only for routes that are known to exist.
Result<void> KernelRouteDriver::findBareRoutes(std::span<const Change<Route>> changes) {
  checkRemovals_ = false;
  bare_.clear();
  bareAdds_.clear();
  const auto isAmbiguous = [](const auto& change) {
    return change.op == Op::Remove && isBare(change.value.key);
  };
  metricsInUse_ = metricsInUse_ || std::any_of(changes.begin(), changes.end(), [](const auto& one) {
                    return one.op != Op::Remove && one.value.key.metric != 0 &&
                           one.value.key.destination.family() == Family::V4;
                  });
  if (!metricsInUse_ || std::none_of(changes.begin(), changes.end(), isAmbiguous)) return {};
  checkRemovals_ = true;
  batch_.clear();
  putRouteDump(batch_, Family::V4, kRouteProtocol, 0);
  return socket_.dump(batch_, [&](const nlmsghdr& message) {
    const auto entry = parseRoute(message);
    if (!entry || entry->protocol != kRouteProtocol || !isBare(entry->route.key)) return;
    bare_.insert(bare_.end(), entry->route.key);
  });
}

bool KernelRouteDriver::wouldMiss(std::span<const Change<Route>> changes, std::size_t index,
                                  Results& results) {
  const auto& change = changes[index];
  if (!checkRemovals_ || !isBare(change.value.key)) return false;
  if (change.op != Op::Remove) {
    bareAdds_[change.value.key].push_back(index);
    return false;
  }
  bool present = bare_.erase(change.value.key) != 0;
  if (const auto added = bareAdds_.find(change.value.key); added != bareAdds_.end()) {
    flush(changes, results);
    // An Add that met a route made nothing: ours are in bare_ or made by an earlier change.
    present =
        present || std::any_of(added->second.begin(), added->second.end(), [&](std::size_t i) {
          return results[i] && !std::binary_search(conflicts_.begin(), conflicts_.end(), i);
        });
    bareAdds_.erase(added);
  }
  return !present;
}

void KernelRouteDriver::putRoute(const Route& route, std::size_t index, Op op, IfPresent ifPresent,
                                 Results& results) {
  int device = 0;
  if (!route.device.empty()) {
    device = names_.indexOf(route.device);
    if (device == 0) {
      results[index] = fail(
          Errc::NotFound, describe(verbOf(op), route.key) + ": no device " + route.device, ENODEV);
      return;
    }
  }
  putNewRoute(batch_, route, device, ifPresent);
  inBatch_.push_back(index);
}

// Several routes of ours can have one key when somebody else used our protocol number; all but one
// go.
void KernelRouteDriver::putReplacement(const Change<Route>& change, std::size_t index,
                                       const Holders& holders, Results& results) {
  const unsigned extras = holders.foreign != 0 || holders.ours < 2 ? 0 : holders.ours - 1;
  for (unsigned i = 0; i < std::min(extras, kMaxExtras); ++i) {
    putDeleteRoute(batch_, change.value.key);
    inBatch_.push_back(kNoChange);
  }
  putRoute(change.value, index, change.op, IfPresent::Replace, results);
}

void KernelRouteDriver::put(const Change<Route>& change, std::size_t index,
                            const HoldersByKey& holders, Results& results) {
  const Route& route = change.value;
  switch (change.op) {
    case Op::Add:
      putRoute(route, index, change.op, IfPresent::Refuse, results);
      return;
    case Op::Remove:
      putDeleteRoute(batch_, route.key);
      inBatch_.push_back(index);
      return;
    case Op::Replace: {
      const Holders& holder = holders.at(storedKey(route.key));
      if (auto checked = checkOwner(route.key, holder); !checked) {
        results[index] = std::move(checked);
        return;
      }
      putReplacement(change, index, holder, results);
      return;
    }
  }
}

void KernelRouteDriver::flush(std::span<const Change<Route>> changes, Results& results) {
  if (inBatch_.empty()) return;
  auto sent = socket_.send(batch_, [&](const NetlinkSocket::Refusal& refusal) {
    const std::size_t index = inBatch_[refusal.index];
    if (index == kNoChange) return;
    const auto& change = changes[index];
    // ESRCH: the route is gone. ENOENT: so is its table.
    const bool gone = refusal.sysErrno == ESRCH || refusal.sysErrno == ENOENT;
    if (change.op == Op::Remove && gone) return;
    if (change.op == Op::Add && refusal.sysErrno == EEXIST) {
      conflicts_.push_back(index);
      return;
    }
    Error error = systemError(refusal.sysErrno, describe(verbOf(change.op), change.value.key));
    if (!refusal.text.empty()) error.what.append(" (").append(refusal.text).append(")");
    if (refusal.sysErrno == ENETUNREACH || refusal.sysErrno == EHOSTUNREACH) {
      error.code = Errc::Transient;  // the gateway's own route may still come
    }
    results[index] = Fail(std::move(error));
  });
  if (!sent) {
    for (const std::size_t index : inBatch_) {
      if (index != kNoChange && results[index]) {
        results[index] = Fail(withContext(
            sent.error(), describe(verbOf(changes[index].op), changes[index].value.key)));
      }
    }
  }
  batch_.clear();
  inBatch_.clear();
}

// Adds whose key exists: replaced where the holder is ours. A conflict that a later change of the
// same key has overtaken is settled by that one, unless that one failed or waits here as well.
void KernelRouteDriver::resolveConflicts(std::span<const Change<Route>> changes, Results& results) {
  std::map<RouteKey, std::size_t> overtakenBy;
  for (const std::size_t index : conflicts_) overtakenBy[storedKey(changes[index].value.key)] = 0;
  for (std::size_t i = conflicts_.front() + 1; i < changes.size(); ++i) {
    if (!results[i] || std::binary_search(conflicts_.begin(), conflicts_.end(), i)) continue;
    const auto found = overtakenBy.find(storedKey(changes[i].value.key));
    if (found != overtakenBy.end()) found->second = i;
  }
  HoldersByKey holders;
  std::vector<std::size_t> open;
  for (const std::size_t index : conflicts_) {
    const RouteKey key = storedKey(changes[index].value.key);
    if (overtakenBy.at(key) > index) continue;
    open.push_back(index);
    holders.try_emplace(key);
  }
  conflicts_.clear();
  auto found = findHolders(holders);
  batch_.clear();
  for (const std::size_t index : open) {
    const auto& change = changes[index];
    const Holders& holder = holders.at(storedKey(change.value.key));
    results[index] = found ? checkOwner(change.value.key, holder) : found;
    if (!results[index]) continue;
    if (full()) flush(changes, results);
    putReplacement(change, index, holder, results);
  }
  flush(changes, results);
  // A replacement is refused as existing only where it equals a further route of the key.
  for (const std::size_t index : conflicts_) {
    results[index] = fail(Errc::Stale, describe("add", changes[index].value.key) +
                                           ": several routes have this destination and metric");
  }
}

std::vector<Result<void>> KernelRouteDriver::apply(std::span<const Change<Route>> changes) {
  Results results(changes.size());
  names_.forget();
  conflicts_.clear();
  auto holders = holdersOfReplaced(changes);
  auto ready = holders ? findBareRoutes(changes) : Result<void>(Fail(holders.error()));
  if (!ready) {
    std::fill(results.begin(), results.end(),
              Result<void>(Fail(withContext(ready.error(), "change routes"))));
    return results;
  }
  batch_.clear();
  inBatch_.clear();
  for (std::size_t i = 0; i < changes.size(); ++i) {
    if (wouldMiss(changes, i, results)) continue;
    if (full()) flush(changes, results);
    put(changes[i], i, *holders, results);
  }
  flush(changes, results);
  if (!conflicts_.empty()) resolveConflicts(changes, results);
  return results;
}

}  // namespace

Result<std::unique_ptr<RouteDriver>> makeRouteDriver() {
  auto socket = NetlinkSocket::open(NETLINK_ROUTE);
  if (!socket) return Fail(socket.error());
  auto names = InterfaceNames::open();
  if (!names) return Fail(names.error());
  return std::make_unique<KernelRouteDriver>(std::move(*socket), std::move(*names));
}

}  // namespace margay::dataplane

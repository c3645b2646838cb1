#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/change.h"
#include "base/result.h"
#include "dataplane/model/ipset.h"
#include "dataplane/model/network.h"
#include "dataplane/model/rule.h"

/// The kernel, one small interface a table. No policy, retry or cache inside. Every `apply` goes
/// through its changes in order and never stops early: result i is for change i; an Add replaces
/// what has its key; removing what is gone is success. Drivers touch only what carries our mark.
/// One thread: the loop's.
namespace margay::dataplane {

class RouteDriver {
 public:
  virtual ~RouteDriver() = default;
  /// Every route with protocol kRouteProtocol, both families, all tables. `Errc::Interrupted` if
  /// the dump was torn.
  virtual Result<RouteMap> list() = 0;
  virtual std::vector<Result<void>> apply(std::span<const Change<Route>> changes) = 0;
  /// The netlink port that the kernel's notifications of these changes carry; 0 if there is none.
  [[nodiscard]] virtual std::uint32_t port() const { return 0; }
};

class NeighbourDriver {
 public:
  virtual ~NeighbourDriver() = default;
  /// Permanent entries of interfaces whose name begins with one of `prefixes`.
  virtual Result<NeighbourMap> list(std::span<const std::string> prefixes) = 0;
  virtual std::vector<Result<void>> apply(std::span<const Change<Neighbour>> changes) = 0;
};

class LinkDriver {
 public:
  virtual ~LinkDriver() = default;
  virtual Result<LinkMap> list() = 0;
  virtual Result<std::vector<InterfaceAddress>> addresses() = 0;
};

class SysctlDriver {
 public:
  virtual ~SysctlDriver() = default;
  /// `path` as in SysctlMap. `Errc::NotFound` if there is no such entry (its interface is gone).
  virtual Result<std::string> read(const std::string& path) = 0;
  virtual Result<void> write(const std::string& path, const std::string& value) = 0;
  /// What the kernel tells at once of all interfaces, a tenth of the cost of reading each:
  /// forwarding, proxy_arp, route_localnet and rp_filter of IPv4, accept_ra, forwarding and
  /// proxy_ndp of IPv6. Empty where it does not.
  virtual Result<SysctlMap> list() = 0;
};

class ConntrackDriver {
 public:
  virtual ~ConntrackDriver() = default;
  /// Deletes every entry of a flow that one of `addresses` began or answers, whatever NAT makes of
  /// it. Returns how many. O(flows of the host), a fraction of a microsecond each for few
  /// addresses.
  virtual Result<std::size_t> deleteFlows(std::span<const Address> addresses) = 0;
};

/// What changed since the last read. `overflow`: notifications were lost, list everything again.
struct NetworkEvents {
  bool links = false;
  bool addresses = false;
  bool routes = false;
  bool neighbours = false;
  /// Interfaces of which forwarding, a reverse path filter, proxy ARP or NDP changed, as far as
  /// they still exist; the kernel tells of no other settings.
  std::set<IfName> settings;
  bool allSettings = false;  ///< of every interface, or of new ones
  bool overflow = false;
  bool operator==(const NetworkEvents&) const = default;
};

class NetworkMonitor {
 public:
  virtual ~NetworkMonitor() = default;
  [[nodiscard]] virtual int fd() const = 0;  ///< readable when `read` has something
  virtual NetworkEvents read() = 0;          ///< drains the socket, never blocks
};

class IpsetDriver {
 public:
  virtual ~IpsetDriver() = default;
  /// Headers of all sets whose name begins with kSetPrefix. Sets of others are never parsed.
  virtual Result<std::map<SetName, SetHeader>> list() = 0;
  virtual Result<std::vector<SetMember>> members(const SetName& name) = 0;
  virtual Result<void> create(const SetSpec& spec) = 0;
  /// Content of the two changes places; rules keep referring to the names.
  virtual Result<void> swap(const SetName& a, const SetName& b) = 0;
  virtual Result<void> destroy(const SetName& name) = 0;
  /// Cheap; differs whenever anybody may have changed a set of ours. None where the kernel keeps no
  /// such number, or changes of ours are under way.
  virtual std::optional<std::uint64_t> generation() { return std::nullopt; }
  /// Batches over nfnetlink. Op::Replace means Add.
  virtual std::vector<Result<void>> apply(const SetName& name,
                                          std::span<const Change<SetMember>> changes) = 0;
};

/// Cheap enough to read each second: differs whenever rules were added, removed or flushed.
struct TableFingerprint {
  std::uint32_t entries = 0;
  std::uint32_t size = 0;
  std::array<std::uint32_t, 5> hooks{};
  std::array<std::uint32_t, 5> underflows{};
  bool operator==(const TableFingerprint&) const = default;
};

/// One rule in the form in which the backend compares it: equal exactly when the kernel would hold
/// the same rule (counters aside).
using RuleDigest = std::uint64_t;

/// Our hook rules of one position of one base chain, in order. `inPlace` is false where a foreign
/// rule stands before a First or behind a Last.
struct ObservedHook {
  std::vector<RuleDigest> rules;
  bool inPlace = true;
  bool operator==(const ObservedHook&) const = default;
};
using HookKey = std::pair<BaseChain, Position>;

struct ObservedTable {
  std::map<ChainName, std::vector<RuleDigest>> chains;  ///< ours only
  std::map<HookKey, ObservedHook> hooks;                ///< only where we have rules
  TableFingerprint fingerprint;
  std::size_t foreignRules = 0;
};

/// What one commit changes. Chains in `set` are made or rewritten whole; a chain in `remove` goes.
/// Hooks in `hooks` replace all of ours in that place.
struct TableEdit {
  std::map<ChainName, ChainRules> set;
  std::vector<ChainName> remove;
  std::map<HookKey, std::vector<Rule>> hooks;
  [[nodiscard]] bool empty() const { return set.empty() && remove.empty() && hooks.empty(); }
};

class RuleDriver {
 public:
  virtual ~RuleDriver() = default;
  virtual Result<TableFingerprint> fingerprint(TableId table) = 0;
  virtual Result<ObservedTable> read(TableId table) = 0;
  /// What `read` would give for these rules. `Errc::NotFound` names a set that does not exist yet.
  virtual Result<std::vector<RuleDigest>> digests(TableId table, std::span<const Rule> rules) = 0;
  /// One atomic commit under the lock shared with other tools. `Errc::Stale` when the table's
  /// fingerprint is no longer `expected`: read again first. Returns the new fingerprint. Nothing
  /// changes on error.
  virtual Result<TableFingerprint> commit(TableId table, const TableEdit& edit,
                                          const TableFingerprint& expected) = 0;
};

}  // namespace margay::dataplane

#include "cmd/agent/kernel.h"

#include <random>

#include "cmd/agent/phases.h"
#include "dataplane/conntrack_driver.h"
#include "dataplane/ipset_driver.h"
#include "dataplane/ipset_probe.h"
#include "dataplane/iptables_driver.h"
#include "dataplane/link_driver.h"
#include "dataplane/neighbour_driver.h"
#include "dataplane/network_monitor.h"
#include "dataplane/route_driver.h"
#include "dataplane/sysctl_driver.h"
#include "dataplane/xtables_info.h"

namespace margay::agent {
namespace {

using dataplane::Route;
using dataplane::RouteKey;
using dataplane::TableName;

constexpr TableName kTables[] = {TableName::Raw, TableName::Filter, TableName::Nat};

std::string routeText(const Route& route) {
  std::string out = route.type == dataplane::RouteType::Blackhole ? "blackhole " : "";
  out += route.key.destination.str();
  if (route.gateway) out += " via " + route.gateway->str();
  if (!route.device.empty()) out += " dev " + route.device;
  if (route.source) out += " src " + route.source->str();
  if (route.key.metric != 0) out += " metric " + std::to_string(route.key.metric);
  return out;
}

/// Metrics know fewer names than there are tables: all legacy tables are "iptables".
std::string_view metricName(const reconcile::Table& table, std::size_t ruleTables,
                            std::size_t place) {
  return place < ruleTables ? std::string_view("iptables") : std::string_view(table.name());
}

template <class Driver>
Result<void> keep(std::unique_ptr<Driver>& slot, Result<std::unique_ptr<Driver>> made) {
  if (!made) return Fail(made.error());
  slot = std::move(*made);
  return {};
}

}  // namespace

Kernel::Kernel(Options options) : options_(std::move(options)), jitter_(std::random_device{}()) {}

Result<std::unique_ptr<Kernel>> Kernel::open(Options options) {
  std::unique_ptr<Kernel> kernel(new Kernel(std::move(options)));
  if (auto opened = kernel->openDrivers(); !opened) return Fail(opened.error());
  kernel->makeTables();
  return kernel;
}

Result<void> Kernel::openDrivers() {
  if (auto probed = dataplane::probeIpset(); !probed) return probed;
  for (const auto family : options_.families) {
    if (auto probed = dataplane::probeLegacyTables(family); !probed) return probed;
  }
  if (auto made = keep(routeDriver_, dataplane::makeRouteDriver()); !made) return made;
  if (auto made = keep(neighbourDriver_, dataplane::makeNeighbourDriver()); !made) return made;
  if (auto made = keep(links_, dataplane::makeLinkDriver()); !made) return made;
  if (auto made = keep(sysctlDriver_, dataplane::makeSysctlDriver()); !made) return made;
  if (auto made = keep(conntrack_, dataplane::makeConntrackDriver()); !made) return made;
  if (auto made = keep(monitor_, dataplane::makeNetworkMonitor()); !made) return made;
  auto sets = dataplane::KernelIpsetDriver::open();
  if (!sets) return Fail(sets.error());
  setDriver_ = std::move(*sets);
  auto rules = dataplane::IptablesDriver::open();
  if (!rules) return Fail(rules.error());
  ruleDriver_ = std::make_unique<dataplane::IptablesDriver>(std::move(*rules));
  return {};
}

void Kernel::makeTables() {
  const auto& options = options_.tables;
  purge_ = std::make_unique<FlowPurge>(*conntrack_, jitter_);
  sets_ = std::make_unique<SetTableAdapter>(
      *setDriver_, [this](const Address& address) { purge_->add(address); }, options, jitter_);
  for (const auto family : options_.families) {
    for (const auto table : kTables)
      rules_.push_back(std::make_unique<RuleTableAdapter>(
          *ruleDriver_, dataplane::TableId{family, table}, options, jitter_));
  }
  sysctls_ = std::make_unique<SysctlTableAdapter>(*sysctlDriver_, options_.sysctlJournal, options,
                                                  jitter_);

  reconcile::KeyedDriver<dataplane::NeighbourKey, dataplane::Neighbour> neighbours;
  neighbours.list = [this] { return neighbourDriver_->list(options_.interfacePrefixes); };
  neighbours.apply = [this](auto changes) {
    return neighbourDriver_->apply(reconcile::valueChanges(changes));
  };
  neighbours.phaseOf = [](Op, const auto&, const auto&) { return kHost; };
  neighbours.describe = [](const auto& key, const auto& value) {
    return key.address.str() + " lladdr " + dataplane::formatMac(value.mac) + " dev " + key.device;
  };
  neighbours_ =
      std::make_unique<NeighbourTable>("neighbour", std::move(neighbours), options, jitter_);

  reconcile::KeyedDriver<RouteKey, Route> routes;
  routes.list = [this] { return routeDriver_->list(); };
  routes.apply = [this](auto changes) {
    return routeDriver_->apply(reconcile::valueChanges(changes));
  };
  routes.phaseOf = [](Op op, const RouteKey&, const Route& route) {
    return op == Op::Remove && !route.gateway ? kLeave : kHost;
  };
  routes.describe = [](const RouteKey&, const Route& route) { return routeText(route); };
  routes_ = std::make_unique<RouteTable>("route", std::move(routes), options, jitter_);

  for (const auto& table : rules_) all_.push_back(&table->table());
  all_.push_back(&sets_->table());
  all_.push_back(&sysctls_->table());
  all_.push_back(neighbours_.get());
  all_.push_back(routes_.get());
  all_.push_back(purge_.get());
  reported_.resize(all_.size());
}

Result<void> Kernel::apply(const controllers::DesiredChange& change) {
  for (const auto& name : change.setsRemoved) sets_->removeSet(name);
  for (const auto& spec : change.setsAdded) sets_->addSet(spec);
  for (const auto& [set, members] : change.members) {
    for (const auto& member : members.removed) sets_->removeMember(set, member);
    for (const auto& member : members.added) sets_->addMember(set, member);
  }
  for (const auto& path : change.sysctlsRemoved) sysctls_->remove(path);
  for (const auto& [path, value] : change.sysctls) sysctls_->set(path, value);
  for (const auto& key : change.neighboursRemoved) neighbours_->removeDesired(key);
  for (const auto& neighbour : change.neighbours) neighbours_->setDesired(neighbour.key, neighbour);
  for (const auto& key : change.routesRemoved) routes_->removeDesired(key);
  for (const auto& route : change.routes) routes_->setDesired(route.key, route);
  for (const auto& address : change.arrived) purge_->add(address);
  for (const auto& table : rules_) {
    const auto wanted = change.tables.find(table->id());
    if (wanted == change.tables.end()) continue;
    if (auto set = table->setDesired(wanted->second); !set) return set;
  }
  return {};
}

std::uint64_t Kernel::ruleCommits() const {
  std::uint64_t sum = 0;
  for (const auto& table : rules_) sum += table->commits();
  return sum;
}

void Kernel::report(metrics::Metrics& metrics) {
  std::size_t desiredRules = 0;
  std::size_t observedRules = 0;
  for (std::size_t place = 0; place < all_.size(); ++place) {
    const auto status = all_[place]->status();
    const auto name = metricName(*all_[place], rules_.size(), place);
    auto& before = reported_[place];
    metrics.drift(name, status.drift - before.drift);
    for (auto errors = before.errors; errors < status.errors; ++errors)
      metrics.reconcileError(name);
    if (place < rules_.size()) {
      const auto commits = rules_[place]->commits();
      metrics.changes(name, "commit", commits - before.commits);
      before.commits = commits;
      desiredRules += status.desired;
      observedRules += status.observed;
    } else {
      metrics.changes(name, "add", status.changes.add - before.changes.add);
      metrics.changes(name, "replace", status.changes.replace - before.changes.replace);
      metrics.changes(name, "remove", status.changes.remove - before.changes.remove);
      metrics.entries(name, status.desired, status.observed);
    }
    before.changes = status.changes;
    before.drift = status.drift;
    before.errors = status.errors;
  }
  metrics.entries("iptables", desiredRules, observedRules);
}

}  // namespace margay::agent

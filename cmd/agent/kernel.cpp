#include "cmd/agent/kernel.h"

#include <random>

#include "base/log.h"
#include "cmd/agent/phases.h"
#include "dataplane/conntrack_driver.h"
#include "dataplane/link_driver.h"
#include "dataplane/neighbour_driver.h"
#include "dataplane/network_monitor.h"
#include "dataplane/route_driver.h"
#include "dataplane/rule_survey.h"
#include "dataplane/sysctl_driver.h"

namespace margay::agent {
namespace {

using dataplane::Route;
using dataplane::RouteKey;

std::string routeText(const Route& route) {
  std::string out = route.type == dataplane::RouteType::Blackhole ? "blackhole " : "";
  out += route.key.destination.str();
  if (route.gateway) out += " via " + route.gateway->str();
  if (!route.device.empty()) out += " dev " + route.device;
  if (route.source) out += " src " + route.source->str();
  if (route.key.metric != 0) out += " metric " + std::to_string(route.key.metric);
  return out;
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
  if (auto made = keep(routeDriver_, dataplane::makeRouteDriver()); !made) return made;
  if (auto made = keep(neighbourDriver_, dataplane::makeNeighbourDriver()); !made) return made;
  if (auto made = keep(links_, dataplane::makeLinkDriver()); !made) return made;
  if (auto made = keep(sysctlDriver_, dataplane::makeSysctlDriverAt(options_.sysctlDir)); !made)
    return made;
  if (auto made = keep(conntrack_, dataplane::makeConntrackDriver()); !made) return made;
  if (auto made = keep(monitor_, dataplane::makeNetworkMonitor(routeDriver_->port())); !made)
    return made;
  purge_ = std::make_unique<FlowPurge>(*conntrack_, jitter_, options_.purge);
  return keep(rules_, openRules(options_.backend,
                                [this](const Address& address) { purge_->left(address); }));
}

Result<std::unique_ptr<RuleBackend>> Kernel::openRules(Backend backend,
                                                       std::function<void(const Address&)> onLeft) {
  return RuleBackend::open(backend, {options_.families, options_.tables, std::move(onLeft)},
                           jitter_);
}

void Kernel::makeTables() {
  const auto& options = options_.tables;
  accepts_ = std::make_unique<HostAccepts>(options, options_.families, jitter_);
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

  order();
}

void Kernel::order() {
  ruleTables_ = rules_->tables();
  for (auto& entry : accepts_->tables()) ruleTables_.push_back(std::move(entry));
  all_.clear();
  for (const auto& entry : ruleTables_) all_.push_back(entry.table);
  all_.insert(all_.end(), {&sysctls_->table(), neighbours_.get(), routes_.get(), purge_.get()});
}

Result<void> Kernel::switchTo(Backend backend) {
  auto opened = openRules(backend, [this](const Address& address) { purge_->left(address); });
  if (!opened) return Fail(opened.error());
  rules_ = std::move(*opened);
  options_.backend = backend;
  order();
  return {};
}

std::vector<reconcile::Table*> Kernel::beginSweep(const dataplane::RuleSurvey& survey,
                                                  const controllers::StaticOptions& options) {
  const auto other = options_.backend == Backend::Nft ? Backend::Legacy : Backend::Nft;
  if (!(other == Backend::Nft ? survey.nft : survey.legacy).ours) return {};
  // Addresses that leave its sets have not left their interfaces.
  auto opened = openRules(other, [](const Address&) {});
  if (!opened) {
    log::warn("what the other rule backend holds of ours cannot be swept",
              {{"backend", backendText(other)}, {"error", opened.error().what}});
    return {};
  }
  leaving_ = std::move(*opened);
  if (auto left = leaving_->leaveHooks(); !left)
    log::warn("what the other rule backend holds of ours goes while packets pass it",
              {{"error", left.error().what}});
  if (other == Backend::Legacy) {
    controllers::DesiredChange kept;
    for (const auto family : options_.families)
      kept.tables[{family, dataplane::TableName::Filter}] =
          acceptTable(survey.legacy, family, options, controllers::AcceptBy::Mark);
    if (auto applied = leaving_->apply(kept, false); !applied)
      log::error("a rule cannot be written", {{"error", applied.error().what}});
  }
  std::vector<reconcile::Table*> out;
  for (const auto& entry : leaving_->tables()) out.push_back(entry.table);
  return out;
}

bool Kernel::accept(const AcceptPlan& plan) {
  if (!accepts_->set(plan)) return false;
  order();
  return true;
}

void Kernel::endSweep() {
  if (auto removed = leaving_->removeRest(); !removed)
    log::warn("what the other rule backend holds of ours cannot be swept",
              {{"error", removed.error().what}});
  leaving_.reset();
}

Result<void> Kernel::apply(const controllers::DesiredChange& change) {
  for (const auto& path : change.sysctlsRemoved) sysctls_->remove(path);
  for (const auto& [path, value] : change.sysctls) sysctls_->set(path, value);
  for (const auto& key : change.neighboursRemoved) neighbours_->removeDesired(key);
  for (const auto& neighbour : change.neighbours) neighbours_->setDesired(neighbour.key, neighbour);
  for (const auto& key : change.routesRemoved) routes_->removeDesired(key);
  for (const auto& route : change.routes) routes_->setDesired(route.key, route);
  const auto back = returning(change, *purge_);
  for (const auto& address : change.arrived) purge_->arriving(address);
  for (const auto& address : back) purge_->arriving(address);
  return rules_->apply(change, !change.arrived.empty() || !back.empty());
}

void Kernel::reportTable(metrics::Metrics& metrics, const std::string& name,
                         const reconcile::TableStatus& status) {
  auto& before = reported_[status.name];
  // A table that was made anew counts from nothing.
  if (status.drift < before.drift || status.errors < before.errors ||
      status.changes.total() < before.changes.total())
    before = {};
  metrics.drift(name, status.drift - before.drift);
  for (auto errors = before.errors; errors < status.errors; ++errors) metrics.reconcileError(name);
  // Chains are not counted: their changes are commits.
  if (name != "iptables" && name != "nftables") {
    metrics.changes(name, "add", status.changes.add - before.changes.add);
    metrics.changes(name, "replace", status.changes.replace - before.changes.replace);
    metrics.changes(name, "remove", status.changes.remove - before.changes.remove);
    metrics.entries(name, status.desired, status.observed);
  }
  before.changes = status.changes;
  before.drift = status.drift;
  before.errors = status.errors;
}

void Kernel::report(metrics::Metrics& metrics) {
  std::map<std::string, std::pair<std::size_t, std::size_t>> rules;  // desired, observed
  for (const auto& [table, metric] : ruleTables_) {
    const auto status = table->status();
    reportTable(metrics, metric, status);
    rules[metric].first += status.desired;
    rules[metric].second += status.observed;
  }
  for (std::size_t place = ruleTables_.size(); place < all_.size(); ++place)
    reportTable(metrics, all_[place]->name(), all_[place]->status());
  for (const auto* name : {"iptables", "nftables"}) {
    if (const auto counts = rules.find(name); counts != rules.end())
      metrics.entries(name, counts->second.first, counts->second.second);
  }
  const std::string metric(rules_->backend() == Backend::Nft ? "nftables" : "iptables");
  auto& commits = reported_[metric].commits;
  if (rules_->commits() < commits) commits = 0;
  metrics.changes(metric, "commit", rules_->commits() - commits);
  commits = rules_->commits();
}

}  // namespace margay::agent

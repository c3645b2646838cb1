#include "controllers/node/node_controller.h"

#include <algorithm>

namespace margay::controllers {
namespace {

template <class T>
std::shared_ptr<const T> held(const api::Update& update) {
  if (!update.value) return nullptr;
  const auto* value = std::get_if<std::shared_ptr<const T>>(&*update.value);
  return value == nullptr ? nullptr : *value;
}

template <class T>
std::vector<T> valuesOf(const std::map<std::string, T>& map) {
  std::vector<T> out;
  out.reserve(map.size());
  for (const auto& [key, value] : map) out.push_back(value);
  return out;
}

constexpr std::size_t indexOf(api::PolicyDirection direction) {
  return direction == api::PolicyDirection::Ingress ? 0 : 1;
}

bool covered(const api::WorkloadEndpoint& endpoint, const std::map<std::string, api::Node>& nodes) {
  const auto node = nodes.find(endpoint.node.str());
  if (node == nodes.end()) return false;
  return std::all_of(
      endpoint.addresses.begin(), endpoint.addresses.end(), [&](const Prefix& address) {
        const auto& cidrs = node->second.podCidrs;
        return std::any_of(cidrs.begin(), cidrs.end(),
                           [&](const Prefix& cidr) { return cidr.contains(address); });
      });
}

}  // namespace

NodeController::NodeController(std::string nodeName, NodeOptions options)
    : nodeName_(std::move(nodeName)),
      options_(std::move(options)),
      engine_({nodeName_, options_.statics.interfacePrefixes.at(0)}) {
  for (const auto family : options_.families)
    families_.emplace_back(family, options_.statics.rules);
}

void NodeController::update(const api::Update& update) {
  engine_.update(update);
  ++revision_;
  if (update.key.kind != api::Kind::WorkloadEndpoint) {
    others_.erase(update.key);
    if (update.value) others_.emplace(update.key, *update.value);
  }
  switch (update.key.kind) {
    case api::Kind::IPPool:
      pools_.erase(update.key.name);
      if (const auto pool = held<api::IPPool>(update)) pools_.emplace(update.key.name, *pool);
      natDirty_ = interfacesDirty_ = true;
      break;
    case api::Kind::Node: {
      const auto node = held<api::Node>(update);
      const auto before = nodes_.find(update.key.name);
      if (node && before != nodes_.end() && before->second == *node) break;
      if (node) {
        nodes_.insert_or_assign(update.key.name, *node);
      } else {
        nodes_.erase(update.key.name);
      }
      natDirty_ = routesDirty_ = coverageDirty_ = true;
      break;
    }
    case api::Kind::WorkloadEndpoint:
      noteRouting(update);
      break;
    default:
      break;
  }
}

/// Endpoints of other nodes matter for routing only while no pod CIDR of their node covers them.
void NodeController::noteRouting(const api::Update& update) {
  const auto endpoint = held<api::WorkloadEndpoint>(update);
  const bool matters =
      endpoint && endpoint->node.view() != nodeName_ && !covered(*endpoint, nodes_);
  if (matters) {
    uncovered_[update.key] = endpoint;
    routesDirty_ = true;
  } else if (uncovered_.erase(update.key) > 0) {
    routesDirty_ = true;
  }
}

void NodeController::findUncovered() {
  uncovered_.clear();
  engine_.forEachEndpoint([this](const auto& endpoint) {
    if (endpoint->node.view() != nodeName_ && !covered(*endpoint, nodes_))
      uncovered_.emplace(keyOf(*endpoint), endpoint);
  });
}

Objects NodeController::objects() const {
  Objects out = others_;
  engine_.forEachEndpoint([&](const auto& endpoint) { out.emplace(keyOf(*endpoint), endpoint); });
  return out;
}

void NodeController::setLinks(dataplane::LinkMap links,
                              std::vector<dataplane::InterfaceAddress> addresses) {
  std::sort(addresses.begin(), addresses.end());
  if (addresses != addresses_) {
    addresses_ = std::move(addresses);
    routesDirty_ = true;
  }
  if (links == links_) return;
  links_ = std::move(links);
  linksDirty_ = true;
  ++revision_;
}

void NodeController::setOptions(NodeOptions options) {
  if (options == options_) return;
  options_ = std::move(options);
  families_.clear();
  for (const auto family : options_.families) {
    auto& state = families_.emplace_back(family, options_.statics.rules);
    for (const auto& direction : groups_) {
      for (const auto& [hash, group] : direction) state.chains.add(group);
    }
  }
  started_ = false;
  layoutDirty_ = interfacesDirty_ = interfaceOptionsDirty_ = tablesDirty_ = natDirty_ =
      routesDirty_ = true;
}

DesiredChange NodeController::flush(TimePoint now) {
  return apply(engine_.flush(now));
}
DesiredChange NodeController::collect(TimePoint now) {
  return apply(engine_.collect(now));
}

DesiredChange NodeController::apply(const PolicyDelta& delta) {
  DesiredChange out;
  if (!started_) {
    for (const auto& state : families_) {
      out.setsAdded.push_back(localSet(state.family));
      out.setsAdded.back().maxElements = options_.maxSetElements;
    }
    if (options_.forwarding) out.sysctls = forwardingSysctls(options_.families);
    started_ = true;
  }
  applySets(delta, out);
  applyGroups(delta, out);
  for (const auto& key : delta.endpointsRemoved) interfacesDirty_ |= local_.erase(key) > 0;
  for (const auto& endpoint : delta.endpointsChanged) {
    local_.insert_or_assign(keyOf(*endpoint->endpoint), endpoint);
    interfacesDirty_ = true;
  }
  applyInterfaces(out);
  applyNat(out);
  applyTables(out);
  applyNodeRoutes(out);
  return out;
}

void NodeController::applySets(const PolicyDelta& delta, DesiredChange& out) {
  for (const auto& state : families_) {
    for (const auto& id : delta.setsRemoved) {
      out.setsRemoved.push_back(setName(id, state.family));
    }
    for (const auto& id : delta.setsAdded)
      out.setsAdded.push_back(
          {setName(id, state.family), setType(id.kind), state.family, options_.maxSetElements});
  }
  for (const auto& change : delta.members) {
    for (const auto& state : families_) {
      const auto ofFamily = [&](const dataplane::SetMember& member) {
        return member.net.family() == state.family;
      };
      MembersChange mine;
      std::copy_if(change.removed.begin(), change.removed.end(), std::back_inserter(mine.removed),
                   ofFamily);
      std::copy_if(change.added.begin(), change.added.end(), std::back_inserter(mine.added),
                   ofFamily);
      if (!mine.removed.empty() || !mine.added.empty())
        out.members.insert_or_assign(setName(change.set, state.family), std::move(mine));
    }
  }
}

void NodeController::applyGroups(const PolicyDelta& delta, DesiredChange& out) {
  for (const auto& group : delta.groupsRemoved) {
    groups_[indexOf(group->direction)].erase(group->hash);
    for (auto& state : families_) state.chains.remove(*group);
  }
  for (const auto& group : delta.groupsAdded) {
    groups_[indexOf(group->direction)].emplace(group->hash, group);
    for (auto& state : families_) state.chains.add(group);
  }
  if (!delta.groupsRemoved.empty() || !delta.groupsAdded.empty())
    layoutDirty_ = tablesDirty_ = true;
  if (!layoutDirty_) return;
  ingress_ = dispatchLayout(api::PolicyDirection::Ingress, valuesOf(groups_[0]));
  egress_ = dispatchLayout(api::PolicyDirection::Egress, valuesOf(groups_[1]));
  for (auto& state : families_) {
    std::map<dataplane::SetName, dataplane::SetSpec> wanted;
    for (const auto* layout : {&ingress_, &egress_}) {
      auto specs = useMaps() ? std::vector{dispatchMap(layout->direction, state.family)}
                             : dispatchSets(*layout, state.family);
      for (auto& spec : specs) {
        spec.maxElements = options_.maxSetElements;
        wanted.emplace(spec.name, spec);
      }
    }
    for (const auto& [name, spec] : state.dispatchSets) {
      if (!wanted.contains(name)) out.setsRemoved.push_back(name);
    }
    for (const auto& [name, spec] : wanted) {
      if (!state.dispatchSets.contains(name)) out.setsAdded.push_back(spec);
    }
    state.dispatchSets = std::move(wanted);
  }
}

void NodeController::applyInterfaces(DesiredChange& out) {
  if (!interfacesDirty_ && !layoutDirty_ && !linksDirty_) return;
  std::vector<std::shared_ptr<const LocalEndpoint>> endpoints;
  for (const auto& [key, endpoint] : local_) endpoints.push_back(endpoint);
  interfaces_ = workloadInterfaces(endpoints, options_.statics.interfacePrefixes, valuesOf(pools_));
  auto shared = sharedPrefixes(interfaces_.interfaces, options_.statics.dispatch);
  const bool entriesStale = layoutDirty_ || shared != shared_;
  shared_ = std::move(shared);
  const auto interfaces = withoutMovedAddresses(out);
  for (auto& state : families_) {
    auto sources = sharedSources(interfaces_.interfaces, shared_, state.family);
    tablesDirty_ |= sources != state.sharedSources;
    state.sharedSources = std::move(sources);
  }

  std::set<dataplane::IfName> present;
  for (const auto& interface : interfaces_.interfaces) present.insert(interface.device);
  for (auto entry = programmed_.begin(); entry != programmed_.end();) {
    if (present.contains(entry->first)) {
      ++entry;
      continue;
    }
    const auto& gone = entry->second;
    for (const auto& held : gone.entries) out.members[held.set].removed.push_back(held.member);
    for (const auto& [key, route] : gone.tables.routes) out.routesRemoved.push_back(key);
    for (const auto& [key, neighbour] : gone.tables.neighbours)
      out.neighboursRemoved.push_back(key);
    for (const auto& [path, value] : gone.tables.sysctls) out.sysctlsRemoved.push_back(path);
    entry = programmed_.erase(entry);
  }
  for (const auto& interface : interfaces) program(interface, entriesStale, out);
  interfaceOptionsDirty_ = false;
  layoutDirty_ = linksDirty_ = false;
  interfacesDirty_ = !out.moved.empty();
}

/// An address that moves to another interface leaves the old one first: then its flows can be
/// deleted before the new one has it. The next flush gives it to the new interface.
std::vector<WorkloadInterface> NodeController::withoutMovedAddresses(DesiredChange& out) {
  std::map<Prefix, dataplane::IfName> holders;
  for (const auto& [device, programmed] : programmed_) {
    for (const auto& address : programmed.interface.addresses) holders.emplace(address, device);
  }
  auto interfaces = interfaces_.interfaces;
  out.arrived = std::exchange(moved_, {});
  for (auto& interface : interfaces) {
    std::erase_if(interface.addresses, [&](const Prefix& address) {
      const auto holder = holders.find(address);
      if (holder == holders.end() || holder->second == interface.device) return false;
      moved_.push_back(address.address);
      return true;
    });
  }
  out.moved = moved_;
  return interfaces;
}

namespace {

/// Adds what `after` has and `before` has not (or has otherwise), removes what only `before` has.
template <class Map, class Removed, class Set>
void difference(const Map& before, const Map& after, Removed&& removed, Set&& set) {
  for (const auto& [key, value] : before) {
    if (!after.contains(key)) removed(key);
  }
  for (const auto& [key, value] : after) {
    const auto old = before.find(key);
    if (old == before.end() || old->second != value) set(key, value);
  }
}

}  // namespace

void NodeController::program(const WorkloadInterface& interface, bool entriesStale,
                             DesiredChange& out) {
  auto& now = programmed_[interface.device];
  const bool changed = now.interface != interface;
  if (changed || entriesStale) {
    auto entries = useMaps() ? mapEntries(interface, shared_)
                             : dispatchEntries(interface, ingress_, egress_, shared_);
    std::vector<SetEntry> wanted = std::move(entries.groups);
    wanted.insert(wanted.end(), entries.local.begin(), entries.local.end());
    std::erase_if(wanted, [&](const SetEntry& entry) {
      return std::find(options_.families.begin(), options_.families.end(),
                       entry.member.net.family()) == options_.families.end();
    });
    std::sort(wanted.begin(), wanted.end());
    std::vector<SetEntry> left;
    std::vector<SetEntry> came;
    std::set_difference(now.entries.begin(), now.entries.end(), wanted.begin(), wanted.end(),
                        std::back_inserter(left));
    std::set_difference(wanted.begin(), wanted.end(), now.entries.begin(), now.entries.end(),
                        std::back_inserter(came));
    for (const auto& held : left) out.members[held.set].removed.push_back(held.member);
    for (const auto& held : came) out.members[held.set].added.push_back(held.member);
    now.entries = std::move(wanted);
    now.interface = interface;
  }
  if (!changed && !linksDirty_ && !interfaceOptionsDirty_) return;
  auto tables = endpointTables({&interface, 1}, links_, options_.endpoints);
  if (!options_.routeWorkloads) tables.routes.clear();
  difference(
      now.tables.routes, tables.routes, [&](const auto& key) { out.routesRemoved.push_back(key); },
      [&](const auto&, const auto& route) { out.routes.push_back(route); });
  difference(
      now.tables.neighbours, tables.neighbours,
      [&](const auto& key) { out.neighboursRemoved.push_back(key); },
      [&](const auto&, const auto& neighbour) { out.neighbours.push_back(neighbour); });
  difference(
      now.tables.sysctls, tables.sysctls,
      [&](const auto& path) { out.sysctlsRemoved.push_back(path); },
      [&](const auto& path, const auto& value) { out.sysctls[path] = value; });
  now.tables = std::move(tables);
}

void NodeController::applyNat(DesiredChange& out) {
  if (!natDirty_) return;
  natDirty_ = false;
  const auto pools = valuesOf(pools_);
  const auto nodes = valuesOf(nodes_);
  for (auto& state : families_) {
    auto wanted = natTables(state.family, pools, nodes, options_.nat);
    std::map<dataplane::SetName, const NatSet*> before;
    for (const auto& set : state.nat.sets) before.emplace(set.spec.name, &set);
    for (const auto& set : wanted.sets) {
      const auto old = before.find(set.spec.name);
      if (old == before.end()) out.setsAdded.push_back(set.spec);
      const auto members =
          old == before.end() ? std::set<dataplane::SetMember>{} : old->second->members;
      for (const auto& member : members) {
        if (!set.members.contains(member)) out.members[set.spec.name].removed.push_back(member);
      }
      for (const auto& member : set.members) {
        if (!members.contains(member)) out.members[set.spec.name].added.push_back(member);
      }
      if (old != before.end()) before.erase(old);
    }
    for (const auto& [name, set] : before) out.setsRemoved.push_back(name);
    out.tables[{state.family, dataplane::TableName::Nat}] = wanted.table;
    state.nat = std::move(wanted);
  }
}

void NodeController::applyTables(DesiredChange& out) {
  if (!tablesDirty_) return;
  tablesDirty_ = false;
  for (const auto& state : families_) {
    const auto& shared = state.sharedSources;
    out.tables[{state.family, dataplane::TableName::Raw}] =
        rawTable(state.family, options_.statics, shared);
    auto filter = filterTable(state.family, options_.statics);
    for (const auto& [name, rules] : state.chains.chains())
      filter.chains.insert_or_assign(name, rules);
    for (const auto* layout : {&ingress_, &egress_}) {
      for (auto& [name, rules] : useMaps() ? mapChains(*layout, shared, state.family)
                                           : dispatchChains(*layout, shared, state.family))
        filter.chains.insert_or_assign(name, rules);
    }
    out.tables[{state.family, dataplane::TableName::Filter}] = std::move(filter);
  }
}

void NodeController::applyNodeRoutes(DesiredChange& out) {
  if (std::exchange(coverageDirty_, false)) findUncovered();
  if (!std::exchange(routesDirty_, false)) return;
  dataplane::RouteMap wanted;
  skipped_.clear();
  if (options_.nodeRouting) {
    const auto nodes = valuesOf(nodes_);
    std::vector<std::shared_ptr<const api::WorkloadEndpoint>> remote;
    for (const auto& [key, endpoint] : uncovered_) remote.push_back(endpoint);
    auto routes = nodeRoutes(nodes, nodeName_, addresses_);
    auto single = remoteEndpointRoutes(remote, nodes, nodeName_, addresses_);
    wanted = std::move(routes.routes);
    wanted.merge(single.routes);
    skipped_ = std::move(routes.skipped);
    skipped_.insert(skipped_.end(), single.skipped.begin(), single.skipped.end());
  }
  std::erase_if(wanted, [&](const auto& entry) {
    return std::find(options_.families.begin(), options_.families.end(),
                     entry.first.destination.family()) == options_.families.end();
  });
  difference(
      nodeRoutes_, wanted, [&](const auto& key) { out.routesRemoved.push_back(key); },
      [&](const auto&, const auto& route) { out.routes.push_back(route); });
  nodeRoutes_ = std::move(wanted);
}

std::vector<SkippedRoute> NodeController::skippedRoutes() const {
  return skipped_;
}

}  // namespace margay::controllers

#include "controllers/node/node_controller.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "controllers/node/difference.h"

namespace margay::controllers {
namespace {

template <class T>
Shared<T> held(const api::Update& update) {
  if (!update.value) return nullptr;
  const auto* value = std::get_if<Shared<T>>(&*update.value);
  return value == nullptr ? nullptr : *value;
}

template <class T>
std::vector<T> valuesOf(const std::map<std::string, T>& map) {
  std::vector<T> out;
  out.reserve(map.size());
  for (const auto& [key, value] : map) out.push_back(value);
  return out;
}

/// In which there are routes to other nodes.
std::vector<Family> routedFamilies(const NodeOptions& options) {
  return options.nodeRouting ? options.families : std::vector<Family>{};
}

}  // namespace

NodeController::NodeController(std::string nodeName, NodeOptions options)
    : nodeName_(std::move(nodeName)),
      options_(std::move(options)),
      engine_({nodeName_, options_.statics.interfacePrefixes.at(0)}),
      remoteRoutes_(nodeName_) {
  for (const auto family : options_.families)
    families_.emplace_back(family, options_.statics.rules);
  interfaces_.setPrefixes(options_.statics.interfacePrefixes);
  remoteRoutes_.setFamilies(routedFamilies(options_));
}

void NodeController::update(const api::Update& update) {
  if (update.key.kind == api::Kind::WorkloadEndpoint)
    remoteRoutes_.replace(engine_.endpoint(update.key), held<api::WorkloadEndpoint>(update),
                          nodes_);
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
      interfaces_.setPools(valuesOf(pools_));
      natDirty_ = true;
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
      remoteRoutes_.noteNode(update.key.name);
      natDirty_ = routesDirty_ = true;
      break;
    }
    default:
      break;
  }
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
    remoteRoutes_.setAddresses(addresses_);
    routesDirty_ = true;
  }
  if (links == links_) return;
  const auto note = [this](const auto& name) { linksChanged_.insert(name); };
  difference(links_, links, note, [&](const auto& name, const auto&) { note(name); });
  links_ = std::move(links);
  ++revision_;
}

void NodeController::setOptions(NodeOptions options) {
  if (options == options_) return;
  options_ = std::move(options);
  const auto before = std::exchange(families_, {});
  const auto local = engine_.endpoints();
  for (const auto family : options_.families) {
    auto& state = families_.emplace_back(family, options_.statics.rules);
    for (const auto& old : before) {
      if (old.family != family) continue;
      for (const auto& group : old.groups.all()) state.groups.keep(group);
    }
    for (const auto& endpoint : local) state.groups.join(*endpoint);
  }
  interfaces_.setPrefixes(options_.statics.interfacePrefixes);
  remoteRoutes_.setFamilies(routedFamilies(options_));
  started_ = false;
  layoutDirty_ = interfaceOptionsDirty_ = natDirty_ = routesDirty_ = true;
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
  for (const auto& key : delta.endpointsRemoved) interfaces_.remove(key);
  for (const auto& endpoint : delta.endpointsChanged) interfaces_.set(endpoint);
  applyInterfaces(out);
  applyNat(out);
  applyTables(out);
  applyNodeRoutes(out);
  return out;
}

namespace {

/// The part of the family; no value if it has none.
std::optional<MembersChange> ofFamily(const SetMembersChange& change, Family family) {
  const auto isMine = [&](const dataplane::SetMember& member) {
    return member.net.family() == family;
  };
  MembersChange mine;
  std::copy_if(change.removed.begin(), change.removed.end(), std::back_inserter(mine.removed),
               isMine);
  std::copy_if(change.added.begin(), change.added.end(), std::back_inserter(mine.added), isMine);
  if (mine.removed.empty() && mine.added.empty()) return std::nullopt;
  return mine;
}

/// Sets of addresses, which may have nets among them.
bool holdsNets(const SetId& id) {
  return setType(id.kind) == dataplane::SetType::HashNet;
}

}  // namespace

void NodeController::applySets(const PolicyDelta& delta, DesiredChange& out) {
  for (auto& state : families_) {
    const auto applies = [&](const SetId& id) { return !useMaps() || !holdsNets(id); };
    for (const auto& id : delta.setsRemoved) {
      if (applies(id)) out.setsRemoved.push_back(setName(id, state.family));
    }
    for (const auto& id : delta.setsAdded) {
      if (applies(id))
        out.setsAdded.push_back(
            {setName(id, state.family), setType(id.kind), state.family, options_.maxSetElements});
    }
    for (const auto& change : delta.members) {
      if (!applies(change.set)) continue;
      if (auto mine = ofFamily(change, state.family))
        out.members.insert_or_assign(setName(change.set, state.family), std::move(*mine));
    }
    if (useMaps()) applyAddressSets(delta, state, out);
  }
}

/// A set that gets its first net, or loses its last one, is another one from then on.
void NodeController::applyAddressSets(const PolicyDelta& delta, FamilyState& state,
                                      DesiredChange& out) {
  const auto family = state.family;
  auto& sets = addressSets_[family];
  const auto add = [&](const dataplane::SetName& plain) {
    const auto [name, type] = sets.layout(plain);
    out.setsAdded.push_back({name, type, family, options_.maxSetElements});
  };
  for (const auto& id : delta.setsRemoved) {
    if (!holdsNets(id)) continue;
    const auto plain = setName(id, family);
    out.setsRemoved.push_back(sets.layout(plain).first);
    sets.forget(plain);
  }
  std::set<dataplane::SetName> fresh;
  for (const auto& id : delta.setsAdded) {
    if (holdsNets(id)) fresh.insert(setName(id, family));
  }
  std::vector<SetId> changed;
  for (const auto& change : delta.members) {
    auto mine = holdsNets(change.set) ? ofFamily(change, family) : std::nullopt;
    if (!mine) continue;
    const auto plain = setName(change.set, family);
    const auto before = sets.layout(plain).first;
    if (sets.count(plain, *mine)) {
      state.tablesDirty = true;
      if (!fresh.contains(plain)) {
        out.setsRemoved.push_back(before);
        add(plain);
        changed.push_back(change.set);
        continue;
      }
    }
    out.members.insert_or_assign(sets.layout(plain).first, std::move(*mine));
  }
  for (const auto& plain : fresh) add(plain);
  if (changed.empty()) return;
  for (const auto& view : engine_.sets()) {
    if (std::find(changed.begin(), changed.end(), view.id) == changed.end()) continue;
    if (auto all = ofFamily({view.id, view.members, {}}, family))
      out.members.insert_or_assign(sets.layout(setName(view.id, family)).first, std::move(*all));
  }
}

void NodeController::applyGroups(const PolicyDelta& delta, DesiredChange& out) {
  for (auto& state : families_) {
    for (const auto& group : delta.groupsRemoved) state.groups.remove(*group);
    for (const auto& endpoint : delta.endpointsChanged) state.groups.join(*endpoint);
    const auto changed = state.groups.layOut();
    if (!changed.groups) continue;
    state.tablesDirty = true;
    layoutDirty_ |= changed.entries;
    applyDispatchSets(state, out);
  }
}

void NodeController::applyDispatchSets(FamilyState& state, DesiredChange& out) const {
  std::map<dataplane::SetName, dataplane::SetSpec> wanted;
  for (const auto* layout : {&state.groups.ingress(), &state.groups.egress()}) {
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

void NodeController::applyInterfaces(DesiredChange& out) {
  InterfacesTouched touched;
  touched.interfaces = interfaces_.takeChanges();
  touched.links = std::exchange(linksChanged_, {});
  touched.allEntries = std::exchange(layoutDirty_, false);
  touched.allTables = std::exchange(interfaceOptionsDirty_, false);
  if (!touched.interfaces.empty() || touched.allEntries) {
    const auto& all = interfaces_.interfaces();
    auto shared = sharedPrefixes(all, options_.statics.dispatch);
    touched.allEntries |= shared != shared_;
    shared_ = std::move(shared);
    for (auto& state : families_) {
      auto sources = sharedSources(all, shared_, state.family);
      state.tablesDirty |= sources != state.sharedSources;
      state.sharedSources = std::move(sources);
    }
  }
  programmed_.apply(interfaces_, touched, interfaceContext(), out);
}

InterfaceContext NodeController::interfaceContext() const {
  std::vector<InterfaceContext::Layouts> layouts;
  for (const auto& state : families_)
    layouts.push_back({state.family, state.groups.ingress(), state.groups.egress()});
  return {std::move(layouts),     shared_, options_.statics.dispatch, links_, options_.endpoints,
          options_.routeWorkloads};
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
  for (auto& state : families_) {
    if (!std::exchange(state.tablesDirty, false)) continue;
    const auto& shared = state.sharedSources;
    out.tables[{state.family, dataplane::TableName::Raw}] =
        rawTable(state.family, options_.statics, shared);
    auto filter = filterTable(state.family, options_.statics);
    const auto& marks = options_.statics.rules.marks;
    auto policies = useMaps() ? addressSets_[state.family].renamed(state.groups.chains())
                              : state.groups.chains();
    filter.chains.merge(policies);
    for (const auto* layout : {&state.groups.ingress(), &state.groups.egress()}) {
      for (auto& [name, rules] : useMaps() ? mapChains(*layout, shared, state.family, marks)
                                           : dispatchChains(*layout, shared, state.family))
        filter.chains.insert_or_assign(name, rules);
    }
    out.tables[{state.family, dataplane::TableName::Filter}] = std::move(filter);
  }
}

void NodeController::applyNodeRoutes(DesiredChange& out) {
  auto single =
      remoteRoutes_.apply(nodes_, [this](const auto& visit) { engine_.forEachEndpoint(visit); });
  std::move(single.removed.begin(), single.removed.end(), std::back_inserter(out.routesRemoved));
  std::move(single.set.begin(), single.set.end(), std::back_inserter(out.routes));
  if (!std::exchange(routesDirty_, false)) return;
  NodeRoutes wanted;
  if (options_.nodeRouting) wanted = nodeRoutes(valuesOf(nodes_), nodeName_, addresses_);
  std::erase_if(wanted.routes, [&](const auto& entry) {
    return std::find(options_.families.begin(), options_.families.end(),
                     entry.first.destination.family()) == options_.families.end();
  });
  difference(
      nodeRoutes_, wanted.routes, [&](const auto& key) { out.routesRemoved.push_back(key); },
      [&](const auto&, const auto& route) { out.routes.push_back(route); });
  nodeRoutes_ = std::move(wanted.routes);
  skipped_ = std::move(wanted.skipped);
}

std::vector<SkippedRoute> NodeController::skippedRoutes() const {
  auto out = skipped_;
  const auto remote = remoteRoutes_.skipped(nodes_);
  out.insert(out.end(), remote.begin(), remote.end());
  return out;
}

}  // namespace margay::controllers

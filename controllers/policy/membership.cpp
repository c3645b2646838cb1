#include "controllers/policy/membership.h"

#include <algorithm>
#include <utility>

#include "base/result.h"

namespace margay::controllers {
namespace {

template <class T>
void sortUnique(std::vector<T>& all) {
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
}

const std::vector<std::string>& profilesOf(const api::WorkloadEndpoint& endpoint) {
  static const std::vector<std::string> kNone;
  return endpoint.profiles ? *endpoint.profiles : kNone;
}

bool samePorts(const api::EndpointPorts& a, const api::EndpointPorts& b) {
  static const std::vector<api::EndpointPort> kNone;
  return a == b || (a ? *a : kNone) == (b ? *b : kNone);
}

/// Neither the members nor the labels of the item differ.
bool sameForSets(const api::WorkloadEndpoint& a, const api::WorkloadEndpoint& b) {
  return a.addresses == b.addresses && a.labels == b.labels && profilesOf(a) == profilesOf(b) &&
         samePorts(a.ports, b.ports);
}

}  // namespace

template <class Visit>
void Membership::forEachOf(ClassId of, const Visit& visit) const {
  if (of >= firstOf_.size()) return;
  for (auto id = firstOf_[of]; id != kNoItem; id = items_[id].next) visit(items_[id]);
}

Membership::Membership()
    : index_([this](ClassId changing, SelectorId selector) {
        if (selector >= setsOf_.size()) return;
        for (const auto set : setsOf_[selector]) {
          forEachOf(changing, [&](const Item& item) { touch(set, item); });
        }
      }) {}

void Membership::set(const api::ObjectKey& key, Shared<api::WorkloadEndpoint> endpoint) {
  if (!endpoint) return remove(key);
  Item next;
  next.endpoint = std::move(endpoint);
  put(key, std::move(next));
}

void Membership::set(const api::ObjectKey& key, Shared<api::NetworkSet> networkSet) {
  if (!networkSet) return remove(key);
  Item next;
  next.networkSet = std::move(networkSet);
  put(key, std::move(next));
}

void Membership::put(const api::ObjectKey& key, Item next) {
  const auto found = items_.find(key);
  if (!found) {
    next.labelClass = index_.acquire(next.labels(), next.ownProfiles());
    touch(index_.selectorsOf(next.labelClass), next);
    enterClass(items_.add(key, std::move(next)));
    return;
  }
  const Item& before = items_[*found];
  next.labelClass = before.labelClass;
  next.next = before.next;
  next.previous = before.previous;
  const bool sameClass =
      before.labels() == next.labels() && before.ownProfiles() == next.ownProfiles();
  if (sameClass && before.endpoint && sameForSets(*before.endpoint, *next.endpoint))
    return items_.replaceValue(*found, std::move(next));
  if (!sameClass) next.labelClass = index_.acquire(next.labels(), next.ownProfiles());
  touch(index_.selectorsOf(before.labelClass), before);
  touch(index_.selectorsOf(next.labelClass), next);
  if (sameClass) return items_.replace(*found, std::move(next));
  const auto left = before.labelClass;
  leaveClass(*found);
  items_.replace(*found, std::move(next));
  enterClass(*found);
  index_.release(left);
}

void Membership::remove(const api::ObjectKey& key) {
  const auto found = items_.find(key);
  if (!found) return;
  const auto left = items_[*found].labelClass;
  touch(index_.selectorsOf(left), items_[*found]);
  leaveClass(*found);
  items_.erase(key, *found);
  index_.release(left);
}

void Membership::enterClass(ItemId id) {
  const auto entered = items_[id].labelClass;
  if (entered >= firstOf_.size()) firstOf_.resize(index_.classLimit(), kNoItem);
  items_.link(kNoItem, id);
  items_.link(id, firstOf_[entered]);
  firstOf_[entered] = id;
}

void Membership::leaveClass(ItemId id) {
  const auto& left = items_[id];
  if (left.previous == kNoItem) firstOf_[left.labelClass] = left.next;
  items_.link(left.previous, left.next);
}

Shared<api::WorkloadEndpoint> Membership::endpoint(const api::ObjectKey& key) const {
  const auto found = items_.find(key);
  return found ? items_[*found].endpoint : nullptr;
}

void Membership::set(const api::ObjectKey& key, Services::Slice slice) {
  if (slice) touch(*slice);
  if (const auto before = services_.get(key)) touch(*before);
  services_.set(key, std::move(slice));
}

void Membership::setProfileLabels(const std::string& profile, const api::Labels& labels) {
  index_.setProfileLabels(profile, labels);
}

template <class Visit>
void Membership::contributions(const SetId& set, const Item& item, const Visit& visit) {
  if (set.kind == SetKind::Selector) {
    item.forEachPrefix([&](const Prefix& prefix) {
      visit(dataplane::SetMember{prefix, 0, 0, {}});
    });
    return;
  }
  if (!item.endpoint || !item.endpoint->ports) return;
  for (const auto& port : *item.endpoint->ports) {
    if (port.protocol != set.protocol || port.name != set.portName) continue;
    item.forEachPrefix([&](const Prefix& prefix) {
      visit(dataplane::SetMember{prefix, port.protocol, port.port, {}});
    });
  }
}

template <class Visit>
void Membership::contributions(const SetId& set, const api::EndpointSlice& slice,
                               const Visit& visit) {
  for (const auto& address : slice.addresses) {
    const auto prefix = Prefix::host(address);
    if (set.kind == SetKind::ServiceNoPort) {
      visit(dataplane::SetMember{prefix, 0, 0, {}});
      continue;
    }
    for (const auto& port : slice.ports)
      visit(dataplane::SetMember{prefix, port.protocol, port.port, {}});
  }
}

void Membership::touch(const std::vector<SelectorId>& selectors, const Item& item) {
  for (const auto selector : selectors) {
    for (const auto set : setsOf_[selector]) touch(set, item);
  }
}

void Membership::touch(SetIndex set, const Item& item) {
  if (!sets_[set].announced) return;
  contributions(sets_[set].id, item,
                [&](const dataplane::SetMember& member) { touch(set, member); });
}

void Membership::touch(const api::EndpointSlice& slice) {
  const auto found = setsOfService_.find(Services::serviceOf(slice));
  if (found == setsOfService_.end()) return;
  for (const auto set : found->second) {
    if (!sets_[set].announced) continue;
    contributions(sets_[set].id, slice,
                  [&](const dataplane::SetMember& member) { touch(set, member); });
  }
}

void Membership::touch(SetIndex set, const dataplane::SetMember& member) {
  const auto [at, added] = touched_.try_emplace(Touched{set, member}, false);
  if (added) at->second = present(sets_[set], member);
}

bool Membership::present(const Set& set, const dataplane::SetMember& member) const {
  if (hasSelector(set.id.kind)) {
    return items_.anyWith(member.net, [&](const Item& item) {
      if (!index_.matches(item.labelClass, set.selector)) return false;
      if (set.id.kind == SetKind::Selector) return true;
      if (!item.endpoint || !item.endpoint->ports) return false;
      const auto& ports = *item.endpoint->ports;
      return std::find(ports.begin(), ports.end(),
                       api::EndpointPort{set.id.portName, member.protocol, member.port}) !=
             ports.end();
    });
  }
  const auto& slices = services_.of(set.id.service);
  return std::any_of(slices.begin(), slices.end(), [&](const Services::Slice& slice) {
    if (!std::binary_search(slice->addresses.begin(), slice->addresses.end(), member.net.address))
      return false;
    if (set.id.kind == SetKind::ServiceNoPort) return true;
    return std::any_of(slice->ports.begin(), slice->ports.end(), [&](const api::ServicePort& port) {
      return port.protocol == member.protocol && port.port == member.port;
    });
  });
}

std::vector<dataplane::SetMember> Membership::members(const Set& set) const {
  std::vector<dataplane::SetMember> out;
  const auto collect = [&](const dataplane::SetMember& member) { out.push_back(member); };
  if (hasSelector(set.id.kind)) {
    for (const auto of : index_.classesOf(set.selector)) {
      forEachOf(of, [&](const Item& item) { contributions(set.id, item, collect); });
    }
  } else {
    for (const auto& slice : services_.of(set.id.service)) contributions(set.id, *slice, collect);
  }
  sortUnique(out);
  return out;
}

SetIndex Membership::acquire(const SetNeed& need) {
  if (const auto found = setById_.find(need.id); found != setById_.end()) {
    if (sets_[found->second].uses++ == 0) markDirty(found->second);
    return found->second;
  }
  SetIndex id = 0;
  if (freeSets_.empty()) {
    id = static_cast<SetIndex>(sets_.size());
    sets_.emplace_back();
  } else {
    id = freeSets_.back();
    freeSets_.pop_back();
  }
  sets_[id].id = need.id;
  sets_[id].uses = 1;
  setById_.emplace(need.id, id);
  if (hasSelector(need.id.kind)) {
    sets_[id].selector = index_.add(need.selector);
    if (sets_[id].selector >= setsOf_.size()) setsOf_.resize(sets_[id].selector + 1);
    setsOf_[sets_[id].selector].push_back(id);
  } else {
    setsOfService_[need.id.service].push_back(id);
  }
  markDirty(id);
  return id;
}

void Membership::release(SetIndex set) {
  MGY_CHECK(sets_[set].uses > 0);
  if (--sets_[set].uses == 0) markDirty(set);
}

void Membership::markDirty(SetIndex set) {
  if (std::exchange(sets_[set].dirty, true)) return;
  dirtySets_.push_back(set);
}

void Membership::destroy(SetIndex set) {
  auto& gone = sets_[set];
  const auto forget = [&](std::vector<SetIndex>& all) {
    all.erase(std::find(all.begin(), all.end(), set));
  };
  setById_.erase(gone.id);
  if (hasSelector(gone.id.kind)) {
    forget(setsOf_[gone.selector]);
    index_.remove(gone.selector);
  } else {
    const auto of = setsOfService_.find(gone.id.service);
    forget(of->second);
    if (of->second.empty()) setsOfService_.erase(of);
  }
  gone = Set{};
  freeSets_.push_back(set);
}

void Membership::flush(PolicyDelta& delta) {
  flushMembers(delta);
  for (const auto id : std::exchange(dirtySets_, {})) {
    auto& set = sets_[id];
    set.dirty = false;
    if (set.uses > 0 && !set.announced) {
      set.announced = true;
      delta.setsAdded.push_back(set.id);
      if (auto all = members(set); !all.empty())
        delta.members.push_back({set.id, std::move(all), {}});
    } else if (set.uses == 0) {
      if (set.announced) delta.setsRemoved.push_back(set.id);
      destroy(id);
    }
  }
  std::sort(delta.setsAdded.begin(), delta.setsAdded.end());
  std::sort(delta.setsRemoved.begin(), delta.setsRemoved.end());
}

void Membership::flushMembers(PolicyDelta& delta) {
  std::map<SetIndex, SetMembersChange> changes;
  for (const auto& [touched, was] : std::exchange(touched_, {})) {
    const auto& set = sets_[touched.set];
    if (set.uses == 0) continue;
    const bool is = present(set, touched.member);
    if (is == was) continue;
    auto& change = changes[touched.set];
    (is ? change.added : change.removed).push_back(touched.member);
  }
  for (auto& [id, change] : changes) {
    change.set = sets_[id].id;
    std::sort(change.added.begin(), change.added.end());
    std::sort(change.removed.begin(), change.removed.end());
    delta.members.push_back(std::move(change));
  }
}

std::vector<Membership::View> Membership::sets() const {
  std::vector<View> out;
  for (const auto& [id, index] : setById_) {
    if (sets_[index].uses > 0) out.push_back({id, members(sets_[index])});
  }
  return out;
}

}  // namespace margay::controllers

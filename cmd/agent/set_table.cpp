#include "cmd/agent/set_table.h"

#include "cmd/agent/phases.h"

namespace margay::agent {
namespace {

using dataplane::SetMember;
using dataplane::SetName;
using dataplane::SetSpec;
using dataplane::SetType;
using reconcile::GroupStep;

/// "mgy4-gi-HASH", "mgy6-go-HASH"; the other sets of (address, interface) are buckets.
bool isGroup(const SetName& name) {
  return name.size() > 8 && (name.substr(4, 4) == "-gi-" || name.substr(4, 4) == "-go-");
}

}  // namespace

bool isLocalSet(const SetName& name) {
  return name == "mgy4-local" || name == "mgy6-local";
}

SetTableAdapter::SetTableAdapter(Backend backend, dataplane::IpsetDriver& driver,
                                 std::function<void(const Address&)> onLeft,
                                 const reconcile::TableOptions& options, reconcile::Jitter& jitter)
    : backend_(backend) {
  reconcile::GroupedDriver<SetName, SetSpec, SetMember> functions;
  functions.list = [&driver]() -> Result<std::map<SetName, reconcile::GroupHeader<SetSpec>>> {
    auto headers = driver.list();
    if (!headers) return Fail(headers.error());
    std::map<SetName, reconcile::GroupHeader<SetSpec>> out;
    for (const auto& [name, header] : *headers)
      out.emplace(name, reconcile::GroupHeader<SetSpec>{header.spec, header.entries});
    return out;
  };
  functions.items = [&driver](const SetName& name) { return driver.members(name); };
  functions.create = [&driver](const SetName&, const SetSpec& spec) { return driver.create(spec); };
  functions.destroy = [&driver](const SetName& name) { return driver.destroy(name); };
  functions.apply = [&driver](const SetName& name, std::span<const Change<SetMember>> changes) {
    return driver.apply(name, changes);
  };
  functions.phaseOf = [this](GroupStep step, const SetName& name) {
    return backend_ == Backend::Nft ? nftPhaseOf(step, name) : phaseOf(step, name);
  };
  functions.describeGroup = [](const SetName& name) { return "set " + name; };
  functions.describeItem = [](const SetName& name, const SetMember& member) {
    return name + ' ' + member.str();
  };
  functions.fingerprint = [&driver] { return driver.generation(); };
  functions.onApplied = [left = std::move(onLeft)](Op op, const SetName& name,
                                                   const SetMember* member) {
    if (op == Op::Remove && member != nullptr && isLocalSet(name) && member->net.isHost())
      left(member->net.address);
  };
  table_ = std::make_unique<Table>(backend == Backend::Nft ? "nft_set" : "ipset",
                                   std::move(functions), options, jitter);
}

void SetTableAdapter::addSet(SetSpec spec) {
  // Sets of nf_tables grow as they must.
  if (backend_ == Backend::Nft) spec.maxElements = SetSpec{}.maxElements;
  types_[spec.name] = spec.type;
  table_->addGroup(spec.name, spec);
}

void SetTableAdapter::removeSet(const SetName& name) {
  types_.erase(name);
  covers_.erase(name);
  table_->removeGroup(name);
}

bool SetTableAdapter::hasIntervals(const SetName& name) const {
  const auto type = types_.find(name);
  return backend_ == Backend::Nft && type != types_.end() && type->second == SetType::HashNet;
}

void SetTableAdapter::follow(const SetName& set, const dataplane::PrefixCover::Change& change) {
  SetMember member;
  for (const auto& net : change.removed) {
    member.net = net;
    table_->removeItem(set, member);
  }
  for (const auto& net : change.added) {
    member.net = net;
    table_->addItem(set, member);
  }
}

void SetTableAdapter::addMember(const SetName& set, const SetMember& member) {
  if (!hasIntervals(set)) {
    table_->addItem(set, member);
    return;
  }
  follow(set, covers_[set].add(member.net, [&](const dataplane::PrefixCover::Visit& visit) {
    std::vector<Prefix> held;
    table_->forEachItem(set, [&](const SetMember& one) { held.push_back(one.net); });
    for (const Prefix& net : held) visit(net);
  }));
}

void SetTableAdapter::removeMember(const SetName& set, const SetMember& member) {
  if (!hasIntervals(set)) {
    table_->removeItem(set, member);
    return;
  }
  follow(set, covers_[set].remove(member.net));
}

/// Sets of (address, interface) are who may send and how packets find their group; all others are
/// what rules match.
reconcile::Phase SetTableAdapter::phaseOf(GroupStep step, const SetName& name) const {
  const auto type = types_.find(name);
  const bool dispatch = type != types_.end() && type->second == SetType::HashNetIface;
  switch (step) {
    case GroupStep::Create:
    case GroupStep::FillNew:
      return kSets;
    case GroupStep::AddItem:
      return isLocalSet(name) ? kAdmit : !dispatch ? kSets : isGroup(name) ? kJoin : kJoinBucket;
    case GroupStep::RemoveItem:
      return isLocalSet(name) ? kLeave
             : !dispatch      ? kShrink
             : isGroup(name)  ? kLeaveGroup
                              : kLeaveBucket;
    case GroupStep::Destroy:
      return kDestroy;
  }
  return kDestroy;
}

/// In one transaction, in the order in which the kernel can take it: what goes makes room for what
/// comes, and rules need their sets. But a packet that is still in an old rule looks into a map as
/// it is now, and must know every number in it: where rules change, the numbers follow them in a
/// transaction of their own.
reconcile::Phase SetTableAdapter::nftPhaseOf(GroupStep step, const SetName& name) const {
  const auto type = types_.find(name);
  const bool isLate = rulesChange_ && type != types_.end() && type->second == SetType::NumberMap;
  const auto joins = isLocalSet(name) && admitLate_ ? kAdmit : kSets;
  switch (step) {
    case GroupStep::RemoveItem:
      return isLate ? kHost : kLeave;
    case GroupStep::Create:
      return kSets;
    case GroupStep::FillNew:
      return joins;
    case GroupStep::AddItem:
      return isLate ? kAdmit : joins;
    case GroupStep::Destroy:
      return kLeaveGroup;
  }
  return kLeaveGroup;
}

}  // namespace margay::agent

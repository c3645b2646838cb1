#include "controllers/policy/dispatch.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/hash.h"

namespace margay::controllers {
namespace {

using api::PolicyDirection;
using dataplane::End;
using dataplane::GoTo;
using dataplane::Rule;
using dataplane::Sense;
using dataplane::SetMember;
using dataplane::SetType;

constexpr std::size_t kBitsInName = 20;
constexpr std::size_t kDigitsOfNumber = 8;

std::string setPrefix(Family family) {
  return family == Family::V4 ? "mgy4-" : "mgy6-";
}
bool isIngress(PolicyDirection direction) {
  return direction == PolicyDirection::Ingress;
}

std::string bucketTail(PolicyDirection direction, const std::string& bits) {
  return (isIngress(direction) ? "bi-" : "bo-") +
         (bits.size() <= kBitsInName ? bits : "h" + contentHash(bits, 16));
}
dataplane::SetName bucketSetName(PolicyDirection direction, const std::string& bits,
                                 Family family) {
  return setPrefix(family) + bucketTail(direction, bits);
}

bool bitOf(const std::string& hexHash, std::size_t bit) {
  const char c = hexHash[bit / 4];
  const int digit = c <= '9' ? c - '0' : c - 'a' + 10;
  return (digit >> (3 - bit % 4) & 1) != 0;
}

/// `groups` share their leading `bits` and are sorted by hash.
void split(std::span<const GroupPtr> groups, const std::string& bits,
           std::vector<DispatchLayout::Bucket>& out) {
  if (groups.empty()) return;
  if (groups.size() <= kBucketGroups || bits.size() >= groups.front()->hash.size() * 4) {
    out.push_back({bits, {groups.begin(), groups.end()}});
    return;
  }
  const auto middle =
      std::partition_point(groups.begin(), groups.end(),
                           [&](const GroupPtr& group) { return !bitOf(group->hash, bits.size()); });
  const auto low = static_cast<std::size_t>(middle - groups.begin());
  split(groups.first(low), bits + '0', out);
  split(groups.subspan(low), bits + '1', out);
}

/// `groups` are sorted by hash.
std::map<std::string, std::uint32_t> numbersOf(std::span<const GroupPtr> groups) {
  std::map<std::string, std::uint32_t> out;
  std::set<std::uint32_t> taken;
  for (const GroupPtr& group : groups) {
    std::uint32_t number = 0;
    std::from_chars(group->hash.data(), group->hash.data() + kDigitsOfNumber, number, 16);
    while (!taken.insert(number).second) ++number;
    out.emplace(group->hash, number);
  }
  return out;
}

bool isLinkLocal(const Prefix& prefix) {
  static const Prefix kV4 = *Prefix::parseNetwork("169.254.0.0/16");
  static const Prefix kV6 = *Prefix::parseNetwork("fe80::/10");
  return kV4.contains(prefix) || kV6.contains(prefix);
}

SetMember memberOf(const Prefix& net, const dataplane::IfName& device) {
  SetMember member;
  member.net = net;
  member.device = device;
  return member;
}

/// What the interface may send from, of the family, that sets can hold. `addresses` are among them.
std::vector<Prefix> setPrefixesOf(const WorkloadInterface& interface,
                                  const std::set<Prefix>& shared, Family family) {
  std::set<Prefix> out;
  for (const Prefix& address : interface.addresses) {
    if (address.family() == family) out.insert(address);
  }
  for (const Prefix& prefix : interface.endpoint->endpoint->details().allowedSources) {
    if (prefix.family() == family && !shared.contains(prefix.masked())) out.insert(prefix.masked());
  }
  return {out.begin(), out.end()};
}

/// Which side of the bucket the hash is on: below zero before it, zero in it.
int sideOf(const std::string& hash, const std::string& bits) {
  for (std::size_t i = 0; i < bits.size(); ++i) {
    const int difference = (bitOf(hash, i) ? 1 : 0) - (bits[i] == '1' ? 1 : 0);
    if (difference != 0) return difference;
  }
  return 0;
}

const DispatchLayout::Bucket* bucketOf(const DispatchLayout& layout, const GroupPtr& group) {
  const auto found = std::partition_point(
      layout.buckets.begin(), layout.buckets.end(),
      [&](const auto& bucket) { return sideOf(group->hash, bucket.bits) > 0; });
  if (found == layout.buckets.end() || sideOf(group->hash, found->bits) != 0) return nullptr;
  return layout.numbers.contains(group->hash) ? &*found : nullptr;
}

Rule dispatchRule(const dataplane::SetName& set, PolicyDirection direction, std::string chain) {
  const End end = isIngress(direction) ? End::Destination : End::Source;
  return {{dataplane::SetMatch{set, {end, end}, Sense::Is, SetType::HashNetIface}},
          GoTo{std::move(chain)},
          {}};
}

Rule sharedRule(const SharedSource& source, PolicyDirection direction) {
  const bool in = isIngress(direction);
  Rule rule{
      {dataplane::InterfaceMatch{in ? dataplane::Side::Out : dataplane::Side::In, source.device}},
      GoTo{groupChainName(in ? *source.ingress : *source.egress)},
      {}};
  if (source.prefix.length > 0) {
    rule.matches.emplace_back(
        dataplane::NetMatch{in ? End::Destination : End::Source, source.prefix, Sense::Is});
  }
  return rule;
}

dataplane::ChainRules share(std::vector<Rule> rules) {
  return std::make_shared<const std::vector<Rule>>(std::move(rules));
}

}  // namespace

DispatchLayout dispatchLayout(PolicyDirection direction, std::span<const GroupPtr> groups) {
  std::vector<GroupPtr> sorted;
  std::copy_if(groups.begin(), groups.end(), std::back_inserter(sorted),
               [&](const GroupPtr& group) { return group->direction == direction; });
  std::sort(sorted.begin(), sorted.end(),
            [](const GroupPtr& a, const GroupPtr& b) { return a->hash < b->hash; });
  sorted.erase(std::unique(sorted.begin(), sorted.end(),
                           [](const GroupPtr& a, const GroupPtr& b) { return a->hash == b->hash; }),
               sorted.end());
  DispatchLayout layout;
  layout.direction = direction;
  split(sorted, {}, layout.buckets);
  layout.numbers = numbersOf(sorted);
  return layout;
}

bool sameEntries(const DispatchLayout& before, const DispatchLayout& after) {
  const auto sameBits = [](const auto& a, const auto& b) { return a.bits == b.bits; };
  if (!std::equal(before.buckets.begin(), before.buckets.end(), after.buckets.begin(),
                  after.buckets.end(), sameBits))
    return false;
  return std::all_of(before.numbers.begin(), before.numbers.end(), [&](const auto& entry) {
    const auto now = after.numbers.find(entry.first);
    return now == after.numbers.end() || now->second == entry.second;
  });
}

dataplane::SetName groupSetName(const Group& group, Family family) {
  return setPrefix(family) + (isIngress(group.direction) ? "gi-" : "go-") +
         group.hash.substr(0, 16);
}

std::vector<dataplane::SetSpec> dispatchSets(const DispatchLayout& layout, Family family) {
  std::vector<dataplane::SetSpec> specs;
  for (const auto& bucket : layout.buckets) {
    if (!bucket.bits.empty()) {
      specs.push_back(
          {bucketSetName(layout.direction, bucket.bits, family), SetType::HashNetIface, family});
    }
    for (const GroupPtr& group : bucket.groups) {
      specs.push_back({groupSetName(*group, family), SetType::HashNetIface, family});
    }
  }
  return specs;
}

dataplane::SetSpec localSet(Family family) {
  return {setPrefix(family) + "local", SetType::HashNetIface, family};
}

std::set<Prefix> sharedPrefixes(std::span<const WorkloadInterface> interfaces, Dispatch dispatch) {
  std::map<Prefix, std::size_t> users;
  std::set<Prefix> shared;
  const auto sendsOwnOnly = [](const WorkloadInterface& interface) {
    return interface.endpoint->endpoint->details().allowedSources.empty();
  };
  if (std::all_of(interfaces.begin(), interfaces.end(), sendsOwnOnly)) return shared;
  for (const WorkloadInterface& interface : interfaces) {
    std::set<Prefix> own;
    for (const Prefix& prefix : interface.endpoint->endpoint->details().allowedSources)
      own.insert(prefix.masked());
    for (const Prefix& prefix : own) {
      const bool unfit = dispatch == Dispatch::Maps && !prefix.isHost();
      if (unfit || prefix.length == 0 || isLinkLocal(prefix)) shared.insert(prefix);
      ++users[prefix];
    }
    for (const Prefix& address : interface.addresses) {
      if (!own.contains(address)) ++users[address];
    }
  }
  if (dispatch == Dispatch::Maps) return shared;
  for (const auto& [prefix, count] : users) {
    if (count > kInterfacesPerPrefix) shared.insert(prefix);
  }
  return shared;
}

std::vector<SharedSource> sharedSources(std::span<const WorkloadInterface> interfaces,
                                        const std::set<Prefix>& shared, Family family) {
  std::vector<SharedSource> out;
  if (shared.empty()) return out;
  for (const WorkloadInterface& interface : interfaces) {
    std::set<Prefix> own;
    for (const Prefix& prefix : interface.endpoint->endpoint->details().allowedSources) {
      if (prefix.family() == family && shared.contains(prefix.masked()))
        own.insert(prefix.masked());
    }
    for (const Prefix& prefix : own) {
      out.push_back(
          {interface.device, prefix, interface.endpoint->ingress, interface.endpoint->egress});
    }
  }
  std::sort(out.begin(), out.end(), [](const SharedSource& a, const SharedSource& b) {
    return std::tie(a.device, a.prefix) < std::tie(b.device, b.prefix);
  });
  return out;
}

DispatchEntries dispatchEntries(const WorkloadInterface& interface, Family family,
                                const DispatchLayout& ingress, const DispatchLayout& egress,
                                const std::set<Prefix>& shared) {
  DispatchEntries entries;
  const std::vector<Prefix> prefixes = setPrefixesOf(interface, shared, family);
  const auto join = [&](const DispatchLayout& layout, const GroupPtr& group) {
    if (!group) return;
    for (const Prefix& prefix : prefixes)
      entries.groups.push_back({groupSetName(*group, family), memberOf(prefix, interface.device)});
    const DispatchLayout::Bucket* bucket = bucketOf(layout, group);
    if (bucket == nullptr || bucket->bits.empty()) return;
    for (const Prefix& prefix : prefixes) {
      entries.groups.push_back({bucketSetName(layout.direction, bucket->bits, family),
                                memberOf(prefix, interface.device)});
    }
  };
  join(ingress, interface.endpoint->ingress);
  join(egress, interface.endpoint->egress);
  for (const Prefix& prefix : prefixes)
    entries.local.push_back({localSet(family).name, memberOf(prefix, interface.device)});
  return entries;
}

dataplane::SetSpec dispatchMap(PolicyDirection direction, Family family) {
  return {setPrefix(family) + (isIngress(direction) ? "to" : "from"), SetType::NumberMap, family};
}

DispatchEntries mapEntries(const WorkloadInterface& interface, Family family,
                           const DispatchLayout& ingress, const DispatchLayout& egress,
                           const std::set<Prefix>& shared) {
  DispatchEntries entries;
  const std::vector<Prefix> prefixes = setPrefixesOf(interface, shared, family);
  for (const GroupPtr& group : {interface.endpoint->ingress, interface.endpoint->egress}) {
    if (!group) continue;
    const auto& numbers = (isIngress(group->direction) ? ingress : egress).numbers;
    const auto number = numbers.find(group->hash);
    if (number == numbers.end()) continue;
    const SharedString target(dataplane::numberText(number->second));
    for (const Prefix& prefix : prefixes) {
      entries.groups.push_back(
          {dispatchMap(group->direction, family).name, memberOf(prefix, interface.device)});
      entries.groups.back().member.target = target;
    }
  }
  for (const Prefix& prefix : prefixes)
    entries.local.push_back({localSet(family).name, memberOf(prefix, interface.device)});
  return entries;
}

ChainMap mapChains(const DispatchLayout& layout, std::span<const SharedSource> shared,
                   Family family, const MarkBits& marks) {
  const bool in = isIngress(layout.direction);
  const std::uint32_t ours = marks.accept | marks.pass;
  dataplane::LookUpChain look{
      dispatchMap(layout.direction, family).name, in ? End::Destination : End::Source, {}, ours};
  for (const auto& bucket : layout.buckets) {
    for (const GroupPtr& group : bucket.groups)
      look.chains.emplace(layout.numbers.at(group->hash), groupChainName(*group));
  }
  std::vector<Rule> rules;
  if (!look.chains.empty())
    rules.push_back({{}, std::move(look), "the number of the group, then its chain"});
  rules.push_back({{}, dataplane::SetMark{0, ours}, {}});
  for (const SharedSource& source : shared) {
    if (in ? source.ingress : source.egress) rules.push_back(sharedRule(source, layout.direction));
  }
  return {{std::string(in ? kToDispatchChain : kFromDispatchChain), share(std::move(rules))}};
}

ChainMap dispatchChains(const DispatchLayout& layout, std::span<const SharedSource> shared,
                        Family family) {
  ChainMap chains;
  std::vector<Rule> top;
  for (const auto& bucket : layout.buckets) {
    std::vector<Rule> rules;
    for (const GroupPtr& group : bucket.groups) {
      rules.push_back(
          dispatchRule(groupSetName(*group, family), layout.direction, groupChainName(*group)));
    }
    if (bucket.bits.empty()) {
      top = std::move(rules);
      break;
    }
    const std::string chain = "mgy-" + bucketTail(layout.direction, bucket.bits);
    top.push_back(dispatchRule(bucketSetName(layout.direction, bucket.bits, family),
                               layout.direction, chain));
    chains[chain] = share(std::move(rules));
  }
  for (const SharedSource& source : shared) {
    if (isIngress(layout.direction) ? source.ingress : source.egress)
      top.push_back(sharedRule(source, layout.direction));
  }
  chains[std::string(isIngress(layout.direction) ? kToDispatchChain : kFromDispatchChain)] =
      share(std::move(top));
  return chains;
}

}  // namespace margay::controllers

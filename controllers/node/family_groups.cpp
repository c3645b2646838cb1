#include "controllers/node/family_groups.h"

#include <algorithm>
#include <utility>

namespace margay::controllers {
namespace {

constexpr std::size_t indexOf(api::PolicyDirection direction) {
  return direction == api::PolicyDirection::Ingress ? 0 : 1;
}

std::vector<GroupPtr> valuesOf(const std::map<std::string, GroupPtr>& groups) {
  std::vector<GroupPtr> out;
  out.reserve(groups.size());
  for (const auto& [hash, group] : groups) out.push_back(group);
  return out;
}

}  // namespace

bool FamilyGroups::concerns(const LocalEndpoint& endpoint) const {
  const auto mine = [this](const Prefix& prefix) { return prefix.family() == family_; };
  const auto& addresses = endpoint.endpoint->addresses;
  const auto& sources = endpoint.endpoint->details().allowedSources;
  return std::any_of(addresses.begin(), addresses.end(), mine) ||
         std::any_of(sources.begin(), sources.end(), mine);
}

void FamilyGroups::join(const LocalEndpoint& endpoint) {
  if (!concerns(endpoint)) return;
  if (endpoint.ingress) keep(endpoint.ingress);
  if (endpoint.egress) keep(endpoint.egress);
}

void FamilyGroups::keep(const GroupPtr& group) {
  if (!groups_[indexOf(group->direction)].emplace(group->hash, group).second) return;
  chains_.add(group);
  changed_ = true;
}

void FamilyGroups::remove(const Group& group) {
  if (groups_[indexOf(group.direction)].erase(group.hash) == 0) return;
  chains_.remove(group);
  changed_ = true;
}

FamilyGroups::Change FamilyGroups::layOut() {
  if (!std::exchange(changed_, false)) return {};
  const auto renew = [this](DispatchLayout& layout, std::size_t index) {
    auto next = dispatchLayout(layout.direction, valuesOf(groups_[index]));
    const bool same = sameEntries(layout, next);
    layout = std::move(next);
    return !same;
  };
  const bool ingress = renew(ingress_, 0);
  const bool egress = renew(egress_, 1);
  return {true, ingress || egress};
}

std::vector<GroupPtr> FamilyGroups::all() const {
  auto out = valuesOf(groups_[0]);
  const auto egress = valuesOf(groups_[1]);
  out.insert(out.end(), egress.begin(), egress.end());
  return out;
}

}  // namespace margay::controllers

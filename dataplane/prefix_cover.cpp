#include "dataplane/prefix_cover.h"

namespace margay::dataplane {

bool PrefixCover::covered(const Prefix& member) const {
  if (nets_.empty()) return false;
  for (std::uint8_t length = 0; length < member.length; ++length) {
    if (lengths_[length] != 0 && nets_.contains(Prefix{member.address, length}.masked()))
      return true;
  }
  return false;
}

void PrefixCover::count(const Prefix& net, int by) {
  lengths_[net.length] += static_cast<std::size_t>(by);
}

PrefixCover::Change PrefixCover::add(const Prefix& member,
                                     const std::function<void(const Visit&)>& forEachHeld) {
  Change out;
  const bool hide = covered(member);
  if (hide) hidden_.insert(member);
  if (!hide && !member.isHost()) {
    forEachHeld([&](const Prefix& held) {
      if (held == member || !member.contains(held)) return;
      hidden_.insert(held);
      out.removed.push_back(held);
    });
  }
  if (!member.isHost() && nets_.insert(member).second) count(member, 1);
  if (!hide) out.added.push_back(member);
  return out;
}

PrefixCover::Change PrefixCover::remove(const Prefix& member) {
  Change out;
  if (!member.isHost() && nets_.erase(member) > 0) count(member, -1);
  if (hidden_.erase(member) > 0) return out;
  out.removed.push_back(member);
  if (member.isHost()) return out;
  for (auto inner = hidden_.lower_bound(Prefix{member.address, 0});
       inner != hidden_.end() && member.contains(*inner);) {
    if (covered(*inner)) {
      ++inner;
    } else {
      out.added.push_back(*inner);
      inner = hidden_.erase(inner);
    }
  }
  return out;
}

}  // namespace margay::dataplane

#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <map>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/result.h"
#include "reconcile/audit_schedule.h"
#include "reconcile/backoff.h"
#include "reconcile/grouped_driver.h"
#include "reconcile/grouped_state.h"
#include "reconcile/table.h"
#include "reconcile/table_log.h"

namespace margay::reconcile {

/// The half of a GroupedTable that knows: which groups there should be and are, with their items.
/// It takes input, reads the kernel, and names the groups that may need something.
template <class GroupKey, class GroupSpec, class Item, class Hash>
class GroupedContent : public Table {
 public:
  using Driver = GroupedDriver<GroupKey, GroupSpec, Item>;
  using Group = GroupState<GroupKey, GroupSpec, Item, Hash>;

  GroupedContent(std::string name, Driver driver, TableOptions options, Jitter& jitter)
      : driver_(std::move(driver)),
        options_(options),
        log_(std::move(name)),
        audit_(rolling(options.audit), options.backoff, jitter),
        groupBackoff_(options.backoff, jitter),
        itemBackoff_(options.backoff, jitter) {}

  /// The group should be there, as `spec` says. Its items stay. O(1).
  bool addGroup(const GroupKey& key, GroupSpec spec) {
    Group& group = groupAt(key);
    if (group.wanted == spec) return false;
    group.wanted = std::move(spec);
    release(group);
    return true;
  }
  /// Nobody wants the group or its items. O(items).
  bool removeGroup(const GroupKey& key) {
    const auto found = groups_.find(key);
    if (found == groups_.end()) return false;
    Group& group = found->second;
    const bool changed = group.wanted.has_value();
    group.wanted.reset();
    group.items.replaceDesired(std::vector<Item>{});
    release(group);
    return changed;
  }
  /// O(1). Items of a group that is not there yet wait for `addGroup`.
  bool addItem(const GroupKey& key, const Item& item) {
    Group& group = groupAt(key);
    touch(group);
    return group.items.setDesired(item);
  }
  bool removeItem(const GroupKey& key, const Item& item) {
    const auto found = groups_.find(key);
    if (found == groups_.end()) return false;
    touch(found->second);
    return found->second.items.removeDesired(item);
  }
  /// `all` is every item that should be in the group. O(all + tracked).
  template <class Range>
  void replaceItems(const GroupKey& key, const Range& all) {
    Group& group = groupAt(key);
    touch(group);
    group.items.replaceDesired(all);
  }

  /// Every item that should be in the group. O(items).
  template <class Visit>
  void forEachItem(const GroupKey& key, Visit visit) const {
    const auto found = groups_.find(key);
    if (found == groups_.end()) return;
    found->second.items.forEachDesired([&](const Item& item, const auto&) { visit(item); });
  }

  [[nodiscard]] const std::string& name() const override { return log_.table(); }
  void requestRelist() override { audit_.request(); }
  void suspect(TimePoint /*now*/) override { audit_.request(); }

  Result<void> refresh(TimePoint now, Checks checks) override {
    wakeDue(now);
    Result<void> listed;
    if (checks == Checks::Later && !audit_.inDoubt()) {
      // Only what must be read before it can be changed.
    } else if (audit_.listDue(now)) {
      listed = readAll(now);
    } else if (audit_.checkDue(now)) {
      listed = check(now);
    }
    const std::vector<Group*> dirty = dirty_;
    for (Group* group : dirty) {
      if (group->unread() && !group->held) readItems(*group, now);
    }
    sweep();
    return listed;
  }

  [[nodiscard]] TimePoint nextDue() const override {
    return std::min(
        {audit_.nextDue(AuditSchedule::Checks::Yes), groupBackoff_.next(), itemBackoff_.next()});
  }

  /// Counts items; `pending` and `failing` also count groups to make, destroy or read. O(groups).
  [[nodiscard]] TableStatus status() const override {
    TableStatus out = log_.status();
    out.inDoubt = audit_.inDoubt();
    for (const auto& [key, group] : groups_) group.addTo(out);
    return out;
  }

  [[nodiscard]] std::vector<PlannedChange> plan() const override {
    std::vector<PlannedChange> out;
    for (const auto& entry : groups_) {
      const Group& group = entry.second;
      if (const auto op = group.pendingOp())
        out.push_back({*op, driver_.describeGroup(entry.first)});
      if (!group.wanted) continue;
      group.items.forEachPending([&](auto slot) {
        out.push_back(
            {*group.items.op(slot), driver_.describeItem(entry.first, group.items.key(slot))});
      });
    }
    sortByText(out);
    return out;
  }

 protected:
  /// Forgets groups that are neither wanted nor there, and lets those rest that need nothing.
  void sweep() {
    std::erase_if(dirty_, [&](Group* group) {
      if (group->dead()) {
        groupBackoff_.clear(*group->key);
        itemBackoff_.clear(*group->key);
        groups_.erase(groups_.find(*group->key));
        return true;
      }
      bool busy = group->unread() && !group->held;
      group->forEachStep(Removals::Allowed, [&](GroupStep) { busy = true; });
      group->dirty = busy;
      return !busy;
    });
  }

  void hold(Group& group, TimePoint now) {
    group.held = true;
    groupBackoff_.fail(*group.key, now);
  }

  /// After a change that found the group other than expected.
  bool readAgain(Group& group, TimePoint now) {
    auto headers = untorn(driver_.list);
    if (!headers) {
      (void)listFailed(std::move(headers.error()), now).has_value();
      return false;
    }
    compare(*headers);
    if (group.seen) readItems(group, now);
    return group.read;
  }

  Driver driver_;
  TableOptions options_;
  TableLog log_;
  AuditSchedule audit_;
  Backoff<GroupKey> groupBackoff_;  // making, destroying and reading groups
  Backoff<GroupKey> itemBackoff_;   // of the items that failed in a group
  std::vector<Group*> dirty_;       // groups that may need something

 private:
  using Headers = std::map<GroupKey, GroupHeader<GroupSpec>>;

  /// Groups are read in turns here, not all at once.
  static AuditOptions rolling(AuditOptions audit) {
    audit.fullPeriod = std::chrono::hours(24 * 365);
    return audit;
  }

  Group& groupAt(const GroupKey& key) {
    const auto [at, made] = groups_.try_emplace(key);
    if (made) at->second.key = &at->first;
    return at->second;
  }
  void touch(Group& group) {
    if (group.dirty) return;
    group.dirty = true;
    dirty_.push_back(&group);
  }
  /// New input for the group itself: its failures are over.
  void release(Group& group) {
    group.held = false;
    groupBackoff_.clear(*group.key);
    touch(group);
  }
  template <class Read>
  auto untorn(Read read) -> decltype(read()) {
    for (unsigned attempt = 1;; ++attempt) {
      auto result = read();
      if (result || attempt > options_.immediateRetries) return result;
      const Errc code = result.error().code;
      if (code != Errc::Interrupted && code != Errc::Stale) return result;
    }
  }

  Result<void> listFailed(Error error, TimePoint now) {
    audit_.listFailed(now);
    log_.failed({}, error, now);
    log_.endStep(1);
    return Fail(std::move(error));
  }

  Result<void> readAll(TimePoint now) {
    auto headers = untorn(driver_.list);
    if (!headers) return listFailed(std::move(headers.error()), now);
    for (auto& [key, group] : groups_) {
      group.unblock();
      touch(group);
    }
    compare(*headers);
    for (auto& [key, group] : groups_) {
      if (group.wanted && group.seen && !group.held) readItems(group, now);
    }
    turn_.clear();
    audit_.listed(true, now);
    log_.listed(now);
    return {};
  }

  [[nodiscard]] std::optional<Fingerprint> fingerprint() const {
    return driver_.fingerprint ? driver_.fingerprint() : std::nullopt;
  }

  Result<void> check(TimePoint now) {
    if (verified_ && verified_ == fingerprint()) {
      audit_.checkAgain(now);
      return {};
    }
    auto headers = untorn(driver_.list);
    if (!headers) return listFailed(std::move(headers.error()), now);
    audit_.checkAgain(now);
    compare(*headers);
    for (const auto& [key, header] : *headers) {
      Group& group = groups_.find(key)->second;
      if (!group.read || !group.wanted) continue;
      if (group.items.observedCount() != header.items) readItems(group, now);
    }
    readInTurn(now);
    return {};
  }

  /// Takes up which groups there are.
  void compare(const Headers& headers) {
    for (auto& [key, group] : groups_) {
      if (group.seen && headers.count(key) == 0) gone(group);
    }
    for (const auto& [key, header] : headers) {
      Group& group = groupAt(key);
      if (group.seen == header.spec) continue;
      group.drifted = log_.everListed() && !group.doubtful;
      group.doubtful = false;
      group.seen = header.spec;
      group.fresh = false;
      group.read = false;
      touch(group);
    }
  }

  void gone(Group& group) {
    group.drifted = group.wanted && log_.everListed();
    group.seen.reset();
    group.read = false;
    group.observe(std::vector<Item>{}, log_.everListed());
    touch(group);
  }

  void readItems(Group& group, TimePoint now) {
    const auto items = untorn([&] { return driver_.items(*group.key); });
    touch(group);
    if (items) {
      group.observe(*items, log_.everListed() && group.read);
      group.read = true;
    } else if (items.error().code == Errc::NotFound) {
      gone(group);
    } else {
      log_.failed(driver_.describeGroup(*group.key), items.error(), now);
      group.stale = true;
      hold(group, now);
    }
  }

  /// Reads back as many groups as it takes to have read all within the full period. If nobody
  /// changed any while all were read, there is nothing to look for until somebody does.
  void readInTurn(TimePoint now) {
    if (turn_.empty()) {
      round_ = fingerprint();
      std::size_t cost = 0;
      for (const auto& [key, group] : groups_) {
        if (!group.read) continue;
        turn_.push_back(key);
        cost += group.items.observedCount() + 1;
      }
      const auto checks = options_.audit.fullPeriod / options_.audit.checkPeriod;
      share_ = cost / static_cast<std::size_t>(std::max<decltype(checks)>(checks - 2, 1)) + 1;
    }
    for (std::size_t cost = 0; !turn_.empty() && cost < share_; turn_.pop_back()) {
      const auto found = groups_.find(turn_.back());
      if (found == groups_.end() || !found->second.read) continue;
      cost += found->second.items.observedCount() + 1;
      readItems(found->second, now);
    }
    const bool whole = turn_.empty() && status().pending == 0 && round_ == fingerprint();
    verified_ = whole ? round_ : std::nullopt;
  }

  /// Lets go of what waited until now.
  void wakeDue(TimePoint now) {
    for (const GroupKey& key : groupBackoff_.takeDue(now)) {
      const auto found = groups_.find(key);
      if (found == groups_.end()) continue;
      found->second.held = false;
      touch(found->second);
    }
    for (const GroupKey& key : itemBackoff_.takeDue(now)) {
      const auto found = groups_.find(key);
      if (found == groups_.end()) continue;
      found->second.unparkFailed();
      touch(found->second);
    }
  }

  std::unordered_map<GroupKey, Group> groups_;
  std::vector<GroupKey> turn_;           // groups still to be read back in this round
  std::size_t share_ = 0;                // items to read back at each check
  std::optional<Fingerprint> round_;     // when this round began
  std::optional<Fingerprint> verified_;  // all was read while it was this
};

}  // namespace margay::reconcile

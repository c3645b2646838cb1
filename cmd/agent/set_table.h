#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "cmd/agent/backend.h"
#include "dataplane/drivers.h"
#include "dataplane/prefix_cover.h"
#include "reconcile/grouped_table.h"

namespace margay::agent {

/// Whether `name` is a set of those who may send: (address, interface).
[[nodiscard]] bool isLocalSet(const dataplane::SetName& name);

/// ipsets, or the sets and maps of our tables in nf_tables, as a table of named collections, with
/// the phases that the packet path needs. Prefixes that others of their set cover stay out of
/// nf_tables, whose intervals may not overlap.
class SetTableAdapter {
 public:
  using Table =
      reconcile::GroupedTable<dataplane::SetName, dataplane::SetSpec, dataplane::SetMember>;

  /// `onLeft` is called for each address that left an interface.
  SetTableAdapter(Backend backend, dataplane::IpsetDriver& driver,
                  std::function<void(const Address&)> onLeft,
                  const reconcile::TableOptions& options, reconcile::Jitter& jitter);

  void addSet(dataplane::SetSpec spec);
  void removeSet(const dataplane::SetName& name);
  void addMember(const dataplane::SetName& set, const dataplane::SetMember& member);
  void removeMember(const dataplane::SetName& set, const dataplane::SetMember& member);
  /// nf_tables: until the next call, who joins may send only after flows were purged.
  void admitLate(bool late) { admitLate_ = late; }
  /// nf_tables: until the next call, rules change together with the sets, and hold what was in
  /// force before, too.
  void rulesChange(bool change) { rulesChange_ = change; }

  [[nodiscard]] Table& table() { return *table_; }
  [[nodiscard]] const Table& table() const { return *table_; }

 private:
  [[nodiscard]] reconcile::Phase phaseOf(reconcile::GroupStep step,
                                         const dataplane::SetName& name) const;
  [[nodiscard]] reconcile::Phase nftPhaseOf(reconcile::GroupStep step,
                                            const dataplane::SetName& name) const;
  [[nodiscard]] bool hasIntervals(const dataplane::SetName& name) const;
  void follow(const dataplane::SetName& set, const dataplane::PrefixCover::Change& change);

  Backend backend_;
  bool admitLate_ = false;
  bool rulesChange_ = false;
  std::map<dataplane::SetName, dataplane::SetType> types_;  // of desired sets
  std::map<dataplane::SetName, dataplane::PrefixCover> covers_;
  std::unique_ptr<Table> table_;
};

}  // namespace margay::agent

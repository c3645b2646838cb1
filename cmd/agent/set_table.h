#pragma once

#include <functional>
#include <map>
#include <memory>

#include "dataplane/drivers.h"
#include "reconcile/grouped_table.h"

namespace margay::agent {

/// ipsets as a table of named collections, with the phases that the packet path needs.
class SetTableAdapter {
 public:
  using Table =
      reconcile::GroupedTable<dataplane::SetName, dataplane::SetSpec, dataplane::SetMember>;

  /// `onLeft` is called for each address that left an interface.
  SetTableAdapter(dataplane::IpsetDriver& driver, std::function<void(const Address&)> onLeft,
                  const reconcile::TableOptions& options, reconcile::Jitter& jitter);

  void addSet(const dataplane::SetSpec& spec);
  void removeSet(const dataplane::SetName& name);
  void addMember(const dataplane::SetName& set, const dataplane::SetMember& member);
  void removeMember(const dataplane::SetName& set, const dataplane::SetMember& member);

  [[nodiscard]] Table& table() { return *table_; }
  [[nodiscard]] const Table& table() const { return *table_; }

 private:
  [[nodiscard]] reconcile::Phase phaseOf(reconcile::GroupStep step,
                                         const dataplane::SetName& name) const;

  std::map<dataplane::SetName, dataplane::SetType> types_;  // of desired sets
  std::unique_ptr<Table> table_;
};

}  // namespace margay::agent

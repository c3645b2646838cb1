#pragma once

#include <map>
#include <memory>
#include <string>

#include "cmd/agent/sysctl_journal.h"
#include "dataplane/drivers.h"
#include "reconcile/keyed_table.h"

namespace margay::agent {

/// Settings below /proc/sys. What a setting was before we first wrote it is kept in a file, so that
/// `--cleanup` can put it back.
class SysctlTableAdapter {
 public:
  using Table = reconcile::KeyedTable<std::string, std::string>;

  /// `journal`: the file; empty keeps none.
  SysctlTableAdapter(dataplane::SysctlDriver& driver, std::string journal,
                     const reconcile::TableOptions& options, reconcile::Jitter& jitter);

  void set(const std::string& path, const std::string& value);
  void remove(const std::string& path);
  [[nodiscard]] Table& table() { return *table_; }
  [[nodiscard]] const Table& table() const { return *table_; }
  /// Somebody may have changed settings of this interface: they are read now, each a few
  /// microseconds, and what is not as it should be is drift. Not those that the kernel lacks.
  void lookAt(const std::string& interface);
  /// Puts back what every setting in the journal was, as far as it still exists, and forgets the
  /// journal. Returns how many were put back.
  std::size_t restoreAll();

 private:
  Result<std::map<std::string, std::string>> list();
  std::vector<Result<void>> apply(
      std::span<const reconcile::KeyedChange<std::string, std::string>> changes);
  Result<void> putBack(const std::string& path);

  dataplane::SysctlDriver& driver_;
  SysctlJournal journal_;
  std::map<std::string, std::string> known_;  // desired
  std::unique_ptr<Table> table_;
};

}  // namespace margay::agent

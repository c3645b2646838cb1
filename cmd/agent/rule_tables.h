#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cmd/agent/phases.h"
#include "dataplane/drivers.h"
#include "reconcile/keyed_table.h"

/// The legacy tables as keyed tables: a key is a chain of ours, or our rules in one place of a base
/// chain.
namespace margay::agent {

struct RuleContent {
  std::vector<dataplane::RuleDigest> digests;
  bool inPlace = true;          ///< a hook that foreign rules have not displaced
  dataplane::ChainRules rules;  ///< null in what was read from the kernel
  bool operator==(const RuleContent& other) const {
    return digests == other.digests && inPlace == other.inPlace;
  }
};

/// How a rule table takes part in passes.
struct RuleTableRole {
  std::string name;  ///< empty: that of the kernel's table
  reconcile::Phase write = kRules;
  reconcile::Phase remove = kRules;
};

/// One kernel table. All changes of a phase are one commit.
class RuleTableAdapter {
 public:
  using Table = reconcile::KeyedTable<std::string, RuleContent>;

  RuleTableAdapter(dataplane::RuleDriver& driver, dataplane::TableId id,
                   const reconcile::TableOptions& options, reconcile::Jitter& jitter,
                   const RuleTableRole& role = {});

  /// Everything that should be in the table. Chains whose rules are the same object as before cost
  /// a pointer comparison.
  Result<void> setDesired(const dataplane::RuleTable& desired);
  [[nodiscard]] Table& table() { return *table_; }
  [[nodiscard]] const Table& table() const { return *table_; }
  [[nodiscard]] dataplane::TableId id() const { return id_; }
  [[nodiscard]] std::uint64_t commits() const { return commits_; }

 private:
  Result<RuleContent> contentOf(const dataplane::ChainRules& rules);
  Result<std::map<std::string, RuleContent>> list();
  std::vector<Result<void>> apply(
      std::span<const reconcile::KeyedChange<std::string, RuleContent>> changes);

  dataplane::RuleDriver& driver_;
  dataplane::TableId id_;
  dataplane::TableFingerprint expected_;
  std::uint64_t commits_ = 0;
  std::map<std::string, dataplane::ChainRules> current_;  // desired, to tell what changed
  std::unique_ptr<Table> table_;
};

}  // namespace margay::agent

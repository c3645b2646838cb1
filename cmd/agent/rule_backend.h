#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cmd/agent/backend.h"
#include "cmd/agent/nft_transaction.h"
#include "cmd/agent/rule_tables.h"
#include "cmd/agent/set_table.h"
#include "controllers/node/desired_change.h"
#include "dataplane/drivers.h"
#include "dataplane/nft_driver.h"

namespace margay::agent {

/// The rules and sets of a node in one backend: tables that keep what they are told, and nothing if
/// they are told nothing.
class RuleBackend {
 public:
  struct Options {
    std::vector<Family> families;
    reconcile::TableOptions tables;
    std::function<void(const Address&)> onLeft;  ///< an address left an interface
  };
  /// In the network namespace of the calling thread. Errors say what the kernel lacks.
  static Result<std::unique_ptr<RuleBackend>> open(Backend backend, Options options,
                                                   reconcile::Jitter& jitter);

  [[nodiscard]] Backend backend() const { return backend_; }
  /// Takes over what changed in rules and sets. An error names a rule that no kernel could hold:
  /// the tables before it have been taken over, the others stay as they were. `admitLate`: flows
  /// are purged in this pass before those who join may send.
  Result<void> apply(const controllers::DesiredChange& change, bool admitLate);

  struct Entry {
    reconcile::Table* table = nullptr;
    std::string metric;  ///< label `table` of the metrics
  };
  /// In the order in which a phase visits them.
  [[nodiscard]] const std::vector<Entry>& tables() const { return tables_; }
  /// Commits of rules since the start.
  [[nodiscard]] std::uint64_t commits() const;

  /// Readable when somebody else may have changed what is ours; -1: the kernel does not tell.
  [[nodiscard]] int fd() const { return nft_ ? nft_->fd() : -1; }
  void readEvents();
  /// Makes the tables look at what they changed.
  void takeEvents(TimePoint now);
  /// Before everything of ours goes: no packet meets a part of it.
  Result<void> leaveHooks();
  /// After everything of ours has gone: what holds it.
  Result<void> removeRest();

 private:
  RuleBackend(Backend backend, Options options) : backend_(backend), options_(std::move(options)) {}
  Result<void> openDrivers();
  void makeTables(reconcile::Jitter& jitter);

  Backend backend_;
  Options options_;
  std::unique_ptr<dataplane::NftDriver> nft_;
  std::unique_ptr<dataplane::IpsetDriver> ipsets_;
  std::unique_ptr<dataplane::RuleDriver> iptables_;
  std::vector<std::unique_ptr<RuleTableAdapter>> rules_;
  std::unique_ptr<SetTableAdapter> sets_;
  bool begun_ = false;  // something was applied
  std::unique_ptr<NftTransaction> transaction_;
  std::vector<Entry> tables_;
};

}  // namespace margay::agent

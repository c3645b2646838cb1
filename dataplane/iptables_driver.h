#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "dataplane/drivers.h"

namespace margay::dataplane {

struct IptablesOptions {
  std::string lockPath = "/run/xtables.lock";
  std::chrono::milliseconds lockTimeout{10000};
};

/// Rules in the legacy tables of the network namespace in which the driver was made and is used.
///
/// A hook rule is known as ours by its comment. Those of Position::Last carry "last:" behind
/// kHookCommentPrefix in the kernel, so that the two positions stay apart when nobody else has
/// rules in the chain; reading takes it off again. A comment of Position::First cannot begin so.
///
/// `digests` needs no set to exist. `commit` says `Errc::NotFound` for a missing set (with chain
/// and set), `Errc::Invalid` for a rule that iptables cannot hold or a jump to a chain that does
/// not exist, `Errc::Transient` when the lock is taken or a rule of others jumps to a chain that
/// must go. It costs one read and one replace of the whole table, whatever the edit.
class IptablesDriver final : public RuleDriver {
 public:
  /// `Errc::Unsupported` without CAP_NET_RAW. Opens what it needs of IPv6 when first asked.
  static Result<IptablesDriver> open(IptablesOptions options = {});
  IptablesDriver(IptablesDriver&&) noexcept;
  IptablesDriver& operator=(IptablesDriver&&) noexcept;
  ~IptablesDriver() override;

  Result<TableFingerprint> fingerprint(TableId table) override;
  Result<ObservedTable> read(TableId table) override;
  Result<std::vector<RuleDigest>> digests(TableId table, std::span<const Rule> rules) override;
  Result<TableFingerprint> commit(TableId table, const TableEdit& edit,
                                  const TableFingerprint& expected) override;

 private:
  struct State;
  explicit IptablesDriver(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace margay::dataplane

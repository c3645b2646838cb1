#pragma once

#include "dataplane/nft_driver.h"

/// The two interfaces through which an NftDriver is used. Only its own sources include this.
namespace margay::dataplane {

class NftDriver::Rules final : public RuleDriver {
 public:
  explicit Rules(NftDriver& owner) : owner_(owner) {}
  Result<TableFingerprint> fingerprint(TableId table) override;
  Result<ObservedTable> read(TableId table) override;
  Result<std::vector<RuleDigest>> digests(TableId table, std::span<const Rule> rules) override;
  Result<TableFingerprint> commit(TableId table, const TableEdit& edit,
                                  const TableFingerprint& expected) override;

 private:
  using Unit = NftBatch::UnitId;
  struct Chain {
    ChainName name;
    std::vector<Rule> rules;
    std::vector<NftExpressions> expressions;
    std::optional<NftBaseChain> base;
    Unit unit = 0;
  };
  Result<std::vector<Chain>> encode(TableId table, const TableEdit& edit);

  NftDriver& owner_;
};

class NftDriver::Sets final : public IpsetDriver {
 public:
  explicit Sets(NftDriver& owner) : owner_(owner) {}
  Result<std::map<SetName, SetHeader>> list() override;
  Result<std::vector<SetMember>> members(const SetName& name) override;
  Result<void> create(const SetSpec& spec) override;
  /// nf_tables cannot: a transaction needs no set to swap with.
  Result<void> swap(const SetName& a, const SetName& b) override;
  Result<void> destroy(const SetName& name) override;
  std::optional<std::uint64_t> generation() override;
  std::vector<Result<void>> apply(const SetName& name,
                                  std::span<const Change<SetMember>> changes) override;

 private:
  NftDriver& owner_;
};

}  // namespace margay::dataplane

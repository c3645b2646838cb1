#include "cmd/agent/rule_backend.h"

#include <utility>

#include "dataplane/ipset_driver.h"
#include "dataplane/ipset_probe.h"
#include "dataplane/iptables_driver.h"
#include "dataplane/xtables_socket.h"

namespace margay::agent {
namespace {

using dataplane::TableName;

constexpr TableName kTables[] = {TableName::Raw, TableName::Filter, TableName::Nat};

}  // namespace

Result<std::unique_ptr<RuleBackend>> RuleBackend::open(Backend backend, Options options,
                                                       reconcile::Jitter& jitter) {
  std::unique_ptr<RuleBackend> made(new RuleBackend(backend, std::move(options)));
  if (auto opened = made->openDrivers(); !opened) return Fail(opened.error());
  made->makeTables(jitter);
  return made;
}

Result<void> RuleBackend::openDrivers() {
  if (backend_ == Backend::Nft) {
    auto opened = dataplane::NftDriver::open();
    if (!opened) return Fail(opened.error());
    nft_ = std::move(*opened);
    return {};
  }
  if (auto probed = dataplane::probeIpset(); !probed) return probed;
  for (const auto family : options_.families) {
    if (auto probed = dataplane::probeLegacyTables(family); !probed) return probed;
  }
  auto sets = dataplane::KernelIpsetDriver::open();
  if (!sets) return Fail(sets.error());
  ipsets_ = std::move(*sets);
  auto rules = dataplane::IptablesDriver::open();
  if (!rules) return Fail(rules.error());
  iptables_ = std::make_unique<dataplane::IptablesDriver>(std::move(*rules));
  return {};
}

void RuleBackend::makeTables(reconcile::Jitter& jitter) {
  auto& ruleDriver = nft_ ? nft_->rules() : *iptables_;
  auto& setDriver = nft_ ? nft_->sets() : *ipsets_;
  for (const auto family : options_.families) {
    for (const auto table : kTables)
      rules_.push_back(std::make_unique<RuleTableAdapter>(
          ruleDriver, dataplane::TableId{family, table}, options_.tables, jitter));
  }
  sets_ = std::make_unique<SetTableAdapter>(backend_, setDriver, options_.onLeft, options_.tables,
                                            jitter);
  const bool nft = backend_ == Backend::Nft;
  for (const auto& table : rules_)
    tables_.push_back({&table->table(), nft ? "nftables" : "iptables"});
  tables_.push_back({&sets_->table(), nft ? "nft_set" : "ipset"});
  if (!nft) return;
  const auto readAgain = [this] {
    for (const auto& entry : tables_) entry.table->requestRelist();
  };
  transaction_ = std::make_unique<NftTransaction>(*nft_, readAgain, jitter);
  tables_.push_back({transaction_.get(), "nftables"});
}

Result<void> RuleBackend::apply(const controllers::DesiredChange& change, bool admitLate) {
  for (const auto& name : change.setsRemoved) sets_->removeSet(name);
  for (const auto& spec : change.setsAdded) sets_->addSet(spec);
  for (const auto& [set, members] : change.members) {
    for (const auto& member : members.removed) sets_->removeMember(set, member);
    for (const auto& member : members.added) sets_->addMember(set, member);
  }
  sets_->admitLate(admitLate);
  // The first time rules may lack what another run's elements lead to: all of it goes at once.
  sets_->rulesChange(begun_ && !change.tables.empty());
  begun_ = true;
  for (const auto& table : rules_) {
    const auto wanted = change.tables.find(table->id());
    if (wanted == change.tables.end()) continue;
    if (auto set = table->setDesired(wanted->second); !set) return set;
  }
  return {};
}

std::uint64_t RuleBackend::commits() const {
  std::uint64_t out = 0;
  for (const auto& table : rules_) out += table->commits();
  return out;
}

void RuleBackend::readEvents() {
  if (nft_) nft_->readEvents();
}

void RuleBackend::takeEvents(TimePoint now) {
  if (!nft_) return;
  const auto events = nft_->takeEvents();
  for (const auto& table : rules_) {
    if (events.overflow || events.rules.contains(table->id().family)) table->table().suspect(now);
  }
  if (events.overflow || !events.sets.empty()) sets_->table().suspect(now);
}

Result<void> RuleBackend::leaveHooks() {
  return nft_ ? nft_->leaveHooks() : Result<void>();
}

Result<void> RuleBackend::removeRest() {
  return nft_ ? nft_->removeTables() : Result<void>();
}

}  // namespace margay::agent

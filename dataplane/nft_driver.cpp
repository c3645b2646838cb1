#include "dataplane/nft_driver.h"

#include <linux/netlink.h>

#include <cerrno>
#include <utility>

#include "dataplane/nft_drivers.h"

namespace margay::dataplane {
namespace {

/// Each try without what the one before refused: what depends on it is refused then.
constexpr int kTries = 12;

Error refusalOf(int number, const NftUnit& unit) {
  return systemError(number, "nf_tables " + unit.object);
}

}  // namespace

Result<std::unique_ptr<NftDriver>> NftDriver::open(Mode mode) {
  auto socket = NfnetlinkSocket::open();
  if (!socket) return Fail(withContext(socket.error(), "open nf_tables"));
  if (auto generation = nftGeneration(*socket); !generation) {
    if (generation.error().sysErrno == EPERM)
      return fail(Errc::Unsupported, "nf_tables: not permitted: run as root or with CAP_NET_ADMIN",
                  EPERM);
    return fail(Errc::Unsupported,
                "the kernel has no nf_tables (" + generation.error().what +
                    "): load the module nf_tables, or set FELIX_IPTABLESBACKEND=Legacy",
                generation.error().sysErrno);
  }
  auto monitor = NftMonitor::open(socket->port());
  if (!monitor) return Fail(monitor.error());
  return std::unique_ptr<NftDriver>(new NftDriver(std::move(*socket), std::move(*monitor), mode));
}

NftDriver::NftDriver(NfnetlinkSocket socket, NftMonitor monitor, Mode mode)
    : socket_(std::move(socket)),
      monitor_(std::move(monitor)),
      mode_(mode),
      rules_(std::make_unique<Rules>(*this)),
      sets_(std::make_unique<Sets>(*this)) {}

NftDriver::~NftDriver() = default;

RuleDriver& NftDriver::rules() {
  return *rules_;
}
IpsetDriver& NftDriver::sets() {
  return *sets_;
}

void NftDriver::readEvents() {
  auto seen = monitor_.read();
  if (seen.empty()) return;
  for (const Family family : {Family::V4, Family::V6}) {
    if (seen.overflow || seen.rules.contains(family)) ++foreign_[family];
  }
  if (seen.overflow) forget();
  for (const auto& name : seen.sets) {
    const auto known = known_.find(name);
    // One that we do not know, or that is gone: what is there must be asked anew.
    if (known == known_.end()) setsKnown_ = false;
    if (known != known_.end()) known->second.exact = false;
  }
  events_.rules.merge(seen.rules);
  events_.sets.merge(seen.sets);
  events_.overflow = events_.overflow || seen.overflow;
}

NftEvents NftDriver::takeEvents() {
  readEvents();
  return std::exchange(events_, {});
}

/// Nothing is known any more.
void NftDriver::forget() {
  dumps_.clear();
  tables_.clear();
  known_.clear();
  setsKnown_ = false;
}

void NftDriver::needTable(Family family) {
  if (tables_.insert(family).second) batch_.table(family);
}

Result<void> NftDriver::send(const std::set<NftBatch::UnitId>& without,
                             std::map<NftBatch::UnitId, Error>& refused) {
  const auto first = socket_.sequences(batch_.messages());
  const auto datagram = batch_.datagram(first, without);
  if (auto room = socket_.reserve(datagram.size()); !room) return room;
  if (auto sent = socket_.send(datagram); !sent) return sent;
  Result<void> whole;
  const auto drained = socket_.drain([&](const nlmsghdr& answer) {
    const int number = errorOf(answer);
    if (number <= 0) return NfnetlinkSocket::More::Wanted;
    const std::uint32_t place = answer.nlmsg_seq - first;
    const auto owner = place < batch_.owners().size() ? batch_.owners()[place] : NftBatch::kNobody;
    if (owner == NftBatch::kNobody) {
      whole = Fail(systemError(number, "nf_tables transaction"));
    } else {
      refused.try_emplace(owner, refusalOf(number, batch_.unit(owner)));
    }
    return NfnetlinkSocket::More::Wanted;
  });
  return drained ? whole : Result<void>(Fail(drained.error()));
}

std::vector<NftDriver::Refusal> NftDriver::flush() {
  auto out = std::exchange(lateRefusals_, {});
  if (batch_.empty()) return out;
  batch_.seal();
  std::set<NftBatch::UnitId> without;
  std::map<NftBatch::UnitId, Error> all;
  Result<void> outcome;
  for (int attempt = 0; attempt < kTries; ++attempt) {
    std::map<NftBatch::UnitId, Error> refused;
    outcome = send(without, refused);
    if (outcome && refused.empty()) break;
    if (refused.empty()) break;  // the transaction as a whole: leaving something out does not help
    outcome = fail(Errc::Transient, "nf_tables transaction: refused again and again");
    for (auto& [unit, error] : refused) {
      without.insert(unit);
      all.try_emplace(unit, std::move(error));
    }
  }
  for (auto& [unit, error] : all) {
    const NftUnit& what = batch_.unit(unit);
    if (what.elements > 1) oneByOne_.insert(what.set);
    out.push_back({what, std::move(error)});
  }
  if (!outcome)
    out.push_back({{Family::V4, "everything", {}, TableName::Filter, 0}, outcome.error()});
  batch_.clear();
  if (!out.empty()) forget();
  readEvents();
  return out;
}

void NftDriver::flushForReading() {
  auto refused = flush();
  lateRefusals_.insert(lateRefusals_.end(), refused.begin(), refused.end());
}

/// In Immediate mode a change goes at once.
Result<void> NftDriver::settle() {
  if (mode_ == Mode::Collect) return {};
  auto refused = flush();
  if (refused.empty()) return {};
  return Fail(std::move(refused.front().error));
}

Result<const NftChains*> NftDriver::chainsOf(Family family) {
  const auto generation = nftGeneration(socket_);
  if (!generation) return Fail(generation.error());
  const auto known = dumps_.find(family);
  if (known != dumps_.end() && known->second.generation == *generation)
    return &known->second.chains;
  auto listed = listNftChains(socket_, family);
  if (!listed) return Fail(listed.error());
  const auto after = nftGeneration(socket_);
  if (!after) return Fail(after.error());
  if (*after != *generation)
    return fail(Errc::Interrupted, "nf_tables changed while it was listed", EINTR);
  if (listed->exists) {
    tables_.insert(family);
  } else {
    tables_.erase(family);
  }
  auto& dump = dumps_[family];
  dump = {*generation, std::move(*listed)};
  return &dump.chains;
}

Result<void> NftDriver::learnSets() {
  if (setsKnown_) return {};
  std::map<SetName, Cached> found;
  for (const Family family : {Family::V4, Family::V6}) {
    auto listed = listNftSets(socket_, family);
    if (!listed) return Fail(listed.error());
    for (auto& spec : *listed) {
      const auto before = known_.find(spec.name);
      const bool same = before != known_.end() && before->second.spec == spec;
      found.emplace(spec.name, same ? before->second : Cached{spec, 0, false});
    }
  }
  known_ = std::move(found);
  setsKnown_ = true;
  return {};
}

Result<void> NftDriver::leaveHooks() {
  flushForReading();
  for (const Family family : {Family::V4, Family::V6}) {
    const auto chains = chainsOf(family);
    if (!chains) return Fail(chains.error());
    for (const auto& [table, observed] : (*chains)->tables) {
      for (const auto& [hook, rules] : observed.hooks) {
        const auto name = baseChainName({table, hook});
        batch_.flushChain(batch_.add({family, "chain " + name, {}, table, 0}), name);
      }
    }
  }
  return sendNow();
}

/// That something is not there any more is no error.
Result<void> NftDriver::sendNow() {
  auto refused = flush();
  forget();
  for (auto& refusal : refused) {
    if (refusal.error.code != Errc::NotFound) return Fail(std::move(refusal.error));
  }
  return {};
}

Result<void> NftDriver::removeTables() {
  flushForReading();
  for (const Family family : {Family::V4, Family::V6}) {
    const auto chains = chainsOf(family);
    if (!chains) return Fail(chains.error());
    if ((*chains)->foreignChains > 0) continue;
    batch_.removeTable(batch_.add({family, "table margay", {}, TableName::Filter, 0}));
  }
  return sendNow();
}

}  // namespace margay::dataplane

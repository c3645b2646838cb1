#include <algorithm>
#include <limits>
#include <utility>

#include "dataplane/nft_drivers.h"
#include "dataplane/nft_elements.h"

namespace margay::dataplane {
namespace {

constexpr std::size_t kMaxName = 31;
constexpr std::size_t kEarlyFlushBytes = 4UL << 20;

NftUnit unitOf(const SetSpec& spec) {
  return {spec.family, "set " + spec.name, spec.name, TableName::Filter, 0};
}

}  // namespace

Result<std::map<SetName, SetHeader>> NftDriver::Sets::list() {
  owner_.readEvents();
  if (!owner_.setsKnown_) {
    owner_.flushForReading();
    if (auto learned = owner_.learnSets(); !learned) return Fail(learned.error());
  }
  std::map<SetName, SetHeader> out;
  for (const auto& [name, known] : owner_.known_) {
    // A number that nobody has makes them read the members.
    const auto entries = known.exact ? known.entries : std::numeric_limits<std::uint32_t>::max();
    out.emplace(name, SetHeader{known.spec, entries, 0});
  }
  return out;
}

Result<std::vector<SetMember>> NftDriver::Sets::members(const SetName& name) {
  owner_.flushForReading();
  owner_.readEvents();
  if (auto learned = owner_.learnSets(); !learned) return Fail(learned.error());
  const auto known = owner_.known_.find(name);
  if (known == owner_.known_.end()) return fail(Errc::NotFound, "set " + name + " is not there");
  auto listed = listNftElements(owner_.socket_, known->second.spec);
  if (!listed) {
    if (listed.error().code == Errc::NotFound) owner_.setsKnown_ = false;
    return listed;
  }
  known->second.entries = static_cast<std::uint32_t>(listed->size());
  known->second.exact = true;
  return listed;
}

Result<void> NftDriver::Sets::create(const SetSpec& spec) {
  if (!spec.name.starts_with(kSetPrefix) || spec.name.size() > kMaxName)
    return fail(Errc::Invalid, "create set " + spec.name + ": not a name of ours");
  owner_.needTable(spec.family);
  owner_.batch_.set(owner_.batch_.add(unitOf(spec)), spec);
  owner_.known_[spec.name] = {spec, 0, true};
  return owner_.settle();
}

Result<void> NftDriver::Sets::swap(const SetName& a, const SetName& b) {
  return fail(Errc::Unsupported, "swap sets " + a + " and " + b + ": nf_tables cannot");
}

Result<void> NftDriver::Sets::destroy(const SetName& name) {
  if (auto learned = owner_.learnSets(); !learned) return Fail(learned.error());
  const auto known = owner_.known_.find(name);
  if (known == owner_.known_.end()) return {};
  owner_.batch_.removeSet(owner_.batch_.add(unitOf(known->second.spec)), name);
  owner_.known_.erase(known);
  owner_.oneByOne_.erase(name);
  return owner_.settle();
}

std::optional<std::uint64_t> NftDriver::Sets::generation() {
  if (owner_.pending()) return std::nullopt;
  const auto seen = nftGeneration(owner_.socket_);
  return seen ? std::optional<std::uint64_t>(*seen) : std::nullopt;
}

std::vector<Result<void>> NftDriver::Sets::apply(const SetName& name,
                                                 std::span<const Change<SetMember>> changes) {
  std::vector<Result<void>> results(changes.size());
  const auto fill = [&](const Error& error) {
    results.assign(changes.size(), Result<void>(Fail(error)));
  };
  auto known = owner_.known_.find(name);
  if (known == owner_.known_.end()) {
    if (auto learned = owner_.learnSets(); !learned) {
      fill(learned.error());
      return results;
    }
    known = owner_.known_.find(name);
  }
  if (known == owner_.known_.end()) {
    fill({Errc::NotFound, 0, "set " + name + " is not there"});
    return results;
  }
  const SetSpec& spec = known->second.spec;
  NftBatch& batch = owner_.batch_;
  const bool single = owner_.oneByOne_.contains(name);
  for (std::size_t begin = 0; begin < changes.size();) {
    if (const char* problem = nftMemberProblem(spec, changes[begin].value)) {
      results[begin] =
          Fail(Error{Errc::Invalid, 0,
                     "set " + name + ", member " + changes[begin].value.str() + ": " + problem});
      ++begin;
      continue;
    }
    const bool remove = changes[begin].op == Op::Remove;
    std::size_t end = begin + 1;
    while (!single && end < changes.size() && (changes[end].op == Op::Remove) == remove &&
           nftMemberProblem(spec, changes[end].value) == nullptr)
      ++end;
    const auto taken = batch.elements(batch.add(unitOf(spec)), spec, remove ? Op::Remove : Op::Add,
                                      changes.subspan(begin, end - begin));
    auto& entries = known->second.entries;
    const auto count = static_cast<std::uint32_t>(taken);
    entries = remove ? entries - std::min(entries, count) : entries + count;
    begin += taken;
  }
  // A first list needs no more memory than this.
  if (batch.onlyFills() && batch.bytes() > kEarlyFlushBytes) owner_.flushForReading();
  if (auto settled = owner_.settle(); !settled) fill(settled.error());
  return results;
}

}  // namespace margay::dataplane

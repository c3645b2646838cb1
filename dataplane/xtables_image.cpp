#include "dataplane/xtables_image.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "dataplane/xtables_raw.h"

namespace margay::dataplane::xtables {
namespace {

constexpr std::string_view kHookNames[kHooks] = {"PREROUTING", "INPUT", "FORWARD", "OUTPUT",
                                                 "POSTROUTING"};
std::optional<int> verdictNamed(std::string_view name) {
  if (name == "ACCEPT") return -NF_ACCEPT - 1;
  if (name == "DROP") return -NF_DROP - 1;
  if (name == "QUEUE") return -NF_QUEUE - 1;
  if (name == "RETURN") return XT_RETURN;
  return std::nullopt;
}

/// Standard targets, which most are, end the question with one byte.
bool isChainHead(const std::byte* entry, Family family) {
  return !raw::isStandard(entry, family) &&
         std::strncmp(raw::targetName(entry, family), XT_ERROR_TARGET, XT_EXTENSION_MAXNAMELEN) ==
             0;
}

Fail malformed(std::string_view what) {
  return fail(Errc::Invalid, "the kernel's table does not read: " + std::string(what));
}

}  // namespace

std::uint32_t TableImage::sizeAt(std::uint32_t offset) const {
  return raw::nextOffset(entries_.bytes.data() + offset, family_);
}

Result<TableImage> TableImage::parse(TableEntries entries, Family family) {
  TableImage out(std::move(entries), family);
  if (auto found = out.findChains(); !found) return Fail(found.error());
  return out;
}

Result<void> TableImage::findChains() {
  std::vector<std::pair<std::uint32_t, std::size_t>> bases;  // where one begins, its hook
  for (std::size_t hook = 0; hook < kHooks; ++hook) {
    if ((entries_.validHooks >> hook & 1U) != 0)
      bases.emplace_back(entries_.hookEntries[hook], hook);
  }
  std::sort(bases.begin(), bases.end());
  const auto sameBegin = [](const auto& a, const auto& b) { return a.first == b.first; };
  if (std::adjacent_find(bases.begin(), bases.end(), sameBegin) != bases.end())
    return malformed("two base chains begin at one entry");

  const auto size = static_cast<std::uint32_t>(entries_.bytes.size());
  auto base = bases.begin();
  std::uint32_t last = 0;
  std::uint32_t number = 0;
  bool ended = false;
  for (std::uint32_t at = 0; at < size; ++number) {
    if (ended) return malformed("something follows its end");
    const auto* entry = entries_.bytes.data() + at;
    if (size - at < raw::headSize(family_)) return malformed("an entry is cut");
    const std::uint32_t length = raw::nextOffset(entry, family_);
    if (length < raw::headSize(family_) + raw::kVerdictOffset || length > size - at ||
        raw::targetOffset(entry, family_) + raw::kVerdictOffset > length)
      return malformed("an entry has no length");
    while (base != bases.end() && base->first < at) ++base;
    const bool isBase = base != bases.end() && base->first == at;
    const bool isHead = isChainHead(entry, family_);
    if (isHead || isBase) {
      if (!chains_.empty())
        if (auto done = endChain(chains_.back(), last, at, number); !done) return done;
      ended = isHead && at + length == size;
      if (!ended) beginChain(at, isHead ? kHooks : base->second, number);
    } else {
      noteJump(at);
    }
    // A base chain has no head: it begins with its first rule.
    if (isBase && !isHead) noteJump(at);
    if (chains_.empty()) return malformed("a rule is in no chain");
    last = at;
    at += length;
  }
  if (!ended || number != entries_.count) return malformed("it has no end");
  return resolveJumps();
}

void TableImage::beginChain(std::uint32_t at, std::size_t hook, std::uint32_t number) {
  auto& chain = chains_.emplace_back();
  chain.begin = chain.firstRule = at;
  chain.firstOrigin = number;
  chain.hook = hook;
  if (hook != kHooks) {
    chain.name = kHookNames[hook];
    return;
  }
  const auto head = entryAt(at);
  const auto text = head.target().data;
  const auto* name = reinterpret_cast<const char*>(text.data());
  if (!text.empty()) chain.name.assign(name, strnlen(name, text.size()));
  chain.firstRule += static_cast<std::uint32_t>(head.bytes().size());
}

void TableImage::noteJump(std::uint32_t at) {
  const auto* entry = entries_.bytes.data() + at;
  if (!raw::isStandard(entry, family_)) return;
  const int verdict = raw::verdictOf(entry, family_);
  if (verdict >= 0) jumps_.push_back({at, static_cast<std::uint32_t>(verdict)});
}

/// From offsets to chains. No tool makes rules that jump into the middle of a chain; we could not
/// follow them.
Result<void> TableImage::resolveJumps() {
  std::unordered_map<std::uint32_t, ChainId> byFirstRule;
  for (ChainId id = 0; id < chains_.size(); ++id) {
    if (chains_[id].hook == kHooks) byFirstRule.emplace(chains_[id].firstRule, id);
  }
  std::uint32_t lastTarget = 0;  // neighbours often jump to one chain
  ChainId lastChain = kNextRule;
  for (Jump& jump : jumps_) {
    if (jump.to != lastTarget) {
      const auto found = byFirstRule.find(jump.to);
      lastTarget = jump.to;
      lastChain = found == byFirstRule.end() ? kNextRule : found->second;
    }
    if (lastChain == kNextRule && jump.to != jump.at + sizeAt(jump.at))
      return malformed("a rule of chain " + chainOf(jump.at) + " jumps to no chain");
    jump.to = lastChain;
  }
  return {};
}

ChainName TableImage::chainOf(std::uint32_t offset) const {
  const auto isIn = [&](const Chain& chain) { return offset >= chain.begin && offset < chain.end; };
  const auto found = std::find_if(chains_.begin(), chains_.end(), isIn);
  return found == chains_.end() ? ChainName() : found->name;
}

std::span<const TableImage::Jump> TableImage::jumpsOf(const Chain& chain) const {
  const auto before = [](const Jump& jump, std::uint32_t offset) { return jump.at < offset; };
  const auto first = std::lower_bound(jumps_.begin(), jumps_.end(), chain.firstRule, before);
  const auto last = std::lower_bound(first, jumps_.end(), chain.tail, before);
  return {first, last};
}

Result<void> TableImage::endChain(Chain& chain, std::uint32_t last, std::uint32_t end,
                                  std::uint32_t number) {
  if (last < chain.firstRule) return malformed("chain " + chain.name + " has no last entry");
  const bool isBase = chain.hook != kHooks;
  if (isBase && entries_.underflows[chain.hook] != last)
    return malformed("chain " + chain.name + " does not end with its policy");
  chain.tail = last;
  chain.end = end;
  chain.count = number - chain.firstOrigin;
  const auto id = static_cast<ChainId>(chains_.size() - 1);
  if (!byName_.emplace(chain.name, id).second)
    return malformed("chain " + chain.name + " is there twice");
  order_.push_back(id);
  return {};
}

bool TableImage::isBaseChain(const ChainName& chain) const {
  const auto found = byName_.find(chain);
  return found != byName_.end() && chains_[found->second].hook != kHooks;
}

void TableImage::countReferences() const {
  references_.assign(chains_.size(), 0);
  const auto count = [&](ChainId jump) {
    if (jump < references_.size()) ++references_[jump];
  };
  for (const Chain& chain : chains_) {
    if (chain.gone) continue;
    if (chain.edited) {
      for (const Rule& rule : chain.rules) count(rule.jump);
    } else {
      for (const Jump& jump : jumpsOf(chain)) count(jump.to);
    }
  }
}

unsigned TableImage::references(const ChainName& chain) const {
  const auto found = byName_.find(chain);
  if (found == byName_.end()) return 0;
  if (references_.empty()) countReferences();
  return references_[found->second];
}

ChainName TableImage::whoJumpsTo(const ChainName& chain) const {
  const auto wanted = byName_.find(chain);
  if (wanted == byName_.end()) return {};
  for (const auto id : order_) {
    const Chain& one = chains_[id];
    const auto editedJumps = [&](const Rule& rule) { return rule.jump == wanted->second; };
    const auto jumps = [&](const Jump& jump) { return jump.to == wanted->second; };
    const auto kept = jumpsOf(one);
    if (one.edited ? std::any_of(one.rules.begin(), one.rules.end(), editedJumps)
                   : std::any_of(kept.begin(), kept.end(), jumps))
      return one.name;
  }
  return {};
}

TableImage::Chain& TableImage::edit(const ChainName& name) {
  references_.clear();
  Chain& it = chain(name);
  if (it.edited) return it;
  it.edited = true;
  auto origin = it.firstOrigin + (it.hook == kHooks ? 1 : 0);
  auto jumps = jumpsOf(it);
  for (auto at = it.firstRule; at < it.tail; at += sizeAt(at)) {
    const auto bytes = entryAt(at).bytes();
    auto& rule =
        it.rules.emplace_back(Rule{EntryBytes(bytes.begin(), bytes.end()), kNoChain, origin++});
    if (jumps.empty() || jumps.front().at != at) continue;
    rule.jump = jumps.front().to;
    jumps = jumps.subspan(1);
  }
  return it;
}

/// Behind those whose names come before it: libiptc finds chains by bisection.
void TableImage::createChain(const ChainName& name) {
  references_.clear();
  const auto id = static_cast<ChainId>(chains_.size());
  auto& made = chains_.emplace_back();
  made.name = name;
  made.made = made.edited = true;
  byName_.emplace(name, id);
  const auto before = [&](ChainId one) {
    return chains_[one].hook != kHooks || chains_[one].name < name;
  };
  order_.insert(std::find_if_not(order_.begin(), order_.end(), before), id);
}

void TableImage::flushChain(const ChainName& name) {
  references_.clear();
  Chain& it = chain(name);
  it.edited = true;
  it.rules.clear();
}

void TableImage::deleteChain(const ChainName& name) {
  const auto found = byName_.find(name);
  const auto id = found->second;
  byName_.erase(found);
  chains_[id].gone = true;
  order_.erase(std::find(order_.begin(), order_.end(), id));
}

TableImage::Rule TableImage::ruleOf(const EntryBytes& entry) const {
  Rule out{entry, kNoChain, TableReplacement::kNew};
  const auto name = EntryView(entry, family_).target().name;
  const auto jump = byName_.find(ChainName(name));
  const auto verdict = verdictNamed(name);
  if (!verdict && jump == byName_.end()) return out;
  if (verdict) {
    raw::setVerdict(out.bytes.data(), family_, *verdict);
  } else {
    out.jump = jump->second;
  }
  std::memset(const_cast<char*>(raw::targetName(out.bytes.data(), family_)), 0,
              XT_EXTENSION_MAXNAMELEN);
  return out;
}

void TableImage::appendRule(const ChainName& chain, const EntryBytes& entry) {
  edit(chain).rules.push_back(ruleOf(entry));
}

void TableImage::insertRule(const ChainName& chain, const EntryBytes& entry, std::size_t index) {
  auto& rules = edit(chain).rules;
  rules.insert(rules.begin() + static_cast<std::ptrdiff_t>(index), ruleOf(entry));
}

void TableImage::deleteRule(const ChainName& chain, std::size_t index) {
  auto& rules = edit(chain).rules;
  rules.erase(rules.begin() + static_cast<std::ptrdiff_t>(index));
}

}  // namespace margay::dataplane::xtables

#include "dataplane/xtables_image.h"

#include <linux/netfilter/x_tables.h>
#include <linux/netfilter_ipv4/ip_tables.h>
#include <linux/netfilter_ipv6/ip6_tables.h>

#include <algorithm>
#include <optional>
#include <utility>

namespace margay::dataplane::xtables {
namespace {

constexpr std::string_view kHookNames[kHooks] = {"PREROUTING", "INPUT", "FORWARD", "OUTPUT",
                                                 "POSTROUTING"};
constexpr int kReturn = XT_RETURN;
/// Behind the header of a standard target.
constexpr std::size_t kVerdictOffset = aligned(sizeof(xt_entry_target));

std::size_t headSize(Family family) {
  return family == Family::V4 ? sizeof(ipt_entry) : sizeof(ip6t_entry);
}

template <class T>
T load(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

std::uint16_t targetOffset(const std::byte* entry, Family family) {
  return load<std::uint16_t>(entry + (family == Family::V4 ? offsetof(ipt_entry, target_offset)
                                                           : offsetof(ip6t_entry, target_offset)));
}
std::uint16_t nextOffset(const std::byte* entry, Family family) {
  return load<std::uint16_t>(entry + (family == Family::V4 ? offsetof(ipt_entry, next_offset)
                                                           : offsetof(ip6t_entry, next_offset)));
}
char* targetName(std::byte* entry, Family family) {
  return reinterpret_cast<char*>(entry + targetOffset(entry, family)) +
         offsetof(xt_entry_target, u.user.name);
}
/// In the kernel's form standard targets have no name.
bool isStandard(const std::byte* entry, Family family) {
  return *targetName(const_cast<std::byte*>(entry), family) == '\0';
}
int verdictOf(const std::byte* entry, Family family) {
  return load<int>(entry + targetOffset(entry, family) + kVerdictOffset);
}
void setVerdict(std::byte* entry, Family family, int verdict) {
  std::memcpy(entry + targetOffset(entry, family) + kVerdictOffset, &verdict, sizeof verdict);
}

std::optional<int> verdictNamed(std::string_view name) {
  if (name == "ACCEPT") return -NF_ACCEPT - 1;
  if (name == "DROP") return -NF_DROP - 1;
  if (name == "QUEUE") return -NF_QUEUE - 1;
  if (name == "RETURN") return kReturn;
  return std::nullopt;
}

EntryBytes chainHead(const ChainName& name, Family family) {
  std::array<char, XT_FUNCTION_MAXNAMELEN> text{};
  std::copy_n(name.begin(), std::min(name.size(), text.size() - 1), text.begin());
  EntryBuilder builder;
  builder.setTarget(XT_ERROR_TARGET, 0, text);
  return builder.build({}, family);
}
EntryBytes chainTail(Family family) {
  EntryBuilder builder;
  builder.setTarget("", 0, kReturn);
  return builder.build({}, family);
}

Fail malformed(std::string_view what) {
  return fail(Errc::Invalid, "the kernel's table does not read: " + std::string(what));
}

}  // namespace

std::uint32_t TableImage::sizeAt(std::uint32_t offset) const {
  return nextOffset(entries_.bytes.data() + offset, family_);
}

Result<TableImage> TableImage::parse(TableEntries entries, Family family) {
  TableImage out(std::move(entries), family);
  if (auto found = out.findChains(); !found) return Fail(found.error());
  return out;
}

Result<void> TableImage::findChains() {
  const auto size = static_cast<std::uint32_t>(entries_.bytes.size());
  std::unordered_map<std::uint32_t, std::size_t> bases;
  for (std::size_t hook = 0; hook < kHooks; ++hook)
    if ((entries_.validHooks >> hook & 1U) != 0 &&
        !bases.emplace(entries_.hookEntries[hook], hook).second)
      return malformed("two base chains begin at one entry");
  std::uint32_t last = 0;
  std::uint32_t number = 0;
  bool ended = false;
  for (std::uint32_t at = 0; at < size; ++number) {
    if (ended) return malformed("something follows its end");
    const auto* entry = entries_.bytes.data() + at;
    if (size - at < headSize(family_)) return malformed("an entry is cut");
    const std::uint32_t length = nextOffset(entry, family_);
    if (length < headSize(family_) + kVerdictOffset || length > size - at ||
        targetOffset(entry, family_) + kVerdictOffset > length)
      return malformed("an entry has no length");
    const auto target = entryAt(at).target();
    const auto base = bases.find(at);
    const bool isHead = target.name == XT_ERROR_TARGET;
    if (isHead || base != bases.end()) {
      if (!chains_.empty())
        if (auto done = endChain(chains_.back(), last, at, number); !done) return done;
      ended = isHead && at + length == size;
    }
    if (!ended && (isHead || base != bases.end())) {
      auto& chain = chains_.emplace_back();
      chain.begin = at;
      chain.firstRule = isHead ? at + length : at;
      chain.firstOrigin = number;
      if (isHead) {
        const auto* text = reinterpret_cast<const char*>(target.data.data());
        chain.name.assign(text, strnlen(text, target.data.size()));
      } else {
        chain.hook = base->second;
        chain.name = kHookNames[base->second];
      }
    }
    if (chains_.empty()) return malformed("a rule is in no chain");
    last = at;
    at += length;
  }
  if (!ended || number != entries_.count) return malformed("it has no end");
  return checkJumps();
}

/// No tool makes rules that jump into the middle of a chain; we could not follow them.
Result<void> TableImage::checkJumps() const {
  for (const Chain& chain : chains_) {
    for (auto at = chain.firstRule; at < chain.tail; at += sizeAt(at)) {
      if (jumpAt(at) != kNextRule) continue;
      const auto next = static_cast<int>(at + sizeAt(at));
      if (verdictOf(entries_.bytes.data() + at, family_) != next)
        return malformed("a rule of chain " + chain.name + " jumps to no chain");
    }
  }
  return {};
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
  if (!isBase) byFirstRule_.emplace(chain.firstRule, id);
  order_.push_back(id);
  return {};
}

/// Where the rule at `offset` jumps to.
TableImage::ChainId TableImage::jumpAt(std::uint32_t offset) const {
  const auto* entry = entries_.bytes.data() + offset;
  if (!isStandard(entry, family_)) return kNoChain;
  const int verdict = verdictOf(entry, family_);
  if (verdict < 0) return kNoChain;
  const auto target = static_cast<std::uint32_t>(verdict);
  const auto found = byFirstRule_.find(target);
  return found == byFirstRule_.end() ? kNextRule : found->second;
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
      for (auto at = chain.firstRule; at < chain.tail; at += sizeAt(at)) count(jumpAt(at));
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
    const auto isJump = [&](const Rule& rule) { return rule.jump == wanted->second; };
    if (one.edited && std::any_of(one.rules.begin(), one.rules.end(), isJump)) return one.name;
    if (one.edited) continue;
    for (auto at = one.firstRule; at < one.tail; at += sizeAt(at))
      if (jumpAt(at) == wanted->second) return one.name;
  }
  return {};
}

TableImage::Chain& TableImage::edit(const ChainName& name) {
  references_.clear();
  Chain& it = chain(name);
  if (it.edited) return it;
  it.edited = true;
  auto origin = it.firstOrigin + (it.hook == kHooks ? 1 : 0);
  for (auto at = it.firstRule; at < it.tail; at += sizeAt(at)) {
    const auto bytes = entryAt(at).bytes();
    it.rules.push_back({EntryBytes(bytes.begin(), bytes.end()), jumpAt(at), origin++});
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
    setVerdict(out.bytes.data(), family_, *verdict);
  } else {
    out.jump = jump->second;
  }
  std::memset(targetName(out.bytes.data(), family_), 0, XT_EXTENSION_MAXNAMELEN);
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

/// Writes the chains one behind the other, when it is known where each will be.
class TableImage::Writer {
 public:
  explicit Writer(const TableImage& image)
      : image_(image),
        family_(image.family_),
        old_(image.entries_.bytes.data()),
        firstRules_(image.chains_.size()) {}

  TableReplacement run() {
    place();
    out_.entries.validHooks = image_.entries_.validHooks;
    out_.entries.hookEntries = image_.entries_.hookEntries;
    out_.entries.underflows = image_.entries_.underflows;
    out_.countBefore = image_.entries_.count;
    for (const auto id : image_.order_) {
      const Chain& chain = image_.chains_[id];
      if (chain.hook != kHooks) out_.entries.hookEntries[chain.hook] = at();
      if (chain.edited) {
        writeEdited(chain);
      } else {
        copy(chain);
      }
      if (chain.hook != kHooks) out_.entries.underflows[chain.hook] = lastEntry_;
    }
    const auto end = endOfChains();
    put({old_ + end, image_.entries_.bytes.size() - end}, image_.entries_.count - 1);
    out_.entries.count = static_cast<std::uint32_t>(out_.origins.size());
    return std::move(out_);
  }

 private:
  [[nodiscard]] std::uint32_t at() const { return at_; }
  /// Where the entry that ends the table begins.
  [[nodiscard]] std::size_t endOfChains() const {
    std::size_t end = 0;
    for (const Chain& chain : image_.chains_) end = std::max<std::size_t>(end, chain.end);
    return end;
  }

  void place() {
    std::uint32_t offset = 0;
    for (const auto id : image_.order_) {
      const Chain& chain = image_.chains_[id];
      const auto head = chain.made ? static_cast<std::uint32_t>(chainHead({}, family_).size())
                                   : chain.firstRule - chain.begin;
      firstRules_[id] = offset + head;
      if (!chain.edited) {
        offset += chain.end - chain.begin;
        continue;
      }
      offset += head;
      for (const Rule& rule : chain.rules) offset += static_cast<std::uint32_t>(rule.bytes.size());
      offset += chain.made ? static_cast<std::uint32_t>(chainTail(family_).size())
                           : chain.end - chain.tail;
    }
    out_.entries.bytes =
        TableEntries::Buffer(offset + image_.entries_.bytes.size() - endOfChains());
    out_.origins.reserve(image_.entries_.count + 64);
  }

  void append(std::span<const std::byte> bytes) {
    std::memcpy(out_.entries.bytes.data() + at_, bytes.data(), bytes.size());
    at_ += static_cast<std::uint32_t>(bytes.size());
  }
  void put(std::span<const std::byte> entry, std::uint32_t origin) {
    lastEntry_ = at();
    append(entry);
    out_.origins.push_back(origin);
  }
  void jumpTo(std::uint32_t entry, ChainId jump) {
    if (jump == kNoChain) return;
    auto* bytes = out_.entries.bytes.data() + entry;
    const auto target = jump == kNextRule ? entry + nextOffset(bytes, family_) : firstRules_[jump];
    setVerdict(bytes, family_, static_cast<int>(target));
  }

  void writeEdited(const Chain& chain) {
    if (chain.made) {
      put(chainHead(chain.name, family_), TableReplacement::kNew);
    } else if (chain.firstRule != chain.begin) {
      put({old_ + chain.begin, chain.firstRule - chain.begin}, chain.firstOrigin);
    }
    for (const Rule& rule : chain.rules) {
      put(rule.bytes, rule.origin);
      jumpTo(lastEntry_, rule.jump);
    }
    if (chain.made) {
      put(chainTail(family_), TableReplacement::kNew);
    } else {
      put({old_ + chain.tail, chain.end - chain.tail}, chain.firstOrigin + chain.count - 1);
    }
  }

  void copy(const Chain& chain) {
    const auto begin = at();
    append({old_ + chain.begin, chain.end - chain.begin});
    for (std::uint32_t i = 0; i < chain.count; ++i) out_.origins.push_back(chain.firstOrigin + i);
    for (auto rule = chain.firstRule; rule < chain.tail; rule += image_.sizeAt(rule))
      jumpTo(begin + (rule - chain.begin), image_.jumpAt(rule));
    lastEntry_ = begin + (chain.tail - chain.begin);
  }

  const TableImage& image_;
  Family family_;
  const std::byte* old_;
  std::vector<std::uint32_t> firstRules_;
  std::uint32_t at_ = 0;
  std::uint32_t lastEntry_ = 0;
  TableReplacement out_;
};

TableReplacement TableImage::compile() const {
  return Writer(*this).run();
}

}  // namespace margay::dataplane::xtables

#include <algorithm>
#include <array>
#include <numeric>
#include <utility>

#include "dataplane/xtables_image.h"
#include "dataplane/xtables_raw.h"

namespace margay::dataplane::xtables {
namespace {

EntryBytes chainHead(const ChainName& name, Family family) {
  std::array<char, XT_FUNCTION_MAXNAMELEN> text{};
  std::copy_n(name.begin(), std::min(name.size(), text.size() - 1), text.begin());
  EntryBuilder builder;
  builder.setTarget(XT_ERROR_TARGET, 0, text);
  return builder.build({}, family);
}
EntryBytes chainTail(Family family) {
  EntryBuilder builder;
  builder.setTarget("", 0, XT_RETURN);
  return builder.build({}, family);
}

}  // namespace

/// Writes the chains one behind the other, when it is known where each will be.
class TableImage::Writer {
 public:
  Writer(const TableImage& image, TableEntries::Buffer room)
      : image_(image),
        family_(image.family_),
        old_(image.entries_.bytes.data()),
        firstRules_(image.chains_.size()) {
    out_.entries.bytes = std::move(room);
  }

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
    out_.entries.bytes.resize(offset + image_.entries_.bytes.size() - endOfChains());
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
    const auto target =
        jump == kNextRule ? entry + raw::nextOffset(bytes, family_) : firstRules_[jump];
    raw::setVerdict(bytes, family_, static_cast<int>(target));
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
    const auto known = out_.origins.size();
    out_.origins.resize(known + chain.count);
    std::iota(out_.origins.begin() + static_cast<std::ptrdiff_t>(known), out_.origins.end(),
              chain.firstOrigin);
    for (const Jump& jump : image_.jumpsOf(chain)) jumpTo(begin + (jump.at - chain.begin), jump.to);
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

TableReplacement TableImage::compile(TableEntries::Buffer room) const {
  return Writer(*this, std::move(room)).run();
}

}  // namespace margay::dataplane::xtables

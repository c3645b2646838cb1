#include "dataplane/xtables_digest.h"

#include <netinet/in.h>

#include <linux/netfilter/xt_CT.h>
#include <linux/netfilter/xt_limit.h>
#include <linux/netfilter/xt_set.h>

#include <algorithm>
#include <cstring>
#include <span>

namespace margay::dataplane::xtables {
namespace {

/// Multiply and rotate over words of 8 bytes (MurmurHash3's round): fast, and no more is needed,
/// since nobody gains by a collision of their own rules.
class Hasher {
 public:
  void word(std::uint64_t value) {
    value *= 0x87c37b91114253d5ULL;
    value = (value << 31) | (value >> 33);
    state_ ^= value * 0x4cf5ad432745937fULL;
    state_ = ((state_ << 27) | (state_ >> 37)) * 5 + 0x52dce729;
  }
  void bytes(std::span<const std::byte> data) {
    word(data.size());
    for (; data.size() >= 8; data = data.subspan(8)) word(load(data.first(8)));
    if (!data.empty()) word(load(data));
  }
  void text(std::string_view text) { bytes(std::as_bytes(std::span(text.data(), text.size()))); }
  [[nodiscard]] std::uint64_t value() const {
    auto out = state_;
    out = (out ^ (out >> 33)) * 0xff51afd7ed558ccdULL;
    out = (out ^ (out >> 33)) * 0xc4ceb9fe1a85ec53ULL;
    return out ^ (out >> 33);
  }

 private:
  static std::uint64_t load(std::span<const std::byte> data) {
    std::uint64_t value = 0;
    std::memcpy(&value, data.data(), data.size());
    return value;
  }
  std::uint64_t state_ = 0x6d617267617921ULL;
};

/// How much of an extension's data is the rule's; behind it the kernel keeps its own.
std::size_t ruleBytes(const ExtensionView& extension) {
  auto size = extension.data.size();
  if (extension.name == "limit") size = offsetof(xt_rateinfo, prev);
  if (extension.name == "CT")
    size = extension.revision == 0 ? offsetof(xt_ct_target_info, ct)
                                   : offsetof(xt_ct_target_info_v1, ct);
  return std::min(size, extension.data.size());
}

void addExtension(Hasher& hasher, const ExtensionView& extension, const SetNameOf& setNameOf) {
  hasher.text(extension.name);
  hasher.word(extension.revision);
  if (extension.name == "set" && extension.data.size() > sizeof(ip_set_id_t)) {
    ip_set_id_t index = 0;
    std::memcpy(&index, extension.data.data(), sizeof index);
    hasher.text(setNameOf(index));
    hasher.bytes(extension.data.subspan(sizeof index));
    return;
  }
  hasher.bytes(extension.data.first(ruleBytes(extension)));
}

}  // namespace

RuleDigest digestOf(const EntryView& entry, std::optional<std::string_view> verdict,
                    const SetNameOf& setNameOf) {
  Hasher hasher;
  hasher.bytes(entry.head());
  entry.forEachMatch([&](const ExtensionView& match) { addExtension(hasher, match, setNameOf); });
  hasher.word(verdict ? 1 : 2);
  if (verdict) {
    hasher.text(*verdict);
  } else {
    addExtension(hasher, entry.target(), setNameOf);
  }
  return hasher.value();
}

}  // namespace margay::dataplane::xtables

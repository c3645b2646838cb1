#include "dataplane/iptables_hooks.h"

#include <cstring>

namespace margay::dataplane::iptables {
namespace {

constexpr std::string_view kLastMark = "last:";
/// As the kernel's comment match takes it, with the final zero.
constexpr std::size_t kCommentBytes = 256;

bool startsWith(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}

}  // namespace

std::optional<Position> hookPosition(std::string_view kernelComment) {
  if (!startsWith(kernelComment, kHookCommentPrefix)) return std::nullopt;
  const auto rest = kernelComment.substr(kHookCommentPrefix.size());
  return startsWith(rest, kLastMark) ? Position::Last : Position::First;
}

Result<Rule> toKernel(const Rule& rule, Position position) {
  if (!startsWith(rule.comment, kHookCommentPrefix))
    return fail(Errc::Invalid, "the comment of a hook rule begins with " +
                                   std::string(kHookCommentPrefix) + ", not \"" + rule.comment +
                                   "\"");
  Rule out = rule;
  if (position == Position::Last) out.comment.insert(kHookCommentPrefix.size(), kLastMark);
  if (hookPosition(out.comment) != position)
    return fail(Errc::Invalid, "the comment of a hook rule at the top cannot begin with \"" +
                                   std::string(kHookCommentPrefix) + std::string(kLastMark) + '"');
  return out;
}

void fromKernel(xtables::EntryBytes& entry, Family family) {
  const auto comment = xtables::EntryView(entry, family).comment();
  if (hookPosition(comment) != Position::Last) return;
  const auto offset =
      static_cast<std::size_t>(reinterpret_cast<const std::byte*>(comment.data()) - entry.data());
  const auto kept = offset + kHookCommentPrefix.size();
  const auto dropped = kept + kLastMark.size();
  const auto end = offset + kCommentBytes;
  std::memmove(&entry[kept], &entry[dropped], end - dropped);
  std::memset(&entry[end - kLastMark.size()], 0, kLastMark.size());
}

Result<void> replaceHooks(xtables::TableImage& image, const HookKey& key,
                          const std::vector<xtables::EntryBytes>& entries) {
  const ChainName chain(baseChainText(key.first));
  if (!image.isBaseChain(chain)) return fail(Errc::Invalid, "the table has no chain " + chain);
  std::vector<std::size_t> ours;
  std::size_t count = 0;
  image.forEachRule(chain, [&](const xtables::EntryView& rule) {
    if (hookPosition(rule.comment()) == key.second) ours.push_back(count);
    ++count;
  });
  for (auto index = ours.rbegin(); index != ours.rend(); ++index) image.deleteRule(chain, *index);
  std::size_t at = key.second == Position::First ? 0 : count - ours.size();
  for (const auto& entry : entries) image.insertRule(chain, entry, at++);
  return {};
}

}  // namespace margay::dataplane::iptables

#include "dataplane/xtables_encoder.h"

#include <netinet/in.h>

#include <linux/netfilter/xt_comment.h>

#include <algorithm>
#include <utility>

namespace margay::dataplane::xtables {
namespace {

Result<void> addComment(const std::string& comment, EntryBuilder& builder) {
  if (comment.empty()) return {};
  if (comment.size() >= XT_MAX_COMMENT_LEN)
    return fail(Errc::Invalid, "a comment has at most 255 bytes");
  const auto isControl = [](char c) { return c == '\0' || c == '\n'; };
  if (std::any_of(comment.begin(), comment.end(), isControl))
    return fail(Errc::Invalid, "a comment has no line break or zero byte");
  xt_comment_info info{};
  std::copy(comment.begin(), comment.end(), info.comment);
  builder.addMatch("comment", 0, info);
  return {};
}

Result<EntryBytes> encode(const Rule& rule, Family family, const SetIndexOf& setIndexOf) {
  EntryBuilder builder;
  auto head = encodeMatches(rule, family, setIndexOf, builder);
  if (!head) return Fail(head.error());
  if (auto added = addComment(rule.comment, builder); !added) return Fail(added.error());
  if (auto set = encodeAction(rule, family, *head, builder); !set) return Fail(set.error());
  return builder.build(*head, family);
}

}  // namespace

bool hasPorts(const std::optional<ProtocolMatch>& protocol) {
  if (!protocol || protocol->sense == Sense::IsNot) return false;
  switch (protocol->number) {
    case IPPROTO_TCP:
    case IPPROTO_UDP:
    case IPPROTO_SCTP:
    case IPPROTO_DCCP:
    case IPPROTO_UDPLITE:
      return true;
    default:
      return false;
  }
}

Result<EntryBytes> encodeRule(const Rule& rule, Family family, const SetIndexOf& setIndexOf) {
  auto bytes = encode(rule, family, setIndexOf);
  if (!bytes) return Fail(withContext(bytes.error(), "rule " + ruleText(rule, family)));
  return bytes;
}

}  // namespace margay::dataplane::xtables

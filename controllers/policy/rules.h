#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "api/model/policy.h"
#include "base/result.h"
#include "controllers/policy/model.h"
#include "dataplane/model/rule.h"

/// Policies and profiles as packet-filter chains. Pure; any thread.
namespace margay::controllers {

using ChainMap = std::map<dataplane::ChainName, dataplane::ChainRules>;

/// Bits of the packet mark that are ours. `accept`: the end that was judged last lets the packet
/// through. `pass`: a policy passed the packet on to the next tier.
struct MarkBits {
  std::uint32_t accept = 0;
  std::uint32_t pass = 0;
  std::uint32_t mask = 0;  ///< all that we were given
  bool operator==(const MarkBits&) const = default;
};
inline constexpr std::uint32_t kDefaultMarkMask = 0xffff0000;

/// Takes the bits from `mask`, lowest first. `Errc::Invalid` with one line that says what is wrong
/// and what to do: fewer than 5 bits, or bits that kube-proxy uses (0x4000, 0x8000).
[[nodiscard]] Result<MarkBits> allocateMarks(std::uint32_t mask);

enum class DenyAction : std::uint8_t { Drop, Reject };

struct RuleOptions {
  MarkBits marks;
  DenyAction deny = DenyAction::Drop;
  /// Before ": " in the kernel log. %t is the tier, %n and %p the policy's name, %k "pol" or "pro".
  std::string logPrefix = "calico-packet";
  std::optional<dataplane::RateLimitMatch> logRateLimit;
  bool operator==(const RuleOptions&) const = default;
};

/// "10/minute" as in LogActionRateLimit; no value if it is none.
[[nodiscard]] std::optional<dataplane::RateLimitMatch> parseRateLimit(std::string_view text,
                                                                      std::uint32_t burst);

[[nodiscard]] dataplane::Action denyAction(DenyAction deny);
/// `text` with all that neither iptables-save nor a log line quotes safely replaced by '_', cut to
/// `bytes`.
[[nodiscard]] std::string plainText(std::string_view text, std::size_t bytes);

/// Chains that the others goto: they set the accept or the pass mark and return for their caller.
inline constexpr std::string_view kAcceptChain = "mgy-accept";
inline constexpr std::string_view kPassChain = "mgy-pass";
[[nodiscard]] ChainMap verdictChains(const MarkBits& marks);

/// The rules of one direction of a policy or profile in one family.
struct RenderedList {
  dataplane::ChainName entry;  ///< empty: no rule applies to the family
  ChainMap chains;             ///< `entry` and those that it needs
  bool canAccept = false;
  bool canPass = false;
};

/// Allow gotos kAcceptChain, Pass gotos kPassChain, Deny ends the packet, Log continues; a packet
/// that no rule decides returns. Expects accept and pass to be clear. Names follow from
/// `list.hash`: equal names are equal content under equal options. As in Calico, a rule does not
/// apply to a family when its ipVersion is the other one, when a list of nets has none of the
/// family, when notNets holds all its addresses, or when it names an ICMP type of the other family;
/// nor does one with ports of a protocol that has none. O(rules * nets^2) for the nets of one rule.
[[nodiscard]] RenderedList renderRuleList(const RuleList& list, api::PolicyDirection direction,
                                          Family family, const RuleOptions& options);

/// "mgy-gi-<hash>" or "mgy-go-<hash>".
[[nodiscard]] dataplane::ChainName groupChainName(const Group& group);

/// The chains of groups and of the policies and profiles that they share, kept as groups come and
/// go. One thread at a time.
class GroupChains {
 public:
  GroupChains(Family family, RuleOptions options);

  /// Adding a group again does nothing; so does removing one that is not there. O(its policies'
  /// rules), without those that other groups have already.
  void add(const GroupPtr& group);
  void remove(const Group& group);
  /// Without verdictChains. A chain keeps its pointer as long as it is needed.
  [[nodiscard]] const ChainMap& chains() const { return chains_; }

 private:
  struct Shared {
    RenderedList rendered;
    std::size_t users = 0;
  };
  using ListKey = std::pair<api::PolicyDirection, std::string>;  // hash

  const RenderedList& use(const RuleListPtr& list, api::PolicyDirection direction);
  void release(const RuleListPtr& list, api::PolicyDirection direction);

  Family family_;
  RuleOptions options_;
  std::map<ListKey, Shared> lists_;
  std::map<dataplane::ChainName, GroupPtr> groups_;
  ChainMap chains_;
};

}  // namespace margay::controllers

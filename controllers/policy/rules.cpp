#include "controllers/policy/rules.h"

#include <algorithm>
#include <bit>
#include <cctype>
#include <charconv>
#include <cstdio>
#include <utility>

#include "controllers/policy/rules_match.h"

namespace margay::controllers {
namespace {

using dataplane::Action;
using dataplane::ChainName;
using dataplane::ChainRules;
using dataplane::GoTo;
using dataplane::Jump;
using dataplane::Match;
using dataplane::Rule;

constexpr std::size_t kChainNameBytes = 28;
constexpr std::size_t kCommentBytes = 255;
constexpr std::size_t kLogPrefixBytes = 29;
constexpr std::size_t kHashDigits = 12;
/// Up to this many kernel rules side by side are cheaper than a chain of their own.
constexpr std::size_t kInlineRules = 4;

std::string hex(std::uint32_t value) {
  char text[11];
  std::snprintf(text, sizeof text, "0x%x", value);
  return text;
}

ChainRules share(std::vector<Rule> rules) {
  return std::make_shared<const std::vector<Rule>>(std::move(rules));
}

Match marked(std::uint32_t bit) {
  return dataplane::MarkMatch{bit, bit, dataplane::Sense::Is};
}

std::string logPrefix(const RuleList& list, const std::string& format) {
  std::string out;
  for (std::size_t i = 0; i < format.size(); ++i) {
    const char next = i + 1 < format.size() ? format[i + 1] : '\0';
    if (format[i] != '%' || std::string_view("tknp").find(next) == std::string_view::npos ||
        next == '\0') {
      out += format[i];
      continue;
    }
    if (next == 't') out += list.tier;
    if (next == 'k') out += list.tier.empty() ? "pro" : "pol";
    if (next == 'n' || next == 'p') out += list.label;
    ++i;
  }
  return plainText(out, kLogPrefixBytes - 2) + ": ";
}

/// Writes one list. A rule that one kernel rule cannot say gets chains of its own, entered by a
/// jump, one a choice: an alternative that holds gotos the next one and the last one acts; a packet
/// that finds none returns behind the jump. So no scratch marks are needed, and packets that miss
/// the guard pay one rule.
class ListRenderer {
 public:
  ListRenderer(const RuleList& list, api::PolicyDirection direction, Family family,
               const RuleOptions& options)
      : list_(list), family_(family), options_(options) {
    const bool ingress = direction == api::PolicyDirection::Ingress;
    prefix_ =
        list.tier.empty() ? (ingress ? "mgy-pri-" : "mgy-pro-") : (ingress ? "mgy-pi-" : "mgy-po-");
  }

  RenderedList render() {
    for (std::size_t i = 0; i < list_.rules.size() && !ended_; ++i) renderRule(list_.rules[i], i);
    if (rules_.empty()) return std::move(out_);
    if (lastIsMarkCheck_) rules_.pop_back();
    if (!list_.tier.empty()) {
      rules_.front().comment =
          plainText("policy " + list_.label + " of tier " + list_.tier, kCommentBytes);
    }
    out_.entry = entryName();
    out_.chains[out_.entry] = share(std::move(rules_));
    return std::move(out_);
  }

 private:
  [[nodiscard]] ChainName entryName() const {
    const std::string hash = list_.hash.substr(0, kHashDigits);
    std::string slug;
    for (const char c : list_.label) slug += std::isalnum(static_cast<unsigned char>(c)) ? c : '-';
    const std::size_t room = kChainNameBytes - prefix_.size() - hash.size() - 1;
    slug = slug.substr(0, room);
    return slug.empty() ? prefix_ + hash : prefix_ + slug + '-' + hash;
  }
  /// Cannot be an entry's name: those end in the hash.
  [[nodiscard]] ChainName helperName(std::size_t rule, std::size_t level) const {
    return prefix_ + list_.hash.substr(0, kHashDigits) + '-' + std::to_string(rule) + '-' +
           std::to_string(level);
  }

  [[nodiscard]] Action action(api::RuleAction what) const {
    switch (what) {
      case api::RuleAction::Allow:
        return GoTo{ChainName(kAcceptChain)};
      case api::RuleAction::Pass:
        return GoTo{ChainName(kPassChain)};
      case api::RuleAction::Deny:
        return denyAction(options_.deny);
      case api::RuleAction::Log:
        break;
    }
    return dataplane::LogPacket{logPrefix(list_, options_.logPrefix)};
  }

  /// The rule that acts; a log's rate counts once for all alternatives, so it stands only here.
  [[nodiscard]] Rule acting(std::vector<Match> matches, api::RuleAction what) const {
    if (what == api::RuleAction::Log && options_.logRateLimit)
      matches.emplace_back(*options_.logRateLimit);
    return {std::move(matches), action(what), {}};
  }

  void emit(Rule rule) {
    rules_.push_back(std::move(rule));
    lastIsMarkCheck_ = false;
  }

  void renderRule(const ResolvedRule& rule, std::size_t index) {
    std::optional<RuleMatch> match = ruleMatch(rule, family_);
    if (!match) return;
    out_.canAccept |= rule.action == api::RuleAction::Allow;
    out_.canPass |= rule.action == api::RuleAction::Pass;

    std::size_t kernelRules = 1;
    for (const auto& choice : match->choices)
      kernelRules = std::min(kernelRules * choice.size(), kInlineRules + 1);
    const bool isLog = rule.action == api::RuleAction::Log;
    if (match->excluded.empty() && (kernelRules == 1 || (kernelRules <= kInlineRules && !isLog))) {
      ended_ = match->guard.empty() && match->choices.empty() && !isLog;
      emitInline(*match, rule.action, 0, match->guard);
    } else {
      emitHelpers(*match, rule.action, index);
    }
  }

  /// Every combination of alternatives from choice `at` on.
  void emitInline(const RuleMatch& match, api::RuleAction what, std::size_t at,
                  const std::vector<Match>& matches) {
    if (at == match.choices.size()) {
      emit(acting(matches, what));
      return;
    }
    for (const auto& alternative : match.choices[at]) {
      std::vector<Match> more = matches;
      for (const Match& one : alternative) {
        if (std::find(more.begin(), more.end(), one) == more.end()) more.push_back(one);
      }
      emitInline(match, what, at + 1, more);
    }
  }

  void emitHelpers(const RuleMatch& match, api::RuleAction what, std::size_t index) {
    const bool isLog = what == api::RuleAction::Log;
    // A log continues, so a packet that two alternatives match must still meet one rule that acts.
    const std::size_t levels = match.choices.size() + (isLog || match.choices.empty() ? 1 : 0);
    for (std::size_t level = 0; level < levels; ++level) {
      std::vector<Rule> rules;
      if (level == 0) {
        for (const auto& net : match.excluded) rules.push_back({{net}, dataplane::Return{}, {}});
      }
      if (level == match.choices.size()) {
        rules.push_back(acting({}, what));
      } else {
        const Action next =
            level + 1 < levels ? Action(GoTo{helperName(index, level + 1)}) : action(what);
        for (const auto& alternative : match.choices[level])
          rules.push_back({alternative, next, {}});
      }
      out_.chains[helperName(index, level)] = share(std::move(rules));
    }
    emit({match.guard, Jump{helperName(index, 0)}, {}});
    if (what == api::RuleAction::Allow) emitMarkCheck(options_.marks.accept);
    if (what == api::RuleAction::Pass) emitMarkCheck(options_.marks.pass);
  }

  void emitMarkCheck(std::uint32_t bit) {
    emit({{marked(bit)}, dataplane::Return{}, {}});
    lastIsMarkCheck_ = true;
  }

  const RuleList& list_;
  Family family_;
  const RuleOptions& options_;
  std::string prefix_;
  std::vector<Rule> rules_;
  bool lastIsMarkCheck_ = false;
  bool ended_ = false;  ///< no packet goes on behind the last rule
  RenderedList out_;
};

/// The rules of a group chain. Accept and pass are clear on entry.
class GroupRenderer {
 public:
  explicit GroupRenderer(const RuleOptions& options) : options_(options) {}

  void beginTier() {
    if (passMayBeSet_ && !ended_) clearPass();
    tierCanPass_ = false;
  }
  void policy(const RenderedList& list) {
    if (ended_ || list.entry.empty()) return;
    std::vector<Match> matches;
    if (passMayBeSet_) matches.push_back(passClear());
    judge(list, std::move(matches));
    tierCanPass_ |= list.canPass;
  }
  void endTier(const GroupTier& tier) {
    if (ended_ || tier.defaultAction != api::TierDefault::Deny) return;
    std::vector<Match> matches;
    if (tierCanPass_) matches.push_back(passClear());
    ended_ = !tierCanPass_;
    rules_.push_back(
        {std::move(matches), denyAction(options_.deny),
         plainText("end of tier " + tier.name + ": no policy decided", kCommentBytes)});
  }
  void profile(const RenderedList& list) {
    if (ended_ || list.entry.empty()) return;
    if (passMayBeSet_ && list.canPass) clearPass();
    judge(list, {});
  }
  [[nodiscard]] ChainRules finish() { return share(std::move(rules_)); }

 private:
  void judge(const RenderedList& list, std::vector<Match> matches) {
    rules_.push_back({std::move(matches), Jump{list.entry}, {}});
    if (list.canAccept)
      rules_.push_back({{marked(options_.marks.accept)}, dataplane::Return{}, {}});
    passMayBeSet_ |= list.canPass;
  }
  void clearPass() {
    rules_.push_back({{}, dataplane::SetMark{0, options_.marks.pass}, {}});
    passMayBeSet_ = false;
  }
  [[nodiscard]] Match passClear() const {
    return dataplane::MarkMatch{0, options_.marks.pass, dataplane::Sense::Is};
  }

  const RuleOptions& options_;
  std::vector<Rule> rules_;
  bool passMayBeSet_ = false;
  bool tierCanPass_ = false;
  bool ended_ = false;
};

}  // namespace

Result<MarkBits> allocateMarks(std::uint32_t mask) {
  constexpr int kNeeded = 5;
  constexpr std::uint32_t kKubeProxy = 0xc000;
  std::vector<std::uint32_t> bits;
  for (int i = 0; i < 32; ++i) {
    if ((mask >> i & 1U) != 0) bits.push_back(1U << i);
  }
  if ((mask & kKubeProxy) != 0) {
    const auto rest = mask & ~kKubeProxy;
    const bool enough = std::popcount(rest) >= kNeeded;
    return fail(Errc::Invalid, hex(mask) + " holds bits that kube-proxy uses (0xc000): set it to " +
                                   (enough ? hex(rest) + " or to " : "") + "the default " +
                                   hex(kDefaultMarkMask));
  }
  if (bits.size() < kNeeded) {
    return fail(Errc::Invalid,
                hex(mask) + " has " + std::to_string(bits.size()) +
                    (bits.size() == 1 ? " bit" : " bits") +
                    ", at least 5 are needed: set it to a wider mask, such as the default " +
                    hex(kDefaultMarkMask));
  }
  return MarkBits{.accept = bits[0], .pass = bits[1], .mask = mask};
}

std::optional<dataplane::RateLimitMatch> parseRateLimit(std::string_view text,
                                                        std::uint32_t burst) {
  std::uint32_t rate = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), rate);
  if (error != std::errc() || rate == 0) return std::nullopt;
  const std::string_view unit = text.substr(static_cast<std::size_t>(end - text.data()));
  using dataplane::RateUnit;
  for (const auto& [name, value] :
       {std::pair{"/second", RateUnit::Second}, std::pair{"/minute", RateUnit::Minute},
        std::pair{"/hour", RateUnit::Hour}, std::pair{"/day", RateUnit::Day}}) {
    if (unit == name) return dataplane::RateLimitMatch{rate, value, burst};
  }
  return std::nullopt;
}

dataplane::Action denyAction(DenyAction deny) {
  if (deny == DenyAction::Reject) return dataplane::Reject{};
  return dataplane::Drop{};
}

std::string plainText(std::string_view text, std::size_t bytes) {
  std::string out(text.substr(0, bytes));
  for (char& c : out) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0 ||
                       std::string_view("_ @%+=:,./-").find(c) != std::string_view::npos;
    if (!plain) c = '_';
  }
  return out;
}

ChainMap verdictChains(const MarkBits& marks) {
  return {
      {ChainName(kAcceptChain), share({{{}, dataplane::SetMark{marks.accept, marks.accept}, {}}})},
      {ChainName(kPassChain), share({{{}, dataplane::SetMark{marks.pass, marks.pass}, {}}})}};
}

RenderedList renderRuleList(const RuleList& list, api::PolicyDirection direction, Family family,
                            const RuleOptions& options) {
  return ListRenderer(list, direction, family, options).render();
}

dataplane::ChainName groupChainName(const Group& group) {
  return (group.direction == api::PolicyDirection::Ingress ? "mgy-gi-" : "mgy-go-") +
         group.hash.substr(0, 16);
}

GroupChains::GroupChains(Family family, RuleOptions options)
    : family_(family), options_(std::move(options)) {}

void GroupChains::add(const GroupPtr& group) {
  const ChainName name = groupChainName(*group);
  if (!groups_.emplace(name, group).second) return;
  GroupRenderer renderer(options_);
  for (const GroupTier& tier : group->tiers) {
    renderer.beginTier();
    for (const RuleListPtr& policy : tier.policies) renderer.policy(use(policy, group->direction));
    renderer.endTier(tier);
  }
  for (const RuleListPtr& profile : group->profiles)
    renderer.profile(use(profile, group->direction));
  chains_[name] = renderer.finish();
}

void GroupChains::remove(const Group& group) {
  const auto found = groups_.find(groupChainName(group));
  if (found == groups_.end()) return;
  const GroupPtr known = found->second;
  chains_.erase(found->first);
  groups_.erase(found);
  for (const GroupTier& tier : known->tiers) {
    for (const RuleListPtr& policy : tier.policies) release(policy, known->direction);
  }
  for (const RuleListPtr& profile : known->profiles) release(profile, known->direction);
}

const RenderedList& GroupChains::use(const RuleListPtr& list, api::PolicyDirection direction) {
  Shared& shared = lists_[{direction, list->hash}];
  if (shared.users++ == 0) {
    shared.rendered = renderRuleList(*list, direction, family_, options_);
    chains_.insert(shared.rendered.chains.begin(), shared.rendered.chains.end());
  }
  return shared.rendered;
}

void GroupChains::release(const RuleListPtr& list, api::PolicyDirection direction) {
  const auto found = lists_.find({direction, list->hash});
  if (--found->second.users > 0) return;
  for (const auto& [name, rules] : found->second.rendered.chains) chains_.erase(name);
  lists_.erase(found);
}

}  // namespace margay::controllers

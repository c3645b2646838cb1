#include "dataplane/rule_survey.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <string_view>

#include "dataplane/ipset_driver.h"
#include "dataplane/iptables_hooks.h"
#include "dataplane/iptables_nft_driver.h"
#include "dataplane/nft_attributes.h"
#include "dataplane/nft_batch.h"
#include "dataplane/nft_listing.h"
#include "dataplane/xtables_session.h"

namespace margay::dataplane {
namespace {

constexpr std::array<std::string_view, 5> kTablesOfIptables{"filter", "nat", "mangle", "raw",
                                                            "security"};
constexpr std::string_view kKubeProxy = "kube-proxy";  // its table, in nftables mode

/// Chains that kubelet and kube-proxy make so that others may know which iptables they use.
bool isHint(std::string_view chain) {
  return chain == "KUBE-IPTABLES-HINT" || chain == "KUBE-KUBELET-CANARY";
}

std::vector<TableName> legacyTablesInUse(Family family) {
  std::ifstream names(family == Family::V4 ? "/proc/thread-self/net/ip_tables_names"
                                           : "/proc/thread-self/net/ip6_tables_names");
  std::vector<TableName> out;
  for (std::string name; std::getline(names, name);) {
    for (const auto table :
         {TableName::Raw, TableName::Mangle, TableName::Nat, TableName::Filter}) {
      if (name == tableText(table)) out.push_back(table);
    }
  }
  return out;
}

/// The base chains in which workloads' packets can get lost.
constexpr std::array kFilterChains{BaseChain::Forward, BaseChain::Input};

std::optional<BaseChain> filterChainOf(std::string_view name) {
  for (const auto chain : kFilterChains) {
    if (name == baseChainText(chain)) return chain;
  }
  return std::nullopt;
}

void surveyLegacyChain(const xtables::Session& session, const ChainName& name,
                       RuleSurvey::Side& out, bool& accepts) {
  if (isHint(name)) out.kubernetes = "chain " + name;
  if (name.starts_with(kChainPrefix)) {
    out.ours = true;
    return;
  }
  session.forEachRule(name,
                      [&](const xtables::EntryView& rule, std::optional<std::string_view> verdict) {
                        const auto position = iptables::hookPosition(rule.comment());
                        accepts = accepts || position == Position::Last;
                        if (!position && (!verdict || !verdict->starts_with(kChainPrefix)))
                          ++out.rules;
                      });
}

Result<void> surveyLegacy(TableId table, RuleSurvey::Side& out) {
  auto session = xtables::Session::open(table);
  if (!session) return Fail(session.error());
  std::vector<ChainName> chains;
  session->forEachChain([&](const char* chain) { chains.emplace_back(chain); });
  for (const ChainName& chain : chains) {
    bool accepts = false;
    surveyLegacyChain(*session, chain, out, accepts);
    const auto base = filterChainOf(chain);
    if (table.table != TableName::Filter || !base) continue;
    if (accepts) out.accepting.insert({table.family, *base});
    if (session->policyDrops(chain)) out.dropping.insert({table.family, *base});
  }
  return {};
}

std::string familyText(std::uint8_t family) {
  if (family == NFPROTO_IPV4) return "ip";
  if (family == NFPROTO_IPV6) return "ip6";
  return family == NFPROTO_INET ? "inet" : std::to_string(family);
}

void surveyChain(const nlmsghdr& message, RuleSurvey& survey) {
  const auto family = static_cast<const nfgenmsg*>(NLMSG_DATA(&message))->nfgen_family;
  if (family != NFPROTO_IPV4 && family != NFPROTO_IPV6 && family != NFPROTO_INET) return;
  auto& out = survey.nft;
  const NftAttributes chain(message);
  const auto table = chain.text(NFTA_CHAIN_TABLE);
  const auto name = chain.text(NFTA_CHAIN_NAME);
  if (table == kNftTable) {
    out.ours = true;
    return;
  }
  const std::string where = familyText(family) + ' ' + std::string(table);
  if (table == kKubeProxy) {
    out.kubernetes = "table " + where;
    survey.kubeProxyUsesNft = true;
  }
  const bool isIptables = family != NFPROTO_INET &&
                          std::find(kTablesOfIptables.begin(), kTablesOfIptables.end(), table) !=
                              kTablesOfIptables.end();
  // References to a chain: for a base chain these are its rules, for others nearly so.
  if (isIptables) out.rules += chain.number(NFTA_CHAIN_USE).value_or(0);
  if (isIptables && isHint(name)) out.kubernetes = "chain " + std::string(name);
  const auto hook = chain.nested(NFTA_CHAIN_HOOK, NFTA_HOOK_HOOKNUM);
  if (!hook || chain.number(NFTA_CHAIN_POLICY) != NF_DROP) return;
  const auto base = filterChainOf(name);
  if (isIptables && base && table == tableText(TableName::Filter)) {
    out.dropping.insert({family == NFPROTO_IPV4 ? Family::V4 : Family::V6, *base});
  } else if (hook == NF_INET_FORWARD) {
    survey.nativeDropping.push_back({where, std::string(name)});
  }
}

}  // namespace

RuleSurveyor::RuleSurveyor() = default;
RuleSurveyor::~RuleSurveyor() = default;
RuleSurveyor::RuleSurveyor(RuleSurveyor&&) noexcept = default;
RuleSurveyor& RuleSurveyor::operator=(RuleSurveyor&&) noexcept = default;

bool RuleSurveyor::hasOwnSets() {
  if (!sets_) {
    auto opened = KernelIpsetDriver::open();
    if (!opened) return false;
    sets_ = std::move(*opened);
  }
  const auto names = sets_->names();
  return names && !names->ours.empty();
}

Result<void> RuleSurveyor::surveyNft() {
  if (!socket_) {
    auto opened = NfnetlinkSocket::open();
    if (!opened) return Fail(opened.error());
    socket_ = std::move(*opened);
  }
  const auto before = nftGeneration(*socket_);
  if (before && generation_ == *before) return {};
  generation_.reset();
  nft_ = {};
  NftRequest request(*socket_, NFT_MSG_GETCHAIN, NLM_F_DUMP, NFPROTO_UNSPEC);
  auto dumped =
      socket_->dump(request.view(), [&](const nlmsghdr& part) { surveyChain(part, nft_); });
  // A kernel without nf_tables has none of it.
  if (!dumped) return dumped.error().code == Errc::Interrupted ? dumped : Result<void>();
  for (const Family family : {Family::V4, Family::V6}) {
    for (const auto chain : kFilterChains) {
      const auto rules = listIptablesNftRules(*socket_, family, chain);
      if (!rules) return Fail(rules.error());
      const auto ours =
          std::count_if(rules->begin(), rules->end(), [](const auto& rule) { return rule.ours; });
      if (ours == 0) continue;
      nft_.nft.accepting.insert({family, chain});
      nft_.nft.rules -= static_cast<std::size_t>(ours);
    }
  }
  // What changed during the look shows at the next one.
  if (before) generation_ = *before;
  return {};
}

Result<RuleSurvey> RuleSurveyor::survey() {
  if (auto seen = surveyNft(); !seen) return Fail(withContext(seen.error(), "survey nf_tables"));
  RuleSurvey out = nft_;
  for (const Family family : {Family::V4, Family::V6}) {
    for (const auto table : legacyTablesInUse(family)) {
      if (auto seen = surveyLegacy({family, table}, out.legacy); !seen)
        return Fail(withContext(seen.error(), "survey legacy tables"));
    }
  }
  // The kernel counts the members of all sets to list them: only where chains do not tell already.
  if (!out.legacy.ours) out.legacy.ours = hasOwnSets();
  return out;
}

}  // namespace margay::dataplane

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
#include "dataplane/nft_attributes.h"
#include "dataplane/nft_batch.h"
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

Result<void> surveyLegacy(TableId table, RuleSurvey::Side& out) {
  auto session = xtables::Session::open(table);
  if (!session) return Fail(session.error());
  std::vector<ChainName> chains;
  session->forEachChain([&](const char* chain) { chains.emplace_back(chain); });
  for (const ChainName& chain : chains) {
    if (isHint(chain)) out.kubernetes = "chain " + chain;
    const bool ours = chain.starts_with(kChainPrefix);
    out.ours = out.ours || ours;
    if (!ours) {
      session->forEachRule(chain, [&](const auto&, std::optional<std::string_view> verdict) {
        if (!verdict || !verdict->starts_with(kChainPrefix)) ++out.rules;
      });
    }
  }
  if (table.table == TableName::Filter && session->policyDrops("FORWARD"))
    out.dropping.push_back({table.str(), "FORWARD"});
  return {};
}

std::string familyText(std::uint8_t family) {
  if (family == NFPROTO_IPV4) return "ip";
  if (family == NFPROTO_IPV6) return "ip6";
  return family == NFPROTO_INET ? "inet" : std::to_string(family);
}

void surveyChain(const nlmsghdr& message, RuleSurvey::Side& out) {
  const auto family = static_cast<const nfgenmsg*>(NLMSG_DATA(&message))->nfgen_family;
  if (family != NFPROTO_IPV4 && family != NFPROTO_IPV6 && family != NFPROTO_INET) return;
  const NftAttributes chain(message);
  const auto table = chain.text(NFTA_CHAIN_TABLE);
  const auto name = chain.text(NFTA_CHAIN_NAME);
  if (table == kNftTable) {
    out.ours = true;
    return;
  }
  const std::string where = familyText(family) + ' ' + std::string(table);
  if (table == kKubeProxy) out.kubernetes = "table " + where;
  const bool isIptables = family != NFPROTO_INET &&
                          std::find(kTablesOfIptables.begin(), kTablesOfIptables.end(), table) !=
                              kTablesOfIptables.end();
  // References to a chain: for a base chain these are its rules, for others nearly so.
  if (isIptables) out.rules += chain.number(NFTA_CHAIN_USE).value_or(0);
  if (isIptables && isHint(name)) out.kubernetes = "chain " + std::string(name);
  const auto hook = chain.nested(NFTA_CHAIN_HOOK, NFTA_HOOK_HOOKNUM);
  if (hook == NF_INET_FORWARD && chain.number(NFTA_CHAIN_POLICY) == NF_DROP)
    out.dropping.push_back({where, std::string(name)});
}

Result<void> surveyNft(RuleSurvey::Side& out) {
  auto socket = NfnetlinkSocket::open();
  if (!socket) return Fail(socket.error());
  NftRequest request(*socket, NFT_MSG_GETCHAIN, NLM_F_DUMP, NFPROTO_UNSPEC);
  auto dumped = socket->dump(request.view(), [&](const nlmsghdr& part) { surveyChain(part, out); });
  // A kernel without nf_tables has none of it.
  if (!dumped && dumped.error().code == Errc::Interrupted) return dumped;
  return {};
}

}  // namespace

Result<RuleSurvey> surveyRules() {
  RuleSurvey out;
  for (const Family family : {Family::V4, Family::V6}) {
    for (const auto table : legacyTablesInUse(family)) {
      if (auto seen = surveyLegacy({family, table}, out.legacy); !seen)
        return Fail(withContext(seen.error(), "survey legacy tables"));
    }
  }
  if (auto sets = KernelIpsetDriver::open()) {
    const auto listed = (*sets)->list();
    out.legacy.ours = out.legacy.ours || (listed && !listed->empty());
  }
  if (auto seen = surveyNft(out.nft); !seen)
    return Fail(withContext(seen.error(), "survey nf_tables"));
  return out;
}

}  // namespace margay::dataplane

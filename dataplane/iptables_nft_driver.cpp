#include "dataplane/iptables_nft_driver.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nf_tables_compat.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <netlink/attr.h>

#include <array>
#include <cerrno>
#include <string>
#include <utility>

#include "base/hash.h"
#include "dataplane/iptables_hooks.h"
#include "dataplane/nft_attributes.h"
#include "dataplane/nft_listing.h"
#include "dataplane/nft_userdata.h"
#include "dataplane/nft_writer.h"
#include "dataplane/xtables_encoder.h"

namespace margay::dataplane {
namespace {

constexpr std::array kChains = {BaseChain::Input, BaseChain::Forward};
constexpr std::string_view kTable = "filter";

std::uint8_t nfFamily(Family family) {
  return family == Family::V4 ? NFPROTO_IPV4 : NFPROTO_IPV6;
}
std::uint16_t typeOf(int message) {
  return static_cast<std::uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | message);
}

const nlattr* within(const nlattr* nest, int type) {
  if (nest == nullptr) return nullptr;
  return nla_find(static_cast<const nlattr*>(nla_data(nest)), nla_len(nest), type);
}
std::string_view textOf(const nlattr* attribute) {
  if (attribute == nullptr) return {};
  const auto* text = static_cast<const char*>(nla_data(attribute));
  return {text, strnlen(text, static_cast<std::size_t>(nla_len(attribute)))};
}

/// Of the `comment` match, which is where iptables keeps it.
std::string_view matchComment(const nlattr* expressions) {
  if (expressions == nullptr) return {};
  int left = nla_len(expressions);
  for (const auto* element = static_cast<const nlattr*>(nla_data(expressions));
       nla_ok(element, left); element = nla_next(element, &left)) {
    const nlattr* data = within(element, NFTA_EXPR_DATA);
    if (textOf(within(element, NFTA_EXPR_NAME)) == "match" &&
        textOf(within(data, NFTA_MATCH_NAME)) == "comment")
      return textOf(within(data, NFTA_MATCH_INFO));
  }
  return {};
}

IptablesNftRule ruleOf(const NftAttributes& rule) {
  const auto userdata = rule.bytes(NFTA_RULE_USERDATA);
  auto comment = matchComment(rule.find(NFTA_RULE_EXPRESSIONS));
  if (comment.empty()) comment = commentIn(userdata);
  IptablesNftRule out;
  for (const std::uint8_t byte : rule.bytes(NFTA_RULE_HANDLE)) out.handle = out.handle << 8 | byte;
  out.ours = iptables::hookPosition(comment).has_value();
  if (out.ours) out.digest = digestIn(userdata).value_or(0);
  return out;
}

/// NFTA_RULE_EXPRESSIONS: what iptables-nft would make of the rule, but for matches that it has no
/// extension for in some version; those are extensions here.
Result<std::vector<std::uint8_t>> expressionsOf(const Rule& rule, Family family) {
  const auto kernelRule = iptables::toKernel(rule, Position::Last);
  if (!kernelRule) return Fail(kernelRule.error());
  const auto entry = xtables::encodeRule(*kernelRule, family, [](const std::string& set) {
    return Result<std::uint16_t>(fail(Errc::Invalid, "no set here: " + set));
  });
  if (!entry) return Fail(entry.error());
  NftWriter out;
  for (const auto& match : rule.matches) {
    if (const auto* interface = std::get_if<InterfaceMatch>(&match)) out.interface(*interface);
  }
  xtables::EntryView(*entry, family).forEachMatch([&](const xtables::ExtensionView& match) {
    out.expression("match", [&] {
      out.text(NFTA_MATCH_NAME, match.name);
      out.be32(NFTA_MATCH_REV, match.revision);
      out.batch().attribute(
          NFTA_MATCH_INFO,
          std::span(reinterpret_cast<const std::uint8_t*>(match.data.data()), match.data.size()));
    });
  });
  out.counter();
  if (!std::holds_alternative<Accept>(rule.action))
    return fail(Errc::Invalid, "rules in chains of iptables-nft accept, and do nothing else");
  out.verdict(NF_ACCEPT);
  const auto bytes = out.batch().bytes();
  return std::vector<std::uint8_t>(bytes.begin(), bytes.end());
}

RuleDigest digestOf(std::span<const std::uint8_t> expressions) {
  const auto hash = contentHash(
      std::string_view(reinterpret_cast<const char*>(expressions.data()), expressions.size()), 16);
  return std::stoull(hash, nullptr, 16);
}

/// One transaction that fails as a whole if anybody changed nf_tables since `generation`.
class Transaction {
 public:
  Transaction(Family family, std::uint32_t generation) : family_(family) {
    mark(NFNL_MSG_BATCH_BEGIN);
    batch_.attribute(NFNL_BATCH_GENID, htonl(generation));
    batch_.end();
  }
  void remove(BaseChain chain, std::uint64_t handle) {
    begin(NFT_MSG_DELRULE, 0, chain);
    std::array<std::uint8_t, 8> bytes{};
    for (std::size_t i = bytes.size(); i-- > 0; handle >>= 8)
      bytes[i] = static_cast<std::uint8_t>(handle & 0xff);
    batch_.attribute(NFTA_RULE_HANDLE, std::span<const std::uint8_t>(bytes));
    batch_.end();
  }
  void append(BaseChain chain, const std::vector<std::uint8_t>& expressions) {
    begin(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, chain);
    batch_.attribute(NFTA_RULE_EXPRESSIONS | NLA_F_NESTED,
                     std::span<const std::uint8_t>(expressions));
    batch_.attribute(NFTA_RULE_USERDATA,
                     std::span<const std::uint8_t>(ruleUserdata({}, digestOf(expressions))));
    batch_.end();
  }
  /// What the kernel said first.
  Result<void> send(NfnetlinkSocket& socket) {
    mark(NFNL_MSG_BATCH_END);
    batch_.end();
    const auto count = static_cast<std::uint32_t>(batch_.messages());
    auto sequence = socket.sequences(count);
    for (std::size_t at = 0; at < batch_.bytes().size();) {
      auto* head = reinterpret_cast<nlmsghdr*>(batch_.bytes().data() + at);
      head->nlmsg_seq = sequence++;
      at += NLMSG_ALIGN(head->nlmsg_len);
    }
    if (auto sent = socket.send(std::as_bytes(std::span<const std::uint8_t>(batch_.bytes())));
        !sent)
      return sent;
    int refused = 0;
    auto drained = socket.drain([&](const nlmsghdr& answer) {
      if (refused == 0 && errorOf(answer) > 0) refused = errorOf(answer);
      return NfnetlinkSocket::More::Wanted;
    });
    if (!drained) return drained;
    if (refused == ERESTART || refused == ENOENT)
      return fail(Errc::Stale, "a table of iptables-nft changed since it was read", refused);
    if (refused != 0) return Fail(systemError(refused, "write to a table of iptables-nft"));
    return {};
  }

 private:
  void mark(std::uint16_t type) {
    batch_.begin(type, 0);
    batch_.header(nfgenmsg{AF_UNSPEC, NFNETLINK_V0, htons(NFNL_SUBSYS_NFTABLES)});
  }
  void begin(int message, std::uint16_t flags, BaseChain chain) {
    batch_.begin(typeOf(message), flags);
    batch_.header(nfgenmsg{nfFamily(family_), NFNETLINK_V0, 0});
    batch_.attribute(NFTA_RULE_TABLE, kTable);
    batch_.attribute(NFTA_RULE_CHAIN, baseChainText(chain));
  }
  Family family_;
  NetlinkBatch batch_;
};

/// FNV-1a over what tells one rule from another.
TableFingerprint fingerprintOf(const std::map<BaseChain, std::vector<IptablesNftRule>>& chains) {
  TableFingerprint out;
  out.size = 0x811c9dc5U;
  const auto mix = [&](std::uint64_t value) {
    for (int i = 0; i < 8; ++i, value >>= 8)
      out.size = (out.size ^ static_cast<std::uint32_t>(value & 0xff)) * 0x01000193U;
  };
  for (const auto& [chain, rules] : chains) {
    for (const auto& rule : rules) {
      ++out.entries;
      mix(static_cast<std::uint64_t>(chain));
      mix(rule.handle);
      mix(rule.digest);
    }
  }
  return out;
}

}  // namespace

Result<std::vector<IptablesNftRule>> listIptablesNftRules(NfnetlinkSocket& socket, Family family,
                                                          BaseChain chain) {
  std::vector<IptablesNftRule> out;
  NftRequest request(socket, NFT_MSG_GETRULE, NLM_F_DUMP, nfFamily(family));
  request.text(NFTA_RULE_TABLE, kTable).text(NFTA_RULE_CHAIN, baseChainText(chain));
  const auto dumped = socket.dump(request.view(), [&](const nlmsghdr& part) {
    const NftAttributes rule(part);
    if (rule.text(NFTA_RULE_TABLE) == kTable && rule.text(NFTA_RULE_CHAIN) == baseChainText(chain))
      out.push_back(ruleOf(rule));
  });
  if (!dumped && dumped.error().sysErrno != ENOENT)
    return Fail(withContext(dumped.error(), "list rules of iptables-nft"));
  return out;
}

Result<IptablesNftDriver> IptablesNftDriver::open() {
  auto socket = NfnetlinkSocket::open();
  if (!socket) return Fail(withContext(socket.error(), "open nf_tables"));
  return IptablesNftDriver(std::move(*socket));
}

Result<const IptablesNftDriver::Seen*> IptablesNftDriver::look(Family family) {
  const auto generation = nftGeneration(socket_);
  if (!generation) return Fail(generation.error());
  auto& seen = seen_[family];
  if (seen.generation == *generation) return &seen;
  Chains chains;
  for (const BaseChain chain : kChains) {
    auto rules = listIptablesNftRules(socket_, family, chain);
    if (!rules) return Fail(rules.error());
    chains[chain] = std::move(*rules);
  }
  seen = {*generation, std::move(chains)};
  return &seen;
}

Result<TableFingerprint> IptablesNftDriver::fingerprint(TableId table) {
  const auto seen = look(table.family);
  if (!seen) return Fail(seen.error());
  return fingerprintOf((*seen)->chains);
}

Result<ObservedTable> IptablesNftDriver::read(TableId table) {
  const auto seen = look(table.family);
  if (!seen) return Fail(seen.error());
  ObservedTable out;
  out.fingerprint = fingerprintOf((*seen)->chains);
  for (const auto& [chain, rules] : (*seen)->chains) {
    bool begun = false;
    for (const auto& rule : rules) {
      if (!rule.ours) {
        ++out.foreignRules;
        if (begun) out.hooks[{chain, Position::Last}].inPlace = false;
        continue;
      }
      begun = true;
      out.hooks[{chain, Position::Last}].rules.push_back(rule.digest);
    }
  }
  return out;
}

Result<std::vector<RuleDigest>> IptablesNftDriver::digests(TableId table,
                                                           std::span<const Rule> rules) {
  std::vector<RuleDigest> out;
  for (const Rule& rule : rules) {
    const auto expressions = expressionsOf(rule, table.family);
    if (!expressions) return Fail(expressions.error());
    out.push_back(digestOf(*expressions));
  }
  return out;
}

Result<TableFingerprint> IptablesNftDriver::commit(TableId table, const TableEdit& edit,
                                                   const TableFingerprint& expected) {
  const auto seen = look(table.family);
  if (!seen) return Fail(seen.error());
  if (fingerprintOf((*seen)->chains) != expected)
    return fail(Errc::Stale, "a table of iptables-nft changed since it was read");
  if (!edit.set.empty() || !edit.remove.empty())
    return fail(Errc::Invalid, "no chains of ours in the tables of iptables-nft");
  Transaction transaction(table.family, (*seen)->generation);
  for (const auto& [key, rules] : edit.hooks) {
    const auto chain = (*seen)->chains.find(key.first);
    if (key.second != Position::Last || chain == (*seen)->chains.end())
      return fail(Errc::Invalid, "rules of ours are last in INPUT and FORWARD of iptables-nft");
    for (const auto& rule : chain->second) {
      if (rule.ours) transaction.remove(key.first, rule.handle);
    }
    for (const Rule& rule : rules) {
      const auto expressions = expressionsOf(rule, table.family);
      if (!expressions) return Fail(expressions.error());
      transaction.append(key.first, *expressions);
    }
  }
  if (auto sent = transaction.send(socket_); !sent) return Fail(sent.error());
  return fingerprint(table);
}

}  // namespace margay::dataplane

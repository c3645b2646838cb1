#include "dataplane/nft_batch.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include <array>
#include <cstring>
#include <random>
#include <string>

#include "dataplane/drivers.h"
#include "dataplane/nft_elements.h"
#include "dataplane/nft_userdata.h"

namespace margay::dataplane {
namespace {

/// A nested attribute has at most 64 KiB.
constexpr std::size_t kMaxElementList = 60000;
/// Of a number and a verdict with the longest name of a chain, 31 bytes.
constexpr std::size_t kMaxChainElementBytes = 80;
constexpr std::size_t kKeptBytes = 1UL << 20;
// Those of iptables' tables, so that order among packages stays what it was; but filter is one
// before, so that our accept mark is set where iptables' filter chains ask for it.
constexpr std::int32_t kPriorities[] = {-300, -150, 100, -1};  // by TableName
constexpr std::uint32_t kServiceType = 13;                     // as nft numbers what keys are
constexpr std::uint32_t kMarkType = 19;

std::uint8_t nfFamily(Family family) {
  return family == Family::V4 ? NFPROTO_IPV4 : NFPROTO_IPV6;
}
std::uint16_t typeOf(int message) {
  return static_cast<std::uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | message);
}

struct HookText {
  BaseChain chain;
  std::string_view text;
  std::uint32_t number;
};
constexpr HookText kHooks[] = {
    {BaseChain::Prerouting, "prerouting", NF_INET_PRE_ROUTING},
    {BaseChain::Input, "input", NF_INET_LOCAL_IN},
    {BaseChain::Forward, "forward", NF_INET_FORWARD},
    {BaseChain::Output, "output", NF_INET_LOCAL_OUT},
    {BaseChain::Postrouting, "postrouting", NF_INET_POST_ROUTING},
};
constexpr TableName kTables[] = {TableName::Raw, TableName::Mangle, TableName::Nat,
                                 TableName::Filter};
constexpr std::string_view kLast = "-last";

const HookText& hookText(BaseChain chain) {
  return kHooks[static_cast<std::size_t>(chain)];
}

/// For a set without a name, which only its number in the batch refers to. With "%d" in it the
/// kernel would look for a free one among all sets each time: 3 s for 5,000 of them.
std::string uniqueName() {
  static std::uint64_t next = [] {
    std::random_device random;
    return std::uint64_t{random()} << 32;
  }();
  return "__mgy" + std::to_string(next++);
}

void putPort(NetlinkBatch& out, std::uint16_t port, std::uint32_t flags) {
  const std::uint8_t bytes[] = {static_cast<std::uint8_t>(port >> 8),
                                static_cast<std::uint8_t>(port & 0xff)};
  const auto element = out.beginNested(NFTA_LIST_ELEM);
  if (flags != 0) out.attribute(NFTA_SET_ELEM_FLAGS, htonl(flags));
  const auto key = out.beginNested(NFTA_SET_ELEM_KEY);
  out.attribute(NFTA_DATA_VALUE, std::span<const std::uint8_t>(bytes));
  out.endNested(key);
  out.endNested(element);
}

void putChain(NetlinkBatch& out, std::uint32_t number, const ChainName& chain) {
  const std::uint32_t numberBe = htonl(number);  // as in elements of maps
  const auto element = out.beginNested(NFTA_LIST_ELEM);
  const auto key = out.beginNested(NFTA_SET_ELEM_KEY);
  out.attribute(NFTA_DATA_VALUE, std::span(reinterpret_cast<const std::uint8_t*>(&numberBe), 4));
  out.endNested(key);
  const auto data = out.beginNested(NFTA_SET_ELEM_DATA);
  const auto verdict = out.beginNested(NFTA_DATA_VERDICT);
  out.attribute(NFTA_VERDICT_CODE, htonl(static_cast<std::uint32_t>(NFT_GOTO)));
  out.attribute(NFTA_VERDICT_CHAIN, std::string_view(chain));
  out.endNested(verdict);
  out.endNested(data);
  out.endNested(element);
}

}  // namespace

std::string baseChainName(const NftBaseChain& chain) {
  std::string out(tableText(chain.table));
  out += '-';
  out += hookText(chain.hook.first).text;
  if (chain.hook.second == Position::Last && chain.table != TableName::Nat) out += kLast;
  return out;
}

std::optional<NftBaseChain> baseChainOf(std::string_view name) {
  for (const TableName table : kTables) {
    for (const HookText& hook : kHooks) {
      for (const Position position : {Position::First, Position::Last}) {
        // The one name that two hooks have is that of nat: its hook is Last.
        if (table == TableName::Nat && position == Position::First) continue;
        const NftBaseChain chain{table, {hook.chain, position}};
        if (name == baseChainName(chain)) return chain;
      }
    }
  }
  return std::nullopt;
}

void NftBatch::mark(NetlinkBatch& out, std::uint16_t type) {
  out.begin(type, 0);
  out.header(nfgenmsg{AF_UNSPEC, NFNETLINK_V0, htons(NFNL_SUBSYS_NFTABLES)});
  out.end();
}

void NftBatch::clear() {
  // What a bulk load took is given back.
  if (body_.bytes().size() > kKeptBytes) body_ = {};
  if (out_.bytes().size() > kKeptBytes) out_ = {};
  body_.clear();
  mark(body_, NFNL_MSG_BATCH_BEGIN);
  onlyFills_ = true;
  messages_.clear();
  gone_.clear();
  units_.clear();
  nextSet_ = 1;
}

NftBatch::UnitId NftBatch::add(NftUnit unit) {
  units_.push_back(std::move(unit));
  return static_cast<UnitId>(units_.size() - 1);
}

void NftBatch::begin(UnitId unit, std::uint16_t type, std::uint16_t flags, Family family) {
  messages_.push_back({body_.bytes().size(), 0, unit});
  const bool fills =
      type == NFT_MSG_NEWTABLE || type == NFT_MSG_NEWSET || type == NFT_MSG_NEWSETELEM;
  onlyFills_ = onlyFills_ && fills;
  body_.begin(typeOf(type), flags);
  body_.header(nfgenmsg{nfFamily(family), NFNETLINK_V0, 0});
  body_.attribute(NFTA_TABLE_NAME, std::string_view(kNftTable));  // 1 in every message of ours
}

void NftBatch::end() {
  body_.end();
  messages_.back().end = body_.bytes().size();
}

void NftBatch::table(Family family) {
  begin(kNobody, NFT_MSG_NEWTABLE, NLM_F_CREATE, family);
  end();
}

void NftBatch::removeTable(UnitId unit) {
  begin(unit, NFT_MSG_DELTABLE, 0, familyOf(unit));
  end();
}

void NftBatch::chain(UnitId unit, TableName table, const ChainName& name) {
  begin(unit, NFT_MSG_NEWCHAIN, NLM_F_CREATE, familyOf(unit));
  body_.attribute(NFTA_CHAIN_NAME, std::string_view(name));
  body_.attribute(NFTA_CHAIN_USERDATA, std::span<const std::uint8_t>(chainUserdata(table)));
  end();
}

void NftBatch::baseChain(UnitId unit, const NftBaseChain& chain) {
  begin(unit, NFT_MSG_NEWCHAIN, NLM_F_CREATE, familyOf(unit));
  body_.attribute(NFTA_CHAIN_NAME, std::string_view(baseChainName(chain)));
  const auto hook = body_.beginNested(NFTA_CHAIN_HOOK);
  body_.attribute(NFTA_HOOK_HOOKNUM, htonl(hookText(chain.hook.first).number));
  const auto priority = kPriorities[static_cast<std::size_t>(chain.table)];
  body_.attribute(NFTA_HOOK_PRIORITY, htonl(static_cast<std::uint32_t>(priority)));
  body_.endNested(hook);
  body_.attribute(NFTA_CHAIN_POLICY, htonl(NF_ACCEPT));
  body_.attribute(NFTA_CHAIN_TYPE,
                  std::string_view(chain.table == TableName::Nat ? "nat" : "filter"));
  end();
}

void NftBatch::flushChain(UnitId unit, const ChainName& name) {
  begin(unit, NFT_MSG_DELRULE, 0, familyOf(unit));
  body_.attribute(NFTA_RULE_CHAIN, std::string_view(name));
  end();
}

void NftBatch::seal() {
  for (const auto& [unit, name] : gone_) {
    begin(unit, NFT_MSG_DELCHAIN, 0, familyOf(unit));
    body_.attribute(NFTA_CHAIN_NAME, std::string_view(name));
    end();
  }
  gone_.clear();
}

void NftBatch::rule(UnitId unit, const ChainName& chain, const NftExpressions& expressions,
                    std::string_view comment, RuleDigest digest) {
  expressions_ = expressions.bytes;
  for (std::size_t i = 0; i < expressions.sets.size(); ++i) {
    const std::uint32_t id = nextSet_++;
    anonymousSet(unit, expressions.sets[i], id);
    const std::uint32_t idBe = htonl(id);
    std::memcpy(expressions_.data() + expressions.setIds[i], &idBe, sizeof idBe);
  }
  begin(unit, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, familyOf(unit));
  body_.attribute(NFTA_RULE_CHAIN, std::string_view(chain));
  body_.attribute(NFTA_RULE_EXPRESSIONS | NLA_F_NESTED,
                  std::span<const std::uint8_t>(expressions_));
  body_.attribute(NFTA_RULE_USERDATA, std::span<const std::uint8_t>(ruleUserdata(comment, digest)));
  end();
}

void NftBatch::anonymousSet(UnitId unit, const NftAnonymousSet& set, std::uint32_t id) {
  using Kind = NftAnonymousSet::Kind;
  const bool isMap = set.kind == Kind::Chains;
  std::uint32_t flags = NFT_SET_ANONYMOUS | NFT_SET_CONSTANT;
  if (set.kind == Kind::PortRanges) flags |= NFT_SET_INTERVAL;
  if (isMap) flags |= NFT_SET_MAP;

  begin(unit, NFT_MSG_NEWSET, NLM_F_CREATE, familyOf(unit));
  body_.attribute(NFTA_SET_NAME, std::string_view(uniqueName()));
  body_.attribute(NFTA_SET_FLAGS, htonl(flags));
  body_.attribute(NFTA_SET_KEY_TYPE, htonl(isMap ? kMarkType : kServiceType));
  body_.attribute(NFTA_SET_KEY_LEN, htonl(isMap ? sizeof(std::uint32_t) : sizeof(std::uint16_t)));
  if (isMap) body_.attribute(NFTA_SET_DATA_TYPE, htonl(NFT_DATA_VERDICT));
  body_.attribute(NFTA_SET_ID, htonl(id));
  // With the number of elements the kernel takes the fastest kind of set that holds so many.
  if (set.kind != Kind::PortRanges) {
    const auto description = body_.beginNested(NFTA_SET_DESC);
    body_.attribute(NFTA_SET_DESC_SIZE,
                    htonl(static_cast<std::uint32_t>(set.ports.size() + set.chains.size())));
    body_.endNested(description);
  }
  end();

  auto chain = set.chains.begin();
  do {
    begin(unit, NFT_MSG_NEWSETELEM, NLM_F_CREATE, familyOf(unit));
    body_.attribute(NFTA_SET_ELEM_LIST_SET, std::string_view(kNftAnonymousSet));
    body_.attribute(NFTA_SET_ELEM_LIST_SET_ID, htonl(id));
    const auto list = body_.beginNested(NFTA_SET_ELEM_LIST_ELEMENTS);
    const std::size_t start = body_.bytes().size();
    for (const auto& range : set.ports) {
      putPort(body_, range.first, 0);
      if (set.kind == Kind::PortRanges && range.last != 0xffff)
        putPort(body_, static_cast<std::uint16_t>(range.last + 1), NFT_SET_ELEM_INTERVAL_END);
    }
    for (; chain != set.chains.end() &&
           body_.bytes().size() - start + kMaxChainElementBytes < kMaxElementList;
         ++chain)
      putChain(body_, chain->first, chain->second);
    body_.endNested(list);
    end();
  } while (chain != set.chains.end());
}

void NftBatch::set(UnitId unit, const SetSpec& spec) {
  const auto layout = nftLayout(spec.type, spec.family);
  begin(unit, NFT_MSG_NEWSET, NLM_F_CREATE | NLM_F_EXCL, spec.family);
  body_.attribute(NFTA_SET_NAME, std::string_view(spec.name));
  if (layout.flags != 0) body_.attribute(NFTA_SET_FLAGS, htonl(layout.flags));
  body_.attribute(NFTA_SET_KEY_TYPE, htonl(layout.keyType));
  body_.attribute(NFTA_SET_KEY_LEN, htonl(layout.keyLength));
  if (layout.dataType != 0) {
    body_.attribute(NFTA_SET_DATA_TYPE, htonl(layout.dataType));
    body_.attribute(NFTA_SET_DATA_LEN, htonl(layout.dataLength));
  }
  // Required, though only references from within the batch would need it.
  body_.attribute(NFTA_SET_ID, htonl(nextSet_++));
  body_.attribute(NFTA_SET_USERDATA, std::span<const std::uint8_t>(setUserdata(spec)));
  end();
}

void NftBatch::removeSet(UnitId unit, const SetName& name) {
  begin(unit, NFT_MSG_DELSET, 0, familyOf(unit));
  body_.attribute(NFTA_SET_NAME, std::string_view(name));
  end();
}

std::size_t NftBatch::elements(UnitId unit, const SetSpec& spec, Op op,
                               std::span<const Change<SetMember>> changes) {
  const bool remove = op == Op::Remove;
  begin(unit, remove ? NFT_MSG_DELSETELEM : NFT_MSG_NEWSETELEM,
        remove ? std::uint16_t{0} : std::uint16_t{NLM_F_CREATE}, spec.family);
  body_.attribute(NFTA_SET_ELEM_LIST_SET, std::string_view(spec.name));
  const auto list = body_.beginNested(NFTA_SET_ELEM_LIST_ELEMENTS);
  const std::size_t start = body_.bytes().size();
  std::size_t taken = 0;
  const auto form = remove ? NftElementForm::Key : NftElementForm::Whole;
  while (taken < changes.size() &&
         body_.bytes().size() - start + kMaxNftElementBytes < kMaxElementList)
    putNftElement(body_, spec, changes[taken++].value, form);
  body_.endNested(list);
  end();
  units_[unit].elements = taken;
  return taken;
}

std::span<const std::byte> NftBatch::datagram(std::uint32_t firstSequence,
                                              const std::set<UnitId>& without) {
  owners_.assign(1, kNobody);
  NetlinkBatch& out = without.empty() ? body_ : out_;
  const auto body = body_.bytes();
  const std::size_t end = bytes();
  if (!without.empty()) {
    out_.clear();
    out_.append(body.first(messages_.front().begin));
  }
  for (const Message& message : messages_) {
    if (message.unit != kNobody && without.contains(message.unit)) continue;
    if (!without.empty()) out_.append(body.subspan(message.begin, message.end - message.begin));
    owners_.push_back(message.unit);
  }
  // The mark of the end stands behind the last message each time.
  if (body.size() == end || !without.empty()) mark(out, NFNL_MSG_BATCH_END);
  owners_.push_back(kNobody);
  const auto datagram = out.bytes();
  std::size_t at = 0;
  for (std::uint32_t i = 0; at < datagram.size(); ++i) {
    auto* head = reinterpret_cast<nlmsghdr*>(datagram.data() + at);
    head->nlmsg_seq = firstSequence + i;
    at += NLMSG_ALIGN(head->nlmsg_len);
  }
  return std::as_bytes(std::span<const std::uint8_t>(datagram));
}

}  // namespace margay::dataplane

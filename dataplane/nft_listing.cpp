#include "dataplane/nft_listing.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <netlink/attr.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "dataplane/nft_attributes.h"
#include "dataplane/nft_batch.h"
#include "dataplane/nft_elements.h"
#include "dataplane/nft_userdata.h"

namespace margay::dataplane {
namespace {

std::uint8_t nfFamily(Family family) {
  return family == Family::V4 ? NFPROTO_IPV4 : NFPROTO_IPV6;
}

/// A table that is not there has nothing in it.
Result<void> orNothing(Result<void> dumped, std::string_view context) {
  if (dumped || dumped.error().sysErrno == ENOENT) return {};
  return Fail(withContext(dumped.error(), context));
}

void takeChain(const NftAttributes& chain, NftChains& out,
               std::map<ChainName, std::vector<RuleDigest>*>& places) {
  const auto name = chain.text(NFTA_CHAIN_NAME);
  if (chain.find(NFTA_CHAIN_HOOK) != nullptr) {
    const auto base = baseChainOf(name);
    if (!base) {
      ++out.foreignChains;
      return;
    }
    places.emplace(name, &out.tables[base->table].hooks[base->hook].rules);
    return;
  }
  const auto table = tableIn(chain.bytes(NFTA_CHAIN_USERDATA));
  if (!table || !name.starts_with(kChainPrefix)) {
    ++out.foreignChains;
    return;
  }
  places.emplace(name, &out.tables[*table].chains[ChainName(name)]);
}

}  // namespace

Result<std::uint32_t> nftGeneration(NfnetlinkSocket& socket) {
  std::optional<std::uint32_t> generation;
  NftRequest request(socket, NFT_MSG_GETGEN, NLM_F_ACK, AF_UNSPEC);
  const auto asked = socket.request(request.view(), [&](const nlmsghdr& answer) {
    generation = NftAttributes(answer).number(NFTA_GEN_ID);
  });
  if (!asked) return Fail(withContext(asked.error(), "read generation of nf_tables"));
  if (!generation) return fail(Errc::Transient, "read generation of nf_tables: no answer");
  return *generation;
}

Result<NftChains> listNftChains(NfnetlinkSocket& socket, Family family) {
  NftChains out;
  std::map<ChainName, std::vector<RuleDigest>*> places;
  NftRequest chains(socket, NFT_MSG_GETCHAIN, NLM_F_DUMP, nfFamily(family));
  auto dumped = socket.dump(chains.view(), [&](const nlmsghdr& part) {
    const NftAttributes chain(part);
    if (chain.text(NFTA_CHAIN_TABLE) != kNftTable) return;
    out.exists = true;
    takeChain(chain, out, places);
  });
  if (auto done = orNothing(dumped, "list nf_tables chains"); !done) return Fail(done.error());
  if (places.empty()) return out;

  NftRequest rules(socket, NFT_MSG_GETRULE, NLM_F_DUMP, nfFamily(family));
  rules.text(NFTA_RULE_TABLE, kNftTable);
  dumped = socket.dump(rules.view(), [&](const nlmsghdr& part) {
    const NftAttributes rule(part);
    if (rule.text(NFTA_RULE_TABLE) != kNftTable) return;
    const auto place = places.find(ChainName(rule.text(NFTA_RULE_CHAIN)));
    if (place == places.end()) return;
    place->second->push_back(digestIn(rule.bytes(NFTA_RULE_USERDATA)).value_or(0));
  });
  if (auto done = orNothing(dumped, "list nf_tables rules"); !done) return Fail(done.error());
  return out;
}

Result<std::vector<SetSpec>> listNftSets(NfnetlinkSocket& socket, Family family) {
  std::vector<SetSpec> out;
  NftRequest request(socket, NFT_MSG_GETSET, NLM_F_DUMP, nfFamily(family));
  request.text(NFTA_SET_TABLE, kNftTable);
  const auto dumped = socket.dump(request.view(), [&](const nlmsghdr& part) {
    const NftAttributes set(part);
    const auto flags = set.number(NFTA_SET_FLAGS).value_or(0);
    const auto name = set.text(NFTA_SET_NAME);
    if ((flags & NFT_SET_ANONYMOUS) != 0 || !name.starts_with(kSetPrefix)) return;
    SetSpec spec = specIn(set.bytes(NFTA_SET_USERDATA)).value_or(SetSpec{});
    spec.name = name;
    spec.family = family;
    const NftSetLayout seen{
        flags & (NFT_SET_MAP | NFT_SET_INTERVAL), set.number(NFTA_SET_KEY_TYPE).value_or(0),
        set.number(NFTA_SET_KEY_LEN).value_or(0), set.number(NFTA_SET_DATA_TYPE).value_or(0),
        set.number(NFTA_SET_DATA_LEN).value_or(0)};
    const bool ours = set.find(NFTA_SET_USERDATA) != nullptr;
    if (!ours || seen != nftLayout(spec.type, family)) spec.maxElements = 0;
    out.push_back(std::move(spec));
  });
  if (auto done = orNothing(dumped, "list nf_tables sets"); !done) return Fail(done.error());
  return out;
}

Result<std::vector<SetMember>> listNftElements(NfnetlinkSocket& socket, const SetSpec& spec) {
  NftElementReader reader(spec);
  NftRequest request(socket, NFT_MSG_GETSETELEM, NLM_F_DUMP, nfFamily(spec.family));
  request.text(NFTA_SET_ELEM_LIST_TABLE, kNftTable).text(NFTA_SET_ELEM_LIST_SET, spec.name);
  const auto dumped = socket.dump(request.view(), [&](const nlmsghdr& part) {
    const auto* list = NftAttributes(part).find(NFTA_SET_ELEM_LIST_ELEMENTS);
    if (list == nullptr) return;
    int left = nla_len(list);
    for (const auto* element = static_cast<const nlattr*>(nla_data(list)); nla_ok(element, left);
         element = nla_next(element, &left))
      reader.take(*element);
  });
  if (!dumped) {
    if (dumped.error().sysErrno == ENOENT)
      return fail(Errc::NotFound, "set " + spec.name + " is not there", ENOENT);
    return Fail(withContext(dumped.error(), "list elements of set " + spec.name));
  }
  return reader.finish();
}

}  // namespace margay::dataplane

#pragma once

#include <span>

#include "bench/rule_changes.h"
#include "dataplane/nfnetlink_socket.h"
#include "dataplane/nft_batch.h"

/// What the kernel itself takes for a transaction that is ready made, in one send.
namespace margay::bench {

/// In milliseconds; 0 if the kernel refused it. The batch is empty afterwards.
inline double kernelMs(dataplane::NftBatch& batch, dataplane::NfnetlinkSocket& socket) {
  using dataplane::NfnetlinkSocket;
  batch.seal();
  const auto first = socket.sequences(batch.messages());
  const auto datagram = batch.datagram(first, {});
  if (!socket.reserve(datagram.size())) return 0;
  const auto start = threadMs();
  const auto sent = socket.send(datagram);
  const auto took = threadMs() - start;
  bool refused = !sent;
  const auto drained = socket.drain([&](const nlmsghdr& answer) {
    refused = refused || dataplane::errorOf(answer) > 0;
    return NfnetlinkSocket::More::Wanted;
  });
  batch.clear();
  return refused || !drained ? 0 : took;
}

inline void putChains(dataplane::NftBatch& batch, const dataplane::TableEdit& edit) {
  using namespace dataplane;
  for (const auto& [name, rules] : edit.set) {
    const auto unit = batch.add({Family::V4, name, {}, TableName::Filter, 0});
    batch.chain(unit, TableName::Filter, name);
    batch.flushChain(unit, name);
    std::vector<Rule> all;
    for (const Rule& rule : *rules) appendNftAlternatives(rule, all);
    for (const Rule& rule : all)
      batch.rule(unit, name, *nftExpressions(rule, Family::V4), rule.comment, 1);
  }
}

inline void putMembers(dataplane::NftBatch& batch, const dataplane::SetSpec& spec,
                       std::span<const Change<dataplane::SetMember>> changes) {
  while (!changes.empty()) {
    const auto unit =
        batch.add({Family::V4, spec.name, spec.name, dataplane::TableName::Filter, 0});
    changes = changes.subspan(batch.elements(unit, spec, Op::Add, changes));
  }
}

}  // namespace margay::bench

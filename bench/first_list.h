#pragma once

#include <benchmark/benchmark.h>
#include <poll.h>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "api/store/mailbox.h"
#include "bench/own_memory.h"

namespace margay::bench {

/// Times the first list of a source into a mailbox that is emptied as it fills, and counts the
/// memory that it takes and keeps. `name` is the source's own; `count` objects are to arrive.
template <class MakeSource>
void listIntoStore(benchmark::State& state, const std::string& name, std::size_t count,
                   const MakeSource& make) {
  double peak = 0;
  double kept = 0;
  for (auto round : state) {
    static_cast<void>(round);
    const OwnMemory memory;
    api::Mailbox mailbox;
    std::vector<api::Update> store;
    store.reserve(count);
    auto source = make(mailbox);
    source->start();
    for (bool synced = false; !synced;) {
      pollfd entry{mailbox.fd(), POLLIN, 0};
      ::poll(&entry, 1, 10'000);
      auto batch = mailbox.take();
      std::move(batch.updates.begin(), batch.updates.end(), std::back_inserter(store));
      if (batch.states.contains(name)) synced = batch.states.at(name).synced;
    }
    if (store.size() != count) state.SkipWithError("not all arrived");
    peak = memory.peak();
    kept = memory.kept();
    state.PauseTiming();
    source->stop();
    store.clear();
    state.ResumeTiming();
  }
  state.counters["peakMB"] = peak;
  state.counters["keptMB"] = kept;
}

}  // namespace margay::bench

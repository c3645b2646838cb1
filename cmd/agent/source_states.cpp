#include "cmd/agent/source_states.h"

#include <algorithm>
#include <iterator>

#include "base/log.h"
#include "cmd/agent/remarks.h"

namespace margay::agent {
namespace {

using Invalid = std::vector<api::InvalidObject>;

Invalid without(const Invalid& all, const Invalid& others) {
  Invalid out;
  std::set_difference(all.begin(), all.end(), others.begin(), others.end(),
                      std::back_inserter(out));
  return out;
}

void logInvalid(const Invalid& before, const Invalid& now) {
  for (const auto& object : without(now, before)) warnOf("an object cannot be used", object);
  for (const auto& object : without(before, now)) {
    log::info("an object is no longer in the way", {{"kind", object.kindName},
                                                    {"namespace", object.ns},
                                                    {"name", object.name},
                                                    {"file", object.file},
                                                    {"field", object.field}});
  }
}

}  // namespace

void SourceStates::take(const std::map<std::string, api::SourceState>& states) {
  if (!states.empty()) ++version_;
  for (const auto& [name, state] : states) {
    logInvalid(states_[name].invalid, state.invalid);
    states_[name] = state;
  }
}

bool SourceStates::synced() const {
  return std::all_of(states_.begin(), states_.end(),
                     [](const auto& entry) { return entry.second.synced; });
}

Result<void> SourceStates::listable() const {
  for (const auto& [name, state] : states_) {
    if (!state.synced && !state.error.empty())
      return fail(Errc::Invalid, "source " + name + ": " + state.error);
  }
  return {};
}

std::uint64_t SourceStates::lists() const {
  std::uint64_t sum = 0;
  for (const auto& [name, state] : states_) sum += state.resyncs;
  return sum;
}

std::vector<std::string> SourceStates::missing() const {
  std::vector<std::string> out;
  for (const auto& [name, state] : states_) {
    if (state.synced && state.connected) continue;
    out.push_back("source " + name + ": " +
                  (state.error.empty() ? "has not listed yet" : state.error));
  }
  return out;
}

}  // namespace margay::agent

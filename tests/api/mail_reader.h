#pragma once

#include <poll.h>

#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "api/store/mailbox.h"

namespace margay::api::test {

/// What the loop would see: the newest value of each key.
class MailReader {
 public:
  explicit MailReader(Mailbox& mailbox) : mailbox_(mailbox) {}

  /// Takes mail until it is as wanted.
  bool until(const std::function<bool()>& wanted,
             std::chrono::milliseconds limit = std::chrono::seconds(30)) {
    const auto deadline = std::chrono::steady_clock::now() + limit;
    for (;;) {
      take();
      if (wanted()) return true;
      const auto left =
          std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
      if (left.count() <= 0) return false;
      pollfd entry{mailbox_.fd(), POLLIN, 0};
      ::poll(&entry, 1, static_cast<int>(left.count()));
    }
  }
  bool untilSynced() {
    return until([this] { return state().synced && state().connected; });
  }
  bool untilConnected(bool connected, std::chrono::milliseconds limit = std::chrono::seconds(30)) {
    return until([=, this] { return state().connected == connected; }, limit);
  }
  bool untilHas(const std::string& key,
                std::chrono::milliseconds limit = std::chrono::seconds(30)) {
    return until([&] { return has(key); }, limit);
  }
  bool untilGone(const std::string& key,
                 std::chrono::milliseconds limit = std::chrono::seconds(30)) {
    return until([&] { return !has(key); }, limit);
  }
  [[nodiscard]] bool has(const std::string& key) const { return objects_.contains(key); }
  [[nodiscard]] std::size_t size() const { return objects_.size(); }
  [[nodiscard]] const SourceState& state() const { return state_; }
  [[nodiscard]] std::size_t updates() const { return updates_; }
  [[nodiscard]] bool everDisconnected() const { return everDisconnected_; }
  [[nodiscard]] const std::vector<std::uint64_t>& barriers() const { return barriers_; }
  void forget() {
    updates_ = 0;
    everDisconnected_ = false;
  }

 private:
  void take() {
    auto batch = mailbox_.take();
    for (auto& [name, state] : batch.states) {
      state_ = state;
      everDisconnected_ = everDisconnected_ || !state.connected;
    }
    for (auto& update : batch.updates) {
      ++updates_;
      if (update.value)
        objects_.insert_or_assign(update.key.str(), *update.value);
      else
        objects_.erase(update.key.str());
    }
    barriers_.insert(barriers_.end(), batch.barriers.begin(), batch.barriers.end());
  }

  Mailbox& mailbox_;
  SourceState state_;
  std::map<std::string, Value> objects_;
  std::size_t updates_ = 0;
  bool everDisconnected_ = false;
  std::vector<std::uint64_t> barriers_;
};

}  // namespace margay::api::test

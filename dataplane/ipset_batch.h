#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/change.h"
#include "dataplane/ipset_message.h"
#include "dataplane/model/ipset.h"
#include "dataplane/nfnetlink_socket.h"

namespace margay::dataplane {

/// Writes members to one set. Elements travel many to a message; where one of them fails, the
/// kernel drops the rest of its message, so from there to the end of the datagram each element is
/// sent in a message of its own. All commands are idempotent, so an element that had arrived may go
/// twice; the last command for an element is also the last that the kernel sees. One thread.
class IpsetBatch {
 public:
  /// Told for each change that failed: its index and the kernel's error number, or kAnswerLost.
  using OnError = std::function<void(std::size_t index, int number)>;
  static constexpr int kAnswerLost = -1;

  IpsetBatch();
  /// Applies all of `changes` but those that `skip` marks; `skip` has one entry a change. Every
  /// change that fits the set's shape is tried. O(changes), no allocation for those that succeed.
  void apply(NfnetlinkSocket& socket, const SetName& set,
             std::span<const Change<SetMember>> changes, const std::vector<bool>& skip,
             const OnError& onError);

 private:
  struct Job;
  std::size_t applyMany(const Job& job, std::size_t from);
  void applySingly(const Job& job, std::size_t from, std::size_t to);
  std::size_t fill(const Job& job, std::size_t from);
  void openMessage(const Job& job, std::size_t index);

  struct Message {
    std::uint32_t sequence = 0;
    std::size_t first = 0;  ///< index of its first change
  };
  IpsetMessages buffer_;
  std::vector<Message> messages_;
};

}  // namespace margay::dataplane

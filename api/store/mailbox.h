#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "api/model/object.h"

namespace margay::api {

/// Where the writer of an object finds it, and what he calls it.
struct Place {
  std::string kind;  ///< as written: "Pod" where the key says WorkloadEndpoint
  std::string name;  ///< as written: "web-1"
  std::string file;
  int document = 0;  ///< 1-based
  bool operator==(const Place&) const = default;
};

/// What the loop knows of one source.
struct SourceState {
  bool connected = false;
  bool synced = false;        ///< its first list is complete
  std::string error;          ///< why it is not connected; empty when it is
  std::uint64_t resyncs = 0;  ///< full lists so far
  std::map<Kind, std::uint64_t> events;
  std::vector<InvalidObject> invalid;  ///< sorted
  std::vector<std::string> warnings;   ///< about objects that are used all the same
  std::map<ObjectKey, Place> places;   ///< of the objects last asked for with Source::locate
  bool operator==(const SourceState&) const = default;
};

/// Between the sources' threads and the loop: the newest value a key wins, so its size is bounded
/// by the number of keys. All functions may be called on any thread.
class Mailbox {
 public:
  Mailbox();
  ~Mailbox();
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  struct Batch {
    std::vector<Update> updates;                ///< one a key, in order of first arrival
    std::map<std::string, SourceState> states;  ///< of the sources whose state was posted
    std::vector<std::uint64_t> barriers;        ///< relists that are complete with this batch
    std::optional<std::chrono::steady_clock::time_point> firstArrival;
  };

  /// Takes the newest state of source `source` and its updates in one step.
  void post(const std::string& source, SourceState state, std::vector<Update> updates);
  /// The relist that the loop asked for with this number is in the mailbox.
  void postBarrier(std::uint64_t barrier);
  [[nodiscard]] Batch take();
  /// An eventfd, readable while there is something to take.
  [[nodiscard]] int fd() const { return fd_; }

 private:
  std::mutex mutex_;
  int fd_ = -1;
  std::vector<Update> updates_;
  std::unordered_map<ObjectKey, std::size_t> index_;  // into updates_
  std::map<std::string, SourceState> states_;
  std::vector<std::uint64_t> barriers_;
  std::optional<std::chrono::steady_clock::time_point> firstArrival_;
};

/// A place that objects come from. It owns its thread, posts to the mailbox and never touches the
/// kernel.
class Source {
 public:
  virtual ~Source() = default;
  [[nodiscard]] virtual const std::string& name() const = 0;
  virtual void start() = 0;
  /// Asks the thread to end and joins it.
  virtual void stop() = 0;
  /// Lists everything again, posts what differs, then posts `barrier`. Any thread; returns at once.
  virtual void relist(std::uint64_t barrier) = 0;
  /// From now on SourceState::places says where these objects are, as far as it has them. Any
  /// thread; returns at once. Sources whose keys say it all do nothing.
  virtual void locate(std::set<ObjectKey> /*keys*/) {}  // NOLINT: overrides keep them
};

}  // namespace margay::api

#pragma once

#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "dataplane/drivers.h"

namespace margay::agent {

/// Deletes flows on a thread of its own, one batch at a time. The thread is made with the first
/// batch and then stays: to wait for the end of a thread takes as long as the scheduler likes. The
/// loop's thread calls, except where said otherwise.
class PurgeThread {
 public:
  /// `driver` is the thread's between `start` and the end of `take`.
  explicit PurgeThread(dataplane::ConntrackDriver& driver);
  /// Waits for the batch under way.
  ~PurgeThread();
  PurgeThread(const PurgeThread&) = delete;
  PurgeThread& operator=(const PurgeThread&) = delete;

  /// Readable when a batch has ended, until `readEnded`.
  [[nodiscard]] int fd() const { return ended_; }
  void readEnded() const;

  /// A batch was started, and its outcome not taken.
  [[nodiscard]] bool busy() const { return busy_; }
  /// Not while busy.
  void start(std::vector<Address> batch);
  /// `take` does not wait.
  [[nodiscard]] bool done() const;
  /// How many flows of the batch were deleted. Only while busy; waits for the batch.
  Result<std::size_t> take();

 private:
  void run();

  dataplane::ConntrackDriver& driver_;
  int ended_;
  bool busy_ = false;
  std::thread thread_;
  // From here on the mutex's.
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<std::vector<Address>> batch_;
  std::optional<Result<std::size_t>> outcome_;
  bool stop_ = false;
};

}  // namespace margay::agent

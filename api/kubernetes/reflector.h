#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "api/kubernetes/known_objects.h"
#include "api/kubernetes/kubernetes_client.h"
#include "api/kubernetes/resource_decoder.h"
#include "api/kubernetes/resources.h"
#include "api/kubernetes/server_pulse.h"
#include "api/kubernetes/source_board.h"
#include "api/kubernetes/watch_plan.h"

namespace margay::api {

struct ReflectorOptions {
  WatchPlanOptions plan;
  PulseOptions pulse;
  /// A watch that is silent for longer than this is opened anew: a server sends a bookmark about
  /// each minute for a kind that ever had an event. Twice as long each time, up to the lifetime,
  /// until there is another one; from the start, the lifetime for a kind that had none. It costs
  /// a connection, and the library reads all CA certificates of the system for each: 30 ms.
  std::chrono::milliseconds longestSilence{75'000};
  /// The server ends a watch after between the half and the whole of this.
  std::chrono::seconds watchLifetime{600};
};

/// Follows one kind by a thread of its own and tells the board. start, stop, interrupt, relist and
/// doubt may be called on any thread.
class Reflector {
 public:
  /// What it does its work with; all of it outlives the reflector.
  struct Place {
    KubernetesClient& client;
    SourceBoard& board;
    ServerPulse& pulse;
    const KubernetesResource& resource;
    std::size_t index = 0;  ///< on the board
  };
  Reflector(Place place, ReflectorOptions options);
  ~Reflector() { stop(); }
  Reflector(const Reflector&) = delete;
  Reflector& operator=(const Reflector&) = delete;

  void start();
  /// Asks the thread to end; `stop` then waits for less.
  void interrupt();
  void stop();
  /// For a barrier that was asked for at `when`.
  void relist(std::uint64_t barrier, std::chrono::steady_clock::time_point when);
  /// The server does not answer: an open watch counts for nothing, and is opened anew.
  void doubt(const KubernetesError& error);

 private:
  using Clock = std::chrono::steady_clock;
  using Done = KubernetesResult<void>;

  void run();
  bool takeRequests(std::stop_token& stop);
  void takeDoubt();
  KubernetesResult<KubernetesWatch::Heard> listen(const std::stop_token& stop);
  KubernetesResult<std::optional<std::string_view>> chooseVersion(const std::stop_token& stop);
  Done list(const std::stop_token& stop);
  Done listPages(const std::stop_token& stop);
  Done openWatch(const std::stop_token& stop);
  Done follow(const std::stop_token& stop);
  Done ended();
  void works();
  void takeListed(nlohmann::json& item);
  void takeChange(KubernetesWatch::Change change, nlohmann::json& item);
  void put(const ServerObject& object, nlohmann::json& item);
  void finishedList();
  void isAbsent();
  void failed(const KubernetesError& error);
  void tellAway(const KubernetesError& error);
  void post();
  void pause(std::chrono::milliseconds time, const std::stop_token& stop);

  const Place place_;
  const ReflectorOptions options_;
  std::thread thread_;
  std::mutex mutex_;
  bool stopping_ = false;                 // guarded by mutex_
  std::vector<std::uint64_t> asked_;      // guarded by mutex_
  Clock::time_point newestAsk_{};         // guarded by mutex_
  std::stop_source interrupt_;            // guarded by mutex_
  bool listening_ = false;                // to an open watch; guarded by mutex_
  std::optional<KubernetesError> doubt_;  // guarded by mutex_

  // The thread's own.
  std::chrono::milliseconds silence_;  // of a watch until it is opened anew
  std::minstd_rand chance_;
  WatchPlan plan_;
  ResourceDecoder decoder_;
  KnownObjects objects_;
  std::vector<Update> updates_;
  KindState state_;
  std::uint64_t notesVersion_ = 0;
  std::vector<std::uint64_t> barriers_;
  Clock::time_point askedAt_{};    // when the newest barrier was
  std::string_view groupVersion_;  // that the server has
  std::string next_;               // page of the list that is being read
  bool inList_ = false;
  int absences_ = 0;
  std::string version_;
  std::unique_ptr<KubernetesWatch> watch_;
  Clock::time_point opened_{};
  bool works_ = false;  // watch_ has shown that it does
};

}  // namespace margay::api

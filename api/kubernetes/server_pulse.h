#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <stop_token>
#include <thread>

#include "api/kubernetes/kubernetes_client.h"

namespace margay::api {

struct PulseOptions {
  /// A server of which nothing is heard for this long, or by chance for up to `spread` more, is
  /// asked whether it is there. One that has anything to say sends a bookmark each minute.
  std::chrono::milliseconds silence{65'000};
  std::chrono::milliseconds spread{10'000};
  /// What it has to answer.
  std::chrono::milliseconds patience{KubernetesClient::kAnswerTime};
};

/// Notices a server that hangs: its connections stay open, and where nothing happens an open watch
/// looks no different. As long as the server says anything, that is all there is to know; else it
/// is asked one small question, and what does not answer that is away. A thread of its own.
class ServerPulse {
 public:
  using OnSilence = std::function<void(const KubernetesError& error)>;
  /// `client` outlives it. `onSilence` is called on its thread, each time a question is not
  /// answered.
  ServerPulse(KubernetesClient& client, PulseOptions options, OnSilence onSilence);
  ~ServerPulse() { stop(); }
  ServerPulse(const ServerPulse&) = delete;
  ServerPulse& operator=(const ServerPulse&) = delete;

  void start();
  void stop();
  /// Somebody has got no answer in time: the server is asked at once, unless it has said something
  /// in that time. Any thread.
  void suspect();

 private:
  using Clock = std::chrono::steady_clock;

  void run(const std::stop_token& stop);
  bool wait(Clock::time_point until, const std::stop_token& stop);
  void ask(const std::stop_token& stop);

  KubernetesClient& client_;
  const OnSilence onSilence_;
  const PulseOptions options_;  // silence with its spread
  std::mutex mutex_;
  std::condition_variable_any changed_;
  bool suspected_ = false;  // guarded by mutex_
  std::jthread thread_;
};

}  // namespace margay::api

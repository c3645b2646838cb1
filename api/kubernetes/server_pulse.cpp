#include "api/kubernetes/server_pulse.h"

#include <algorithm>
#include <cerrno>
#include <random>
#include <utility>

namespace margay::api {
namespace {

using std::chrono::milliseconds;

/// Not all agents of a cluster ask at the same time.
PulseOptions chosen(PulseOptions options) {
  std::random_device device;
  std::uniform_int_distribution<milliseconds::rep> chance(0, options.spread.count());
  options.silence += milliseconds(chance(device));
  return options;
}

}  // namespace

ServerPulse::ServerPulse(KubernetesClient& client, PulseOptions options, OnSilence onSilence)
    : client_(client), onSilence_(std::move(onSilence)), options_(chosen(options)) {}

void ServerPulse::start() {
  if (!thread_.joinable()) thread_ = std::jthread([this](const std::stop_token& s) { run(s); });
}

void ServerPulse::stop() {
  thread_.request_stop();
  if (thread_.joinable()) thread_.join();
}

void ServerPulse::suspect() {
  const std::lock_guard lock(mutex_);
  suspected_ = true;
  changed_.notify_all();
}

/// True if somebody suspects something before that.
bool ServerPulse::wait(Clock::time_point until, const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  changed_.wait_until(lock, stop, until, [this] { return suspected_; });
  return std::exchange(suspected_, false);
}

void ServerPulse::ask(const std::stop_token& stop) {
  const auto answered = client_.probe(options_.patience, stop);
  if (answered || answered.error().sysErrno != ETIMEDOUT) return;
  const auto lasted =
      std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - client_.lastHeard());
  onSilence_({.why = KubernetesError::Why::Away,
              .what = client_.url() + " has said nothing for " + std::to_string(lasted.count()) +
                      " s, and does not answer",
              .silence = true});
}

void ServerPulse::run(const std::stop_token& stop) {
  auto asked = Clock::now();
  while (!stop.stop_requested()) {
    const bool suspected = wait(std::max(client_.lastHeard(), asked) + options_.silence, stop);
    const auto now = Clock::now();
    // Who suspects it has waited as long; one question is enough for all who do.
    const auto silence = suspected ? options_.patience : options_.silence;
    if (stop.stop_requested() || now - std::max(client_.lastHeard(), asked) < silence) continue;
    ask(stop);
    asked = Clock::now();
  }
}

}  // namespace margay::api

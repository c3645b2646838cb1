#include "api/etcd/etcd_source.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <random>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

#include "api/etcd/object_table.h"
#include "base/log.h"
#include "base/trouble.h"

namespace margay::api {
namespace {

using std::chrono::milliseconds;
const std::string kName = "etcd";
constexpr std::size_t kPostAtOnce = 1000;

}  // namespace

/// The thread and what it owns.
class EtcdSource::Follower {
 public:
  Follower(std::unique_ptr<EtcdClient> client, Mailbox& mailbox, EtcdSourceOptions options)
      : client_(std::move(client)),
        mailbox_(mailbox),
        options_(std::move(options)),
        objects_(options_.node) {}

  void start() {
    if (thread_.joinable()) return;
    {
      const std::lock_guard lock(mutex_);
      stopping_ = false;
    }
    thread_ = std::thread([this] { run(); });
  }
  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
      interrupt_.request_stop();
    }
    if (thread_.joinable()) thread_.join();
  }
  void relist(std::uint64_t barrier) {
    const std::lock_guard lock(mutex_);
    asked_.push_back(barrier);
    interrupt_.request_stop();
  }

 private:
  void run();
  bool takeRequests(std::stop_token& stop);
  Result<void> list(const std::stop_token& stop);
  Result<void> follow(const std::stop_token& stop);
  Result<void> openWatch(const std::stop_token& stop);
  Result<void> askIfDeaf(const std::stop_token& stop);
  void take(const EtcdEvent& event);
  void post();
  void connected();
  void away(const Error& error);
  void pause(const std::stop_token& stop);

  const std::unique_ptr<EtcdClient> client_;
  Mailbox& mailbox_;
  const EtcdSourceOptions options_;
  std::thread thread_;
  std::mutex mutex_;
  bool stopping_ = false;             // guarded by mutex_
  std::vector<std::uint64_t> asked_;  // guarded by mutex_
  std::stop_source interrupt_;        // guarded by mutex_

  // The thread's own.
  ObjectTable objects_;
  std::vector<Update> updates_;
  SourceState state_;
  std::optional<SourceState> published_;
  std::uint64_t notesVersion_ = 0;
  std::vector<std::uint64_t> barriers_;
  std::unique_ptr<EtcdWatch> watch_;
  EtcdPosition at_;
  bool listNeeded_ = true;
  std::int64_t suspected_ = 0;  // a revision that the watch has not heard of
  milliseconds retry_{0};
  Trouble trouble_;
  std::minstd_rand jitter_{std::random_device{}()};
};

bool EtcdSource::Follower::takeRequests(std::stop_token& stop) {
  const std::lock_guard lock(mutex_);
  if (stopping_) return false;
  if (interrupt_.stop_requested()) interrupt_ = std::stop_source();
  stop = interrupt_.get_token();
  if (!asked_.empty()) listNeeded_ = true;
  barriers_.insert(barriers_.end(), asked_.begin(), asked_.end());
  asked_.clear();
  return true;
}

void EtcdSource::Follower::post() {
  for (const Update& update : updates_) ++state_.events[update.key.kind];
  if (notesVersion_ != objects_.notesVersion()) {
    notesVersion_ = objects_.notesVersion();
    state_.invalid = objects_.invalid();
    state_.warnings = objects_.warnings();
  }
  if (updates_.empty() && published_ == state_) return;
  published_ = state_;
  mailbox_.post(kName, state_, std::exchange(updates_, {}));
}

void EtcdSource::Follower::take(const EtcdEvent& event) {
  objects_.apply(event, updates_);
  if (updates_.size() >= kPostAtOnce) post();
}

Result<void> EtcdSource::Follower::list(const std::stop_token& stop) {
  watch_.reset();
  objects_.beginList();
  auto listed = client_->list(
      std::string(kResourcePrefix),
      [this](const EtcdKeyValue& kv) {
        objects_.listed(kv, updates_);
        if (updates_.size() >= kPostAtOnce) post();
      },
      stop);
  if (!listed) return Fail(listed.error());
  objects_.endList(updates_);
  at_ = *listed;
  listNeeded_ = false;
  ++state_.resyncs;
  state_.synced = true;
  connected();
  log::info("listed etcd", {{"objects", objects_.size()},
                            {"revision", at_.revision},
                            {"endpoint", client_->endpoint()}});
  post();
  for (const auto barrier : std::exchange(barriers_, {})) mailbox_.postBarrier(barrier);
  return {};
}

Result<void> EtcdSource::Follower::openWatch(const std::stop_token& stop) {
  auto opened = client_->watch(std::string(kResourcePrefix), at_, stop);
  if (!opened) return Fail(opened.error());
  watch_ = std::move(*opened);
  suspected_ = 0;
  return {};
}

/// Whether the watch still hears: a server that does not answer, or that has gone on without the
/// watch hearing of it, gets a new one.
Result<void> EtcdSource::Follower::askIfDeaf(const std::stop_token& stop) {
  if (suspected_ > watch_->heardOf()) {
    watch_.reset();
    return {};
  }
  const auto current = client_->currentRevision(stop);
  if (!current) return Fail(withContext(current.error(), "the watch is silent"));
  suspected_ = *current;
  return {};
}

Result<void> EtcdSource::Follower::follow(const std::stop_token& stop) {
  if (!watch_) {
    if (auto opened = openWatch(stop); !opened) return opened;
  }
  const auto heard =
      watch_->next([this](const EtcdEvent& event) { take(event); }, options_.idleCheck, stop);
  at_.revision = std::max(at_.revision, watch_->revision());
  if (!heard) {
    if (watch_->otherHistory()) objects_.distrust();
    post();
    return Fail(heard.error());
  }
  if (*heard == EtcdWatch::Heard::Nothing) return askIfDeaf(stop);
  retry_ = milliseconds(0);
  if (!state_.connected) log::info("etcd is back", {{"endpoint", client_->endpoint()}});
  connected();
  post();
  return {};
}

void EtcdSource::Follower::connected() {
  state_.connected = true;
  state_.error.clear();
  trouble_.over();
}

void EtcdSource::Follower::away(const Error& error) {
  if (trouble_.isNews(error.what)) {
    log::warn(state_.synced ? "etcd is away; its last state stays in force"
                            : "etcd cannot be read; waiting for it",
              {{"error", error.what}});
  }
  state_.connected = false;
  state_.error = error.what;
  post();
}

void EtcdSource::Follower::pause(const std::stop_token& stop) {
  retry_ = std::clamp(retry_ * 2, options_.firstRetry, options_.lastRetry);
  std::uniform_int_distribution<milliseconds::rep> jitter(retry_.count() / 2, retry_.count());
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  never.wait_for(lock, stop, milliseconds(jitter(jitter_)), [] { return false; });
}

void EtcdSource::Follower::run() {
  std::stop_token stop;
  bool lostOnce = false;
  while (takeRequests(stop)) {
    auto done = listNeeded_ ? list(stop) : follow(stop);
    if (done) {
      lostOnce = false;
      continue;
    }
    watch_.reset();
    switch (done.error().code) {
      case Errc::Interrupted:
        continue;
      case Errc::Stale:
        log::info("etcd has gone on; listing again", {{"reason", done.error().what}});
        listNeeded_ = true;
        if (!std::exchange(lostOnce, true)) continue;
        break;
      default:
        // One endpoint may be gone with the others well, and a watch may end without harm.
        client_->leaveEndpoint();
        if (state_.connected && !std::exchange(lostOnce, true)) continue;
        away(done.error());
    }
    pause(stop);
  }
}

EtcdSource::EtcdSource(std::unique_ptr<EtcdClient> client, Mailbox& mailbox,
                       EtcdSourceOptions options)
    : follower_(std::make_unique<Follower>(std::move(client), mailbox, std::move(options))) {}

EtcdSource::~EtcdSource() {
  follower_->stop();
}

const std::string& EtcdSource::name() const {
  return kName;
}
void EtcdSource::start() {
  follower_->start();
}
void EtcdSource::stop() {
  follower_->stop();
}
void EtcdSource::relist(std::uint64_t barrier) {
  follower_->relist(barrier);
}

}  // namespace margay::api

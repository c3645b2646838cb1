#include "api/kubernetes/reflector.h"

#include <algorithm>
#include <condition_variable>
#include <nlohmann/json.hpp>
#include <random>
#include <utility>

#include "api/kubernetes/item_text.h"
#include "base/log.h"

namespace margay::api {
namespace {

using std::chrono::milliseconds;
using Why = KubernetesError::Why;
constexpr std::size_t kPostAtOnce = 1000;
constexpr int kCertain = 2;  // so often a kind with objects must be found to be gone

ServerObject identityOf(const nlohmann::json& item) {
  return {metadataText(item, "namespace"), metadataText(item, "name"),
          metadataText(item, "resourceVersion")};
}

}  // namespace

Reflector::Reflector(Place place, ReflectorOptions options)
    : place_(place),
      options_(options),
      silence_(options.watchLifetime),
      chance_(std::random_device{}()),
      plan_(options.plan, std::random_device{}()) {}

void Reflector::start() {
  if (thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = false;
  }
  thread_ = std::thread([this] { run(); });
}

void Reflector::interrupt() {
  const std::lock_guard lock(mutex_);
  stopping_ = true;
  interrupt_.request_stop();
}

void Reflector::stop() {
  interrupt();
  if (thread_.joinable()) thread_.join();
}

void Reflector::relist(std::uint64_t barrier, Clock::time_point when) {
  const std::lock_guard lock(mutex_);
  asked_.push_back(barrier);
  newestAsk_ = when;
  interrupt_.request_stop();
}

void Reflector::doubt(const KubernetesError& error) {
  const std::lock_guard lock(mutex_);
  if (!listening_) return;  // it notices by itself
  doubt_ = error;
  interrupt_.request_stop();
}

bool Reflector::takeRequests(std::stop_token& stop) {
  const std::lock_guard lock(mutex_);
  if (stopping_) return false;
  if (interrupt_.stop_requested()) interrupt_ = std::stop_source();
  stop = interrupt_.get_token();
  if (asked_.empty()) return true;
  barriers_.insert(barriers_.end(), asked_.begin(), asked_.end());
  asked_.clear();
  askedAt_ = newestAsk_;
  inList_ = false;  // what was listed before is not what they ask for
  plan_.listAgain();
  return true;
}

void Reflector::takeDoubt() {
  std::optional<KubernetesError> doubt;
  {
    const std::lock_guard lock(mutex_);
    doubt = std::exchange(doubt_, std::nullopt);
  }
  if (!doubt) return;
  watch_.reset();
  tellAway(*doubt);
}

void Reflector::post() {
  if (notesVersion_ != objects_.notesVersion()) {
    notesVersion_ = objects_.notesVersion();
    state_.invalid = objects_.invalid();
    state_.warnings = objects_.warnings();
  }
  place_.board.post(place_.index, state_, std::exchange(updates_, {}));
}

void Reflector::put(const ServerObject& object, nlohmann::json& item) {
  // Decoding may move parts of the item away, so its identity is kept.
  const std::string ns(object.ns);
  const std::string name(object.name);
  const std::string version(object.version);
  objects_.put({ns, name, version}, decoder_.decode(place_.resource, item), updates_);
  if (updates_.size() >= kPostAtOnce) post();
}

void Reflector::takeListed(nlohmann::json& item) {
  const ServerObject object = identityOf(item);
  if (!objects_.listedBefore(object)) put(object, item);
}

void Reflector::takeChange(KubernetesWatch::Change change, nlohmann::json& item) {
  const ServerObject object = identityOf(item);
  if (change == KubernetesWatch::Change::Put) return put(object, item);
  objects_.remove(object.ns, object.name, updates_);
}

/// The first of the resource's versions that the server has. Kinds that every server has are not
/// asked for.
KubernetesResult<std::optional<std::string_view>> Reflector::chooseVersion(
    const std::stop_token& stop) {
  using Chosen = std::optional<std::string_view>;
  const auto& versions = place_.resource.groupVersions;
  if (!place_.resource.optional) return Chosen(versions.front());
  const auto notBefore = std::max(askedAt_, Clock::now() - options_.plan.absentRetry / 2);
  for (const auto version : versions) {
    const auto has = place_.client.has(place_.resource, version, notBefore, stop);
    if (!has) return tl::unexpected(has.error());
    if (*has) return Chosen(version);
  }
  return Chosen();
}

Reflector::Done Reflector::listPages(const std::stop_token& stop) {
  if (!inList_) {
    objects_.beginList();
    next_.clear();
    inList_ = true;
  }
  for (;;) {
    auto page = place_.client.list(
        place_.resource, groupVersion_, next_, [this](nlohmann::json& item) { takeListed(item); },
        stop);
    if (!page) {
      // What a list was at is no longer kept: from the beginning.
      if (page.error().why == Why::Expired || page.error().why == Why::Absent) inList_ = false;
      return tl::unexpected(page.error());
    }
    version_ = page->resourceVersion;
    next_ = page->next;
    if (next_.empty()) return {};
  }
}

void Reflector::finishedList() {
  inList_ = false;
  absences_ = 0;
  state_.listed = state_.connected = true;
  state_.error.clear();
  plan_.listed();
  post();
  place_.board.answered(place_.index, std::exchange(barriers_, {}));
}

/// The server has no such kind. Objects of it that are known stay until that is certain.
void Reflector::isAbsent() {
  inList_ = false;
  if (objects_.size() > 0 && ++absences_ < kCertain) {
    state_.error = "the server no longer has " + resourceTitle(place_.resource) +
                   "; what it was stays in force until that is certain";
    state_.connected = false;
    plan_.failed({.why = Why::Absent, .what = {}});
    return post();
  }
  objects_.beginList();
  objects_.endList(updates_);
  finishedList();
  plan_.failed({.why = Why::Absent, .what = {}});
}

Reflector::Done Reflector::list(const std::stop_token& stop) {
  watch_.reset();
  const auto version = chooseVersion(stop);
  if (!version) return tl::unexpected(version.error());
  if (!*version) {
    isAbsent();
    return {};
  }
  groupVersion_ = **version;
  if (auto listed = listPages(stop); !listed) {
    if (listed.error().why != Why::Absent || !place_.resource.optional) return listed;
    isAbsent();
    return {};
  }
  objects_.endList(updates_);
  ++state_.lists;
  finishedList();
  log::debug("listed a kind", {{"kind", resourceTitle(place_.resource)},
                               {"objects", objects_.size()},
                               {"version", version_}});
  return {};
}

Reflector::Done Reflector::openWatch(const std::stop_token& stop) {
  const auto longest = options_.watchLifetime.count();
  std::uniform_int_distribution<std::chrono::seconds::rep> chance((longest + 1) / 2, longest);
  auto opened = place_.client.watch(
      place_.resource, groupVersion_, version_, std::chrono::seconds(chance(chance_)),
      [this](KubernetesWatch::Change change, nlohmann::json& item) { takeChange(change, item); },
      stop);
  if (!opened) return tl::unexpected(opened.error());
  watch_ = std::move(*opened);
  opened_ = Clock::now();
  works_ = false;
  return {};
}

void Reflector::works() {
  works_ = true;
  plan_.heard();
  state_.connected = true;
  state_.error.clear();
}

Reflector::Done Reflector::ended() {
  watch_.reset();
  plan_.watchEnded(std::chrono::duration_cast<milliseconds>(Clock::now() - opened_));
  if (plan_.isAway())
    tellAway({.why = Why::Away,
              .what = place_.client.url() + ": the watch on " + resourceTitle(place_.resource) +
                      " ends as soon as it is open"});
  return {};
}

KubernetesResult<KubernetesWatch::Heard> Reflector::listen(const std::stop_token& stop) {
  const auto set = [this](bool listening) {
    const std::lock_guard lock(mutex_);
    listening_ = listening;
  };
  set(true);
  // That a server opens a watch does not tell that anything comes through it.
  auto heard = watch_->next(works_ ? silence_ : options_.plan.shortWatch, stop);
  set(false);
  return heard;
}

Reflector::Done Reflector::follow(const std::stop_token& stop) {
  if (!watch_) {
    if (auto opened = openWatch(stop); !opened) return opened;
  }
  const auto heard = listen(stop);
  version_ = watch_->version();
  if (!heard) {
    post();
    return tl::unexpected(heard.error());
  }
  if (*heard == KubernetesWatch::Heard::End) return ended();
  if (*heard == KubernetesWatch::Heard::Nothing && works_) {
    // It is deaf, and another one goes on where it was; or the server has been started again, had
    // no event of this kind since, and sends no bookmarks: then it need not be asked that often.
    watch_.reset();
    silence_ = std::min<milliseconds>(silence_ * 2, options_.watchLifetime);
    return {};
  }
  if (*heard == KubernetesWatch::Heard::Something) silence_ = options_.longestSilence;
  works();
  post();
  return {};
}

void Reflector::failed(const KubernetesError& error) {
  watch_.reset();
  plan_.failed(error);
  if (error.silence) place_.pulse.suspect();
  if (error.why != Why::Interrupted && plan_.isAway()) tellAway(error);
}

void Reflector::tellAway(const KubernetesError& error) {
  state_.connected = false;
  state_.error = error.what;
  state_.mustAct = error.why == Why::Refused;
  post();
}

void Reflector::pause(milliseconds time, const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  never.wait_for(lock, stop, time, [] { return false; });
}

void Reflector::run() {
  std::stop_token stop;
  while (takeRequests(stop)) {
    takeDoubt();
    const auto step = plan_.next();
    if (step.wait.count() > 0) {
      plan_.waited();
      pause(step.wait, stop);
      continue;
    }
    const auto done = step.what == WatchPlan::What::List ? list(stop) : follow(stop);
    if (!done) failed(done.error());
  }
}

}  // namespace margay::api

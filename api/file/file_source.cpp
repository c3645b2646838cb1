#include "api/file/file_source.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <utility>

#include "api/file/directory_state.h"
#include "api/file/inotify.h"
#include "base/log.h"

namespace margay::api {
namespace {

using Time = std::chrono::steady_clock::time_point;
using std::chrono::milliseconds;

constexpr std::uint32_t kDirectoryEvents = IN_CLOSE_WRITE | IN_MODIFY | IN_ATTRIB | IN_CREATE |
                                           IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO |
                                           IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;
constexpr std::uint32_t kParentEvents =
    IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ONLYDIR | IN_MASK_ADD;
constexpr std::uint32_t kTargetEvents =
    IN_CLOSE_WRITE | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF | IN_MASK_ADD;
// Names of watches that are no directories below the root; no path begins with '/'.
const std::string kAncestor = "/ancestor";
const std::string kTarget = "/target";
constexpr milliseconds kLongestDelay{10};
constexpr milliseconds kLongestDelayAfterDelete{500};
constexpr milliseconds kRetryWithoutWatches{1000};

std::string absolutePath(const std::string& directory) {
  std::string path = std::filesystem::absolute(directory).lexically_normal().string();
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

}  // namespace

/// The thread and what it owns.
class FileSource::Watcher {
 public:
  Watcher(const std::string& directory, Mailbox& mailbox, const FileSourceOptions& options)
      : options_(options),
        mailbox_(mailbox),
        wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
        state_(absolutePath(directory), options.limits, options.interfacePrefix,
               [this](const std::string& path) { watchDirectory(path); }) {
    MGY_CHECK(wake_ >= 0);
  }
  ~Watcher() { ::close(wake_); }
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;

  void start() {
    if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
  }
  void stop() {
    stopping_ = true;
    wake();
    if (thread_.joinable()) thread_.join();
  }
  void relist(std::uint64_t barrier) {
    {
      const std::lock_guard lock(mutex_);
      asked_.push_back(barrier);
    }
    wake();
  }
  void locate(std::set<ObjectKey> keys) {
    {
      const std::lock_guard lock(mutex_);
      toLocate_ = std::move(keys);
    }
    wake();
  }

 private:
  void wake() const {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(wake_, &one, sizeof one);
  }

  void run();
  void waitForEvents();
  [[nodiscard]] std::optional<Time> nextDeadline() const;
  void handle(const Inotify::Event& event);
  void handleFile(const std::string& path, std::uint32_t mask);
  void takeRequests();
  void settleOpenFiles();
  void process();
  void publish(std::vector<Update> updates);
  void publishPart(std::vector<Update> updates);
  void watchDirectory(const std::string& path);
  void watchAncestor();
  void watchTargets();
  [[nodiscard]] std::set<std::string> busyFiles() const;
  void touch(bool urgent);

  const FileSourceOptions options_;
  Mailbox& mailbox_;
  const int wake_;
  std::thread thread_;
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;
  std::vector<std::uint64_t> asked_;             // guarded by mutex_
  std::optional<std::set<ObjectKey>> toLocate_;  // guarded by mutex_

  // The thread's own.
  Inotify inotify_;
  DirectoryState state_;
  std::set<ObjectKey> located_;
  SourceState published_;
  bool everPublished_ = false;
  bool watchesFailed_ = false;
  bool rescan_ = true;
  bool resync_ = true;
  bool onlyDeletes_ = true;
  std::set<std::string> dirty_;
  std::map<std::string, Time> open_;  // files that were written and not closed, and when last
  std::vector<std::uint64_t> barriers_;
  std::string awaited_;  // entry of the watched ancestor that leads to the root
  std::optional<Time> firstEvent_;
  Time lastEvent_;
  Time nextAudit_;
};

void FileSource::Watcher::touch(bool urgent) {
  lastEvent_ = std::chrono::steady_clock::now();
  if (!firstEvent_) {
    firstEvent_ = lastEvent_;
    onlyDeletes_ = true;
  }
  if (urgent) onlyDeletes_ = false;
}

void FileSource::Watcher::watchDirectory(const std::string& path) {
  const std::string absolute = path.empty() ? state_.root() : state_.root() + "/" + path;
  const auto watched = inotify_.watch(absolute, path, kDirectoryEvents);
  if (watched || watched.error().code == Errc::NotFound) return;
  if (!watchesFailed_)
    log::warn("cannot watch a directory; looking at it every second",
              {{"error", watched.error().what}});
  watchesFailed_ = true;
}

void FileSource::Watcher::watchAncestor() {
  std::filesystem::path child(state_.root());
  std::filesystem::path parent = child.parent_path();
  std::error_code ignored;
  while (parent != child && !std::filesystem::is_directory(parent, ignored)) {
    child = parent;
    parent = child.parent_path();
  }
  awaited_ = child.filename().string();
  if (!inotify_.watch(parent.string(), kAncestor, kParentEvents)) watchesFailed_ = true;
}

void FileSource::Watcher::watchTargets() {
  for (const std::string& file : state_.linkedFiles()) {
    const auto watched = inotify_.watch(state_.root() + "/" + file, kTarget, kTargetEvents);
    // A target that is gone shows in the events of its link; one that cannot be watched is looked
    // at.
    if (!watched && watched.error().code != Errc::NotFound) watchesFailed_ = true;
  }
}

void FileSource::Watcher::handle(const Inotify::Event& event) {
  if ((event.mask & IN_IGNORED) != 0) return;
  const bool removal =
      (event.mask & (IN_DELETE | IN_MOVED_FROM | IN_DELETE_SELF | IN_MOVE_SELF)) != 0;
  if (event.watch == kAncestor && event.name != awaited_) return;
  const bool elsewhere = event.watch == kAncestor || event.watch == kTarget || event.name.empty();
  const bool swap = event.name.compare(0, 2, "..") == 0;
  if (!elsewhere && !swap && event.name.front() == '.') return;
  if (elsewhere || swap || (event.mask & (IN_ISDIR | IN_Q_OVERFLOW)) != 0) {
    if ((event.mask & IN_Q_OVERFLOW) != 0) log::warn("lost file events; looking at every file");
    rescan_ = true;
    touch(!removal);
    return;
  }
  if (formatOf(event.name) == FileFormat::None) {
    // Not a manifest, but it may be a link to a directory of them.
    if ((event.mask & (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO)) == 0) return;
    rescan_ = true;
    touch(!removal);
    return;
  }
  handleFile(event.watch.empty() ? event.name : event.watch + "/" + event.name, event.mask);
}

void FileSource::Watcher::handleFile(const std::string& path, std::uint32_t mask) {
  if ((mask & (IN_DELETE | IN_MOVED_FROM)) != 0) {
    open_.erase(path);
    dirty_.insert(path);
    touch(false);
  } else if ((mask & (IN_CLOSE_WRITE | IN_MOVED_TO)) != 0) {
    open_.erase(path);
    dirty_.insert(path);
    touch(true);
  } else if ((mask & IN_MODIFY) != 0) {
    open_[path] = std::chrono::steady_clock::now();
  } else if (!open_.contains(path)) {  // IN_CREATE, IN_ATTRIB
    struct stat status {};
    const bool regular =
        ::lstat((state_.root() + "/" + path).c_str(), &status) == 0 && S_ISREG(status.st_mode);
    if (regular && (mask & IN_CREATE) != 0 && status.st_nlink == 1) {
      open_[path] = std::chrono::steady_clock::now();  // its writer will close it
      return;
    }
    dirty_.insert(path);
    touch(true);
  }
}

std::set<std::string> FileSource::Watcher::busyFiles() const {
  std::set<std::string> busy;
  for (const auto& [file, when] : open_) busy.insert(file);
  return busy;
}

void FileSource::Watcher::settleOpenFiles() {
  const auto now = std::chrono::steady_clock::now();
  for (auto at = open_.begin(); at != open_.end();) {
    if (now - at->second < options_.stillOpen) {
      ++at;
      continue;
    }
    dirty_.insert(at->first);
    touch(true);
    at = open_.erase(at);
  }
}

void FileSource::Watcher::takeRequests() {
  std::uint64_t count = 0;
  [[maybe_unused]] const auto drained = ::read(wake_, &count, sizeof count);
  const std::lock_guard lock(mutex_);
  if (toLocate_) {
    located_ = *std::exchange(toLocate_, std::nullopt);
    if (published_.connected) publish({});
  }
  if (asked_.empty()) return;
  barriers_.insert(barriers_.end(), asked_.begin(), asked_.end());
  asked_.clear();
  rescan_ = resync_ = true;
  firstEvent_ = Time{};  // at once
  onlyDeletes_ = false;
}

std::optional<Time> FileSource::Watcher::nextDeadline() const {
  Time next = nextAudit_;
  for (const auto& [file, when] : open_) next = std::min(next, when + options_.stillOpen);
  if (firstEvent_) {
    const auto quiet = lastEvent_ + (onlyDeletes_ ? options_.quietAfterDelete : options_.quiet);
    const auto latest = *firstEvent_ + (onlyDeletes_ ? kLongestDelayAfterDelete : kLongestDelay);
    next = std::min({next, quiet, latest});
  }
  return next;
}

void FileSource::Watcher::waitForEvents() {
  const auto left = *nextDeadline() - std::chrono::steady_clock::now();
  const auto wait = std::max<std::int64_t>(0, std::chrono::ceil<milliseconds>(left).count());
  pollfd fds[2] = {{wake_, POLLIN, 0}, {inotify_.fd(), POLLIN, 0}};
  ::poll(fds, inotify_.fd() >= 0 ? 2 : 1, static_cast<int>(std::min<std::int64_t>(wait, 60'000)));
  // Requests first: what was in the queue before one is then seen by its rescan.
  takeRequests();
  for (const auto& event : inotify_.drain()) handle(event);
  settleOpenFiles();
}

void FileSource::Watcher::publish(std::vector<Update> updates) {
  SourceState state = published_;
  for (const Update& update : updates) ++state.events[update.key.kind];
  state.invalid = state_.objects().invalid();
  state.warnings = state_.objects().warnings();
  state.places = state_.objects().places(located_);
  if (everPublished_ && updates.empty() && state == published_) return;
  everPublished_ = true;
  published_ = state;
  mailbox_.post("file", std::move(state), std::move(updates));
}

/// Of the first list, which counts as a whole when it is complete: until then whoever takes it can
/// work beside us.
void FileSource::Watcher::publishPart(std::vector<Update> updates) {
  for (const Update& update : updates) ++published_.events[update.key.kind];
  mailbox_.post("file", published_, std::move(updates));
}

void FileSource::Watcher::process() {
  watchesFailed_ = false;
  const bool whole = rescan_ || !published_.connected;
  const auto dirty = std::exchange(dirty_, {});
  firstEvent_.reset();
  rescan_ = false;
  watchAncestor();
  const auto takePart = published_.synced ? FileSet::TakePart() : [this](auto updates) {
    publishPart(std::move(updates));
  };
  auto updates = whole ? state_.rescan(busyFiles(), takePart) : state_.refresh(dirty, busyFiles());
  if (updates) watchTargets();
  nextAudit_ = std::chrono::steady_clock::now() +
               (watchesFailed_ ? kRetryWithoutWatches : options_.auditPeriod);
  if (!updates) {
    if (published_.connected || !everPublished_) {
      log::warn("the data directory is away; its last state stays in force",
                {{"error", updates.error().what}});
    }
    published_.connected = false;
    SourceState state = published_;
    state.error = updates.error().what;
    if (state != published_ || !everPublished_) mailbox_.post("file", state, {});
    published_ = state;
    everPublished_ = true;
    return;
  }
  const bool back = !published_.connected;
  published_.connected = published_.synced = true;
  published_.error.clear();
  if (resync_ || back) ++published_.resyncs;
  resync_ = false;
  everPublished_ = everPublished_ && !back && !whole;
  publish(std::move(*updates));
  if (!open_.empty()) return;
  for (const std::uint64_t barrier : std::exchange(barriers_, {})) mailbox_.postBarrier(barrier);
}

void FileSource::Watcher::run() {
  process();
  while (!stopping_) {
    waitForEvents();
    if (stopping_) return;
    const auto now = std::chrono::steady_clock::now();
    if (now >= nextAudit_) {
      rescan_ = true;
      touch(true);
    }
    if (!firstEvent_) continue;
    const auto quiet = lastEvent_ + (onlyDeletes_ ? options_.quietAfterDelete : options_.quiet);
    const auto latest = *firstEvent_ + (onlyDeletes_ ? kLongestDelayAfterDelete : kLongestDelay);
    if (now >= std::min(quiet, latest)) process();
  }
}

FileSource::FileSource(const std::string& directory, Mailbox& mailbox,
                       const FileSourceOptions& options)
    : watcher_(std::make_unique<Watcher>(directory, mailbox, options)) {}

FileSource::~FileSource() {
  watcher_->stop();
}

const std::string& FileSource::name() const {
  static const std::string kName = "file";
  return kName;
}
void FileSource::start() {
  watcher_->start();
}
void FileSource::stop() {
  watcher_->stop();
}
void FileSource::relist(std::uint64_t barrier) {
  watcher_->relist(barrier);
}
void FileSource::locate(std::set<ObjectKey> keys) {
  watcher_->locate(std::move(keys));
}

}  // namespace margay::api

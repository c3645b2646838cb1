#include "api/file/directory_state.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>

namespace margay::api {
namespace {

/// Time stamps of files move in steps of a kernel tick; a file that changed this close to its
/// reading may change again without looking different.
constexpr std::int64_t kStampStepNs = 20'000'000;

std::int64_t nowNs() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

}  // namespace

DirectoryState::DirectoryState(std::string root, DocumentLimits limits, std::string interfacePrefix,
                               std::function<void(const std::string&)> enter)
    : root_(std::move(root)),
      limits_(limits),
      enter_(std::move(enter)),
      set_(std::move(interfacePrefix)) {}

bool DirectoryState::rootIsThere() {
  struct stat status {};
  return ::stat(root_.c_str(), &status) == 0 && S_ISDIR(status.st_mode) && status.st_dev == device_;
}

bool DirectoryState::isPlain(const std::string& file) const {
  struct stat status {};
  if (::lstat((root_ + "/" + file).c_str(), &status) != 0) return errno == ENOENT;
  return S_ISREG(status.st_mode) && status.st_nlink == 1;
}

void DirectoryState::forget(const std::string& file, std::vector<FileSet::Change>& changes) {
  known_.erase(file);
  changes.push_back({file, std::nullopt});
}

void DirectoryState::read(const std::string& file, std::vector<FileSet::Change>& changes) {
  const Descriptor fd(
      ::open((root_ + "/" + file).c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (fd.get() < 0) {
    if (errno == ENOENT) return forget(file, changes);
    known_[file] = {};  // no file has this stamp: it is tried again at every look
    set_.setProblem(file, std::string("cannot be opened: ") + std::strerror(errno));
    return;
  }
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0 || !S_ISREG(status.st_mode)) {
    known_[file] = {};
    set_.setProblem(file, "is no regular file");
    return;
  }
  const FileStamp stamp = FileStamp::of(status);
  known_[file] = {stamp, stamp.changedNs + kStampStepNs < nowNs()};
  if (static_cast<std::size_t>(status.st_size) > limits_.maxBytes) {
    set_.setProblem(file,
                    "is larger than " + std::to_string(limits_.maxBytes) + " bytes; split it");
    return;
  }
  auto content =
      readFile(fd.get(), formatOf(file.substr(file.rfind('/') + 1)), file, limits_, decoder_);
  if (content) {
    changes.push_back({file, std::move(*content)});
  } else {
    set_.setProblem(file, content.error().what);
  }
}

bool DirectoryState::isBelowProblem(const std::string& file) const {
  return std::any_of(placeProblems_.begin(), placeProblems_.end(), [&](const auto& problem) {
    const std::string& place = problem.first;
    return file == place || (file.size() > place.size() && file[place.size()] == '/' &&
                             file.compare(0, place.size(), place) == 0);
  });
}

void DirectoryState::noteProblems(const std::map<std::string, std::string>& problems) {
  for (const auto& [place, reason] : placeProblems_) set_.clearProblem(place);
  placeProblems_ = problems;
  for (const auto& [place, reason] : placeProblems_) set_.setProblem(place, reason);
}

Result<std::vector<Update>> DirectoryState::applyIfThere(std::vector<FileSet::Change> changes,
                                                         const FileSet::TakePart& takePart) {
  // Files that were gone because the directory is must not look like deleted ones.
  if (rootIsThere()) return set_.apply(std::move(changes), takePart);
  for (const FileSet::Change& change : changes) known_[change.file] = {};
  return fail(Errc::NotFound, "directory " + root_ + " is away", ENOENT);
}

Result<std::vector<Update>> DirectoryState::rescan(const std::set<std::string>& busy,
                                                   const FileSet::TakePart& takePart) {
  auto walk = walkDirectory(root_, enter_);
  if (!walk) return Fail(walk.error());
  struct stat status {};
  if (::stat(root_.c_str(), &status) != 0) return Fail(systemError(errno, "directory " + root_));
  if (walk->files.empty() && set_.size() > 0 && device_ != status.st_dev) {
    return fail(Errc::Transient,
                "directory " + root_ + ": another file system without manifests is in its place");
  }
  device_ = status.st_dev;
  linked_ = std::move(walk->linkedFiles);
  hasAliases_ = walk->hasAliases;
  noteProblems(walk->problems);
  std::vector<FileSet::Change> changes;
  for (const auto& [file, stamp] : walk->files) {
    if (busy.contains(file)) continue;
    const auto known = known_.find(file);
    if (known != known_.end() && known->second.stamp == stamp && known->second.settled) continue;
    read(file, changes);
  }
  std::vector<std::string> gone;
  for (const auto& [file, known] : known_) {
    if (!walk->files.contains(file) && !isBelowProblem(file)) gone.push_back(file);
  }
  for (const std::string& file : gone) forget(file, changes);
  return applyIfThere(std::move(changes), takePart);
}

Result<std::vector<Update>> DirectoryState::refresh(const std::set<std::string>& files,
                                                    const std::set<std::string>& busy) {
  const bool plain = !hasAliases_ && linked_.empty() && rootIsThere() &&
                     std::all_of(files.begin(), files.end(),
                                 [this](const std::string& file) { return isPlain(file); });
  if (!plain) {
    for (const std::string& file : files) {
      if (const auto known = known_.find(file); known != known_.end())
        known->second.settled = false;
    }
    return rescan(busy);
  }
  std::vector<FileSet::Change> changes;
  for (const std::string& file : files) {
    if (!busy.contains(file)) read(file, changes);
  }
  return applyIfThere(std::move(changes));
}

}  // namespace margay::api

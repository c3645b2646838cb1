#include "api/file/directory_walk.h"

#include <dirent.h>
#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <set>
#include <utility>

#include "api/file/file_content.h"

namespace margay::api {
namespace {

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};
using Directory = std::unique_ptr<DIR, CloseDirectory>;
using Inode = std::pair<dev_t, ino_t>;

class Walker {
 public:
  Walker(const std::string& root, const std::function<void(const std::string&)>& enter)
      : root_(root), enter_(enter) {}

  Result<DirectoryWalk> run() {
    struct stat status {};
    if (::stat(root_.c_str(), &status) != 0) return Fail(systemError(errno, "directory " + root_));
    if (!S_ISDIR(status.st_mode)) return Fail(systemError(ENOTDIR, "directory " + root_));
    visited_.insert({status.st_dev, status.st_ino});
    if (const int error = readDirectory(""); error != 0)
      return Fail(systemError(error, "directory " + root_));
    while (!links_.empty()) {
      const auto links = std::exchange(links_, {});
      for (const std::string& link : links) followLink(link);
    }
    return std::move(walk_);
  }

 private:
  [[nodiscard]] std::string absolute(const std::string& path) const {
    return path.empty() ? root_ : root_ + "/" + path;
  }

  /// 0, or the errno that kept the directory from being read.
  int readDirectory(const std::string& path) {
    enter_(path);
    const Directory directory(::opendir(absolute(path).c_str()));
    if (!directory) return errno;
    std::vector<std::string> names;
    errno = 0;
    while (const dirent* entry = ::readdir(directory.get())) {
      if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
    }
    if (errno != 0) return errno;
    std::sort(names.begin(), names.end());
    for (const std::string& name : names) readEntry(path.empty() ? name : path + "/" + name, name);
    return 0;
  }

  void readEntry(const std::string& path, const std::string& name) {
    struct stat status {};
    if (::lstat(absolute(path).c_str(), &status) != 0) {
      if (errno != ENOENT) walk_.problems[path] = std::strerror(errno);
    } else if (S_ISLNK(status.st_mode)) {
      links_.push_back(path);
    } else if (S_ISDIR(status.st_mode)) {
      addDirectory(path, status);
    } else if (formatOf(name) != FileFormat::None) {
      addFile(path, status, false);
    }
  }

  void followLink(const std::string& path) {
    const auto slash = path.rfind('/');
    const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
    struct stat status {};
    if (::stat(absolute(path).c_str(), &status) != 0) {
      if (formatOf(name) != FileFormat::None)
        walk_.problems[path] = std::string("broken link: ") + std::strerror(errno);
    } else if (S_ISDIR(status.st_mode)) {
      addDirectory(path, status);
    } else if (formatOf(name) != FileFormat::None) {
      addFile(path, status, true);
    }
  }

  void addDirectory(const std::string& path, const struct stat& status) {
    if (!visited_.insert({status.st_dev, status.st_ino}).second) return;
    const int error = readDirectory(path);
    if (error != 0 && error != ENOENT) walk_.problems[path] = std::strerror(error);
  }

  void addFile(const std::string& path, const struct stat& status, bool link) {
    if (!S_ISREG(status.st_mode)) {
      walk_.problems[path] = "is no regular file";
      return;
    }
    if (!found_.insert({status.st_dev, status.st_ino}).second) {
      walk_.hasAliases = true;
      return;
    }
    walk_.files[path] = FileStamp::of(status);
    if (link) walk_.linkedFiles.push_back(path);
  }

  const std::string& root_;
  const std::function<void(const std::string&)>& enter_;
  DirectoryWalk walk_;
  std::vector<std::string> links_;
  std::set<Inode> visited_;
  std::set<Inode> found_;
};

}  // namespace

FileStamp FileStamp::of(const struct stat& status) {
  const auto ns = [](const timespec& time) {
    return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
  };
  return {status.st_dev, status.st_ino, status.st_size, ns(status.st_mtim), ns(status.st_ctim)};
}

Result<DirectoryWalk> walkDirectory(const std::string& root,
                                    const std::function<void(const std::string&)>& enter) {
  return Walker(root, enter).run();
}

}  // namespace margay::api

#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"

namespace margay::api {

/// What tells one version of a file from another.
struct FileStamp {
  dev_t device = 0;
  ino_t inode = 0;
  std::int64_t size = 0;
  std::int64_t modifiedNs = 0;
  std::int64_t changedNs = 0;
  bool operator==(const FileStamp&) const = default;
  static FileStamp of(const struct stat& status);
};

struct DirectoryWalk {
  std::map<std::string, FileStamp> files;  ///< manifests, by path below the root; each inode once
  std::map<std::string, std::string> problems;  ///< places that cannot be read, and why
  std::vector<std::string> linkedFiles;         ///< those of `files` that are symbolic links
  bool hasAliases = false;  ///< a file was left out because it is there under another name
};

/// Finds the manifests below `root`. Hidden names are left out, links are followed, and what two
/// names lead to is found once (as the real file, else under the first name), so that the `..data`
/// links of mounted ConfigMaps work. `enter` is called for each directory (path below the root)
/// before it is read. NotFound or another error only if the root itself cannot be read. O(files).
[[nodiscard]] Result<DirectoryWalk> walkDirectory(
    const std::string& root, const std::function<void(const std::string&)>& enter);

}  // namespace margay::api

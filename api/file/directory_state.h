#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "api/codec/document_reader.h"
#include "api/file/directory_walk.h"
#include "api/file/file_set.h"
#include "base/result.h"

namespace margay::api {

/// The files of a directory as last read, and the objects they give. Reads only what changed. One
/// thread.
class DirectoryState {
 public:
  /// `enter` is called for each directory before it is read (see walkDirectory).
  DirectoryState(std::string root, DocumentLimits limits, std::string interfacePrefix,
                 std::function<void(const std::string&)> enter);

  /// Looks at every file, reads those that changed and says what that changes. Files in `busy` are
  /// left as they are. An error means that the directory is away: nothing has changed then.
  /// `takePart` as FileSet::apply has it.
  [[nodiscard]] Result<std::vector<Update>> rescan(const std::set<std::string>& busy,
                                                   const FileSet::TakePart& takePart = nullptr);
  /// The same for some files only (paths below the root), which are read even if they look
  /// unchanged. Falls back to `rescan` where links or directories are involved.
  [[nodiscard]] Result<std::vector<Update>> refresh(const std::set<std::string>& files,
                                                    const std::set<std::string>& busy);

  [[nodiscard]] const FileSet& objects() const { return set_; }
  [[nodiscard]] const std::vector<std::string>& linkedFiles() const { return linked_; }
  [[nodiscard]] const std::string& root() const { return root_; }

 private:
  struct Known {
    FileStamp stamp;
    bool settled = false;  ///< no write after ours can have left the stamp as it is
  };

  [[nodiscard]] bool rootIsThere();
  [[nodiscard]] bool isPlain(const std::string& file) const;
  void read(const std::string& file, std::vector<FileSet::Change>& changes);
  void forget(const std::string& file, std::vector<FileSet::Change>& changes);
  [[nodiscard]] Result<std::vector<Update>> applyIfThere(
      std::vector<FileSet::Change> changes, const FileSet::TakePart& takePart = nullptr);
  void noteProblems(const std::map<std::string, std::string>& problems);
  [[nodiscard]] bool isBelowProblem(const std::string& file) const;

  std::string root_;
  DocumentLimits limits_;
  std::function<void(const std::string&)> enter_;
  ObjectDecoder decoder_;
  FileSet set_;
  std::map<std::string, Known> known_;
  std::map<std::string, std::string> placeProblems_;
  std::vector<std::string> linked_;
  bool hasAliases_ = false;
  dev_t device_ = 0;
};

}  // namespace margay::api

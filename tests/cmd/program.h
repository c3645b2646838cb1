#pragma once

#include <map>
#include <string>
#include <vector>

namespace margay::cmd_tests {

struct ProgramResult {
  int code = -1;  ///< 128 + signal if one ended it
  std::string out;
  std::string err;
};

/// Runs a program to its end. `environment` adds to that of the test.
ProgramResult runProgram(const std::string& path, const std::vector<std::string>& arguments,
                         const std::map<std::string, std::string>& environment = {},
                         const std::string& input = {});

/// A directory that goes with the object.
class ScratchDirectory {
 public:
  ScratchDirectory();
  ~ScratchDirectory();
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }
  /// Writes `text`; the file's path.
  std::string write(const std::string& file, const std::string& text) const;

 private:
  std::string path_;
};

}  // namespace margay::cmd_tests

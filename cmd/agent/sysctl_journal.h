#pragma once

#include <map>
#include <string>

namespace margay::agent {

/// What settings were before the agent first wrote them, by path below /proc/sys, in a file that
/// outlives it. The file is a line a change, "PATH=VALUE" or "PATH" for one that is forgotten, so
/// that a change costs its own line; it is written whole when most of its lines are out of date.
/// The loop's thread.
class SysctlJournal {
 public:
  using Settings = std::map<std::string, std::string>;

  /// Reads `file`, if it is there; a last line that was cut off does not count. An empty name keeps
  /// nothing beyond the agent's life.
  explicit SysctlJournal(std::string file);

  [[nodiscard]] const Settings& all() const { return before_; }
  [[nodiscard]] bool knows(const std::string& path) const { return before_.contains(path); }
  /// Both reach the file with the next `save`.
  void remember(const std::string& path, const std::string& value);
  void forget(const std::string& path);
  /// One write of what changed since the last one. Says in the log if it fails.
  void save();
  /// Forgets everything, and removes the file.
  void clear();

 private:
  [[nodiscard]] bool append() const;
  [[nodiscard]] bool rewrite();

  std::string file_;
  Settings before_;
  std::string unsaved_;    // lines
  std::size_t lines_ = 0;  // in the file, and in unsaved_
  bool whole_ = false;     // the file ends with a whole line of ours
};

}  // namespace margay::agent

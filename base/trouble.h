#pragma once

#include <set>
#include <string>

namespace margay {

/// What failed and was told, so that who tries again tells it once. One thread.
class Trouble {
 public:
  /// Whether `problem` has not been told since the last `over`. What differs in URLs alone is the
  /// same: the servers of one cluster fail in the same way one after the other.
  [[nodiscard]] bool isNews(const std::string& problem);
  /// It works again: what fails from now on is news.
  void over() { told_.clear(); }

 private:
  std::set<std::string> told_;
};

}  // namespace margay

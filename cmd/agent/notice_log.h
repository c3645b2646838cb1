#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "base/clock.h"
#include "cmd/agent/remarks.h"

namespace margay::agent {

/// Holds the newest remarks, and writes each to the log once, when it has lasted: what is only late
/// (a tier in the next file, an interface that is being made) is not worth a line. The loop's
/// thread.
class NoticeLog {
 public:
  static constexpr Duration kLasts = std::chrono::seconds(5);
  using Locate = std::function<void(const std::set<api::ObjectKey>&)>;

  /// `locate` is called with the objects whose places should be known whenever these are others.
  explicit NoticeLog(Locate locate) : locate_(std::move(locate)) {}

  /// After a pass. Looks at most once a second, and only while something may be different.
  void report(const controllers::NodeController& controller,
              const std::map<std::string, api::SourceState>& sources, TimePoint now);
  /// As of the last look.
  [[nodiscard]] const std::vector<Remark>& newest() const { return newest_; }
  /// Another number whenever `newest` may be another.
  [[nodiscard]] std::uint64_t version() const { return version_; }

  struct Lines {
    std::vector<Remark> lasting;  ///< for kLasts now, and not said before
    std::vector<Remark> over;     ///< said before, no longer so
  };
  Lines take(std::vector<Remark> remarks, TimePoint now);

 private:
  struct Seen {
    Remark remark;
    std::optional<TimePoint> since;
    bool said = false;
  };
  using Identity = std::tuple<api::ObjectKey, std::string, int>;  // the n-th of an object's field

  void locate();

  Locate locate_;
  std::vector<Remark> newest_;
  std::uint64_t version_ = 0;
  std::set<api::ObjectKey> located_;
  std::map<Identity, Seen> seen_;
  std::optional<TimePoint> looked_;
  std::uint64_t revision_ = 0;
  bool waiting_ = false;  // one has not lasted yet
};

}  // namespace margay::agent

#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "controllers/node/node_controller.h"

namespace margay::agent {

/// Writes each notice of the controller to the log once, when it has lasted: what is only late (a
/// tier in the next file, an interface that is being made) is not worth a line. The loop's thread.
class NoticeLog {
 public:
  static constexpr Duration kLasts = std::chrono::seconds(5);

  /// After a pass. Looks at most once a second, and only while something may be different.
  void report(const controllers::NodeController& controller, TimePoint now);

  struct Lines {
    std::vector<controllers::Notice> lasting;  ///< for kLasts now, and not said before
    std::vector<controllers::Notice> over;     ///< said before, no longer so
  };
  Lines take(const std::vector<controllers::Notice>& notices, TimePoint now);

 private:
  struct Seen {
    controllers::Notice notice;
    std::optional<TimePoint> since;
    bool said = false;
  };
  std::map<std::pair<api::ObjectKey, std::string>, Seen> seen_;  // by object and field
  std::optional<TimePoint> looked_;
  std::uint64_t revision_ = 0;
  bool waiting_ = false;  // one has not lasted yet
};

}  // namespace margay::agent

#include "cmd/agent/notice_log.h"

#include "base/log.h"

namespace margay::agent {

void NoticeLog::report(const controllers::NodeController& controller, TimePoint now) {
  if (looked_ && now - *looked_ < std::chrono::seconds(1)) return;
  if (looked_ && !waiting_ && revision_ == controller.revision()) return;
  looked_ = now;
  revision_ = controller.revision();
  const auto lines = take(controller.notices(), now);
  for (const auto& notice : lines.lasting) {
    log::warn(
        "an object refers to what is not there",
        {{"object", notice.object.str()}, {"field", notice.field}, {"reason", notice.reason}});
  }
  for (const auto& notice : lines.over) {
    log::info("what an object refers to is there now, or no longer referred to",
              {{"object", notice.object.str()}, {"field", notice.field}});
  }
}

NoticeLog::Lines NoticeLog::take(const std::vector<controllers::Notice>& notices, TimePoint now) {
  Lines out;
  waiting_ = false;
  auto before = std::exchange(seen_, {});
  for (const auto& notice : notices) {
    auto key = std::pair(notice.object, notice.field);
    auto known = before.extract(key);
    auto& seen =
        known.empty() ? seen_[std::move(key)] : seen_.insert(std::move(known)).position->second;
    if (!seen.since) seen.since = now;
    seen.notice = notice;
    if (seen.said) continue;
    seen.said = now - *seen.since >= kLasts;
    if (seen.said) {
      out.lasting.push_back(notice);
    } else {
      waiting_ = true;
    }
  }
  for (auto& [key, seen] : before) {
    if (seen.said) out.over.push_back(std::move(seen.notice));
  }
  return out;
}

}  // namespace margay::agent

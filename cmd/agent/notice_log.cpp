#include "cmd/agent/notice_log.h"

#include <utility>

#include "base/log.h"

namespace margay::agent {

void NoticeLog::report(const controllers::NodeController& controller,
                       const std::map<std::string, api::SourceState>& sources, TimePoint now) {
  if (looked_ && now - *looked_ < std::chrono::seconds(1)) return;
  if (looked_ && !waiting_ && revision_ == controller.revision()) return;
  looked_ = now;
  revision_ = controller.revision();
  const auto lines = take(remarks(controller), now);
  locate();
  if (lines.lasting.empty() && lines.over.empty()) return;
  const auto places = placesOf(sources);
  for (const auto& remark : lines.lasting)
    warnOf("an object is not in force as it is meant", asWritten(remark, places));
  for (const auto& remark : lines.over) {
    log::info("an object is in force as it is meant, or gone",
              {{"object", remark.about.str()}, {"field", remark.field}});
  }
}

void NoticeLog::locate() {
  std::set<api::ObjectKey> keys;
  for (const auto& remark : newest_) keys.insert(remark.written);
  if (keys == located_) return;
  located_ = std::move(keys);
  locate_(located_);
}

NoticeLog::Lines NoticeLog::take(std::vector<Remark> remarks, TimePoint now) {
  Lines out;
  waiting_ = false;
  auto before = std::exchange(seen_, {});
  for (const auto& remark : remarks) {
    Identity identity{remark.about, remark.field, 0};
    while (seen_.contains(identity)) ++std::get<int>(identity);
    auto known = before.extract(identity);
    auto& seen = known.empty() ? seen_[std::move(identity)]
                               : seen_.insert(std::move(known)).position->second;
    if (!seen.since) seen.since = now;
    seen.remark = remark;
    if (seen.said) continue;
    seen.said = now - *seen.since >= kLasts;
    if (seen.said) {
      out.lasting.push_back(remark);
    } else {
      waiting_ = true;
    }
  }
  for (auto& [identity, seen] : before) {
    if (seen.said) out.over.push_back(std::move(seen.remark));
  }
  newest_ = std::move(remarks);
  ++version_;
  return out;
}

}  // namespace margay::agent

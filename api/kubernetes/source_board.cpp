#include "api/kubernetes/source_board.h"

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace margay::api {

SourceState SourceBoard::combined() const {
  SourceState out;
  out.synced = out.connected = true;
  std::set<std::string> errors;
  for (const KindState& kind : kinds_) {
    out.synced = out.synced && kind.listed;
    out.connected = out.connected && kind.connected;
    out.resyncs += kind.lists;
    out.invalid.insert(out.invalid.end(), kind.invalid.begin(), kind.invalid.end());
    out.warnings.insert(out.warnings.end(), kind.warnings.begin(), kind.warnings.end());
    if (!kind.error.empty() && errors.insert(kind.error).second)
      out.error += (out.error.empty() ? "" : "; ") + kind.error;
  }
  std::sort(out.invalid.begin(), out.invalid.end());
  out.events = events_;
  return out;
}

void SourceBoard::tell(const SourceState& before, const SourceState& now) {
  std::set<std::string> acute;
  for (const KindState& kind : kinds_) {
    if (kind.mustAct && !kind.error.empty()) acute.insert(kind.error);
  }
  for (const auto& error : acute) {
    if (!told_.contains(error)) log::error("Kubernetes: a person must act", {{"error", error}});
  }
  told_ = std::move(acute);
  if (now.connected && !before.connected)
    log::info(everSynced_ ? "Kubernetes is back" : "listed Kubernetes", {{"lists", now.resyncs}});
  const bool news = everSynced_ ? before.connected : before.error.empty();
  if (!now.connected && !now.error.empty() && news)
    log::warn(everSynced_ ? "Kubernetes is away; its last state stays in force"
                          : "Kubernetes cannot be read; waiting for it",
              {{"error", now.error}});
}

void SourceBoard::post(std::size_t kind, const KindState& state, std::vector<Update> updates) {
  const std::lock_guard lock(mutex_);
  if (updates.empty() && kinds_[kind] == state && everPublished_) return;
  kinds_[kind] = state;
  for (const Update& update : updates) ++events_[update.key.kind];
  SourceState now = combined();
  tell(published_, now);
  everSynced_ = everSynced_ || now.synced;
  published_ = now;
  everPublished_ = true;
  mailbox_.post(source_, std::move(now), std::move(updates));
}

void SourceBoard::ask(std::uint64_t barrier) {
  const std::lock_guard lock(mutex_);
  waiting_[barrier];
}

void SourceBoard::answered(std::size_t kind, const std::vector<std::uint64_t>& barriers) {
  const std::lock_guard lock(mutex_);
  for (const auto barrier : barriers) {
    const auto found = waiting_.find(barrier);
    if (found == waiting_.end()) continue;
    found->second.insert(kind);
    if (found->second.size() < kinds_.size()) continue;
    waiting_.erase(found);
    mailbox_.postBarrier(barrier);
  }
}

}  // namespace margay::api

#include "api/http/exchange.h"

#include <cerrno>
#include <utility>

namespace margay::api {

void Exchange::setHead(HttpHead head) {
  const std::lock_guard lock(mutex_);
  head_ = std::move(head);
  changed_.notify_all();
}

void Exchange::put(std::string_view bytes, std::function<void()> room) {
  {
    const std::lock_guard lock(mutex_);
    if (!abandoned_) {
      buffer_ += bytes;
      changed_.notify_all();
      if (buffer_.size() >= capacity_) {
        room_ = std::move(room);
        return;
      }
    }
  }
  room();
}

void Exchange::finish(Result<void> how) {
  const std::lock_guard lock(mutex_);
  end_ = std::move(how);
  changed_.notify_all();
}

Result<HttpHead> Exchange::waitHead(std::chrono::milliseconds timeout,
                                    const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, stop, timeout, [this] { return head_ || end_; });
  if (head_) return *head_;
  if (end_) return *end_ ? fail(Errc::Transient, "no answer") : Fail(end_->error());
  if (stop.stop_requested()) return fail(Errc::Interrupted, "asked to stop");
  return fail(Errc::Transient, "no answer in " + std::to_string(timeout.count()) + " ms",
              ETIMEDOUT);
}

Result<HttpBody::Read> Exchange::read(std::string& piece, std::chrono::milliseconds timeout,
                                      const std::stop_token& stop) {
  piece.clear();
  std::function<void()> room;
  {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, stop, timeout, [this] { return !buffer_.empty() || end_; });
    if (buffer_.empty()) {
      if (end_) return *end_ ? Result<HttpBody::Read>(HttpBody::Read::End) : Fail(end_->error());
      if (stop.stop_requested()) return fail(Errc::Interrupted, "asked to stop");
      return HttpBody::Read::Idle;
    }
    piece.swap(buffer_);
    room = std::exchange(room_, nullptr);
  }
  if (room) room();
  return HttpBody::Read::Data;
}

void Exchange::abandon() {
  std::function<void()> room;
  {
    const std::lock_guard lock(mutex_);
    abandoned_ = true;
    buffer_.clear();
    room = std::exchange(room_, nullptr);
  }
  if (room) room();
}

}  // namespace margay::api

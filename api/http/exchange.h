#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "api/http/http_client.h"

namespace margay::api {

struct HttpHead {
  int status = 0;
  std::map<std::string, std::string> headers;
};

/// One call between the library's threads, which fill it, and the caller, who reads: the head, then
/// the body in a buffer of bounded size. The library is told to wait while the buffer is full. All
/// functions may be called on any thread.
class Exchange {
 public:
  explicit Exchange(std::size_t capacity) : capacity_(capacity) {}

  /// The library's side.
  void setHead(HttpHead head);
  /// Takes the bytes. Calls `room` as soon as more may come: at once, or when the reader has made
  /// room; on the thread that made it.
  void put(std::string_view bytes, std::function<void()> room);
  /// Nothing comes any more: the body is whole, or it broke off.
  void finish(Result<void> how);

  /// The caller's side.
  Result<HttpHead> waitHead(std::chrono::milliseconds timeout, const std::stop_token& stop);
  Result<HttpBody::Read> read(std::string& piece, std::chrono::milliseconds timeout,
                              const std::stop_token& stop);
  /// The reader is gone: what comes is dropped.
  void abandon();

 private:
  const std::size_t capacity_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::optional<HttpHead> head_;
  std::optional<Result<void>> end_;
  std::string buffer_;
  std::function<void()> room_;
  bool abandoned_ = false;
};

}  // namespace margay::api

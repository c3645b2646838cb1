#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "api/codec/json_push.h"
#include "base/result.h"

namespace margay::api {

struct EtcdKeyValue {
  std::string key;
  std::string value;
  std::int64_t modRevision = 0;
  std::int64_t createRevision = 0;
  std::int64_t lease = 0;
};

struct EtcdEvent {
  bool deleted = false;
  EtcdKeyValue kv;
};

/// What an answer of etcd's JSON gateway says besides its keys.
struct EtcdAnswer {
  std::uint64_t clusterId = 0;
  std::int64_t revision = 0;
  bool more = false;
  bool succeeded = false;  ///< of a transaction
  std::int64_t count = 0;
  bool created = false;  ///< a watch
  bool canceled = false;
  std::int64_t compactRevision = 0;
  std::string reason;  ///< of a watch that was canceled
  std::int64_t lease = 0;
  std::int64_t ttl = 0;
  std::string token;
  int grpcCode = 0;
  std::string error;
};

/// Reads answers piece by piece without building a tree: keys and values go to `onEvent` as soon as
/// they are whole, which may move them away. One thread.
class AnswerReader final : private JsonEvents {
 public:
  using OnEvent = std::function<void(EtcdEvent&)>;
  using OnAnswer = std::function<void(EtcdAnswer&)>;
  /// `onAnswer` gets each answer of a stream after its keys.
  AnswerReader(OnEvent onEvent, OnAnswer onAnswer)
      : onEvent_(std::move(onEvent)), onAnswer_(std::move(onAnswer)), push_(*this) {}

  /// `Errc::Transient` for what is no answer of etcd.
  Result<void> feed(std::string_view piece);

 private:
  enum class Field : std::uint8_t;
  struct Frame {
    Field field;  // that the container is the value of
    bool array;
  };

  void key(std::string_view name) override;
  void scalar(std::string_view text) override;
  void begin(bool isArray) override;
  void end() override;
  void decode(std::string_view text, std::string& to);

  OnEvent onEvent_;
  OnAnswer onAnswer_;
  JsonPush push_;
  std::vector<Frame> open_;
  Field field_{};
  EtcdEvent event_;
  EtcdAnswer answer_;
  bool badBase64_ = false;
};

}  // namespace margay::api

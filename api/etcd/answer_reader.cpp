#include "api/etcd/answer_reader.h"

#include <array>
#include <charconv>
#include <utility>

#include "api/codec/base64.h"

namespace margay::api {

enum class AnswerReader::Field : std::uint8_t {
  Other,
  ClusterId,
  Revision,
  Kvs,
  Events,
  Type,
  Key,
  Value,
  ModRevision,
  CreateRevision,
  Lease,
  More,
  Succeeded,
  Count,
  Created,
  Canceled,
  CompactRevision,
  CancelReason,
  Id,
  Ttl,
  Token,
  Code,
  GrpcCode,
  Error,
  Message,
};

namespace {

template <class Number>
void readNumber(std::string_view text, Number& to) {
  std::from_chars(text.data(), text.data() + text.size(), to);
}

}  // namespace

Result<void> AnswerReader::feed(std::string_view piece) {
  auto fed = push_.feed(piece);
  if (fed && badBase64_) return fail(Errc::Transient, "the answer has a key that is no base64");
  return fed;
}

void AnswerReader::key(std::string_view name) {
  static constexpr std::array<std::pair<std::string_view, Field>, 24> kFields = {{
      {"key", Field::Key},
      {"value", Field::Value},
      {"mod_revision", Field::ModRevision},
      {"create_revision", Field::CreateRevision},
      {"kvs", Field::Kvs},
      {"events", Field::Events},
      {"type", Field::Type},
      {"lease", Field::Lease},
      {"cluster_id", Field::ClusterId},
      {"revision", Field::Revision},
      {"more", Field::More},
      {"succeeded", Field::Succeeded},
      {"count", Field::Count},
      {"created", Field::Created},
      {"canceled", Field::Canceled},
      {"compact_revision", Field::CompactRevision},
      {"cancel_reason", Field::CancelReason},
      {"ID", Field::Id},
      {"TTL", Field::Ttl},
      {"token", Field::Token},
      {"code", Field::Code},
      {"grpc_code", Field::GrpcCode},
      {"error", Field::Error},
      {"message", Field::Message},
  }};
  field_ = Field::Other;
  for (const auto& [text, field] : kFields) {
    if (text == name) {
      field_ = field;
      return;
    }
  }
}

void AnswerReader::decode(std::string_view text, std::string& to) {
  if (!base64Decode(text, to)) badBase64_ = true;
}

void AnswerReader::scalar(std::string_view text) {
  switch (field_) {
    case Field::Key:
      return decode(text, event_.kv.key);
    case Field::Value:
      return decode(text, event_.kv.value);
    case Field::ModRevision:
      return readNumber(text, event_.kv.modRevision);
    case Field::CreateRevision:
      return readNumber(text, event_.kv.createRevision);
    case Field::Lease:
      return readNumber(text, event_.kv.lease);
    case Field::Type:
      event_.deleted = text == "DELETE";
      return;
    case Field::ClusterId:
      return readNumber(text, answer_.clusterId);
    case Field::Revision:
      return readNumber(text, answer_.revision);
    case Field::More:
      answer_.more = text == "true";
      return;
    case Field::Succeeded:
      answer_.succeeded = text == "true";
      return;
    case Field::Count:
      return readNumber(text, answer_.count);
    case Field::Created:
      answer_.created = text == "true";
      return;
    case Field::Canceled:
      answer_.canceled = text == "true";
      return;
    case Field::CompactRevision:
      return readNumber(text, answer_.compactRevision);
    case Field::CancelReason:
      answer_.reason = text;
      return;
    case Field::Id:
      return readNumber(text, answer_.lease);
    case Field::Ttl:
      return readNumber(text, answer_.ttl);
    case Field::Token:
      answer_.token = text;
      return;
    case Field::Code:
    case Field::GrpcCode:
      return readNumber(text, answer_.grpcCode);
    case Field::Error:
    case Field::Message:
      answer_.error = text;
      return;
    case Field::Kvs:
    case Field::Events:
    case Field::Other:
      return;
  }
}

void AnswerReader::begin(bool isArray) {
  const bool element = !open_.empty() && open_.back().array;
  open_.push_back({element ? open_.back().field : field_, isArray});
  field_ = Field::Other;
}

void AnswerReader::end() {
  const Frame closed = open_.back();
  open_.pop_back();
  const bool entry = closed.field == Field::Kvs || closed.field == Field::Events;
  if (entry && !closed.array) {
    onEvent_(event_);
    event_ = {};
  }
  if (open_.empty()) {
    onAnswer_(answer_);
    answer_ = {};
  }
}

}  // namespace margay::api

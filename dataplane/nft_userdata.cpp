#include "dataplane/nft_userdata.h"

#include <cstring>

namespace margay::dataplane {
namespace {

constexpr std::uint8_t kComment = 0;  // NFTNL_UDATA_RULE_COMMENT
constexpr std::uint8_t kDigest = 200;
constexpr std::uint8_t kTable = 201;
constexpr std::uint8_t kSetType = 202;
constexpr std::uint8_t kMaxElements = 203;
constexpr std::size_t kCommentBytes = 127;

void put(NftUserdata& out, std::uint8_t type, const void* value, std::size_t length) {
  out.push_back(type);
  out.push_back(static_cast<std::uint8_t>(length));
  const auto* bytes = static_cast<const std::uint8_t*>(value);
  out.insert(out.end(), bytes, bytes + length);
}

/// The value of the record of that type.
std::optional<std::span<const std::uint8_t>> find(std::span<const std::uint8_t> userdata,
                                                  std::uint8_t type) {
  while (userdata.size() >= 2 && userdata.size() >= std::size_t{2} + userdata[1]) {
    if (userdata[0] == type) return userdata.subspan(2, userdata[1]);
    userdata = userdata.subspan(std::size_t{2} + userdata[1]);
  }
  return std::nullopt;
}

template <class T>
std::optional<T> get(std::span<const std::uint8_t> userdata, std::uint8_t type) {
  const auto found = find(userdata, type);
  if (!found || found->size() != sizeof(T)) return std::nullopt;
  T value{};
  std::memcpy(&value, found->data(), sizeof value);
  return value;
}

}  // namespace

NftUserdata ruleUserdata(std::string_view comment, std::uint64_t digest) {
  NftUserdata out;
  if (!comment.empty()) {
    const std::string text(comment.substr(0, kCommentBytes));
    put(out, kComment, text.c_str(), text.size() + 1);
  }
  put(out, kDigest, &digest, sizeof digest);
  return out;
}

std::string_view commentIn(std::span<const std::uint8_t> userdata) {
  const auto found = find(userdata, kComment);
  if (!found) return {};
  const auto* text = reinterpret_cast<const char*>(found->data());
  return {text, strnlen(text, found->size())};
}

std::optional<std::uint64_t> digestIn(std::span<const std::uint8_t> userdata) {
  return get<std::uint64_t>(userdata, kDigest);
}

NftUserdata chainUserdata(TableName table) {
  NftUserdata out;
  const auto value = static_cast<std::uint8_t>(table);
  put(out, kTable, &value, sizeof value);
  return out;
}

std::optional<TableName> tableIn(std::span<const std::uint8_t> userdata) {
  const auto value = get<std::uint8_t>(userdata, kTable);
  if (!value || *value > static_cast<std::uint8_t>(TableName::Filter)) return std::nullopt;
  return static_cast<TableName>(*value);
}

NftUserdata setUserdata(const SetSpec& spec) {
  NftUserdata out;
  const auto type = static_cast<std::uint8_t>(spec.type);
  put(out, kSetType, &type, sizeof type);
  put(out, kMaxElements, &spec.maxElements, sizeof spec.maxElements);
  return out;
}

std::optional<SetSpec> specIn(std::span<const std::uint8_t> userdata) {
  const auto type = get<std::uint8_t>(userdata, kSetType);
  const auto maximum = get<std::uint32_t>(userdata, kMaxElements);
  if (!type || !maximum || *type > static_cast<std::uint8_t>(SetType::HashAddress))
    return std::nullopt;
  SetSpec out;
  out.type = static_cast<SetType>(*type);
  out.maxElements = *maximum;
  return out;
}

}  // namespace margay::dataplane

#include "api/etcd/etcd_request.h"

#include <nlohmann/json.hpp>

#include "api/codec/base64.h"

namespace margay::api {

using Json = nlohmann::json;

std::string endOfPrefix(std::string prefix) {
  while (!prefix.empty() && static_cast<unsigned char>(prefix.back()) == 0xFF) prefix.pop_back();
  if (prefix.empty()) return std::string(1, '\0');
  ++prefix.back();
  return prefix;
}

std::string rangeBody(const EtcdRange& range) {
  Json body = {{"key", base64Encode(range.key)}};
  if (!range.end.empty()) body["range_end"] = base64Encode(range.end);
  if (range.revision != 0) body["revision"] = std::to_string(range.revision);
  if (range.limit != 0) body["limit"] = std::to_string(range.limit);
  return body.dump();
}

std::string watchBody(const std::string& prefix, std::int64_t revision) {
  return Json{{"create_request",
               {{"key", base64Encode(prefix)},
                {"range_end", base64Encode(endOfPrefix(prefix))},
                {"start_revision", std::to_string(revision)},
                {"progress_notify", true}}}}
      .dump();
}

std::string transactionBody(const std::vector<EtcdCondition>& conditions,
                            const std::vector<EtcdWrite>& writes) {
  Json body = {{"compare", Json::array()}, {"success", Json::array()}};
  for (const auto& condition : conditions) {
    body["compare"].push_back({{"key", base64Encode(condition.key)},
                               {"target", "MOD"},
                               {"result", "EQUAL"},
                               {"mod_revision", std::to_string(condition.modRevision)}});
  }
  for (const auto& write : writes) {
    if (!write.value) {
      body["success"].push_back({{"request_delete_range", {{"key", base64Encode(write.key)}}}});
      continue;
    }
    Json put = {{"key", base64Encode(write.key)}, {"value", base64Encode(*write.value)}};
    if (write.lease != 0) put["lease"] = std::to_string(write.lease);
    body["success"].push_back({{"request_put", std::move(put)}});
  }
  return body.dump();
}

std::string authenticateBody(const std::string& user, const std::string& password) {
  return Json{{"name", user}, {"password", password}}.dump(-1, ' ', false,
                                                           Json::error_handler_t::replace);
}

}  // namespace margay::api

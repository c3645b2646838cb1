#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "tests/api/raw_server.h"

namespace margay::api::test {

/// As much of the Kubernetes API as a list and a watch need, over plain HTTP, with failures on
/// request. What the real one does is tested with the real one. Any thread.
class ScriptedApi {
 public:
  using Json = nlohmann::json;

  ScriptedApi() {
    for (const char* kind : {"pods", "namespaces", "serviceaccounts", "nodes", "services"})
      offer(std::string("/api/v1/") + kind);
    offer("/apis/networking.k8s.io/v1/networkpolicies");
  }
  ~ScriptedApi() {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  ScriptedApi(const ScriptedApi&) = delete;
  ScriptedApi& operator=(const ScriptedApi&) = delete;

  [[nodiscard]] std::string url() const { return server_.url(); }

  /// The server has this kind from now on: "/api/v1/pods".
  void offer(const std::string& kind) {
    const std::lock_guard lock(mutex_);
    kinds_[kind];
  }
  /// The object gets the next resourceVersion. Watches hear of it.
  void put(const std::string& kind, Json object) {
    const std::lock_guard lock(mutex_);
    auto& objects = kinds_[kind].objects;
    const auto key = keyOf(object);
    object["metadata"]["resourceVersion"] = std::to_string(++version_);
    say(kind, objects.contains(key) ? "MODIFIED" : "ADDED", object);
    objects[key] = std::move(object);
  }
  void remove(const std::string& kind, const std::string& ns, const std::string& name) {
    const std::lock_guard lock(mutex_);
    auto& objects = kinds_[kind].objects;
    auto object = objects[ns + "/" + name];
    objects.erase(ns + "/" + name);
    object["metadata"]["resourceVersion"] = std::to_string(++version_);
    say(kind, "DELETED", object);
  }
  /// As put and remove, and no watch hears of it: it is forgotten.
  void putUnheard(const std::string& kind, Json object) {
    const std::lock_guard lock(mutex_);
    object["metadata"]["resourceVersion"] = std::to_string(++version_);
    kinds_[kind].objects[keyOf(object)] = object;
    forgotten_ = version_;
  }
  void removeUnheard(const std::string& kind, const std::string& ns, const std::string& name) {
    const std::lock_guard lock(mutex_);
    kinds_[kind].objects.erase(ns + "/" + name);
    forgotten_ = ++version_;
  }
  void bookmark(const std::string& kind) {
    const std::lock_guard lock(mutex_);
    say(kind, "BOOKMARK", {{"metadata", {{"resourceVersion", std::to_string(++version_)}}}});
  }
  /// An event of any content on the kind's watches.
  void event(const std::string& kind, const std::string& type, const Json& object) {
    const std::lock_guard lock(mutex_);
    say(kind, type, object);
  }
  /// Open watches end, as if their time were over.
  void endWatches() {
    const std::lock_guard lock(mutex_);
    ++generation_;
    changed_.notify_all();
  }
  /// Requests whose path has `part` in it get `answer`, the whole text of an HTTP answer, after
  /// which the connection is closed; `times` of them.
  void answer(const std::string& part, const std::string& answer, int times = 1'000'000) {
    const std::lock_guard lock(mutex_);
    answers_.push_back({part, answer, times});
  }
  void answerAsUsual() {
    const std::lock_guard lock(mutex_);
    answers_.clear();
  }
  /// Without this token in the Authorization header: 401.
  void wantToken(const std::string& token) {
    const std::lock_guard lock(mutex_);
    token_ = token;
  }
  [[nodiscard]] int asked(const std::string& part) const {
    const std::lock_guard lock(mutex_);
    int count = 0;
    for (const auto& path : asked_) count += path.find(part) != std::string::npos ? 1 : 0;
    return count;
  }
  static std::string refusal(int status, const std::string& message,
                             const std::string& header = "") {
    const std::string body =
        Json{{"kind", "Status"}, {"code", status}, {"message", message}}.dump();
    return "HTTP/1.1 " + std::to_string(status) + " No\r\n" + header +
           "Content-Length: " + std::to_string(body.size()) + "\r\nConnection: close\r\n\r\n" +
           body;
  }

 private:
  struct Event {
    std::uint64_t version;
    std::string text;
  };
  struct KindData {
    std::map<std::string, Json> objects;
    std::vector<Event> events;
  };
  struct Answer {
    std::string part;
    std::string text;
    int left;
  };

  static std::string keyOf(const Json& object) {
    return object["metadata"].value("namespace", "") + "/" + object["metadata"].value("name", "");
  }
  static std::string parameter(const std::string& path, const std::string& name) {
    const auto at = path.find(name + "=");
    if (at == std::string::npos) return {};
    const auto from = at + name.size() + 1;
    return path.substr(from, path.find('&', from) - from);
  }
  static std::string whole(const Json& body) {
    const std::string text = body.dump();
    return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(text.size()) + "\r\n\r\n" + text;
  }

  /// The type comes first, as from kube-apiserver.
  void say(const std::string& kind, const std::string& type, const Json& object) {
    kinds_[kind].events.push_back(
        {version_, R"({"type":")" + type + R"(","object":)" + object.dump() + "}\n"});
    changed_.notify_all();
  }

  void serve(int socket) {
    for (;;) {
      const std::string request = RawServer::readRequest(socket);
      if (request.empty()) return;
      const auto start = request.find(' ') + 1;
      const std::string path = request.substr(start, request.find(' ', start) - start);
      if (const auto planned = plannedFor(path, request)) {
        RawServer::say(socket, *planned);
        return RawServer::end(socket);
      }
      if (path.find("watch=true") != std::string::npos) {
        if (!follow(socket, path)) return RawServer::end(socket);
      } else {
        RawServer::say(socket, listOf(path));
      }
    }
  }
  std::optional<std::string> plannedFor(const std::string& path, const std::string& request) {
    const std::lock_guard lock(mutex_);
    asked_.push_back(path);
    if (!token_.empty() && request.find("Bearer " + token_ + "\r\n") == std::string::npos)
      return refusal(401, "Unauthorized");
    for (auto& answer : answers_) {
      if (answer.left <= 0 || path.find(answer.part) == std::string::npos) continue;
      --answer.left;
      return answer.text;
    }
    return std::nullopt;
  }

  std::string listOf(const std::string& path) {
    const std::lock_guard lock(mutex_);
    const std::string kind = path.substr(0, path.find('?'));
    const auto found = kinds_.find(kind);
    if (found == kinds_.end()) return group(kind);
    const std::size_t limit = std::stoul("0" + parameter(path, "limit"));
    const std::size_t from = std::stoul("0" + parameter(path, "continue"));
    Json items = Json::array();
    std::size_t index = 0;
    for (const auto& [key, object] : found->second.objects) {
      if (index++ >= from && items.size() < limit) items.push_back(object);
    }
    Json metadata = {{"resourceVersion", std::to_string(version_)}};
    if (from + items.size() < index) metadata["continue"] = std::to_string(from + items.size());
    return whole({{"kind", "List"}, {"metadata", metadata}, {"items", items}});
  }
  std::string group(const std::string& path) const {
    Json resources = Json::array();
    for (const auto& [kind, data] : kinds_) {
      if (kind.rfind(path + "/", 0) == 0)
        resources.push_back({{"name", kind.substr(path.size() + 1)}});
    }
    if (resources.empty()) return refusal(404, "not found");
    return whole({{"kind", "APIResourceList"}, {"resources", resources}});
  }

  /// False when the connection is of no more use.
  bool follow(int socket, const std::string& path) {
    const std::string kind = path.substr(0, path.find('?'));
    std::uint64_t heard = std::stoull(parameter(path, "resourceVersion"));
    std::unique_lock lock(mutex_);
    RawServer::say(socket, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    if (heard < forgotten_) {
      RawServer::sayChunk(socket, R"({"type":"ERROR","object":{"kind":"Status","code":410,)"
                                  R"("message":"too old resource version"}})");
      return RawServer::say(socket, "0\r\n\r\n");
    }
    const int generation = generation_;
    std::size_t next = 0;
    while (!stopping_ && generation == generation_) {
      const auto& events = kinds_[kind].events;
      for (; next < events.size(); ++next) {
        if (events[next].version <= heard) continue;
        RawServer::sayChunk(socket, events[next].text);
      }
      changed_.wait(lock);
    }
    return RawServer::say(socket, "0\r\n\r\n");
  }

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  int generation_ = 0;
  std::uint64_t version_ = 100;
  std::uint64_t forgotten_ = 0;
  std::string token_;
  std::map<std::string, KindData> kinds_;
  std::vector<Answer> answers_;
  std::vector<std::string> asked_;
  RawServer server_{[this](RawServer&, int socket) { serve(socket); }};
};

}  // namespace margay::api::test

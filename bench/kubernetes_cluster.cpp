#include "bench/kubernetes_cluster.h"

#include <algorithm>
#include <fstream>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>

#include "api/codec/base64.h"

namespace margay::bench {

using nlohmann::json;
using testing::ApiServer;

bool send(ApiServer& server, const std::string& method, const std::string& path, const json& body,
          const std::string& type) {
  const auto reply = server.call(method, path, body.dump(), type);
  if (reply.status / 100 != 2) std::cerr << method << ' ' << path << ": " << reply.body << '\n';
  return reply.status / 100 == 2;
}

namespace {

/// Where the server keeps an object. It reads JSON as well as what it writes itself.
std::string storedAt(const json& object) {
  static const std::map<std::string, std::string> kFolders = {
      {"Namespace", "namespaces"}, {"Pod", "pods"}, {"NetworkPolicy", "networkpolicies"}};
  const auto& metadata = object["metadata"];
  return "/registry/" + kFolders.at(object["kind"]) + '/' +
         (metadata.contains("namespace") ? metadata["namespace"].get<std::string>() + '/' : "") +
         metadata["name"].get<std::string>();
}

bool createNode(ApiServer& server, const json& node) {
  const std::string nodes = "/api/v1/nodes";
  const std::string name = node["metadata"]["name"];
  return send(server, "POST", nodes, node) && send(server, "PATCH", nodes + '/' + name + "/status",
                                                   {{"status", node["status"]}}, kMergePatch);
}

}  // namespace

bool fill(ApiServer& server, const std::filesystem::path& file) {
  constexpr std::size_t kAtOnce = 128;  // what etcd takes
  std::ifstream in(file);
  const auto items = json::parse(in)["items"];
  for (std::size_t at = 0; at < items.size(); at += kAtOnce) {
    json puts = json::array();
    for (std::size_t i = at; i < std::min(items.size(), at + kAtOnce); ++i) {
      if (items[i]["kind"] == "Node") {
        if (!createNode(server, items[i])) return false;
        continue;
      }
      puts.push_back({{"requestPut",
                       {{"key", api::base64Encode(storedAt(items[i]))},
                        {"value", api::base64Encode(items[i].dump())}}}});
    }
    if (puts.empty()) continue;
    const auto answer =
        api::test::post(server.etcd().url(), "/v3/kv/txn", json{{"success", puts}}.dump());
    if (answer.find("succeeded") == std::string::npos) {
      std::cerr << answer << '\n';
      return false;
    }
  }
  return true;
}

std::string podPath(const std::string& ns, const std::string& name) {
  return "/api/v1/namespaces/" + ns + "/pods" + (name.empty() ? "" : "/" + name);
}

bool schedulePod(ApiServer& server, const std::string& ns, const std::string& name) {
  const json pod = {
      {"kind", "Pod"},
      {"metadata", {{"name", name}, {"namespace", ns}, {"labels", {{"app", "app-0"}}}}},
      {"spec", {{"nodeName", "node-0"}, {"containers", {{{"name", "c"}, {"image", "i"}}}}}}};
  return send(server, "POST", podPath(ns), pod);
}

bool givePodAddress(ApiServer& server, const std::string& ns, const std::string& name,
                    const std::string& address) {
  const json status = {
      {"status", {{"phase", "Running"}, {"podIP", address}, {"podIPs", {{{"ip", address}}}}}}};
  return send(server, "PATCH", podPath(ns, name) + "/status", status, kMergePatch);
}

}  // namespace margay::bench

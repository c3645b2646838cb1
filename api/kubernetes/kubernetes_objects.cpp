#include "api/kubernetes/kubernetes_objects.h"

#include <nlohmann/json.hpp>

#include "api/codec/calico_encode.h"
#include "api/codec/kubernetes_decode.h"
#include "api/kubernetes/object_form.h"
#include "api/server/http.h"

namespace margay::api {
namespace {

using Json = nlohmann::json;

bool isCrd(const StoredKind& kind) {
  return kind.kind != Kind::Node && kind.kind != Kind::Profile &&
         kind.kind != Kind::WorkloadEndpoint;
}

std::string textOf(const Json& from, const char* field) {
  return from.is_object() && from.contains(field) && from[field].is_string()
             ? from[field].get<std::string>()
             : std::string();
}

Errc codeOf(int status) {
  switch (status) {
    case 404:
      return Errc::NotFound;
    case 409:
      return Errc::Stale;
    case 405:
      return Errc::Unsupported;
    case 408:
    case 429:
      return Errc::Transient;
    default:
      return status >= 500 ? Errc::Transient : Errc::Invalid;
  }
}

std::string nodePath(const std::string& name) {
  return "/api/v1/nodes/" + percentEncode(name);
}

Error readOnly(const StoredKind& kind) {
  const char* from = kind.kind == Kind::Profile ? "Namespaces and ServiceAccounts" : "Pods";
  return {Errc::Unsupported, 0,
          "in Kubernetes a " + std::string(kind.kindName) + " comes from " + from +
              " and cannot be written: change those with kubectl"};
}

HttpCall bodyCall(const char* method, std::string path, const Json& body, const char* type) {
  HttpCall out;
  out.method = method;
  out.path = std::move(path);
  out.headers["Content-Type"] = type;
  out.body = body.dump(-1, ' ', false, Json::error_handler_t::replace);
  return out;
}

}  // namespace

Result<Json> KubernetesObjects::call(HttpCall call, const std::string& title) const {
  const auto reply = client_->send(std::move(call), stop_);
  if (!reply) return Fail(reply.error());
  auto answer = Json::parse(reply->body, nullptr, false);
  if (reply->status < 300) {
    if (answer.is_object()) return answer;
    return fail(Errc::Transient, client_->url() + ": the answer is no JSON object");
  }
  const auto message = textOf(answer, "message");
  return fail(codeOf(reply->status), (title.empty() ? "" : title + ": ") + client_->url() +
                                         ": status " + std::to_string(reply->status) +
                                         (message.empty() ? "" : ": " + message));
}

Result<void> KubernetesObjects::each(const std::string& path, const OnItem& onItem) const {
  std::string next;
  do {
    HttpCall page;
    page.path = path + "?limit=500" + (next.empty() ? "" : "&continue=" + percentEncode(next));
    auto answer = call(std::move(page), "");
    if (!answer) return Fail(answer.error());
    if (!answer->contains("items") || !(*answer)["items"].is_array())
      return fail(Errc::Transient, client_->url() + path + " does not answer with a list");
    for (auto& item : (*answer)["items"]) onItem(item);
    next = textOf(answer->value("metadata", Json::object()), "continue");
  } while (!next.empty());
  return {};
}

/// Those that are made of other objects, as the agent reads them.
Result<std::vector<Json>> KubernetesObjects::converted(const StoredKind& kind,
                                                       const std::optional<std::string>& ns) const {
  std::vector<Json> out;
  KubernetesDecoder decoder;
  const auto take = [&](const char* kindName, Json& item) {
    item["apiVersion"] = "v1";
    item["kind"] = kindName;
    auto decoded = decoder.decode(item);
    auto document = decoded.value ? encodeCalico(*decoded.value) : std::nullopt;
    if (!document) return;
    Json made(*document);
    for (const char* field : {"resourceVersion", "creationTimestamp"}) {
      if (item["metadata"].contains(field)) made["metadata"][field] = item["metadata"][field];
    }
    out.push_back(std::move(made));
  };
  if (kind.kind == Kind::WorkloadEndpoint) {
    const std::string path =
        ns ? "/api/v1/namespaces/" + percentEncode(*ns) + "/pods" : "/api/v1/pods";
    auto done = each(path, [&](Json& item) { take("Pod", item); });
    if (!done) return Fail(done.error());
    return out;
  }
  for (const auto& [path, kindName] : {std::pair{"/api/v1/namespaces", "Namespace"},
                                       std::pair{"/api/v1/serviceaccounts", "ServiceAccount"}}) {
    auto done = each(path, [&, name = kindName](Json& item) { take(name, item); });
    if (!done) return Fail(done.error());
  }
  return out;
}

Result<std::vector<Json>> KubernetesObjects::list(const StoredKind& kind,
                                                  const std::optional<std::string>& ns) const {
  if (kind.kind == Kind::Profile || kind.kind == Kind::WorkloadEndpoint) return converted(kind, ns);
  std::vector<Json> out;
  const bool isNode = kind.kind == Kind::Node;
  const auto path = isNode ? std::string("/api/v1/nodes") : crdPath(kind, ns.value_or(""));
  auto done = each(path, [&](Json& item) {
    const auto version = textOf(item["metadata"], "resourceVersion");
    out.push_back(
        forUsers(kind, isNode ? documentOfNode(item) : documentOfCrd(kind, item), version));
  });
  if (!done) return Fail(done.error());
  return out;
}

Result<Json> KubernetesObjects::kubernetesNode(const std::string& name) const {
  HttpCall get;
  get.path = nodePath(name);
  return call(std::move(get), "Node " + name);
}

Result<void> KubernetesObjects::patchNodeStatus(const std::string& name, const Json& patch) const {
  auto done = call(bodyCall("PATCH", nodePath(name) + "/status", patch,
                            "application/strategic-merge-patch+json"),
                   "Node " + name);
  if (!done) return Fail(done.error());
  return {};
}

Result<ObjectStore::Found> KubernetesObjects::find(const StoredKind& kind, const std::string& ns,
                                                   const std::string& name) const {
  Found found{{.kind = &kind, .key = nodePath(name), .storedName = name}, nullptr};
  if (kind.kind == Kind::Profile || kind.kind == Kind::WorkloadEndpoint) {
    auto all = converted(kind, kind.namespaced ? std::optional(ns) : std::nullopt);
    if (!all) return Fail(all.error());
    for (auto& document : *all) {
      if (textOf(document["metadata"], "name") != name) continue;
      found.place.version = textOf(document["metadata"], "resourceVersion");
      found.document = std::make_shared<const Json>(std::move(document));
    }
    return found;
  }
  std::vector<std::string> names = {name};
  if (isCrd(kind)) {
    names.clear();
    for (const auto& key : possibleKeysOf(kind, ns, name))
      names.push_back(key.substr(key.rfind('/') + 1));
  }
  for (const auto& stored : names) {
    HttpCall get;
    get.path = isCrd(kind) ? crdPath(kind, ns, percentEncode(stored)) : nodePath(stored);
    auto item = call(get, "");
    if (!item && item.error().code == Errc::NotFound) continue;
    if (!item) return Fail(item.error());
    found.place.key = get.path;
    found.place.storedName = stored;
    found.place.version = textOf((*item)["metadata"], "resourceVersion");
    found.document = std::make_shared<const Json>(
        forUsers(kind, isCrd(kind) ? documentOfCrd(kind, *item) : documentOfNode(*item),
                 found.place.version));
    return found;
  }
  found.place.storedName = names.front();
  if (isCrd(kind)) found.place.key = crdPath(kind, ns);  // where new ones are sent
  return found;
}

Result<std::string> KubernetesObjects::put(const Place& place, const Json& document) const {
  if (place.kind->kind == Kind::Profile || place.kind->kind == Kind::WorkloadEndpoint)
    return Fail(readOnly(*place.kind));
  HttpCall sent;
  if (place.kind->kind == Kind::Node) {
    if (place.version.empty())
      return fail(Errc::Unsupported, "in Kubernetes a Node is made by its kubelet, not here");
    sent = bodyCall("PATCH", place.key + "/status", nodePatch(document, place.version),
                    "application/merge-patch+json");
  } else {
    sent = bodyCall(place.version.empty() ? "POST" : "PUT", place.key,
                    crdOfDocument(*place.kind, document, place.version), "application/json");
  }
  const auto answer = call(std::move(sent), "");
  if (!answer) return Fail(answer.error());
  return textOf(answer->value("metadata", Json::object()), "resourceVersion");
}

Result<void> KubernetesObjects::erase(const Place& place) const {
  if (place.kind->kind == Kind::Node)
    return fail(Errc::Unsupported, "in Kubernetes a Node is removed with kubectl");
  if (!isCrd(*place.kind)) return Fail(readOnly(*place.kind));
  const Json options = {{"apiVersion", "v1"},
                        {"kind", "DeleteOptions"},
                        {"preconditions", {{"resourceVersion", place.version}}}};
  const auto answer = call(bodyCall("DELETE", place.key, options, "application/json"), "");
  if (!answer) return Fail(answer.error());
  return {};
}

}  // namespace margay::api

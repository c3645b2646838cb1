#include "api/kubernetes/kubeconfig.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <vector>

#include "api/codec/base64.h"
#include "api/codec/document_reader.h"
#include "api/codec/json_reader.h"

namespace margay::api {
namespace {

using nlohmann::json;

struct File {
  std::string path;
  json content;
};

/// A cluster, user or context, and the file that has it.
struct Entry {
  const File* file;
  const json* value;
  std::string path;  // "users[admin].user"
};

Fail wrong(const File& file, const std::string& field, const std::string& reason) {
  return fail(Errc::Invalid, "kubeconfig " + file.path + ": " + field + ": " + reason);
}

Result<File> readContent(const std::string& path, const std::string& content) {
  json found;
  const auto problem =
      readYaml(content, {}, [&](const DocumentPlace&, json& document) { found = document; });
  if (problem) return fail(Errc::Invalid, "kubeconfig " + path + ": " + problem->str());
  if (!found.is_object())
    return fail(Errc::Invalid, "kubeconfig " + path + ": is empty; it must have a current-context");
  return File{path, std::move(found)};
}

Result<File> readYamlFile(const std::string& path) {
  std::ifstream stream(path);
  std::stringstream text;
  if (!stream || !(text << stream.rdbuf()))
    return fail(Errc::Invalid, "cannot read the kubeconfig " + path +
                                   ": is it a file, and may this user read it?");
  return readContent(path, text.str());
}

Result<std::vector<File>> readFiles(const KubeconfigRequest& request) {
  std::vector<File> out;
  if (!request.content.empty()) {
    auto file = readContent("KUBECONFIG_INLINE", request.content);
    if (!file) return Fail(file.error());
    out.push_back(std::move(*file));
  }
  std::istringstream list(request.paths);
  std::string missing;
  for (std::string path; std::getline(list, path, ':');) {
    if (path.empty()) continue;
    std::error_code error;
    if (!std::filesystem::exists(path, error)) {
      missing = path;
      continue;
    }
    auto file = readYamlFile(path);
    if (!file) return Fail(file.error());
    out.push_back(std::move(*file));
  }
  if (out.empty())
    return fail(Errc::Invalid, "the kubeconfig " + (missing.empty() ? request.paths : missing) +
                                   " is not there: correct KUBECONFIG");
  return out;
}

std::string text(const json& object, const char* name) {
  const auto found = object.is_object() ? object.find(name) : object.end();
  return object.is_object() && found != object.end() && found->is_string()
             ? found->get<std::string>()
             : std::string();
}

/// The entry `name` of `list` ("users") in the first file that has it; its value is at `field`.
Result<Entry> find(const std::vector<File>& files, const char* list, const char* field,
                   const std::string& name, const std::string& askedBy) {
  for (const File& file : files) {
    const auto entries = file.content.find(list);
    if (entries == file.content.end() || !entries->is_array()) continue;
    for (const json& entry : *entries) {
      if (text(entry, "name") != name) continue;
      const std::string path = std::string(list) + "[" + name + "]." + field;
      const auto value = entry.find(field);
      if (value == entry.end() || !value->is_object()) return wrong(file, path, "is missing");
      return Entry{&file, &*value, path};
    }
  }
  return fail(Errc::Invalid, "kubeconfig " + files.front().path + ": " + askedBy + " names '" +
                                 name + "', and no entry of " + list + " has that name");
}

Result<std::string> currentContext(const std::vector<File>& files) {
  for (const File& file : files) {
    auto name = text(file.content, "current-context");
    if (!name.empty()) return name;
  }
  return wrong(files.front(), "current-context", "is missing; run kubectl config use-context NAME");
}

Result<void> refuse(const Entry& entry, const char* field, const char* reason) {
  const auto found = entry.value->find(field);
  if (found == entry.value->end() || found->is_null() || *found == false) return {};
  if (found->is_string() && found->get_ref<const std::string&>().empty()) return {};
  return wrong(*entry.file, entry.path + "." + field, reason);
}

std::string beside(const Entry& entry, const std::string& path) {
  return (std::filesystem::path(entry.file->path).parent_path() / path).lexically_normal();
}

/// `field` names a file, `field`-data has its content in base64 and goes before it.
Result<Pem> pemOf(const Entry& entry, const std::string& field) {
  Pem out;
  const std::string dataField = field + "-data";
  if (const auto data = text(*entry.value, dataField.c_str()); !data.empty()) {
    if (!base64Decode(data, out.text))
      return wrong(*entry.file, entry.path + "." + dataField, "is no base64");
    return out;
  }
  if (const auto file = text(*entry.value, field.c_str()); !file.empty())
    out.file = beside(entry, file);
  return out;
}

Result<void> readCluster(const Entry& cluster, KubernetesAccess& out) {
  for (const char* field : {"proxy-url", "tls-server-name"}) {
    if (auto ok = refuse(cluster, field, "is not supported here; remove it"); !ok) return ok;
  }
  if (auto ok = refuse(cluster, "insecure-skip-tls-verify",
                       "is not supported: give certificate-authority instead");
      !ok)
    return ok;
  out.url = text(*cluster.value, "server");
  while (!out.url.empty() && out.url.back() == '/') out.url.pop_back();
  if (out.url.rfind("http://", 0) != 0 && out.url.rfind("https://", 0) != 0)
    return wrong(*cluster.file, cluster.path + ".server",
                 "'" + out.url + "' is no URL; write https://ADDRESS:PORT");
  auto ca = pemOf(cluster, "certificate-authority");
  if (!ca) return Fail(ca.error());
  out.tls.ca = std::move(*ca);
  return {};
}

Result<ExecCommand> readExec(const Entry& user, const Entry& cluster,
                             const KubernetesAccess& access) {
  std::vector<FieldError> errors;
  const JsonReader exec((*user.value)["exec"], errors, UnknownFields::Ignored, user.path + ".exec");
  ExecCommand out;
  out.command = exec.stringOr("command", "");
  if (out.command.empty()) exec.error("command", "is missing");
  if (out.command.find('/') != std::string::npos) out.command = beside(user, out.command);
  out.args = exec.strings("args");
  out.apiVersion = exec.stringOr("apiVersion", "");
  out.hint = exec.stringOr("installHint", "");
  if (out.apiVersion != "client.authentication.k8s.io/v1" &&
      out.apiVersion != "client.authentication.k8s.io/v1beta1")
    exec.error("apiVersion",
               "'" + out.apiVersion + "' is not known; use client.authentication.k8s.io/v1");
  for (const auto& entry : exec.objects("env"))
    out.env[entry.stringOr("name", "")] = entry.stringOr("value", "");
  if (exec.boolean("provideClusterInfo").value_or(false)) {
    json info = {{"server", access.url}};
    if (const auto data = text(*cluster.value, "certificate-authority-data"); !data.empty())
      info["certificate-authority-data"] = data;
    out.clusterInfo = info.dump();
  }
  if (!errors.empty()) return wrong(*user.file, errors.front().field, errors.front().reason);
  return out;
}

Result<void> readUser(const Entry& user, const Entry& cluster, KubernetesAccess& out) {
  for (const char* field : {"auth-provider", "username", "password"}) {
    if (auto ok = refuse(user, field, "is not supported; use a token, a certificate or exec"); !ok)
      return ok;
  }
  for (const char* field : {"as", "as-uid", "as-groups", "as-user-extra"}) {
    if (auto ok = refuse(user, field, "impersonation is not supported; remove it"); !ok) return ok;
  }
  auto certificate = pemOf(user, "client-certificate");
  if (!certificate) return Fail(certificate.error());
  auto key = pemOf(user, "client-key");
  if (!key) return Fail(key.error());
  if (certificate->empty() != key->empty())
    return wrong(*user.file, user.path,
                 certificate->empty() ? "has a client-key and no client-certificate"
                                      : "has a client-certificate and no client-key");
  out.tls.certificate = std::move(*certificate);
  out.tls.key = std::move(*key);
  if (const auto file = text(*user.value, "tokenFile"); !file.empty())
    out.tokenFile = beside(user, file);
  else
    out.token = text(*user.value, "token");
  if (!user.value->contains("exec") || (*user.value)["exec"].is_null()) return {};
  auto exec = readExec(user, cluster, out);
  if (!exec) return Fail(exec.error());
  out.exec = std::move(*exec);
  return {};
}

}  // namespace

Result<KubernetesAccess> kubeconfigAccess(const KubeconfigRequest& request) {
  auto files = readFiles(request);
  if (!files) return Fail(files.error());
  const bool asked = !request.context.empty();
  const auto name = asked ? Result<std::string>(request.context) : currentContext(*files);
  if (!name) return Fail(name.error());
  const auto context = find(*files, "contexts", "context", *name,
                            asked ? "K8S_CURRENT_CONTEXT (--context)" : "current-context");
  if (!context) return Fail(context.error());
  const auto cluster = find(*files, "clusters", "cluster", text(*context->value, "cluster"),
                            context->path + ".cluster");
  if (!cluster) return Fail(cluster.error());
  KubernetesAccess out;
  if (auto ok = readCluster(*cluster, out); !ok) return Fail(ok.error());
  const std::string userName = text(*context->value, "user");
  if (userName.empty()) {
    out.user = "nobody (the context '" + *name + "' of " + context->file->path + " has no user)";
    return out;
  }
  const auto user = find(*files, "users", "user", userName, context->path + ".user");
  if (!user) return Fail(user.error());
  out.user = "user '" + userName + "' of " + user->file->path;
  if (auto ok = readUser(*user, *cluster, out); !ok) return Fail(ok.error());
  return out;
}

}  // namespace margay::api

#include "tests/kubernetes/api_server.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "api/codec/base64.h"
#include "tests/dataplane/network_namespace.h"

namespace margay::testing {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

const std::string kScript = MARGAY_SOURCE_DIR "/tests/kubernetes/apiserver";

std::string programs() {
  const char* const cache = std::getenv("MARGAY_CACHE");
  return std::string(cache == nullptr ? "/var/cache/margay" : cache) + "/kubernetes/bin";
}

void write(const std::string& path, const std::string& text) {
  std::ofstream(path) << text;
}

/// Base64 as tokens have it: for URLs, without padding.
std::string toBase64Url(std::string_view bytes) {
  auto out = api::base64Encode(bytes);
  out.erase(out.find_last_not_of('=') + 1);
  std::replace(out.begin(), out.end(), '+', '-');
  std::replace(out.begin(), out.end(), '/', '_');
  return out;
}

std::string fromBase64Url(std::string text) {
  std::replace(text.begin(), text.end(), '-', '+');
  std::replace(text.begin(), text.end(), '_', '/');
  std::string out;
  EXPECT_TRUE(api::base64Decode(text, out)) << text;
  return out;
}

/// "query=..." without the values of a query that differ from run to run is up to the caller.
AuditedRequest requestOf(const json& event) {
  AuditedRequest out{.user = event["user"].value("username", ""),
                     .verb = event.value("verb", ""),
                     .group = "",
                     .resource = "",
                     .path = event.value("requestURI", ""),
                     .status = 0};
  if (event.contains("responseStatus")) out.status = event["responseStatus"].value("code", 0);
  if (!event.contains("objectRef")) return out;
  const auto& object = event["objectRef"];
  out.group = object.value("apiGroup", "");
  out.resource = object.value("resource", "");
  if (object.contains("subresource"))
    out.resource += '/' + object["subresource"].get<std::string>();
  return out;
}

}  // namespace

std::unique_ptr<ApiServer> ApiServer::make(std::vector<std::string> flags) {
  for (const auto* name : {"/kube-apiserver", "/kubectl"})
    if (::access((programs() + name).c_str(), X_OK) != 0) return nullptr;
  auto etcd = api::test::EtcdServer::alone();
  if (!etcd) return nullptr;
  std::unique_ptr<ApiServer> out(new ApiServer());
  char pattern[] = "/tmp/margay-apiserver-XXXXXX";
  out->directory_ = ::mkdtemp(pattern);
  out->flags_ = std::move(flags);
  out->etcd_ = std::move(etcd);
  out->port_ = api::test::freePort();
  out->start();
  return out;
}

ApiServer::~ApiServer() {
  kill();
  client_.reset();
  fs::remove_all(directory_);
}

void ApiServer::start(Wait wait) {
  if (!child_.started()) {
    std::vector<std::string> words = {kScript, "serve", directory_, etcd_->url(),
                                      std::to_string(port_)};
    words.insert(words.end(), flags_.begin(), flags_.end());
    child_ = ChildProcess(words, directory_ + "/serve.log");
  }
  if (wait == Wait::No) return;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(3);
  while (!ready() && std::chrono::steady_clock::now() < deadline) ::poll(nullptr, 0, 20);
  EXPECT_TRUE(ready()) << "kube-apiserver does not start; see " << directory_ << "/apiserver.log";
}

void ApiServer::stop() {
  child_.end(SIGTERM, std::chrono::seconds(3));
}

void ApiServer::kill() {
  child_.end(SIGKILL);
}

void ApiServer::freeze() {
  child_.send(SIGSTOP);
}

void ApiServer::thaw() {
  child_.send(SIGCONT);
}

bool ApiServer::ready() const {
  api::HttpClientOptions options{.url = url(), .tls = {}, .token = {}};
  options.tls.ca.file = caFile();
  auto client = fs::exists(caFile()) ? api::makeHttpClient(options) : Fail(Error{});
  if (!client) return false;
  api::HttpCall call{.path = "/readyz", .headers = {}, .body = {}};
  call.headers["Authorization"] = "Bearer " + token("admin");
  call.headTimeout = std::chrono::seconds(2);
  const auto reply = fetch(**client, call, {});
  return reply && reply->status == 200;
}

std::string ApiServer::kubeconfig(const std::string& user) const {
  return directory_ + '/' + user + ".kubeconfig";
}

std::string ApiServer::writeKubeconfig(const std::string& name, const std::string& url,
                                       const std::string& tokenFile) const {
  const auto path = kubeconfig(name);
  write(path,
        "apiVersion: v1\nkind: Config\ncurrent-context: test\n"
        "contexts: [{name: test, context: {cluster: test, user: test}}]\n"
        "clusters: [{name: test, cluster: {server: \"" +
            url + "\", certificate-authority: " + caFile() +
            "}}]\n"
            "users: [{name: test, user: {tokenFile: " +
            tokenFile + "}}]\n");
  return path;
}

std::string ApiServer::serviceAccountToken(const std::string& ns, const std::string& name,
                                           std::chrono::seconds lifetime) {
  const json request = {{"apiVersion", "authentication.k8s.io/v1"},
                        {"kind", "TokenRequest"},
                        {"spec", {{"expirationSeconds", lifetime.count()}}}};
  const auto answer = mustCall(
      "POST", "/api/v1/namespaces/" + ns + "/serviceaccounts/" + name + "/token", request.dump());
  return json::parse(answer)["status"]["token"];
}

std::string ApiServer::expiringToken(const std::string& ns, const std::string& name,
                                     std::chrono::seconds lifetime) {
  constexpr std::chrono::seconds kLeeway{60};  // so much later the server still takes it
  const auto token = serviceAccountToken(ns, name);
  const auto end = token.find('.');
  const auto claimed = fromBase64Url(token.substr(end + 1, token.rfind('.') - end - 1));
  auto claims = json::parse(claimed, nullptr, false);
  EXPECT_FALSE(claims.is_discarded()) << claimed;
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  claims["exp"] =
      std::chrono::duration_cast<std::chrono::seconds>(now + lifetime - kLeeway).count();
  const auto signedPart = token.substr(0, end + 1) + toBase64Url(claims.dump());
  const auto file = directory_ + "/signed-part";
  write(file, signedPart);
  const auto signature =
      shell("openssl dgst -sha256 -sign " + directory_ + "/sa.key -binary " + file);
  EXPECT_EQ(signature.status, 0) << signature.output;
  return signedPart + '.' + toBase64Url(signature.output);
}

int ApiServer::statusFor(const std::string& token) const {
  api::HttpClientOptions options{.url = url(), .tls = {}, .token = {}};
  options.tls.ca.file = caFile();
  auto client = api::makeHttpClient(options);
  if (!client) return 0;
  api::HttpCall call{.path = "/api/v1/namespaces", .headers = {}, .body = {}};
  call.headers["Authorization"] = "Bearer " + token;
  const auto reply = fetch(**client, call, {});
  return reply ? reply->status : 0;
}

api::HttpReply ApiServer::call(const std::string& method, const std::string& path,
                               const std::string& body, const std::string& contentType) {
  if (!client_) {
    api::HttpClientOptions options{.url = url(), .tls = {}, .token = {}};
    options.tls.ca.file = caFile();
    auto made = api::makeHttpClient(options);
    if (!made) return {0, made.error().what};
    client_ = std::move(*made);
  }
  api::HttpCall call{.method = method, .path = path, .headers = {}, .body = body};
  call.headers["Authorization"] = "Bearer " + token("admin");
  call.contentType = contentType;
  auto reply = fetch(*client_, call, {});
  return reply ? *reply : api::HttpReply{0, reply.error().what};
}

std::string ApiServer::mustCall(const std::string& method, const std::string& path,
                                const std::string& body, const std::string& contentType) {
  auto reply = call(method, path, body, contentType);
  EXPECT_EQ(reply.status / 100, 2)
      << method << ' ' << path << ": " << reply.status << ' ' << reply.body;
  return std::move(reply.body);
}

ApiServer::Kubectl ApiServer::kubectl(const std::string& arguments, const std::string& input,
                                      const std::string& user) const {
  const auto file = directory_ + "/kubectl.input";
  write(file, input);
  // Its cache of what the server knows would outlive this server and its port.
  auto got =
      shell("HOME=" + directory_ + ' ' + programs() + "/kubectl --kubeconfig " + kubeconfig(user) +
            " --cache-dir " + directory_ + "/cache " + arguments + " <" + file);
  return {got.status, std::move(got.output)};
}

std::string ApiServer::mustKubectl(const std::string& arguments, const std::string& input) const {
  auto got = kubectl(arguments, input);
  EXPECT_EQ(got.status, 0) << "kubectl " << arguments << ": " << got.output;
  return std::move(got.output);
}

std::vector<AuditedRequest> ApiServer::audit() const {
  std::vector<AuditedRequest> out;
  std::map<std::string, std::size_t> places;  // a watch is logged twice
  std::ifstream file(directory_ + "/audit.log");
  for (std::string line; std::getline(file, line);) {
    const auto event = json::parse(line, nullptr, false);
    if (event.is_discarded()) continue;
    const auto [place, isNew] = places.try_emplace(event.value("auditID", line), out.size());
    if (isNew) {
      out.push_back(requestOf(event));
    } else {
      out[place->second] = requestOf(event);
    }
  }
  return out;
}

void ApiServer::compact() {
  const auto range = json::parse(
      api::test::post(etcd_->url(), "/v3/kv/range", R"({"key": "AA==", "count_only": true})"));
  const std::string revision = range["header"]["revision"];
  api::test::post(etcd_->url(), "/v3/kv/compaction",
                  json{{"revision", revision}, {"physical", true}}.dump());
}

}  // namespace margay::testing

#include "tests/api/etcd_server.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "api/http/http_client.h"

namespace margay::api::test {
namespace {

namespace fs = std::filesystem;

std::string temporaryDirectory() {
  std::string name = "/tmp/margay-etcd-XXXXXX";
  if (::mkdtemp(name.data()) == nullptr) std::abort();
  return name;
}

/// Waits for the gateway to answer a read that a majority agrees on.
bool answers(const std::string& url, const TlsOptions& tls) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (std::chrono::steady_clock::now() < deadline) {
    auto options = quickOptions({url});
    options.tls = tls;
    const auto revision = EtcdClient(options).currentRevision({});
    // Without a user it answers too.
    if (revision || revision.error().code == Errc::Invalid) return true;
    ::poll(nullptr, 0, 20);
  }
  return false;
}

}  // namespace

int freePort() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (::bind(fd, generic, size) != 0) std::abort();
  ::getsockname(fd, generic, &size);
  ::close(fd);
  return ntohs(address.sin_port);
}

EtcdOptions quickOptions(const std::vector<std::string>& endpoints) {
  EtcdOptions options;
  options.endpoints = endpoints;
  options.callTimeout = std::chrono::milliseconds(1500);
  return options;
}

std::string post(const std::string& url, const std::string& path, const std::string& body,
                 const TlsOptions& tls) {
  auto client = makeHttpClient({.url = url, .tls = tls, .token = {}});
  if (!client) return client.error().what;
  HttpCall call{.method = "POST", .path = path, .headers = {}, .body = body};
  const auto reply = fetch(**client, call, {});
  if (!reply) ADD_FAILURE() << path << ": " << reply.error().what;
  if (reply && reply->status != 200) ADD_FAILURE() << path << ": " << reply->body;
  return reply ? reply->body : std::string();
}

EtcdServer::EtcdServer(std::string name)
    : name_(std::move(name)), directory_(temporaryDirectory()) {}

EtcdServer::~EtcdServer() {
  kill();
  fs::remove_all(directory_);
}

EtcdServer::Members EtcdServer::make(const std::vector<Urls>& urls,
                                     const std::string& certificates) {
  Members out;
  if (::access("/usr/bin/etcd", X_OK) != 0) return out;
  std::string members;
  for (const auto& [client, peer] : urls) {
    out.push_back(std::unique_ptr<EtcdServer>(new EtcdServer("m" + std::to_string(out.size()))));
    auto& member = *out.back();
    member.clientUrl_ = client;
    member.peerUrl_ = peer;
    member.certificates_ = certificates;
    members += (members.empty() ? "" : ",") + member.name_ + "=" + member.peerUrl_;
  }
  for (auto& member : out) member->members_ = members;
  return out;
}

EtcdServer::Members EtcdServer::cluster(int size, Tls tls, const std::string& certificates) {
  std::vector<Urls> urls;
  const std::string client = tls == Tls::On ? "https://127.0.0.1:" : "http://127.0.0.1:";
  for (int i = 0; i < size; ++i)
    urls.push_back(
        {client + std::to_string(freePort()), "http://127.0.0.1:" + std::to_string(freePort())});
  auto out = make(urls, tls == Tls::On ? certificates : "");
  for (auto& member : out) member->start(Wait::No);
  for (auto& member : out) member->start();
  return out;
}

EtcdServer::Members EtcdServer::clusterAt(const std::string& address, int size,
                                          const std::string& certificates) {
  std::vector<Urls> urls;
  const std::string scheme = certificates.empty() ? "http://" : "https://";
  for (int i = 0; i < size; ++i)
    urls.push_back({scheme + address + ":" + std::to_string(2379 + 10 * i),
                    "http://127.0.0.1:" + std::to_string(2380 + 10 * i)});
  return make(urls, certificates);
}

std::unique_ptr<EtcdServer> EtcdServer::alone(Tls tls, const std::string& certificates) {
  auto made = cluster(1, tls, certificates);
  return made.empty() ? nullptr : std::move(made.front());
}

std::unique_ptr<EtcdServer> EtcdServer::at(const std::string& address) {
  auto made = clusterAt(address, 1);
  return made.empty() ? nullptr : std::move(made.front());
}

TlsOptions EtcdServer::tls() const {
  TlsOptions out;
  if (certificates_.empty()) return out;
  out.ca.file = certificates_ + "/ca.pem";
  out.certificate.file = certificates_ + "/client.pem";
  out.key.file = certificates_ + "/client.key";
  return out;
}

std::string EtcdServer::numberIn(const char* field, const char* inner) const {
  const auto status =
      nlohmann::json::parse(post(clientUrl_, "/v3/maintenance/status", "{}", tls()));
  return *inner == '\0' ? status[field] : status[field][inner];
}

void putLeaderFirst(EtcdServer::Members& members) {
  std::stable_partition(members.begin(), members.end(),
                        [](const auto& member) { return member->leader() == member->member(); });
}

void EtcdServer::start(Wait wait) {
  if (!child_.started()) {
    std::vector<std::string> words = {"/usr/bin/etcd",
                                      "--name",
                                      name_,
                                      "--data-dir",
                                      directory_ + "/data",
                                      "--listen-client-urls",
                                      clientUrl_,
                                      "--advertise-client-urls",
                                      clientUrl_,
                                      "--listen-peer-urls",
                                      peerUrl_,
                                      "--initial-advertise-peer-urls",
                                      peerUrl_,
                                      "--initial-cluster",
                                      members_,
                                      "--initial-cluster-token",
                                      token_,
                                      "--heartbeat-interval",
                                      "50",
                                      "--election-timeout",
                                      "500",
                                      "--logger",
                                      "zap",
                                      "--log-outputs",
                                      directory_ + "/log"};
    if (!quota_.empty()) words.insert(words.end(), {"--quota-backend-bytes", quota_});
    if (!certificates_.empty()) {
      for (const std::string word : {"--cert-file", "/server.pem", "--key-file", "/server.key",
                                     "--trusted-ca-file", "/ca.pem"})
        words.push_back(word[0] == '/' ? certificates_ + word : word);
      words.emplace_back("--client-cert-auth");
    }
    child_ = testing::ChildProcess(words, "/dev/null");
  }
  if (wait == Wait::No) return;
  EXPECT_TRUE(answers(clientUrl_, tls())) << "etcd does not start; see " << directory_ << "/log";
}

void EtcdServer::kill() {
  child_.end(SIGKILL);
}

void EtcdServer::becomeAnother() {
  kill();
  fs::remove_all(directory_ + "/data");
  token_ = "another";
  start();
}

void EtcdServer::freeze() {
  child_.send(SIGSTOP);
}
void EtcdServer::thaw() {
  child_.send(SIGCONT);
}

Certificates::Certificates() : directory_(temporaryDirectory()) {
  std::ofstream(directory_ + "/extensions") << "subjectAltName=IP:127.0.0.1,IP:172.30.0.100\n";
  const auto run = [&](const std::string& words) {
    const std::string line = "cd " + directory_ + " && openssl " + words + " 2>/dev/null";
    if (std::system(line.c_str()) != 0) ADD_FAILURE() << line;  // NOLINT(cert-env33-c)
  };
  const std::string fresh = "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes ";
  run(fresh + "-x509 -days 2 -subj /CN=ca -keyout ca.key -out ca.pem");
  run(fresh + "-x509 -days 2 -subj /CN=other-ca -keyout other-ca.key -out other-ca.pem");
  const std::pair<std::string, std::string> subjects[] = {
      {"server", "/CN=server"}, {"client", "/O=client"}, {"named", "/CN=named"}};
  for (const auto& [name, subject] : subjects) {
    run(fresh + "-subj " + subject + " -keyout " + name + ".key -out " + name + ".csr");
    run("x509 -req -days 2 -in " + name + ".csr -CA ca.pem -CAkey ca.key -CAcreateserial" +
        " -extfile extensions -out " + name + ".pem");
  }
  run(fresh + "-subj /CN=stranger -keyout stranger.key -out stranger.csr");
  run("x509 -req -days 2 -in stranger.csr -CA other-ca.pem -CAkey other-ca.key -CAcreateserial "
      "-out stranger.pem");
}

Certificates::~Certificates() {
  fs::remove_all(directory_);
}

TlsOptions Certificates::tls() const {
  TlsOptions out;
  out.ca.file = directory_ + "/ca.pem";
  out.certificate.file = directory_ + "/client.pem";
  out.key.file = directory_ + "/client.key";
  return out;
}

}  // namespace margay::api::test

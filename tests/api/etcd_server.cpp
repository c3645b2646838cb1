#include "tests/api/etcd_server.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

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
    auto client = EtcdClient::make(options);
    if (!client) return false;
    const auto revision = (*client)->currentRevision({});
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

std::vector<std::unique_ptr<EtcdServer>> EtcdServer::cluster(int size, Tls tls,
                                                             const std::string& certificates) {
  std::vector<std::unique_ptr<EtcdServer>> out;
  if (::access("/usr/bin/etcd", X_OK) != 0) return out;
  std::string members;
  for (int i = 0; i < size; ++i) {
    out.push_back(std::unique_ptr<EtcdServer>(new EtcdServer("m" + std::to_string(i))));
    auto& member = *out.back();
    const std::string scheme = tls == Tls::On ? "https" : "http";
    member.clientUrl_ = scheme + "://127.0.0.1:" + std::to_string(freePort());
    member.peerUrl_ = "http://127.0.0.1:" + std::to_string(freePort());
    member.certificates_ = tls == Tls::On ? certificates : "";
    members += (i == 0 ? "" : ",") + member.name_ + "=" + member.peerUrl_;
  }
  for (auto& member : out) {
    member->members_ = members;
    member->start(Wait::No);
  }
  for (auto& member : out) member->start();
  return out;
}

std::unique_ptr<EtcdServer> EtcdServer::alone(Tls tls, const std::string& certificates) {
  auto made = cluster(1, tls, certificates);
  return made.empty() ? nullptr : std::move(made.front());
}

std::unique_ptr<EtcdServer> EtcdServer::at(const std::string& address) {
  if (::access("/usr/bin/etcd", X_OK) != 0) return nullptr;
  auto server = std::unique_ptr<EtcdServer>(new EtcdServer("m0"));
  server->clientUrl_ = "http://" + address + ":2379";
  server->peerUrl_ = "http://127.0.0.1:2380";
  server->members_ = "m0=" + server->peerUrl_;
  return server;
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
  TlsOptions tls;
  if (!certificates_.empty()) {
    tls.ca.file = certificates_ + "/ca.pem";
    tls.certificate.file = certificates_ + "/client.pem";
    tls.key.file = certificates_ + "/client.key";
  }
  EXPECT_TRUE(answers(clientUrl_, tls)) << "etcd does not start; see " << directory_ << "/log";
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
  std::ofstream(directory_ + "/extensions") << "subjectAltName=IP:127.0.0.1,DNS:localhost\n";
  const auto run = [&](const std::string& words) {
    const std::string line = "cd " + directory_ + " && openssl " + words + " 2>/dev/null";
    if (std::system(line.c_str()) != 0) ADD_FAILURE() << line;  // NOLINT(cert-env33-c)
  };
  const std::string fresh = "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes ";
  run(fresh + "-x509 -days 2 -subj /CN=ca -keyout ca.key -out ca.pem");
  run(fresh + "-x509 -days 2 -subj /CN=other-ca -keyout other-ca.key -out other-ca.pem");
  for (const std::string name : {"server", "client"}) {
    run(fresh + "-subj /CN=" + name + " -keyout " + name + ".key -out " + name + ".csr");
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

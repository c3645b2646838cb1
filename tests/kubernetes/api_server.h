#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "api/http/http_client.h"
#include "tests/api/etcd_server.h"
#include "tests/base/child_process.h"

/// The real Kubernetes API for tests, without controllers, scheduler and kubelets: what those would
/// do, such as the status of a pod, the test does itself.
namespace margay::testing {

/// One request as the server's audit log has it; those of administrators are not logged.
struct AuditedRequest {
  std::string user;
  std::string verb;      ///< get, list, watch, create, update, patch, delete
  std::string group;     ///< "" for the core
  std::string resource;  ///< "pods", "nodes/status"; "" where `path` is none of a resource
  std::string path;      ///< with its query
  int status = 0;        ///< of HTTP

  auto operator<=>(const AuditedRequest&) const = default;
};

/// Debian's etcd and a kube-apiserver, as children on free ports of loopback, with all their data
/// in a temporary directory. RBAC decides. Users: `admin` may do everything, `agent` and `other`
/// what the test grants them.
class ApiServer {
 public:
  /// Started and ready. Empty if the programs are not there: tests/kubernetes/build makes them.
  /// `flags` go to kube-apiserver after the usual ones.
  static std::unique_ptr<ApiServer> make(std::vector<std::string> flags = {});
  ~ApiServer();
  ApiServer(const ApiServer&) = delete;
  ApiServer& operator=(const ApiServer&) = delete;

  enum class Wait { Yes, No };
  /// Starts it (again); `Wait::Yes` fails the test if it is not ready within three minutes.
  void start(Wait wait = Wait::Yes);
  /// SIGTERM, and waits for its end: it takes no more connections. It would wait a minute for the
  /// watches that are open; after three seconds it is killed.
  void stop();
  void kill();
  void freeze();
  void thaw();
  [[nodiscard]] bool ready() const;

  [[nodiscard]] int port() const { return port_; }
  [[nodiscard]] std::string url() const { return "https://127.0.0.1:" + std::to_string(port_); }
  [[nodiscard]] const std::string& directory() const { return directory_; }
  [[nodiscard]] std::string caFile() const { return directory_ + "/ca.pem"; }
  [[nodiscard]] api::test::EtcdServer& etcd() { return *etcd_; }

  /// The bearer token of one of the users.
  [[nodiscard]] static std::string token(const std::string& user) { return "TOKEN-OF-" + user; }
  /// A kubeconfig file of one of the users.
  [[nodiscard]] std::string kubeconfig(const std::string& user = "admin") const;
  /// Writes DIRECTORY/NAME.kubeconfig for a server at `url` (such as a relay to this one), with the
  /// token in a file of its own, which a test may replace; its path.
  std::string writeKubeconfig(const std::string& name, const std::string& url,
                              const std::string& tokenFile) const;
  /// A token for a service account that exists, valid for `lifetime` (the server's least is 10
  /// minutes).
  std::string serviceAccountToken(const std::string& ns, const std::string& name,
                                  std::chrono::seconds lifetime = std::chrono::minutes(10));
  /// The same, signed here with the server's key: it expires after `lifetime`, however short. The
  /// server takes it up to ten seconds longer, for what it has just accepted it remembers.
  std::string expiringToken(const std::string& ns, const std::string& name,
                            std::chrono::seconds lifetime);
  /// The HTTP status that a request with this token gets.
  [[nodiscard]] int statusFor(const std::string& token) const;

  /// Any request, as `admin`: what kubectl has no word for. `path` from "/api" on.
  api::HttpReply call(const std::string& method, const std::string& path,
                      const std::string& body = {},
                      const std::string& contentType = "application/json");
  /// The same; fails the test unless the answer is 2xx. The answer's body.
  std::string mustCall(const std::string& method, const std::string& path,
                       const std::string& body = {},
                       const std::string& contentType = "application/json");
  struct Kubectl {
    int status = 0;
    std::string output;  ///< stdout and stderr
  };
  /// `arguments` as typed to a shell; `input` is its standard input.
  Kubectl kubectl(const std::string& arguments, const std::string& input = {},
                  const std::string& user = "admin") const;
  /// Fails the test unless it exits with 0.
  std::string mustKubectl(const std::string& arguments, const std::string& input = {}) const;

  /// All requests so far of other users than administrators, in order of their
  /// begin; a watch is logged when it ends.
  [[nodiscard]] std::vector<AuditedRequest> audit() const;
  /// Makes etcd forget everything before its newest revision, so that older watches are refused.
  void compact();

 private:
  ApiServer() = default;

  std::vector<std::string> flags_;
  std::string directory_;
  int port_ = 0;
  ChildProcess child_;
  std::unique_ptr<api::test::EtcdServer> etcd_;
  std::unique_ptr<api::HttpClient> client_;
};

}  // namespace margay::testing

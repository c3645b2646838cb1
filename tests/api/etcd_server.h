#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "api/etcd/etcd_client.h"
#include "api/etcd/etcd_options.h"
#include "tests/base/child_process.h"

namespace margay::api::test {

enum class Tls { Off, On };

/// Debian's etcd, as a child on loopback, with its data in a temporary directory of its own.
class EtcdServer {
 public:
  ~EtcdServer();
  EtcdServer(const EtcdServer&) = delete;
  EtcdServer& operator=(const EtcdServer&) = delete;

  /// `size` members that know each other, started. Empty if there is no etcd to run.
  using Members = std::vector<std::unique_ptr<EtcdServer>>;
  static Members cluster(int size, Tls tls = Tls::Off, const std::string& certificates = {});
  static std::unique_ptr<EtcdServer> alone(Tls tls = Tls::Off,
                                           const std::string& certificates = {});
  /// For a network namespace of their own, on this address of it; not started. `certificates`:
  /// none is without TLS.
  static Members clusterAt(const std::string& address, int size,
                           const std::string& certificates = {});
  static std::unique_ptr<EtcdServer> at(const std::string& address);

  /// Bytes of the database at which it takes no more writes; before `start`.
  void setQuota(std::size_t bytes) { quota_ = std::to_string(bytes); }
  /// Starts it (again) and waits until it answers; with `Wait::No` only starts it.
  enum class Wait { Yes, No };
  void start(Wait wait = Wait::Yes);
  void kill();
  /// A server with other data, none, and another cluster's id answers at the same place.
  void becomeAnother();
  void freeze();
  void thaw();
  [[nodiscard]] const std::string& url() const { return clientUrl_; }
  /// Its number in its cluster, and the one of the leader.
  [[nodiscard]] std::string member() const { return numberIn("header", "member_id"); }
  [[nodiscard]] std::string leader() const { return numberIn("leader", ""); }

 private:
  explicit EtcdServer(std::string name);
  /// Members that know each other, at these client and peer URLs.
  struct Urls {
    std::string client;
    std::string peer;
  };
  static Members make(const std::vector<Urls>& urls, const std::string& certificates);
  [[nodiscard]] TlsOptions tls() const;
  [[nodiscard]] std::string numberIn(const char* field, const char* inner) const;

  std::string name_;
  std::string directory_;
  std::string clientUrl_;
  std::string peerUrl_;
  std::string members_;
  std::string certificates_;
  std::string token_ = "first";
  std::string quota_;
  testing::ChildProcess child_;
};

/// The leader comes first.
void putLeaderFirst(EtcdServer::Members& members);

/// Makes ca.pem, server.pem (for loopback and 172.30.0.100), client.pem and named.pem (only that
/// has a CommonName) with their keys, and other-ca.pem with stranger.pem, in a temporary directory.
class Certificates {
 public:
  Certificates();
  ~Certificates();
  Certificates(const Certificates&) = delete;
  Certificates& operator=(const Certificates&) = delete;
  [[nodiscard]] const std::string& directory() const { return directory_; }
  [[nodiscard]] TlsOptions tls() const;

 private:
  std::string directory_;
};

/// A port of loopback that was free a moment ago.
[[nodiscard]] int freePort();

/// Options that notice trouble fast.
[[nodiscard]] EtcdOptions quickOptions(const std::vector<std::string>& endpoints);

/// POST to etcd's gateway, for what EtcdClient has no call for.
std::string post(const std::string& url, const std::string& path, const std::string& body,
                 const TlsOptions& tls = {});

}  // namespace margay::api::test

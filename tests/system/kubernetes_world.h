#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "tests/api/relay.h"
#include "tests/kubernetes/api_server.h"
#include "tests/system/cluster.h"

/// Hosts whose agents get everything from a real Kubernetes API, with the rights that the manifests
/// give them and no others. What controllers and kubelets do, the test does. All tests of the
/// program share the server; each finds it with the manifests and without objects.
namespace margay::system_tests {

/// The account that manifests/kubernetes/rbac.yaml makes.
inline constexpr auto kAgentAccount = "system:serviceaccount:kube-system:margay";

class KubernetesTest : public SystemTest {
 protected:
  /// Skips where no kube-apiserver was built.
  void SetUp() override;
  void TearDown() override;
  testing::ApiServer& server() { return *server_; }

  /// A host and its Node object, with addresses and pod CIDRs of `Cluster::addHost`.
  Host& addNode(const std::string& name);
  /// What a host's agent needs to reach the server from its namespace, as the service account.
  Environment access(const Host& host);
  /// Starts the agent and waits until it has converged.
  void startAgent(Host& host, const Environment& extra = {});
  /// The same for several, at the same time.
  void startAgents(const std::vector<Host*>& hosts);
  void addNamespace(const std::string& name, const std::map<std::string, std::string>& labels = {});
  /// A Pod object with the status that a kubelet gives it, and a namespace wired to the host.
  Pod& addPod(Host& host, PodSpec spec);
  /// The Pod object alone, for pods of which no packet is sent.
  void addPodObject(const std::string& node, const std::string& ns, const std::string& name,
                    const std::string& address,
                    const std::map<std::string, std::string>& labels = {});
  /// All hosts with a running agent have in the kernel what the server has now.
  void converge() { cluster().converge(); }
  /// Puts a new token into the file that the agents of all hosts read.
  void renewToken();
  void putToken(const std::string& token);
  /// The next test needs the manifests applied again.
  static void spoilManifests() { manifestsApplied_ = false; }
  /// What others than administrators have asked since the test began.
  [[nodiscard]] std::vector<testing::AuditedRequest> audit() const;
  [[nodiscard]] api::test::Relay& relay(const Host& host);

 private:
  struct Line {
    const Host* host;
    std::unique_ptr<api::test::Relay> relay;
  };
  void create(const std::string& path, const nlohmann::json& object);

  static inline bool manifestsApplied_ = false;
  testing::ApiServer* server_ = nullptr;
  std::size_t audited_ = 0;  // requests before this test
  std::vector<Line> lines_;
  std::string tokenFile_;
  int home_ = -1;  // the network namespace of the server
  int hosts_ = 0;
};

/// Two nodes without agents, and namespaces of two teams.
class TwoNodesTest : public KubernetesTest {
 protected:
  void SetUp() override;
  Host& one() { return *one_; }
  Host& two() { return *two_; }
  void startBoth() { startAgents({one_, two_}); }

 private:
  Host* one_ = nullptr;
  Host* two_ = nullptr;
};

}  // namespace margay::system_tests

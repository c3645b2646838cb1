#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "tests/system/cluster.h"

/// Two hosts and five pods with two addresses each, which all tests of a program share; a test adds
/// policies, says which flows get through, and leaves the cluster as it found it.
namespace margay::system_tests {

/// Flows between two pods: words such as "tcp/80", "udp/81" and "ping".
struct Expected {
  const Pod* from = nullptr;
  const Pod* to = nullptr;
  std::string flows;
  bool passes = true;
};
inline Expected yes(const Pod& from, const Pod& to, std::string flows) {
  return {&from, &to, std::move(flows), true};
}
inline Expected no(const Pod& from, const Pod& to, std::string flows) {
  return {&from, &to, std::move(flows), false};
}

/// Whether one flow gets through; `flow` is one word of `Expected::flows`.
bool reaches(const From& from, const Address& to, std::string_view flow,
             std::chrono::milliseconds patience);

class PolicyTest : public ::testing::Test {
 protected:
  static constexpr std::uint16_t kPorts[] = {80, 81, 8080, 9000};

  static void SetUpTestSuite();
  static void TearDownTestSuite();
  void SetUp() override;
  void TearDown() override;

  static Cluster& cluster() { return *world_->cluster; }
  static Host& one() { return *world_->one; }
  static Host& two() { return *world_->two; }
  /// On one, in default: app=web, port 80 is "http", service account default.
  static Pod& web() { return *world_->web; }
  /// On one, in default: app=client, role=near.
  static Pod& near() { return *world_->near; }
  /// On two, in default: app=client, role=far, port 8080 is "http".
  static Pod& far() { return *world_->far; }
  /// On one, in other: app=twin, service account robot.
  static Pod& twin() { return *world_->twin; }
  /// On two, in other: app=odd, service account robot.
  static Pod& odd() { return *world_->odd; }

  /// Puts a manifest into the cluster until the end of the test.
  void put(const std::string& file, const std::string& text);
  /// Takes back what `put` put.
  void take(const std::string& file);
  /// `put` of one object; `spec` is YAML in flow style.
  void network(const std::string& name, const std::string& spec);  ///< in namespace default
  void calico(const std::string& kind, const std::string& name, const std::string& spec,
              const std::string& metadata = {});
  /// Converges and then sends everything at once, in both families where `families` says so.
  void expect(const std::vector<Expected>& all,
              const std::vector<Family>& families = {Family::V4, Family::V6});

 private:
  struct World {
    std::unique_ptr<Cluster> cluster;
    Host* one = nullptr;
    Host* two = nullptr;
    Pod* web = nullptr;
    Pod* near = nullptr;
    Pod* far = nullptr;
    Pod* twin = nullptr;
    Pod* odd = nullptr;
    std::vector<std::unique_ptr<EchoServer>> servers;
    ~World() { servers.clear(); }
  };
  static std::unique_ptr<World> world_;
  std::set<std::string> files_;
};

}  // namespace margay::system_tests

#pragma once

#include <map>
#include <string>
#include <utility>

#include "tests/system/cluster.h"

namespace margay::system_tests {

/// Fixture: one host and the namespace "default"; its agent is not started.
class OneHostTest : public SystemTest {
 protected:
  void SetUp() override {
    SystemTest::SetUp();
    if (IsSkipped()) return;
    host_ = &cluster().addHost("one");
    cluster().addNamespace("default");
  }
  Host& host() { return *host_; }
  /// With 10.65.1.N and fd65:0:0:1::N.
  Pod& pod(const std::string& name, int n, std::map<std::string, std::string> labels = {},
           std::string mac = {}) {
    const auto number = std::to_string(n);
    return cluster().addPod(host(), {.name = name,
                                     .addresses = {"10.65.1." + number, "fd65:0:0:1::" + number},
                                     .labels = std::move(labels),
                                     .mac = std::move(mac)});
  }
  /// Of 10.65.0.0/16, which masquerades pods that leave it.
  void addPool() {
    cluster().apply("pool.yaml",
                    "apiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata: {name: pool}\nspec: "
                    "{cidr: 10.65.0.0/16, natOutgoing: true}\n");
  }
  /// A policy deny-APP: nobody may reach the pods of an app; what they begin passes.
  static std::string deny(const std::string& app) {
    return "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: deny-" + app +
           ", namespace: default}\nspec: {podSelector: {matchLabels: {app: " + app +
           "}}, policyTypes: [Ingress]}\n";
  }

 private:
  Host* host_ = nullptr;
};

/// Fixture: pods a and b on that host, 10.65.1.2 and .3, with the label app. Only b has a MAC.
class TwoPodsTest : public OneHostTest {
 protected:
  void SetUp() override {
    OneHostTest::SetUp();
    if (IsSkipped()) return;
    a_ = &pod("a", 2, {{"app", "a"}});
    b_ = &pod("b", 3, {{"app", "b"}}, "02:00:00:00:00:03");
  }
  Pod& a() { return *a_; }
  Pod& b() { return *b_; }

 private:
  Pod* a_ = nullptr;
  Pod* b_ = nullptr;
};

}  // namespace margay::system_tests

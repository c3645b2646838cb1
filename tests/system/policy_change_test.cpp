#include <gmock/gmock.h>

#include <nlohmann/json.hpp>
#include <random>
#include <thread>

#include "tests/system/policy_fixture.h"

namespace margay::system_tests {
namespace {

/// What changes in a running cluster do, and whether the kernel does what the evaluator says.
class PolicyChange : public PolicyTest {
 protected:
  void allowNear() {
    network("p",
            "{podSelector: {matchLabels: {app: web}}, ingress: [{from: [{podSelector: "
            "{matchLabels: {role: near}}}]}]}");
  }

  struct Counted {
    int allowed = 0;
    int all = 0;
  };
  /// Sends every flow between any two pods, and holds what arrives against the evaluator.
  static Counted compareAllFlows() {
    struct Probe {
      const Pod* from;
      const Pod* to;
      std::string flow;
      Family family;
      bool expected = false;
      bool passed = false;
    };
    // Asking costs more than probing, so each flow of a pair is asked for in one family.
    std::vector<Probe> probes;
    const std::vector<const Pod*> pods = {&web(), &near(), &far(), &twin(), &odd()};
    for (const auto* from : pods)
      for (const auto* to : pods)
        for (const auto* flow : {"tcp/80", "tcp/81", "tcp/8080", "udp/81"})
          if (from != to)
            probes.push_back({from, to, flow, probes.size() % 3 == 0 ? Family::V6 : Family::V4});
    std::vector<std::thread> threads;
    for (auto& probe : probes) {
      const auto from = probe.from->address(probe.family);
      const auto to = probe.to->address(probe.family);
      const auto said = probe.to->host().json("explain --from " + from.str() + " --to " + to.str() +
                                              " --protocol " + probe.flow.substr(0, 3) +
                                              " --port " + probe.flow.substr(4));
      probe.expected = said.value("verdict", "") == "Allow";
      threads.emplace_back([&probe, to] {
        probe.passed =
            reaches(probe.from->from(), to, probe.flow, probe.expected ? kPatience : kNoAnswer);
      });
    }
    for (auto& thread : threads) thread.join();
    Counted out{0, static_cast<int>(probes.size())};
    for (const auto& probe : probes) {
      out.allowed += probe.expected ? 1 : 0;
      EXPECT_EQ(probe.passed, probe.expected)
          << probe.from->spec().name << " to " << probe.to->spec().name << ' ' << probe.flow
          << (probe.family == Family::V4 ? " IPv4" : " IPv6");
    }
    return out;
  }
};

/// Calico policies by chance, of all parts that packets between these pods can tell apart.
class RandomPolicies {
 public:
  explicit RandomPolicies(unsigned seed) : random_(seed) {}

  std::string spec() {
    std::string out = "{order: " + std::to_string(below(20)) + ", selector: " + quoted(selector()) +
                      ", types: [Ingress, Egress], ";
    if (below(3) == 0) out += "tier: first, ";
    return out + "ingress: " + rules("source") + ", egress: " + rules("destination") + "}";
  }

  /// Of a ClusterNetworkPolicy.
  std::string clusterSpec() {
    return "{tier: " + pick({"Admin", "Baseline"}) + ", priority: " + std::to_string(below(3)) +
           ", subject: " + pods() + ", ingress: " + clusterRules("from") +
           ", egress: " + clusterRules("to") + "}";
  }

 private:
  unsigned below(unsigned end) { return static_cast<unsigned>(random_() % end); }
  std::string pick(const std::vector<std::string>& from) {
    return from[below(static_cast<unsigned>(from.size()))];
  }
  static std::string quoted(const std::string& text) { return '"' + text + '"'; }
  std::string selector() {
    return pick({"all()", "app == 'web'", "app == 'client'", "role == 'far'", "!has(role)",
                 "app in {'web', 'twin'}", "role != 'near' && app != 'odd'"});
  }
  std::string rules(const std::string& peer) {
    std::string out;
    for (auto count = 1 + below(4); count > 0; --count) {
      out += out.empty() ? "[" : ", ";
      out += "{action: " + pick({"Allow", "Allow", "Deny", "Pass"});
      const bool ports = below(2) == 0;
      if (ports || below(3) == 0) out += ", protocol: " + pick({"TCP", "UDP"});
      out += ", " + peer + ": {";
      if (below(2) == 0) {
        out += "selector: " + quoted(selector());
      } else if (below(2) == 0) {
        out += pick({"nets: [10.65.1.0/24]", "notNets: [10.65.1.0/25]", "nets: [\"fd65::/16\"]",
                     "nets: [10.0.0.0/8, 10.65.0.0/16]", "namespaceSelector: \"team == 'blue'\""});
      }
      if (ports && peer == "destination") {
        out += (out.back() == '{' ? "" : ", ") + std::string("ports: ") +
               pick({"[80]", "[80, 81]", "[\"80:90\", 8080]", "[http]"});
      }
      out += '}';
      if (ports && peer == "source") {
        out += ", destination: {ports: " + pick({"[80]", "[81, \"8000:8100\"]", "[http]"}) + "}";
      }
      out += '}';
    }
    return out + "]";
  }
  std::string pods() {
    return pick({"{namespaces: {}}", "{namespaces: {matchLabels: {team: blue}}}",
                 "{pods: {podSelector: {matchLabels: {app: client}}}}",
                 "{pods: {podSelector: {matchLabels: {role: far}}}}",
                 "{pods: {podSelector: {matchExpressions: [{key: app, operator: NotIn, values: "
                 "[odd]}]}, namespaceSelector: {matchLabels: {team: red}}}}"});
  }
  std::string clusterRules(const std::string& peers) {
    std::string out;
    for (auto count = 1 + below(3); count > 0; --count) {
      const bool net = peers == "to" && below(4) == 0;
      out += (out.empty() ? "[{action: " : ", {action: ") + pick({"Accept", "Deny", "Pass"}) +
             ", " + peers + ": [" + (net ? "{networks: [10.65.1.0/24, \"fd65::/62\"]}" : pods()) +
             "]";
      if (below(2) == 0) {
        out += ", protocols: [" +
               pick({"{tcp: {destinationPort: {number: 80}}}",
                     "{udp: {destinationPort: {range: {start: 80, end: 90}}}}",
                     net ? "{tcp: {destinationPort: {number: 8080}}}"
                         : "{destinationNamedPort: http}"}) +
               "]";
      }
      out += "}";
    }
    return out + "]";
  }
  std::mt19937 random_;
};

TEST_F(PolicyChange, EditTakesEffectAndItsReverseToo) {
  for (int turn = 0; turn < 2; ++turn) {
    allowNear();
    expect({yes(near(), web(), "tcp/80 ping"), no(far(), web(), "tcp/80 ping")});
    network("p",
            "{podSelector: {matchLabels: {app: web}}, ingress: [{from: [{podSelector: "
            "{matchLabels: {role: far}}}]}]}");
    expect({no(near(), web(), "tcp/80 ping"), yes(far(), web(), "tcp/80 ping")});
  }
  take("p.yaml");
  expect({yes(near(), web(), "tcp/80 ping"), yes(far(), web(), "tcp/80 ping")});
}

TEST_F(PolicyChange, RelabelledPeerLosesAndGainsAccess) {
  allowNear();
  const auto before = far().spec().labels;
  far().relabel({{"app", "client"}, {"role", "near"}});
  cluster().rewrite(far());
  expect({yes(far(), web(), "tcp/80 ping"), yes(near(), web(), "tcp/80 ping")});
  far().relabel(before);
  cluster().rewrite(far());
  expect({no(far(), web(), "tcp/80 ping"), yes(near(), web(), "tcp/80 ping")});
}

TEST_F(PolicyChange, RelabelledTargetLeavesAndJoinsThePolicy) {
  allowNear();
  const auto before = web().spec().labels;
  web().relabel({{"app", "free"}});
  cluster().rewrite(web());
  expect({yes(far(), web(), "tcp/80 udp/80 ping")});
  web().relabel(before);
  cluster().rewrite(web());
  expect({no(far(), web(), "tcp/80 udp/80 ping")});
}

TEST_F(PolicyChange, RelabelledNamespaceLosesAndGainsAccess) {
  network("p",
          "{podSelector: {matchLabels: {app: web}}, ingress: [{from: [{namespaceSelector: "
          "{matchLabels: {team: blue}}}]}]}");
  expect({yes(odd(), web(), "tcp/80 ping"), yes(twin(), web(), "tcp/80")});
  cluster().addNamespace("other", {{"team", "green"}});
  expect({no(odd(), web(), "tcp/80 ping"), no(twin(), web(), "tcp/80")});
  cluster().addNamespace("other", {{"kubernetes.io/metadata.name", "other"}, {"team", "blue"}});
  expect({yes(odd(), web(), "tcp/80 ping"), yes(twin(), web(), "tcp/80")});
}

TEST_F(PolicyChange, OpenConnectionOutlivesANewPolicyAndNewOnesDoNot) {
  cluster().converge();
  Flow local(near().from(), web().address(), 80);
  Flow remote(far().from(), web().address(Family::V6), 80);
  ASSERT_TRUE(local.open() && remote.open());
  ASSERT_TRUE(local.echoes(kPatience) && remote.echoes(kPatience));
  network("p", "{podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress, Egress]}");
  expect({no(near(), web(), "tcp/80"), no(far(), web(), "tcp/80")});
  EXPECT_TRUE(local.echoes(kPatience));
  EXPECT_TRUE(remote.echoes(kPatience));
}

TEST_F(PolicyChange, KernelDoesWhatTheEvaluatorSays) {
  calico("Tier", "first", "{order: 100, defaultAction: Pass}");
  calico("GlobalNetworkPolicy", "first.a",
         "{tier: first, selector: app == 'web' || app == 'twin', ingress: [{action: Deny, "
         "protocol: TCP, source: {selector: role == 'near'}, destination: {ports: [81]}}, "
         "{action: Allow, protocol: UDP, source: {serviceAccounts: {names: [robot]}}}]}");
  calico("GlobalNetworkPolicy", "late",
         "{order: 2000, namespaceSelector: team == 'blue', types: [Egress], egress: [{action: "
         "Allow, destination: {notSelector: app == 'client'}}, {action: Allow, protocol: TCP, "
         "destination: {ports: [http]}}]}");
  calico("NetworkPolicy", "early",
         "{order: 5, selector: role == 'far', ingress: [{action: Deny, notProtocol: TCP}, "
         "{action: Pass, source: {nets: [10.65.1.2/32]}}, {action: Allow, protocol: TCP, "
         "destination: {ports: [80, \"8000:8100\"]}}]}");
  network("in",
          "{podSelector: {matchLabels: {app: web}}, ingress: [{from: [{namespaceSelector: {}}], "
          "ports: [{port: http}]}, {from: [{ipBlock: {cidr: 10.65.1.0/24}}], ports: [{protocol: "
          "UDP, port: 81}]}]}");
  cluster().converge();
  const auto counted = compareAllFlows();
  EXPECT_GT(counted.allowed, 10);
  EXPECT_LT(counted.allowed, counted.all - 10);
}

TEST_F(PolicyChange, KernelDoesWhatTheEvaluatorSaysOfPoliciesByChance) {
  calico("Tier", "first", "{order: 100, defaultAction: Pass}");
  int allowed = 0;
  int all = 0;
  for (unsigned seed = 1; seed <= 3; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    RandomPolicies random(seed);
    for (int n = 0; n < 4; ++n) {
      const auto spec = random.spec();
      const auto tier = spec.find("tier: first") != std::string::npos ? "first." : "";
      calico("GlobalNetworkPolicy", tier + ("chance-" + std::to_string(n)), spec);
    }
    for (int n = 0; n < 3; ++n) {
      const auto name = "cluster-" + std::to_string(n);
      put(name + ".yaml",
          "apiVersion: policy.networking.k8s.io/v1alpha2\nkind: ClusterNetworkPolicy\nmetadata: "
          "{name: " +
              name + "}\nspec: " + random.clusterSpec() + "\n");
    }
    cluster().converge();
    for (const auto* host : {&one(), &two()})
      EXPECT_TRUE(host->json("status").at("invalidObjects").empty())
          << host->json("status").dump(1);
    const auto counted = compareAllFlows();
    allowed += counted.allowed;
    all += counted.all;
  }
  EXPECT_GT(allowed, 10);
  EXPECT_LT(allowed, all - 10);
}

}  // namespace
}  // namespace margay::system_tests

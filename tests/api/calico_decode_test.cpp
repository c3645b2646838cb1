#include "api/codec/calico_decode.h"

#include <gmock/gmock.h>
#include <rapidcheck/gtest.h>

#include "tests/api/calico_document.h"

namespace margay::api {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;
using testing::UnorderedElementsAre;

Prefix net(const char* text) {
  return *Prefix::parseNetwork(text);
}

TEST(CalicoDecode, ReadsANetworkPolicy) {
  auto document = calicoDocument("NetworkPolicy", "allow-fe", R"({
    "tier": "security", "order": 12.5, "selector": "app=='be'", "types": ["Ingress", "Egress"],
    "serviceAccountSelector": "role == 'x'",
    "ingress": [{"action": "Allow", "ipVersion": 4, "protocol": "TCP", "notProtocol": 17,
      "source": {"nets": ["10.0.0.0/8"], "notNets": ["10.1.0.0/16"], "selector": "app == 'fe'", "notSelector": "has(x) ",
                 "namespaceSelector": "env == 'prod'", "serviceAccounts": {"names": ["sa"], "selector": "k == 'v'"}},
      "destination": {"ports": [80, "443", "8000:8080", "http"], "notPorts": [22]}}],
    "egress": [{"action": "Deny", "protocol": "ICMP", "icmp": {"type": 8, "code": 0}, "notICMP": {"type": 3}},
               {"action": "Allow", "destination": {"services": {"name": "dns"}}}]})");
  document["metadata"]["namespace"] = "shop";
  const Decoded decoded = decodeCalico(document);
  ASSERT_THAT(errorTexts(decoded), IsEmpty());
  EXPECT_EQ(decoded.key, (ObjectKey{Kind::NetworkPolicy, "shop", "allow-fe"}));
  EXPECT_EQ(decoded.kindName, "NetworkPolicy");

  Policy expected;
  expected.ns = "shop";
  expected.name = "allow-fe";
  expected.tier = "security";
  expected.order = 12.5;
  expected.selector = R"(app == "be")";
  expected.serviceAccountSelector = R"(role == "x")";
  expected.appliesToIngress = expected.appliesToEgress = true;
  PolicyRule in;
  in.action = RuleAction::Allow;
  in.ipVersion = Family::V4;
  in.protocol = 6;
  in.notProtocol = 17;
  in.source.nets = {net("10.0.0.0/8")};
  in.source.notNets = {net("10.1.0.0/16")};
  in.source.selector = R"(app == "fe")";
  in.source.notSelector = "has(x)";
  in.source.namespaceSelector = R"(env == "prod")";
  in.source.serviceAccountNames = {"sa"};
  in.source.serviceAccountSelector = R"(k == "v")";
  in.destination.ports = {{{80, 80}, ""}, {{443, 443}, ""}, {{8000, 8080}, ""}, {{0, 0}, "http"}};
  in.destination.notPorts = {{{22, 22}, ""}};
  expected.ingress = {in};
  PolicyRule ping;
  ping.action = RuleAction::Deny;
  ping.protocol = 1;
  ping.icmp = IcmpFields{.type = 8, .code = 0};
  ping.notIcmp = IcmpFields{.type = 3, .code = std::nullopt};
  PolicyRule dns;
  dns.destination.services = ServiceRef{.ns = "shop", .name = "dns"};
  expected.egress = {ping, dns};
  EXPECT_EQ(valueOf<Policy>(decoded), expected);
}

TEST(CalicoDecode, DefaultsTypesFromTheRules) {
  const auto directions = [](const char* spec) {
    const auto policy = decodeAs<Policy>("NetworkPolicy", "p", spec);
    return std::pair(policy.appliesToIngress, policy.appliesToEgress);
  };
  EXPECT_EQ(directions("{}"), std::pair(true, false));
  EXPECT_EQ(directions(R"({"ingress":[{"action":"Allow"}]})"), std::pair(true, false));
  EXPECT_EQ(directions(R"({"egress":[{"action":"Allow"}]})"), std::pair(false, true));
  EXPECT_EQ(directions(R"({"ingress":[{"action":"Allow"}],"egress":[{"action":"Allow"}]})"),
            std::pair(true, true));
  EXPECT_EQ(directions(R"({"types":["Egress"]})"), std::pair(false, true));
}

TEST(CalicoDecode, DefaultsTierAndOrder) {
  const auto policy =
      decodeAs<Policy>("GlobalNetworkPolicy", "p", R"({"selector":"all() ","order":null})");
  EXPECT_EQ(policy.tier, "default");
  EXPECT_EQ(policy.order, std::nullopt);
  EXPECT_EQ(policy.selector, "all()");
  EXPECT_EQ(decodeAs<Tier>("Tier", "t", "{}"), (Tier{"t", kDefaultTierOrder, TierDefault::Deny}));
  EXPECT_EQ(decodeAs<Tier>("Tier", "t", R"({"order":5,"defaultAction":"Pass"})"),
            (Tier{"t", 5, TierDefault::Pass}));
}

TEST(CalicoDecode, ReadsGlobalPolicyOptions) {
  const auto policy = decodeAs<Policy>("GlobalNetworkPolicy", "tier.p", R"({
    "tier":"tier","namespaceSelector":"has(a) ","doNotTrack":true,"applyOnForward":true})");
  EXPECT_EQ(policy.name, "tier.p");
  EXPECT_EQ(policy.namespaceSelector, "has(a)");
  EXPECT_TRUE(policy.doNotTrack && policy.applyOnForward && !policy.preDnat);
  EXPECT_TRUE(policy.ns.empty());
}

TEST(CalicoDecode, ReadsProfiles) {
  const auto profile = decodeAs<Profile>("Profile", "PROF_A", R"({"ingress":[{"action":"Allow"}],
    "egress":[{"action":"Pass"}],"labelsToApply":{"pcns.env":"prod"}})");
  EXPECT_EQ(profile.name, "PROF_A");
  EXPECT_EQ(profile.labelsToApply, Labels(LabelMap{{"pcns.env", "prod"}}));
  ASSERT_EQ(profile.ingress.size(), 1U);
  EXPECT_EQ(profile.egress.at(0).action, RuleAction::Pass);
}

TEST(CalicoDecode, ReadsNetworkSets) {
  auto document =
      calicoDocument("NetworkSet", "s", R"({"nets":["10.0.0.1","11.0.0.1/8","10.0.0.1/32"]})");
  document["metadata"]["namespace"] = "ns1";
  document["metadata"]["labels"] = {{"a", "b"}};
  const auto set = valueOf<NetworkSet>(decodeCalico(document));
  EXPECT_EQ(set.ns.view(), "ns1");
  EXPECT_THAT(set.nets, ElementsAre(net("10.0.0.1/32"), net("11.0.0.0/8")));
  EXPECT_EQ(set.labels, Labels(LabelMap{{"a", "b"}, {"projectcalico.org/namespace", "ns1"}}));

  const auto global = decodeAs<NetworkSet>("GlobalNetworkSet", "g", R"({"nets":["fd00::/8"]})");
  EXPECT_TRUE(global.ns.empty());
  EXPECT_TRUE(global.labels.empty());
  EXPECT_THAT(global.nets, ElementsAre(net("fd00::/8")));
}

TEST(CalicoDecode, ReadsPools) {
  IPPool expected;
  expected.name = "pool";
  expected.cidr = net("10.244.0.0/16");
  EXPECT_EQ(decodeAs<IPPool>("IPPool", "pool", R"({"cidr":"10.244.0.0/16"})"), expected);
  expected.cidr = net("fd00::/64");
  expected.blockSize = 122;
  expected.natOutgoing = expected.disabled = true;
  expected.vxlanMode = "Always";
  expected.nodeSelector = R"(a == "b")";
  EXPECT_EQ(
      decodeAs<IPPool>("IPPool", "pool", R"({"cidr":"fd00::/64","natOutgoing":true,"disabled":true,
    "vxlanMode":"Always","nodeSelector":"a=='b'"})"),
      expected);
}

TEST(CalicoDecode, ReadsNodes) {
  auto document = calicoDocument("Node", "n1",
                                 R"({"bgp":{"ipv4Address":"192.168.1.5/24","ipv6Address":"fd00::5"},
    "addresses":[{"address":"10.0.0.5","type":"InternalIP"},{"address":"1.2.3.4","type":"ExternalIP"}]})");
  document["status"] = {{"podCIDRs", {"10.244.1.0/24"}}};
  const auto node = valueOf<Node>(decodeCalico(document));
  EXPECT_EQ(node.bgpAddress4, Prefix::parseAddress("192.168.1.5/24"));
  EXPECT_EQ(node.bgpAddress6, Prefix::parseAddress("fd00::5/128"));
  EXPECT_THAT(node.internalAddresses, ElementsAre(*Address::parse("10.0.0.5")));
  EXPECT_THAT(node.podCidrs, ElementsAre(net("10.244.1.0/24")));
}

TEST(CalicoDecode, ReadsClusterInformation) {
  const auto information = decodeAs<ClusterInformation>(
      "ClusterInformation", "default",
      R"({"clusterGUID":"abc","clusterType":"k8s","calicoVersion":"v3.29","datastoreReady":true})");
  EXPECT_EQ(information, (ClusterInformation{"default", true, "abc", "k8s", "v3.29"}));
}

TEST(CalicoDecode, WritesFelixConfigurationAsText) {
  auto document = calicoDocument("FelixConfiguration", "node.n1", R"({
    "logSeverityScreen":"Info", "ipipEnabled":true, "vxlanMTU":1410, "reportingInterval":"90s", "interfacePrefix":"",
    "failsafeInboundHostPorts":[{"protocol":"TCP","port":22},{"protocol":"UDP","port":53,"net":"10.0.0.0/8"},
                                {"protocol":"TCP","port":22,"net":"fd00::/8"}],
    "failsafeOutboundHostPorts":[], "externalNodesList":["1.1.1.1","2.0.0.0/8"],
    "kubeNodePortRanges":["3000:4000",5000], "routeTableRange":{"min":1,"max":250},
    "routeTableRanges":null, "healthTimeoutOverrides":[{"name":"a","timeout":"10s"}]})");
  document["metadata"]["annotations"] = {{"config.projectcalico.org/VXLANMTU", "1400"},
                                         {"other", "x"}};
  const Decoded decoded = decodeCalico(document);
  ASSERT_THAT(errorTexts(decoded), IsEmpty());
  const auto configuration = valueOf<FelixConfiguration>(decoded);
  EXPECT_EQ(configuration.name, "node.n1");
  EXPECT_THAT(
      configuration.parameters,
      UnorderedElementsAre(
          Pair("logseverityscreen", "Info"), Pair("ipipenabled", "true"), Pair("vxlanmtu", "1400"),
          Pair("reportinginterval", "90s"),
          Pair("failsafeinboundhostports", "tcp:22,udp:10.0.0.0/8:53,tcp:[fd00::/8]:22"),
          Pair("failsafeoutboundhostports", "none"), Pair("externalnodeslist", "1.1.1.1,2.0.0.0/8"),
          Pair("kubenodeportranges", "3000:4000,5000"), Pair("routetablerange", "1-250"),
          Pair("healthtimeoutoverrides", "a=10s")));
}

TEST(CalicoDecode, ReadsWorkloadEndpoints) {
  auto document = calicoDocument("WorkloadEndpoint", "node--1-k8s-pod--a-eth0", R"({
    "node":"node-1","orchestrator":"k8s","pod":"pod-a","endpoint":"eth0","containerID":"abc","serviceAccountName":"sa1",
    "interfaceName":"cali123","mac":"EE:ee:ee:ee:ee:01","ipNetworks":["10.0.0.2/32","10.0.0.1"],
    "profiles":["kns.default","PROF_A"],"allowSpoofedSourcePrefixes":["8.8.8.1/24"],
    "ports":[{"name":"http","protocol":"TCP","port":8080},{"protocol":"UDP","port":53,"hostPort":53}]})");
  document["metadata"]["labels"] = {{"app", "fe"},
                                    {"pcns.env", "x"},
                                    {"pcsa.role", "x"},
                                    {"projectcalico.org/namespace", "spoofed"}};
  const Decoded decoded = decodeCalico(document);
  ASSERT_THAT(errorTexts(decoded), IsEmpty());
  EXPECT_THAT(decoded.warnings, IsEmpty());
  const auto endpoint = valueOf<WorkloadEndpoint>(decoded);
  EXPECT_EQ(endpoint.node.view(), "node-1");
  EXPECT_EQ(endpoint.identity(), (EndpointIdentity{"node-1", "k8s", "pod-a", "eth0"}));
  EXPECT_EQ(endpoint.details().interfaceName, "cali123");
  EXPECT_EQ(endpoint.details().mac, (std::array<std::uint8_t, 6>{0xee, 0xee, 0xee, 0xee, 0xee, 1}));
  EXPECT_THAT(endpoint.addresses, ElementsAre(net("10.0.0.1/32"), net("10.0.0.2/32")));
  EXPECT_EQ(endpoint.labels, Labels(LabelMap{{"app", "fe"},
                                             {"projectcalico.org/namespace", "default"},
                                             {"projectcalico.org/orchestrator", "k8s"},
                                             {"projectcalico.org/serviceaccount", "sa1"}}));
  ASSERT_TRUE(endpoint.profiles && endpoint.ports);
  EXPECT_THAT(*endpoint.profiles, ElementsAre("kns.default", "PROF_A"));
  EXPECT_THAT(*endpoint.ports, ElementsAre(EndpointPort{"http", 6, 8080}));
  EXPECT_THAT(endpoint.details().allowedSources, ElementsAre(net("8.8.8.0/24")));
}

TEST(CalicoDecode, TakesTheIdentityOfAnEndpointFromItsName) {
  const auto endpoint =
      decodeAs<WorkloadEndpoint>("WorkloadEndpoint", "host1-cni-web--1-eth0",
                                 R"({"interfaceName":"c","ipNetworks":["10.0.0.1"]})");
  EXPECT_EQ(endpoint.node.view(), "host1");
  EXPECT_EQ(endpoint.identity(), (EndpointIdentity{"host1", "cni", "web-1", "eth0"}));
  const Decoded other =
      decodeCalico(calicoDocument("WorkloadEndpoint", "w1", R"({"node":"n","orchestrator":"o",
    "workload":"w","endpoint":"e","interfaceName":"c","ipNetworks":["10.0.0.1"]})"));
  EXPECT_THAT(other.warnings, ElementsAre(HasSubstr("should be named n-o-w-e")));
  EXPECT_EQ(valueOf<WorkloadEndpoint>(other).identity(), (EndpointIdentity{"n", "o", "w", "e"}));
}

TEST(CalicoDecode, LeavesOutWhatHasNoEffect) {
  for (const auto& [kind, name, spec] :
       std::vector<std::tuple<const char*, const char*, const char*>>{
           {"HostEndpoint", "hep", R"({"node":"n","interfaceName":"eth0"})"},
           {"StagedNetworkPolicy", "s", R"({"stagedAction":"Set","ingress":[{"action":"Allow"}]})"},
           {"StagedNetworkPolicy", "s", R"({"stagedAction":"Delete"})"},
           {"StagedGlobalNetworkPolicy", "s", "{}"},
           {"StagedKubernetesNetworkPolicy", "s", R"({"podSelector":{}})"},
           {"BGPPeer", "peer", R"({"peerIP":"1.2.3.4","asNumber":64512})"},
           {"WorkloadEndpoint", "n-k8s-p-eth0", R"({"interfaceName":"c"})"}}) {
    const Decoded decoded = decodeCalico(calicoDocument(kind, name, spec));
    EXPECT_THAT(errorTexts(decoded), IsEmpty()) << kind;
    EXPECT_FALSE(decoded.value) << kind;
    EXPECT_THAT(decoded.warnings, testing::SizeIs(1)) << kind;
  }
  EXPECT_FALSE(decodeCalico(calicoDocument("StagedNetworkPolicy", "s", R"({"ingress":[{}]})"))
                   .errors.empty());
  EXPECT_FALSE(decodeCalico(calicoDocument("StagedNetworkPolicy", "s",
                                           R"({"stagedAction":"Delete","order":1})"))
                   .errors.empty());
}

TEST(CalicoDecode, AcceptsTheGroupOfTheCrds) {
  auto document = calicoDocument("GlobalNetworkPolicy", "default.a", "{}");
  document["apiVersion"] = "crd.projectcalico.org/v1";
  EXPECT_EQ(decodeCalico(document).key, (ObjectKey{Kind::GlobalNetworkPolicy, "", "default.a"}));
  document["apiVersion"] = "v1";
  EXPECT_THAT(errorTexts(decodeCalico(document)),
              ElementsAre(HasSubstr("apiVersion: 'v1' is not known")));
}

TEST(CalicoDecode, ReportsWhatIsNoObjectOfOurs) {
  EXPECT_THAT(errorTexts(decodeCalico(nlohmann::json::parse("[]"))),
              ElementsAre(HasSubstr("expected an object")));
  EXPECT_THAT(errorTexts(decodeCalico(nlohmann::json())),
              ElementsAre(HasSubstr("expected an object")));
  const Decoded unknown = decodeCalico(calicoDocument("NetworkPolice", "a", "{}"));
  EXPECT_EQ(unknown.key.kind, Kind::Unknown);
  EXPECT_EQ(unknown.kindName, "NetworkPolice");
  EXPECT_THAT(errorTexts(unknown), ElementsAre(HasSubstr("kind: 'NetworkPolice' is no kind")));
  auto wrongTypes = calicoDocument("NetworkPolicy", "a", "[]");
  wrongTypes["metadata"]["labels"] = "x";
  wrongTypes["extra"] = 1;
  EXPECT_THAT(errorTexts(decodeCalico(wrongTypes)),
              ElementsAre(HasSubstr("extra: unknown field"),
                          HasSubstr("metadata.labels: expected an object of strings"),
                          HasSubstr("spec: expected an object")));
}

/// Places of all leaves of a document.
std::vector<std::string> leavesOf(const nlohmann::json& document) {
  std::vector<std::string> places;
  const nlohmann::json leaves = document.flatten();
  for (const auto& [place, value] : leaves.items()) places.push_back(place);
  return places;
}

RC_GTEST_PROP(CalicoDecodeProperty, EveryWrongLeafIsReportedOrHarmless, ()) {
  const std::vector<nlohmann::json> documents = {
      calicoDocument("NetworkPolicy", "p",
                     R"({"order":1,"tier":"t","selector":"a == 'b'","types":["Ingress"],
        "ingress":[{"action":"Allow","ipVersion":4,"protocol":"TCP","icmp":{"type":1},"source":{"nets":["10.0.0.0/8"],
        "selector":"a == 'b'","serviceAccounts":{"names":["x"]}},"destination":{"ports":[80,"a"],"notPorts":["1:2"]}}]})"),
      calicoDocument("WorkloadEndpoint", "n-k8s-p-eth0",
                     R"({"node":"n","interfaceName":"c","mac":"ee:ee:ee:ee:ee:ee",
        "ipNetworks":["10.0.0.1"],"ports":[{"name":"a","protocol":"TCP","port":1}],"profiles":["a"],
        "ipNATs":[{"internalIP":"10.0.0.1","externalIP":"1.1.1.1"}]})"),
      calicoDocument("FelixConfiguration", "default",
                     R"({"routeTableRanges":[{"min":1,"max":2}],"mtuIfacePattern":"a",
        "failsafeInboundHostPorts":[{"protocol":"TCP","port":1,"net":"1.1.1.1"}]})"),
      calicoDocument("IPPool", "p",
                     R"({"cidr":"10.0.0.0/16","blockSize":26,"allowedUses":["Tunnel"]})"),
      calicoDocument("Node", "n",
                     R"({"bgp":{"ipv4Address":"1.1.1.1/24"},"addresses":[{"address":"1.1.1.1"}]})"),
  };
  const std::vector<nlohmann::json> oddities = {nullptr,
                                                true,
                                                -1,
                                                0,
                                                1e300,
                                                18446744073709551615ULL,
                                                "",
                                                "x",
                                                "(",
                                                "0/0",
                                                nlohmann::json::array(),
                                                nlohmann::json::object(),
                                                {{"a", 1}},
                                                {1, "b", nullptr}};
  auto document = *rc::gen::elementOf(documents);
  const std::string place = *rc::gen::elementOf(leavesOf(document));
  document[nlohmann::json::json_pointer(place)] = *rc::gen::elementOf(oddities);
  const Decoded decoded = decodeCalico(document);
  RC_ASSERT(decoded.errors.empty() || !decoded.value);
}

}  // namespace
}  // namespace margay::api

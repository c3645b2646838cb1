#include <gmock/gmock.h>

#include <utility>

#include "api/codec/validate_names.h"
#include "tests/api/calico_document.h"

namespace margay::api {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

struct Vector {
  const char* spec;
  bool valid;
};

void check(const std::string& kind, const std::string& name,
           std::initializer_list<Vector> vectors) {
  for (const auto& [spec, valid] : vectors) {
    const Decoded decoded = decodeCalico(calicoDocument(kind, name, spec));
    EXPECT_EQ(decoded.errors.empty(), valid)
        << kind << " " << spec << " " << testing::PrintToString(errorTexts(decoded));
    EXPECT_FALSE(!valid && decoded.value) << spec;
  }
}

bool isValid(const std::string& kind, const std::string& name) {
  const char* spec = kind == "IPPool" ? R"({"cidr":"1.2.3.0/26"})" : "{}";
  return decodeCalico(calicoDocument(kind, name, spec)).errors.empty();
}

TEST(NameValidation, FollowsTheKind) {
  const std::string longest(253, 'x');
  EXPECT_TRUE(isValid("IPPool", "pool.name"));
  EXPECT_TRUE(isValid("IPPool", longest));
  EXPECT_FALSE(isValid("IPPool", longest + "x"));
  EXPECT_FALSE(isValid("GlobalNetworkSet", "test$set"));
  for (const char* name : {"thing", "tier.thing"}) {
    EXPECT_TRUE(isValid("GlobalNetworkPolicy", name));
    EXPECT_TRUE(isValid("NetworkPolicy", name));
  }
  for (const char* name : {"t~!s.h.i.ng", "tHiNg", "t.h.i.ng", "-a", "a-", "a..b", ".a"}) {
    EXPECT_FALSE(isValid("GlobalNetworkPolicy", name)) << name;
    EXPECT_FALSE(isValid("NetworkPolicy", name)) << name;
  }
  EXPECT_FALSE(isValid("GlobalNetworkPolicy", "knp.default.thing"));
  EXPECT_TRUE(isValid("NetworkPolicy", "knp.default.thing"));
  EXPECT_TRUE(isValid("NetworkPolicy", "ossg.default.a.b.c"));
  EXPECT_TRUE(isValid("NetworkPolicy", longest));
  EXPECT_FALSE(isValid("NetworkPolicy", longest + "x"));
  EXPECT_TRUE(isValid("Profile", "PROF_A"));
  EXPECT_FALSE(isValid("Profile", ".fun"));
  EXPECT_TRUE(isValid("Tier", std::string(63, 't')));
  EXPECT_FALSE(isValid("Tier", std::string(64, 't')));
  EXPECT_FALSE(isValid("Tier", "a.b"));
}

TEST(NameValidation, WantsANameAndTheRightNamespace) {
  auto document = calicoDocument("NetworkPolicy", "a", "{}");
  document["metadata"].erase("name");
  EXPECT_THAT(errorTexts(decodeCalico(document)),
              ElementsAre("metadata.name: is missing; give the object a name"));
  document.erase("metadata");
  EXPECT_THAT(errorTexts(decodeCalico(document)),
              ElementsAre("metadata.name: is missing; give the object a name"));

  EXPECT_EQ(decodeCalico(calicoDocument("NetworkPolicy", "a", "{}")).ns, "default");
  document = calicoDocument("NetworkPolicy", "a", "{}");
  document["metadata"]["namespace"] = "ns1";
  EXPECT_EQ(decodeCalico(document).key, (ObjectKey{Kind::NetworkPolicy, "ns1", "a"}));
  document["kind"] = "GlobalNetworkPolicy";
  EXPECT_THAT(errorTexts(decodeCalico(document)),
              ElementsAre(HasSubstr("metadata.namespace: GlobalNetworkPolicy has no")));
}

TEST(LabelValidation, FollowsKubernetes) {
  const auto withLabel = [](const std::string& key, const std::string& value) {
    auto document = calicoDocument("GlobalNetworkSet", "a", "{}");
    document["metadata"]["labels"] = {{key, value}};
    return decodeCalico(document).errors.empty();
  };
  EXPECT_TRUE(withLabel("projectcalico.org/label", std::string(63, 'x')));
  EXPECT_FALSE(withLabel("projectcalico.org/label", std::string(64, 'x')));
  EXPECT_FALSE(withLabel("ProjectCalico.org/label", "value"));
  EXPECT_TRUE(withLabel("projectcalico.org/Label", ""));
  EXPECT_FALSE(withLabel("projectcalico.org/namespace", "foo"));
  EXPECT_FALSE(withLabel("a/b/c", "x"));
  EXPECT_FALSE(withLabel("/a", "x"));
  EXPECT_FALSE(withLabel("", "x"));
  EXPECT_FALSE(withLabel("a", "-x"));
  auto document = calicoDocument("GlobalNetworkSet", "a", "{}");
  document["metadata"]["labels"] = {{"a", 1}};
  EXPECT_THAT(errorTexts(decodeCalico(document)),
              ElementsAre(HasSubstr("metadata.labels.a: expected a string")));
}

TEST(AnnotationValidation, BoundsKeysAndSize) {
  const auto withAnnotation = [](const std::string& key, const std::string& value) {
    auto document = calicoDocument("GlobalNetworkSet", "a", "{}");
    document["metadata"]["annotations"] = {{key, value}};
    return decodeCalico(document).errors.empty();
  };
  EXPECT_TRUE(withAnnotation("ProjectCalico.org/Label", "any thing"));
  EXPECT_FALSE(withAnnotation("projectcalico.org$label", "value"));
  EXPECT_TRUE(withAnnotation("key", std::string(256 * 1024 - 3, 'x')));
  EXPECT_FALSE(withAnnotation("key", std::string(256 * 1024 - 2, 'x')));
}

TEST(PolicyValidation, KnowsTypes) {
  for (const char* kind : {"NetworkPolicy", "GlobalNetworkPolicy"}) {
    check(kind, "thing",
          {{"{}", true},
           {R"({"types":[]})", true},
           {R"({"types":["Ingress"]})", true},
           {R"({"types":["Egress"]})", true},
           {R"({"types":["Ingress","Egress"]})", true},
           {R"({"types":["Egress","Egress"]})", false},
           {R"({"types":["unexpected"]})", false},
           {R"({"ingress":[{"action":"Allow"}],"types":["Egress"]})", true},
           {R"({"egress":[{"action":"Allow"}],"types":["Ingress"]})", true},
           {R"x({"selector":"global()"})x", false},
           {R"x({"selector":"a == 'b' && global( )"})x", false},
           {R"x({"serviceAccountSelector":"global()"})x", false},
           {R"({"selector":"a ="})", false},
           {R"({"order":"1"})", false},
           {R"({"order":1.5,"tier":"my-tier"})", true},
           {R"({"tier":"My"})", false},
           {R"({"performanceHints":["AssumeNeededOnEveryNode"]})", true},
           {R"({"performanceHints":["AssumeNeededOnEveryNode","AssumeNeededOnEveryNode"]})", false},
           {R"({"performanceHints":["other"]})", false},
           {R"({"ingres":[]})", false}});
  }
}

TEST(PolicyValidation, TiesPreDnatAndDoNotTrackToForwarding) {
  check("GlobalNetworkPolicy", "thing",
        {{R"({"preDNAT":true,"doNotTrack":true,"applyOnForward":true})", false},
         {R"({"preDNAT":true,"applyOnForward":true})", true},
         {R"({"doNotTrack":true,"applyOnForward":true})", true},
         {R"({"preDNAT":true,"applyOnForward":true,"egress":[{"action":"Allow"}]})", false},
         {R"({"preDNAT":true,"applyOnForward":true,"ingress":[{"action":"Allow"}]})", true},
         {R"({"applyOnForward":true})", true},
         {R"({"preDNAT":true})", false},
         {R"({"doNotTrack":true,"applyOnForward":false})", false},
         {R"({"preDNAT":true,"applyOnForward":true,"types":["Ingress"]})", true},
         {R"({"preDNAT":true,"applyOnForward":true,"types":["Egress"]})", false},
         {R"({"preDNAT":true,"applyOnForward":true,"types":["Ingress","Egress"]})", false},
         {R"x({"namespaceSelector":"global()"})x", false},
         {R"({"namespaceSelector":"a == 'b'"})", true}});
  check("NetworkPolicy", "thing",
        {{R"x({"preDNAT":true})x", false}, {R"x({"namespaceSelector":"all()"})x", false}});
}

TEST(TierValidation, HoldsBuiltInTiers) {
  check("Tier", "default",
        {{R"({"order":1000000})", true},
         {R"({"order":1000000,"defaultAction":"Deny"})", true},
         {"{}", true},
         {R"({"order":1000000,"defaultAction":"Pass"})", false},
         {R"({"order":999})", false}});
  check("Tier", "kube-admin",
        {{R"({"order":1000,"defaultAction":"Pass"})", true},
         {R"({"order":1000,"defaultAction":"Deny"})", false},
         {"{}", false}});
  check("Tier", "kube-baseline", {{R"({"order":10000000,"defaultAction":"Pass"})", true}});
  check(
      "Tier", "my-tier",
      {{R"({"order":100,"defaultAction":"Pass"})", true}, {R"({"defaultAction":"Allow"})", false}});
  EXPECT_GE(
      decodeCalico(calicoDocument("Tier", "default", R"({"order":999,"defaultAction":"Pass"})"))
          .errors.size(),
      2U);
}

TEST(ProfileValidation, ChecksLabelsAndRules) {
  check("Profile", "p",
        {{R"({"labelsToApply":{"project.calico.org/my-valid-label":"value"}})", true},
         {R"({"labelsToApply":{".mylabel":"value"}})", false},
         {R"({"labelsToApply":{"my!nvalid-label":"value"}})", false},
         {R"({"labelsToApply":{"my-invalid-label$":"value"}})", false},
         {R"({"ingress":[{"action":"Allow"}],"egress":[{"action":"Deny"}]})", true},
         {R"({"ingress":[{}]})", false}});
}

TEST(NetworkSetValidation, TakesAddressesAndNets) {
  for (const char* kind : {"NetworkSet", "GlobalNetworkSet"}) {
    check(kind, "set",
          {{R"({"nets":["10.0.0.1","11.0.0.0/8","11.0.0.1/8","dead:beef::","dead:beef::/96"]})",
            true},
           {R"({"nets":["garbage"]})", false},
           {R"({"nets":["10.0.0.0/33"]})", false}});
  }
}

TEST(IPPoolValidation, ChecksTheRange) {
  check("IPPool", "pool.name",
        {{R"({"cidr":"1.2.3.0/26"})", true},
         {R"({"cidr":"1.0.0.0/10"})", true},
         {R"({"cidr":"aabb:aabb::/122"})", true},
         {R"({"cidr":"aa00::/10"})", true},
         {R"({"cidr":"1.2.3.0/27","disabled":true})", true},
         {R"({"cidr":"aabb:aabb::ffff/128","disabled":true})", true},
         {R"({"cidr":"1.2.3.0/27"})", false},
         {R"({"cidr":"1.2.3.0/27","blockSize":27})", true},
         {R"({"cidr":"aabb:aabb::ffff/128"})", false},
         {R"({"cidr":"1.2.3.4/33"})", false},
         {R"({"cidr":"aa:bb::/129"})", false},
         {R"({"cidr":"1.2.3.4/24"})", false},
         {R"({"cidr":"169.254.5.0/24"})", false},
         {R"({"cidr":"169.0.0.0/8"})", false},
         {R"({"cidr":"fe80::/120"})", false},
         {R"({"cidr":""})", false},
         {"{}", false},
         {R"({"cidr":"1.2.0.0/16","blockSize":19})", false},
         {R"({"cidr":"1.2.0.0/16","blockSize":20})", true},
         {R"({"cidr":"1.2.0.0/16","blockSize":33})", false},
         {R"({"cidr":"fd00::/64","blockSize":115})", false},
         {R"({"cidr":"fd00::/64","blockSize":116})", true}});
}

TEST(IPPoolValidation, ChecksModesAndUses) {
  check("IPPool", "pool",
        {{R"({"cidr":"1.2.3.0/24","ipipMode":"Always"})", true},
         {R"({"cidr":"1.2.3.0/24","ipipMode":"CrossSubnet"})", true},
         {R"({"cidr":"1.2.3.0/24","ipipMode":"badVal"})", false},
         {R"({"cidr":"1.2.3.0/24","ipipMode":"never"})", false},
         {R"({"cidr":"1.2.3.0/24","ipipMode":"Always","vxlanMode":"Always"})", false},
         {R"({"cidr":"1.2.3.0/24","ipipMode":"Never","vxlanMode":"CrossSubnet"})", true},
         {R"({"cidr":"1.2.3.0/24","vxlanMode":"never"})", false},
         {R"({"cidr":"fd00::/120","ipipMode":"Always"})", false},
         {R"({"cidr":"fd00::/120","vxlanMode":"Always"})", true},
         {R"({"cidr":"1.2.3.0/24","ipip":{"enabled":true}})", false},
         {R"({"cidr":"1.2.3.0/24","nat-outgoing":false})", true},
         {R"({"cidr":"1.2.3.0/24","nat-outgoing":true})", false},
         {R"({"cidr":"1.2.3.0/24","nodeSelector":"foo == \"bar\""})", true},
         {R"({"cidr":"1.2.3.0/24","nodeSelector":"this is not valid selector syntax"})", false},
         {R"({"cidr":"1.2.3.0/24","allowedUses":["Workload","Tunnel"]})", true},
         {R"({"cidr":"1.2.3.0/24","allowedUses":["Garbage"]})", false},
         {R"({"cidr":"1.2.3.0/24","allowedUses":["LoadBalancer"]})", true},
         {R"({"cidr":"1.2.3.0/24","allowedUses":["LoadBalancer","Workload"]})", false},
         {R"({"cidr":"1.2.3.0/24","allowedUses":["LoadBalancer"],"ipipMode":"Always"})", false},
         {R"({"cidr":"1.2.3.0/24","assignmentMode":"Manual"})", true},
         {R"({"cidr":"1.2.3.0/24","assignmentMode":"Other"})", false}});
}

TEST(WorkloadEndpointValidation, ChecksInterfaceAndIds) {
  check("WorkloadEndpoint", "node1-k8s-pod-eth0",
        {{R"({"interfaceName":"cali012371237"})", true},
         {R"({"interfaceName":"Valid_Iface.0-9"})", true},
         {"{}", false},
         {R"({"interfaceName":"interfaceTooLong"})", false},
         {R"({"interfaceName":"Invalid&Intface"})", false},
         {R"({"interfaceName":"Invalid:Intface"})", false},
         {R"({"interfaceName":"cali0","containerID":"Cath01234-G"})", true},
         {R"({"interfaceName":"cali0","containerID":"-abcdefg"})", false},
         {R"({"interfaceName":"cali0","containerID":"abcdeSg-"})", false},
         {R"({"interfaceName":"cali0","containerID":"abcde-j.g"})", false},
         {R"({"interfaceName":"cali0","mac":"ee:ee:ee:ee:ee:ee"})", true},
         {R"({"interfaceName":"cali0","mac":"eeee.eeee.eeee"})", true},
         {R"({"interfaceName":"cali0","mac":"ee:ee:ee:ee:ee"})", false},
         {R"({"interfaceName":"cali0","mac":"ee:ee-ee:ee:ee:ee"})", false},
         {R"({"interfaceName":"cali0","profiles":["PROF_A","kns.default"]})", true},
         {R"({"interfaceName":"cali0","profiles":[".fun"]})", false},
         {R"({"interfaceName":"cali0","allowSpoofedSourcePrefixes":["10.abcd"]})", false},
         {R"({"interfaceName":"cali0","allowSpoofedSourcePrefixes":["10.0.0.1","192.168.0.0/16"]})",
          true},
         {R"({"interfaceName":"cali0","ipv4Gateway":"fd00::1"})", false}});
}

TEST(WorkloadEndpointValidation, ChecksAddressesAndNats) {
  check(
      "WorkloadEndpoint", "node1-k8s-pod-eth0",
      {{R"({"interfaceName":"c","ipNetworks":["1.2.3.4/32","1.2.0.0/32","aabb::ffff/128","1.2.3.5"]})",
        true},
       {R"({"interfaceName":"c","ipNetworks":["1.2.3.0/26"]})", false},
       {R"({"interfaceName":"c","ipNetworks":["aabb::/122"]})", false},
       {R"({"interfaceName":"c","ipNetworks":["x"]})", false},
       {R"({"interfaceName":"c","ipNetworks":["1.2.3.4/32"],"ipNATs":[{"internalIP":"1.2.3.4","externalIP":"100.200.0.0"}]})",
        true},
       {R"({"interfaceName":"c","ipNATs":[{"internalIP":"100.200.0.0","externalIP":"1.2.3.4"}]})",
        false},
       {R"({"interfaceName":"c","ipNetworks":["1.2.3.4/32"],"ipNATs":[{"internalIP":"100.200.0.0","externalIP":"1.2.3.4"}]})",
        false},
       {R"({"interfaceName":"c","ipNetworks":["1.2.3.4/32"],"ipNATs":[{"internalIP":"1.2.3.4","externalIP":"aabb::1"}]})",
        false}});
}

TEST(WorkloadEndpointValidation, ChecksPorts) {
  check(
      "WorkloadEndpoint", "node1-k8s-pod-eth0",
      {{R"({"interfaceName":"c","ports":[{"name":"a-valid-port","protocol":"TCP","port":1234}]})",
        true},
       {R"({"interfaceName":"c","ports":[{"name":"a-valid-port","protocol":"SCTP","port":1234}]})",
        true},
       {R"({"interfaceName":"c","ports":[{"name":"a","protocol":"TCP","port":1},{"name":"a","protocol":"UDP","port":2}]})",
        true},
       {R"({"interfaceName":"c","ports":[{"protocol":"UDP","port":1234}]})", false},
       {R"({"interfaceName":"c","ports":[{"protocol":"UDP","port":1234,"hostPort":2345}]})", true},
       {R"({"interfaceName":"c","ports":[{"name":"a","port":1234}]})", false},
       {R"({"interfaceName":"c","ports":[{"name":"a","protocol":123,"port":1234}]})", false},
       {R"({"interfaceName":"c","ports":[{"name":"a","protocol":"TCP"}]})", false},
       {R"({"interfaceName":"c","ports":[{"name":"a","protocol":"TCP","port":0}]})", false},
       {R"({"interfaceName":"c","ports":[{"protocol":"TCP","port":1,"hostPort":2,"hostIP":"999.999.999.999"}]})",
        false}});
}

TEST(HostEndpointValidation, WantsANodeAndAnInterfaceOrAddresses) {
  check("HostEndpoint", "hep",
        {{R"({"interfaceName":"eth0","node":"node01"})", true},
         {R"({"interfaceName":"*","node":"node01"})", true},
         {R"({"expectedIPs":["1.2.3.4","aabb::1"],"node":"node01"})", true},
         {"{}", false},
         {R"({"interfaceName":"eth0"})", false},
         {R"({"interfaceName":"","expectedIPs":[],"node":"node01"})", false},
         {R"({"interfaceName":"eth0","node":"n","profiles":["knp.default.fun","fun-funner1234"]})",
          true},
         {R"({"interfaceName":"eth0","node":"n","profiles":[".fun"]})", false},
         {R"({"interfaceName":"eth0","node":"n","ports":[{"name":"p","protocol":"TCP","port":1}]})",
          true},
         {R"({"interfaceName":"eth0","node":"n","ports":[{"protocol":"TCP","port":1}]})", false}});
}

TEST(NodeValidation, ChecksBgpAddresses) {
  check("Node", "node1",
        {{R"({"bgp":{"ipv4Address":"1.2.3.4/32"}})", true},
         {R"({"bgp":{"ipv6Address":"aabb::ffff/128"}})", true},
         {R"({"bgp":{"ipv4IPIPTunnelAddr":"10.0.0.1"}})", true},
         {"{}", true},
         {R"({"bgp":{}})", false},
         {R"({"bgp":{"ipv4Address":"aabb::ffff/128"}})", false},
         {R"({"bgp":{"ipv6Address":"1.2.3.4/32"}})", false},
         {R"({"bgp":{"ipv4Address":"1.2.3.4/24","routeReflectorClusterID":"abcdef"}})", false},
         {R"({"bgp":{"ipv4Address":"1.2.3.4/24","routeReflectorClusterID":"245.0.0.1"}})", true},
         {R"({"wireguard":{"interfaceIPv4Address":"1.2.3.4"}})", true},
         {R"({"wireguard":{"interfaceIPv4Address":"foo.bar"}})", false}});
}

TEST(FelixConfigurationValidation, ChecksValues) {
  check(
      "FelixConfiguration", "default",
      {{R"({"iptablesBackend":"NFT","defaultEndpointToHostAction":"Drop"})", true},
       {R"({"iptablesBackend":"badVal"})", false},
       {R"({"defaultEndpointToHostAction":"drop"})", false},
       {R"({"iptablesMangleAllowAction":"Drop"})", false},
       {R"({"iptablesFilterDenyAction":"Reject"})", true},
       {R"({"kubeNodePortRanges":["3000:4000","5000:6000",15000]})", true},
       {R"({"kubeNodePortRanges":[1,2,3,4,5,6,7,8]})", false},
       {R"({"kubeNodePortRanges":["testport"]})", false},
       {R"({"externalNodesList":["1.1.1.1","1.1.1.2/32","1.1.3.0/23"]})", true},
       {R"({"externalNodesList":["foobar"]})", false},
       {R"({"externalNodesList":["abcd::1"]})", false},
       {R"({"openstackRegion":"foo"})", true},
       {R"({"openstackRegion":"FOO"})", false},
       {R"({"openstackRegion":"my-region-has-a-very-long-and-extremely-interesting-name"})", false},
       {R"({"logSeverityScreen":"badVal"})", false},
       {R"({"logSeveritySys":"Critical"})", false},
       {R"({"logSeverityScreen":"Fatal","logSeverityFile":"Debug"})", true},
       {R"({"iptablesNATOutgoingInterfaceFilter":"cali-123"})", true},
       {R"({"iptablesNATOutgoingInterfaceFilter":"cali@123"})", false},
       {R"({"bpfExtToServiceConnmark":-1})", false},
       {R"({"bpfExtToServiceConnmark":4294967295})", true},
       {R"({"bpfExtToServiceConnmark":4294967296})", false},
       {R"({"bpfDataIfacePattern":"*"})", false},
       {R"x({"mtuIfacePattern":"^((en|wl)[Pcopsvx].*|(eth|wlan).*)"})x", true},
       {R"({"mtuIfacePattern":"(eth"})", false},
       {R"({"routeTableRange":{"min":1,"max":250}})", true},
       {R"({"routeTableRange":{"min":0,"max":250}})", false},
       {R"({"routeTableRange":{"min":50,"max":45}})", false},
       {R"({"routeTableRange":{"min":1,"max":253}})", false},
       {R"({"routeTableRanges":[{"min":1,"max":10000}]})", true},
       {R"({"routeTableRanges":[{"min":1,"max":65536}]})", false},
       {R"({"routeTableRanges":[{"min":1,"max":64424509440}]})", false},
       {R"({"routeTableRanges":[{"min":1,"max":250}],"routeTableRange":{"min":1,"max":250}})",
        false},
       {R"({"healthTimeoutOverrides":[{"name":"Valid","timeout":"0s"}]})", true},
       {R"({"healthTimeoutOverrides":[{"name":"Valid","timeout":"-1s"}]})", false},
       {R"({"healthTimeoutOverrides":[{"name":"%","timeout":"10s"}]})", false},
       {R"({"natOutgoingAddress":"1.2.3.4"})", true},
       {R"({"natOutgoingAddress":"1.2.3.4/32"})", false},
       {R"({"deviceRouteSourceAddressIPv6":"1.2.3.4"})", false},
       {R"({"prometheusMetricsHost":"fe80::ea7a:70fa:cf74:25d5"})", true},
       {R"({"prometheusMetricsHost":"localhost#"})", false},
       {R"({"wireguardListeningPort":99999})", false},
       {R"({"wireguardRoutingRulePriority":99999})", false},
       {R"({"wireguardInterfaceName":"wg&0"})", false},
       {R"({"serviceLoopPrevention":"Disabled"})", true},
       {R"({"serviceLoopPrevention":"Wibbly"})", false},
       {R"({"awsSrcDstCheck":"enable"})", false},
       {R"({"failsafeInboundHostPorts":[{"protocol":"UDP","port":0}]})", true},
       {R"({"failsafeInboundHostPorts":[{"protocol":"jolly-UDP","port":0}]})", false},
       {R"({"aFieldOfTheFuture":true})", true}});
}

}  // namespace
}  // namespace margay::api

#include <gmock/gmock.h>

#include "tests/api/calico_document.h"

namespace margay::api {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Decoded ingressRule(const std::string& rule) {
  return decodeCalico(
      calicoDocument("NetworkPolicy", "policy", ("{\"ingress\":[" + rule + "]}").c_str()));
}
Decoded egressRule(const std::string& rule) {
  return decodeCalico(
      calicoDocument("NetworkPolicy", "policy", ("{\"egress\":[" + rule + "]}").c_str()));
}
Decoded globalRule(const std::string& key, const std::string& rule) {
  return decodeCalico(calicoDocument("GlobalNetworkPolicy", "policy",
                                     ("{\"" + key + "\":[" + rule + "]}").c_str()));
}

void expectValid(std::initializer_list<const char*> rules) {
  for (const char* rule : rules) EXPECT_THAT(errorTexts(ingressRule(rule)), IsEmpty()) << rule;
}
void expectInvalid(std::initializer_list<const char*> rules) {
  for (const char* rule : rules) {
    const Decoded decoded = ingressRule(rule);
    EXPECT_FALSE(decoded.errors.empty()) << rule;
    EXPECT_FALSE(decoded.value) << rule;
  }
}

TEST(RuleValidation, KnowsFourActions) {
  expectValid({R"({"action":"Allow"})", R"({"action":"Deny"})", R"({"action":"Log"})",
               R"({"action":"Pass"})"});
  expectInvalid({R"({})", R"({"action":"allow"})", R"({"action":"unknown"})",
                 R"({"action":"allowfoo"})", R"({"action":1})", R"({"action":null})",
                 R"({"action":""})"});
}

TEST(RuleValidation, KnowsIpVersions) {
  expectValid({R"({"action":"Allow","ipVersion":4})", R"({"action":"Allow","ipVersion":6})"});
  expectInvalid({R"({"action":"Allow","ipVersion":0})", R"({"action":"Allow","ipVersion":5})",
                 R"({"action":"Allow","ipVersion":"4"})"});
}

TEST(RuleValidation, KnowsProtocolsByNameAndNumber) {
  for (const char* protocol : {"\"TCP\"", "\"UDP\"", "\"ICMP\"", "\"ICMPv6\"", "\"SCTP\"",
                               "\"UDPLite\"", "1", "255", "\"255\"", "\"1\""}) {
    EXPECT_THAT(
        errorTexts(ingressRule(R"({"action":"Allow","protocol":)" + std::string(protocol) + "}")),
        IsEmpty())
        << protocol;
  }
  for (const char* protocol : {"0", "256", "-1", "1.5", "\"256\"", "\"0\"", "\"tcpfoo\"",
                               "\"footcp\"", "\"tcp\"", "\"any\"", "\"\"", "true", "[6]"}) {
    EXPECT_FALSE(ingressRule(R"({"action":"Allow","protocol":)" + std::string(protocol) + "}")
                     .errors.empty())
        << protocol;
  }
}

TEST(RuleValidation, WantsAProtocolWithPorts) {
  expectValid({
      R"({"action":"Allow","protocol":6,"source":{"ports":[1]}})",
      R"({"action":"Allow","protocol":6,"source":{"ports":["foo"]}})",
      R"({"action":"Allow","protocol":"TCP","source":{"ports":["foo"]}})",
      R"({"action":"Allow","protocol":"UDP","source":{"ports":["foo"]}})",
      R"({"action":"Allow","protocol":7,"source":{"ports":[]}})",
      R"({"action":"Allow","protocol":17,"source":{"notPorts":[1]}})",
      R"({"action":"Allow","protocol":100,"source":{"notPorts":[]}})",
      R"({"action":"Allow","protocol":"SCTP","destination":{"ports":[1]}})",
      R"({"action":"Allow","ipVersion":6,"protocol":"ICMPv6","destination":{"notPorts":[]}})",
  });
  expectInvalid({
      R"({"action":"Allow","destination":{"ports":[1]}})",
      R"({"action":"Allow","destination":{"notPorts":[1]}})",
      R"({"action":"Allow","protocol":"unknown","destination":{"notPorts":["foo"]}})",
      R"({"action":"Allow","protocol":7,"source":{"ports":[1]}})",
      R"({"action":"Allow","protocol":100,"source":{"notPorts":[1]}})",
      R"({"action":"Allow","ipVersion":4,"protocol":"ICMP","destination":{"notPorts":[1]}})",
  });
  EXPECT_THAT(errorTexts(ingressRule(R"({"action":"Allow","destination":{"ports":[80]}})")),
              ElementsAre("spec.ingress[0].destination.ports: rules that specify ports must set "
                          "protocol to TCP or UDP or SCTP"));
}

TEST(RuleValidation, HoldsPortsToTheirRange) {
  const auto port = [](const std::string& text) {
    return ingressRule(R"({"action":"Allow","protocol":"TCP","destination":{"ports":[)" + text +
                       "]}}");
  };
  for (const char* text : {"1", "65535", "\"80\"", "\"1:65535\"", "\"80:80\"", "\"http\"",
                           "\"a-b\"", "\"8080-tcp\""}) {
    EXPECT_THAT(errorTexts(port(text)), IsEmpty()) << text;
  }
  for (const char* text :
       {"0",         "65536",       "-1",        "1.5",         "\"0\"",
        "\"65536\"", "\"200:100\"", "\"0:100\"", "\"1:65536\"", "\"\"",
        "\"Foo\"",   "\"a--b\"",    "\"-a\"",    "\"a_b\"",     "\"longer-than-15-ch\"",
        "\"1-2\"",   "\":80\"",     "\"80:\"",   "true",        "{}",
        "null"}) {
    EXPECT_FALSE(port(text).errors.empty()) << text;
  }
  EXPECT_THAT(errorTexts(port("1,0")),
              ElementsAre(HasSubstr(
                  "spec.ingress[0].destination.ports[1]: '0' is no port between 1 and 65535")));
}

TEST(RuleValidation, TiesIcmpFieldsToTheirProtocol) {
  expectValid({
      R"({"action":"Allow","protocol":"ICMP","icmp":{}})",
      R"({"action":"Allow","protocol":"ICMP","icmp":{"type":0}})",
      R"({"action":"Allow","protocol":"ICMPv6","icmp":{"type":254}})",
      R"({"action":"Allow","protocol":58,"icmp":{"type":128,"code":0}})",
      R"({"action":"Allow","protocol":"ICMP","icmp":{"type":128,"code":255}})",
      R"({"action":"Allow","ipVersion":4,"protocol":"ICMP","icmp":{"type":0}})",
      R"({"action":"Allow","ipVersion":6,"protocol":"ICMPv6","icmp":{"type":0}})",
  });
  expectInvalid({
      R"({"action":"Allow","ipVersion":4,"icmp":{"type":0}})",
      R"({"action":"Allow","protocol":"TCP","icmp":{"type":0}})",
      R"({"action":"Allow","protocol":"ICMP","icmp":{"code":0}})",
      R"({"action":"Allow","protocol":"ICMP","icmp":{"type":255}})",
      R"({"action":"Allow","protocol":"ICMP","icmp":{"type":128,"code":256}})",
      R"({"action":"Allow","protocol":"ICMP","notICMP":{"code":1}})",
      R"({"action":"Allow","protocol":"ICMP","ipVersion":6})",
      R"({"action":"Allow","protocol":"ICMPv6","ipVersion":4})",
      R"({"action":"Allow","protocol":1,"ipVersion":6})",
      R"({"action":"Allow","notProtocol":"ICMP","ipVersion":6})",
      R"({"action":"Allow","notProtocol":"ICMPv6","ipVersion":4})",
  });
}

TEST(RuleValidation, RefusesNetsOfTwoFamilies) {
  expectValid({
      R"({"action":"Allow","source":{"nets":["1.2.3.0/26"],"notNets":["10.0.0.0/8"]}})",
      R"({"action":"Allow","ipVersion":6,"source":{"nets":["aabb:aabb::/122"]}})",
  });
  expectInvalid({
      R"({"action":"Allow","source":{"nets":["1.2.3.0/26"]},"destination":{"nets":["aabb:aabb::/122"]}})",
      R"({"action":"Allow","source":{"nets":["aabb:aabb::/128"]},"destination":{"nets":["1.2.0.0/32"]}})",
      R"({"action":"Allow","source":{"nets":["1.2.3.0/26","aabb:aabb::/122"]}})",
      R"({"action":"Allow","source":{"nets":["1.2.3.0/26"]},"destination":{"notNets":["aabb:aabb::/122"]}})",
      R"({"action":"Allow","ipVersion":6,"source":{"nets":["1.0.0.0/10"]}})",
      R"({"action":"Allow","ipVersion":6,"destination":{"notNets":["1.2.0.0/32"]}})",
      R"({"action":"Allow","ipVersion":4,"destination":{"nets":["aabb:aabb::ffff/128"]}})",
  });
}

TEST(RuleValidation, WantsStrictNets) {
  expectInvalid({
      R"({"action":"Allow","source":{"nets":["10.0.0.1/8"]}})",
      R"({"action":"Allow","source":{"nets":["10.0.0.1"]}})",
      R"({"action":"Allow","source":{"nets":["garbage"]}})",
      R"({"action":"Allow","source":{"nets":["10.0.0.0/33"]}})",
      R"({"action":"Allow","source":{"nets":["fd00::1/64"]}})",
      R"({"action":"Allow","source":{"nets":["10.0.0.0/8 "]}})",
      R"({"action":"Allow","source":{"nets":[10]}})",
      R"({"action":"Allow","source":{"nets":"10.0.0.0/8"}})",
  });
  EXPECT_THAT(
      errorTexts(ingressRule(R"({"action":"Allow","source":{"nets":["10.0.0.1/8","10.0.0.1"]}})")),
      ElementsAre(
          "spec.ingress[0].source.nets[0]: '10.0.0.1/8' has host bits set; write 10.0.0.0/8",
          "spec.ingress[0].source.nets[1]: '10.0.0.1' has no prefix length; write 10.0.0.1/32"));
}

TEST(RuleValidation, RefusesToExcludeEverything) {
  expectValid({R"({"action":"Allow","source":{"nets":["0.0.0.0/0"]}})",
               R"({"action":"Allow","source":{"nets":["::/0"]}})"});
  expectInvalid({R"({"action":"Allow","source":{"notNets":["0.0.0.0/0"]}})",
                 R"({"action":"Deny","destination":{"notNets":["::/0"]}})"});
}

TEST(RuleValidation, ParsesSelectors) {
  expectValid(
      {R"({"action":"Allow","source":{"selector":"foo == \"bar\""}})",
       R"x({"action":"Allow","source":{"selector":"has(calico/k8s_NS-.1/role)"}})x",
       R"({"action":"Allow","source":{"selector":"","notSelector":"","namespaceSelector":""}})"});
  expectInvalid({R"({"action":"Allow","source":{"selector":"thing=hello &"}})",
                 R"({"action":"Allow","source":{"notSelector":"a ="}})",
                 R"({"action":"Allow","source":{"namespaceSelector":"a ="}})",
                 R"({"action":"Allow","source":{"serviceAccounts":{"selector":"a ="}}})"});
  EXPECT_THAT(
      errorTexts(ingressRule(R"({"action":"Allow","source":{"selector":"a = 'b'"}})")),
      ElementsAre(
          "spec.ingress[0].source.selector: selector does not parse: expected == at position 3"));
  const std::string longest = "a == '" + std::string(1017, 'x') + "'";
  EXPECT_THAT(
      errorTexts(ingressRule(R"({"action":"Allow","source":{"selector":")" + longest + "\"}}")),
      IsEmpty());
  EXPECT_FALSE(ingressRule(R"({"action":"Allow","source":{"selector":" )" + longest + "\"}}")
                   .errors.empty());
}

TEST(RuleValidation, AllowsGlobalOnlyAloneInNamespaceSelectors) {
  expectValid({R"x({"action":"Allow","source":{"namespaceSelector":"global()"}})x",
               R"({"action":"Allow","source":{"namespaceSelector":"  global()  "}})"});
  expectInvalid({R"x({"action":"Allow","source":{"selector":"global()"}})x",
                 R"x({"action":"Allow","source":{"selector":"  global( )  "}})x",
                 R"x({"action":"Allow","source":{"namespaceSelector":" global() && all()"}})x",
                 R"x({"action":"Allow","source":{"namespaceSelector":"global()||all()"}})x",
                 R"({"action":"Allow","source":{"selector":"global() && bad"}})"});
}

TEST(RuleValidation, AllowsServicesOnlyAtTheOtherEnd) {
  const char* service = R"({"services":{"name":"service1","namespace":"default"}})";
  const auto at = [&](const char* end) {
    return std::string(R"({"action":"Allow",")") + end + "\":" + service + "}";
  };
  EXPECT_THAT(errorTexts(egressRule(at("destination"))), IsEmpty());
  EXPECT_THAT(errorTexts(ingressRule(at("source"))), IsEmpty());
  EXPECT_FALSE(egressRule(at("source")).errors.empty());
  EXPECT_FALSE(ingressRule(at("destination")).errors.empty());
  EXPECT_THAT(errorTexts(globalRule("egress", at("destination"))), IsEmpty());
  EXPECT_FALSE(globalRule("ingress", at("destination")).errors.empty());
  EXPECT_FALSE(
      globalRule("egress", R"({"action":"Allow","destination":{"services":{"name":"service1"}}})")
          .errors.empty());
  EXPECT_THAT(errorTexts(egressRule(
                  R"({"action":"Allow","destination":{"services":{"name":"service1"}}})")),
              IsEmpty());
}

TEST(RuleValidation, LetsServicesStandAlone) {
  const auto with = [](const std::string& more) {
    return egressRule(
        R"({"action":"Allow","protocol":"TCP","destination":{"services":{"name":"s","namespace":"n"},)" +
        more + "}}");
  };
  for (const char* more :
       {R"("serviceAccounts":{"names":["serviceaccount"]})", R"("serviceAccounts":{})",
        R"("ports":[80])", R"("notPorts":[80])", R"("nets":["10.0.0.0/8"])",
        R"("notNets":["10.0.0.0/8"])", R"("selector":"x == 'y'")", R"("notSelector":"x == 'y'")",
        R"("namespaceSelector":"x == 'y'")"}) {
    EXPECT_FALSE(with(more).errors.empty()) << more;
  }
  expectValid({
      R"({"action":"Allow","protocol":"TCP","source":{"ports":[80],"services":{"name":"s","namespace":"n"}}})",
      R"({"action":"Allow","protocol":"TCP","source":{"notPorts":[80],"services":{"name":"s","namespace":"n"}}})",
  });
  EXPECT_FALSE(egressRule(R"({"action":"Allow","destination":{"services":{"namespace":"n"}}})")
                   .errors.empty());
}

TEST(RuleValidation, TakesAnnotationsAndRefusesHttp) {
  expectValid({R"({"action":"Allow","metadata":{"annotations":{"foo":"bar"}}})"});
  expectInvalid({R"({"action":"Allow","metadata":{"annotations":{"...":"bar"}}})",
                 R"({"action":"Allow","http":{"methods":["GET"]}})",
                 R"({"action":"Deny","http":{"methods":["GET"]}})"});
}

TEST(RuleValidation, ReportsUnknownFields) {
  EXPECT_THAT(
      errorTexts(ingressRule(R"({"action":"Allow","source":{"net":["10.0.0.0/8"]},"sorce":{}})")),
      ElementsAre("spec.ingress[0].sorce: unknown field; check its spelling or remove it",
                  "spec.ingress[0].source.net: unknown field; check its spelling or remove it"));
}

TEST(RuleValidation, BoundsLists) {
  const auto repeated = [](const char* entry, int count) {
    std::string text;
    for (int i = 0; i < count; ++i) text += std::string(i > 0 ? "," : "") + entry;
    return text;
  };
  const auto nets = [&](int count) {
    return ingressRule(R"({"action":"Allow","source":{"nets":[)" +
                       repeated("\"10.0.0.0/8\"", count) + "]}}");
  };
  EXPECT_TRUE(nets(256).errors.empty());
  EXPECT_FALSE(nets(257).errors.empty());
  const auto ports = [&](int count) {
    return ingressRule(R"({"action":"Allow","protocol":"TCP","source":{"ports":[)" +
                       repeated("80", count) + "]}}");
  };
  EXPECT_TRUE(ports(50).errors.empty());
  EXPECT_FALSE(ports(51).errors.empty());
  EXPECT_TRUE(ingressRule(repeated(R"({"action":"Allow"})", 1024)).errors.empty());
  EXPECT_FALSE(ingressRule(repeated(R"({"action":"Allow"})", 1025)).errors.empty());
}

}  // namespace
}  // namespace margay::api

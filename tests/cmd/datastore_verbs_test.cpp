#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/api/etcd_server.h"
#include "tests/cmd/program.h"

/// calicoctl's verbs as users type them, on a real etcd that all tests of the program share.
namespace margay::cmd_tests {
namespace {

using api::test::EtcdServer;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using Json = nlohmann::json;

struct Example {
  const char* kind;
  const char* ns;
  const char* name;
  const char* spec;
  const char* words;  ///< what users may call the kind
};

const Example kExamples[] = {
    {"BGPConfiguration", "", "default", "{asNumber: 64512}", "bgpconfiguration bgpconfig"},
    {"BGPFilter", "", "f", "{exportV4: [{action: Accept}]}", "bgpfilter bgpfilters"},
    {"BGPPeer", "", "peer", "{peerIP: 192.0.2.9, asNumber: 64513}", "bgppeer bgppeers"},
    {"BlockAffinity", "", "n1-10-9-0-0-26",
     "{node: n1, cidr: 10.9.0.0/26, state: confirmed, deleted: \"false\"}",
     "blockaffinity blockaffinities"},
    {"CalicoNodeStatus", "", "s", "{node: n1, classes: [Agent], updatePeriodSeconds: 10}",
     "caliconodestatus"},
    {"ClusterInformation", "", "default", "{datastoreReady: true}",
     "clusterinformation clusterinfo"},
    {"FelixConfiguration", "", "default", "{reportingInterval: 0s}",
     "felixconfiguration felixconfig felixconfigs"},
    {"GlobalNetworkPolicy", "", "g", "{selector: all(), ingress: [{action: Allow}]}",
     "globalnetworkpolicy gnp gnps"},
    {"GlobalNetworkSet", "", "gs", "{nets: [192.0.2.0/24]}", "globalnetworkset gns"},
    {"HostEndpoint", "", "h", "{node: n1, interfaceName: eth0}", "hostendpoint hep heps"},
    {"IPAMConfiguration", "", "default", "{strictAffinity: true}", "ipamconfiguration"},
    {"IPPool", "", "p", "{cidr: 10.9.0.0/16}", "ippool ipp pool"},
    {"IPReservation", "", "r", "{reservedCIDRs: [10.9.0.0/30]}", "ipreservation"},
    {"KubeControllersConfiguration", "", "default", "{}", "kubecontrollersconfiguration kcconfig"},
    {"NetworkPolicy", "shop", "n", "{selector: all(), ingress: [{action: Allow}]}",
     "networkpolicy np nps"},
    {"NetworkSet", "shop", "ns", "{nets: [192.0.2.0/24]}", "networkset netsets"},
    {"Node", "", "n1", "{bgp: {ipv4Address: 192.0.2.1/24, asNumber: \"1.10\"}}", "node no nodes"},
    {"Profile", "", "pr", "{ingress: [{action: Allow}]}", "profile pro"},
    {"StagedGlobalNetworkPolicy", "", "sg", "{selector: all()}", "stagedglobalnetworkpolicy"},
    {"StagedKubernetesNetworkPolicy", "shop", "sk", "{podSelector: {}}",
     "stagedkubernetesnetworkpolicy"},
    {"StagedNetworkPolicy", "shop", "sn", "{selector: all()}", "stagednetworkpolicy"},
    {"Tier", "", "t", "{order: 100}", "tier tiers"},
    {"WorkloadEndpoint", "shop", "n1-cni-c1-eth0",
     "{orchestrator: cni, node: n1, containerID: c1, workload: c1, endpoint: eth0, interfaceName: "
     "cali1, "
     "ipNetworks: [10.9.0.7/32], profiles: [pr]}",
     "workloadendpoint wep weps"},
};

std::string manifest(const Example& example) {
  const std::string ns = example.ns;
  return std::string("apiVersion: projectcalico.org/v3\nkind: ") + example.kind +
         "\nmetadata: {name: " + example.name + (ns.empty() ? "" : ", namespace: " + ns) +
         "}\nspec: " + example.spec + "\n---\n";
}

const std::string kPool =
    manifest(*std::find_if(std::begin(kExamples), std::end(kExamples), [](const Example& example) {
      return std::string(example.kind) == "IPPool";
    }));

class DatastoreVerbs : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { etcd_ = EtcdServer::alone(); }
  static void TearDownTestSuite() { etcd_.reset(); }
  void SetUp() override {
    if (!etcd_) GTEST_SKIP() << "no etcd to run";
    client_ = std::make_unique<api::EtcdClient>(api::test::quickOptions({etcd_->url()}));
  }
  void TearDown() override {
    if (!client_) return;
    std::vector<api::EtcdWrite> writes;
    ASSERT_TRUE(client_->list(
        "/calico/", [&](api::EtcdKeyValue& kv) { writes.push_back({.key = kv.key}); }, {}));
    if (writes.empty()) return;
    ASSERT_TRUE(client_->write({}, writes));
  }
  static ProgramResult ctl(const std::vector<std::string>& words, const std::string& input = {}) {
    return runProgram(MARGAYCTL, words,
                      {{"DATASTORE_TYPE", "etcdv3"}, {"ETCD_ENDPOINTS", etcd_->url()}}, input);
  }
  static std::string done(const std::vector<std::string>& words, const std::string& input = {}) {
    const auto result = ctl(words, input);
    EXPECT_EQ(result.code, 0) << result.err;
    EXPECT_THAT(result.err, IsEmpty());
    return result.out;
  }
  /// One line on standard error, and nothing else.
  static std::string refused(int code, const std::vector<std::string>& words,
                             const std::string& input = {}) {
    const auto result = ctl(words, input);
    EXPECT_EQ(result.code, code) << result.out << result.err;
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
    EXPECT_THAT(result.err, ::testing::StartsWith("margayctl: "));
    return result.err;
  }
  static std::vector<std::string> named(const Example& example, std::vector<std::string> words) {
    if (*example.ns != '\0') words.insert(words.end(), {"-n", example.ns});
    return words;
  }

  static std::unique_ptr<EtcdServer> etcd_;
  std::unique_ptr<api::EtcdClient> client_;
};

std::unique_ptr<EtcdServer> DatastoreVerbs::etcd_;

TEST_F(DatastoreVerbs, EveryKindIsCreatedShownReplacedAndDeleted) {
  std::string all;
  for (const auto& example : kExamples) all += manifest(example);
  const auto count = std::to_string(std::size(kExamples)) + " resource(s)\n";
  EXPECT_EQ(done({"create", "-f", "-"}, all), "Successfully created " + count);
  const auto again = ctl({"create", "-f", "-"}, all);
  EXPECT_EQ(again.code, 1);
  EXPECT_EQ(static_cast<std::size_t>(std::count(again.err.begin(), again.err.end(), '\n')),
            std::size(kExamples));
  std::string shown;
  for (const auto& example : kExamples) {
    SCOPED_TRACE(example.kind);
    const std::string words = example.words;
    const auto word = words.substr(words.rfind(' ') + 1);
    const auto got = done(named(example, {"get", word, example.name, "-o", "yaml"}));
    EXPECT_THAT(got, AllOf(HasSubstr("resourceVersion"), HasSubstr(example.name)));
    shown += got + "---\n";
  }
  EXPECT_EQ(done({"replace", "-f", "-"}, shown), "Successfully replaced " + count);
  EXPECT_EQ(done({"apply", "-f", "-"}, all), "Successfully applied " + count);
  for (const auto& example : kExamples) {
    const std::string words = example.words;
    const auto word = words.substr(0, words.find(' '));
    EXPECT_EQ(done(named(example, {"delete", word, example.name})),
              std::string("Successfully deleted 1 '") + example.kind + "' resource(s)\n");
  }
  EXPECT_THAT(refused(1, {"delete", "ippool", "p"}), HasSubstr("does not exist"));
  EXPECT_EQ(done({"create", "-f", "-"}, all), "Successfully created " + count);
  EXPECT_EQ(done({"delete", "-f", "-"}, all), "Successfully deleted " + count);
}

TEST_F(DatastoreVerbs, GetHasTheFormsOfCalicoctl) {
  std::string all;
  for (const auto& example : kExamples) all += manifest(example);
  static_cast<void>(done({"apply", "-f", "-"}, all));
  EXPECT_EQ(done({"get", "nodes"}), "NAME\nn1\n");
  EXPECT_EQ(done({"get", "nodes", "-o", "name"}), "Node/n1\n");
  EXPECT_THAT(done({"get", "nodes", "-o", "wide"}),
              AllOf(HasSubstr("NAME   ASN     IPV4           IPV6"), HasSubstr("65546")));
  EXPECT_EQ(done({"get", "wep", "-n", "shop"}),
            "NAMESPACE   WORKLOAD   NODE   NETWORKS      INTERFACE\n"
            "shop        c1         n1     10.9.0.7/32   cali1\n");
  EXPECT_THAT(done({"get", "np", "-A"}), AllOf(HasSubstr("NAMESPACE"), HasSubstr("shop")));
  EXPECT_THAT(done({"get", "np"}), Not(HasSubstr("shop"))) << "the namespace is default";
  const auto list = Json::parse(done({"get", "ippools", "-o", "json"}));
  EXPECT_EQ(list["kind"], "IPPoolList");
  EXPECT_EQ(list["items"].size(), 1U);
  const auto one = Json::parse(done({"get", "ippool", "p", "-o", "json"}));
  EXPECT_EQ(one["kind"], "IPPool");
  EXPECT_EQ(one["spec"]["blockSize"], 26);
  const auto bare = done({"get", "ippool", "p", "-o", "yaml", "--export"});
  EXPECT_THAT(bare, AllOf(Not(HasSubstr("uid")), Not(HasSubstr("resourceVersion"))));
  EXPECT_THAT(done({"get", "ippools", "-o", "json", "--export"}), HasSubstr("uid"))
      << "of one object only";
  EXPECT_THAT(refused(2, {"get", "np", "n", "-A"}), HasSubstr("--namespace"));
  EXPECT_THAT(refused(1, {"get", "ippool", "none"}), HasSubstr("IPPool(none)"));
  EXPECT_THAT(refused(2, {"get", "banana"}), HasSubstr("'banana'"));
  EXPECT_THAT(refused(2, {"get", "nodes", "-o", "xml"}), HasSubstr("xml"));
}

TEST_F(DatastoreVerbs, GetShowsTheColumnsThatAreAskedFor) {
  std::string all;
  for (const auto& example : kExamples) all += manifest(example);
  static_cast<void>(done({"apply", "-f", "-"}, all));
  EXPECT_EQ(done({"get", "wep", "-n", "shop", "-o", "custom-columns=ORCHESTRATOR,name"}),
            "NAMESPACE   ORCHESTRATOR   NAME\nshop        cni            n1-cni-c1-eth0\n");
  EXPECT_EQ(done({"get", "ippool", "p", "--output=custom-columns=NAME,NAT,IPIPMODE"}),
            "NAME   NAT     IPIPMODE\np      false   Never\n");
  EXPECT_EQ(done({"get", "bgppeers", "-o", "custom-columns=NODE"}), "NODE\n(global)\n");
  EXPECT_THAT(refused(2, {"get", "tiers", "-o", "custom-columns=NAME,NODE"}),
              AllOf(HasSubstr("Tier has no column NODE"), HasSubstr("NAME, ORDER")));
  EXPECT_THAT(refused(2, {"get", "tiers", "-o", "custom-columns="}), HasSubstr("which columns"));
  for (const std::string unspoken : {"go-template={{.}}", "go-template-file=/x"})
    EXPECT_THAT(refused(2, {"get", "tiers", "-o", unspoken}),
                AllOf(HasSubstr("go-template"), HasSubstr("custom-columns=NAME")));
  static_cast<void>(done({"apply", "-f", "-"},
                         "apiVersion: projectcalico.org/v3\nkind: Node\n"
                         "metadata: {name: n2}\nspec: {bgp: {ipv4Address: 192.0.2.2}}\n"));
  EXPECT_EQ(done({"get", "node", "n2", "-o", "custom-columns=NAME,ASN"}),
            "NAME   ASN\nn2     (64512)\n");
}

TEST_F(DatastoreVerbs, WhatIsSkippedCountsAsDone) {
  static_cast<void>(done({"create", "-f", "-"}, kPool));
  EXPECT_EQ(done({"create", "--skip-exists", "-f", "-"}, kPool),
            "Successfully created 1 'IPPool' resource(s)\n");
  EXPECT_EQ(done({"delete", "ippool", "none", "--skip-not-exists"}),
            "Successfully deleted 1 'IPPool' resource(s)\n");
}

TEST_F(DatastoreVerbs, GetOfAFileTakesEachObjectFromItsNamespace) {
  const auto policy = [](const std::string& ns) {
    return "apiVersion: projectcalico.org/v3\nkind: NetworkPolicy\nmetadata: {name: in-" + ns +
           ", namespace: " + ns + "}\nspec: {selector: all()}\n---\n";
  };
  static_cast<void>(done({"apply", "-f", "-"}, policy("a") + policy("b")));
  EXPECT_EQ(done({"get", "-f", "-", "-o", "name"}, policy("a") + policy("b")),
            "NetworkPolicy/in-a\nNetworkPolicy/in-b\n");
}

TEST_F(DatastoreVerbs, FlagsOfCalicoctlAreTakenOrRefusedByName) {
  const ScratchDirectory scratch;
  const auto file = scratch.write("pool.yaml", kPool);
  for (const std::vector<std::string>& words : std::initializer_list<std::vector<std::string>>{
           {"apply", "--filename=" + file, "--allow-version-mismatch", "--namespace=shop"},
           {"replace", "-f", file, "--recursive", "--skip-empty", "--context=any"},
           {"create", "-f" + file, "--skip-exists", "-n", "shop"},
           {"-l", "debug", "get", "pools", "-a"},
           {"--log-level=info", "get", "ippool", "p", "-oyaml", "--export"},
           {"get", "policies", "--all-namespaces"},
           {"get", "pol", "-A", "-o", "wide"},
           {"delete", "--filename", file, "-R", "-s"}})
    EXPECT_EQ(ctl(words).code, 0) << ::testing::PrintToString(words) << ctl(words).err;
  EXPECT_THAT(refused(2, {"get", "nodes", "-w"}), HasSubstr("-w"));
  EXPECT_THAT(refused(2, {"patch", "node", "n", "-p", "{}"}), HasSubstr("'patch'"));
  EXPECT_THAT(refused(2, {"apply", "-f", file, "-p", "{}"}), HasSubstr("-p"));
}

TEST_F(DatastoreVerbs, ReadsADirectoryAndItsDirectories) {
  const ScratchDirectory scratch;
  scratch.write("a/pool.yaml", kPool);
  scratch.write("a/more/tier.json",
                R"({"apiVersion":"projectcalico.org/v3","kind":"Tier","metadata":{"name":"x"}})");
  scratch.write("a/readme.txt", "no manifest");
  const auto directory = scratch.path() + "/a";
  EXPECT_THAT(done({"apply", "-f", directory}), HasSubstr("applied 1 "));
  EXPECT_THAT(done({"apply", "-R", "-f", directory}), HasSubstr("applied 2 resource(s)"));
  EXPECT_THAT(done({"get", "tiers"}), HasSubstr("x"));
  std::filesystem::create_directory(scratch.path() + "/empty");
  EXPECT_THAT(refused(1, {"apply", "-f", scratch.path() + "/empty"}), HasSubstr("no objects"));
  EXPECT_THAT(done({"apply", "--skip-empty", "-f", scratch.path() + "/empty"}),
              HasSubstr("No resources"));
}

TEST_F(DatastoreVerbs, SaysWhatIsWrong) {
  EXPECT_THAT(refused(1, {"apply", "-f", "/nonexistent"}), HasSubstr("/nonexistent"));
  EXPECT_THAT(refused(1, {"apply", "-f", "-"}, "a: [b"), HasSubstr("line 1"));
  EXPECT_THAT(refused(1, {"apply", "-f", "-"},
                      "apiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata: {name: p}\n"
                      "spec: {cidr: banana}\n"),
              AllOf(HasSubstr("spec.cidr"), HasSubstr("banana")));
  EXPECT_THAT(refused(1, {"apply", "-f", "-"},
                      "apiVersion: projectcalico.org/v3\nkind: Node\nmetadata: {name: n}\n"
                      "spec: {bgp: {asNumber: 1.2.3}}\n"),
              HasSubstr("spec.bgp.asNumber"));
  EXPECT_THAT(refused(1, {"create", "-f", "-"},
                      "apiVersion: projectcalico.org/v3\nkind: GlobalNetworkPolicy\n"
                      "metadata: {name: none.p}\nspec: {tier: none}\n"),
              HasSubstr("Tier(none)"));
  EXPECT_THAT(refused(1, {"replace", "-f", "-"}, kPool), HasSubstr("does not exist"));
  static_cast<void>(refused(2, {"delete", "node"}));
  static_cast<void>(refused(2, {"apply"}));
  EXPECT_EQ(ctl({"delete", "node", "none", "-s"}).code, 0);
}

TEST_F(DatastoreVerbs, PartOfAFileIsWrittenAndTheRestNamed) {
  const auto result =
      ctl({"create", "-f", "-"}, kPool +
                                     "apiVersion: projectcalico.org/v3\nkind: IPPool\n"
                                     "metadata: {name: q}\nspec: {cidr: banana}\n");
  EXPECT_EQ(result.code, 1);
  EXPECT_EQ(result.out, "Partial success: created 1 out of 2 'IPPool' resources\n");
  EXPECT_THAT(result.err, HasSubstr("IPPool q"));
  EXPECT_EQ(ctl({"create", "--skip-exists", "-f", "-"}, kPool).code, 0);
}

TEST_F(DatastoreVerbs, AnOldVersionIsRefused) {
  static_cast<void>(done({"create", "-f", "-"}, kPool));
  const auto old = done({"get", "ippool", "p", "-o", "yaml"});
  static_cast<void>(done({"apply", "-f", "-"}, kPool));
  EXPECT_THAT(refused(1, {"replace", "-f", "-"}, old), HasSubstr("update conflict"));
}

TEST_F(DatastoreVerbs, TheConfigurationFileSaysWhereTheDatastoreIs) {
  const ScratchDirectory scratch;
  const auto file =
      scratch.write("calicoctl.cfg",
                    "apiVersion: projectcalico.org/v3\nkind: CalicoAPIConfig\nmetadata:\nspec:\n"
                    "  datastoreType: etcdv3\n  etcdEndpoints: " +
                        etcd_->url() + "\n");
  const std::map<std::string, std::string> elsewhere = {{"DATASTORE_TYPE", "etcdv3"},
                                                        {"ETCD_ENDPOINTS", "http://127.0.0.1:1"}};
  static_cast<void>(done({"create", "-f", "-"}, kPool));
  for (const std::string option : {"-c", "--config"}) {
    const auto got = runProgram(MARGAYCTL, {"get", "ippools", option, file}, elsewhere);
    EXPECT_EQ(got.code, 0) << got.err;
    EXPECT_THAT(got.out, HasSubstr("10.9.0.0/16"));
  }
  EXPECT_THAT(refused(1, {"get", "ippools", "-c", "/nonexistent"}), HasSubstr("/nonexistent"));
  const auto wrong = scratch.write("wrong.cfg",
                                   "apiVersion: projectcalico.org/v3\nkind: CalicoAPIConfig\n"
                                   "spec: {etcdEndpoint: http://127.0.0.1:1}\n");
  EXPECT_THAT(refused(1, {"get", "ippools", "-c", wrong}),
              AllOf(HasSubstr(wrong), HasSubstr("spec.etcdEndpoint")));
}

TEST(DatastoreTls, AWrongCertificateIsOneLineThatNamesTheFile) {
  const api::test::Certificates certificates;
  const auto etcd = EtcdServer::alone(api::test::Tls::On, certificates.directory());
  if (!etcd) GTEST_SKIP() << "no etcd to run";
  const auto tls = certificates.tls();
  const auto get = [&](const std::string& ca, const std::string& certificate,
                       const std::string& key) {
    return runProgram(MARGAYCTL, {"get", "nodes"},
                      {{"DATASTORE_TYPE", "etcdv3"},
                       {"ETCD_ENDPOINTS", etcd->url()},
                       {"ETCD_CA_CERT_FILE", ca},
                       {"ETCD_CERT_FILE", certificate},
                       {"ETCD_KEY_FILE", key}});
  };
  const auto right = get(tls.ca.file, tls.certificate.file, tls.key.file);
  EXPECT_EQ(right.code, 0) << right.err;
  const auto otherCa = certificates.directory() + "/other-ca.pem";
  const auto stranger = certificates.directory() + "/stranger.pem";
  for (const auto& [got, file] :
       {std::pair{get(otherCa, tls.certificate.file, tls.key.file), otherCa},
        std::pair{get(tls.ca.file, stranger, certificates.directory() + "/stranger.key"),
                  stranger}}) {
    EXPECT_EQ(got.code, 1);
    EXPECT_THAT(got.err, HasSubstr(file));
    EXPECT_EQ(std::count(got.err.begin(), got.err.end(), '\n'), 1) << got.err;
  }
}

}  // namespace
}  // namespace margay::cmd_tests

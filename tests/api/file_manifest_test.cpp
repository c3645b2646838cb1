#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "api/codec/calico_decode.h"
#include "api/codec/calico_encode.h"
#include "api/codec/document_reader.h"
#include "api/codec/kubernetes_convert.h"
#include "api/file/directory_loader.h"
#include "api/file/manifest_writer.h"

namespace margay::api {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class FileManifestTest : public ::testing::Test {
 protected:
  FileManifestTest() {
    std::string pattern = (fs::temp_directory_path() / "margay-manifest-XXXXXX").string();
    directory_ = ::mkdtemp(pattern.data());
  }
  ~FileManifestTest() override { fs::remove_all(directory_); }
  void write(const std::string& file, const std::string& text) {
    std::ofstream(fs::path(directory_) / file) << text;
  }
  std::string directory_;
};

Value profile(const std::string& name, const std::string& label) {
  Profile made{.name = name, .labelsToApply = Labels(LabelMap{{label, ""}})};
  PolicyRule rule;
  rule.source.selector = "has(" + label + ")";
  made.ingress.push_back(rule);
  made.egress.emplace_back();
  return share(made);
}
Value endpoint(std::vector<std::string> profiles) {
  WorkloadEndpoint made;
  made.ns = "default";
  made.node = "n";
  made.name = "n-cni-abc-eth0";
  made.setDetails(
      {.interfaceName = "cali123", .mac = std::array<std::uint8_t, 6>{1, 2, 3, 4, 5, 0xfe}});
  made.addresses = {*Prefix::parseNetwork("10.0.0.1")};
  made.labels = Labels(LabelMap{{"app", "true"},
                                {"projectcalico.org/namespace", "default"},
                                {"projectcalico.org/orchestrator", "cni"}});
  if (!profiles.empty()) made.profiles = share(std::move(profiles));
  return share(made);
}
template <class T>
T decodedAs(const nlohmann::ordered_json& object) {
  T out;
  const auto problem =
      readYaml(yamlText(object), {}, [&](const DocumentPlace&, nlohmann::json& document) {
        const auto decoded = decodeCalico(document);
        for (const auto& error : decoded.errors)
          ADD_FAILURE() << error.field << ": " << error.reason;
        if (decoded.value) out = *std::get<Shared<T>>(*decoded.value);
      });
  EXPECT_FALSE(problem) << (problem ? problem->str() : "");
  return out;
}

TEST(CalicoEncode, WhatIsWrittenReadsAsTheSame) {
  const WorkloadEndpoint made = *std::get<Shared<WorkloadEndpoint>>(endpoint({"A", "B"}));
  EXPECT_EQ(decodedAs<WorkloadEndpoint>(encodeWorkloadEndpoint(made)), made);
  const Profile group = *std::get<Shared<Profile>>(profile("PROF_A", "g"));
  EXPECT_EQ(decodedAs<Profile>(encodeProfile(group)), group);
}

TEST(KubernetesConvert, GivesCalicosPolicy) {
  const auto got = convertKubernetes(
      "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p}\nspec:\n  "
      "podSelector: {matchLabels: {a: b}}\n"
      "  ingress: [{from: [{namespaceSelector: {}}], ports: [{port: 80}, {port: dns, protocol: "
      "UDP}]}]\n");
  ASSERT_TRUE(got);
  ASSERT_THAT(got->objects, SizeIs(1));
  const auto expected =
      nlohmann::ordered_json::parse(R"~({"apiVersion":"projectcalico.org/v3","kind":"NetworkPolicy",
    "metadata":{"name":"p","namespace":"default"},"spec":{"tier":"default","order":1000,
    "selector":"projectcalico.org/orchestrator == 'k8s' && a == 'b'","types":["Ingress"],"ingress":[
    {"action":"Allow","protocol":"TCP","source":{"selector":"projectcalico.org/orchestrator == 'k8s'",
      "namespaceSelector":"all()"},"destination":{"ports":[80]}},
    {"action":"Allow","protocol":"UDP","source":{"selector":"projectcalico.org/orchestrator == 'k8s'",
      "namespaceSelector":"all()"},"destination":{"ports":["dns"]}}]}})~");
  EXPECT_EQ(got->objects[0].dump(), expected.dump());
  EXPECT_THAT(got->warnings, IsEmpty());
}

TEST(KubernetesConvert, WarnsOfWhatItLeavesOut) {
  const auto got = convertKubernetes(
      "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p}\nspec: {ingress: "
      "[{ports: [{port: -1}]}]}\n"
      "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n---\napiVersion: v1\nkind: "
      "Namespace\nmetadata: {name: n}\n");
  ASSERT_TRUE(got);
  EXPECT_THAT(got->objects, SizeIs(2));
  EXPECT_THAT(got->warnings,
              ElementsAre(HasSubstr("NetworkPolicy default/p: spec.ingress[0].ports[0].port"),
                          HasSubstr("ConfigMap c")));
  EXPECT_FALSE(convertKubernetes("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n"));
  EXPECT_FALSE(convertKubernetes("{"));
}

TEST_F(FileManifestTest, WritesFindsChangesAndRemovesObjects) {
  auto writer = ManifestWriter::open(directory_ + "/new");
  ASSERT_TRUE(writer);
  ASSERT_TRUE(writer->put(endpoint({})));
  ASSERT_TRUE(writer->put(profile("PROF_A", "a")));
  ASSERT_TRUE(writer->put(endpoint({"PROF_A"})));
  const ObjectKey key = keyOfValue(endpoint({}));
  const auto found = writer->find(key);
  ASSERT_TRUE(found && *found);
  EXPECT_TRUE((*found)->alone);
  EXPECT_THAT(*std::get<Shared<WorkloadEndpoint>>((*found)->value)->profiles,
              ElementsAre("PROF_A"));
  EXPECT_THAT(*writer->list(Kind::Profile), SizeIs(1));
  ASSERT_TRUE(writer->remove(key));
  EXPECT_FALSE(*writer->find(key));
  EXPECT_EQ(writer->remove(key).error().code, Errc::NotFound);
  EXPECT_EQ(std::distance(fs::directory_iterator(directory_ + "/new"), fs::directory_iterator()),
            1);
}

TEST_F(FileManifestTest, LeavesFilesWithOtherObjectsAlone) {
  write("many.yaml", yamlText(*encodeCalico(profile("A", "a"))) + "---\n" +
                         yamlText(*encodeCalico(profile("B", "b"))));
  auto writer = ManifestWriter::open(directory_);
  ASSERT_TRUE(writer);
  EXPECT_THAT(writer->put(profile("A", "x")).error().what, HasSubstr("many.yaml"));
  EXPECT_EQ(writer->remove(keyOfValue(profile("B", "b"))).error().code, Errc::Invalid);
}

TEST_F(FileManifestTest, TwoWritersDoNotLoseEachOthersWork) {
  const auto addOne = [&](const std::string& name) {
    for (int i = 0; i < 20; ++i) {
      auto writer = ManifestWriter::open(directory_);
      ASSERT_TRUE(writer);
      const auto found = writer->find(keyOfValue(endpoint({})));
      ASSERT_TRUE(found);
      std::vector<std::string> profiles;
      if (*found) profiles = *std::get<Shared<WorkloadEndpoint>>((*found)->value)->profiles;
      profiles.push_back(name + std::to_string(i));
      ASSERT_TRUE(writer->put(endpoint(profiles)));
    }
  };
  std::thread other([&] { addOne("a"); });
  addOne("b");
  other.join();
  auto writer = ManifestWriter::open(directory_);
  const auto found = writer->find(keyOfValue(endpoint({})));
  EXPECT_THAT(*std::get<Shared<WorkloadEndpoint>>((*found)->value)->profiles, SizeIs(40));
}

TEST_F(FileManifestTest, LoadsADirectory) {
  write("a.yaml",
        yamlText(*encodeCalico(profile("A", "a"))) + "---\nkind: Nonsense\napiVersion: v1\n");
  write("b.yaml", "{");
  const auto got = loadDirectory(directory_);
  ASSERT_TRUE(got);
  EXPECT_THAT(got->updates, SizeIs(1));
  EXPECT_THAT(got->invalid, SizeIs(2));
  EXPECT_FALSE(loadDirectory(directory_ + "/none"));
}

TEST_F(FileManifestTest, ValidatesEachDocument) {
  write("a.yaml",
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: n}\n---\napiVersion: v1\nkind: "
        "Pod\nmetadata: {}\n---\na: [\n");
  for (const auto& path : {directory_, directory_ + "/a.yaml"}) {
    const auto got = validatePath(path);
    ASSERT_TRUE(got);
    ASSERT_THAT(*got, SizeIs(3));
    EXPECT_TRUE((*got)[0].valid());
    EXPECT_EQ((*got)[1].errors[0].field, "metadata.name");
    EXPECT_EQ((*got)[1].ns, "default");
    EXPECT_EQ((*got)[2].document, 3);
    EXPECT_THAT((*got)[2].errors[0].reason, HasSubstr("line"));
  }
  EXPECT_FALSE(validatePath(directory_ + "/none"));
}

TEST_F(FileManifestTest, ValidationNamesBothFilesOfTwoObjectsWithOneKey) {
  const std::string pod =
      "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: n}\nspec: {nodeName: "
      "one}\nstatus: "
      "{podIP: 10.0.0.1}\n";
  write("a.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: n}\n---\n" + pod);
  write("b.yaml", pod);
  const auto got = validatePath(directory_);
  ASSERT_TRUE(got);
  ASSERT_THAT(*got, SizeIs(3));
  EXPECT_TRUE((*got)[0].valid());
  EXPECT_TRUE((*got)[1].valid()) << "the first one counts";
  ASSERT_FALSE((*got)[2].valid());
  EXPECT_EQ((*got)[2].file, "b.yaml");
  EXPECT_EQ((*got)[2].kind, "Pod");
  EXPECT_EQ((*got)[2].errors[0].field, "metadata.name");
  EXPECT_EQ((*got)[2].errors[0].reason,
            "is already defined in a.yaml (document 2); that one counts");
}

TEST_F(FileManifestTest, ValidationOfOneTextSeesItsOwnDuplicates) {
  const std::string text = "apiVersion: v1\nkind: Namespace\nmetadata: {name: n}\n";
  const auto got = validateText(text + "---\n" + text, "standard input");
  ASSERT_THAT(got, SizeIs(2));
  EXPECT_TRUE(got[0].valid());
  EXPECT_THAT(got[1].errors[0].reason, HasSubstr("standard input (document 1)"));
}

}  // namespace
}  // namespace margay::api

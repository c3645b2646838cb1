#include "api/file/file_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <rapidcheck/gtest.h>
#include <nlohmann/json.hpp>

#include "api/codec/document_reader.h"
#include "api/file/prototype_text.h"

namespace margay::api {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

FileContent content(const std::string& yaml, const std::string& file = "f.yaml") {
  FileContent out;
  ObjectDecoder decoder;
  const auto problem =
      readYaml(yaml, {}, [&](const DocumentPlace& place, nlohmann::json& document) {
        const bool calico = document["apiVersion"] == "projectcalico.org/v3";
        addDecoded(decoder.decode(document), calico ? Origin::Calico : Origin::Kubernetes,
                   place.document, file, out);
      });
  EXPECT_FALSE(problem);
  EXPECT_THAT(out.invalid, IsEmpty());
  return out;
}
FileContent prototype(const std::string& text) {
  FileContent out;
  readPrototype(text, "f.txt", out);
  return out;
}
std::string ns(const std::string& name, const std::string& team) {
  return "apiVersion: v1\nkind: Namespace\nmetadata: {name: " + name + ", labels: {team: " + team +
         "}}\n---\n";
}
std::string pod(const std::string& name, const std::string& node, const std::string& ip) {
  return "apiVersion: v1\nkind: Pod\nmetadata: {name: " + name + "}\nspec: {nodeName: " + node +
         "}\nstatus: {podIP: " + ip + "}\n---\n";
}
std::string endpoint(const std::string& name, const std::string& spec) {
  return "apiVersion: projectcalico.org/v3\nkind: WorkloadEndpoint\nmetadata: {name: " + name +
         "}\nspec: {" + spec + "}\n---\n";
}

/// A set with what its updates have made of the world.
struct World {
  FileSet set;
  std::map<ObjectKey, Value> objects;

  std::size_t apply(std::vector<FileSet::Change> changes) {
    const auto updates = set.apply(std::move(changes));
    for (const Update& update : updates) {
      if (update.value) {
        objects[update.key] = *update.value;
      } else {
        EXPECT_EQ(objects.erase(update.key), 1U);
      }
    }
    return updates.size();
  }
  std::size_t put(const std::string& file, const std::string& yaml) {
    return apply({{file, content(yaml, file)}});
  }
  std::size_t drop(const std::string& file) { return apply({{file, std::nullopt}}); }
  std::string team(const std::string& name) {
    const auto found = objects.find({Kind::Profile, {}, "kns." + name});
    if (found == objects.end()) return "none";
    return std::string(*std::get<Shared<Profile>>(found->second)->labelsToApply.get("pcns.team"));
  }
  std::vector<std::string> endpoints() {
    std::vector<std::string> out;
    for (const auto& [key, value] : objects) {
      if (key.kind == Kind::WorkloadEndpoint)
        out.push_back(std::get<Shared<WorkloadEndpoint>>(value)->addresses.front().str());
    }
    return out;
  }
};

TEST(FileSet, TheFirstByPathCountsAndTheOtherIsNamed) {
  World world;
  world.put("b.yaml", ns("x", "b"));
  world.put("a.yaml", ns("x", "a"));
  EXPECT_EQ(world.team("x"), "a");
  ASSERT_THAT(world.set.invalid(), SizeIs(1));
  EXPECT_EQ(world.set.invalid()[0].file, "b.yaml");
  EXPECT_THAT(world.set.invalid()[0].reason, HasSubstr("a.yaml"));
  world.drop("a.yaml");
  EXPECT_EQ(world.team("x"), "b");
  EXPECT_THAT(world.set.invalid(), IsEmpty());
}

TEST(FileSet, ManyUpdatesComeInParts) {
  std::string all;
  for (int i = 0; i < 1500; ++i) all += ns("n" + std::to_string(i), "t");
  std::vector<FileSet::Change> changes;
  changes.push_back({"a.yaml", content(all)});
  FileSet set;
  std::vector<std::size_t> parts;
  std::set<ObjectKey> keys;
  const auto take = [&](const std::vector<Update>& updates) {
    parts.push_back(updates.size());
    for (const auto& update : updates) keys.insert(update.key);
  };
  take(set.apply(std::move(changes), take));
  EXPECT_EQ(keys.size(), 1500U);
  EXPECT_THAT(parts, ::testing::ElementsAre(1024U, 476U));
}

TEST(FileSet, OfOneFileTheFirstDocumentCounts) {
  World world;
  EXPECT_EQ(world.put("a.yaml", ns("x", "one") + ns("x", "two")), 1U);
  EXPECT_EQ(world.team("x"), "one");
  EXPECT_EQ(world.set.invalid().at(0).document, 2);
}

TEST(FileSet, AMovedObjectIsNoChange) {
  World world;
  world.put("a.yaml", ns("x", "t"));
  EXPECT_EQ(world.apply({{"a.yaml", std::nullopt}, {"b.yaml", content(ns("x", "t"))}}), 0U);
  EXPECT_EQ(world.apply({{"c.yaml", content(ns("x", "u"))}, {"b.yaml", std::nullopt}}), 1U);
  EXPECT_EQ(world.team("x"), "u");
}

TEST(FileSet, AWorkloadEndpointWinsOverThePodOfItsName) {
  World world;
  world.put("a.yaml", pod("p", "n", "10.0.0.1"));
  world.put("b.yaml", endpoint("n-k8s-p-eth0",
                               "orchestrator: k8s, node: n, pod: p, endpoint: eth0, interfaceName: "
                               "cali1, ipNetworks: [10.0.0.2/32]"));
  EXPECT_THAT(world.endpoints(), ElementsAre("10.0.0.2/32"));
  EXPECT_THAT(world.set.invalid(), IsEmpty());
  EXPECT_THAT(world.set.warnings(), ElementsAre(HasSubstr("Pod default/p gives way")));
  world.drop("b.yaml");
  EXPECT_THAT(world.endpoints(), ElementsAre("10.0.0.1/32"));
  EXPECT_THAT(world.set.warnings(), IsEmpty());
}

TEST(FileSet, AWorkloadEndpointWinsOverThePodOfItsInterface) {
  World world;
  WorkloadEndpoint p;
  p.ns = "default";
  p.name = workloadEndpointName("n", "k8s", "p", "eth0");
  const std::string spec =
      "orchestrator: cni, node: n, containerID: abc, endpoint: eth0, ipNetworks: [10.0.0.2/32], "
      "interfaceName: " +
      interfaceNameOf(p, "cali");
  world.put("a.yaml", endpoint("n-cni-abc-eth0", spec));
  world.put("b.yaml",
            pod("p", "n", "10.0.0.1") + pod("q", "n", "10.0.0.3") + pod("p2", "m", "10.0.0.4"));
  EXPECT_THAT(world.endpoints(),
              ::testing::UnorderedElementsAre("10.0.0.2/32", "10.0.0.3/32", "10.0.0.4/32"));
  EXPECT_THAT(world.set.warnings(), SizeIs(1));
  world.drop("a.yaml");
  EXPECT_THAT(world.endpoints(),
              ::testing::UnorderedElementsAre("10.0.0.1/32", "10.0.0.3/32", "10.0.0.4/32"));
  world.put("a.yaml", endpoint("n-cni-abc-eth0", spec));
  EXPECT_THAT(world.endpoints(),
              ::testing::UnorderedElementsAre("10.0.0.2/32", "10.0.0.3/32", "10.0.0.4/32"));
}

TEST(FileSet, ACalicoNodeAddsToTheKubernetesNode) {
  World world;
  world.put("a.yaml",
            "apiVersion: projectcalico.org/v3\nkind: Node\nmetadata: {name: n, labels: {b: "
            "two}}\nspec: {bgp: {ipv4Address: 192.168.0.5/24}}\n");
  world.put("b.yaml",
            "apiVersion: v1\nkind: Node\nmetadata: {name: n, labels: {a: one}}\nspec: {podCIDR: "
            "10.1.0.0/24}\n"
            "status: {addresses: [{type: InternalIP, address: 192.168.0.2}]}\n");
  const Node expected{.name = "n",
                      .labels = Labels(LabelMap{{"a", "one"}, {"b", "two"}}),
                      .internalAddresses = {*Address::parse("192.168.0.2")},
                      .bgpAddress4 = Prefix::parseAddress("192.168.0.5/24"),
                      .bgpAddress6 = std::nullopt,
                      .podCidrs = {*Prefix::parseNetwork("10.1.0.0/24")}};
  EXPECT_EQ(*std::get<Shared<Node>>(world.objects.at({Kind::Node, {}, "n"})), expected);
  EXPECT_THAT(world.set.invalid(), IsEmpty());
  world.drop("a.yaml");
  EXPECT_FALSE(std::get<Shared<Node>>(world.objects.at({Kind::Node, {}, "n"}))->bgpAddress4);
}

TEST(FileSet, SaysWhereAnObjectIsAndWhatItsWriterCallsIt) {
  World world;
  world.apply({{"a.yaml", content(ns("x", "t") + pod("web-1", "n1", "10.0.0.1"), "a.yaml")},
               {"b.yaml", content(endpoint("n1-docker-c1-eth0",
                                           "node: n1, orchestrator: docker, "
                                           "workload: c1, endpoint: eth0, "
                                           "interfaceName: cali1, ipNetworks: "
                                           "[10.0.0.2/32]"),
                                  "b.yaml")}});
  const ObjectKey web{Kind::WorkloadEndpoint, "default", "n1-k8s-web--1-eth0"};
  const ObjectKey own{Kind::WorkloadEndpoint, "default", "n1-docker-c1-eth0"};
  const ObjectKey gone{Kind::Profile, {}, "gone"};
  EXPECT_THAT(
      world.set.places({web, own, gone}),
      ElementsAre(std::pair{own, Place{"WorkloadEndpoint", "n1-docker-c1-eth0", "b.yaml", 1}},
                  std::pair{web, Place{"Pod", "web-1", "a.yaml", 2}}));
}

TEST(FileSet, AProblemKeepsWhatAFileLastGaveUntilItIsMended) {
  World world;
  world.put("a.yaml", ns("x", "t"));
  world.set.setProblem("a.yaml", "document 1, line 2: bad");
  EXPECT_EQ(world.team("x"), "t");
  EXPECT_EQ(world.set.invalid().at(0).reason, "document 1, line 2: bad");
  world.put("a.yaml", ns("x", "u"));
  EXPECT_THAT(world.set.invalid(), IsEmpty());
}

TEST(PrototypeText, BecomesNodesEndpointsAndGroups) {
  World world;
  const std::string hosts = "[felix instance-1]\nip=192.168.0.1\nhost=instance-1.example.com\n";
  const std::string one =
      "[endpoint "
      "192_168_1_1]\nid=0123456789abcdef\nip=192.168.1.1\nmac=00:11:22:aa:bb:cc\nhost=instance-1."
      "x\ngroup=G1\n";
  world.apply({{"felix.txt", prototype(hosts)},
               {"192_168_1_1.txt", prototype(one)},
               {"data.txt", prototype(hosts + one)}});
  EXPECT_THAT(world.set.invalid(), IsEmpty());
  ASSERT_THAT(world.objects, SizeIs(3));
  EXPECT_TRUE(world.objects.contains({Kind::Node, {}, "instance-1"}));
  const auto& profile = *std::get<Shared<Profile>>(world.objects.at({Kind::Profile, {}, "G1"}));
  EXPECT_EQ(profile.labelsToApply, Labels(LabelMap{{"G1", ""}}));
  EXPECT_EQ(profile.ingress.at(0).source.selector, "has(G1)");
  EXPECT_THAT(profile.egress, ElementsAre(PolicyRule{}));
  const auto& made = *std::get<Shared<WorkloadEndpoint>>(world.objects.at(
      {Kind::WorkloadEndpoint, "default", "instance--1-cni-0123456789abcdef-eth0"}));
  EXPECT_EQ(made.details().interfaceName, "tap0123456789a");
  EXPECT_THAT(*made.profiles, ElementsAre("G1"));
  EXPECT_EQ(made.addresses.front().str(), "192.168.1.1/32");
  EXPECT_EQ(made.details().mac->at(5), 0xcc);
}

TEST(PrototypeText, NamesWhatIsWrong) {
  const auto got = prototype("[endpoint e]\nid=abc\nip=1.2.3\nhost=h\nmac=zz\n");
  std::vector<std::string> fields;
  for (const auto& each : got.invalid) fields.push_back(each.field);
  EXPECT_THAT(fields, ElementsAre("mac", "ip"));
  EXPECT_THAT(got.objects, IsEmpty());
  EXPECT_THAT(prototype("just notes\n").objects, IsEmpty());
}

RC_GTEST_PROP(FileSetProperty, TheEndDependsOnlyOnTheFiles, ()) {
  World world;
  std::map<std::string, std::string> files;
  const int steps = *rc::gen::inRange(1, 25);
  for (int i = 0; i < steps; ++i) {
    std::vector<FileSet::Change> changes;
    for (int n = *rc::gen::inRange(1, 4); n > 0; --n) {
      const std::string file(1, *rc::gen::elementOf(std::string("abcd")));
      const bool twice = std::any_of(changes.begin(), changes.end(),
                                     [&](const auto& change) { return change.file == file; });
      if (twice) continue;
      std::string yaml;
      for (int k = *rc::gen::inRange(0, 5); k > 0; --k) {
        yaml += ns(std::string(1, *rc::gen::elementOf(std::string("pqrst"))),
                   std::string(1, *rc::gen::elementOf(std::string("uv"))));
        const std::string name(1, *rc::gen::elementOf(std::string("fgh")));
        yaml += pod(name, "m", "10.0.0." + std::to_string(*rc::gen::inRange(1, 4)));
        WorkloadEndpoint like;
        like.ns = "default";
        like.name = workloadEndpointName("m", "k8s", name, "eth0");
        if (*rc::gen::inRange(0, 4) == 0) {
          yaml += endpoint("m-cni-c" + name + "-eth0",
                           "orchestrator: cni, node: m, containerID: c" + name +
                               ", endpoint: eth0, ipNetworks: [10.0.0.9/32], interfaceName: " +
                               interfaceNameOf(like, "cali"));
        }
      }
      if (yaml.empty() && *rc::gen::arbitrary<bool>()) {
        files.erase(file);
        changes.push_back({file, std::nullopt});
      } else {
        files[file] = yaml;
        changes.push_back({file, content(yaml, file)});
      }
    }
    world.apply(std::move(changes));
  }
  World fresh;
  std::vector<FileSet::Change> all;
  for (const auto& [file, yaml] : files) all.push_back({file, content(yaml, file)});
  fresh.apply(std::move(all));
  RC_ASSERT(world.objects.size() == fresh.objects.size());
  for (const auto& [key, value] : fresh.objects) {
    RC_ASSERT(world.objects.contains(key));
    RC_ASSERT(std::visit(
        [&](const auto& a) {
          return *a == *std::get<std::decay_t<decltype(a)>>(world.objects.at(key));
        },
        value));
  }
  RC_ASSERT(world.set.invalid() == fresh.set.invalid());
  RC_ASSERT(world.set.warnings() == fresh.set.warnings());
}

}  // namespace
}  // namespace margay::api

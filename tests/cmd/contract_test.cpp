#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "tests/cmd/program.h"

/// The fields and exit codes of margayctl that scripts rely on, as far as no agent is needed.
namespace margay::cmd_tests {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using ::testing::UnorderedElementsAre;
using Words = std::vector<std::string>;

ProgramResult ctl(const Words& words, const std::string& input = {}) {
  return runProgram(MARGAYCTL, words, {{"MARGAY_RUN_DIR", "/nonexistent"}}, input);
}

std::set<std::string> fieldsOf(const json& object) {
  std::set<std::string> out;
  for (const auto& [key, value] : object.items()) out.insert(key);
  return out;
}

TEST(Validate, FindsEveryExampleValid) {
  const auto got = ctl({"validate", "-f", MARGAY_EXAMPLES, "-o", "json"});
  EXPECT_EQ(got.code, 0);
  EXPECT_EQ(got.err, "");
  const auto verdicts = json::parse(got.out);
  EXPECT_GE(verdicts.size(), 8U);
  for (const auto& verdict : verdicts) {
    EXPECT_TRUE(verdict["valid"]) << verdict;
    EXPECT_THAT(fieldsOf(verdict), UnorderedElementsAre("kind", "name", "namespace", "valid",
                                                        "errors", "warnings", "file", "document"));
  }
}

TEST(Validate, NamesDocumentFieldAndReasonOfWhatIsWrongAndExitsWith1) {
  const std::string text =
      "apiVersion: v1\nkind: Namespace\nmetadata: {name: n}\n---\n"
      "apiVersion: projectcalico.org/v3\nkind: GlobalNetworkPolicy\nmetadata: {name: p}\n"
      "spec: {selector: 'a ='}\n";
  const auto got = ctl({"validate", "-f", "-", "-o", "json"}, text);
  EXPECT_EQ(got.code, 1);
  EXPECT_EQ(got.err, "");
  const auto verdicts = json::parse(got.out);
  ASSERT_EQ(verdicts.size(), 2U);
  EXPECT_TRUE(verdicts[0]["valid"]);
  EXPECT_FALSE(verdicts[1]["valid"]);
  EXPECT_EQ(verdicts[1]["document"], 2);
  ASSERT_EQ(verdicts[1]["errors"].size(), 1U);
  EXPECT_THAT(fieldsOf(verdicts[1]["errors"][0]), UnorderedElementsAre("field", "reason"));
  EXPECT_EQ(verdicts[1]["errors"][0]["field"], "spec.selector");
  const auto table = ctl({"validate", "-f", "-"}, text);
  EXPECT_EQ(table.code, 1);
  EXPECT_THAT(table.out,
              HasSubstr("document 2: GlobalNetworkPolicy p: INVALID\n  spec.selector: "));
}

TEST(Validate, NamesBothFilesThatDefineOneObject) {
  const ScratchDirectory scratch;
  for (const auto* file : {"a.yaml", "b.yaml"})
    scratch.write(file, "apiVersion: v1\nkind: Namespace\nmetadata: {name: n}\n");
  const auto got = ctl({"validate", "-f", scratch.path()});
  EXPECT_EQ(got.code, 1);
  EXPECT_THAT(got.out, HasSubstr("b.yaml, document 1: Namespace n: INVALID\n"
                                 "  metadata.name: is already defined in a.yaml"));
}

TEST(Convert, GivesCalicoObjectsInYamlOrJson) {
  const std::string file = std::string(MARGAY_EXAMPLES) + "/shop.yaml";
  const auto got = ctl({"convert", "-f", file, "-o", "json"});
  EXPECT_EQ(got.code, 0);
  const auto objects = json::parse(got.out);
  ASSERT_EQ(objects.size(), 3U);
  for (const auto& object : objects) {
    EXPECT_EQ(object["apiVersion"], "projectcalico.org/v3");
    EXPECT_THAT(fieldsOf(object), UnorderedElementsAre("apiVersion", "kind", "metadata", "spec"));
  }
  EXPECT_EQ(objects[0]["kind"], "Profile");
  EXPECT_EQ(objects[0]["metadata"]["name"], "kns.shop");
  EXPECT_EQ(objects[1]["kind"], "WorkloadEndpoint");
  const auto yaml = ctl({"convert", "-f", file});
  EXPECT_EQ(yaml.code, 0);
  EXPECT_THAT(yaml.out, StartsWith("apiVersion: projectcalico.org/v3\nkind: Profile\n"));
  const auto again = ctl({"validate", "-f", "-"}, yaml.out);
  EXPECT_EQ(again.code, 0) << "what convert writes is valid: " << again.out;
}

TEST(Selector, GivesItsCanonicalFormAndWhetherItMatches) {
  const auto got = ctl({"selector", "a=='b'", "--labels", "a=b,c=", "-o", "json"});
  EXPECT_EQ(got.code, 0);
  EXPECT_EQ(json::parse(got.out), json({{"canonical", "a == \"b\""}, {"match", true}}));
  EXPECT_EQ(ctl({"selector", "a=='b'", "--labels", "a=x"}).out, "a == \"b\"\ndoes not match\n");
  EXPECT_EQ(ctl({"selector", "a=='b'"}).out, "a == \"b\"\n");
  const auto wrong = ctl({"selector", "a="});
  EXPECT_EQ(wrong.code, 1);
  EXPECT_THAT(wrong.err, StartsWith("margayctl: selector 'a=': "));
}

ProgramResult explain(Words more) {
  Words words = {"explain", "--data-dir", MARGAY_EXAMPLES};
  words.insert(words.end(), more.begin(), more.end());
  return ctl(words);
}

TEST(Explain, GivesTheVerdictAndTheStagesOfADirectory) {
  const auto got =
      explain({"--from", "shop/web", "--to", "shop/db", "--port", "5432", "-o", "json"});
  EXPECT_EQ(got.code, 0);
  EXPECT_EQ(got.err, "");
  const auto answer = json::parse(got.out);
  EXPECT_THAT(fieldsOf(answer),
              UnorderedElementsAre("verdict", "from", "to", "protocol", "port", "stages"));
  EXPECT_EQ(answer["verdict"], "Allow");
  EXPECT_EQ(answer["protocol"], 6);
  EXPECT_EQ(answer["port"], 5432);
  ASSERT_EQ(answer["stages"].size(), 2U);
  for (const auto& stage : answer["stages"]) {
    EXPECT_THAT(fieldsOf(stage),
                UnorderedElementsAre("name", "endpoint", "tier", "policy", "rule", "action"));
  }
  EXPECT_EQ(answer["stages"][1]["policy"], "shop/db-from-web");
}

TEST(Explain, ForANodeGivesWhatThatNodeDecides) {
  const auto got = explain({"--from", "shop/web", "--to", "shop/db", "--port", "5432", "--node",
                            "node-b", "-o", "json"});
  EXPECT_EQ(got.code, 0);
  const auto answer = json::parse(got.out);
  EXPECT_EQ(answer["node"], "node-b");
  ASSERT_EQ(answer["stages"].size(), 1U);
  EXPECT_EQ(answer["stages"][0]["name"], "ingress");
  const auto unknown = explain({"--from", "shop/web", "--to", "shop/db", "--node", "nope"});
  EXPECT_EQ(unknown.code, 1);
  EXPECT_EQ(unknown.err, "margayctl: --node: there is no Node nope and no workload on it\n");
}

TEST(Explain, ReadsAsASentenceAndATable) {
  const auto got = explain({"--from", "192.0.2.1", "--to", "shop/db", "--port", "5432"});
  EXPECT_EQ(got.code, 0);
  EXPECT_THAT(got.out,
              AllOf(StartsWith("Deny: tcp from 192.0.2.1 to shop/db (10.244.2.10) port 5432\n"
                               "STAGE     WORKLOAD"),
                    HasSubstr("end of tier")));
}

TEST(Explain, NamesTheEndThatThereIsNot) {
  for (const auto& [words, says] : std::vector<std::pair<Words, std::string>>{
           {{"--from", "shop/nobody", "--to", "shop/db"},
            "--from: there is no workload shop/nobody"},
           {{"--from", "shop/web", "--to", "nobody"}, "--to: there is no workload default/nobody"},
           {{"--from", "shop/web", "--to", "2001:db8::1"}, "no addresses of one family"}}) {
    const auto got = explain(words);
    EXPECT_EQ(got.code, 1);
    EXPECT_EQ(got.out, "");
    EXPECT_THAT(got.err, AllOf(StartsWith("margayctl: "), HasSubstr(says)));
  }
}

TEST(Explain, OfAPacketThatCannotBeIsAWrongCommandLine) {
  for (const auto& [words, says] : std::vector<std::pair<Words, std::string>>{
           {{"--port", "http"}, "--port: 'http' is not a number from 0 to 65535"},
           {{"--port", "99999"}, "--port: '99999' is not a number from 0 to 65535"},
           {{"--source-port", "-1"}, "--source-port: '-1' is not a number from 0 to 65535"},
           {{"--icmp-type", "8/256"}, "--icmp-type: '256' is not a number from 0 to 255"},
           {{"--protocol", "x"}, "--protocol: 'x'"}}) {
    Words all = {"--from", "shop/web", "--to", "shop/db"};
    all.insert(all.end(), words.begin(), words.end());
    const auto got = explain(all);
    EXPECT_EQ(got.code, 2);
    EXPECT_EQ(got.out, "");
    EXPECT_THAT(got.err, AllOf(StartsWith("margayctl: explain: "), HasSubstr(says)));
  }
}

TEST(Version, TellsOfAnAgentThatIsNotRunning) {
  const auto client = ctl({"version", "--client"});
  EXPECT_EQ(client.code, 0);
  EXPECT_THAT(client.out, StartsWith("Client Version:    "));
  EXPECT_EQ(ctl({"version"}).out, client.out + "Agent Version:     not running\n");
}

}  // namespace
}  // namespace margay::cmd_tests

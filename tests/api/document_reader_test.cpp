#include "api/codec/document_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <rapidcheck/gtest.h>
#include <nlohmann/json.hpp>

namespace margay::api {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct Read {
  std::vector<json> objects;
  std::vector<DocumentPlace> places;
  std::optional<ReadProblem> problem;
};

template <class Reader>
Read collect(Reader reader) {
  Read out;
  const ObjectSink sink = [&](const DocumentPlace& place, json& object) {
    out.places.push_back(place);
    out.objects.push_back(std::move(object));
  };
  out.problem = reader(sink);
  return out;
}
Read yaml(std::string_view text, DocumentLimits limits = {}) {
  return collect([&](const ObjectSink& sink) { return readYaml(text, limits, sink); });
}
Read fromJson(std::string_view text, DocumentLimits limits = {}) {
  return collect([&](const ObjectSink& sink) { return readJson(text, limits, sink); });
}

TEST(DocumentReader, GivesEachDocumentOfAFile) {
  const auto got = yaml("kind: A\n---\nkind: B\n---\n# nothing\n---\nkind: C\n");
  EXPECT_FALSE(got.problem);
  EXPECT_THAT(got.objects,
              ElementsAre(json{{"kind", "A"}}, json{{"kind", "B"}}, json{{"kind", "C"}}));
  EXPECT_EQ(got.places.back().document, 4);
}

TEST(DocumentReader, ResolvesPlainScalarsAsKubectlDoes) {
  const auto got = yaml(
      "a: yes\ny: n\nb: 'yes'\nc: 8080\nd: \"8080\"\ne: 0x1F\nf: 010\ng: 1.5\nh: 1e3\ni: ~\nj:\nk: "
      "off\nl: 1_000\n"
      "m: -7\nnn: 10.0.0.1\no: 10.0.0.0/8\np: 1.2.3\nq: !!str 5\nr: 2020-01-01\ns: .inf\nt: "
      "0o17\nu: |\n  9\nv: 09\nw: \"-\"\n");
  ASSERT_FALSE(got.problem) << got.problem->str();
  const json expected = {
      {"a", true},         {"y", "n"},     {"b", "yes"}, {"c", 8080},         {"d", "8080"},
      {"e", 31},           {"f", 8},       {"g", 1.5},   {"h", 1000.0},       {"i", nullptr},
      {"j", nullptr},      {"k", false},   {"l", 1000},  {"m", -7},           {"nn", "10.0.0.1"},
      {"o", "10.0.0.0/8"}, {"p", "1.2.3"}, {"q", "5"},   {"r", "2020-01-01"}, {"s", ".inf"},
      {"t", 15},           {"u", "9\n"},   {"v", 9},     {"w", "-"}};
  for (const auto& [name, value] : expected.items()) {
    EXPECT_EQ(got.objects.at(0).at(name), value) << name;
  }
}

TEST(DocumentReader, FollowsAnchorsAliasesAndMergeKeys) {
  const auto got = yaml(
      "base: &b {x: 1, z: [2]}\nsame: *b\nmore:\n  <<: *b\n  x: 3\nmany:\n  <<: [{p: 1, q: 1}, {q: "
      "2, r: 2}]\n&k key: *k\n");
  ASSERT_FALSE(got.problem) << got.problem->str();
  EXPECT_EQ(got.objects.at(0).at("same"), (json{{"x", 1}, {"z", {2}}}));
  EXPECT_EQ(got.objects.at(0).at("more"), (json{{"x", 3}, {"z", {2}}}));
  EXPECT_EQ(got.objects.at(0).at("many"), (json{{"p", 1}, {"q", 1}, {"r", 2}}));
  EXPECT_EQ(got.objects.at(0).at("key"), "key");
}

TEST(DocumentReader, NamesDocumentAndLineOfASyntaxError) {
  const auto got = yaml("kind: A\n---\nkind: B\nspec: [1, 2\n");
  ASSERT_TRUE(got.problem);
  EXPECT_EQ(got.problem->document, 2);
  EXPECT_GE(got.problem->line, 4);
  EXPECT_THAT(got.objects, ElementsAre(json{{"kind", "A"}}));
}

TEST(DocumentReader, RefusesDuplicateKeys) {
  const auto inYaml = yaml("kind: A\nmetadata:\n  name: x\n  name: y\n");
  ASSERT_TRUE(inYaml.problem);
  EXPECT_EQ(inYaml.problem->str(), "document 1, line 4: duplicate key \"name\"");
  const auto inJson = fromJson("{\"kind\": \"A\",\n \"kind\": \"B\"}");
  ASSERT_TRUE(inJson.problem);
  EXPECT_EQ(inJson.problem->str(), "document 1, line 2: duplicate key \"kind\"");
}

TEST(DocumentReader, StopsAnAliasBomb) {
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 20; ++i) {
    const std::string last = "*a" + std::to_string(i - 1);
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + last;
    for (int j = 1; j < 10; ++j) bomb += ", " + last;
    bomb += "]\n";
  }
  const auto got = yaml(bomb);
  ASSERT_TRUE(got.problem);
  EXPECT_THAT(got.problem->reason, HasSubstr("more than 1000000 values"));
}

TEST(DocumentReader, RefusesAnAliasInsideItself) {
  EXPECT_TRUE(yaml("a: &a [*a]\n").problem);
}

TEST(DocumentReader, EndsAtStrayFlowCharacters) {
  for (const char* text : {"]", "}", ",", "a: 1\n---\n}", "kind: A\n]\n"})
    EXPECT_TRUE(yaml(text).problem) << text;
}

TEST(DocumentReader, RefusesDeepNesting) {
  EXPECT_TRUE(yaml("a: " + std::string(5000, '[') + std::string(5000, ']')).problem);
  const auto got = fromJson("{\"a\":" + std::string(100000, '[') + std::string(100000, ']') + "}");
  ASSERT_TRUE(got.problem);
  EXPECT_THAT(got.problem->reason, HasSubstr("deeper"));
}

TEST(DocumentReader, RefusesTextsAboveTheLimit) {
  EXPECT_THAT(yaml("kind: A\n", {.maxBytes = 4}).problem->reason, HasSubstr("larger than 4 bytes"));
  EXPECT_THAT(fromJson("{\"kind\": 1}", {.maxBytes = 4}).problem->reason,
              HasSubstr("larger than 4 bytes"));
}

TEST(DocumentReader, RefusesWhatIsNoObject) {
  EXPECT_TRUE(yaml("just text\n").problem);
  EXPECT_TRUE(yaml("- a\n- b\n").problem);
  EXPECT_TRUE(fromJson("[1]").problem);
  EXPECT_TRUE(yaml("kind: List\nitems: [3]\n").problem);
}

TEST(DocumentReader, DropsManagedFieldsOnly) {
  const auto got = fromJson(
      R"({"kind":"List","items":[{"kind":"A","metadata":{"managedFields":[{"a":[1,{"b":2}]}],"name":"x"},
          "spec":{"managedFields":1}}]})");
  ASSERT_FALSE(got.problem);
  EXPECT_EQ(got.objects.at(0),
            json::parse(R"({"kind":"A","metadata":{"name":"x"},"spec":{"managedFields":1}})"));
  const auto single = yaml("kind: A\nmetadata:\n  managedFields: text\n  name: x\n");
  EXPECT_EQ(single.objects.at(0), json::parse(R"({"kind":"A","metadata":{"name":"x"}})"));
}

TEST(DocumentReader, GivesTheEntriesOfAListOneByOne) {
  for (const auto& got :
       {fromJson(R"({"apiVersion":"v1","items":[{"kind":"A"},{"kind":"B"}],"kind":"List"})"),
        yaml("apiVersion: v1\nkind: List\nitems:\n- kind: A\n- kind: B\n")}) {
    ASSERT_FALSE(got.problem);
    EXPECT_THAT(got.objects, ElementsAre(json{{"kind", "A"}}, json{{"kind", "B"}}));
    EXPECT_THAT(got.places, ElementsAre(DocumentPlace{1, 0}, DocumentPlace{1, 1}));
  }
}

TEST(DocumentReader, EntriesOfATypedListTakeItsKind) {
  for (const char* text :
       {R"({"kind":"PodList","apiVersion":"v1","items":[{"metadata":{"name":"a"}}]})",
        R"({"apiVersion":"v1","items":[{"metadata":{"name":"a"}}],"kind":"PodList"})"}) {
    const auto got = fromJson(text);
    ASSERT_FALSE(got.problem);
    EXPECT_THAT(
        got.objects,
        ElementsAre(json::parse(R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"}})")));
  }
}

TEST(DocumentReader, ListsInListsAndEmptyListsWork) {
  const auto got = yaml(
      "kind: List\nitems:\n- kind: PodList\n  apiVersion: v1\n  items: [{x: 1}]\n---\nkind: "
      "List\nitems: []\n");
  ASSERT_FALSE(got.problem);
  EXPECT_THAT(got.objects, ElementsAre(json{{"kind", "Pod"}, {"apiVersion", "v1"}, {"x", 1}}));
}

TEST(DocumentReader, AListWithoutKindIsAProblem) {
  EXPECT_TRUE(fromJson(R"({"items":[{"kind":"A"}]})").problem);
  EXPECT_TRUE(fromJson(R"({"items":[{"kind":"A"}],"kind":"Deployment"})").problem);
}

TEST(DocumentReader, StreamsJsonFromADescriptor) {
  int ends[2] = {-1, -1};
  ASSERT_EQ(pipe(ends), 0);
  const std::string text = "  {\"kind\": \"List\", \"items\": [{\"kind\": \"A\"}]}\n";
  ASSERT_EQ(write(ends[1], text.data(), text.size()), static_cast<ssize_t>(text.size()));
  close(ends[1]);
  const auto got = collect([&](const ObjectSink& sink) { return readJson(ends[0], {}, sink); });
  close(ends[0]);
  EXPECT_FALSE(got.problem);
  EXPECT_EQ(got.objects.size(), 1U);
}

TEST(DocumentReader, ReadsEmptyTextsAsNothing) {
  EXPECT_THAT(yaml("").objects, IsEmpty());
  EXPECT_FALSE(yaml("# only a comment\n").problem);
  EXPECT_FALSE(fromJson(" \n").problem);
}

TEST(DocumentReader, GuessesTheFormatOfAText) {
  const auto guess = [](std::string_view text) {
    return collect([&](const ObjectSink& sink) { return readDocuments(text, {}, sink); });
  };
  EXPECT_EQ(guess("{\"kind\": \"A\"}").objects.size(), 1U);
  EXPECT_EQ(guess("{kind: A}\n---\nkind: B\n").objects.size(), 2U);
  EXPECT_TRUE(guess("{\"kind\": ").problem);
}

RC_GTEST_PROP(DocumentReaderProperty, JsonTextMeansTheSameInBothReaders, ()) {
  const auto names = *rc::gen::container<std::vector<std::string>>(
      rc::gen::nonEmpty(rc::gen::container<std::string>(rc::gen::inRange('a', 'z'))));
  json object = {{"kind", "A"}};
  for (std::size_t i = 0; i < names.size(); ++i) {
    object["f" + names[i]] = i % 3 == 0   ? json(names[i])
                             : i % 3 == 1 ? json(i)
                                          : json{{"in", {names[i], nullptr, true}}};
  }
  const auto a = yaml(object.dump());
  const auto b = fromJson(object.dump(2));
  RC_ASSERT(!a.problem && !b.problem);
  RC_ASSERT(a.objects == std::vector<json>{object});
  RC_ASSERT(b.objects == std::vector<json>{object});
}

RC_GTEST_PROP(DocumentReaderProperty, AnyTextEndsWithoutHarm, (const std::string& text)) {
  (void)yaml(text);
  (void)fromJson(text);
}

}  // namespace
}  // namespace margay::api

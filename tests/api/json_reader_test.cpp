#include "api/codec/json_reader.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

namespace margay::api {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

class JsonReaderTest : public ::testing::Test {
 protected:
  JsonReader read(const char* text, UnknownFields unknown = UnknownFields::Ignored) {
    document_ = nlohmann::json::parse(text);
    return {document_, errors_, unknown};
  }
  nlohmann::json document_;
  std::vector<FieldError> errors_;
};

TEST_F(JsonReaderTest, ReadsEachType) {
  const auto reader = read(
      R"({"s":"x","b":true,"i":7,"d":1.5,"l":["a","b"],"m":{"k":"v"},"o":{"p":1},"a":[{"q":"z"}]})");
  EXPECT_EQ(reader.string("s"), "x");
  EXPECT_EQ(reader.boolean("b"), true);
  EXPECT_EQ(reader.integer("i", 0, 10), 7);
  EXPECT_EQ(reader.number("d"), 1.5);
  EXPECT_EQ(reader.number("i"), 7.0);
  EXPECT_THAT(reader.strings("l"), ElementsAre("a", "b"));
  EXPECT_THAT(reader.stringMap("m"), ElementsAre(Pair("k", "v")));
  EXPECT_EQ(reader.object("o")->integer("p", 0, 1), 1);
  EXPECT_EQ(reader.objects("a").at(0).string("q"), "z");
  EXPECT_THAT(errors_, IsEmpty());
}

TEST_F(JsonReaderTest, TakesNullAsAbsent) {
  const auto reader = read(R"({"s":null,"o":null,"l":null})");
  EXPECT_FALSE(reader.has("s"));
  EXPECT_EQ(reader.string("s"), std::nullopt);
  EXPECT_FALSE(reader.object("o"));
  EXPECT_THAT(reader.strings("l"), IsEmpty());
  EXPECT_EQ(reader.stringOr("s", "fallback"), "fallback");
  EXPECT_THAT(errors_, IsEmpty());
}

TEST_F(JsonReaderTest, NamesThePathAndTheExpectedType) {
  const auto reader = read(R"({"spec":{"ingress":[{},{"source":{"selector":5,"nets":["a",1]}}]}})");
  const auto source = reader.object("spec")->objects("ingress").at(1).object("source");
  EXPECT_EQ(source->string("selector"), std::nullopt);
  EXPECT_THAT(source->strings("nets"), ElementsAre("a"));
  EXPECT_THAT(
      errors_,
      ElementsAre(
          FieldError{"spec.ingress[1].source.selector", "expected a string, found a number"},
          FieldError{"spec.ingress[1].source.nets[1]", "expected a string, found a number"}));
}

TEST_F(JsonReaderTest, HoldsIntegersToTheirRange) {
  const auto reader = read(R"({"big":18446744073709551615,"low":-1,"fraction":1.5,"text":"1"})");
  for (const char* key : {"big", "low", "fraction", "text"})
    EXPECT_EQ(reader.integer(key, 0, 255), std::nullopt);
  ASSERT_EQ(errors_.size(), 4U);
  EXPECT_EQ(errors_[0].reason,
            "18446744073709551615 is out of range; use a whole number from 0 to 255");
  EXPECT_EQ(errors_[2].reason, "expected a whole number, found a number with a fraction");
}

TEST_F(JsonReaderTest, ReportsUnknownFieldsOnlyWhenAsked) {
  read(R"({"spce":{},"kind":"x"})").onlyFields({"kind", "spec"});
  EXPECT_THAT(errors_, IsEmpty());
  read(R"({"spce":{},"kind":"x"})", UnknownFields::Errors).onlyFields({"kind", "spec"});
  ASSERT_EQ(errors_.size(), 1U);
  EXPECT_EQ(errors_[0].field, "spce");
}

TEST_F(JsonReaderTest, ReadsADocumentThatIsNoObjectAsEmpty) {
  const auto reader = read("[1]");
  EXPECT_FALSE(reader.has("kind"));
  EXPECT_THAT(reader.keys(), IsEmpty());
  EXPECT_THAT(errors_, ElementsAre(FieldError{"", "expected an object, found a list"}));
}

}  // namespace
}  // namespace margay::api

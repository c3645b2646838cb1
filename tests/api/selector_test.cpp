#include "api/selector/selector.h"

#include <gmock/gmock.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

namespace margay::api {
namespace {

using testing::HasSubstr;

Selector selector(std::string_view text) {
  auto parsed = Selector::parse(text);
  EXPECT_TRUE(parsed) << text << ": " << parsed.error().what;
  return parsed.value_or(Selector());
}

struct MatchCase {
  const char* text;
  std::vector<LabelMap> matches;
  std::vector<LabelMap> others;
};

const std::vector<MatchCase>& matchCases() {
  static const std::vector<MatchCase> kCases = {
      {R"(a == "b")", {{{"a", "b"}}, {{"a", "b"}, {"c", "d"}}}, {{}, {{"a", "c"}}, {{"c", "d"}}}},
      {R"(a == "b" && c == "d")",
       {{{"a", "b"}, {"c", "d"}}},
       {{}, {{"a", "b"}, {"c", "e"}}, {{"c", "d"}}, {{"a", "b"}}}},
      {R"(a == "b" || c == "d")",
       {{{"a", "b"}}, {{"c", "d"}}, {{"a", "b"}, {"c", "d"}}},
       {{}, {{"a", "e"}, {"c", "e"}}}},
      {R"(a in {"'", '"', "c"})", {{{"a", "c"}}, {{"a", "\""}}, {{"a", "'"}}}, {{}, {{"a", "e"}}}},
      {R"(a not in {"'", '"', "c"})",
       {{}, {{"a", "e"}}},
       {{{"a", "c"}}, {{"a", "\""}}, {{"a", "'"}}}},
      {"a != 'a'", {{}, {{"a", "b"}}}, {{{"a", "a"}}}},
      {R"(a contains "a")", {{{"a", "a"}}, {{"a", "bab"}}}, {{}, {{"a", "b"}}, {{"b", "aaa"}}}},
      {R"(a starts with "a")",
       {{{"a", "a"}}, {{"a", "abb"}}},
       {{}, {{"a", "baa"}}, {{"b", "aaa"}}}},
      {R"(a ends with "a")", {{{"a", "a"}}, {{"a", "bba"}}}, {{}, {{"a", "aab"}}, {{"b", "aaa"}}}},
      {R"(!a in {"a"})", {{{"a", "b"}}, {}}, {{{"a", "a"}}}},
      {"a in {}", {}, {{}, {{"a", ""}}}},
      {"a not in {}", {{}, {{"a", "x"}}}, {}},
      {"has(a)", {{{"a", ""}}}, {{}, {{"b", "b"}}}},
      {"! has(a)", {{{"b", "b"}}}, {{{"a", "b"}}}},
      {"!!has(b)", {{{"b", "x"}}}, {{{"a", "b"}}}},
      {"!! ! has(a)", {{}}, {{{"a", "b"}}}},
      {" ", {{}, {{"a", "b"}}}, {}},
      {" all()", {{}, {{"a", "b"}}}, {}},
      {" global()", {{}, {{"a", "b"}}}, {}},
      {"a != 'a1' && !b == 'b1'", {{}}, {{{"a", "a1"}, {"b", "b1"}}}},
      {"!(!has(a) || has(b))", {{{"a", "a"}}}, {{}, {{"a", "a"}, {"b", ""}}}},
      {"a == 'x' || a == 'y' && b == 'z'",
       {{{"a", "x"}}, {{"a", "y"}, {"b", "z"}}},
       {{{"a", "y"}}, {{"b", "z"}}}},
      {"(a == 'x' || a == 'y') && b == 'z'", {{{"a", "x"}, {"b", "z"}}}, {{{"a", "x"}}}},
      {R"(contains contains "contains")", {{{"contains", "xcontainsx"}}}, {{}}},
      {R"(has == "has")", {{{"has", "has"}}}, {{}}},
  };
  return kCases;
}

TEST(Selector, MatchesLabelsAsCalicoDoes) {
  for (const auto& [text, matches, others] : matchCases()) {
    const Selector parsed = selector(text);
    const Selector again = selector(parsed.canonical());
    for (const LabelMap& labels : matches) {
      EXPECT_TRUE(parsed.matches(Labels(labels))) << text;
      EXPECT_TRUE(again.matches(Labels(labels))) << text;
    }
    for (const LabelMap& labels : others) {
      EXPECT_FALSE(parsed.matches(Labels(labels))) << text;
      EXPECT_FALSE(again.matches(Labels(labels))) << text;
    }
  }
}

TEST(Selector, WritesOneCanonicalForm) {
  const std::vector<std::pair<const char*, const char*>> cases = {
      {"", "all()"},
      {" all() ", "all()"},
      {" (all() )", "all()"},
      {"global( )", "global()"},
      {"! (has( b)||! has(a ))", "!(has(b) || !has(a))"},
      {R"(! (a == "b"&&! c != "d"))", R"(!(a == "b" && !c != "d"))"},
      {R"(a == "'")", R"(a == "'")"},
      {R"(a == '"')", R"(a == '"')"},
      {R"(a contains '"')", R"(a contains '"')"},
      {R"(a startswith '"')", R"(a starts with '"')"},
      {R"(a endswith "'")", R"(a ends with "'")"},
      {R"(a!='"')", R"(a != '"')"},
      {R"(a in {"d"})", R"(a in {"d"})"},
      {R"(a in {"z", 'z',"x" , "y", "x", "a",})", R"(a in {"a", "x", "y", "z"})"},
      {R"(a notin{"b",'"'})", R"(a not in {'"', "b"})"},
      {"a in { }", "a in {}"},
      {"has(a)&&has(b)&&has(c)", "(has(a) && has(b) && has(c))"},
      {"(has(a)&&has(b))&&has(c)", "((has(a) && has(b)) && has(c))"},
      {"has(a)||has(b)&&has(c)", "(has(a) || (has(b) && has(c)))"},
      {"!!!has(a)", "!has(a)"},
      {"!!has(a)", "has(a)"},
      {"!(!has(a))", "!!has(a)"},
      {"(((a == 'x')))", R"(a == "x")"},
      {"a\tstarts\t with'x'", R"(a starts with "x")"},
  };
  for (const auto& [text, canonical] : cases)
    EXPECT_EQ(selector(text).canonical(), canonical) << text;
}

TEST(Selector, RejectsWhatCalicoRejects) {
  for (const char* text : {"b == b",
                           "b contains b",
                           "b starts with b",
                           "b ends with b",
                           "'b1' == b",
                           "b",
                           "a b",
                           "!",
                           "foo == \"bar\" &",
                           "foo == \"bar\" |",
                           "foo != ||",
                           "foo in {\"\", ||",
                           "foo in \"\"",
                           "\"FOO",
                           "\"FOO'",
                           "'FOO",
                           "(",
                           "(a == \"foo\"",
                           ")",
                           "()",
                           "%",
                           "a == \"b\" && %",
                           "a == \"b\" || %",
                           "a ",
                           "has(foo) &&",
                           "label starts foo \"value\"",
                           "label ends foo \"value\"",
                           "label squiggles \"value\"",
                           "a = 'b'",
                           "has()",
                           "has(a",
                           "all(",
                           "all(x)",
                           "global(",
                           "a in {,}",
                           "a in {'x' 'y'}",
                           "a == 'b' c == 'd'",
                           "has(a)has(b)",
                           "a\n== 'b'",
                           "a not 'b'",
                           "a == 'b')"}) {
    EXPECT_FALSE(Selector::parse(text)) << text;
  }
}

TEST(Selector, SaysWhereTheProblemIsAndWhatWasExpected) {
  EXPECT_EQ(Selector::parse("a = 'b'").error().what, "expected == at position 3");
  EXPECT_EQ(Selector::parse("a == b").error().what, "expected a quoted string at position 6");
  EXPECT_EQ(Selector::parse("(has(a)").error().what, "expected ), && or || at position 8");
  EXPECT_EQ(Selector::parse("has(a) has(b)").error().what,
            "expected &&, || or the end at position 8");
  EXPECT_EQ(Selector::parse("a == 'b").error().what,
            "unterminated string, expected a closing ' at position 6");
  EXPECT_THAT(Selector::parse("role foo").error().what,
              HasSubstr("expected an operator after label 'role'"));
  EXPECT_EQ(Selector::parse("x").error().code, Errc::Invalid);
}

TEST(Selector, BoundsNestingInsteadOfExhaustingTheStack) {
  const auto nested = [](std::size_t depth) {
    return std::string(depth, '(') + "has(a)" + std::string(depth, ')');
  };
  EXPECT_EQ(selector(nested(kMaxSelectorDepth)).canonical(), "has(a)");
  EXPECT_FALSE(Selector::parse(nested(kMaxSelectorDepth + 1)));
  EXPECT_FALSE(Selector::parse(std::string(1'000'000, '(')));
  EXPECT_EQ(selector(std::string(100'001, '!') + "has(a)").canonical(), "!has(a)");

  std::string deep;
  for (int i = 0; i < 600; ++i) deep += "has(a) || has(b) && (";
  deep += "has(c)" + std::string(600, ')');
  EXPECT_FALSE(Selector::parse(deep)) << "its canonical form would be 1200 deep";
}

TEST(Selector, PrefixesEveryLabel) {
  const auto prefixed = [](std::string_view text) {
    return selector(text).withPrefix("visited/").canonical();
  };
  EXPECT_EQ(prefixed("k contains 'v'"), R"(visited/k contains "v")");
  EXPECT_EQ(prefixed("k not in {'v'}"), R"(visited/k not in {"v"})");
  EXPECT_EQ(prefixed("!(k == 'v')"), R"(!visited/k == "v")");
  EXPECT_EQ(prefixed("all()"), "all()");
  EXPECT_EQ(prefixed("!(!(k == 'v' && has(t) || all()) && (a in {'b', 'c'}))"),
            R"(!(!((visited/k == "v" && has(visited/t)) || all()) && visited/a in {"b", "c"}))");
}

LabelRestriction oneOf(std::vector<std::string> values) {
  return {.mustBePresent = true, .mustBeAbsent = false, .mustHaveOneOf = std::move(values)};
}

TEST(Selector, KnowsWhatLabelsMustBeLike) {
  const LabelRestriction present{
      .mustBePresent = true, .mustBeAbsent = false, .mustHaveOneOf = std::nullopt};
  const LabelRestriction absent{
      .mustBePresent = false, .mustBeAbsent = true, .mustHaveOneOf = std::nullopt};
  const LabelRestriction never{
      .mustBePresent = true, .mustBeAbsent = true, .mustHaveOneOf = std::nullopt};
  const std::vector<std::pair<const char*, LabelRestrictions>> cases = {
      {"", {}},
      {"global()", {}},
      {"a == 'v'", {{"a", oneOf({"v"})}}},
      {"has(a)", {{"a", present}}},
      {"a in {'v2','v1'}", {{"a", oneOf({"v1", "v2"})}}},
      {"a not in {'v1'}", {}},
      {"a != 'v'", {}},
      {"a contains 'v'", {{"a", present}}},
      {"a starts with 'v'", {{"a", present}}},
      {"a ends with 'v'", {{"a", present}}},
      {"a == 'v1' && a == 'v2'", {{"a", oneOf({})}}},
      {"a == 'v1' && has(a)", {{"a", oneOf({"v1"})}}},
      {"a in {'v1','v2'} && a in {'v2','v3'} ", {{"a", oneOf({"v2"})}}},
      {"has(a) && !has(a)", {{"a", never}}},
      {"a == 'v1' && b == 'v2'", {{"a", oneOf({"v1"})}, {"b", oneOf({"v2"})}}},
      {"all() && a == 'v1'", {{"a", oneOf({"v1"})}}},
      {"a == 'v1' || a == 'v2'", {{"a", oneOf({"v1", "v2"})}}},
      {"has(a) || a == 'v2'", {{"a", present}}},
      {"a=='v2' || has(b)", {}},
      {"a=='v2' || (has(b) && has(a))", {{"a", present}}},
      {"a == 'v1' || all()", {}},
      {"!has(a) || !has(a)", {{"a", absent}}},
      {"!(a == 'value')", {}},
      {"!has(a)", {{"a", absent}}},
      {"!!has(a)", {{"a", present}}},
  };
  for (const auto& [text, restrictions] : cases)
    EXPECT_EQ(selector(text).restrictions(), restrictions) << text;
}

TEST(Selector, ComparesByCanonicalText) {
  EXPECT_EQ(selector("a=='x'"), selector("(a == \"x\")"));
  EXPECT_FALSE(selector("a=='x'") == selector("a == 'y'"));
  EXPECT_EQ(Selector(), selector(""));
}

class Layered : public LabelSource {
 public:
  Layered(Labels own, Labels inherited) : own_(std::move(own)), inherited_(std::move(inherited)) {}
  [[nodiscard]] std::optional<std::string_view> get(std::string_view key) const override {
    const auto value = own_.get(key);
    return value ? value : inherited_.get(key);
  }

 private:
  Labels own_;
  Labels inherited_;
};

TEST(Selector, MatchesLabelsFromLayersWhereTheOwnOneWins) {
  const Layered labels(Labels(LabelMap{{"app", "own"}}),
                       Labels(LabelMap{{"app", "inherited"}, {"pcns.env", "prod"}}));
  EXPECT_TRUE(selector("app == 'own' && pcns.env == 'prod'").matches(labels));
  EXPECT_FALSE(selector("app == 'inherited'").matches(labels));
}

/// Expressions over few labels and values, so that they match often.
std::string expression(int depth) {
  const auto pick = [](int count) { return *rc::gen::inRange(0, count); };
  const std::string label(1, static_cast<char>('a' + pick(3)));
  const std::string value = std::string("'") + static_cast<char>('x' + pick(3)) + "'";
  switch (pick(depth > 0 ? 11 : 8)) {
    case 0:
      return label + "==" + value;
    case 1:
      return label + " != " + value;
    case 2:
      return "has( " + label + ")";
    case 3:
      return label + " in {" + value + ", 'x'}";
    case 4:
      return label + " not in {" + value + ", 'y'}";
    case 5:
      return label + " contains " + value;
    case 6:
      return "all()";
    case 7:
      return label + " starts with " + value;
    case 8:
      return "!(" + expression(depth - 1) + ")";
    case 9:
      return "(" + expression(depth - 1) + ") && " + expression(depth - 1);
    default:
      return "(" + expression(depth - 1) + ") || " + expression(depth - 1);
  }
}

Labels someLabels() {
  LabelMap pairs;
  for (const char* key : {"a", "b", "c"}) {
    if (*rc::gen::inRange(0, 3) > 0)
      pairs.emplace_back(key, std::string(1, static_cast<char>('x' + *rc::gen::inRange(0, 3))));
  }
  return Labels(pairs);
}

RC_GTEST_PROP(SelectorProperty, CanonicalFormMeansTheSame, ()) {
  const Selector parsed = selector(expression(4));
  const Selector again = selector(parsed.canonical());
  const Labels labels = someLabels();
  RC_ASSERT(parsed.matches(labels) == again.matches(labels));
}

RC_GTEST_PROP(SelectorProperty, WhatMatchesMeetsEveryRestriction, ()) {
  const Selector parsed = selector(expression(4));
  const Labels labels = someLabels();
  RC_PRE(parsed.matches(labels));
  for (const auto& [label, restriction] : parsed.restrictions()) {
    const auto value = labels.get(label);
    RC_ASSERT(!restriction.mustBePresent || value);
    RC_ASSERT(!restriction.mustBeAbsent || !value);
    if (restriction.mustHaveOneOf) {
      const auto& values = *restriction.mustHaveOneOf;
      RC_ASSERT(std::find(values.begin(), values.end(), *value) != values.end());
    }
  }
}

RC_GTEST_PROP(SelectorProperty, AnyBytesParseOrFailCleanly, (const std::string& text)) {
  const auto parsed = Selector::parse(text);
  if (parsed) RC_ASSERT(Selector::parse(parsed->canonical()));
}

}  // namespace
}  // namespace margay::api

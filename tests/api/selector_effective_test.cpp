#include "api/selector/effective.h"

#include <gtest/gtest.h>

namespace margay::api {
namespace {

std::string text(const std::optional<Selector>& selector) {
  return selector ? selector->canonical() : "";
}

TEST(PolicySelector, KeepsANamespacedPolicyInItsNamespace) {
  Policy policy;
  policy.ns = "ns2";
  EXPECT_EQ(policySelector(policy).canonical(), R"(projectcalico.org/namespace == "ns2")");
  policy.selector = "mylabel == 'selectme'";
  EXPECT_EQ(policySelector(policy).canonical(),
            R"((mylabel == "selectme" && projectcalico.org/namespace == "ns2"))");
  policy.serviceAccountSelector = "role == 'development'";
  EXPECT_EQ(
      policySelector(policy).canonical(),
      R"(((mylabel == "selectme" && projectcalico.org/namespace == "ns2") && pcsa.role == "development"))");
  policy.serviceAccountSelector = "all()";
  EXPECT_EQ(policySelector(policy).canonical(),
            R"(((mylabel == "selectme" && projectcalico.org/namespace == "ns2") && all()))");
}

TEST(PolicySelector, FoldsNamespacesAndServiceAccountsOfAGlobalPolicy) {
  Policy policy;
  EXPECT_EQ(policySelector(policy).canonical(), "all()");
  policy.selector = "mylabel == 'selectme'";
  EXPECT_EQ(policySelector(policy).canonical(), R"(mylabel == "selectme")");
  policy.namespaceSelector = "all()";
  EXPECT_EQ(policySelector(policy).canonical(),
            R"((mylabel == "selectme" && has(projectcalico.org/namespace)))");
  policy.namespaceSelector = "name == 'testing'";
  policy.serviceAccountSelector = "role == 'development'";
  EXPECT_EQ(policySelector(policy).canonical(),
            R"(((mylabel == "selectme" && pcns.name == "testing") && pcsa.role == "development"))");
  policy.selector.clear();
  EXPECT_EQ(policySelector(policy).canonical(),
            R"((pcns.name == "testing" && pcsa.role == "development"))");
  policy.namespaceSelector.clear();
  EXPECT_EQ(policySelector(policy).canonical(), R"(pcsa.role == "development")");
  policy.serviceAccountSelector = "all()";
  policy.selector = "mylabel == 'selectme'";
  EXPECT_EQ(policySelector(policy).canonical(),
            R"((mylabel == "selectme" && has(projectcalico.org/serviceaccount)))");
}

TEST(RuleSelector, KeepsAPodSelectorInThePolicysNamespace) {
  EntityRule end;
  end.selector = R"(projectcalico.org/orchestrator == "k8s" && app == "fe")";
  EXPECT_EQ(
      text(ruleSelector(end, "default")),
      R"((projectcalico.org/namespace == "default" && (projectcalico.org/orchestrator == "k8s" && app == "fe")))");
  EXPECT_EQ(text(ruleSelector(end, "")),
            R"((projectcalico.org/orchestrator == "k8s" && app == "fe"))");
}

TEST(RuleSelector, IsAbsentWithoutSelectors) {
  EXPECT_EQ(ruleSelector({}, "default"), std::nullopt);
  EXPECT_EQ(ruleNotSelector({}, "default"), std::nullopt);
}

TEST(RuleSelector, TakesNamespacesFromTheNamespaceSelector) {
  EntityRule end;
  end.namespaceSelector = "!has(key) || (has(key) && !key in {'value'})";
  EXPECT_EQ(text(ruleSelector(end, "default")),
            R"((!has(pcns.key) || (has(pcns.key) && !pcns.key in {"value"})))");
  end.selector = "has(label2)";
  end.namespaceSelector = "all()";
  EXPECT_EQ(text(ruleSelector(end, "default")),
            "(has(projectcalico.org/namespace) && has(label2))");
  end.namespaceSelector = "global()";
  EXPECT_EQ(text(ruleSelector(end, "default")),
            "(!has(projectcalico.org/namespace) && has(label2))");
}

TEST(RuleSelector, CombinesServiceAccounts) {
  EntityRule end;
  end.serviceAccountNames = {"sa2", "sa1"};
  end.serviceAccountSelector = "key == 'value1'";
  EXPECT_EQ(text(ruleSelector(end, "ns")),
            R"((projectcalico.org/namespace == "ns" && (pcsa.key == "value1" && )"
            R"(projectcalico.org/serviceaccount in {"sa1", "sa2"})))");
  EXPECT_EQ(text(ruleSelector(end, "")),
            R"((pcsa.key == "value1" && projectcalico.org/serviceaccount in {"sa1", "sa2"}))");
  end.namespaceSelector = "nskey == 'nsvalue'";
  end.selector = "has(label1)";
  EXPECT_EQ(text(ruleSelector(end, "ns")),
            R"((pcns.nskey == "nsvalue" && ((pcsa.key == "value1" && )"
            R"(projectcalico.org/serviceaccount in {"sa1", "sa2"}) && has(label1))))");
}

TEST(RuleSelector, FoldsANotSelectorIntoAPositiveOne) {
  EntityRule end;
  end.notSelector = "has(label1)";
  EXPECT_EQ(text(ruleSelector(end, "ns")),
            R"((projectcalico.org/namespace == "ns" && !has(label1)))");
  EXPECT_EQ(ruleNotSelector(end, "ns"), std::nullopt);
  end.selector = "a == 'b'";
  EXPECT_EQ(text(ruleSelector(end, "")), R"((a == "b" && !has(label1)))");
}

TEST(RuleSelector, LeavesALoneNotSelectorNegative) {
  EntityRule end;
  end.notSelector = "has(label1) && has(label2)";
  EXPECT_EQ(ruleSelector(end, ""), std::nullopt);
  EXPECT_EQ(text(ruleNotSelector(end, "")), "(has(label1) && has(label2))");
}

TEST(RuleSelector, MatchesNothingWhenASelectorDoesNotParse) {
  EntityRule end;
  end.selector = "a =";
  const Labels labels(LabelMap{{"a", ""}});
  EXPECT_FALSE(ruleSelector(end, "")->matches(labels));
  Policy policy;
  policy.namespaceSelector = "a =";
  EXPECT_FALSE(policySelector(policy).matches(labels));
}

}  // namespace
}  // namespace margay::api

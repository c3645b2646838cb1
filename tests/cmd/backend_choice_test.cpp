#include "cmd/agent/backend_choice.h"

#include <gmock/gmock.h>

namespace margay::agent {
namespace {

using dataplane::RuleSurvey;
using ::testing::HasSubstr;

api::Parameters with(const std::map<std::string, std::string>& environment) {
  return api::Parameters::resolve({.environment = environment});
}
RuleSurvey kubeletUses(bool nft) {
  RuleSurvey out;
  (nft ? out.nft : out.legacy).kubernetes = "chain KUBE-KUBELET-CANARY";
  return out;
}
RuleSurvey kubeProxyInNftablesMode() {
  RuleSurvey out;
  out.nft.kubernetes = "table ip kube-proxy";
  out.kubeProxyUsesNft = true;
  return out;
}
RuleSurvey rules(std::size_t legacy, std::size_t nft) {
  RuleSurvey out;
  out.legacy.rules = legacy;
  out.nft.rules = nft;
  return out;
}

TEST(BackendChoice, AnOrderIsFollowedWhateverTheHostUses) {
  for (const auto& [text, backend] :
       {std::pair{"Legacy", Backend::Legacy}, std::pair{"NFT", Backend::Nft}}) {
    for (const bool nft : {false, true}) {
      const auto choice = chooseBackend(with({{"FELIX_IPTABLESBACKEND", text}}), kubeletUses(nft),
                                        nft ? Backend::Nft : Backend::Legacy);
      EXPECT_EQ(choice, (BackendChoice{backend, std::string("IptablesBackend is ") + text}));
    }
  }
}

TEST(BackendChoice, NFTablesModeGoesBeforeIptablesBackend) {
  const auto choose = [](const std::string& mode, const RuleSurvey& survey) {
    return chooseBackend(with({{"FELIX_IPTABLESBACKEND", "Legacy"}, {"FELIX_NFTABLESMODE", mode}}),
                         survey, Backend::Legacy);
  };
  EXPECT_EQ(choose("Enabled", {}), (BackendChoice{Backend::Nft, "NFTablesMode is Enabled"}));
  const auto follows = choose("Auto", kubeProxyInNftablesMode());
  EXPECT_EQ(follows.backend, Backend::Nft);
  EXPECT_THAT(follows.why, HasSubstr("kube-proxy runs in nftables mode"));
  EXPECT_EQ(choose("Auto", kubeletUses(true)).backend, Backend::Legacy)
      << "kubelet's iptables-nft is not kube-proxy's nftables mode";
  EXPECT_EQ(choose("Disabled", kubeProxyInNftablesMode()).backend, Backend::Legacy);
}

TEST(BackendChoice, AutoFollowsKubernetesThenTheMajorityOfRulesThenStays) {
  const auto choose = [](const RuleSurvey& survey, Backend running) {
    return chooseBackend(with({{"FELIX_IPTABLESBACKEND", "Auto"}}), survey, running);
  };
  auto survey = kubeletUses(false);
  survey.nft.rules = 100;
  EXPECT_EQ(choose(survey, Backend::Nft).backend, Backend::Legacy) << "few of Kubernetes' count";
  EXPECT_EQ(choose(kubeletUses(true), Backend::Legacy).backend, Backend::Nft);
  EXPECT_EQ(choose(rules(3, 2), Backend::Nft).backend, Backend::Legacy);
  EXPECT_EQ(choose(rules(2, 3), Backend::Legacy).backend, Backend::Nft);
  EXPECT_THAT(choose(rules(2, 3), Backend::Nft).why,
              HasSubstr("3 rules in nf_tables and 2 in legacy tables"));
  for (const auto running : {Backend::Legacy, Backend::Nft}) {
    EXPECT_EQ(choose(rules(2, 2), running).backend, running);
    EXPECT_EQ(choose({}, running), (BackendChoice{running, "nobody else has rules"}));
  }
}

}  // namespace
}  // namespace margay::agent

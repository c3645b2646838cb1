#include "cmd/agent/backend_choice.h"

namespace margay::agent {

BackendChoice chooseBackend(const api::Parameters& parameters, const dataplane::RuleSurvey& survey,
                            Backend running) {
  if (parameters.text("NFTablesMode") == "Enabled")
    return {Backend::Nft, "NFTablesMode is Enabled"};
  if (parameters.text("NFTablesMode") == "Auto" && survey.kubeProxyUsesNft)
    return {Backend::Nft, "kube-proxy runs in nftables mode, and NFTablesMode is Auto"};
  const auto& order = parameters.text("IptablesBackend");
  if (order == "Legacy") return {Backend::Legacy, "IptablesBackend is Legacy"};
  if (order == "NFT") return {Backend::Nft, "IptablesBackend is NFT"};
  const auto& legacy = survey.legacy;
  const auto& nft = survey.nft;
  if (!nft.kubernetes.empty())
    return {Backend::Nft, "kubelet or kube-proxy uses nf_tables (" + nft.kubernetes + ")"};
  if (!legacy.kubernetes.empty())
    return {Backend::Legacy,
            "kubelet or kube-proxy uses legacy tables (" + legacy.kubernetes + ")"};
  const auto counts = "others have " + std::to_string(nft.rules) + " rules in nf_tables and " +
                      std::to_string(legacy.rules) + " in legacy tables";
  if (nft.rules != legacy.rules)
    return {nft.rules > legacy.rules ? Backend::Nft : Backend::Legacy, counts};
  return {running, nft.rules == 0 ? "nobody else has rules" : counts};
}

}  // namespace margay::agent

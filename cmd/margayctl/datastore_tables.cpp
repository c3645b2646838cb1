#include "cmd/margayctl/datastore_tables.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

namespace margay::ctl {
namespace {

using Json = nlohmann::json;

struct Column {
  std::string title;
  std::string path;            // of fields, with '/' before each
  std::string otherwise = {};  // where that is empty
};
using Columns = std::vector<Column>;

const Column kName = {"NAME", "/metadata/name"};
const Column kOrder = {"ORDER", "/spec/order"};
const Column kTier = {"TIER", "/spec/tier"};
const Column kSelector = {"SELECTOR", "/spec/selector"};
const Column kWorkload = {"WORKLOAD", "/spec/workload", "/spec/pod"};

struct KindColumns {
  Columns narrow;
  Columns wide;
};

const KindColumns& columnsOf(std::string_view kindName) {
  static const KindColumns kPolicy = {{kName, kTier}, {kName, kTier, kOrder, kSelector}};
  static const KindColumns kSet = {{kName}, {kName, {"NETS", "/spec/nets"}}};
  static const std::map<std::string, KindColumns, std::less<>> kKinds = {
      {"NetworkPolicy", kPolicy},
      {"GlobalNetworkPolicy", kPolicy},
      {"StagedNetworkPolicy", kPolicy},
      {"StagedGlobalNetworkPolicy", kPolicy},
      {"NetworkSet", kSet},
      {"GlobalNetworkSet", kSet},
      {"Tier", {{kName, kOrder}, {kName, kOrder}}},
      {"Profile", {{kName}, {kName, {"LABELS", "/spec/labelsToApply"}}}},
      {"Node",
       {{kName},
        {kName,
         {"ASN", "/spec/bgp/asNumber"},
         {"IPV4", "/spec/bgp/ipv4Address"},
         {"IPV6", "/spec/bgp/ipv6Address"}}}},
      {"IPPool",
       {{kName, {"CIDR", "/spec/cidr"}, {"SELECTOR", "/spec/nodeSelector"}},
        {kName,
         {"CIDR", "/spec/cidr"},
         {"NAT", "/spec/natOutgoing"},
         {"IPIPMODE", "/spec/ipipMode"},
         {"VXLANMODE", "/spec/vxlanMode"},
         {"DISABLED", "/spec/disabled"},
         {"DISABLEBGPEXPORT", "/spec/disableBGPExport"},
         {"SELECTOR", "/spec/nodeSelector"}}}},
      {"WorkloadEndpoint",
       {{kWorkload,
         {"NODE", "/spec/node"},
         {"NETWORKS", "/spec/ipNetworks"},
         {"INTERFACE", "/spec/interfaceName"}},
        {kName,
         kWorkload,
         {"NODE", "/spec/node"},
         {"NETWORKS", "/spec/ipNetworks"},
         {"INTERFACE", "/spec/interfaceName"},
         {"PROFILES", "/spec/profiles"},
         {"NATS", "/spec/ipNATs"}}}},
      {"HostEndpoint",
       {{kName, {"NODE", "/spec/node"}},
        {kName,
         {"NODE", "/spec/node"},
         {"INTERFACE", "/spec/interfaceName"},
         {"IPS", "/spec/expectedIPs"},
         {"PROFILES", "/spec/profiles"}}}},
      {"FelixConfiguration",
       {{kName},
        {kName,
         {"LOGSEVERITY", "/spec/logSeverityScreen"},
         {"REPORTINGINTERVAL", "/spec/reportingInterval"}}}},
      {"ClusterInformation",
       {{kName},
        {kName,
         {"CLUSTERGUID", "/spec/clusterGUID"},
         {"CLUSTERTYPE", "/spec/clusterType"},
         {"CALICOVERSION", "/spec/calicoVersion"},
         {"DATASTOREREADY", "/spec/datastoreReady"}}}},
      {"BGPPeer",
       {{kName, {"PEERIP", "/spec/peerIP"}, {"NODE", "/spec/node"}, {"ASN", "/spec/asNumber"}},
        {kName, {"PEERIP", "/spec/peerIP"}, {"NODE", "/spec/node"}, {"ASN", "/spec/asNumber"}}}},
      {"BGPConfiguration",
       {{kName,
         {"LOGSEVERITY", "/spec/logSeverityScreen"},
         {"MESHENABLED", "/spec/nodeToNodeMeshEnabled"},
         {"ASNUMBER", "/spec/asNumber"}},
        {kName,
         {"LOGSEVERITY", "/spec/logSeverityScreen"},
         {"MESHENABLED", "/spec/nodeToNodeMeshEnabled"},
         {"ASNUMBER", "/spec/asNumber"}}}},
  };
  static const KindColumns kOther = {{kName}, {kName}};
  const auto found = kKinds.find(kindName);
  return found == kKinds.end() ? kOther : found->second;
}

std::string cellOf(const Json& object, const std::string& path) {
  const Json::json_pointer pointer(path);
  if (!object.contains(pointer)) return {};
  const Json& value = object[pointer];
  if (value.is_string()) return value.get<std::string>();
  if (value.is_null()) return {};
  if (!value.is_structured()) return value.dump();
  std::string out;
  for (const auto& [key, entry] : value.items()) {
    const std::string text = entry.is_string() ? entry.get<std::string>() : entry.dump();
    out += (out.empty() ? "" : ",") + (value.is_object() ? key + "=" + text : text);
  }
  return out;
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

}  // namespace

std::vector<std::vector<std::string>> objectTable(const api::StoredKind& kind,
                                                  const std::vector<Json>& objects, TableForm form,
                                                  bool withNamespace) {
  const auto& both = columnsOf(kind.kindName);
  Columns columns = form == TableForm::Wide ? both.wide : both.narrow;
  if (withNamespace && kind.namespaced)
    columns.insert(columns.begin(), {"NAMESPACE", "/metadata/namespace"});
  std::vector<std::vector<std::string>> rows(1);
  for (const auto& column : columns) rows[0].push_back(column.title);
  for (const auto& object : objects) {
    auto& row = rows.emplace_back();
    for (const auto& column : columns) {
      auto cell = cellOf(object, column.path);
      if (cell.empty() && !column.otherwise.empty()) cell = cellOf(object, column.otherwise);
      row.push_back(std::move(cell));
    }
  }
  return rows;
}

const api::StoredKind* kindOfWord(std::string_view word) {
  static const std::map<std::string, std::string, std::less<>> kShort = {
      {"bgpconfig", "BGPConfiguration"},
      {"bgpconfigs", "BGPConfiguration"},
      {"felixconfig", "FelixConfiguration"},
      {"felixconfigs", "FelixConfiguration"},
      {"gnp", "GlobalNetworkPolicy"},
      {"gnps", "GlobalNetworkPolicy"},
      {"gns", "GlobalNetworkSet"},
      {"hep", "HostEndpoint"},
      {"heps", "HostEndpoint"},
      {"ipp", "IPPool"},
      {"ipps", "IPPool"},
      {"pool", "IPPool"},
      {"pools", "IPPool"},
      {"np", "NetworkPolicy"},
      {"nps", "NetworkPolicy"},
      {"netsets", "NetworkSet"},
      {"no", "Node"},
      {"nos", "Node"},
      {"pro", "Profile"},
      {"pros", "Profile"},
      {"wep", "WorkloadEndpoint"},
      {"weps", "WorkloadEndpoint"},
      {"clusterinfo", "ClusterInformation"},
      {"clusterinfos", "ClusterInformation"},
      {"kcconfig", "KubeControllersConfiguration"},
  };
  const std::string text = lower(word);
  if (const auto found = kShort.find(text); found != kShort.end())
    return api::storedKindNamed(found->second);
  for (const auto& kind : api::storedKinds()) {
    if (text == lower(kind.kindName) || text == kind.plural) return &kind;
  }
  return nullptr;
}

}  // namespace margay::ctl

#include "cmd/margayctl/datastore_tables.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <nlohmann/json.hpp>

namespace margay::ctl {
namespace {

using Json = nlohmann::json;

struct Column {
  std::string title;
  std::string path;            // of fields, with '/' before each
  std::string otherwise = {};  // the path where that is empty
  std::string absent = {};     // the text where that is, too
};
using Titles = std::vector<std::string>;

const Column kName = {"NAME", "/metadata/name"};
const Column kNamespace = {"NAMESPACE", "/metadata/namespace"};
const Column kNode = {"NODE", "/spec/node"};
const Column kInterface = {"INTERFACE", "/spec/interfaceName"};
const Column kProfiles = {"PROFILES", "/spec/profiles"};
/// calicoctl's, of lists that may be long.
constexpr std::size_t kLongestList = 80;

struct KindColumns {
  std::vector<Column> columns;  ///< and NAMESPACE for kinds that have one
  Titles narrow;
  Titles wide;
};

/// What calicoctl shows.
const KindColumns& columnsOf(std::string_view kindName) {
  static const KindColumns kPolicy = {
      {kName, {"TIER", "/spec/tier"}, {"ORDER", "/spec/order"}, {"SELECTOR", "/spec/selector"}},
      {"NAME", "TIER"},
      {"NAME", "TIER", "ORDER", "SELECTOR"}};
  static const KindColumns kSet = {{kName, {"NETS", "/spec/nets"}}, {"NAME"}, {"NAME", "NETS"}};
  static const Titles kCluster = {"NAME", "CLUSTERGUID", "CLUSTERTYPE", "CALICOVERSION",
                                  "DATASTOREREADY"};
  static const Titles kPeer = {"NAME", "PEERIP", "NODE", "ASN"};
  static const Titles kBgp = {"NAME", "LOGSEVERITY", "MESHENABLED", "ASNUMBER"};
  static const std::map<std::string, KindColumns, std::less<>> kKinds = {
      {"NetworkPolicy", kPolicy},
      {"GlobalNetworkPolicy", kPolicy},
      {"StagedNetworkPolicy", kPolicy},
      {"StagedGlobalNetworkPolicy", kPolicy},
      {"StagedKubernetesNetworkPolicy",
       {{kName, {"PODSELECTOR", "/spec/podSelector"}}, {"NAME"}, {"NAME", "PODSELECTOR"}}},
      {"NetworkSet", kSet},
      {"GlobalNetworkSet", kSet},
      {"IPReservation", {{kName, {"CIDRS", "/spec/reservedCIDRs"}}, {"NAME"}, {"NAME", "CIDRS"}}},
      {"Tier", {{kName, {"ORDER", "/spec/order"}}, {"NAME", "ORDER"}, {"NAME", "ORDER"}}},
      {"Profile", {{kName, {"LABELS", "/spec/labelsToApply"}}, {"NAME"}, {"NAME", "LABELS"}}},
      {"Node",
       {{kName,
         {"ASN", "/spec/bgp/asNumber"},
         {"IPV4", "/spec/bgp/ipv4Address"},
         {"IPV6", "/spec/bgp/ipv6Address"}},
        {"NAME"},
        {"NAME", "ASN", "IPV4", "IPV6"}}},
      {"CalicoNodeStatus",
       {{kName, kNode, {"CLASSES", "/spec/classes"}},
        {"NAME", "NODE"},
        {"NAME", "NODE", "CLASSES"}}},
      {"IPPool",
       {{kName,
         {"CIDR", "/spec/cidr"},
         {"NAT", "/spec/natOutgoing", {}, "false"},
         {"IPIPMODE", "/spec/ipipMode", {}, "Never"},
         {"VXLANMODE", "/spec/vxlanMode", {}, "Never"},
         {"DISABLED", "/spec/disabled", {}, "false"},
         {"DISABLEBGPEXPORT", "/spec/disableBGPExport", {}, "false"},
         {"SELECTOR", "/spec/nodeSelector"}},
        {"NAME", "CIDR", "SELECTOR"},
        {"NAME", "CIDR", "NAT", "IPIPMODE", "VXLANMODE", "DISABLED", "DISABLEBGPEXPORT",
         "SELECTOR"}}},
      {"WorkloadEndpoint",
       {{kName,
         kNode,
         {"ORCHESTRATOR", "/spec/orchestrator"},
         {"WORKLOAD", "/spec/workload", "/spec/pod"},
         {"NETWORKS", "/spec/ipNetworks"},
         {"NATS", "/spec/ipNATs"},
         kProfiles,
         kInterface},
        {"WORKLOAD", "NODE", "NETWORKS", "INTERFACE"},
        {"NAME", "WORKLOAD", "NODE", "NETWORKS", "INTERFACE", "PROFILES", "NATS"}}},
      {"HostEndpoint",
       {{kName, kNode, kInterface, {"IPS", "/spec/expectedIPs"}, kProfiles},
        {"NAME", "NODE"},
        {"NAME", "NODE", "INTERFACE", "IPS", "PROFILES"}}},
      {"ClusterInformation",
       {{kName,
         {"CLUSTERGUID", "/spec/clusterGUID"},
         {"CLUSTERTYPE", "/spec/clusterType"},
         {"CALICOVERSION", "/spec/calicoVersion"},
         {"DATASTOREREADY", "/spec/datastoreReady"}},
        kCluster,
        kCluster}},
      {"BGPPeer",
       {{kName,
         {"PEERIP", "/spec/peerIP"},
         {"NODE", "/spec/node", "/spec/nodeSelector", "(global)"},
         {"ASN", "/spec/asNumber"}},
        kPeer,
        kPeer}},
      {"BGPConfiguration",
       {{kName,
         {"LOGSEVERITY", "/spec/logSeverityScreen"},
         {"MESHENABLED", "/spec/nodeToNodeMeshEnabled", {}, "-"},
         {"ASNUMBER", "/spec/asNumber", {}, "-"}},
        kBgp,
        kBgp}},
  };
  static const KindColumns kOther = {{kName}, {"NAME"}, {"NAME"}};
  const auto found = kKinds.find(kindName);
  return found == kKinds.end() ? kOther : found->second;
}

std::vector<Column> allColumns(const api::StoredKind& kind) {
  auto out = columnsOf(kind.kindName).columns;
  if (kind.namespaced) out.push_back(kNamespace);
  return out;
}

std::string textOf(const Json& object, const std::string& path) {
  if (path.empty()) return {};
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

std::string cellOf(const Json& object, const Column& column, const TableOf& table) {
  auto out = textOf(object, column.path);
  if (out.empty()) out = textOf(object, column.otherwise);
  if (out.empty()) out = column.absent;
  // A node of the cluster's own number says none.
  if (out.empty() && column.title == "ASN" && object.contains(Json::json_pointer("/spec/bgp")))
    out = "(" + table.asNumber + ")";
  const bool mayBeLong = column.title == "NETS" || column.title == "CIDRS";
  if (mayBeLong && out.size() > kLongestList) out = out.substr(0, kLongestList - 3) + "...";
  return out;
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

}  // namespace

Result<Titles> tableTitles(const api::StoredKind& kind, const GetFormat& format,
                           bool withNamespace) {
  const auto& known = columnsOf(kind.kindName);
  Titles out = format.form == GetFormat::Form::Wide     ? known.wide
               : format.form == GetFormat::Form::Narrow ? known.narrow
                                                        : format.columns;
  std::string all;
  for (const auto& column : allColumns(kind)) all += (all.empty() ? "" : ", ") + column.title;
  for (const auto& title : out) {
    if ((", " + all + ",").find(" " + title + ",") == std::string::npos)
      return fail(Errc::Invalid, std::string(kind.kindName) + " has no column " + title +
                                     ": its columns are " + all);
  }
  if (withNamespace && kind.namespaced) out.insert(out.begin(), kNamespace.title);
  return out;
}

std::vector<std::vector<std::string>> objectTable(const TableOf& table,
                                                  const std::vector<Json>& objects) {
  std::vector<std::vector<std::string>> rows = {table.titles};
  const auto known = allColumns(table.kind);
  for (const auto& object : objects) {
    auto& row = rows.emplace_back();
    for (const auto& title : table.titles) {
      const auto column = std::find_if(known.begin(), known.end(),
                                       [&](const Column& each) { return each.title == title; });
      row.push_back(cellOf(object, *column, table));
    }
  }
  return rows;
}

const api::StoredKind* kindOfWord(std::string_view word) {
  static const std::map<std::string, std::string, std::less<>> kShort = {
      {"bf", "BGPFilter"},
      {"bfs", "BGPFilter"},
      {"bgpf", "BGPFilter"},
      {"bgpfs", "BGPFilter"},
      {"bgpconfig", "BGPConfiguration"},
      {"bgpconfigs", "BGPConfiguration"},
      {"bgpp", "BGPPeer"},
      {"bgpps", "BGPPeer"},
      {"bp", "BGPPeer"},
      {"bps", "BGPPeer"},
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
      {"policy", "NetworkPolicy"},
      {"policies", "NetworkPolicy"},
      {"pol", "NetworkPolicy"},
      {"pols", "NetworkPolicy"},
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
      {"kubecontrollersconfig", "KubeControllersConfiguration"},
      {"kubecontrollersconfigs", "KubeControllersConfiguration"},
      {"nodestatus", "CalicoNodeStatus"},
      {"nodestatuses", "CalicoNodeStatus"},
      {"reservation", "IPReservation"},
      {"reservations", "IPReservation"},
      {"skpol", "StagedKubernetesNetworkPolicy"},
      {"skpols", "StagedKubernetesNetworkPolicy"},
      {"sknp", "StagedKubernetesNetworkPolicy"},
      {"stagedkubernetespolicy", "StagedKubernetesNetworkPolicy"},
      {"stagedkubernetespolicies", "StagedKubernetesNetworkPolicy"},
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

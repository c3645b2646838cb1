#include <algorithm>
#include <utility>

#include "api/codec/as_number.h"
#include "api/codec/calico_fields.h"
#include "api/codec/calico_kinds.h"
#include "api/model/network_set.h"
#include "api/selector/effective.h"

namespace margay::api {
namespace {

void sortUnique(std::vector<Prefix>& nets) {
  std::sort(nets.begin(), nets.end());
  nets.erase(std::unique(nets.begin(), nets.end()), nets.end());
}

Prefix prefixOf(const char* text) {
  return *Prefix::parseNetwork(text);
}

bool overlaps(const Prefix& a, const Prefix& b) {
  return a.contains(b) || b.contains(a);
}

void checkPoolRange(const JsonReader& spec, const IPPool& pool) {
  if (pool.cidr.family() == Family::V4 && overlaps(pool.cidr, prefixOf("169.254.0.0/16"))) {
    spec.error(
        "cidr",
        "IP pool range overlaps with IPv4 Link Local range 169.254.0.0/16; use another range");
  }
  if (pool.cidr.family() == Family::V6 && overlaps(pool.cidr, prefixOf("fe80::/10"))) {
    spec.error("cidr",
               "IP pool range overlaps with IPv6 Link Local range fe80::/10; use another range");
  }
  const bool isV4 = pool.cidr.family() == Family::V4;
  const int smallest = isV4 ? 20 : 116;
  const int largest = isV4 ? 32 : 128;
  if (pool.blockSize < smallest || pool.blockSize > largest) {
    spec.error("blockSize", "must be " + std::to_string(smallest) + " to " +
                                std::to_string(largest) + " for this family");
  } else if (!pool.disabled && pool.cidr.length > pool.blockSize) {
    spec.error("cidr",
               "IP pool size is too small for use with Calico IPAM. It must be equal to or greater "
               "than the block "
               "size; use a shorter prefix than /" +
                   std::to_string(pool.blockSize + 1));
  }
}

/// Uses of the pool, and what a pool for load balancers cannot have.
void checkPoolUses(const JsonReader& spec, const IPPool& pool) {
  const std::vector<std::string> uses = spec.strings("allowedUses");
  const bool isLoadBalancer = std::find(uses.begin(), uses.end(), "LoadBalancer") != uses.end();
  for (std::size_t i = 0; i < uses.size(); ++i) {
    if (uses[i] != "Workload" && uses[i] != "Tunnel" && uses[i] != "LoadBalancer") {
      spec.error("allowedUses", i,
                 "unknown use: " + uses[i] + "; use Workload, Tunnel or LoadBalancer");
    } else if (isLoadBalancer && uses[i] != "LoadBalancer") {
      spec.error("allowedUses", i,
                 "LoadBalancer cannot be combined with Workload or Tunnel; use two pools");
    }
  }
  const bool tunnels = pool.ipipMode != "Never" || pool.vxlanMode != "Never";
  if (isLoadBalancer && tunnels) {
    spec.error("allowedUses",
               "LoadBalancer IP pool cannot have IPIP or VXLAN enabled; set both modes to Never");
  }
  if (isLoadBalancer && spec.boolean("disableBGPExport").value_or(false)) {
    spec.error("disableBGPExport",
               "IP pool with allowed use LoadBalancer must be exported; remove the field");
  }
  if (isLoadBalancer && pool.nodeSelector != "all()") {
    spec.error("nodeSelector",
               "IP pool with allowed use LoadBalancer must have node selector set to all()");
  }
}

void checkPoolModes(const JsonReader& spec, const IPPool& pool) {
  if (pool.ipipMode != "Never" && pool.vxlanMode != "Never") {
    spec.error("ipipMode", "ipipMode and vxlanMode cannot both be enabled; set one to Never");
  }
  if (pool.ipipMode != "Never" && pool.cidr.family() == Family::V6) {
    spec.error("ipipMode", "IPIP is not supported on IPv6 pools; set it to Never");
  }
  if (spec.has("ipip")) spec.error("ipip", "cannot be set; use ipipMode");
  if (spec.boolean("nat-outgoing").value_or(false))
    spec.error("nat-outgoing", "cannot be set; use natOutgoing");
}

/// An address with an optional length, host bits kept.
std::optional<Prefix> readInterfaceAddress(const JsonReader& reader, std::string_view key,
                                           Family family) {
  const auto text = reader.string(key);
  if (!text || text->empty()) return std::nullopt;
  const auto address = Prefix::parseAddress(*text);
  if (address && address->family() == family) return address;
  reader.error(key, "'" + *text + "' is no " + (family == Family::V4 ? "IPv4" : "IPv6") +
                        " address; write ADDRESS or ADDRESS/LENGTH");
  return std::nullopt;
}

void readBgp(const JsonReader& spec, Node& node) {
  const auto bgp = spec.object("bgp");
  if (!bgp) return;
  bgp->onlyFields(
      {"asNumber", "ipv4Address", "ipv6Address", "ipv4IPIPTunnelAddr", "routeReflectorClusterID"});
  const auto* as = bgp->raw("asNumber");
  if (as != nullptr && !readAsNumber(*as))
    bgp->error("asNumber", "is no AS number; write 64512, or 1.10 for 65546");
  if (bgp->keys().empty()) bgp->error("spec.bgp should not be empty; set ipv4Address or remove it");
  node.bgpAddress4 = readInterfaceAddress(*bgp, "ipv4Address", Family::V4);
  node.bgpAddress6 = readInterfaceAddress(*bgp, "ipv6Address", Family::V6);
  static_cast<void>(readAddress(*bgp, "ipv4IPIPTunnelAddr", Family::V4));
  static_cast<void>(readAddress(*bgp, "routeReflectorClusterID", Family::V4));
}

void readNodeAddresses(const JsonReader& spec, Node& node) {
  for (const JsonReader& entry : spec.objects("addresses")) {
    entry.onlyFields({"address", "type"});
    const std::string type =
        readChoice(entry, "type", {"CalicoNodeIP", "InternalIP", "ExternalIP"}, "");
    const std::string text = entry.stringOr("address", "");
    std::string problem;
    const auto net = parseNet(text, NetForm::Loose, problem);
    if (!net) {
      entry.error("address", std::move(problem));
    } else if (type == "InternalIP") {
      node.internalAddresses.push_back(Prefix::parseAddress(text)->address);
    }
  }
}

}  // namespace

std::optional<Value> decodeNetworkSet(const CalicoObject& object) {
  object.spec.onlyFields({"nets"});
  NetworkSet set;
  set.ns = object.ns;
  set.name = object.name;
  set.nets = readNets(object.spec, "nets", NetForm::Loose);
  sortUnique(set.nets);
  LabelMap labels = object.labels;
  for (const auto& [key, value] : labels) {
    if (key == kNamespaceLabel) {
      object.metadata.error(
          "labels", "projectcalico.org/namespace is not a valid label name; the namespace sets it");
    }
  }
  if (!object.ns.empty()) labels.emplace_back(kNamespaceLabel, object.ns);
  set.labels = Labels(std::move(labels));
  return share(std::move(set));
}

std::optional<Value> decodeIPPool(const CalicoObject& object) {
  const JsonReader& spec = object.spec;
  spec.onlyFields({"cidr", "vxlanMode", "ipipMode", "natOutgoing", "disabled", "disableBGPExport",
                   "blockSize", "nodeSelector", "namespaceSelector", "ipip", "nat-outgoing",
                   "allowedUses", "assignmentMode"});
  IPPool pool;
  pool.name = object.name;
  const auto text = spec.string("cidr");
  if (!text) {
    if (!spec.has("cidr")) spec.error("cidr", "IPPool CIDR must be specified");
    return std::nullopt;
  }
  std::string problem;
  const auto cidr = parseNet(*text, NetForm::CidrOrAddress, problem);
  if (!cidr) {
    spec.error("cidr", std::move(problem));
    return std::nullopt;
  }
  pool.cidr = *cidr;
  pool.natOutgoing = spec.boolean("natOutgoing").value_or(false);
  pool.disabled = spec.boolean("disabled").value_or(false);
  pool.ipipMode = readChoice(spec, "ipipMode", {"Always", "CrossSubnet", "Never"}, "Never");
  pool.vxlanMode = readChoice(spec, "vxlanMode", {"Always", "CrossSubnet", "Never"}, "Never");
  pool.blockSize = static_cast<int>(spec.integer("blockSize", 0, 128).value_or(0));
  if (pool.blockSize == 0) pool.blockSize = cidr->family() == Family::V4 ? 26 : 122;
  const std::string nodeSelector = readPlainSelector(spec, "nodeSelector");
  if (!nodeSelector.empty()) pool.nodeSelector = nodeSelector;
  static_cast<void>(readPlainSelector(spec, "namespaceSelector"));
  static_cast<void>(readChoice(spec, "assignmentMode", {"Automatic", "Manual"}, "Automatic"));
  checkPoolRange(spec, pool);
  checkPoolModes(spec, pool);
  checkPoolUses(spec, pool);
  return share(std::move(pool));
}

std::optional<Value> decodeNode(const CalicoObject& object) {
  object.spec.onlyFields({"bgp", "ipv4VXLANTunnelAddr", "vxlanTunnelMACAddr", "ipv6VXLANTunnelAddr",
                          "vxlanTunnelMACAddrV6", "orchRefs", "wireguard", "addresses",
                          "interfaces"});
  Node node;
  node.name = object.name;
  node.labels = Labels(object.labels);
  readBgp(object.spec, node);
  readNodeAddresses(object.spec, node);
  static_cast<void>(readAddress(object.spec, "ipv4VXLANTunnelAddr", Family::V4));
  static_cast<void>(readAddress(object.spec, "ipv6VXLANTunnelAddr", Family::V6));
  if (const auto wireguard = object.spec.object("wireguard")) {
    wireguard->onlyFields({"interfaceIPv4Address", "interfaceIPv6Address"});
    static_cast<void>(readAddress(*wireguard, "interfaceIPv4Address", Family::V4));
    static_cast<void>(readAddress(*wireguard, "interfaceIPv6Address", Family::V6));
  }
  if (const auto status = object.root.object("status"))
    node.podCidrs = readNets(*status, "podCIDRs", NetForm::Loose);
  return share(std::move(node));
}

std::optional<Value> decodeClusterInformation(const CalicoObject& object) {
  object.spec.onlyFields(
      {"clusterGUID", "clusterType", "calicoVersion", "datastoreReady", "variant"});
  ClusterInformation information;
  information.name = object.name;
  information.clusterGuid = object.spec.stringOr("clusterGUID", "");
  information.clusterType = object.spec.stringOr("clusterType", "");
  information.calicoVersion = object.spec.stringOr("calicoVersion", "");
  information.datastoreReady = object.spec.boolean("datastoreReady");
  return share(std::move(information));
}

std::optional<Value> decodeUnused(const CalicoObject& object) {
  object.warnings->push_back(object.kindName + " " + object.name + " has no effect on this agent");
  return std::nullopt;
}

}  // namespace margay::api

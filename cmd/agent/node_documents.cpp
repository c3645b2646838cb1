#include "cmd/agent/node_documents.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <nlohmann/json.hpp>
#include <random>

#include "api/codec/as_number.h"

namespace margay::agent {
namespace {

using Json = nlohmann::json;

std::string valueOf(const Variables& variables, const std::string& name) {
  const auto found = variables.find(name);
  return found == variables.end() ? std::string() : found->second;
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

Json emptyObject(const char* kind, const std::string& name) {
  return {{"apiVersion", "projectcalico.org/v3"},
          {"kind", kind},
          {"metadata", {{"name", name}}},
          {"spec", Json::object()}};
}

std::string textAt(const Json& document, const char* path) {
  const Json::json_pointer pointer(path);
  return document.contains(pointer) && document[pointer].is_string()
             ? document[pointer].get<std::string>()
             : std::string();
}

std::string hex(int digits) {
  std::random_device random;
  std::string out;
  for (int i = 0; i < digits; ++i) out += "0123456789abcdef"[random() & 15U];
  return out;
}

struct AddressField {
  Family family;
  const char* variable;
  const char* method;
  const char* field;
};
constexpr AddressField kAddressFields[] = {
    {Family::V4, "IP", "IP_AUTODETECTION_METHOD", "ipv4Address"},
    {Family::V6, "IP6", "IP6_AUTODETECTION_METHOD", "ipv6Address"}};

Result<void> checkConflict(const std::string& name, const std::string& address, const char* field,
                           const std::vector<Json>& others) {
  const auto own = Prefix::parseAddress(address);
  for (const auto& other : others) {
    if (textAt(other, "/metadata/name") == name) continue;
    const auto theirs =
        Prefix::parseAddress(textAt(other, ("/spec/bgp/" + std::string(field)).c_str()));
    if (own && theirs && own->address == theirs->address)
      return fail(Errc::Invalid, "node " + textAt(other, "/metadata/name") + " has the address " +
                                     own->address.str() +
                                     " already: set IP, or delete that node if it is gone");
  }
  return {};
}

Result<std::string> tunnelMode(const std::string& variable, const Variables& variables) {
  const std::string text = lower(valueOf(variables, variable));
  if (text.empty() || text == "off" || text == "never") return std::string("Never");
  if (text == "crosssubnet" || text == "cross-subnet") return std::string("CrossSubnet");
  if (text == "always") return std::string("Always");
  return fail(Errc::Invalid,
              variable + "='" + text + "' is not known: use Always, CrossSubnet or Never");
}

bool flag(const std::string& variable, bool otherwise, const Variables& variables) {
  const std::string text = lower(valueOf(variables, variable));
  if (text.empty()) return otherwise;
  return text != "false" && text != "0" && text != "no" && text != "n" && text != "f";
}

bool overlapsHost(const Prefix& net, const HostView& host) {
  return std::any_of(host.interfaces.begin(), host.interfaces.end(), [&](const auto& interface) {
    return std::any_of(interface.addresses.begin(), interface.addresses.end(),
                       [&](const Prefix& own) {
                         return net.contains(own.address) || own.masked().contains(net.address);
                       });
  });
}

/// 192.168.0.0/16, or a private one that is no network of this host.
std::string freeIpv4Pool(const HostView& host) {
  std::vector<std::string> candidates = {"192.168.0.0/16"};
  for (int i = 16; i < 32; ++i) candidates.push_back("172." + std::to_string(i) + ".0.0/16");
  for (const auto& text : candidates) {
    if (!overlapsHost(*Prefix::parseNetwork(text), host)) return text;
  }
  return candidates.front();
}

Result<Json> poolDocument(Family family, const Variables& variables, const HostView& host) {
  const bool four = family == Family::V4;
  const std::string prefix = four ? "CALICO_IPV4POOL_" : "CALICO_IPV6POOL_";
  std::string cidr = valueOf(variables, prefix + "CIDR");
  if (cidr.empty()) {
    const auto random = hex(10);
    cidr = four ? freeIpv4Pool(host)
                : "fd" + random.substr(0, 2) + ":" + random.substr(2, 4) + ":" +
                      random.substr(6, 4) + "::/48";
  }
  const auto net = Prefix::parseNetwork(cidr);
  if (!net || net->family() != family)
    return fail(Errc::Invalid, prefix + "CIDR='" + cidr + "' is no CIDR of its family");
  int blockSize = four ? 26 : 122;
  if (const auto text = valueOf(variables, prefix + "BLOCK_SIZE"); !text.empty()) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), blockSize);
    if (error != std::errc() || end != text.data() + text.size())
      return fail(Errc::Invalid, prefix + "BLOCK_SIZE='" + text + "' is no number");
  }
  const auto ipip = four ? tunnelMode(prefix + "IPIP", variables) : Result<std::string>("Never");
  if (!ipip) return Fail(ipip.error());
  const auto vxlan = tunnelMode(prefix + "VXLAN", variables);
  if (!vxlan) return Fail(vxlan.error());
  auto pool = emptyObject("IPPool", four ? "default-ipv4-ippool" : "default-ipv6-ippool");
  pool["spec"] = {{"cidr", net->str()},
                  {"natOutgoing", flag(prefix + "NAT_OUTGOING", four, variables)},
                  {"ipipMode", *ipip},
                  {"vxlanMode", *vxlan},
                  {"blockSize", blockSize}};
  if (const auto selector = valueOf(variables, prefix + "NODE_SELECTOR"); !selector.empty())
    pool["spec"]["nodeSelector"] = selector;
  if (flag(prefix + "DISABLE_BGP_EXPORT", false, variables))
    pool["spec"]["disableBGPExport"] = true;
  return pool;
}

}  // namespace

Result<Json> nodeDocument(const std::string& name, const Json& stored,
                          const std::vector<Json>& others, const Variables& variables,
                          const HostView& host) {
  Json node = stored.is_object() ? stored : emptyObject("Node", name);
  if (!node["spec"].is_object()) node["spec"] = Json::object();
  Json& spec = node["spec"];
  Json bgp = spec.contains("bgp") && spec["bgp"].is_object() ? spec["bgp"] : Json::object();
  const bool routes = valueOf(variables, "CALICO_NETWORKING_BACKEND") != "none";
  for (const auto& entry : kAddressFields) {
    if (!routes) break;
    const std::string before = bgp.value(entry.field, "");
    const auto address =
        nodeAddress({.family = entry.family,
                     .value = valueOf(variables, entry.variable),
                     .method = valueOf(variables, entry.method),
                     .stored = before.empty() ? std::nullopt : std::optional(before)},
                    host);
    if (!address) return Fail(address.error());
    if (!*address) continue;
    if (**address != before && valueOf(variables, "DISABLE_NODE_IP_CHECK") != "true") {
      if (auto free = checkConflict(name, **address, entry.field, others); !free)
        return Fail(free.error());
    }
    bgp[entry.field] = **address;
  }
  if (const auto as = valueOf(variables, "AS"); routes && !as.empty()) {
    const auto number = api::parseAsNumber(as);
    if (!number)
      return fail(Errc::Invalid, "AS='" + as + "' is no AS number: write 64512, or 1.10 for 65546");
    bgp["asNumber"] = *number;
  }
  if (!bgp.empty()) spec["bgp"] = bgp;
  if (const auto ref = valueOf(variables, "CALICO_K8S_NODE_REF"); !ref.empty())
    spec["orchRefs"] = Json::array({{{"nodeName", ref}, {"orchestrator", "k8s"}}});
  return node;
}

Result<std::vector<Json>> missingPools(const std::vector<Json>& pools, const Variables& variables,
                                       const HostView& host, bool hasIpv6) {
  std::vector<Json> out;
  if (lower(valueOf(variables, "NO_DEFAULT_POOLS")) == "true") {
    if (valueOf(variables, "CALICO_IPV4POOL_CIDR").empty() &&
        valueOf(variables, "CALICO_IPV6POOL_CIDR").empty())
      return out;
    return fail(Errc::Invalid,
                "NO_DEFAULT_POOLS=true goes with neither CALICO_IPV4POOL_CIDR nor "
                "CALICO_IPV6POOL_CIDR: unset one");
  }
  for (const Family family : {Family::V4, Family::V6}) {
    if (family == Family::V6 && !hasIpv6) continue;
    const bool present = std::any_of(pools.begin(), pools.end(), [&](const Json& pool) {
      const auto cidr = Prefix::parseNetwork(textAt(pool, "/spec/cidr"));
      return cidr && cidr->family() == family;
    });
    const char* variable = family == Family::V4 ? "CALICO_IPV4POOL_CIDR" : "CALICO_IPV6POOL_CIDR";
    if (present || valueOf(variables, variable) == "none") continue;
    auto pool = poolDocument(family, variables, host);
    if (!pool) return Fail(pool.error());
    out.push_back(std::move(*pool));
  }
  return out;
}

Json clusterDocument(const Json& stored, const Variables& variables) {
  Json cluster = stored.is_object() ? stored : emptyObject("ClusterInformation", "default");
  if (!cluster["spec"].is_object()) cluster["spec"] = Json::object();
  Json& spec = cluster["spec"];
  if (textAt(cluster, "/spec/clusterGUID").empty()) spec["clusterGUID"] = hex(32);
  if (!spec.contains("datastoreReady")) spec["datastoreReady"] = true;
  const auto type = valueOf(variables, "CLUSTER_TYPE");
  const auto known = textAt(cluster, "/spec/clusterType");
  if (!type.empty() && ("," + known + ",").find("," + type + ",") == std::string::npos)
    spec["clusterType"] = known.empty() ? type : known + "," + type;
  return cluster;
}

}  // namespace margay::agent

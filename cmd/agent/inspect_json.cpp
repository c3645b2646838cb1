#include "cmd/agent/inspect_json.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "api/codec/calico_encode.h"
#include "base/version.h"
#include "controllers/policy/rules.h"

namespace margay::agent {
namespace {

using controllers::SetKind;

std::string protocolText(std::uint8_t protocol) {
  switch (protocol) {
    case 6:
      return "tcp";
    case 17:
      return "udp";
    case 132:
      return "sctp";
    default:
      return std::to_string(protocol);
  }
}

std::string memberText(SetKind kind, const dataplane::SetMember& member) {
  return kind == SetKind::NamedPort || kind == SetKind::Service ? member.str() : member.net.str();
}

/// Members as users wrote them: the kernel's two halves of a /0 are one.
std::vector<std::string> memberTexts(const controllers::Membership::View& set) {
  std::vector<std::string> out;
  for (std::size_t i = 0; i < set.members.size(); ++i) {
    const auto& net = set.members[i].net;
    const bool lowHalf = net.length == 1 && net.address.bytes()[0] == 0;
    if (lowHalf && i + 1 < set.members.size() && set.members[i + 1].net.length == 1 &&
        set.members[i + 1].net.family() == net.family()) {
      out.push_back(Prefix{net.address, 0}.str());
      ++i;
    } else {
      out.push_back(memberText(set.id.kind, set.members[i]));
    }
  }
  return out;
}

Json listJson(const std::vector<std::string>& list) {
  return list.empty() ? Json::array() : Json(list);
}

/// What the kernel's set is called.
std::string kernelName(const controllers::Membership::View& set, Family family,
                       controllers::Dispatch dispatch) {
  auto name = controllers::setName(set.id, family);
  const bool hasNets = std::any_of(set.members.begin(), set.members.end(), [&](const auto& member) {
    return member.net.family() == family && !member.net.isHost();
  });
  return hasNets && dispatch == controllers::Dispatch::Maps ? controllers::intervalSetName(name)
                                                            : name;
}

std::string_view opText(Op op) {
  return op == Op::Add ? "add" : op == Op::Replace ? "replace" : "remove";
}

std::string agoText(TimePoint then, TimePoint now) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now - then).count();
  return std::to_string(seconds) + " s ago";
}

/// What a table counts. Of rule tables, our chains, and our places in chains of the kernel.
std::string_view unitOf(const std::string& table) {
  static const std::map<std::string_view, std::string_view> kUnits = {
      {"ipset", "members"},
      {"nft_set", "elements"},
      {"nf_tables transaction", "refused parts"},
      {"sysctl", "values"},
      {"neighbour", "neighbours"},
      {"route", "routes"},
      {"conntrack", "addresses"}};
  const auto found = kUnits.find(table);
  return found == kUnits.end() ? "chains" : found->second;
}

Json tableJson(const reconcile::TableStatus& table, TimePoint now) {
  Json out = {
      {"name", table.name},         {"unit", unitOf(table.name)}, {"desired", table.desired},
      {"observed", table.observed}, {"pending", table.pending},   {"failing", table.failing},
      {"drift", table.drift},       {"lastRepair", nullptr},      {"lastError", nullptr}};
  if (table.lastRepair) out["lastRepair"] = agoText(*table.lastRepair, now);
  if (table.lastError &&
      (table.pending > 0 || now - table.lastError->at < std::chrono::minutes(10))) {
    const auto& error = *table.lastError;
    out["lastError"] = (error.key.empty() ? "" : error.key.substr(0, error.key.find('\n')) + ": ") +
                       error.error.what + " (" + agoText(error.at, now) + ')';
  }
  return out;
}

Json invalidJson(const api::InvalidObject& object) {
  return {{"kind", object.kindName}, {"namespace", object.ns},      {"name", object.name},
          {"file", object.file},     {"document", object.document}, {"field", object.field},
          {"reason", object.reason}};
}

}  // namespace

Json endpointsJson(
    const std::vector<std::shared_ptr<const controllers::LocalEndpoint>>& endpoints) {
  auto out = Json::array();
  for (const auto& local : endpoints) {
    const auto& endpoint = *local->endpoint;
    const auto identity = endpoint.identity();
    std::vector<std::string> addresses;
    for (const auto& address : endpoint.addresses) addresses.push_back(address.str());
    auto tiers = Json::array();
    for (const auto& tier : local->tiers)
      tiers.push_back({{"name", tier.name},
                       {"ingress", listJson(tier.ingress)},
                       {"egress", listJson(tier.egress)}});
    out.push_back({{"name", endpoint.name.str()},
                   {"namespace", endpoint.ns.str()},
                   {"orchestrator", identity.orchestrator},
                   {"workload", endpoint.ns.str() + '/' + identity.workload},
                   {"endpoint", identity.endpoint},
                   {"interface", local->interfaceName},
                   {"addresses", listJson(addresses)},
                   {"profiles", endpoint.profiles ? Json(*endpoint.profiles) : Json::array()},
                   {"tiers", tiers},
                   {"untracked", Json::array()},
                   {"preDNAT", Json::array()}});
  }
  return out;
}

Json setsJson(const std::vector<controllers::Membership::View>& sets,
              controllers::Dispatch dispatch) {
  auto out = Json::array();
  for (const auto& set : sets) {
    Json entry = {{"selector", set.id.selector}, {"members", listJson(memberTexts(set))}};
    if (set.id.kind == SetKind::NamedPort) {
      entry["protocol"] = protocolText(set.id.protocol);
      entry["port"] = set.id.portName;
    }
    if (set.id.kind == SetKind::Service || set.id.kind == SetKind::ServiceNoPort)
      entry["service"] = set.id.service.ns + '/' + set.id.service.name;
    entry["kernel"] = {kernelName(set, Family::V4, dispatch),
                       kernelName(set, Family::V6, dispatch)};
    out.push_back(std::move(entry));
  }
  return out;
}

Json policiesJson(const std::vector<controllers::PolicyView>& policies) {
  auto out = Json::array();
  for (const auto& view : policies) {
    const auto& policy = *view.policy;
    Json entry = {{"name", view.name},        {"kind", api::kindText(view.key.kind)},
                  {"active", view.active},    {"tier", policy.tier},
                  {"order", nullptr},         {"selector", policy.selector},
                  {"ingress", Json::array()}, {"egress", Json::array()}};
    if (policy.order) entry["order"] = *policy.order;
    const auto spec = api::encodePolicy(policy)["spec"];
    for (const auto* direction : {"ingress", "egress"}) {
      if (spec.contains(direction)) entry[direction] = spec[direction];
    }
    out.push_back(std::move(entry));
  }
  return out;
}

Json groupsJson(const std::vector<controllers::GroupView>& groups) {
  auto out = Json::array();
  for (const auto& view : groups) {
    std::vector<std::string> policies;
    auto tiers = Json::array();
    for (const auto& tier : view.group->tiers) {
      std::vector<std::string> names;
      for (const auto& list : tier.policies) names.push_back(list->label);
      policies.insert(policies.end(), names.begin(), names.end());
      tiers.push_back(
          {{"name", tier.name},
           {"policies", listJson(names)},
           {"defaultAction", tier.defaultAction == api::TierDefault::Deny ? "Deny" : "Pass"}});
    }
    std::vector<std::string> members;
    for (const auto& member : view.members) members.push_back(member.ns.str() + '/' + member.name);
    out.push_back({{"chain", controllers::groupChainName(*view.group)},
                   {"direction",
                    view.group->direction == api::PolicyDirection::Ingress ? "ingress" : "egress"},
                   {"hash", view.group->hash},
                   {"tiers", tiers},
                   {"policies", listJson(policies)},
                   {"profileRuleLists", view.group->profiles.size()},
                   {"members", listJson(members)}});
  }
  return out;
}

Json configJson(const api::Parameters& parameters) {
  auto out = Json::array();
  for (const auto& [name, value] : parameters.all())
    out.push_back({{"name", name}, {"value", value.value}, {"origin", value.origin}});
  return out;
}

Json planJson(const std::vector<TablePlan>& plans) {
  auto out = Json::array();
  for (const auto& plan : plans) {
    for (const auto& change : plan.changes)
      out.push_back({{"table", plan.table}, {"op", opText(change.op)}, {"text", change.text}});
  }
  return out;
}

std::vector<api::InvalidObject> invalidObjects(const StatusView& view) {
  std::vector<api::InvalidObject> out;
  for (const auto& [name, source] : view.sources)
    out.insert(out.end(), source.invalid.begin(), source.invalid.end());
  const auto places = placesOf(view.sources);
  for (const auto& remark : view.remarks) {
    if (remark.cause == Remark::Cause::Conflict) out.push_back(asWritten(remark, places));
  }
  return out;
}

Json statusJson(const StatusView& view) {
  Json out = {{"node", view.nodeName},
              {"version", kVersion},
              {"ready", view.notReadyBecause.empty()},
              {"notReadyBecause", view.notReadyBecause},
              {"backend", view.backend},
              {"sources", Json::array()},
              {"tables", Json::array()},
              {"endpoints",
               {{"local", view.counts.localEndpoints}, {"cluster", view.counts.clusterEndpoints}}},
              {"policies", {{"active", view.counts.activePolicies}, {"all", view.counts.policies}}},
              {"droppingChains", listJson(view.droppingChains)},
              {"invalidObjects", Json::array()},
              {"warnings", Json::array()}};
  for (const auto& [name, source] : view.sources) {
    out["sources"].push_back({{"name", name},
                              {"connected", source.connected},
                              {"synced", source.synced},
                              {"error", source.error},
                              {"resyncs", source.resyncs}});
    for (const auto& warning : source.warnings) out["warnings"].push_back(warning);
  }
  for (const auto& table : view.tables) out["tables"].push_back(tableJson(table, view.now));
  for (const auto& object : invalidObjects(view))
    out["invalidObjects"].push_back(invalidJson(object));
  const auto places = placesOf(view.sources);
  for (const auto& remark : view.remarks) {
    if (remark.cause != Remark::Cause::Conflict) out["warnings"].push_back(text(remark, places));
  }
  for (const auto& skipped : view.skippedRoutes)
    out["warnings"].push_back("no route for " + skipped.name + ": " + skipped.reason);
  for (const auto& problem : view.parameterProblems)
    out["warnings"].push_back("parameter " + problem.name + " from " + problem.origin + ": " +
                              problem.reason);
  for (const auto& warning : view.warnings) out["warnings"].push_back(warning);
  return out;
}

}  // namespace margay::agent

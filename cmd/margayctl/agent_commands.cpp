#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "api/server/http.h"
#include "base/version.h"
#include "cmd/margayctl/commands.h"

namespace margay::ctl {
namespace {

using nlohmann::json;

std::string variable(const char* name, const std::string& otherwise) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' ? value : otherwise;
}

std::string hostName() {
  char name[256] = {};
  gethostname(name, sizeof name - 1);
  std::string out(name);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

std::string text(const json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return "";
  return found->is_string() ? found->get<std::string>() : found->dump();
}

std::string joined(const json& list) {
  std::string out;
  for (const auto& item : list)
    out += (out.empty() ? "" : ",") + (item.is_string() ? item.get<std::string>() : item.dump());
  return out.empty() ? "-" : out;
}

std::string orDash(const std::string& value) {
  return value.empty() ? "-" : value;
}

/// At most three, for a cell of a table.
std::string some(const json& list) {
  constexpr std::size_t kShown = 3;
  if (list.size() <= kShown) return joined(list);
  const json first(std::vector<json>(list.begin(), list.begin() + kShown));
  return joined(first) + " and " + std::to_string(list.size() - kShown) + " more";
}

/// 10.0 is 10.
std::string numberText(const json& number) {
  if (!number.is_number()) return "-";
  std::ostringstream out;
  out << number.get<double>();
  return out.str();
}

int printed(const json& value) {
  std::cout << value.dump(2) << '\n';
  return kDone;
}

std::string objectName(const json& object) {
  const auto ns = text(object, "namespace");
  return text(object, "kind") + ' ' + (ns.empty() ? "" : ns + '/') + orDash(text(object, "name"));
}

void printSources(const json& sources) {
  std::vector<std::vector<std::string>> rows = {
      {"SOURCE", "CONNECTED", "LISTED", "RESYNCS", "ERROR"}};
  for (const auto& source : sources) {
    rows.push_back({text(source, "name"), text(source, "connected") == "true" ? "yes" : "no",
                    text(source, "synced") == "true" ? "yes" : "no", text(source, "resyncs"),
                    orDash(text(source, "error"))});
  }
  printTable(rows);
}

void printTables(const json& tables) {
  std::vector<std::vector<std::string>> rows = {{"TABLE", "COUNTS", "DESIRED", "OBSERVED",
                                                 "PENDING", "REPAIRED", "LAST REPAIR",
                                                 "LAST ERROR"}};
  for (const auto& table : tables) {
    rows.push_back({text(table, "name"), text(table, "unit"), text(table, "desired"),
                    text(table, "observed"), text(table, "pending"), text(table, "drift"),
                    orDash(text(table, "lastRepair")), orDash(text(table, "lastError"))});
  }
  printTable(rows);
}

/// A file that does not parse has no object to name.
std::string invalidTitle(const json& object) {
  auto file = text(object, "file");
  if (text(object, "kind").empty()) return file;
  auto out = objectName(object);
  if (file.empty()) return out;
  const auto document = text(object, "document");
  return out + " (" + file + (document == "0" ? "" : ", document " + document) + ')';
}

void printInvalid(const json& objects) {
  for (const auto& object : objects) {
    const auto field = text(object, "field");
    std::cout << "  " << invalidTitle(object) << ": " << (field.empty() ? "" : field + ": ")
              << text(object, "reason") << '\n';
  }
}

}  // namespace

Environment environment() {
  return {variable("MARGAY_RUN_DIR", "/run/margay"),
          variable("MARGAY_DATA_DIR", "/etc/margay/data"), variable("NODENAME", hostName())};
}

Result<json> agentGet(const Environment& env, const std::string& path,
                      const std::vector<std::pair<std::string, std::string>>& query,
                      std::chrono::milliseconds timeout) {
  api::HttpRequest request{"GET", path, {query.begin(), query.end()}, ""};
  const auto socket = env.runDir + "/margay.sock";
  auto response = api::unixRequest(socket, request, timeout);
  if (!response) {
    return fail(response.error().code,
                "cannot ask margay-node (" + response.error().what +
                    "): is it running, is this root, and is MARGAY_RUN_DIR right?");
  }
  if (response->status != 200) {
    auto reason = response->body;
    while (!reason.empty() && reason.back() == '\n') reason.pop_back();
    return fail(Errc::Invalid, reason);
  }
  auto parsed = json::parse(response->body, nullptr, false);
  if (parsed.is_discarded())
    return fail(Errc::Bug, "margay-node answered " + path + " with something that is not JSON");
  return parsed;
}

int runStatus(const Environment& env, Output output) {
  const auto got = agentGet(env, "/v1/status");
  if (!got) return failed(got.error().what);
  if (output == Output::Json) return printed(*got);
  std::cout << "margay-node " << text(*got, "version") << " on " << text(*got, "node") << ", "
            << (text(*got, "ready") == "true" ? "ready"
                                              : "NOT ready: " + text(*got, "notReadyBecause"))
            << "\nrules: " << text(*got, "backend")
            << "; endpoints: " << text((*got)["endpoints"], "local") << " here, "
            << text((*got)["endpoints"], "cluster")
            << " in the cluster; policies: " << text((*got)["policies"], "active") << " active of "
            << text((*got)["policies"], "all") << "\n\n";
  printSources((*got)["sources"]);
  std::cout << '\n';
  printTables((*got)["tables"]);
  if (const auto& chains = (*got)["droppingChains"]; !chains.empty()) {
    std::cout << "\nchains of others that drop by policy: " << chains.size() << '\n';
    for (const auto& chain : chains) std::cout << "  " << chain.get<std::string>() << '\n';
  }
  std::cout << "\ninvalid objects: " << (*got)["invalidObjects"].size() << '\n';
  printInvalid((*got)["invalidObjects"]);
  std::cout << "warnings: " << (*got)["warnings"].size() << '\n';
  for (const auto& warning : (*got)["warnings"])
    std::cout << "  " << warning.get<std::string>() << '\n';
  return kDone;
}

int runPlan(const Environment& env, Output output) {
  const auto got = agentGet(env, "/v1/plan");
  if (!got) return failed(got.error().what);
  if (output == Output::Json) return printed(*got);
  std::string table;
  for (const auto& change : *got) {
    if (text(change, "table") != table) {
      table = text(change, "table");
      std::cout << "@@ " << table << '\n';
    }
    const auto op = text(change, "op");
    std::cout << (op == "add"      ? "+ "
                  : op == "remove" ? "- "
                                   : "~ ")
              << text(change, "text") << '\n';
  }
  if (got->empty()) std::cout << "nothing to change\n";
  return kDone;
}

namespace {

using Rows = std::vector<std::vector<std::string>>;

Rows endpointRows(const json& endpoints) {
  Rows rows = {{"WORKLOAD", "INTERFACE", "ADDRESSES", "PROFILES", "TIER", "INGRESS", "EGRESS"}};
  for (const auto& endpoint : endpoints) {
    const std::vector<std::string> row = {text(endpoint, "workload"), text(endpoint, "interface"),
                                          joined(endpoint["addresses"]),
                                          joined(endpoint["profiles"])};
    if (endpoint["tiers"].empty()) rows.push_back({row[0], row[1], row[2], row[3], "-", "-", "-"});
    for (const auto& tier : endpoint["tiers"])
      rows.push_back({row[0], row[1], row[2], row[3], text(tier, "name"), joined(tier["ingress"]),
                      joined(tier["egress"])});
  }
  return rows;
}

Rows setRows(const json& sets) {
  Rows rows = {{"OF", "MEMBERS", "KERNEL SETS"}};
  for (const auto& set : sets) {
    auto of = set.contains("service") ? "service " + text(set, "service") : text(set, "selector");
    if (set.contains("port"))
      of = text(set, "protocol") + " port " + text(set, "port") + " of " + of;
    rows.push_back({of, std::to_string(set["members"].size()), joined(set["kernel"])});
  }
  return rows;
}

Rows policyRows(const json& policies) {
  Rows rows = {{"NAME", "TIER", "ORDER", "ACTIVE", "INGRESS RULES", "EGRESS RULES"}};
  for (const auto& policy : policies) {
    rows.push_back({text(policy, "name"), text(policy, "tier"), numberText(policy["order"]),
                    text(policy, "active") == "true" ? "yes" : "no",
                    std::to_string(policy["ingress"].size()),
                    std::to_string(policy["egress"].size())});
  }
  return rows;
}

Rows groupRows(const json& groups) {
  Rows rows = {{"CHAIN", "DIRECTION", "POLICIES", "PROFILES", "SIZE", "MEMBERS"}};
  for (const auto& group : groups)
    rows.push_back({text(group, "chain"), text(group, "direction"), joined(group["policies"]),
                    text(group, "profileRuleLists"), std::to_string(group["members"].size()),
                    some(group["members"])});
  return rows;
}

}  // namespace

int runInspect(const Environment& env, const std::string& what, Output output) {
  const auto got = agentGet(env, "/v1/inspect/" + what);
  if (!got) return failed(got.error().what);
  if (output == Output::Json) return printed(*got);
  printTable(what == "endpoints"  ? endpointRows(*got)
             : what == "sets"     ? setRows(*got)
             : what == "policies" ? policyRows(*got)
                                  : groupRows(*got));
  return kDone;
}

int runConfig(const Environment& env, bool all, Output output) {
  const auto got = agentGet(env, "/v1/config");
  if (!got) return failed(got.error().what);
  if (output == Output::Json) return printed(*got);
  std::vector<std::vector<std::string>> rows = {{"PARAMETER", "VALUE", "ORIGIN"}};
  for (const auto& parameter : *got) {
    if (!all && text(parameter, "origin") == "default") continue;
    rows.push_back(
        {text(parameter, "name"), orDash(text(parameter, "value")), text(parameter, "origin")});
  }
  printTable(rows);
  if (!all) std::cerr << "parameters that have their default are not shown: --all shows them\n";
  return kDone;
}

int runWait(const Environment& env, std::chrono::milliseconds timeout) {
  const auto got = agentGet(env, "/v1/wait", {{"timeoutMs", std::to_string(timeout.count())}},
                            timeout + std::chrono::seconds(5));
  if (!got) return failed(got.error().what);
  if (text(*got, "done") == "true") return kDone;
  std::cerr << "margayctl: not converged after " << timeout.count() << " ms\n";
  for (const auto& missing : (*got)["missing"])
    std::cerr << "  " << missing.get<std::string>() << '\n';
  return kFailed;
}

int runVersion(const Environment& env, bool clientOnly) {
  std::cout << "Client Version:    " << kVersion << '\n';
  if (clientOnly) return kDone;
  const auto got = agentGet(env, "/v1/status", {}, std::chrono::seconds(2));
  std::cout << "Agent Version:     " << (got ? text(*got, "version") : "not running") << '\n';
  return kDone;
}

}  // namespace margay::ctl

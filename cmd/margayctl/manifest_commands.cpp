#include <cerrno>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>

#include "api/codec/calico_encode.h"
#include "api/codec/kubernetes_convert.h"
#include "api/file/directory_loader.h"
#include "cmd/agent/explain.h"
#include "cmd/margayctl/commands.h"

namespace margay::ctl {
namespace {

using Json = nlohmann::ordered_json;

Result<std::string> textOf(const std::string& file) {
  if (file == "-") return std::string(std::istreambuf_iterator<char>(std::cin), {});
  std::ifstream in(file);
  if (!in)
    return fail(Errc::NotFound, "cannot read " + file + ": " + std::strerror(errno) +
                                    ": give a file, or - for standard input");
  return std::string(std::istreambuf_iterator<char>(in), {});
}

Result<std::vector<api::DocumentVerdict>> verdictsOf(const std::string& file) {
  if (file != "-") return api::validatePath(file);
  const auto text = textOf(file);
  if (!text) return Fail(text.error());
  return api::validateText(*text, "standard input");
}

Json verdictJson(const api::DocumentVerdict& verdict) {
  auto errors = Json::array();
  for (const auto& error : verdict.errors)
    errors.push_back({{"field", error.field}, {"reason", error.reason}});
  return {{"kind", verdict.kind},    {"name", verdict.name},
          {"namespace", verdict.ns}, {"valid", verdict.valid()},
          {"errors", errors},        {"warnings", verdict.warnings},
          {"file", verdict.file},    {"document", verdict.document}};
}

std::string titleOf(const api::DocumentVerdict& verdict) {
  std::string out = verdict.file;
  if (verdict.document > 0) out += ", document " + std::to_string(verdict.document);
  out += ": " + (verdict.kind.empty() ? std::string("unknown kind") : verdict.kind);
  if (!verdict.name.empty())
    out += ' ' + (verdict.ns.empty() ? "" : verdict.ns + '/') + verdict.name;
  return out;
}

agent::ExplainQuery queryOf(const ExplainArguments& arguments) {
  return {arguments.from,       arguments.to,       arguments.protocol, arguments.port,
          arguments.sourcePort, arguments.icmpType, arguments.node};
}

Result<Json> explained(const Environment& env, const ExplainArguments& arguments) {
  if (arguments.dataDir.empty()) {
    const auto got = agentGet(env, "/v1/explain",
                              {{"from", arguments.from},
                               {"to", arguments.to},
                               {"protocol", arguments.protocol},
                               {"port", arguments.port},
                               {"sourcePort", arguments.sourcePort},
                               {"icmpType", arguments.icmpType},
                               {"node", arguments.node}});
    if (!got) return Fail(got.error());
    return Json(*got);
  }
  const auto loaded = api::loadDirectory(arguments.dataDir);
  if (!loaded) return Fail(withContext(loaded.error(), "--data-dir"));
  for (const auto& object : loaded->invalid)
    std::cerr << "margayctl: left out: " << object.kindName << ' ' << object.name << " ("
              << object.file << "): " << object.field << ": " << object.reason << '\n';
  controllers::Objects objects;
  for (const auto& update : loaded->updates) objects.emplace(update.key, *update.value);
  return agent::explain(objects, queryOf(arguments));
}

/// "Deny: tcp from shop/web (10.0.0.1) to 10.0.0.2 port 80"
std::string explainTitle(const Json& answer, const ExplainArguments& arguments) {
  const auto end = [&](const char* key, const std::string& asked) {
    const auto address = answer[key].get<std::string>();
    return asked == address ? address : asked + " (" + address + ')';
  };
  auto out = answer["verdict"].get<std::string>() + ": " + arguments.protocol + " from " +
             end("from", arguments.from) + " to " + end("to", arguments.to);
  if (!arguments.port.empty()) out += " port " + arguments.port;
  if (!arguments.node.empty()) out += ", as far as node " + arguments.node + " decides";
  return out;
}

/// Rules with ports match no packet without one.
bool portForgotten(const ExplainArguments& arguments) {
  static const std::set<std::string> kWithPorts = {"tcp", "udp", "sctp", "6", "17", "132"};
  return arguments.port.empty() && kWithPorts.contains(arguments.protocol);
}

}  // namespace

int runExplain(const Environment& env, const ExplainArguments& arguments, Output output) {
  if (const auto packet = agent::checkPacket(queryOf(arguments)); !packet)
    return wrongUsage("explain: " + packet.error().what);
  const auto got = explained(env, arguments);
  if (!got) return failed(got.error().what);
  if (output == Output::Json) {
    std::cout << got->dump(2) << '\n';
    return kDone;
  }
  const auto text = [](const Json& object, const char* key) {
    return object.contains(key) && object[key].is_string() ? object[key].get<std::string>()
                                                           : std::string();
  };
  std::cout << explainTitle(*got, arguments) << '\n';
  std::vector<std::vector<std::string>> rows = {
      {"STAGE", "WORKLOAD", "TIER", "POLICY", "RULE", "ACTION"}};
  for (const auto& stage : (*got)["stages"]) {
    const auto cell = [&](const char* key) {
      const auto value = text(stage, key);
      return value.empty() ? std::string("-") : value;
    };
    const auto called = text(stage, "ruleName");
    rows.push_back({cell("name"), cell("endpoint"), cell("tier"), cell("policy"),
                    cell("rule") + (called.empty() ? "" : " (" + called + ')'), cell("action")});
  }
  if (rows.size() > 1) {
    printTable(rows);
  } else {
    std::cout << (arguments.node.empty() ? "neither end is a workload: no policy is asked\n"
                                         : "neither end is a workload of node " + arguments.node +
                                               ": it asks no policy\n");
  }
  if (portForgotten(arguments)) std::cerr << "without --port no rule that has ports matches\n";
  return kDone;
}

int runValidate(const std::string& file, Output output) {
  const auto verdicts = verdictsOf(file);
  if (!verdicts) {
    return failed("cannot read " + verdicts.error().what +
                  ": give a manifest, a directory of manifests, or - for standard input");
  }
  bool valid = true;
  auto json = Json::array();
  for (const auto& verdict : *verdicts) {
    valid = valid && verdict.valid();
    if (output == Output::Json) {
      json.push_back(verdictJson(verdict));
      continue;
    }
    std::cout << titleOf(verdict) << ": " << (verdict.valid() ? "valid" : "INVALID") << '\n';
    for (const auto& error : verdict.errors)
      std::cout << "  " << (error.field.empty() ? "" : error.field + ": ") << error.reason << '\n';
    for (const auto& warning : verdict.warnings) std::cout << "  warning: " << warning << '\n';
  }
  if (output == Output::Json) std::cout << json.dump(2) << '\n';
  return valid ? kDone : kFailed;
}

int runConvert(const std::string& file, Output output) {
  const auto text = textOf(file);
  if (!text) return failed(text.error().what);
  const auto converted = api::convertKubernetes(*text);
  if (!converted) return failed(converted.error().what);
  for (const auto& warning : converted->warnings)
    std::cerr << "margayctl: warning: " << warning << '\n';
  if (output == Output::Json) {
    std::cout << Json(converted->objects).dump(2) << '\n';
    return kDone;
  }
  const char* separator = "";
  for (const auto& object : converted->objects) {
    std::cout << separator << api::yamlText(object);
    separator = "---\n";
  }
  return kDone;
}

}  // namespace margay::ctl

#include <linux/capability.h>

#include <charconv>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "cmd/agent/host_accepts.h"
#include "cmd/margayctl/commands.h"
#include "dataplane/ipset_probe.h"
#include "dataplane/nft_driver.h"
#include "dataplane/rule_survey.h"
#include "dataplane/xtables_socket.h"

namespace margay::ctl {
namespace {

enum class State { Ok, Warning, Missing };

struct Check {
  std::string what;
  State state = State::Ok;
  std::string detail;
};

std::string_view stateText(State state) {
  return state == State::Ok ? "ok" : state == State::Warning ? "warning" : "missing";
}

Check checkOf(std::string what, const Result<void>& probed) {
  if (probed) return {std::move(what)};
  return {std::move(what), State::Missing, probed.error().what};
}

/// The effective capabilities of this process (capabilities(7)).
std::uint64_t capabilities() {
  constexpr std::string_view kField = "CapEff:\t";
  std::uint64_t out = 0;
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(kField))
      std::from_chars(line.data() + kField.size(), line.data() + line.size(), out, 16);
  }
  return out;
}

Check rights() {
  const auto held = capabilities();
  std::string lacking;
  for (const auto& [number, name] :
       {std::pair(CAP_NET_ADMIN, "CAP_NET_ADMIN"), std::pair(CAP_NET_RAW, "CAP_NET_RAW")}) {
    if ((held >> static_cast<unsigned>(number) & 1U) == 0)
      lacking.append(lacking.empty() ? "" : " and ").append(name);
  }
  if (lacking.empty()) return {"rights"};
  return {"rights", State::Missing, "no " + lacking + ": run as root, or give the container them"};
}

Check nfTables() {
  const auto opened = dataplane::NftDriver::open();
  return checkOf("nf_tables", opened ? Result<void>() : Result<void>(Fail(opened.error())));
}

/// The agent sets it at its start, so what matters is whether it may.
Check forwarding(const std::string& what, const std::string& sysctl) {
  const std::string path = "/proc/sys/" + sysctl;
  std::string value;
  std::ifstream(path) >> value;
  if (value.empty()) return {what, State::Missing, path + " is not there"};
  if (value != "0") return {what};
  if (std::ofstream(path, std::ios::app).is_open())
    return {what, State::Ok, "off; the agent sets " + sysctl + " when it starts"};
  return {what, State::Warning, path + " is 0 and cannot be written: set it on the host"};
}

/// Chains in which the packets that policy allows would be lost all the same.
std::vector<Check> othersFilters() {
  const std::string what = "filters of others";
  const auto survey = dataplane::surveyRules();
  if (!survey) return {{what, State::Warning, "cannot be read: " + survey.error().what}};
  std::vector<Check> out;
  for (auto& line : agent::acceptReport(agent::Backend::Nft, *survey, {}).warnings)
    out.push_back({what, State::Warning, std::move(line)});
  if (out.empty()) out.push_back({what});
  return out;
}

std::vector<Check> checks() {
  std::vector<Check> out{rights(),
                         checkOf("ipset", dataplane::probeIpset()),
                         checkOf("legacy IPv4", dataplane::probeLegacyTables(Family::V4)),
                         checkOf("legacy IPv6", dataplane::probeLegacyTables(Family::V6)),
                         nfTables(),
                         forwarding("forwarding IPv4", "net/ipv4/ip_forward"),
                         forwarding("forwarding IPv6", "net/ipv6/conf/all/forwarding")};
  for (auto& check : othersFilters()) out.push_back(std::move(check));
  return out;
}

bool isOk(const std::vector<Check>& all, std::string_view what) {
  for (const Check& check : all) {
    if (check.what == what) return check.state == State::Ok;
  }
  return false;
}

}  // namespace

int runCheckSystem(Output output) {
  const auto all = checks();
  const bool legacy = isOk(all, "ipset") && isOk(all, "legacy IPv4") && isOk(all, "legacy IPv6");
  const bool nft = isOk(all, "nf_tables");
  const bool fits = isOk(all, "rights") && (legacy || nft);
  if (output == Output::Json) {
    nlohmann::ordered_json out = {{"fits", fits}, {"checks", nlohmann::ordered_json::array()}};
    for (const Check& check : all) {
      out["checks"].push_back({{"check", check.what},
                               {"result", std::string(stateText(check.state))},
                               {"detail", check.detail}});
    }
    std::cout << out.dump(2) << '\n';
  } else {
    std::vector<std::vector<std::string>> rows{{"CHECK", "RESULT", "DETAIL"}};
    for (const Check& check : all)
      rows.push_back({check.what, std::string(stateText(check.state)), check.detail});
    printTable(rows);
  }
  if (!isOk(all, "rights")) return failed("checksystem: Margay cannot run here without its rights");
  if (!fits)
    return failed(
        "checksystem: Margay cannot run here: it needs legacy tables with ipset, or "
        "nf_tables");
  if (output == Output::Table)
    std::cout << "Margay can run here, with "
              << (legacy && nft ? "legacy tables or nf_tables"
                  : legacy      ? "legacy tables"
                                : "nf_tables")
              << ".\n";
  return kDone;
}

}  // namespace margay::ctl

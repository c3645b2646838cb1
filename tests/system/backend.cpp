#include "tests/system/backend.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <set>
#include <sstream>

namespace margay::system_tests {
namespace {

double sumOfRuleTables(const Host& host, const std::string& metric, const std::string& label) {
  double sum = 0;
  for (const auto& [series, value] : host.metrics()) {
    const auto ofRules = series.find("table=\"iptables\"") != std::string::npos ||
                         series.find("table=\"nft") != std::string::npos;
    if (series.starts_with(metric + '{') && ofRules && series.find(label) != std::string::npos)
      sum += value;
  }
  return sum;
}

/// `{ b, a }`, of a set or of a rule, with what is in it in order; the rest as it is.
std::string inOrder(std::string line) {
  static const std::string kOpen = "{ ";
  for (auto begin = line.find(kOpen); begin != std::string::npos; begin = line.find(kOpen, begin)) {
    begin += kOpen.size();
    const auto end = line.find(" }", begin);
    if (end == std::string::npos) break;
    std::set<std::string> elements;
    std::istringstream all(line.substr(begin, end - begin));
    for (std::string one; std::getline(all >> std::ws, one, ',');) elements.insert(one);
    std::string sorted;
    for (const auto& one : elements) sorted += sorted.empty() ? one : ", " + one;
    line.replace(begin, end - begin, sorted);
  }
  return line;
}

/// What `nft list` says, without the order in which sets, chains and elements were made.
std::string withoutOrder(const std::string& ruleset) {
  std::set<std::string> blocks;
  std::string table;
  std::string block;
  std::string line;
  std::istringstream lines(ruleset);
  for (std::string part; std::getline(lines, part);) {
    line += line.empty() ? part : ' ' + part.substr(part.find_first_not_of("\t "));
    if (line.ends_with(',')) continue;  // elements go on in the next line
    if (line.starts_with("table")) {
      table = line;
    } else if (line == "\t}") {
      blocks.insert(table + block);
      block.clear();
    } else if (line != "}" && !line.empty()) {
      block += '\n' + inOrder(line);
    }
    line.clear();
  }
  std::string out;
  for (const auto& one : blocks) out += one + '\n';
  return out;
}

}  // namespace

std::string backend() {
  const char* const wanted = std::getenv("MARGAY_TEST_BACKEND");
  return wanted == nullptr || *wanted == '\0' ? "Legacy" : wanted;
}

bool legacyBackend() {
  return backend() == "Legacy";
}

bool legacyOnly(const std::string& why) {
  if (legacyBackend()) return false;
  [&] { GTEST_SKIP() << "only with legacy iptables: " << why; }();
  return true;
}

std::string rulesText(const Host& host, std::optional<Family> family) {
  if (!legacyBackend()) return host.mustSh("nft -s list ruleset");
  const std::string four = family == Family::V6 ? "" : "iptables";
  const std::string six = family == Family::V4 ? "" : "ip6tables";
  return host.mustSh("for t in raw mangle nat filter; do for v in " + four + ' ' + six +
                     "; do $v-legacy-save -t $t; done; done 2>/dev/null | sed -e '/^#/d' -e "
                     "'s/\\[[0-9:]*\\]//'");
}

double ruleCommits(const Host& host) {
  return sumOfRuleTables(host, "margay_dataplane_changes_total", "op=\"commit\"");
}

double ruleDrift(const Host& host) {
  return sumOfRuleTables(host, "margay_dataplane_drift_total", "");
}

void wipeRules(const Host& host) {
  // A chain cannot be removed if the agent put a rule that refers to it in between.
  static_cast<void>(host.mustSh(
      legacyBackend() ? "for t in raw mangle nat filter; do for v in iptables ip6tables; do "
                        "$v-legacy -t $t -F && { $v-legacy -t $t -X 2>/dev/null || true; } || exit "
                        "1; done; done"
                      : "nft flush ruleset"));
}

void flushLocalSet(const Host& host) {
  static_cast<void>(host.mustSh(
      legacyBackend() ? "ipset flush mgy4-local"
                      : "nft list sets | awk '/^table/ {t = $2 \" \" $3} /set .*4.*local/ {print "
                        "\"flush set\", t, $2}' | nft -f -"));
}

std::vector<std::string> damages(const Pod& pod) {
  const auto address = pod.address().str();
  if (legacyBackend()) {
    return {"iptables-legacy -F",
            "ip6tables-legacy -t raw -F PREROUTING",
            "iptables-legacy -D FORWARD 1",
            "iptables-legacy -F mgy-to-workload",
            "iptables-legacy -A mgy-to-workload -j ACCEPT",
            "ip6tables-legacy -F mgy-from-workload",
            "ipset del mgy4-local " + address + ',' + pod.device(),
            "ipset add mgy4-local 10.65.1.77,eth0"};
  }
  const auto element = " { \"" + pod.device() + "\" . " + address + " }'";
  return {"nft delete table ip margay",
          "nft flush table ip6 margay",
          "nft flush chain ip6 margay raw-prerouting",
          "nft flush chain ip margay mgy-to-workload",
          "nft insert rule ip margay mgy-to-workload accept",
          "nft flush chain ip6 margay mgy-from-workload",
          "nft 'delete element ip margay mgy4-local" + element,
          "nft 'delete element ip margay mgy4-to" + element,
          "nft 'add element ip margay mgy4-local { \"eth0\" . 10.65.1.77 }'"};
}

std::string kernelState(const Host& host) {
  return (legacyBackend() ? rulesText(host) : withoutOrder(rulesText(host))) +
         host.mustSh(
             "ipset save | sed -e 's/initval [^ ]*//' | sort; ip route; ip -6 route | sed "
             "'s/expires [^ ]*//'; ip neigh show nud permanent | sort; sysctl -a 2>/dev/null | "
             "grep -E "
             "'forward|proxy_arp|proxy_ndp|proxy_delay|rp_filter|route_localnet|accept_ra '");
}

}  // namespace margay::system_tests

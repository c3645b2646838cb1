#include "cmd/agent/host_accepts.h"

#include <algorithm>

#include "base/log.h"
#include "dataplane/iptables_driver.h"
#include "dataplane/iptables_nft_driver.h"

namespace margay::agent {
namespace {

using controllers::AcceptBy;
using dataplane::FilterChain;

/// Only our nf_tables judge, and they do so before the chains of iptables.
bool nftAlone(Backend backend, const dataplane::RuleSurvey& survey) {
  return backend == Backend::Nft && !survey.legacy.ours;
}

std::string_view toolText(Backend side) {
  return side == Backend::Legacy ? "iptables-legacy" : "iptables-nft";
}
std::string_view familyText(Family family) {
  return family == Family::V4 ? "IPv4" : "IPv6";
}

std::string quoted(const controllers::StaticOptions& options) {
  std::string out;
  for (const auto& prefix : options.interfacePrefixes)
    out += (out.empty() ? "\"" : ", \"") + prefix + "*\"";
  return options.interfacePrefixes.size() == 1 ? out : "{ " + out + " }";
}

}  // namespace

dataplane::RuleTable acceptTable(const dataplane::RuleSurvey::Side& side, Family family,
                                 const controllers::StaticOptions& options, AcceptBy by) {
  dataplane::RuleTable out;
  for (auto& hook : controllers::acceptHooks(options, by)) {
    if (side.dropping.contains({family, hook.chain})) out.hooks.push_back(std::move(hook));
  }
  return out;
}

AcceptPlan acceptPlan(Backend backend, const dataplane::RuleSurvey& survey,
                      const controllers::StaticOptions& options) {
  AcceptPlan out;
  const bool alone = nftAlone(backend, survey);
  const auto add = [&](Backend place, const dataplane::RuleSurvey::Side& side) {
    for (const auto* chains : {&side.dropping, &side.accepting}) {
      for (const FilterChain& chain : *chains) {
        out[{place, chain.family}] =
            acceptTable(side, chain.family, options, alone ? AcceptBy::Mark : AcceptBy::Interface);
      }
    }
  };
  if (alone) add(Backend::Legacy, survey.legacy);
  add(Backend::Nft, survey.nft);
  return out;
}

bool sameAccepts(const AcceptPlan& a, const AcceptPlan& b) {
  // Such tables have hooks alone.
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& one, const auto& other) {
    return one.first == other.first && one.second.hooks == other.second.hooks;
  });
}

AcceptReport acceptReport(Backend backend, const dataplane::RuleSurvey& survey,
                          const controllers::StaticOptions& options) {
  AcceptReport out;
  const auto add = [&](Backend place, const dataplane::RuleSurvey::Side& side) {
    for (const FilterChain& chain : side.dropping) {
      auto line = std::string(dataplane::baseChainText(chain.chain)) + " of " +
                  std::string(toolText(place)) + " (" + std::string(familyText(chain.family)) +
                  ") drops by policy: ";
      const auto table = acceptTable(side, chain.family, options, AcceptBy::Mark);
      const bool any = std::any_of(table.hooks.begin(), table.hooks.end(),
                                   [&](const auto& hook) { return hook.chain == chain.chain; });
      line += any ? "what policy allows is accepted at its end, by rules with the comment "
                    "\"margay:last: ...\""
                  : "so it stays, for FilterAllowAction is RETURN";
      out.done.push_back(std::move(line));
    }
  };
  if (backend == Backend::Nft) add(Backend::Legacy, survey.legacy);
  add(Backend::Nft, survey.nft);
  for (const auto& [table, chain] : survey.nativeDropping) {
    out.warnings.push_back("chain " + chain + " of table " + table +
                           " drops forwarded packets that it has no rule for, also those of "
                           "workloads that policy allows: add `iifname " +
                           quoted(options) + " accept` and `oifname " + quoted(options) +
                           " accept` to it, or set its policy to accept");
  }
  return out;
}

bool HostAccepts::set(const AcceptPlan& plan) {
  bool changed =
      std::erase_if(tables_, [&](const auto& entry) { return !plan.contains(entry.first); }) > 0;
  for (const auto& [place, wanted] : plan) {
    if (std::find(families_.begin(), families_.end(), place.family) == families_.end()) continue;
    auto& table = tables_[place];
    if (!table) {
      table = open(place);
      changed = true;
    }
    if (!table) {
      tables_.erase(place);
      continue;
    }
    if (const auto set = table->setDesired(wanted); !set)
      log::error("a rule cannot be written", {{"error", set.error().what}});
  }
  return changed;
}

std::vector<RuleBackend::Entry> HostAccepts::tables() const {
  std::vector<RuleBackend::Entry> out;
  for (const auto& [place, table] : tables_)
    out.push_back({&table->table(), place.side == Backend::Nft ? "nftables" : "iptables"});
  return out;
}

Result<dataplane::RuleDriver*> HostAccepts::driverOf(Backend side) {
  auto& driver = drivers_[side];
  if (driver) return driver.get();
  if (side == Backend::Nft) {
    auto opened = dataplane::IptablesNftDriver::open();
    if (!opened) return Fail(opened.error());
    driver = std::make_unique<dataplane::IptablesNftDriver>(std::move(*opened));
  } else {
    auto opened = dataplane::IptablesDriver::open();
    if (!opened) return Fail(opened.error());
    driver = std::make_unique<dataplane::IptablesDriver>(std::move(*opened));
  }
  return driver.get();
}

std::unique_ptr<RuleTableAdapter> HostAccepts::open(AcceptPlace place) {
  const auto driver = driverOf(place.side);
  if (!driver) {
    log::warn("what policy allows cannot be accepted where others drop it",
              {{"in", toolText(place.side)}, {"error", driver.error().what}});
    return nullptr;
  }
  // Not before our own rules are in force, and not after they have gone.
  const RuleTableRole role{"accepts in " + std::string(toolText(place.side)) + " (" +
                               std::string(familyText(place.family)) + ')',
                           kHost, kLeave};
  return std::make_unique<RuleTableAdapter>(
      **driver, dataplane::TableId{place.family, dataplane::TableName::Filter}, options_, jitter_,
      role);
}

}  // namespace margay::agent

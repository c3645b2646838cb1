#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tests/system/cluster.h"

/// Every system test can run once for each way in which the agent writes rules: the environment's
/// MARGAY_TEST_BACKEND is given to all agents as FELIX_IPTABLESBACKEND. What differs is here.
namespace margay::system_tests {

/// MARGAY_TEST_BACKEND; "Legacy" without it.
[[nodiscard]] std::string backend();
[[nodiscard]] bool legacyBackend();
/// Skips the running test, with this reason, unless the backend is legacy iptables; returns whether
/// it did: `if (legacyOnly("...")) return;`
[[nodiscard]] bool legacyOnly(const std::string& why);

/// All rules of a host, also those of others, without counters: what two calls print differs only
/// if a rule does. For nftables its sets too, and both families whatever `family` says.
[[nodiscard]] std::string rulesText(const Host& host, std::optional<Family> family = {});
/// How often the agent wrote rules, in all tables; 0 while it does not run.
[[nodiscard]] double ruleCommits(const Host& host);
/// How many objects of the rule tables the agent found changed by others.
[[nodiscard]] double ruleDrift(const Host& host);
/// Removes all rules of the backend, also those of others.
void wipeRules(const Host& host);
/// Takes all members out of the set of the addresses that local workloads send from (IPv4).
void flushLocalSet(const Host& host);

/// Shell commands of which each changes or removes one thing of ours among rules and sets; `pod` is
/// one with an IPv4 address.
[[nodiscard]] std::vector<std::string> damages(const Pod& pod);

/// Everything an agent could change in a host: rules, sets, routes, permanent neighbours, sysctls;
/// without what the kernel counts or chooses by itself.
[[nodiscard]] std::string kernelState(const Host& host);

}  // namespace margay::system_tests

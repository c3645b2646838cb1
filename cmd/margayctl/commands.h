#pragma once

#include <chrono>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

/// The verbs of margayctl. Each returns the exit code: 0 done, 1 the operation failed, 2 the
/// command line is wrong. What is asked for goes to stdout, everything else to stderr.
namespace margay::ctl {

inline constexpr int kDone = 0;
inline constexpr int kFailed = 1;
inline constexpr int kUsage = 2;

enum class Output { Table, Json, Yaml };

/// Where the agent and its data are, from MARGAY_RUN_DIR, MARGAY_DATA_DIR and NODENAME.
struct Environment {
  std::string runDir;
  std::string dataDir;
  std::string nodeName;
};
[[nodiscard]] Environment environment();

/// GET of the agent's control socket. An error is one line that says what to do.
Result<nlohmann::json> agentGet(const Environment& env, const std::string& path,
                                const std::vector<std::pair<std::string, std::string>>& query = {},
                                std::chrono::milliseconds timeout = std::chrono::seconds(30));

int runStatus(const Environment& env, Output output);
int runPlan(const Environment& env, Output output);
int runInspect(const Environment& env, const std::string& what, Output output);
int runConfig(const Environment& env, bool all, Output output);
int runWait(const Environment& env, std::chrono::milliseconds timeout);
int runVersion(const Environment& env, bool clientOnly);
/// Whether this host has what the agent needs; needs no agent. Looking at legacy tables makes them
/// appear in /proc/net/ip_tables_names, and may load modules.
int runCheckSystem(Output output);

struct ExplainArguments {
  std::string from;
  std::string to;
  std::string protocol = "tcp";
  std::string port;
  std::string sourcePort;
  std::string icmpType;
  std::string dataDir;  ///< not empty: no agent is asked
  std::string node;
};
int runExplain(const Environment& env, const ExplainArguments& arguments, Output output);

int runValidate(const std::string& file, Output output);
int runConvert(const std::string& file, Output output);
int runSelector(const std::string& expression, const std::string& labels, bool labelsGiven,
                Output output);

int runContainerAdd(const Environment& env, const std::string& container,
                    const std::string& address, const std::string& interfaceName);
int runContainerAddGroup(const Environment& env, const std::string& container,
                         const std::string& address, const std::string& group);
int runContainerRemove(const Environment& env, const std::string& container);
int runContainerEndpointId(const Environment& env, const std::string& container);
int runProfileAdd(const Environment& env, const std::string& profile);
int runProfileShow(const Environment& env);
int runEndpointProfile(const Environment& env, const std::string& endpointId,
                       const std::string& verb, const std::vector<std::string>& profiles);

/// Prints one line to stderr and returns kFailed.
int failed(const std::string& line);
/// As `failed`, for a command line that is wrong: returns kUsage.
int wrongUsage(const std::string& line);
/// Columns wide enough for their cells, three blanks apart, first row is the header.
void printTable(const std::vector<std::vector<std::string>>& rows);

}  // namespace margay::ctl

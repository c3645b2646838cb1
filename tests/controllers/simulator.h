#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/model/ipset.h"
#include "dataplane/model/rule.h"

/// What the kernel does with rules, said plainly: tests hold the rules we build against policy with
/// it.
namespace margay::sim {

enum class State : std::uint8_t { New, Established, Related, Invalid, Untracked };

struct Packet {
  Address source;
  Address destination;
  std::uint8_t protocol = 6;
  std::uint16_t sourcePort = 0;
  std::uint16_t destinationPort = 0;
  std::uint8_t icmpType = 0;
  std::uint8_t icmpCode = 0;
  dataplane::IfName in;
  dataplane::IfName out;
  std::uint32_t mark = 0;
  State state = State::New;
};

enum class Verdict : std::uint8_t { Accept, Drop, Reject, Translate };

struct Outcome {
  std::optional<Verdict> verdict;  ///< none: no rule decided
  std::uint32_t mark = 0;
  std::vector<std::string> logs;
};

using Sets = std::map<dataplane::SetName, std::vector<dataplane::SetMember>>;

/// Runs `packet` through the hooks of `base`: those of Position::First, then those of
/// Position::Last. A rate limit is never exceeded.
Outcome run(const dataplane::RuleTable& table, const Sets& sets, dataplane::BaseChain base,
            const Packet& packet);

/// What no backend could write: each an explanation. Empty: the table is sound.
std::vector<std::string> faults(const dataplane::RuleTable& table);

/// The table as golden text: a line a rule, chains by name after the hooks.
std::string text(const dataplane::RuleTable& table);

}  // namespace margay::sim

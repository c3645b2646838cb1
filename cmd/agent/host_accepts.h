#pragma once

#include <compare>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cmd/agent/backend.h"
#include "cmd/agent/rule_backend.h"
#include "cmd/agent/rule_tables.h"
#include "controllers/policy/static_chains.h"
#include "dataplane/rule_survey.h"

/// What our tables let pass is lost where a chain of others drops by policy what it has no rule
/// for, as Docker's FORWARD does. In chains of iptables, legacy or over nf_tables, rules of ours
/// stand at the end then and accept it.
namespace margay::agent {

/// A filter table of iptables.
struct AcceptPlace {
  Backend side = Backend::Legacy;
  Family family = Family::V4;
  auto operator<=>(const AcceptPlace&) const = default;
};
using AcceptPlan = std::map<AcceptPlace, dataplane::RuleTable>;

/// What to accept in dropping chains of the family, where our tables are asked first or not.
[[nodiscard]] dataplane::RuleTable acceptTable(const dataplane::RuleSurvey::Side& side,
                                               Family family,
                                               const controllers::StaticOptions& options,
                                               controllers::AcceptBy by);
/// Of every filter table that drops, or has rules of ours for that: what should be there, which may
/// be nothing. Legacy tables are left out while they hold rules of the backend. Pure.
[[nodiscard]] AcceptPlan acceptPlan(Backend backend, const dataplane::RuleSurvey& survey,
                                    const controllers::StaticOptions& options);
/// Whether both ask for the same rules in the same places.
[[nodiscard]] bool sameAccepts(const AcceptPlan& a, const AcceptPlan& b);
/// For `margayctl status`: one line for each chain that drops, and what is done about it; chains in
/// which nothing can be done are warnings.
struct AcceptReport {
  std::vector<std::string> done;
  std::vector<std::string> warnings;
};
[[nodiscard]] AcceptReport acceptReport(Backend backend, const dataplane::RuleSurvey& survey,
                                        const controllers::StaticOptions& options);

/// The tables that keep those rules. The loop's thread.
class HostAccepts {
 public:
  HostAccepts(const reconcile::TableOptions& options, std::vector<Family> families,
              reconcile::Jitter& jitter)
      : options_(options), families_(std::move(families)), jitter_(jitter) {}

  /// Returns whether `tables` are others than before. A table that cannot be opened is logged and
  /// left out.
  bool set(const AcceptPlan& plan);
  [[nodiscard]] std::vector<RuleBackend::Entry> tables() const;

 private:
  Result<dataplane::RuleDriver*> driverOf(Backend side);
  std::unique_ptr<RuleTableAdapter> open(AcceptPlace place);

  reconcile::TableOptions options_;
  std::vector<Family> families_;
  reconcile::Jitter& jitter_;
  std::map<Backend, std::unique_ptr<dataplane::RuleDriver>> drivers_;
  std::map<AcceptPlace, std::unique_ptr<RuleTableAdapter>> tables_;
};

}  // namespace margay::agent

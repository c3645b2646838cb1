#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "api/config/parameters.h"
#include "api/store/mailbox.h"
#include "cmd/agent/remarks.h"
#include "controllers/node/node_controller.h"
#include "reconcile/table.h"

/// What `margayctl inspect`, `plan`, `config` and `status` print. The fields are an interface:
/// scripts read them.
namespace margay::agent {

using Json = nlohmann::ordered_json;

[[nodiscard]] Json endpointsJson(
    const std::vector<std::shared_ptr<const controllers::LocalEndpoint>>& endpoints);
[[nodiscard]] Json setsJson(const std::vector<controllers::Membership::View>& sets,
                            controllers::Dispatch dispatch);
[[nodiscard]] Json policiesJson(const std::vector<controllers::PolicyView>& policies);
[[nodiscard]] Json groupsJson(const std::vector<controllers::GroupView>& groups);
[[nodiscard]] Json configJson(const api::Parameters& parameters);

struct TablePlan {
  std::string table;
  std::vector<reconcile::PlannedChange> changes;
};
[[nodiscard]] Json planJson(const std::vector<TablePlan>& plans);

/// Everything `status` shows, copied from the loop.
struct StatusView {
  std::string nodeName;
  std::string notReadyBecause;  ///< empty: ready
  std::string backend;
  std::map<std::string, api::SourceState> sources;
  std::vector<reconcile::TableStatus> tables;
  TimePoint now{};
  controllers::PolicyCounts counts;
  std::vector<Remark> remarks;
  std::vector<controllers::SkippedRoute> skippedRoutes;
  std::vector<api::ParameterProblem> parameterProblems;
  /// Chains of others that drop by policy, and what is done about it.
  std::vector<std::string> droppingChains;
  std::vector<std::string> warnings;
};
[[nodiscard]] Json statusJson(const StatusView& view);
/// Objects that cannot be used, of all sources, and endpoints of which a part is left out.
[[nodiscard]] std::vector<api::InvalidObject> invalidObjects(const StatusView& view);

}  // namespace margay::agent

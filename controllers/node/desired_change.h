#pragma once

#include <map>
#include <string>
#include <vector>

#include "dataplane/model/ipset.h"
#include "dataplane/model/network.h"
#include "dataplane/model/rule.h"

namespace margay::controllers {

struct MembersChange {
  std::vector<dataplane::SetMember> removed;
  std::vector<dataplane::SetMember> added;
};

/// What changed in what a node should have in its kernel. Removals are to be taken before
/// additions: a key may be in both.
struct DesiredChange {
  std::vector<dataplane::SetName> setsRemoved;  ///< with all members
  std::vector<dataplane::SetSpec> setsAdded;
  std::map<dataplane::SetName, MembersChange> members;
  std::vector<dataplane::RouteKey> routesRemoved;
  std::vector<dataplane::Route> routes;
  std::vector<dataplane::NeighbourKey> neighboursRemoved;
  std::vector<dataplane::Neighbour> neighbours;
  std::vector<std::string> sysctlsRemoved;
  dataplane::SysctlMap sysctls;
  std::map<dataplane::TableId, dataplane::RuleTable> tables;  ///< those that changed, whole
  std::vector<Address>
      moved;  ///< have left an interface for another, which gets them with the next flush
  std::vector<Address> arrived;  ///< those of the flush before, now with their new interface
};

}  // namespace margay::controllers

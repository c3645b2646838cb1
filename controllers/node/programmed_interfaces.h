#pragma once

#include <map>
#include <set>
#include <unordered_map>
#include <vector>

#include "controllers/endpoints/endpoint_routes.h"
#include "controllers/endpoints/interface_table.h"
#include "controllers/node/desired_change.h"
#include "controllers/policy/dispatch.h"

namespace margay::controllers {

/// What the entries, routes, neighbours and sysctls of an interface follow from, beside itself.
struct InterfaceContext {
  /// The layouts of one family that has rules of ours.
  struct Layouts {
    Family family;
    const DispatchLayout& ingress;
    const DispatchLayout& egress;
  };
  std::vector<Layouts> layouts;
  const std::set<Prefix>& shared;  ///< sharedPrefixes
  Dispatch dispatch = Dispatch::Sets;
  const dataplane::LinkMap& links;
  const EndpointOptions& endpoints;
  bool routes = true;  ///< routes to workloads are ours to make
};

/// Which interfaces to look at again, and what of them.
struct InterfacesTouched {
  std::set<dataplane::IfName> interfaces;  ///< that came, went or changed
  std::set<dataplane::IfName> links;       ///< whose link came, went or changed
  bool allEntries = false;                 ///< layout, shared prefixes or families changed
  bool allTables = false;                  ///< options changed
};

/// What was last asked of the kernel for each local interface, and what a change makes of it. One
/// thread.
class ProgrammedInterfaces {
 public:
  /// Adds to `out` what differs now. An address that moves to another interface leaves the old one
  /// first (`out.moved`): then its flows can be deleted before the new one has it, which the next
  /// call gives it to (`out.arrived`). Cost follows what was touched.
  void apply(const InterfaceTable& table, const InterfacesTouched& touched,
             const InterfaceContext& context, DesiredChange& out);

 private:
  struct Programmed {
    WorkloadInterface interface;
    std::vector<SetEntry> entries;  // sorted
    EndpointTables tables;
  };

  std::vector<WorkloadInterface> withoutMoved(const InterfaceTable& table,
                                              const std::set<dataplane::IfName>& devices,
                                              DesiredChange& out);
  void forget(const dataplane::IfName& device, DesiredChange& out);
  void enter(const WorkloadInterface& interface, const InterfaceContext& context, Programmed& now,
             DesiredChange& out);
  static void programTables(const InterfaceContext& context, Programmed& now, DesiredChange& out);
  void hold(const WorkloadInterface& interface);
  void release(const WorkloadInterface& interface);

  std::map<dataplane::IfName, Programmed> programmed_;
  std::unordered_map<Prefix, dataplane::IfName> holders_;  // of the addresses in programmed_
  std::vector<Address> moved_;           // left one interface, not yet given to the next
  std::set<dataplane::IfName> waiting_;  // for addresses in moved_
};

}  // namespace margay::controllers

#include "controllers/node/programmed_interfaces.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "controllers/node/difference.h"

namespace margay::controllers {
namespace {

std::vector<SetEntry> wantedEntries(const WorkloadInterface& interface,
                                    const InterfaceContext& context) {
  std::vector<SetEntry> wanted;
  for (const auto& [family, ingress, egress] : context.layouts) {
    const auto entries = context.dispatch == Dispatch::Maps
                             ? mapEntries(interface, family, ingress, egress, context.shared)
                             : dispatchEntries(interface, family, ingress, egress, context.shared);
    wanted.insert(wanted.end(), entries.groups.begin(), entries.groups.end());
    wanted.insert(wanted.end(), entries.local.begin(), entries.local.end());
  }
  std::sort(wanted.begin(), wanted.end());
  return wanted;
}

}  // namespace

void ProgrammedInterfaces::apply(const InterfaceTable& table, const InterfacesTouched& touched,
                                 const InterfaceContext& context, DesiredChange& out) {
  auto changed = touched.interfaces;
  changed.merge(std::exchange(waiting_, {}));
  const auto interfaces = withoutMoved(table, changed, out);
  for (const auto& device : changed) {
    if (table.find(device) == nullptr) forget(device, out);
  }
  std::set<dataplane::IfName> done;
  for (const auto& interface : interfaces) {
    auto& now = programmed_[interface.device];
    if (now.interface == interface) continue;
    done.insert(interface.device);
    enter(interface, context, now, out);
    programTables(context, now, out);
  }
  if (!touched.allEntries && !touched.allTables && touched.links.empty()) return;
  for (auto& [device, now] : programmed_) {
    if (done.contains(device)) continue;
    if (touched.allEntries) enter(WorkloadInterface(now.interface), context, now, out);
    if (touched.allTables || touched.links.contains(device)) programTables(context, now, out);
  }
}

std::vector<WorkloadInterface> ProgrammedInterfaces::withoutMoved(
    const InterfaceTable& table, const std::set<dataplane::IfName>& devices, DesiredChange& out) {
  std::vector<WorkloadInterface> interfaces;
  out.arrived = std::exchange(moved_, {});
  for (const auto& device : devices) {
    const auto* wanted = table.find(device);
    if (wanted == nullptr) continue;
    auto& interface = interfaces.emplace_back(*wanted);
    std::erase_if(interface.addresses, [&](const Prefix& address) {
      const auto holder = holders_.find(address);
      if (holder == holders_.end() || holder->second == device) return false;
      moved_.push_back(address.address);
      waiting_.insert(device);
      return true;
    });
  }
  out.moved = moved_;
  return interfaces;
}

void ProgrammedInterfaces::forget(const dataplane::IfName& device, DesiredChange& out) {
  const auto entry = programmed_.find(device);
  if (entry == programmed_.end()) return;
  const auto& gone = entry->second;
  release(gone.interface);
  for (const auto& held : gone.entries) out.members[held.set].removed.push_back(held.member);
  for (const auto& [key, route] : gone.tables.routes) out.routesRemoved.push_back(key);
  for (const auto& [key, neighbour] : gone.tables.neighbours) out.neighboursRemoved.push_back(key);
  for (const auto& [path, value] : gone.tables.sysctls) out.sysctlsRemoved.push_back(path);
  programmed_.erase(entry);
}

void ProgrammedInterfaces::enter(const WorkloadInterface& interface,
                                 const InterfaceContext& context, Programmed& now,
                                 DesiredChange& out) {
  auto wanted = wantedEntries(interface, context);
  std::vector<SetEntry> left;
  std::vector<SetEntry> came;
  std::set_difference(now.entries.begin(), now.entries.end(), wanted.begin(), wanted.end(),
                      std::back_inserter(left));
  std::set_difference(wanted.begin(), wanted.end(), now.entries.begin(), now.entries.end(),
                      std::back_inserter(came));
  for (const auto& held : left) out.members[held.set].removed.push_back(held.member);
  for (const auto& held : came) out.members[held.set].added.push_back(held.member);
  now.entries = std::move(wanted);
  release(now.interface);
  now.interface = interface;
  hold(now.interface);
}

void ProgrammedInterfaces::programTables(const InterfaceContext& context, Programmed& now,
                                         DesiredChange& out) {
  auto tables = endpointTables({&now.interface, 1}, context.links, context.endpoints);
  if (!context.routes) tables.routes.clear();
  difference(
      now.tables.routes, tables.routes, [&](const auto& key) { out.routesRemoved.push_back(key); },
      [&](const auto&, const auto& route) { out.routes.push_back(route); });
  difference(
      now.tables.neighbours, tables.neighbours,
      [&](const auto& key) { out.neighboursRemoved.push_back(key); },
      [&](const auto&, const auto& neighbour) { out.neighbours.push_back(neighbour); });
  difference(
      now.tables.sysctls, tables.sysctls,
      [&](const auto& path) { out.sysctlsRemoved.push_back(path); },
      [&](const auto& path, const auto& value) { out.sysctls[path] = value; });
  now.tables = std::move(tables);
}

void ProgrammedInterfaces::hold(const WorkloadInterface& interface) {
  for (const auto& address : interface.addresses)
    holders_.insert_or_assign(address, interface.device);
}

void ProgrammedInterfaces::release(const WorkloadInterface& interface) {
  for (const auto& address : interface.addresses) {
    const auto holder = holders_.find(address);
    if (holder != holders_.end() && holder->second == interface.device) holders_.erase(holder);
  }
}

}  // namespace margay::controllers

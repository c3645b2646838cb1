#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <iostream>

#include "api/file/manifest_writer.h"
#include "base/hash.h"
#include "cmd/margayctl/commands.h"
#include "cmd/margayctl/value_store.h"
#include "dataplane/workload_wiring.h"

/// The verbs of calicoctl 0.5 and of the L2 prototype. A container's endpoint is a WorkloadEndpoint
/// in the datastore.
namespace margay::ctl {
namespace {

using api::Kind;
using api::WorkloadEndpoint;
using EndpointPtr = Shared<WorkloadEndpoint>;

constexpr std::string_view kNamespace = "default";

/// The last part of a path, so that a container has one name however its namespace is given.
std::string containerName(const std::string& container) {
  return std::filesystem::path(container).filename().string();
}

/// The container's name as a manifest can have it: lower case, with '-' for what no object's name
/// holds.
std::string workloadName(const std::string& container) {
  auto name = containerName(container);
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '.' ? static_cast<char>(std::tolower(c)) : '-';
  });
  return name;
}

/// An id that only this host's container of that name has.
std::string endpointIdOf(const Environment& env, const std::string& container) {
  return sha1Hex(env.nodeName + '/' + workloadName(container)).substr(0, 32);
}

Result<std::vector<EndpointPtr>> endpointsIn(ValueStore& writer) {
  auto found = writer.list(Kind::WorkloadEndpoint);
  if (!found) return Fail(found.error());
  std::vector<EndpointPtr> out;
  for (const auto& entry : *found) {
    if (const auto* endpoint = std::get_if<EndpointPtr>(&entry)) out.push_back(*endpoint);
  }
  return out;
}

Result<EndpointPtr> endpointOf(ValueStore& writer, const Environment& env,
                               const std::string& container) {
  auto all = endpointsIn(writer);
  if (!all) return Fail(all.error());
  const auto found = std::find_if(all->begin(), all->end(), [&](const EndpointPtr& e) {
    return e->node.view() == env.nodeName && e->workload() == workloadName(container);
  });
  if (found == all->end()) {
    return fail(Errc::NotFound, "container " + container + " is not networked by Margay on " +
                                    env.nodeName + ": add it with 'margayctl container add " +
                                    container + " IP'");
  }
  return *found;
}

std::string endpointId(const Environment& env, const WorkloadEndpoint& endpoint) {
  return sha1Hex(env.nodeName + '/' + endpoint.workload()).substr(0, 32);
}

/// An address of a pool, unless there is no pool at all; and of nobody else.
Result<void> checkAddress(ValueStore& writer, const Address& address) {
  auto pools = writer.list(Kind::IPPool);
  if (!pools) return Fail(pools.error());
  const bool inPool = std::any_of(pools->begin(), pools->end(), [&](const auto& found) {
    const auto* pool = std::get_if<Shared<api::IPPool>>(&found);
    return pool != nullptr && (*pool)->cidr.contains(address);
  });
  if (!pools->empty() && !inPool)
    return fail(
        Errc::Invalid,
        address.str() +
            " is not in any configured pool: choose an address of a pool, or add an IPPool");
  auto endpoints = endpointsIn(writer);
  if (!endpoints) return Fail(endpoints.error());
  for (const auto& endpoint : *endpoints) {
    if (std::find(endpoint->addresses.begin(), endpoint->addresses.end(), Prefix::host(address)) ==
        endpoint->addresses.end())
      continue;
    return fail(Errc::Invalid, address.str() + " is already assigned to " + endpoint->workload() +
                                   " on " + endpoint->node.str());
  }
  return {};
}

struct NewContainer {
  std::string container;
  Address address;
  std::string hostInterface;
  std::string containerInterface;
  std::string orchestrator;
  dataplane::ContainerRouting routing = dataplane::ContainerRouting::Gateway;
  std::vector<std::string> profiles;
};

WorkloadEndpoint endpointFor(const Environment& env, const NewContainer& wanted,
                             const dataplane::ContainerInterface& made) {
  WorkloadEndpoint endpoint;
  endpoint.ns = kNamespace;
  endpoint.node = env.nodeName;
  endpoint.name = api::workloadEndpointName(
      env.nodeName, wanted.orchestrator, workloadName(wanted.container), wanted.containerInterface);
  endpoint.setDetails({.interfaceName = wanted.hostInterface,
                       .mac = made.link.mac,
                       .allowedSources = {},
                       .identity = {}});
  endpoint.addresses = {Prefix::host(wanted.address)};
  endpoint.profiles = share(wanted.profiles);
  return endpoint;
}

Result<void> addContainer(ValueStore& writer, const Environment& env, const NewContainer& wanted) {
  if (endpointOf(writer, env, wanted.container))
    return fail(Errc::Invalid,
                wanted.container + " has already been configured with Margay networking");
  if (auto free = checkAddress(writer, wanted.address); !free) return free;
  dataplane::WorkloadWiring wiring;
  wiring.netns = wanted.container;
  wiring.hostInterface = wanted.hostInterface;
  wiring.containerInterface = wanted.containerInterface;
  wiring.addresses = {wanted.address};
  wiring.routing = wanted.routing;
  const auto made = dataplane::wireWorkload(wiring);
  if (!made) return Fail(made.error());
  auto written = writer.put(share(endpointFor(env, wanted, *made)));
  if (written) return {};
  if (auto undone = dataplane::unwireHost(wanted.hostInterface); !undone)
    std::cerr << "margayctl: cannot undo: " << undone.error().what << '\n';
  return written;
}

/// Members of the profile may talk with each other; everything may go out.
api::Profile membersOnly(const std::string& name) {
  api::Profile profile;
  profile.name = name;
  profile.labelsToApply = api::Labels({{name, ""}});
  api::PolicyRule fromMembers;
  fromMembers.source.selector = "has(" + name + ")";
  profile.ingress = {fromMembers};
  profile.egress = {api::PolicyRule{}};
  return profile;
}

bool validProfileName(const std::string& name) {
  return !name.empty() && name.size() < 40 &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) {
           return std::isalnum(c) != 0 || c == '.' || c == '_' || c == '-';
         });
}

Result<bool> addProfile(ValueStore& writer, const std::string& name) {
  if (!validProfileName(name))
    return fail(
        Errc::Invalid,
        "'" + name + "' is no profile name: use up to 39 letters, digits, '.', '_' and '-'");
  const auto existing = writer.find({Kind::Profile, {}, name});
  if (!existing) return Fail(existing.error());
  if (*existing) return false;
  if (auto written = writer.put(share(membersOnly(name))); !written) return Fail(written.error());
  return true;
}

std::string joined(const std::vector<std::string>& list) {
  std::string out;
  for (const auto& item : list) out += (out.empty() ? "" : ", ") + item;
  return out;
}

}  // namespace

int runContainerAdd(const Environment& env, const std::string& container,
                    const std::string& address, const std::string& interfaceName) {
  const auto parsed = Address::parse(address);
  if (!parsed) return failed("'" + address + "' is not an IP address");
  auto writer = openValueStore(env);
  if (!writer) return failed(writer.error().what);
  NewContainer wanted{container, *parsed, "cali" + endpointIdOf(env, container).substr(0, 11),
                      interfaceName, "docker"};
  if (auto added = addContainer(**writer, env, wanted); !added)
    return failed("cannot add " + container + ": " + added.error().what);
  std::cout << "IP " << address << " added to " << containerName(container) << '\n';
  return kDone;
}

int runContainerAddGroup(const Environment& env, const std::string& container,
                         const std::string& address, const std::string& group) {
  const auto parsed = Address::parse(address);
  if (!parsed) return failed("'" + address + "' is not an IP address");
  auto writer = openValueStore(env);
  if (!writer) return failed(writer.error().what);
  if (auto profile = addProfile(**writer, group); !profile) return failed(profile.error().what);
  NewContainer wanted{container, *parsed,  "tap" + endpointIdOf(env, container).substr(0, 11),
                      "eth0",    "docker", dataplane::ContainerRouting::OnLink,
                      {group}};
  if (auto added = addContainer(**writer, env, wanted); !added)
    return failed("cannot add " + container + ": " + added.error().what);
  std::cout << "IP " << address << " added to " << containerName(container) << " in group " << group
            << '\n';
  return kDone;
}

int runContainerRemove(const Environment& env, const std::string& container) {
  auto writer = openValueStore(env);
  if (!writer) return failed(writer.error().what);
  const auto endpoint = endpointOf(**writer, env, container);
  if (!endpoint) return failed(endpoint.error().what);
  if (auto removed = (*writer)->remove(api::keyOfValue(*endpoint)); !removed)
    return failed(removed.error().what);
  if (auto unwired = dataplane::unwireHost((*endpoint)->details().interfaceName); !unwired)
    return failed(unwired.error().what);
  std::cout << "Removed Margay networking from " << containerName(container) << '\n';
  return kDone;
}

int runContainerEndpointId(const Environment& env, const std::string& container) {
  auto writer = openValueStore(env);
  if (!writer) return failed(writer.error().what);
  const auto endpoint = endpointOf(**writer, env, container);
  if (!endpoint) return failed(endpoint.error().what);
  std::cout << endpointId(env, **endpoint) << '\n';
  return kDone;
}

int runProfileAdd(const Environment& env, const std::string& profile) {
  auto writer = openValueStore(env);
  if (!writer) return failed(writer.error().what);
  const auto added = addProfile(**writer, profile);
  if (!added) return failed(added.error().what);
  std::cout << (*added ? "Created profile " + profile : "Profile " + profile + " already exists.")
            << '\n';
  return kDone;
}

int runProfileShow(const Environment& env) {
  auto writer = openValueStore(env);
  if (!writer) return failed(writer.error().what);
  const auto found = (*writer)->list(Kind::Profile);
  if (!found) return failed(found.error().what);
  std::vector<std::vector<std::string>> rows = {{"NAME"}};
  for (const auto& entry : *found) rows.push_back({std::get<Shared<api::Profile>>(entry)->name});
  printTable(rows);
  return kDone;
}

int runEndpointProfile(const Environment& env, const std::string& id, const std::string& verb,
                       const std::vector<std::string>& profiles) {
  auto writer = openValueStore(env);
  if (!writer) return failed(writer.error().what);
  const auto all = endpointsIn(**writer);
  if (!all) return failed(all.error().what);
  const auto found = std::find_if(all->begin(), all->end(), [&](const EndpointPtr& e) {
    return e->node.view() == env.nodeName && endpointId(env, *e) == id;
  });
  if (found == all->end())
    return failed(
        "there is no endpoint " + id + " on " + env.nodeName +
        ": 'margayctl container NAME endpoint-id show' prints it, on the container's host");
  auto names = (*found)->profiles ? *(*found)->profiles : std::vector<std::string>();
  if (verb == "show") {
    for (const auto& name : names) std::cout << name << '\n';
    return kDone;
  }
  for (const auto& name : profiles) {
    const auto existing = (*writer)->find({Kind::Profile, {}, name});
    if (!existing) return failed(existing.error().what);
    if (!*existing && verb != "remove")
      return failed("there is no profile " + name + ": add it with 'margayctl profile add " + name +
                    "'");
  }
  if (verb == "set") names.clear();
  for (const auto& name : profiles) {
    std::erase(names, name);
    if (verb != "remove") names.push_back(name);
  }
  WorkloadEndpoint changed = **found;
  changed.profiles = share(names);
  if (auto written = (*writer)->put(share(std::move(changed))); !written)
    return failed(written.error().what);
  if (verb == "set")
    std::cout << "Profile(s) of " << id << " set to " << (names.empty() ? "none" : joined(names))
              << '\n';
  if (verb == "append")
    std::cout << "Profile(s) " << joined(profiles) << " appended to " << id << ".\n";
  if (verb == "remove")
    std::cout << "Profile(s) " << joined(profiles) << " removed from " << id << ".\n";
  return kDone;
}

}  // namespace margay::ctl

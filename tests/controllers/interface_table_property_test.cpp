#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

#include "controllers/endpoints/interface_table.h"
#include "tests/controllers/builders.h"
#include "tests/controllers/plain_interfaces.h"

namespace margay::controllers {
namespace {

/// Few names, interfaces and addresses, so that conflicts are the rule.
std::shared_ptr<const LocalEndpoint> anyEndpoint() {
  const auto number = [](int below) { return std::to_string(*rc::gen::inRange(0, below)); };
  std::vector<std::string> addresses;
  for (int i = *rc::gen::inRange(0, 3); i > 0; --i) addresses.push_back("10.0.0." + number(4));
  auto local = std::make_shared<LocalEndpoint>();
  local->endpoint = share(test::pod({.name = "pod-" + number(5), .addresses = addresses}));
  local->interfaceName = *rc::gen::element<std::string>("cali0", "cali1", "cali2", "tap0", "");
  return local;
}

std::vector<api::IPPool> anyPools() {
  std::vector<api::IPPool> out;
  for (const char* cidr : {"10.0.0.0/31", "10.0.0.2/32"}) {
    if (*rc::gen::arbitrary<bool>()) continue;
    out.emplace_back();
    out.back().name = cidr;
    out.back().cidr = test::net(cidr);
  }
  return out;
}

RC_GTEST_PROP(InterfaceTableProperty, HoldsWhatPlainLoopsOverAllEndpointsFind, ()) {
  InterfaceTable table;
  std::map<api::ObjectKey, std::shared_ptr<const LocalEndpoint>> all;
  std::vector<std::string> prefixes;
  std::vector<api::IPPool> pools;
  std::vector<WorkloadInterface> before;
  for (int step = *rc::gen::inRange(1, 40); step > 0; --step) {
    const auto what = *rc::gen::inRange(0, 12);
    const auto endpoint = anyEndpoint();
    const auto key = keyOf(*endpoint->endpoint);
    if (what == 0) {
      prefixes =
          *rc::gen::element(std::vector<std::string>{"cali"}, std::vector<std::string>{"tap"},
                            std::vector<std::string>{"cali", "tap"});
      table.setPrefixes(prefixes);
    } else if (what == 1) {
      pools = anyPools();
      table.setPools(pools);
    } else if (what < 5) {
      all.erase(key);
      table.remove(key);
    } else {
      all[key] = endpoint;
      table.set(endpoint);
    }
    if (*rc::gen::inRange(0, 3) == 0) continue;

    const auto changed = table.takeChanges();
    std::vector<std::shared_ptr<const LocalEndpoint>> endpoints;
    for (const auto& [name, value] : all) endpoints.push_back(value);
    const auto wanted = plainInterfaces(endpoints, prefixes, pools);
    RC_ASSERT(table.interfaces() == wanted.interfaces);
    RC_ASSERT(table.problems() == wanted.problems);
    std::set<dataplane::IfName> differs;
    const auto noteMissing = [&](const auto& some, const auto& others) {
      for (const auto& interface : some) {
        if (std::find(others.begin(), others.end(), interface) == others.end())
          differs.insert(interface.device);
      }
    };
    noteMissing(before, wanted.interfaces);
    noteMissing(wanted.interfaces, before);
    RC_ASSERT(changed == differs);
    before = wanted.interfaces;
  }
}

}  // namespace
}  // namespace margay::controllers

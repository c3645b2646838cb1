#pragma once

#include <algorithm>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "dataplane/ipset_driver.h"
#include "tests/dataplane/network_namespace.h"
#include "tests/fakes/fake_ipset_driver.h"

namespace margay::testing {

/// A place where a driver works, and where somebody else does too.
class IpsetWorld {
 public:
  virtual ~IpsetWorld() = default;
  virtual dataplane::IpsetDriver& driver() = 0;
  virtual void refer(const dataplane::SetName& name) = 0;  ///< a rule matches on the set
  virtual void forget(const dataplane::SetName& name) = 0;
  virtual void createForeign(const dataplane::SetName& name) = 0;
  virtual std::vector<dataplane::SetName> foreign() = 0;
};

class FakeIpsetWorld final : public IpsetWorld {
 public:
  dataplane::IpsetDriver& driver() override { return fake_; }
  void refer(const dataplane::SetName& name) override { ++fake_.sets.at(name).references; }
  void forget(const dataplane::SetName& name) override { --fake_.sets.at(name).references; }
  void createForeign(const dataplane::SetName& name) override { fake_.sets[name].spec.name = name; }
  std::vector<dataplane::SetName> foreign() override {
    std::vector<dataplane::SetName> out;
    for (const auto& [name, set] : fake_.sets) {
      if (!name.starts_with(dataplane::kSetPrefix)) out.push_back(name);
    }
    return out;
  }

 private:
  FakeIpsetDriver fake_;
};

class KernelIpsetWorld final : public IpsetWorld {
 public:
  explicit KernelIpsetWorld(std::unique_ptr<dataplane::KernelIpsetDriver> driver)
      : driver_(std::move(driver)) {}
  dataplane::IpsetDriver& driver() override { return *driver_; }
  void refer(const dataplane::SetName& name) override { mustShell(rule("-A", name)); }
  void forget(const dataplane::SetName& name) override { mustShell(rule("-D", name)); }
  void createForeign(const dataplane::SetName& name) override {
    mustShell("ipset create " + name + " hash:ip timeout 600 comment");
    mustShell("ipset add " + name + " 192.0.2.7 comment 'not ours'");
  }
  std::vector<dataplane::SetName> foreign() override {
    std::vector<dataplane::SetName> out;
    std::istringstream names(mustShell("ipset list -n"));
    for (std::string name; std::getline(names, name);) {
      if (!name.starts_with(dataplane::kSetPrefix)) out.push_back(name);
    }
    std::sort(out.begin(), out.end());
    return out;
  }

 private:
  static std::string rule(const std::string& verb, const dataplane::SetName& name) {
    return "iptables-legacy -w " + verb + " INPUT -m set --match-set " + name + " src -j ACCEPT";
  }
  std::unique_ptr<dataplane::KernelIpsetDriver> driver_;
};

}  // namespace margay::testing

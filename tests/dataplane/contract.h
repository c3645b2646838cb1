#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "tests/dataplane/network_namespace.h"

/// What the contract suites of the netlink drivers share: a world is a driver and the means to
/// change what it sees behind its back; a suite runs in the kernel's world and in the fake's.
namespace margay::testing {

/// A fresh network namespace, entered, and the driver that `make` opens in it.
template <auto make>
class KernelWorldWith {
 public:
  static constexpr const char* kName = "Kernel";
  using Driver = typename std::invoke_result_t<decltype(make)>::value_type::element_type;

  /// Empty, or why there is no kernel to test on.
  std::string open() {
    auto made = NetworkNamespace::create();
    if (!made) return made.error().what;
    netns_.emplace(std::move(*made));
    entered_.emplace(netns_->enter());
    auto driver = make();
    if (!driver) return driver.error().what;
    driver_ = std::move(*driver);
    return {};
  }
  Driver& driver() { return *driver_; }

 private:
  std::optional<NetworkNamespace> netns_;
  std::optional<NetworkNamespace::Entered> entered_;
  std::unique_ptr<Driver> driver_;
};

/// The same for a fake, which is always there.
template <class Fake>
class FakeWorldWith {
 public:
  static constexpr const char* kName = "Fake";
  std::string open() { return {}; }
  Fake& driver() { return fake_; }

 protected:
  Fake fake_;
};

/// A pair of interfaces NAME and pNAME that are up.
inline void addVeth(const std::string& name) {
  mustShell("ip link add " + name + " type veth peer name p" + name + " && ip link set p" + name +
            " up && ip link set " + name + " up");
}
inline void removeLink(const std::string& name) {
  mustShell("ip link del " + name);
}

/// Fixture: each test has a world of its own, or is skipped for what the kernel lacks. Derived
/// fixtures call `Contract::SetUp()` first and return if `IsSkipped()`.
template <class World>
class Contract : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const auto missing = world_.open(); !missing.empty()) GTEST_SKIP() << missing;
  }
  World world_;
};

struct WorldNames {
  template <class World>
  static std::string GetName(int) {
    return World::kName;
  }
};

}  // namespace margay::testing

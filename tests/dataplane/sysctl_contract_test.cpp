#include <gmock/gmock.h>

#include "dataplane/sysctl_driver.h"
#include "tests/dataplane/contract.h"
#include "tests/fakes/fake_sysctl_driver.h"

// What every SysctlDriver promises, on the real kernel and on the fake.
namespace margay::dataplane {
namespace {

constexpr auto kProxyArp = "net/ipv4/conf/cali1/proxy_arp";

class KernelWorld : public testing::KernelWorldWith<makeSysctlDriver> {
 public:
  std::string open() {
    if (auto missing = KernelWorldWith::open(); !missing.empty()) return missing;
    testing::mustShell("ip link add cali1 type veth peer name p1");
    if (driver().write(kProxyArp, "0")) return {};
    return "/proc/sys is read-only";
  }
  void removeInterface() { testing::mustShell("ip link del cali1"); }
};

class FakeWorld : public testing::FakeWorldWith<testing::FakeSysctlDriver> {
 public:
  std::string open() {
    fake_.define(kProxyArp, "0");
    return {};
  }
  void removeInterface() { fake_.removeBelow("net/ipv4/conf/cali1"); }
};

template <class World>
class SysctlContract : public testing::Contract<World> {
 protected:
  using testing::Contract<World>::world_;
};

using Worlds = ::testing::Types<KernelWorld, FakeWorld>;
TYPED_TEST_SUITE(SysctlContract, Worlds, testing::WorldNames);

TYPED_TEST(SysctlContract, ReadsBackWhatWasWrittenWithoutANewline) {
  auto& driver = this->world_.driver();
  EXPECT_EQ(driver.read(kProxyArp).value(), "0");
  ASSERT_TRUE(driver.write(kProxyArp, "1").has_value());
  EXPECT_EQ(driver.read(kProxyArp).value(), "1");
}

TYPED_TEST(SysctlContract, ListsWhatReadGives) {
  auto& driver = this->world_.driver();
  for (const std::string value : {"1", "0"}) {
    ASSERT_TRUE(driver.write(kProxyArp, value).has_value());
    EXPECT_EQ(driver.list().value().at(kProxyArp), value);
  }
  this->world_.removeInterface();
  EXPECT_FALSE(driver.list().value().contains(kProxyArp));
}

TYPED_TEST(SysctlContract, IsNotFoundWhenTheInterfaceIsGone) {
  auto& driver = this->world_.driver();
  this->world_.removeInterface();
  EXPECT_EQ(driver.read(kProxyArp).error().code, Errc::NotFound);
  EXPECT_EQ(driver.write(kProxyArp, "1").error().code, Errc::NotFound);
}

TYPED_TEST(SysctlContract, RefusesPathsThatLeaveTheTree) {
  auto& driver = this->world_.driver();
  for (const std::string path : {"", "/", "/net/ipv4/conf/cali1/proxy_arp", "../version",
                                 "net/../../version", "net//ipv4", "net/ipv4/", "./net", "."}) {
    EXPECT_EQ(driver.read(path).error().code, Errc::Invalid) << path;
    EXPECT_EQ(driver.write(path, "1").error().code, Errc::Invalid) << path;
  }
}

TYPED_TEST(SysctlContract, RefusesAValueThatTheEntryCannotHold) {
  auto& driver = this->world_.driver();
  EXPECT_EQ(driver.write(kProxyArp, "perhaps").error().code, Errc::Invalid);
  EXPECT_EQ(driver.read(kProxyArp).value(), "0");
}

class SysctlKernel : public testing::NetworkNamespaceTest {};

TEST_F(SysctlKernel, ListsEachSettingUnderItsOwnName) {
  testing::mustShell("ip link add cali1 type veth peer name p1");
  auto driver = makeSysctlDriver();
  ASSERT_TRUE(driver.has_value());
  for (const std::string name :
       {"net/ipv4/conf/cali1/forwarding", "net/ipv4/conf/cali1/proxy_arp",
        "net/ipv4/conf/cali1/route_localnet", "net/ipv4/conf/cali1/rp_filter",
        "net/ipv6/conf/cali1/accept_ra", "net/ipv6/conf/cali1/forwarding",
        "net/ipv6/conf/cali1/proxy_ndp"}) {
    const auto before = (*driver)->list().value();
    const std::string other = before.at(name) == "1" ? "0" : "1";
    ASSERT_TRUE((*driver)->write(name, other).has_value()) << name;
    auto after = before;
    after[name] = other;
    EXPECT_EQ((*driver)->list().value(), after) << name;
  }
}

TEST(SysctlDirectory, ADirectoryThatOnlyLooksLikeProcIsNotListed) {
  auto driver = makeSysctlDriverAt("/tmp");
  ASSERT_TRUE(driver.has_value());
  EXPECT_TRUE((*driver)->list().value().empty());
}

}  // namespace
}  // namespace margay::dataplane

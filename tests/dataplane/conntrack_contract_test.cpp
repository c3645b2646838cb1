#include <gmock/gmock.h>

#include <algorithm>

#include "dataplane/conntrack_driver.h"
#include "tests/dataplane/contract.h"
#include "tests/fakes/fake_conntrack_driver.h"

// What every ConntrackDriver promises, on the real kernel and on the fake.
namespace margay::dataplane {
namespace {

struct Ends {
  std::string source;
  std::string destination;
  std::string replySource;
  std::string replyDestination;
};

constexpr auto kListing = [] { return makeConntrackDriver(1000000); };
constexpr auto kFiltering = [] { return makeConntrackDriver(0); };

template <const auto& make>
class KernelWorld : public testing::KernelWorldWith<make> {
 public:
  std::string open() {
    if (auto missing = testing::KernelWorldWith<make>::open(); !missing.empty()) return missing;
    return testing::shell("conntrack -L").status == 0 ? "" : "no conntrack(8)";
  }
  void addFlow(const Ends& ends) {
    const auto port = std::to_string(++port_);
    const auto result = testing::shell(
        "conntrack -I -s " + ends.source + " -d " + ends.destination + " -r " + ends.replySource +
        " -q " + ends.replyDestination + " -p udp --sport " + port +
        " --dport 53 --reply-port-src 53" + " --reply-port-dst " + port + " --timeout 600");
    ASSERT_EQ(result.status, 0) << result.output;
  }
  std::size_t count() {
    const auto lines =
        testing::mustShell("conntrack -L -f ipv4 2>/dev/null; conntrack -L -f ipv6 2>/dev/null");
    return static_cast<std::size_t>(std::count(lines.begin(), lines.end(), '\n'));
  }

 private:
  int port_ = 1000;
};

class FilteringWorld : public KernelWorld<kFiltering> {
 public:
  static constexpr const char* kName = "KernelThatFilters";
};

class FakeWorld : public testing::FakeWorldWith<testing::FakeConntrackDriver> {
 public:
  void addFlow(const Ends& ends) {
    fake_.addFlow({*Address::parse(ends.source), *Address::parse(ends.destination),
                   *Address::parse(ends.replySource), *Address::parse(ends.replyDestination)});
  }
  std::size_t count() { return fake_.flows().size(); }
};

template <class World>
class ConntrackContract : public testing::Contract<World> {
 protected:
  std::size_t deleted(const std::vector<std::string>& texts) {
    std::vector<Address> addresses;
    for (const auto& text : texts) addresses.push_back(*Address::parse(text));
    const auto count = world_.driver().deleteFlows(addresses);
    EXPECT_TRUE(count.has_value()) << count.error().what;
    return count.value_or(99999);
  }
  void plain(const std::string& source, const std::string& destination) {
    world_.addFlow({source, destination, destination, source});
  }
  using testing::Contract<World>::world_;
};

using Worlds = ::testing::Types<KernelWorld<kListing>, FilteringWorld, FakeWorld>;
TYPED_TEST_SUITE(ConntrackContract, Worlds, testing::WorldNames);

TYPED_TEST(ConntrackContract, DeletesFlowsFromAndToAnAddressAndNoOthers) {
  this->plain("10.0.0.1", "10.0.0.2");
  this->plain("10.0.0.3", "10.0.0.1");
  this->plain("10.0.0.3", "10.0.0.2");
  EXPECT_EQ(this->deleted({"10.0.0.1"}), 2U);
  EXPECT_EQ(this->world_.count(), 1U);
  EXPECT_EQ(this->deleted({"10.0.0.1"}), 0U);
}

TYPED_TEST(ConntrackContract, FindsTheAddressBehindNat) {
  this->world_.addFlow({"10.0.0.3", "10.96.0.1", "10.0.0.1", "10.0.0.3"});     // a service of it
  this->world_.addFlow({"10.0.0.1", "192.0.2.1", "192.0.2.1", "172.16.0.1"});  // masqueraded
  this->plain("10.0.0.3", "10.0.0.2");
  EXPECT_EQ(this->deleted({"10.0.0.1"}), 2U);
  EXPECT_EQ(this->world_.count(), 1U);
}

TYPED_TEST(ConntrackContract, LeavesFlowsThatOnlyPassThroughNatOfTheAddress) {
  this->world_.addFlow({"10.0.0.3", "192.0.2.1", "192.0.2.1", "10.0.0.1"});  // masqueraded as it
  this->world_.addFlow({"10.0.0.3", "10.0.0.1", "10.0.0.2", "10.0.0.3"});    // redirected from it
  EXPECT_EQ(this->deleted({"10.0.0.1"}), 0U);
  EXPECT_EQ(this->world_.count(), 2U);
}

TYPED_TEST(ConntrackContract, DeletesBothFamiliesAndManyAddressesAtOnce) {
  for (int i = 1; i <= 6; ++i) {
    this->plain("10.0.0." + std::to_string(i), "10.0.1.1");
    this->plain("fd00::" + std::to_string(i), "fd01::1");
  }
  EXPECT_EQ(this->deleted({"10.0.0.1", "10.0.0.2", "fd00::3", "fd00::4", "fd00::9"}), 4U);
  EXPECT_EQ(this->world_.count(), 8U);
  EXPECT_EQ(this->deleted({"fd01::1"}), 4U);
  EXPECT_EQ(this->world_.count(), 4U);
  EXPECT_EQ(this->deleted({"10.0.0.5", "10.0.1.1"}), 4U);
}

TYPED_TEST(ConntrackContract, DeletesNothingForNoAddresses) {
  this->plain("10.0.0.1", "10.0.0.2");
  EXPECT_EQ(this->deleted({}), 0U);
  EXPECT_EQ(this->world_.count(), 1U);
}

}  // namespace
}  // namespace margay::dataplane

#include <gmock/gmock.h>

#include "dataplane/link_driver.h"
#include "tests/dataplane/contract.h"
#include "tests/fakes/fake_link_driver.h"

// What every LinkDriver promises, on the real kernel and on the fake.
namespace margay::dataplane {
namespace {

using ::testing::ElementsAre;

class KernelWorld : public testing::KernelWorldWith<makeLinkDriver> {
 public:
  void addBridge(const IfName& name, const MacAddress& mac, std::uint32_t mtu) {
    testing::mustShell("ip link add " + name + " address " + formatMac(mac) + " mtu " +
                       std::to_string(mtu) + " type bridge");
  }
  void raise(const IfName& name) {
    // A bridge runs when a port does.
    testing::mustShell("ip link set " + name + " up; ip link add v" + name +
                       " type veth peer name w" + name + "; ip link set w" + name +
                       " up; ip link set v" + name + " master " + name + " up");
    testing::mustShell("for i in $(seq 200); do ip link show " + name +
                       " | grep -q LOWER_UP && exit 0; done; exit 1");
  }
  void remove(const IfName& name) { testing::removeLink(name); }
  void addAddress(const IfName& device, const Prefix& address) {
    testing::mustShell("ip addr add " + address.str() + " dev " + device + " nodad");
  }
};

class FakeWorld : public testing::FakeWorldWith<testing::FakeLinkDriver> {
 public:
  void addBridge(const IfName& name, const MacAddress& mac, std::uint32_t mtu) {
    fake_.addLink({.name = name, .mac = mac, .mtu = mtu, .kind = "bridge"});
  }
  void raise(const IfName& name) { fake_.setUp(name, true); }
  void remove(const IfName& name) { fake_.removeLink(name); }
  void addAddress(const IfName& device, const Prefix& address) {
    fake_.addAddress(device, address);
  }
};

template <class World>
class LinkContract : public testing::Contract<World> {
 protected:
  static constexpr MacAddress kMac{0x02, 0, 0, 0, 0, 0x01};

  LinkMap listed() {
    auto links = world_.driver().list();
    EXPECT_TRUE(links.has_value()) << links.error().what;
    return links ? std::move(*links) : LinkMap{};
  }

  using testing::Contract<World>::world_;
};

using Worlds = ::testing::Types<KernelWorld, FakeWorld>;
TYPED_TEST_SUITE(LinkContract, Worlds, testing::WorldNames);

TYPED_TEST(LinkContract, ListsADeviceWithAllThatIsKnownOfIt) {
  this->world_.addBridge("br0", this->kMac, 1400);
  auto links = this->listed();
  ASSERT_EQ(links.count("br0"), 1U);
  const Link wanted{.name = "br0",
                    .index = links.at("br0").index,
                    .up = false,
                    .running = false,
                    .mac = this->kMac,
                    .mtu = 1400,
                    .kind = "bridge"};
  EXPECT_EQ(links.at("br0"), wanted);
  EXPECT_GT(wanted.index, 0);
}

TYPED_TEST(LinkContract, SeesADeviceGoUp) {
  this->world_.addBridge("br0", this->kMac, 1500);
  this->world_.raise("br0");
  const auto link = this->listed().at("br0");
  EXPECT_TRUE(link.up);
  EXPECT_TRUE(link.running);
}

TYPED_TEST(LinkContract, GivesADeviceThatWasMadeAgainANewIndex) {
  this->world_.addBridge("br0", this->kMac, 1500);
  const int before = this->listed().at("br0").index;
  this->world_.remove("br0");
  EXPECT_EQ(this->listed().count("br0"), 0U);
  this->world_.addBridge("br0", this->kMac, 1500);
  EXPECT_NE(this->listed().at("br0").index, before);
}

TYPED_TEST(LinkContract, ListsAddressesOfBothFamiliesWithTheirHostBits) {
  this->world_.addBridge("br0", this->kMac, 1500);
  const auto v4 = *Prefix::parseAddress("10.0.0.7/24");
  const auto v6 = *Prefix::parseAddress("fd00::7/64");
  this->world_.addAddress("br0", v6);
  this->world_.addAddress("br0", v4);
  auto addresses = this->world_.driver().addresses();
  ASSERT_TRUE(addresses.has_value()) << addresses.error().what;
  std::erase_if(*addresses, [](const auto& address) { return address.device != "br0"; });
  EXPECT_THAT(*addresses, ElementsAre(InterfaceAddress{"br0", v4}, InterfaceAddress{"br0", v6}));
}

}  // namespace
}  // namespace margay::dataplane

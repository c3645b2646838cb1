#include <gmock/gmock.h>

#include "dataplane/neighbour_driver.h"
#include "tests/dataplane/contract.h"
#include "tests/fakes/fake_neighbour_driver.h"

// What every NeighbourDriver promises, on the real kernel and on the fake.
namespace margay::dataplane {
namespace {

using ::testing::SizeIs;

class KernelWorld : public testing::KernelWorldWith<makeNeighbourDriver> {
 public:
  void addDevice(const IfName& name) { testing::addVeth(name); }
  void removeDevice(const IfName& name) { testing::removeLink(name); }
};

class FakeWorld : public testing::FakeWorldWith<testing::FakeNeighbourDriver> {
 public:
  void addDevice(const IfName& name) { fake_.addDevice(name); }
  void removeDevice(const IfName& name) { fake_.removeDevice(name); }
};

template <class World>
class NeighbourContract : public testing::Contract<World> {
 protected:
  void SetUp() override {
    testing::Contract<World>::SetUp();
    if (this->IsSkipped()) return;
    world_.addDevice("cali1");
    world_.addDevice("cali2");
    world_.addDevice("eth7");
  }
  static Neighbour neighbour(const IfName& device, std::string_view address, std::uint8_t last) {
    return {{device, *Address::parse(address)}, {0x02, 0, 0, 0, 0, last}};
  }
  void mustApply(Op op, const std::vector<Neighbour>& neighbours) {
    std::vector<Change<Neighbour>> changes;
    for (const auto& one : neighbours) changes.push_back({op, one});
    const auto results = world_.driver().apply(changes);
    ASSERT_THAT(results, SizeIs(changes.size()));
    for (const auto& result : results) EXPECT_TRUE(result.has_value()) << result.error().what;
  }
  std::vector<Neighbour> listed(const std::vector<std::string>& prefixes = {"cali"}) {
    auto neighbours = world_.driver().list(prefixes);
    EXPECT_TRUE(neighbours.has_value()) << neighbours.error().what;
    std::vector<Neighbour> values;
    if (neighbours) {
      for (const auto& [key, value] : *neighbours) values.push_back(value);
    }
    return values;
  }

  using testing::Contract<World>::world_;
};

using Worlds = ::testing::Types<KernelWorld, FakeWorld>;
TYPED_TEST_SUITE(NeighbourContract, Worlds, testing::WorldNames);

TYPED_TEST(NeighbourContract, ListsWhatWasAddedOnInterfacesOfThePrefixes) {
  const auto a = this->neighbour("cali1", "10.0.0.1", 1);
  const auto b = this->neighbour("cali1", "fd00::1", 1);
  const auto c = this->neighbour("cali2", "10.0.0.2", 2);
  const auto d = this->neighbour("eth7", "10.0.0.3", 3);
  this->mustApply(Op::Add, {d, c, b, a});
  EXPECT_EQ(this->listed(), (std::vector{a, b, c}));
  EXPECT_EQ(this->listed({"eth", "cali2"}), (std::vector{c, d}));
  EXPECT_EQ(this->listed({}), std::vector<Neighbour>{});
}

TYPED_TEST(NeighbourContract, AddAndReplaceTakeTheNewMac) {
  this->mustApply(Op::Add, {this->neighbour("cali1", "10.0.0.1", 1)});
  for (const Op op : {Op::Add, Op::Replace}) {
    const auto wanted = this->neighbour("cali1", "10.0.0.1", op == Op::Add ? 7 : 8);
    this->mustApply(op, {wanted});
    EXPECT_EQ(this->listed(), std::vector{wanted});
  }
}

TYPED_TEST(NeighbourContract, RemovesWhatIsThereAndIsContentWithWhatIsGone) {
  const auto a = this->neighbour("cali1", "10.0.0.1", 1);
  const auto b = this->neighbour("cali1", "fd00::1", 1);
  this->mustApply(Op::Add, {a, b});
  this->mustApply(Op::Remove, {a});
  EXPECT_EQ(this->listed(), std::vector{b});
  this->mustApply(Op::Remove, {a, this->neighbour("gone0", "10.0.0.1", 1)});
  EXPECT_EQ(this->listed(), std::vector{b});
}

TYPED_TEST(NeighbourContract, MissingDeviceFailsOnlyItsOwnChange) {
  const auto good = this->neighbour("cali1", "10.0.0.1", 1);
  const std::vector<Change<Neighbour>> changes{{Op::Add, this->neighbour("gone0", "10.0.0.1", 1)},
                                               {Op::Add, good}};
  const auto results = this->world_.driver().apply(changes);
  ASSERT_THAT(results, SizeIs(2));
  ASSERT_FALSE(results[0].has_value());
  EXPECT_EQ(results[0].error().code, Errc::NotFound);
  EXPECT_TRUE(results[1].has_value());
  EXPECT_EQ(this->listed(), std::vector{good});
}

TYPED_TEST(NeighbourContract, ForgetsNeighboursOfADeviceThatWentAway) {
  const auto stays = this->neighbour("cali2", "10.0.0.2", 2);
  this->mustApply(Op::Add, {this->neighbour("cali1", "10.0.0.1", 1), stays});
  this->world_.removeDevice("cali1");
  EXPECT_EQ(this->listed(), std::vector{stays});
}

TEST(KernelNeighbours, LeaveOutWhatTheKernelLearnedAndTakeItOverOnAdd) {
  KernelWorld world;
  if (const auto missing = world.open(); !missing.empty()) GTEST_SKIP() << missing;
  world.addDevice("cali1");
  testing::mustShell("ip neigh add 10.0.0.1 lladdr 02:00:00:00:00:09 nud stale dev cali1");
  const std::vector<std::string> prefixes{"cali"};
  EXPECT_EQ(world.driver().list(prefixes).value(), NeighbourMap{});
  const Neighbour wanted{{"cali1", *Address::parse("10.0.0.1")}, {2, 0, 0, 0, 0, 1}};
  const auto results = world.driver().apply(std::vector<Change<Neighbour>>{{Op::Add, wanted}});
  EXPECT_TRUE(results[0].has_value());
  EXPECT_EQ(world.driver().list(prefixes).value(), (NeighbourMap{{wanted.key, wanted}}));
}

}  // namespace
}  // namespace margay::dataplane

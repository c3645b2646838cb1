#include <gmock/gmock.h>
#include <linux/capability.h>
#include <linux/netfilter/ipset/ip_set.h>
#include <linux/netlink.h>
#include <rapidcheck/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "dataplane/ipset_driver.h"
#include "dataplane/ipset_probe.h"
#include "tests/dataplane/network_namespace.h"
#include "tests/fakes/fake_ipset_driver.h"

namespace margay::dataplane {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::mustShell;

SetMember net(const std::string& text) {
  return {.net = Prefix::parseNetwork(text).value()};
}

class IpsetKernel : public testing::NetworkNamespaceTest {
 protected:
  void SetUp() override {
    NetworkNamespaceTest::SetUp();
    if (IsSkipped()) return;
    if (const auto usable = probeIpset(); !usable) GTEST_SKIP() << usable.error().what;
    auto opened = KernelIpsetDriver::open();
    ASSERT_TRUE(opened) << opened.error().what;
    driver_ = std::move(*opened);
  }
  std::vector<SetMember> members(const SetName& name) {
    auto got = driver_->members(name).value();
    std::sort(got.begin(), got.end());
    return got;
  }
  std::unique_ptr<KernelIpsetDriver> driver_;
};

TEST_F(IpsetKernel, ListsSetsUnderOurPrefixThatWeCouldNotHaveMadeAsUnwantable) {
  mustShell("ipset create mgy4-timeout hash:net timeout 600 maxelem 100");
  mustShell("ipset create mgy4-type bitmap:port range 0-1023");
  mustShell("ipset create mgy4-good hash:net maxelem 100 counters comment");
  const auto listed = driver_->list().value();
  ASSERT_EQ(listed.size(), 3U);
  EXPECT_EQ(listed.at("mgy4-timeout").spec.maxElements, 0U);
  EXPECT_EQ(listed.at("mgy4-type").spec.maxElements, 0U);
  EXPECT_EQ(listed.at("mgy4-good").spec, (SetSpec{"mgy4-good", SetType::HashNet, Family::V4, 100}));
  EXPECT_EQ(driver_->members("mgy4-type").error().code, Errc::Invalid);
  const std::vector<Change<SetMember>> change{{Op::Add, net("10.0.0.1")}};
  EXPECT_EQ(driver_->apply("mgy4-type", change)[0].error().code, Errc::Invalid);
  for (const auto& [name, header] : listed) EXPECT_TRUE(driver_->destroy(name)) << name;
}

TEST_F(IpsetKernel, ReadsMembersThatSomebodyTamperedWith) {
  mustShell("ipset create mgy4-a hash:net timeout 600 comment counters skbinfo");
  mustShell("ipset add mgy4-a 10.0.0.0/8 comment 'by hand' timeout 30 packets 7");
  mustShell("ipset add mgy4-a 10.1.0.0/16 nomatch skbmark 0x1");
  EXPECT_THAT(members("mgy4-a"), ElementsAre(net("10.0.0.0/8"), net("10.1.0.0/16")));
  const std::vector<Change<SetMember>> removal{{Op::Remove, net("10.1.0.0/16")}};
  EXPECT_TRUE(driver_->apply("mgy4-a", removal)[0]);
  EXPECT_THAT(members("mgy4-a"), ElementsAre(net("10.0.0.0/8")));
  mustShell("ipset create mgy4-i hash:net,iface");
  mustShell("ipset add mgy4-i 10.0.0.1,cali0 && ipset add mgy4-i 10.0.0.1,physdev:cali0");
  EXPECT_THAT(members("mgy4-i"),
              ElementsAre(SetMember{.net = net("10.0.0.1").net, .device = "cali0"}));
}

TEST_F(IpsetKernel, ASetInAListOfSomebodyElseIsInUse) {
  ASSERT_TRUE(driver_->create({"mgy4-a", SetType::HashNet, Family::V4, 100}));
  mustShell("ipset create theirs list:set && ipset add theirs mgy4-a");
  EXPECT_EQ(driver_->list().value().at("mgy4-a").references, 1U);
  const auto refused = driver_->destroy("mgy4-a");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::Transient);
  EXPECT_EQ(refused.error().what, "destroy ipset mgy4-a: 1 rules or sets refer to it");
}

TEST_F(IpsetKernel, GivesACompleteDumpOrSaysThatItWasTornWhileSomebodyWrites) {
  ASSERT_TRUE(driver_->create({"mgy4-a", SetType::HashNet, Family::V4, 1 << 20}));
  std::vector<Change<SetMember>> steady(5000);
  for (std::uint32_t i = 0; i < steady.size(); ++i)
    steady[i].value.net = Prefix::host(Address::v4(0x0a000000 + i));
  for (const auto& result : driver_->apply("mgy4-a", steady)) ASSERT_TRUE(result);
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    const auto inside = netns_->enter();
    auto socket = NfnetlinkSocket::open().value();
    IpsetBatch batch;
    std::vector<Change<SetMember>> churn(500);
    for (std::uint32_t i = 0; i < churn.size(); ++i)
      churn[i].value.net = Prefix::host(Address::v4(0x0b000000 + i));
    while (!stop) {
      for (auto& change : churn) change.op = change.op == Op::Add ? Op::Remove : Op::Add;
      batch.apply(socket, "mgy4-a", churn, std::vector<bool>(churn.size()),
                  [](std::size_t, int) {});
    }
  });
  for (int round = 0; round < 50; ++round) {
    const auto got = driver_->members("mgy4-a");
    if (!got) {
      EXPECT_EQ(got.error().code, Errc::Interrupted) << got.error().what;
      continue;
    }
    const auto kept = std::count_if(got->begin(), got->end(), [](const SetMember& member) {
      return member.net.address.bytes()[0] == 10;
    });
    EXPECT_EQ(kept, 5000);
  }
  stop = true;
  writer.join();
}

TEST_F(IpsetKernel, TellsEachChangeWhenAWholeMessageFails) {
  auto socket = NfnetlinkSocket::open().value();
  std::vector<Change<SetMember>> changes(1000);
  for (std::uint32_t i = 0; i < changes.size(); ++i)
    changes[i].value.net = Prefix::host(Address::v4(0x0a000000 + i));
  std::vector<bool> skip(changes.size());
  skip[3] = true;
  std::vector<std::size_t> failed;
  IpsetBatch batch;
  batch.apply(socket, "mgy4-none", changes, skip, [&](std::size_t index, int number) {
    EXPECT_EQ(number, ENOENT);
    failed.push_back(index);
  });
  ASSERT_EQ(failed.size(), 999U);
  EXPECT_EQ(failed[2], 2U);
  EXPECT_EQ(failed[3], 4U);
}

TEST_F(IpsetKernel, ProbeAndDriverSayWhichRightIsMissing) {
  std::thread powerless([&] {
    const auto inside = netns_->enter();
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[2]{};
    ASSERT_EQ(syscall(SYS_capget, &header, data), 0);
    data[CAP_NET_ADMIN / 32].effective &= ~(1U << (CAP_NET_ADMIN % 32));
    ASSERT_EQ(syscall(SYS_capset, &header, data), 0);
    const auto probed = probeIpset();
    ASSERT_FALSE(probed);
    EXPECT_EQ(probed.error().code, Errc::Unsupported);
    EXPECT_THAT(probed.error().what, HasSubstr("CAP_NET_ADMIN"));
    const auto driver = KernelIpsetDriver::open().value();
    const auto listed = driver->list();
    ASSERT_FALSE(listed);
    EXPECT_EQ(listed.error().code, Errc::Unsupported);
    const auto made = driver->create({"mgy4-a", SetType::HashNet, Family::V4, 100});
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code, Errc::Unsupported) << made.error().what;
    EXPECT_THAT(made.error().what, HasSubstr("CAP_NET_ADMIN"));
  });
  powerless.join();
}

/// Whatever is done to both, the fake and the kernel answer alike and end up alike.
RC_GTEST_FIXTURE_PROP(IpsetKernel, BehavesAsTheFakeDoes, ()) {
  if (!driver_) return;  // the other tests say what is missing
  testing::FakeIpsetDriver fake;
  const std::vector<SetName> names{"mgy4-a", "mgy4-b", "mgy6-c"};
  const auto code = [](const auto& result) {
    return result ? -1 : static_cast<int>(result.error().code);
  };
  const auto name = rc::gen::elementOf(names);
  const auto changes =
      rc::gen::container<std::vector<Change<SetMember>>>(rc::gen::apply(
          [](std::uint8_t low, std::uint8_t length, bool remove, bool v6, bool device) {
            SetMember member;
            member.net = {v6 ? Address::parse("fd00::" + std::to_string(low % 8)).value()
                             : Address::v4(0xc0000200U + low % 8),
                          static_cast<std::uint8_t>(v6 ? 128 - length % 3 : 32 - length % 3)};
            member.net = member.net.masked();
            if (device) member.device = "cali" + std::to_string(low % 3);
            return Change<SetMember>{remove ? Op::Remove : Op::Add, member};
          },
          rc::gen::arbitrary<std::uint8_t>(), rc::gen::arbitrary<std::uint8_t>(),
          rc::gen::arbitrary<bool>(), rc::gen::weightedElement<bool>({{5, false}, {1, true}}),
          rc::gen::weightedElement<bool>({{3, false}, {1, true}})));
  const int steps = *rc::gen::inRange(1, 20);
  for (int step = 0; step < steps; ++step) {
    const SetName a = *name;
    const SetName b = *name;
    switch (*rc::gen::inRange(0, 6)) {
      case 0: {
        const SetSpec spec{a, *rc::gen::element(SetType::HashNet, SetType::HashNetIface),
                           *rc::gen::element(Family::V4, Family::V6), 100};
        RC_ASSERT(code(driver_->create(spec)) == code(fake.create(spec)));
        break;
      }
      case 1:
        RC_ASSERT(code(driver_->destroy(a)) == code(fake.destroy(a)));
        break;
      case 2:
        if (a != b) RC_ASSERT(code(driver_->swap(a, b)) == code(fake.swap(a, b)));
        break;
      default: {
        const auto batch = *changes;
        const auto real = driver_->apply(a, batch);
        const auto wanted = fake.apply(a, batch);
        for (std::size_t i = 0; i < batch.size(); ++i) RC_ASSERT(code(real[i]) == code(wanted[i]));
      }
    }
  }
  RC_ASSERT(driver_->list().value() == fake.list().value());
  for (const auto& [each, set] : fake.sets) {
    RC_ASSERT(members(each) == fake.members(each).value());
    RC_ASSERT(driver_->destroy(each).has_value());
  }
}

/// Bytes that no kernel sends are no crash.
RC_GTEST_PROP(IpsetListing, SurvivesAnyBytes,
              (std::vector<std::uint8_t> noise, std::uint8_t attribute)) {
  IpsetMessages message(256);
  message.begin(IPSET_CMD_LIST, 0, 1);
  message.putString(IPSET_ATTR_SETNAME, "mgy4-a");
  message.end();
  std::vector<std::byte> bytes(message.view().begin(), message.view().end());
  const auto append = [&](const void* data, std::size_t size) {
    const auto* from = static_cast<const std::byte*>(data);
    bytes.insert(bytes.end(), from, from + size);
  };
  const nlattr header{static_cast<std::uint16_t>(sizeof(nlattr) + noise.size()), attribute};
  append(&header, sizeof header);
  append(noise.data(), noise.size());
  reinterpret_cast<nlmsghdr*>(bytes.data())->nlmsg_len = static_cast<std::uint32_t>(bytes.size());
  const auto& part = *reinterpret_cast<const nlmsghdr*>(bytes.data());
  std::vector<SetMember> out;
  for (const auto type : {SetType::HashNet, SetType::HashIpPort, SetType::HashNetIface}) {
    listedMembers(part, {type, Family::V4}, out);
    listedMembers(part, {type, Family::V6}, out);
  }
  static_cast<void>(listedHeader(part));
  static_cast<void>(listedShape(part));
  static_cast<void>(failedLine(part));
  static_cast<void>(errorOf(part));
  RC_ASSERT(listedName(part).size() <= bytes.size());
}

}  // namespace
}  // namespace margay::dataplane

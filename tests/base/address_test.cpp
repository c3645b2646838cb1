#include "base/address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace margay {
namespace {

TEST(Address, ParsesAndPrintsBothFamilies) {
  EXPECT_EQ(Address::parse("10.1.2.3")->str(), "10.1.2.3");
  EXPECT_EQ(Address::parse("FD00:0::1")->str(), "fd00::1");
  EXPECT_EQ(Address::parse("10.1.2.3")->family(), Family::V4);
  EXPECT_EQ(*Address::parse("10.1.2.3"), Address::v4(0x0a010203));
}

TEST(Address, RefusesWhatIsNotAnAddress) {
  for (const auto* text :
       {"", "10.1.2", "10.1.2.3 ", "10.1.2.3/32", "fe80::1%eth0", "1:2", "host"}) {
    EXPECT_FALSE(Address::parse(text)) << text;
  }
}

TEST(Address, RefusesTextThatIsNowhere) {
  EXPECT_FALSE(Address::parse(std::string_view()));
}

TEST(Prefix, MasksHostBitsOfNetworks) {
  EXPECT_EQ(Prefix::parseNetwork("10.1.2.3/20")->str(), "10.1.0.0/20");
  EXPECT_EQ(Prefix::parseNetwork("fd00::ffff/127")->str(), "fd00::fffe/127");
  EXPECT_EQ(Prefix::parseNetwork("0.0.0.1/0")->str(), "0.0.0.0/0");
  EXPECT_EQ(Prefix::parseNetwork("10.1.2.3")->str(), "10.1.2.3/32");
  EXPECT_EQ(Prefix::parseAddress("10.1.2.3/20")->str(), "10.1.2.3/20");
}

TEST(Prefix, RefusesBadLengths) {
  for (const auto* text :
       {"10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/8x", "fd00::/129"}) {
    EXPECT_FALSE(Prefix::parseNetwork(text)) << text;
  }
}

TEST(Prefix, ContainsOnlyItsOwnFamily) {
  const auto net = *Prefix::parseNetwork("10.0.0.0/8");
  EXPECT_TRUE(net.contains(*Address::parse("10.255.0.1")));
  EXPECT_FALSE(net.contains(*Address::parse("11.0.0.1")));
  EXPECT_FALSE(Prefix::parseNetwork("::/0")->contains(*Address::parse("10.0.0.1")));
  EXPECT_TRUE(net.contains(*Prefix::parseNetwork("10.1.0.0/16")));
  EXPECT_FALSE(Prefix::parseNetwork("10.1.0.0/16")->contains(net));
}

}  // namespace
}  // namespace margay

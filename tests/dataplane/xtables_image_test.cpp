#include "dataplane/xtables_image.h"

#include <gmock/gmock.h>
#include <rapidcheck/gtest.h>

#include <string>

#include "dataplane/xtables_encoder.h"
#include "dataplane/xtables_socket.h"
#include "tests/dataplane/network_namespace.h"

/// Copies of real tables: what is not edited comes back as it was.
namespace margay::dataplane::xtables {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::mustShell;
using ::testing::Not;

constexpr const char* kSome = R"(*filter
:INPUT DROP [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:aaa - [0:0]
:mmm - [0:0]
:zzz - [0:0]
-A INPUT -i lo -j ACCEPT
-A INPUT -s NET -m comment --comment counted
-A INPUT -g zzz
-A FORWARD -j mmm
-A FORWARD -p tcp -m tcp --dport 80 -j LOG --log-prefix "x "
-A mmm -s NET -j aaa
-A mmm -m mark --mark 0x1/0x1 -g zzz
-A zzz -j RETURN
COMMIT
)";

std::vector<std::byte> bytesOf(const TableEntries& entries) {
  return {entries.bytes.data(), entries.bytes.data() + entries.bytes.size()};
}
TableEntries copyOf(const TableEntries& entries, std::size_t size) {
  TableEntries out{entries.validHooks, entries.hookEntries, entries.underflows, entries.count,
                   TableEntries::Buffer(size)};
  std::copy_n(entries.bytes.data(), size, out.bytes.data());
  return out;
}
TableEntries copyOf(const TableEntries& entries) {
  return copyOf(entries, entries.bytes.size());
}

class XtablesImage : public testing::NetworkNamespaceTest,
                     public ::testing::WithParamInterface<Family> {
 protected:
  void SetUp() override {
    NetworkNamespaceTest::SetUp();
    if (IsSkipped()) return;
    std::string text = kSome;
    for (auto at = text.find("NET"); at != std::string::npos; at = text.find("NET"))
      text.replace(at, 3, isV4() ? "127.0.0.0/8" : "::1/128");
    mustShell(tool("-restore") + " <<'END'\n" + text + "END");
    auto opened = TableSocket::open(GetParam());
    ASSERT_TRUE(opened) << opened.error().what;
    socket_.emplace(std::move(*opened));
  }
  [[nodiscard]] static bool isV4() { return GetParam() == Family::V4; }
  [[nodiscard]] static std::string tool(const std::string& what) {
    return (isV4() ? "iptables-legacy" : "ip6tables-legacy") + what;
  }
  [[nodiscard]] static std::string saved() {
    return mustShell(tool("-save") + " -t filter | grep -v '^#' | sed 's/ \\[[0-9]*:[0-9]*\\]$//'");
  }
  TableImage image() {
    auto entries = socket_->entries(TableName::Filter);
    EXPECT_TRUE(entries) << entries.error().what;
    auto out = TableImage::parse(std::move(*entries), GetParam());
    EXPECT_TRUE(out) << out.error().what;
    return std::move(*out);
  }
  void write(const TableImage& image) {
    const auto written = socket_->replace(TableName::Filter, image.compile());
    ASSERT_TRUE(written) << written.error().what;
  }
  static EntryBytes entry(Action action) {
    const SetIndexOf none = [](const std::string& name) -> Result<std::uint16_t> {
      return fail(Errc::NotFound, name);
    };
    return *encodeRule({{}, std::move(action), ""}, GetParam(), none);
  }
  std::optional<TableSocket> socket_;
};

TEST_P(XtablesImage, WithoutEditsIsWhatWasRead) {
  const auto entries = socket_->entries(TableName::Filter);
  ASSERT_TRUE(entries);
  const auto image = TableImage::parse(copyOf(*entries), GetParam());
  ASSERT_TRUE(image) << image.error().what;
  const auto same = image->compile();
  EXPECT_EQ(bytesOf(same.entries), bytesOf(*entries));
  EXPECT_EQ(same.entries.count, entries->count);
  EXPECT_EQ(same.entries.hookEntries, entries->hookEntries);
  EXPECT_EQ(same.entries.underflows, entries->underflows);
  ASSERT_EQ(same.origins.size(), entries->count);
  for (std::uint32_t i = 0; i < entries->count; ++i) EXPECT_EQ(same.origins[i], i);
}

TEST_P(XtablesImage, ChangesOfOneChainLeaveTheOthersAlone) {
  const auto before = saved();
  auto image = this->image();
  image.createChain("mgy-new");
  image.createChain("mgy-before");
  image.appendRule("mgy-new", entry(Jump{"aaa"}));
  image.appendRule("mgy-new", entry(Drop{}));
  image.insertRule("FORWARD", entry(GoTo{"mgy-new"}), 1);
  write(image);
  EXPECT_THAT(saved(),
              AllOf(HasSubstr(":aaa -\n:mgy-before -\n:mgy-new -\n:mmm -"),
                    HasSubstr("-A FORWARD -j mmm\n-A FORWARD -g mgy-new\n-A FORWARD -p tcp"),
                    HasSubstr("-A mgy-new -j aaa\n-A mgy-new -j DROP\n-A mmm")));

  auto again = this->image();
  EXPECT_EQ(again.references("aaa"), 2U);
  EXPECT_EQ(again.references("mgy-new"), 1U);
  EXPECT_EQ(again.whoJumpsTo("mgy-new"), "FORWARD");
  again.deleteRule("FORWARD", 1);
  again.flushChain("mgy-new");
  EXPECT_EQ(again.references("mgy-new"), 0U);
  again.deleteChain("mgy-new");
  again.deleteChain("mgy-before");
  EXPECT_FALSE(again.hasChain("mgy-new"));
  write(again);
  EXPECT_EQ(saved(), before);
}

TEST_P(XtablesImage, RulesThatStayGoOnCounting) {
  mustShell("ip link set lo up; ping -c 3 -i 0.01 -W 1 " +
            std::string(isV4() ? "127.0.0.1" : "::1"));
  const auto counted = [] {
    return mustShell(tool("-save") + " -c -t filter | grep -e 'INPUT -i lo' -e ':OUTPUT'");
  };
  const auto before = counted();
  EXPECT_THAT(before, Not(HasSubstr("[0:0]")));
  auto image = this->image();
  image.insertRule("INPUT", entry(Jump{"aaa"}), 0);
  image.createChain("mgy-0");
  write(image);
  EXPECT_EQ(counted(), before);
  EXPECT_THAT(mustShell(tool("-save") + " -c -t filter"), HasSubstr("[0:0] -A INPUT -j aaa"));
}

TEST_P(XtablesImage, SaysWhatIsNoTable) {
  const auto entries = socket_->entries(TableName::Filter);
  ASSERT_TRUE(entries);
  // Cut anywhere, or with any two bytes of its structure overwritten: an error or a table, no more.
  for (std::size_t size = 0; size < entries->bytes.size(); size += 8) {
    EXPECT_EQ(TableImage::parse(copyOf(*entries, size), GetParam()).error().code, Errc::Invalid)
        << size;
  }
  for (std::size_t at = 0; at + 2 <= entries->bytes.size(); at += 2) {
    for (const auto value : {std::byte{0}, std::byte{0xff}, std::byte{8}}) {
      auto broken = copyOf(*entries);
      broken.bytes.data()[at] = broken.bytes.data()[at + 1] = value;
      const auto image = TableImage::parse(std::move(broken), GetParam());
      if (image) static_cast<void>(image->references("aaa") + image->compile().entries.count);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Families, XtablesImage, ::testing::Values(Family::V4, Family::V6),
                         [](const auto& param) {
                           return std::string(param.param == Family::V4 ? "IPv4" : "IPv6");
                         });

}  // namespace
}  // namespace margay::dataplane::xtables

#include "cmd/agent/sysctl_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/fakes/fake_clock.h"
#include "tests/fakes/fake_sysctl_driver.h"

namespace margay::agent {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

class JournalFile {
 public:
  JournalFile() {
    char pattern[] = "/tmp/margay-journal-test-XXXXXX";
    directory_ = mkdtemp(pattern);
  }
  JournalFile(const JournalFile&) = delete;
  JournalFile& operator=(const JournalFile&) = delete;
  ~JournalFile() { fs::remove_all(directory_); }

  [[nodiscard]] std::string path() const { return directory_ / "sysctls-before"; }
  [[nodiscard]] std::string text() const {
    std::ifstream in(path());
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void write(const std::string& text) const { std::ofstream(path()) << text; }

 private:
  fs::path directory_;
};

TEST(SysctlJournal, IsReadAsItWasSaved) {
  const JournalFile file;
  {
    SysctlJournal journal(file.path());
    journal.remember("net/a", "0");
    journal.remember("net/b", "1");
    journal.save();
    journal.forget("net/a");
    journal.forget("net/a");
    journal.save();
  }
  EXPECT_THAT(SysctlJournal(file.path()).all(), ElementsAre(Pair("net/b", "1")));
}

TEST(SysctlJournal, AChangeWritesItsOwnLineOnly) {
  const JournalFile file;
  SysctlJournal journal(file.path());
  for (int i = 0; i < 1000; ++i) journal.remember("net/" + std::to_string(i), "0");
  journal.save();
  const auto before = file.text();
  journal.remember("net/new", "2");
  journal.save();
  EXPECT_EQ(file.text(), before + "net/new=2\n");
  journal.forget("net/new");
  journal.save();
  EXPECT_EQ(file.text(), before + "net/new=2\nnet/new\n");
}

TEST(SysctlJournal, DoesNotGrowForEver) {
  const JournalFile file;
  SysctlJournal journal(file.path());
  for (int i = 0; i < 1000; ++i) {
    journal.remember("net/pod", "0");
    journal.save();
    journal.forget("net/pod");
    journal.save();
  }
  EXPECT_LT(file.text().size(), 10'000U);
  EXPECT_THAT(SysctlJournal(file.path()).all(), IsEmpty());
}

TEST(SysctlJournal, ALineThatWasCutOffDoesNotCount) {
  const JournalFile file;
  file.write("net/a=0\nnet/b=1");
  SysctlJournal journal(file.path());
  EXPECT_THAT(journal.all(), ElementsAre(Pair("net/a", "0")));
  journal.remember("net/c", "1");
  journal.save();
  EXPECT_EQ(file.text(), "net/a=0\nnet/c=1\n");
}

class SysctlTableTest : public ::testing::Test {
 protected:
  SysctlTableTest() {
    for (const auto* name : {"cali1", "cali2"}) {
      kernel_.define(conf(name) + "proxy_arp", "0");
      kernel_.define(conf(name) + "rp_filter", "1");
    }
    kernel_.define("net/ipv4/neigh/cali1/proxy_delay", "80");
  }
  static std::string conf(const std::string& interface) {
    return "net/ipv4/conf/" + interface + '/';
  }
  void pass() {
    auto& table = adapter_->table();
    ASSERT_TRUE(table.refresh(clock_.now(), reconcile::Checks::Now).has_value());
    while (const auto phase = table.nextPhase(std::numeric_limits<reconcile::Phase>::min(),
                                              reconcile::Removals::Allowed))
      table.apply(*phase, reconcile::Removals::Allowed, clock_.now());
  }
  void start() {
    adapter_ = std::make_unique<SysctlTableAdapter>(kernel_, file_.path(),
                                                    reconcile::TableOptions{}, jitter_);
  }

  const JournalFile file_;
  margay::testing::FakeClock clock_;
  reconcile::Jitter jitter_{1};
  margay::testing::FakeSysctlDriver kernel_;
  std::unique_ptr<SysctlTableAdapter> adapter_;
};

TEST_F(SysctlTableTest, IsInTheJournalBeforeItIsWritten) {
  start();
  pass();
  adapter_->set(conf("cali1") + "proxy_arp", "1");
  // The write, after the list of the first pass and the read of this one.
  kernel_.failCall(3, Error{Errc::Transient, EINTR, "interrupted"});
  pass();
  EXPECT_EQ(kernel_.values().at(conf("cali1") + "proxy_arp"), "0");
  EXPECT_EQ(file_.text(), conf("cali1") + "proxy_arp=0\n");
}

TEST_F(SysctlTableTest, ALaterAgentPutsBackWhatTheFirstOneFound) {
  start();
  adapter_->set(conf("cali1") + "proxy_arp", "1");
  adapter_->set(conf("cali1") + "rp_filter", "0");
  pass();
  EXPECT_EQ(kernel_.values().at(conf("cali1") + "proxy_arp"), "1");
  start();
  adapter_->set(conf("cali1") + "proxy_arp", "1");
  pass();
  EXPECT_EQ(kernel_.values().at(conf("cali1") + "rp_filter"), "1") << "nobody wants it any more";
  EXPECT_EQ(adapter_->restoreAll(), 1U);
  EXPECT_EQ(kernel_.values().at(conf("cali1") + "proxy_arp"), "0");
  EXPECT_FALSE(fs::exists(file_.path()));
}

TEST_F(SysctlTableTest, WhatCannotBePutBackIsTriedAgain) {
  start();
  adapter_->set(conf("cali1") + "proxy_arp", "1");
  pass();
  adapter_->remove(conf("cali1") + "proxy_arp");
  kernel_.failCall(kernel_.calls() + 1, Error{Errc::Transient, EINTR, "interrupted"});
  pass();
  EXPECT_EQ(kernel_.values().at(conf("cali1") + "proxy_arp"), "1");
  clock_.advanceTo(adapter_->table().nextDue());
  pass();
  EXPECT_EQ(kernel_.values().at(conf("cali1") + "proxy_arp"), "0");
  EXPECT_EQ(file_.text(), conf("cali1") + "proxy_arp=0\n" + conf("cali1") + "proxy_arp\n");
}

TEST_F(SysctlTableTest, ALookAtAnInterfaceFindsWhatOthersChangedThere) {
  start();
  for (const auto* name : {"cali1", "cali2"}) adapter_->set(conf(name) + "proxy_arp", "1");
  adapter_->set("net/ipv4/neigh/cali1/proxy_delay", "0");
  pass();
  kernel_.define(conf("cali1") + "proxy_arp", "0");
  kernel_.define("net/ipv4/neigh/cali1/proxy_delay", "80");
  kernel_.define(conf("cali2") + "proxy_arp", "0");
  adapter_->lookAt("cali1");
  EXPECT_EQ(adapter_->table().status().pending, 2U);
  pass();
  EXPECT_EQ(kernel_.values().at(conf("cali1") + "proxy_arp"), "1");
  EXPECT_EQ(kernel_.values().at("net/ipv4/neigh/cali1/proxy_delay"), "0");
  EXPECT_EQ(kernel_.values().at(conf("cali2") + "proxy_arp"), "0") << "it was not looked at";
  EXPECT_EQ(adapter_->table().status().drift, 2U);
}

TEST_F(SysctlTableTest, ATornListIsReadOneByOne) {
  kernel_.failCall(1, Error{Errc::Interrupted, EINTR, "torn"});
  start();
  adapter_->set(conf("cali1") + "proxy_arp", "1");
  adapter_->set("net/ipv4/neigh/cali1/proxy_delay", "80");
  ASSERT_TRUE(adapter_->table().refresh(clock_.now(), reconcile::Checks::Now).has_value());
  EXPECT_EQ(adapter_->table().status().observed, 2U);
  EXPECT_EQ(adapter_->table().status().pending, 1U);
}

TEST_F(SysctlTableTest, ALookAtOurOwnChangeOrAtNothingIsNoDrift) {
  start();
  adapter_->set(conf("cali1") + "proxy_arp", "1");
  adapter_->lookAt("cali1");
  pass();
  adapter_->lookAt("cali1");
  kernel_.removeBelow("net/ipv4/conf/cali1");
  adapter_->lookAt("cali1");
  adapter_->lookAt("cali10");
  pass();
  EXPECT_EQ(adapter_->table().status().drift, 0U);
  EXPECT_EQ(adapter_->table().status().pending, 0U);
}

}  // namespace
}  // namespace margay::agent

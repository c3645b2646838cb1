#include "api/file/file_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>

namespace margay::api {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

std::string namespaceYaml(const std::string& name, const std::string& team = "x") {
  return "apiVersion: v1\nkind: Namespace\nmetadata: {name: " + name + ", labels: {team: " + team +
         "}}\n";
}

/// A data directory, its source, and what the mailbox has told so far.
class FileSourceTest : public ::testing::Test {
 protected:
  FileSourceTest() {
    std::string pattern = (fs::temp_directory_path() / "margay-file-XXXXXX").string();
    base_ = ::mkdtemp(pattern.data());
    data_ = base_ / "data";
    fs::create_directory(data_);
  }
  ~FileSourceTest() override {
    if (source_) source_->stop();
    fs::remove_all(base_);
  }

  void start() {
    FileSourceOptions options;
    options.auditPeriod = std::chrono::seconds(3600);
    source_.emplace(data_.string(), box_, options);
    source_->start();
    until([&] { return source().connected || !source().error.empty(); });
  }
  const SourceState& source() { return states_["file"]; }

  void take() {
    auto batch = box_.take();
    for (auto& [name, state] : batch.states) states_[name] = state;
    barriers_.insert(barriers_.end(), batch.barriers.begin(), batch.barriers.end());
    for (auto& update : batch.updates) {
      changes_.push_back((update.value ? "+" : "-") + update.key.name);
      if (update.value) {
        objects_[update.key] = *update.value;
      } else {
        objects_.erase(update.key);
      }
    }
  }
  void until(const std::function<bool()>& done) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!done()) {
      pollfd poller{box_.fd(), POLLIN, 0};
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
          end - std::chrono::steady_clock::now());
      ASSERT_GT(left.count(), 0) << "nothing came";
      ::poll(&poller, 1, static_cast<int>(left.count()));
      take();
    }
  }
  /// Until everything that was written before is in `objects_`.
  void settle() {
    const std::uint64_t barrier = ++barrier_;
    source_->relist(barrier);
    until(
        [&] { return std::find(barriers_.begin(), barriers_.end(), barrier) != barriers_.end(); });
  }
  std::vector<std::string> names() {
    std::vector<std::string> out;
    for (const auto& [key, value] : objects_) out.push_back(key.name);
    return out;
  }
  bool has(const std::string& name) {
    const auto all = names();
    return std::find(all.begin(), all.end(), name) != all.end();
  }
  void write(const std::string& file, const std::string& text) {
    std::ofstream(data_ / file) << text;
  }
  void replace(const std::string& file, const std::string& text) {
    write("." + file + ".tmp", text);
    fs::rename(data_ / ("." + file + ".tmp"), data_ / file);
  }
  std::vector<std::string> invalidFiles() {
    std::vector<std::string> out;
    for (const auto& each : source().invalid) out.push_back(each.file);
    return out;
  }

  fs::path base_;
  fs::path data_;
  Mailbox box_;
  std::optional<FileSource> source_;
  std::map<std::string, SourceState> states_;
  std::map<ObjectKey, Value> objects_;
  std::vector<std::string> changes_;
  std::vector<std::uint64_t> barriers_;
  std::uint64_t barrier_ = 0;
};

TEST_F(FileSourceTest, GivesWhatIsThereAtStart) {
  fs::create_directory(data_ / "deeper");
  write("a.yaml", namespaceYaml("a") + "---\n" + namespaceYaml("b"));
  write("deeper/c.json", R"({"apiVersion":"v1","kind":"Namespace","metadata":{"name":"c"}})");
  write("README.md", "not a manifest");
  start();
  EXPECT_TRUE(source().connected);
  EXPECT_TRUE(source().synced);
  EXPECT_THAT(names(), ElementsAre("kns.a", "kns.b", "kns.c"));
  EXPECT_EQ(source().events.at(Kind::Profile), 3U);
}

TEST_F(FileSourceTest, ALargeFirstListComesInPartsAndIsCompleteWithTheLast) {
  constexpr std::size_t kMany = 5000;
  std::string items;
  for (std::size_t i = 0; i < kMany; ++i)
    items += std::string(i == 0 ? "" : ",") +
             R"({"apiVersion":"v1","kind":"Namespace","metadata":{"name":"n)" + std::to_string(i) +
             R"("}})";
  write("a.json", R"({"apiVersion":"v1","kind":"List","items":[)" + items + "]}");
  FileSourceOptions options;
  options.auditPeriod = std::chrono::seconds(3600);
  source_.emplace(data_.string(), box_, options);
  source_->start();
  until([&] {
    EXPECT_EQ(source().synced, objects_.size() == kMany);
    EXPECT_EQ(source().synced, source().connected);
    return source().synced;
  });
  EXPECT_EQ(source().events.at(Kind::Profile), kMany);
  EXPECT_EQ(source().resyncs, 1U);
}

TEST_F(FileSourceTest, SeesFilesComeChangeAndGo) {
  start();
  write("a.yaml", namespaceYaml("a"));
  until([&] { return has("kns.a"); });
  replace("a.yaml", namespaceYaml("b"));
  until([&] { return has("kns.b"); });
  EXPECT_THAT(names(), ElementsAre("kns.b"));
  fs::create_directories(data_ / "x" / "y");
  write("x/y/c.yml", namespaceYaml("c"));
  until([&] { return has("kns.c"); });
  fs::remove(data_ / "a.yaml");
  until([&] { return !has("kns.b"); });
  fs::remove_all(data_ / "x");
  until([&] { return !has("kns.c"); });
}

TEST_F(FileSourceTest, KeepsTheObjectsOfAFileThatDoesNotParse) {
  write("a.yaml", namespaceYaml("a"));
  start();
  write("a.yaml", "apiVersion: v1\nkind: [Namespace\n");
  until([&] { return !source().invalid.empty(); });
  EXPECT_THAT(names(), ElementsAre("kns.a"));
  EXPECT_EQ(source().invalid[0].file, "a.yaml");
  EXPECT_THAT(source().invalid[0].reason, HasSubstr("document 1, line "));
  write("a.yaml", namespaceYaml("b"));
  until([&] { return source().invalid.empty() && has("kns.b"); });
  EXPECT_THAT(names(), ElementsAre("kns.b"));
}

TEST_F(FileSourceTest, UsesTheOtherDocumentsOfAFileWithAnInvalidObject) {
  write("a.yaml", namespaceYaml("a") +
                      "---\napiVersion: v1\nkind: Pdo\nmetadata: {name: x}\n---\n" +
                      namespaceYaml("b"));
  start();
  EXPECT_THAT(names(), ElementsAre("kns.a", "kns.b"));
  ASSERT_EQ(source().invalid.size(), 1U);
  EXPECT_EQ(source().invalid[0].document, 2);
  EXPECT_EQ(source().invalid[0].kindName, "Pdo");
  EXPECT_EQ(source().invalid[0].field, "kind");
}

TEST_F(FileSourceTest, ARenamedFileLeavesNoGap) {
  write("a.yaml", namespaceYaml("a"));
  start();
  changes_.clear();
  fs::rename(data_ / "a.yaml", data_ / "b.yaml");
  settle();
  EXPECT_THAT(changes_, IsEmpty());
  fs::remove(data_ / "b.yaml");
  until([&] { return !has("kns.a"); });
}

TEST_F(FileSourceTest, SaysNothingAboutFilesThatMeanTheSame) {
  write("a.yaml", namespaceYaml("a"));
  start();
  changes_.clear();
  write("a.yaml", "# a comment\n" + namespaceYaml("a"));
  settle();
  EXPECT_THAT(changes_, IsEmpty());
}

TEST_F(FileSourceTest, IgnoresEditorsTemporaryFiles) {
  for (const char* name :
       {".a.yaml.swp", ".#a.yaml", "a.yaml~", "4913", "#a.yaml#", ".hidden.yaml"})
    write(name, namespaceYaml("a"));
  fs::create_directory(data_ / ".git");
  write(".git/x.yaml", namespaceYaml("x"));
  start();
  write(".later.yaml", namespaceYaml("b"));
  settle();
  EXPECT_THAT(names(), IsEmpty());
  EXPECT_THAT(source().invalid, IsEmpty());
}

TEST_F(FileSourceTest, FollowsTheLinksOfAMountedConfigMap) {
  fs::create_directory(data_ / "..2024_1");
  write("..2024_1/a.yaml", namespaceYaml("a"));
  fs::create_symlink("..2024_1", data_ / "..data");
  fs::create_symlink("..data/a.yaml", data_ / "a.yaml");
  start();
  EXPECT_THAT(names(), ElementsAre("kns.a"));
  EXPECT_THAT(source().invalid, IsEmpty());
  fs::create_directory(data_ / "..2024_2");
  write("..2024_2/a.yaml", namespaceYaml("b"));
  fs::create_symlink("..2024_2", data_ / "..data_tmp");
  fs::rename(data_ / "..data_tmp", data_ / "..data");
  until([&] { return has("kns.b"); });
  EXPECT_THAT(names(), ElementsAre("kns.b"));
}

TEST_F(FileSourceTest, ReadsLinkedDirectoriesOnce) {
  fs::create_directory(base_ / "other");
  std::ofstream(base_ / "other" / "o.yaml") << namespaceYaml("o");
  fs::create_symlink(base_ / "other", data_ / "link1");
  fs::create_symlink(base_ / "other", data_ / "link2");
  fs::create_symlink(data_, data_ / "loop");
  start();
  EXPECT_THAT(names(), ElementsAre("kns.o"));
  EXPECT_THAT(source().invalid, IsEmpty());
  std::ofstream(base_ / "other" / "p.yaml") << namespaceYaml("p");
  until([&] { return has("kns.p"); });
}

TEST_F(FileSourceTest, WaitsForADirectoryThatIsNotThere) {
  fs::remove(data_);
  data_ = base_ / "later" / "data";
  start();
  EXPECT_FALSE(source().connected);
  EXPECT_FALSE(source().synced);
  fs::create_directories(data_);
  write("a.yaml", namespaceYaml("a"));
  until([&] { return source().synced && has("kns.a"); });
}

TEST_F(FileSourceTest, KeepsEverythingWhileTheDirectoryIsAway) {
  write("a.yaml", namespaceYaml("a"));
  write("b.yaml", namespaceYaml("b"));
  start();
  changes_.clear();
  fs::rename(data_, base_ / "away");
  until([&] { return !source().connected; });
  EXPECT_TRUE(source().synced);
  EXPECT_THAT(source().error, HasSubstr("directory"));
  fs::remove(base_ / "away" / "b.yaml");
  fs::rename(base_ / "away", data_);
  until([&] { return source().connected && !has("kns.b"); });
  EXPECT_THAT(changes_, ElementsAre("-kns.b"));
  EXPECT_EQ(source().error, "");
}

TEST_F(FileSourceTest, ARemovedDirectoryIsNoDeletionOfItsFiles) {
  for (int i = 0; i < 50; ++i)
    write("f" + std::to_string(i) + ".yaml", namespaceYaml("n" + std::to_string(i)));
  start();
  changes_.clear();
  fs::remove_all(data_);
  until([&] { return !source().connected; });
  EXPECT_THAT(changes_, IsEmpty());
  fs::create_directory(data_);
  write("f1.yaml", namespaceYaml("n1"));
  until([&] { return source().connected && objects_.size() == 1; });
  EXPECT_THAT(names(), ElementsAre("kns.n1"));
}

TEST_F(FileSourceTest, ReadsFilesThatAreWrittenInPlaceAndStayOpen) {
  start();
  std::ofstream open(data_ / "a.yaml");
  open << namespaceYaml("a") << std::flush;
  until([&] { return has("kns.a"); });
  open << "---\n" << namespaceYaml("b") << std::flush;
  until([&] { return has("kns.b"); });
}

TEST_F(FileSourceTest, NamesFilesThatCannotBeRead) {
  ::mkfifo((data_ / "pipe.yaml").c_str(), 0600);
  fs::create_symlink("nowhere", data_ / "link.yaml");
  write("a.yaml", namespaceYaml("a"));
  start();
  EXPECT_THAT(names(), ElementsAre("kns.a"));
  EXPECT_THAT(invalidFiles(), UnorderedElementsAre("link.yaml", "pipe.yaml"));
  fs::remove(data_ / "pipe.yaml");
  fs::remove(data_ / "link.yaml");
  until([&] { return source().invalid.empty(); });
}

TEST_F(FileSourceTest, SaysWhereObjectsAreFromWhenItIsAskedOn) {
  write("a.yaml", namespaceYaml("one"));
  start();
  EXPECT_THAT(source().places, IsEmpty());
  const ObjectKey key{Kind::Profile, {}, "kns.one"};
  const auto file = [&] {
    const auto place = source().places.find(key);
    return place == source().places.end() ? "" : place->second.file;
  };
  source_->locate({key});
  until([&] { return file() == "a.yaml"; });
  replace("b.yaml", namespaceYaml("one"));
  fs::remove(data_ / "a.yaml");
  until([&] { return file() == "b.yaml"; });
  source_->locate({});
  until([&] { return source().places.empty(); });
}

TEST_F(FileSourceTest, ABarrierComesAfterWhatWasWrittenBeforeIt) {
  start();
  for (int i = 0; i < 20; ++i) {
    write("f.yaml", namespaceYaml("n" + std::to_string(i)));
    settle();
    EXPECT_THAT(names(), ElementsAre("kns.n" + std::to_string(i)));
  }
  EXPECT_EQ(source().resyncs, 21U);
}

}  // namespace
}  // namespace margay::api

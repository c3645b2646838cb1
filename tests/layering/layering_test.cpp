#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

/// Data flows one way through the folders: this reads every include of ours.
namespace margay {
namespace {

namespace fs = std::filesystem;

/// Include prefixes that a folder may use, besides its own.
const std::map<std::string, std::vector<std::string>> kAllowed = {
    {"base", {}},
    {"api", {"base/"}},
    {"controllers", {"base/", "api/model/", "api/selector/", "dataplane/model/"}},
    {"reconcile", {"base/"}},
    {"dataplane", {"base/"}},
    {"metrics", {"base/"}},
    {"cmd", {"base/", "api/", "controllers/", "reconcile/", "dataplane/", "metrics/"}},
};

std::vector<std::string> ownIncludes(const fs::path& file) {
  constexpr std::string_view kStart = "#include \"";
  std::ifstream in(file);
  std::vector<std::string> out;
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with(kStart)) continue;
    out.push_back(line.substr(kStart.size(), line.rfind('"') - kStart.size()));
  }
  return out;
}

class Layering : public ::testing::TestWithParam<std::string> {};

TEST_P(Layering, IncludesOnlyWhatTheDataFlowAllows) {
  const auto& folder = GetParam();
  const fs::path root = MARGAY_SOURCE_DIR;
  int files = 0;
  for (const auto& entry : fs::recursive_directory_iterator(root / folder)) {
    const auto extension = entry.path().extension();
    if (extension != ".h" && extension != ".cpp") continue;
    ++files;
    for (const auto& include : ownIncludes(entry.path())) {
      bool allowed = include.starts_with(folder + "/");
      for (const auto& prefix : kAllowed.at(folder))
        allowed = allowed || include.starts_with(prefix);
      EXPECT_TRUE(allowed) << entry.path().string() << " includes " << include;
    }
  }
  EXPECT_GT(files, 0);
}

INSTANTIATE_TEST_SUITE_P(Folders, Layering,
                         ::testing::Values("base", "api", "controllers", "reconcile", "dataplane",
                                           "metrics", "cmd"),
                         [](const auto& folder) { return folder.param; });

TEST(LayeringOfLibraries, KernelLibrariesAreUsedOnlyInTheDataplane) {
  const fs::path root = MARGAY_SOURCE_DIR;
  const std::vector<std::string> headers = {"netlink/", "libiptc/", "libipset/", "libnftables",
                                            "nftables/"};
  for (const auto& [folder, unused] : kAllowed) {
    if (folder == "dataplane") continue;
    for (const auto& entry : fs::recursive_directory_iterator(root / folder)) {
      if (!entry.is_regular_file()) continue;
      std::ifstream in(entry.path());
      for (std::string line; std::getline(in, line);) {
        for (const auto& header : headers) {
          EXPECT_FALSE(line.starts_with("#include <" + header))
              << entry.path().string() << ": " << line;
        }
      }
    }
  }
}

}  // namespace
}  // namespace margay

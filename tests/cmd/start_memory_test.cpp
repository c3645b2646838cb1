#include "cmd/agent/start_memory.h"

#include <gtest/gtest.h>

#include <fstream>
#include <string>

namespace margay::agent {
namespace {

/// Resident pages of files, in kB.
long residentOfFiles() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("RssFile:")) return std::stol(line.substr(8));
  return -1;
}

TEST(StartMemory, TextOfTheStartIsResidentNoMore) {
  const long before = residentOfFiles();
  ASSERT_GT(before, 0);
  releaseStartMemory();
  EXPECT_LT(residentOfFiles(), before);
}

}  // namespace
}  // namespace margay::agent

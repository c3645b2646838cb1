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

/// Resident pages, in kB, of what files map and this process can neither write nor run.
long residentOfConstants() {
  std::ifstream smaps("/proc/self/smaps");
  long sum = 0;
  long relocated = 0;
  bool counts = false;
  for (std::string line; std::getline(smaps, line);) {
    if (line.find(" r--p ") != std::string::npos)
      counts = line.find('/') != std::string::npos;
    else if (line.find("-") < line.find(' '))
      counts = false;
    if (counts && line.starts_with("Rss:")) sum += std::stol(line.substr(4));
    if (counts && line.starts_with("Anonymous:")) relocated += std::stol(line.substr(10));
  }
  return sum - relocated;
}

TEST(StartMemory, ConstantsThatTheLoaderReadAreResidentNoMore) {
  const long before = residentOfConstants();
  ASSERT_GT(before, 0);
  releaseStartMemory();
  EXPECT_LT(residentOfConstants(), before);
}

TEST(StartMemory, TextOfTheStartIsResidentNoMore) {
  const long before = residentOfFiles();
  ASSERT_GT(before, 0);
  releaseStartMemory();
  EXPECT_LT(residentOfFiles(), before);
}

}  // namespace
}  // namespace margay::agent

#include "cmd/agent/start_memory.h"

#include <malloc.h>
#include <sys/mman.h>

#include <cstddef>
#include <cstdio>
#include <fstream>
#include <string>
#include <string_view>

namespace margay::agent {
namespace {

/// Of text nothing is lost: nobody writes to it, and the file has it. Not so of what is read-only
/// since the linker relocated it.
void releaseText() {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    void* begin = nullptr;
    void* end = nullptr;
    char rights[5] = {};
    unsigned long inode = 0;
    const int fields = std::sscanf(line.c_str(), "%p-%p %4s %*s %*s %lu", &begin, &end,
                                   static_cast<char*>(rights), &inode);
    if (fields != 4 || std::string_view(rights) != "r-xp" || inode == 0) continue;
    const auto size = static_cast<std::size_t>(static_cast<char*>(end) - static_cast<char*>(begin));
    // A kernel that refuses keeps the pages: no harm.
    static_cast<void>(madvise(begin, size, MADV_DONTNEED));
  }
}

}  // namespace

void releaseStartMemory() {
  malloc_trim(0);
  releaseText();
}

}  // namespace margay::agent

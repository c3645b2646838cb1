#include "cmd/agent/start_memory.h"

#include <malloc.h>
#include <sys/mman.h>

#include <cstdint>
#include <fstream>
#include <sstream>
#include <string>

namespace margay::agent {
namespace {

/// Of text nothing is lost: nobody writes to it, and the file has it. Not so of what is read-only
/// since the linker relocated it.
void releaseText() {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    std::istringstream fields(line);
    std::uintptr_t begin = 0;
    std::uintptr_t end = 0;
    char dash = 0;
    std::string rights;
    std::string offset;
    std::string device;
    unsigned long inode = 0;
    fields >> std::hex >> begin >> dash >> end >> rights >> offset >> device >> std::dec >> inode;
    if (!fields || rights != "r-xp" || inode == 0) continue;
    // A kernel that refuses keeps the pages: no harm.
    static_cast<void>(madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED));
  }
}

}  // namespace

void releaseStartMemory() {
  malloc_trim(0);
  releaseText();
}

}  // namespace margay::agent

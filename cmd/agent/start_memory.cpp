#include "cmd/agent/start_memory.h"

#include <link.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>

namespace margay::agent {
namespace {

/// Gives back what the loader maps of a program or library without the right to write. Of that
/// nothing is lost: the file has it. What is read-only since the loader relocated it is in a
/// segment that may be written.
int releaseSegments(dl_phdr_info* object, std::size_t /*size*/, void* /*unused*/) {
  const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  for (std::size_t i = 0; i < object->dlpi_phnum; ++i) {
    const auto& segment = object->dlpi_phdr[i];
    if (segment.p_type != PT_LOAD || (segment.p_flags & PF_W) != 0) continue;
    const std::uintptr_t begin = (object->dlpi_addr + segment.p_vaddr) & ~(page - 1);
    const std::uintptr_t end = object->dlpi_addr + segment.p_vaddr + segment.p_memsz;
    // A kernel that refuses keeps the pages: no harm.
    static_cast<void>(madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED));
  }
  return 0;
}

}  // namespace

void releaseStartMemory() {
  malloc_trim(0);
  dl_iterate_phdr(&releaseSegments, nullptr);
}

}  // namespace margay::agent

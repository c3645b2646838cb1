#pragma once

#include <malloc.h>

#include <fstream>
#include <string>

namespace margay::bench {

/// What a block of work of this process needs above what was there before, in MiB.
class OwnMemory {
 public:
  OwnMemory() {
    ::mallopt(M_ARENA_MAX, 1);  // as margay-node
    ::malloc_trim(0);
    std::ofstream("/proc/self/clear_refs") << 5;
    before_ = field("VmRSS");
  }
  [[nodiscard]] double peak() const { return field("VmHWM") - before_; }
  [[nodiscard]] double kept() const {
    ::malloc_trim(0);
    return field("VmRSS") - before_;
  }

 private:
  static double field(const char* name) {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);) {
      if (line.rfind(name, 0) == 0) return std::stod(line.substr(line.find(':') + 1)) / 1024;
    }
    return 0;
  }
  double before_ = 0;
};

}  // namespace margay::bench

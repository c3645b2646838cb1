#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

namespace margay::bench {

struct Percentiles {
  double p50 = 0;
  double p99 = 0;
};
inline Percentiles percentiles(std::vector<double> all) {
  std::sort(all.begin(), all.end());
  const auto at = [&](double share) {
    return all[std::min(all.size() - 1,
                        static_cast<std::size_t>(share * static_cast<double>(all.size())))];
  };
  return all.empty() ? Percentiles{} : Percentiles{at(0.5), at(0.99)};
}

}  // namespace margay::bench

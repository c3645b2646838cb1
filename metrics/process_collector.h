#pragma once

#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>

namespace margay::metrics {

/// The usual process_... metrics, read from /proc/self at each scrape.
class ProcessCollector final : public prometheus::Collectable {
 public:
  [[nodiscard]] std::vector<prometheus::MetricFamily> Collect() const override;
};

}  // namespace margay::metrics

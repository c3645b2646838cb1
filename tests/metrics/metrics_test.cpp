#include "metrics/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace margay::metrics {
namespace {

using ::testing::HasSubstr;

TEST(Metrics, SeriesOfTablesExistFromTheStart) {
  const Metrics metrics("1.2.3");
  const auto text = metrics.text();
  EXPECT_THAT(text, HasSubstr("margay_dataplane_changes_total{op=\"add\",table=\"route\"} 0"));
  EXPECT_THAT(text,
              HasSubstr("margay_dataplane_changes_total{op=\"commit\",table=\"iptables\"} 0"));
  EXPECT_THAT(text, HasSubstr("margay_dataplane_drift_total{table=\"ipset\"} 0"));
  EXPECT_THAT(text, HasSubstr("version=\"1.2.3\""));
  EXPECT_THAT(text, HasSubstr("process_resident_memory_bytes"));
}

TEST(Metrics, CountersRiseToTheTotalsOfASource) {
  Metrics metrics("x");
  metrics.sourceEvents("file", "Pod", 3);
  metrics.sourceEvents("file", "Pod", 3);
  metrics.sourceEvents("file", "Pod", 5);
  EXPECT_THAT(metrics.text(),
              HasSubstr("margay_datastore_events_total{kind=\"Pod\",source=\"file\"} 5"));
}

TEST(Metrics, GaugesFollow) {
  Metrics metrics("x");
  metrics.sourceConnected("file", true);
  metrics.sourceConnected("file", false);
  metrics.entries("route", 3, 2);
  metrics.invalidObjects("Pod", 1);
  metrics.invalidObjects("Pod", 0);
  const auto text = metrics.text();
  EXPECT_THAT(text, HasSubstr("margay_datastore_connected{source=\"file\"} 0"));
  EXPECT_THAT(text, HasSubstr("margay_dataplane_entries{state=\"observed\",table=\"route\"} 2"));
  EXPECT_THAT(text, HasSubstr("margay_invalid_objects{kind=\"Pod\"} 0"));
}

}  // namespace
}  // namespace margay::metrics

#include "api/config/parameters.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace margay::api {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(Parameters, HaveFelixDefaults) {
  const auto parameters = Parameters::resolve({});
  EXPECT_EQ(parameters.text("InterfacePrefix"), "cali");
  EXPECT_EQ(parameters.text("DefaultEndpointToHostAction"), "DROP");
  EXPECT_EQ(parameters.mask("IptablesMarkMask"), 0xffff0000U);
  EXPECT_EQ(parameters.integer("PrometheusMetricsPort"), 9091);
  EXPECT_TRUE(parameters.flag("Ipv6Support"));
  EXPECT_FALSE(parameters.flag("PrometheusMetricsEnabled"));
  EXPECT_EQ(parameters.duration("RouteRefreshInterval"), std::chrono::seconds(90));
  EXPECT_THAT(parameters.problems(), IsEmpty());
}

TEST(Parameters, HigherLayersWinAndAreNamed) {
  ParameterSources sources;
  sources.global = FelixConfiguration{"default",
                                      {{"interfaceprefix", "glob"},
                                       {"healthport", "1"},
                                       {"chaininsertmode", "Append"},
                                       {"logprefix", "g"}}};
  sources.perHost = FelixConfiguration{
      "node.a", {{"interfaceprefix", "host"}, {"healthport", "2"}, {"logprefix", "h"}}};
  sources.fileName = "/etc/calico/felix.cfg";
  sources.fileText = "[global]\nInterfacePrefix = file\nHealthPort=3\n# LogPrefix = x\n";
  sources.environment = {{"FELIX_INTERFACEPREFIX", "env"}, {"HOME", "/"}};
  const auto parameters = Parameters::resolve(sources);
  EXPECT_EQ(parameters.all().at("InterfacePrefix"),
            (ParameterValue{"env", "environment FELIX_INTERFACEPREFIX"}));
  EXPECT_EQ(parameters.all().at("HealthPort"), (ParameterValue{"3", "file /etc/calico/felix.cfg"}));
  EXPECT_EQ(parameters.all().at("LogPrefix"), (ParameterValue{"h", "FelixConfiguration node.a"}));
  EXPECT_EQ(parameters.all().at("ChainInsertMode"),
            (ParameterValue{"append", "FelixConfiguration default"}));
}

TEST(Parameters, EnvironmentNamesAreCaseInsensitive) {
  const auto parameters =
      Parameters::resolve({.environment = {{"FELIX_DefaultEndpointToHostAction", "accept"}}});
  EXPECT_EQ(parameters.text("DefaultEndpointToHostAction"), "ACCEPT");
}

TEST(Parameters, ABadValueIsNamedAndTheNextLayerCounts) {
  ParameterSources sources;
  sources.environment = {{"FELIX_HEALTHENABLED", "maybe"}};
  sources.global = FelixConfiguration{"default", {{"healthenabled", "true"}}};
  const auto parameters = Parameters::resolve(sources);
  EXPECT_TRUE(parameters.flag("HealthEnabled"));
  ASSERT_EQ(parameters.problems().size(), 1U);
  EXPECT_EQ(parameters.problems()[0].name, "HealthEnabled");
  EXPECT_THAT(parameters.problems()[0].reason, HasSubstr("'maybe' must be true or false"));
}

TEST(Parameters, LocalParametersDoNotComeFromTheDatastore) {
  ParameterSources sources;
  sources.global = FelixConfiguration{"default", {{"datastoretype", "kubernetes"}}};
  EXPECT_EQ(Parameters::resolve(sources).text("DatastoreType"), "etcdv3");
}

TEST(Parameters, DurationsMayBeGoDurations) {
  ParameterSources sources;
  sources.global = FelixConfiguration{"default",
                                      {{"routerefreshinterval", "1m30s"},
                                       {"reportinginterval", "0s"},
                                       {"iptableslockprobeinterval", "250ms"}}};
  const auto parameters = Parameters::resolve(sources);
  EXPECT_EQ(parameters.duration("RouteRefreshInterval"), std::chrono::seconds(90));
  EXPECT_EQ(parameters.duration("ReportingIntervalSecs"), std::chrono::seconds(0));
  EXPECT_EQ(parameters.duration("IptablesLockProbeIntervalMillis"), std::chrono::milliseconds(250));
}

TEST(Parameters, ListsAreSplitAndTrimmed) {
  const auto parameters =
      Parameters::resolve({.environment = {{"FELIX_INTERFACEPREFIX", "cali, tap"}}});
  EXPECT_THAT(parameters.list("InterfacePrefix"), ElementsAre("cali", "tap"));
}

TEST(Parameters, EveryDefaultIsValidForItsType) {
  for (const auto& spec : parameterSpecs()) {
    std::string why;
    EXPECT_TRUE(normalise(spec, spec.defaultValue, why)) << spec.name << ' ' << why;
  }
}

}  // namespace
}  // namespace margay::api

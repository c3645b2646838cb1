#include "cmd/agent/status_reporter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/api/etcd_server.h"
#include "tests/base/eventually.h"

/// What Felix reports, against a real etcd.
namespace margay::agent {
namespace {

using namespace std::chrono_literals;
using api::test::EtcdServer;
using margay::testing::eventually;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using Json = nlohmann::json;

TEST(FelixStatus, KeysAndValuesAreThoseOfFelix) {
  FelixStatusOptions options{.node = "node-1"};
  EXPECT_EQ(statusPrefix(options), "/calico/felix/v2/no-region/host/node-1/");
  options.region = "west";
  EXPECT_EQ(statusPrefix(options), "/calico/felix/v2/region-west/host/node-1/");
  EXPECT_EQ(statusReport(std::chrono::system_clock::time_point(1709288430s), 12.5s, true),
            R"({"time":"2024-03-01T10:20:30Z","uptime":12.5,"first_update":true})");
}

controllers::WorkloadInterface interfaceOf(const std::string& device, const std::string& workload) {
  api::WorkloadEndpoint endpoint;
  endpoint.ns = "shop";
  endpoint.name = api::workloadEndpointName("node-1", "k8s", workload, "eth0");
  auto local = std::make_shared<controllers::LocalEndpoint>();
  local->endpoint = share(std::move(endpoint));
  return {.device = dataplane::IfName(device), .endpoint = std::move(local)};
}

TEST(FelixStatus, EndpointsAreUpDownOrInError) {
  const controllers::WorkloadInterface interfaces[] = {
      interfaceOf("cali1", "up-1"), interfaceOf("cali2", "down"), interfaceOf("cali3", "missing")};
  const controllers::EndpointProblem problems[] = {
      {.endpoint = {api::Kind::WorkloadEndpoint, "shop", "node--1-k8s-twice-eth0"}, .reason = "r"},
      {.endpoint = {api::Kind::WorkloadEndpoint, "shop", "node--1-k8s-up--1-eth0"},
       .severity = controllers::EndpointProblem::Severity::Warning,
       .reason = "r"}};
  dataplane::LinkMap links;
  links["cali1"] = {.name = "cali1", .up = true, .running = true};
  links["cali2"] = {.name = "cali2", .up = true, .running = false};
  const std::string prefix = "/calico/felix/v2/no-region/host/node-1/workload/k8s/shop%2f";
  EXPECT_THAT(endpointStatuses({.node = "node-1"}, interfaces, problems, links),
              ElementsAre(Pair(prefix + "down/endpoint/eth0", R"({"status":"down"})"),
                          Pair(prefix + "missing/endpoint/eth0", R"({"status":"down"})"),
                          Pair(prefix + "twice/endpoint/eth0", R"({"status":"error"})"),
                          Pair(prefix + "up-1/endpoint/eth0", R"({"status":"up"})")));
}

class StatusReporterTest : public ::testing::Test {
 protected:
  void SetUp() override {
    etcd_ = EtcdServer::alone();
    if (!etcd_) GTEST_SKIP() << "no etcd to run";
    client_ = client();
    options_ = {.node = "node-1", .interval = 200ms, .ttl = 2s};
  }
  std::unique_ptr<api::EtcdClient> client() {
    return std::make_unique<api::EtcdClient>(api::test::quickOptions({etcd_->url()}));
  }
  std::string get(const std::string& key) {
    const auto found = client_->get(statusPrefix(options_) + key);
    return found && *found ? (*found)->value : std::string();
  }
  EndpointStatuses endpoints() {
    EndpointStatuses out;
    const auto prefix = statusPrefix(options_) + "workload/";
    const auto listed = client_->list(
        prefix, [&](api::EtcdKeyValue& kv) { out[kv.key.substr(prefix.size())] = kv.value; }, {});
    EXPECT_TRUE(listed) << listed.error().what;
    return out;
  }
  EndpointStatuses named(const EndpointStatuses& shortKeys) {
    EndpointStatuses out;
    for (const auto& [key, value] : shortKeys)
      out[statusPrefix(options_) + "workload/" + key] = value;
    return out;
  }
  std::unique_ptr<EtcdServer> etcd_;
  std::unique_ptr<api::EtcdClient> client_;
  FelixStatusOptions options_;
};

TEST_F(StatusReporterTest, StatusStandsAsLongAsReportsComeAndEndsWithThem) {
  auto reporter = std::make_unique<StatusReporter>(client());
  reporter->setOptions(options_);
  ASSERT_TRUE(eventually([&] { return !get("status").empty(); }, 5s));
  const auto first = Json::parse(get("status"));
  EXPECT_EQ(first["first_update"], true);
  EXPECT_TRUE(eventually([&] { return Json::parse(get("status"))["first_update"] == false; }, 5s));
  // Longer than a lease stands without reports.
  EXPECT_FALSE(eventually([&] { return get("status").empty(); }, 3s));
  EXPECT_GT(Json::parse(get("status"))["uptime"].get<double>(), 2.0);
  reporter.reset();
  EXPECT_FALSE(get("status").empty()) << "it is the lease that ends it";
  EXPECT_TRUE(eventually([&] { return get("status").empty(); }, 10s));
  EXPECT_FALSE(get("last_reported_status").empty());
}

TEST_F(StatusReporterTest, ReportsAgainAfterItsLeaseIsGone) {
  StatusReporter reporter(client());
  reporter.setOptions(options_);
  ASSERT_TRUE(eventually([&] { return !get("status").empty(); }, 5s));
  const auto lease = (*client_->get(statusPrefix(options_) + "status"))->lease;
  ASSERT_NE(lease, 0);
  ASSERT_TRUE(client_->revokeLease(lease));
  EXPECT_TRUE(eventually([&] { return !get("status").empty(); }, 5s));
}

TEST_F(StatusReporterTest, NoIntervalNoReport) {
  StatusReporter reporter(client());
  options_.interval = 0ms;
  options_.endpoints = true;
  options_.endpointDelay = 10ms;
  reporter.setOptions(options_);
  reporter.setEndpoints(named({{"k8s/shop%2fa/endpoint/eth0", "up"}}));
  ASSERT_TRUE(eventually([&] { return !endpoints().empty(); }, 5s));
  EXPECT_THAT(get("status"), IsEmpty());
  EXPECT_THAT(get("last_reported_status"), IsEmpty());
}

TEST_F(StatusReporterTest, EndpointsFollowAndWhatIsNotThereAnyMoreGoes) {
  const auto old = statusPrefix(options_) + "workload/k8s/shop%2fold/endpoint/eth0";
  ASSERT_TRUE(client_->write({}, {{.key = old, .value = "up"}}));
  StatusReporter reporter(client());
  options_.endpoints = true;
  options_.endpointDelay = 10ms;
  reporter.setOptions(options_);
  EndpointStatuses many;
  for (int i = 0; i < 250; ++i) many["k8s/shop%2fp" + std::to_string(i) + "/endpoint/eth0"] = "up";
  reporter.setEndpoints(named(many));
  EXPECT_TRUE(eventually([&] { return endpoints() == many; }, 10s));
  many.begin()->second = "down";
  many.erase(std::prev(many.end()));
  reporter.setEndpoints(named(many));
  EXPECT_TRUE(eventually([&] { return endpoints() == many; }, 10s));
  // What somebody else has changed is found by the next list, after 180 delays.
  ASSERT_TRUE(client_->write({}, {{.key = old, .value = "up"}}));
  EXPECT_TRUE(eventually([&] { return endpoints() == many; }, 10s));
}

TEST_F(StatusReporterTest, AServerThatHangsHoldsNobodyUp) {
  auto reporter = std::make_unique<StatusReporter>(client());
  options_.endpoints = true;
  options_.endpointDelay = 10ms;
  reporter->setOptions(options_);
  reporter->setEndpoints(named({{"k8s/shop%2fa/endpoint/eth0", "up"}}));
  ASSERT_TRUE(eventually([&] { return endpoints().size() == 1 && !get("status").empty(); }, 5s));
  etcd_->freeze();
  const auto before = std::chrono::steady_clock::now();
  for (int i = 0; i < 1000; ++i)
    reporter->setEndpoints(named({{"k8s/shop%2fa/endpoint/eth0", i % 2 == 0 ? "down" : "up"}}));
  reporter->setEndpoints(named({{"k8s/shop%2fb/endpoint/eth0", "up"}}));
  EXPECT_LT(std::chrono::steady_clock::now() - before, 1s);
  etcd_->thaw();
  EXPECT_TRUE(eventually(
      [&] {
        return endpoints() == EndpointStatuses{{"k8s/shop%2fb/endpoint/eth0", "up"}};
      },
      10s));
  etcd_->freeze();
  const auto ending = std::chrono::steady_clock::now();
  reporter.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - ending, 1500ms);
  etcd_->thaw();
}

}  // namespace
}  // namespace margay::agent

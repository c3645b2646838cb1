#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>

#include "tests/base/child_process.h"
#include "tests/system/cluster.h"

/// What a real Prometheus makes of a running agent, and of the alerts that users get.
namespace margay::system_tests {
namespace {

using nlohmann::json;
using ::testing::Contains;
using ::testing::IsEmpty;

const std::string kRules = MARGAY_SOURCE_DIR "/manifests/kubernetes/monitoring/margay.rules.yaml";

std::string contentOf(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Every metric of `text`, which has them in expressions or in a table.
std::set<std::string> metricNames(const std::string& text) {
  static const std::regex kName("(margay|process)_[a-z_]+");
  std::set<std::string> out;
  for (std::sregex_iterator at(text.begin(), text.end(), kName), end; at != end; ++at)
    out.insert(std::regex_replace(at->str(), std::regex("_(bucket|sum|count)$"), ""));
  return out;
}

class Prometheus : public SystemTest {
 protected:
  void SetUp() override {
    SystemTest::SetUp();
    if (IsSkipped()) return;
    if (access("/usr/bin/prometheus", X_OK) != 0) GTEST_SKIP() << "no prometheus: scripts/packages";
    host_ = &cluster().addHost("one");
    cluster().addNamespace("default");
    cluster().addPod(*host_, {.name = "a", .addresses = {"10.65.1.2"}});
    // One object that cannot be used: a series for each metric that only appears with trouble.
    cluster().apply("bad.yaml",
                    "apiVersion: projectcalico.org/v3\nkind: IPPool\n"
                    "metadata: {name: bad}\nspec: {cidr: nonsense}\n");
    host_->start();
    cluster().converge();
  }
  void startPrometheus() {
    const auto directory = cluster().directory() / "prometheus";
    std::filesystem::create_directories(directory);
    const auto config = (directory / "prometheus.yml").string();
    std::ofstream(config) << "global: {scrape_interval: 200ms, scrape_timeout: 200ms, "
                             "evaluation_interval: 200ms}\nrule_files: [" +
                                 kRules +
                                 "]\nscrape_configs:\n  - job_name: margay\n    static_configs: "
                                 "[{targets: ['127.0.0.1:9091']}]\n";
    const auto entered = host().ns().enter();
    prometheus_ = testing::ChildProcess({"/usr/bin/prometheus", "--config.file=" + config,
                                         "--storage.tsdb.path=" + (directory / "data").string(),
                                         "--web.listen-address=127.0.0.1:9090"},
                                        (directory / "log").string());
  }
  /// The `data` of its answer; null while it does not answer.
  json ask(const std::string& path) {
    const auto got = host().sh("curl -sg 'http://127.0.0.1:9090/api/v1/" + path + "'");
    const auto answer = json::parse(got.output, nullptr, false);
    return answer.is_object() && answer.contains("data") ? answer["data"] : json();
  }
  std::string valueOf(const std::string& expression) {
    const auto data = ask("query?query=" + expression);
    if (!data.is_object() || data["result"].empty()) return "";
    return data["result"][0]["value"][1];
  }
  Host& host() { return *host_; }

 private:
  Host* host_ = nullptr;
  testing::ChildProcess prometheus_;
};

TEST_F(Prometheus, FindsNothingToComplainAboutInMetricsAndRules) {
  const auto metrics = host().sh("curl -s http://127.0.0.1:9091/metrics | promtool check metrics");
  EXPECT_EQ(metrics.status, 0) << metrics.output;
  EXPECT_THAT(metrics.output, IsEmpty());
  const auto rules = host().sh("promtool check rules " + kRules);
  EXPECT_EQ(rules.status, 0) << rules.output;
}

TEST_F(Prometheus, ScrapesTheAgentAndEvaluatesItsAlerts) {
  startPrometheus();
  ASSERT_TRUE(
      eventually([&] { return valueOf("up{job=\"margay\"}") == "1"; }, std::chrono::seconds(30)));
  EXPECT_EQ(valueOf("margay_endpoints{scope=\"local\"}"), "1");
  json alerts;
  const auto evaluated = [&] {
    const auto data = ask("rules?type=alert");
    if (!data.is_object() || data["groups"].empty()) return false;
    alerts = data["groups"][0]["rules"];
    for (const auto& alert : alerts)
      if (alert["health"] == "unknown") return false;
    return true;
  };
  ASSERT_TRUE(eventually(evaluated, std::chrono::seconds(30)));
  for (const auto& alert : alerts) EXPECT_EQ(alert["health"], "ok") << alert.dump();

  const auto raised = [&] {
    std::set<std::string> out;
    const auto data = ask("alerts");
    if (data.is_object())
      for (const auto& alert : data["alerts"]) out.insert(alert["labels"]["alertname"]);
    return out;
  };
  EXPECT_TRUE(
      eventually([&] { return raised() == std::set<std::string>{"MargayInvalidObjects"}; }));
  host().kill();
  EXPECT_TRUE(eventually([&] { return raised().contains("MargayDown"); }));
}

TEST_F(Prometheus, HasEveryMetricThatAlertsAndDocumentsName) {
  std::set<std::string> there;
  for (const auto& [series, value] : host().metrics()) there.merge(metricNames(series));
  for (const auto* file :
       {"/manifests/kubernetes/monitoring/margay.rules.yaml", "/docs/operations/metrics.md"}) {
    for (const auto& name : metricNames(contentOf(MARGAY_SOURCE_DIR + std::string(file)))) {
      // Of these a series appears with the first failure or change of something.
      if (name == "margay_reconcile_errors_total") continue;
      EXPECT_THAT(there, Contains(name)) << file;
    }
  }
}

}  // namespace
}  // namespace margay::system_tests

#include "bench/kubernetes_flows.h"

#include <iostream>
#include <nlohmann/json.hpp>

#include "bench/agent_process.h"
#include "bench/kubernetes_cluster.h"
#include "bench/node_network.h"
#include "dataplane/workload_wiring.h"

namespace margay::bench {
namespace {

using nlohmann::json;

constexpr std::uint16_t kAllowedPort = 9000;
constexpr std::uint16_t kDeniedPort = 9001;

}  // namespace

std::unique_ptr<Flows> Flows::on(testing::ApiServer& server,
                                 const testing::NetworkNamespace& host) {
  auto out = std::make_unique<Flows>();
  for (int i = 1; i <= 3; ++i) {
    const auto ns = "ns-" + std::to_string(i);
    const auto name = "flow-" + std::to_string(i);
    const auto address = "10.64.0." + std::to_string(120 + i);
    auto made = testing::NetworkNamespace::create();
    if (!made || !schedulePod(server, ns, name) || !givePodAddress(server, ns, name, address))
      return nullptr;
    out->pods_.push_back({std::move(*made), *Address::parse(address)});
    const auto entered = host.enter();
    const auto wired = dataplane::wireWorkload({.netns = out->pods_.back().ns.path(),
                                                .hostInterface = interfaceOf(ns, name),
                                                .containerInterface = "eth0",
                                                .addresses = {*Address::parse(address)},
                                                .containerMac = {}});
    if (!wired) {
      std::cerr << wired.error().what << '\n';
      return nullptr;
    }
  }
  // ns-2 has the label team=t2, and ns-3 has not.
  const json ports = {{{"protocol", "UDP"}, {"port", kAllowedPort}},
                      {{"protocol", "UDP"}, {"port", kDeniedPort}}};
  const json from = {{{"namespaceSelector", {{"matchLabels", {{"team", "t2"}}}}}}};
  const json policy = {
      {"metadata", {{"name", "flows"}}},
      {"spec",
       {{"podSelector", json::object()}, {"ingress", {{{"from", from}, {"ports", ports}}}}}}};
  if (!send(server, "POST", "/apis/networking.k8s.io/v1/namespaces/ns-1/networkpolicies", policy))
    return nullptr;
  return out;
}

void Flows::begin() {
  using system_tests::Counter;
  using system_tests::Load;
  const auto& to = pods_[0];
  const auto load = [&](const Pod& from, std::uint16_t port) {
    return std::make_unique<Load>(system_tests::From{&from.ns, from.address, 0}, to.address, port,
                                  system_tests::LoadKind::NewFlows);
  };
  received_ = std::make_unique<Counter>(to.ns, to.address, kAllowedPort);
  leaked_ = std::make_unique<Counter>(to.ns, to.address, kDeniedPort);
  allowed_ = load(pods_[1], kAllowedPort);
  denied_ = load(pods_[2], kDeniedPort);
}

bool Flows::end() {
  const auto sent = allowed_->stop();
  const auto tried = denied_->stop();
  static_cast<void>(received_->missing(sent));  // waits for those that are under way
  const auto lost = sent - received_->arrived();
  const auto leaked = leaked_->arrived();
  print({"new flows of an allowed pair meanwhile", static_cast<double>(sent)});
  print({"of these lost", static_cast<double>(lost), "", 0, 0});
  print({"new flows of a denied pair meanwhile", static_cast<double>(tried)});
  print({"of these let through", static_cast<double>(leaked), "", 0, 0});
  return sent > 0 && tried > 0 && lost == 0 && leaked == 0;
}

}  // namespace margay::bench

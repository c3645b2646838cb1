// How long the policy calculation takes on a node of a large cluster: 100,000 pods in 1,000
// namespaces, 1,000 policies, 110 pods on this node. Memory is what malloc holds for the engine,
// beside the api values.

#include <benchmark/benchmark.h>
#include <malloc.h>

#include <memory>
#include <string>
#include <vector>

#include "controllers/policy/engine.h"
#include "tests/controllers/builders.h"

namespace margay::controllers {
namespace {

struct Shape {
  std::size_t pods = 100'000;
  std::size_t namespaces = 1'000;
  std::size_t local = 110;
  bool uniqueLabels = false;  ///< as pods of stateful sets have
};

std::string address(std::size_t i) {
  return "10." + std::to_string(i / 65536 % 256) + '.' + std::to_string(i / 256 % 256) + '.' +
         std::to_string(i % 256);
}

api::WorkloadEndpoint podAt(const Shape& shape, std::size_t i) {
  const auto ns = "namespace-" + std::to_string(i % shape.namespaces);
  const auto app = "app-" + std::to_string(i / shape.namespaces % 5);
  test::PodSpec spec{
      .ns = ns,
      .name = app + "-7d4b9c6f5-" + std::to_string(i),
      .node = i < shape.local ? "n1" : "node-" + std::to_string(i % 1000),
      .addresses = {address(i)},
      .labels = {{"app", app}, {"pod-template-hash", "7d4b9c6f5"}, {"tier", "backend"}},
      .profiles = std::vector<std::string>{"kns." + ns, "ksa." + ns + ".default"}};
  if (shape.uniqueLabels) spec.labels.emplace_back("statefulset.kubernetes.io/pod-name", spec.name);
  return test::pod(std::move(spec));
}

/// One policy a namespace: app-0 takes traffic from app-1 of its namespace and from namespaces of
/// team red.
api::Update policyOf(std::size_t i) {
  const auto ns = "namespace-" + std::to_string(i);
  auto teams = test::allowFrom("");
  teams.source.namespaceSelector = "team == 'red'";
  auto policy = test::policy(
      ns, "allow", "projectcalico.org/orchestrator == 'k8s' && app == 'app-0'",
      {test::allowFrom("projectcalico.org/orchestrator == 'k8s' && app == 'app-1'"), teams});
  policy.order = 1000;
  return test::put(std::move(policy));
}

std::vector<api::Update> cluster(const Shape& shape) {
  std::vector<api::Update> out;
  for (std::size_t i = 0; i < shape.namespaces; ++i) {
    out.push_back(test::put(test::namespaceProfile("namespace-" + std::to_string(i),
                                                   {{"team", i % 10 == 0 ? "red" : "blue"}})));
    out.push_back(policyOf(i));
  }
  for (std::size_t i = 0; i < shape.pods; ++i) out.push_back(test::put(podAt(shape, i)));
  return out;
}

std::unique_ptr<PolicyEngine> started(const std::vector<api::Update>& updates) {
  auto engine = std::make_unique<PolicyEngine>(PolicyEngineConfig{"n1", "cali"});
  for (const auto& update : updates) engine->update(update);
  benchmark::DoNotOptimize(engine->flush({}));
  return engine;
}

void start(benchmark::State& state) {
  const auto updates = cluster({.pods = static_cast<std::size_t>(state.range(0))});
  for (auto _ : state) {
    auto engine = started(updates);
    state.PauseTiming();
    engine.reset();
    state.ResumeTiming();
  }
}
BENCHMARK(start)->Arg(1'000)->Arg(10'000)->Arg(100'000)->Unit(benchmark::kMillisecond);

/// bytes_per_endpoint is the figure; the time is that of one start.
void memory(benchmark::State& state) {
  const auto updates = cluster({.uniqueLabels = state.range(0) == 1});
  for (auto _ : state) {
    const auto before = mallinfo2().uordblks;
    const auto engine = started(updates);
    state.counters["bytes_per_endpoint"] =
        static_cast<double>(mallinfo2().uordblks - before) / 100'000.0;
  }
}
BENCHMARK(memory)
    ->ArgName("unique_labels")
    ->Arg(0)
    ->Arg(1)
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond);

void addressChange(benchmark::State& state) {
  const Shape shape{.pods = static_cast<std::size_t>(state.range(0))};
  const auto engine = started(cluster(shape));
  // A pod of app-1 in a namespace of team red with local pods: it is in two sets.
  auto moving = podAt(shape, 1'100);
  std::vector<api::Update> updates;
  for (std::size_t i = 0; i < 256; ++i) {
    moving.addresses = test::nets({"172.16.0." + std::to_string(i)});
    updates.push_back(test::put(moving));
  }
  std::size_t at = 0;
  for (auto _ : state) {
    engine->update(updates[at++ % updates.size()]);
    benchmark::DoNotOptimize(engine->flush({}));
  }
}
BENCHMARK(addressChange)->Arg(10'000)->Arg(100'000)->Unit(benchmark::kMicrosecond);

/// A local pod comes to an existing group and goes again: two updates, two flushes.
void joinAndLeave(benchmark::State& state) {
  const Shape shape{.pods = static_cast<std::size_t>(state.range(0))};
  const auto engine = started(cluster(shape));
  auto joining = podAt(shape, 5);
  joining.name = joining.name.str() + "-twin";
  joining.addresses = test::nets({"172.16.0.1"});
  const auto come = test::put(joining);
  const auto go = test::gone(joining);
  for (auto _ : state) {
    engine->update(come);
    benchmark::DoNotOptimize(engine->flush({}));
    engine->update(go);
    benchmark::DoNotOptimize(engine->flush({}));
  }
}
BENCHMARK(joinAndLeave)->Arg(10'000)->Arg(100'000)->Unit(benchmark::kMicrosecond);

/// A namespace of 100 pods changes its team, which two active selectors read.
void namespaceRelabel(benchmark::State& state) {
  const auto engine = started(cluster({}));
  const api::Update teams[] = {
      test::put(test::namespaceProfile("namespace-500", {{"team", "blue"}})),
      test::put(test::namespaceProfile("namespace-500", {{"team", "red"}}))};
  std::size_t at = 0;
  for (auto _ : state) {
    engine->update(teams[at++ % 2]);
    benchmark::DoNotOptimize(engine->flush({}));
  }
}
BENCHMARK(namespaceRelabel)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace margay::controllers

#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <malloc.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "api/file/directory_state.h"

/// How long does it take to read a List of pods, beside nlohmann's own parse of the same file, and
/// what stays in memory for each pod?
namespace margay::api {
namespace {

using nlohmann::json;

/// About 900 bytes a pod, as kubectl prints them.
json podJson(int i) {
  const std::string n = std::to_string(i);
  const std::string app = "app-" + std::to_string(i / 50);
  return {{"apiVersion", "v1"},
          {"kind", "Pod"},
          {"metadata",
           {{"name", app + "-6d4b75cb6d-" + n},
            {"namespace", "ns-" + std::to_string(i / 100)},
            {"uid", "11111111-2222-3333-4444-" + n},
            {"labels", {{"app", app}, {"pod-template-hash", "6d4b75cb6d"}}},
            {"managedFields",
             json::array({{{"manager", "kubelet"},
                           {"operation", "Update"},
                           {"fieldsV1", {{"f:status", {{"f:podIP", json::object()}}}}}}})}}},
          {"spec",
           {{"nodeName", "node-" + std::to_string(i / 110)},
            {"serviceAccountName", "default"},
            {"containers", json::array({{{"name", "c"},
                                         {"image", "registry.example.com/team/app:1.2.3"},
                                         {"ports", json::array({{{"name", "http"},
                                                                 {"containerPort", 8080},
                                                                 {"protocol", "TCP"}}})}}})}}},
          {"status",
           {{"phase", "Running"},
            {"podIP", "10." + std::to_string(i / 65536) + "." + std::to_string(i / 256 % 256) +
                          "." + std::to_string(i % 256)},
            {"conditions", json::array({{{"type", "Ready"},
                                         {"status", "True"},
                                         {"lastTransitionTime", "2024-01-01T00:00:00Z"}}})}}}};
}

/// A directory with one file of `pods` pods, made once.
const std::string& directoryOf(int pods) {
  static std::map<int, std::string> made;
  std::string& directory = made[pods];
  if (!directory.empty()) return directory;
  std::string pattern = (std::filesystem::temp_directory_path() / "margay-bench-XXXXXX").string();
  directory = ::mkdtemp(pattern.data());
  std::ofstream out(directory + "/pods.json");
  out << R"({"apiVersion":"v1","items":[)";
  for (int i = 0; i < pods; ++i) out << (i == 0 ? "" : ",") << podJson(i).dump(1);
  out << R"(],"kind":"List"})";
  return directory;
}

void nlohmannParse(benchmark::State& state) {
  const std::string file = directoryOf(static_cast<int>(state.range(0))) + "/pods.json";
  for (auto _ : state) {
    std::ifstream in(file);
    benchmark::DoNotOptimize(json::parse(in));
  }
  state.SetBytesProcessed(state.iterations() *
                          static_cast<std::int64_t>(std::filesystem::file_size(file)));
}
BENCHMARK(nlohmannParse)->Arg(1000)->Arg(10000)->Unit(benchmark::kMillisecond);

void readPods(benchmark::State& state) {
  const std::string directory = directoryOf(static_cast<int>(state.range(0)));
  std::size_t bytes = 0;
  for (auto _ : state) {
    const std::size_t before = ::mallinfo2().uordblks;
    DirectoryState files(directory, {}, "cali", [](const std::string&) {});
    const auto updates = files.rescan({});
    if (!updates || updates->size() != static_cast<std::size_t>(state.range(0)))
      state.SkipWithError("not all pods were read");
    state.PauseTiming();
    std::vector<Update>(std::move(*updates)).clear();
    bytes = ::mallinfo2().uordblks - before;
    state.ResumeTiming();
  }
  state.counters["bytes_per_pod"] =
      static_cast<double>(bytes) / static_cast<double>(state.range(0));
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(std::filesystem::file_size(
                                                   directory + "/pods.json")));
}
BENCHMARK(readPods)->Arg(1000)->Arg(10000)->Arg(100000)->Unit(benchmark::kMillisecond);

void onePodChanges(benchmark::State& state) {
  const std::string directory = directoryOf(static_cast<int>(state.range(0)));
  DirectoryState files(directory, {}, "cali", [](const std::string&) {});
  if (!files.rescan({})) state.SkipWithError("cannot read");
  int round = 0;
  for (auto _ : state) {
    state.PauseTiming();
    json pod = podJson(1'000'000);
    pod["status"]["podIP"] = ++round % 2 == 0 ? "10.200.0.1" : "10.200.0.2";
    std::ofstream(directory + "/one.json") << pod.dump();
    state.ResumeTiming();
    const auto updates = files.refresh({"one.json"}, {});
    if (!updates || updates->size() != 1) state.SkipWithError("the change was not seen");
  }
  std::filesystem::remove(directory + "/one.json");
}
BENCHMARK(onePodChanges)->Arg(100000)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace margay::api

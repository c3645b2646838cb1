#include <benchmark/benchmark.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <map>
#include <nlohmann/json.hpp>

#include "api/kubernetes/kubernetes_source.h"
#include "bench/first_list.h"
#include "bench/own_memory.h"
#include "tests/api/raw_server.h"

/// How long does the first list of a cluster's pods take, and how much memory at its peak and for
/// good, beside fetching and parsing the same bytes only? The server is another process, which
/// makes pages of 500 pods as kube-apiserver does.
namespace margay::api {
namespace {

using nlohmann::json;
using test::RawServer;

/// A pod of 5 KB as `kubectl get -o json` shows it, with @ for its number, % for its namespace's, $
/// for its node's and ~ for its address.
std::string podTemplate() {
  const json owner = {{"apiVersion", "apps/v1"},
                      {"kind", "ReplicaSet"},
                      {"name", "app-6d4b75cb6d"},
                      {"uid", "11111111-2222-4333-8444-555555555555"},
                      {"controller", true}};
  json fields = json::object();
  for (const char* name : {"f:affinity", "f:containers", "f:dnsPolicy", "f:enableServiceLinks",
                           "f:restartPolicy", "f:schedulerName", "f:securityContext",
                           "f:serviceAccount", "f:terminationGracePeriodSeconds", "f:volumes"})
    fields[name] = {{"k:{\"name\":\"app\"}", {{".", json::object()}, {"f:image", json::object()}}}};
  json environment = json::array();
  for (int i = 0; i < 12; ++i)
    environment.push_back({{"name", "SETTING_" + std::to_string(i)},
                           {"valueFrom", {{"configMapKeyRef", {{"name", "c"}, {"key", "k"}}}}}});
  const json probe = {{"httpGet", {{"path", "/healthz"}, {"port", "http"}}}, {"periodSeconds", 10}};
  const json container = {
      {"name", "app"},
      {"image", "registry.example.com/team/app:1.2.3"},
      {"env", environment},
      {"livenessProbe", probe},
      {"readinessProbe", probe},
      {"ports", json::array({{{"name", "http"}, {"containerPort", 8080}}})},
      {"volumeMounts", json::array({{{"name", "kube-api-access"}, {"mountPath", "/var/run"}}})}};
  json conditions = json::array();
  for (const char* type : {"Initialized", "Ready", "ContainersReady", "PodScheduled"})
    conditions.push_back(
        {{"type", type}, {"status", "True"}, {"lastTransitionTime", "2026-01-01T00:00:00Z"}});
  const json pod = {
      {"metadata",
       {{"name", "app-6d4b75cb6d-@"},
        {"generateName", "app-6d4b75cb6d-"},
        {"namespace", "ns-%"},
        {"uid", "11111111-2222-4333-8444-@"},
        {"resourceVersion", "@"},
        {"labels", {{"app", "app-%"}, {"pod-template-hash", "6d4b75cb6d"}}},
        {"ownerReferences", json::array({owner})},
        {"managedFields",
         json::array({{{"manager", "kube-controller-manager"}, {"fieldsV1", fields}},
                      {{"manager", "kubelet"}, {"fieldsV1", fields}}})}}},
      {"spec",
       {{"nodeName", "node-$"},
        {"serviceAccountName", "default"},
        {"containers", json::array({container})},
        {"volumes", json::array({{{"name", "kube-api-access"}, {"projected", {{"x", 420}}}}})}}},
      {"status",
       {{"phase", "Running"},
        {"conditions", conditions},
        {"containerStatuses",
         json::array({{{"name", "app"}, {"imageID", std::string(120, 'i')}, {"ready", true}}})},
        {"podIP", "~"},
        {"podIPs", json::array({{{"ip", "~"}}})}}}};
  return pod.dump();
}

void appendPod(const std::string& pod, int i, std::string& out) {
  for (const char c : pod) {
    switch (c) {
      case '@':
        out += std::to_string(100'000 + i);
        break;
      case '%':
        out += std::to_string(i / 100);
        break;
      case '$':
        out += std::to_string(i / 110);
        break;
      case '~':
        out += "10." + std::to_string(i / 65536) + "." + std::to_string(i / 256 % 256) + "." +
               std::to_string(i % 256);
        break;
      default:
        out += c;
    }
  }
}

std::string listOf(const std::string& path, int pods) {
  static const std::string kPod = podTemplate();
  const bool isPods = path.rfind("/api/v1/pods", 0) == 0;
  const auto next = path.find("continue=");
  const int from = next == std::string::npos ? 0 : std::stoi(path.substr(next + 9));
  const int end = isPods ? std::min(from + 500, pods) : 0;
  std::string body = R"({"kind":"List","apiVersion":"v1","metadata":{"resourceVersion":"9")";
  if (end < pods && isPods) body += R"(,"continue":")" + std::to_string(end) + "\"";
  body += R"(},"items":[)";
  for (int i = from; i < end; ++i) {
    if (i > from) body += ',';
    appendPod(kPod, i, body);
  }
  return body + "]}";
}

void serve(int socket, int pods) {
  for (;;) {
    const std::string request = RawServer::readRequest(socket);
    if (request.empty()) return;
    const auto start = request.find(' ') + 1;
    const std::string path = request.substr(start, request.find(' ', start) - start);
    if (path.find("watch=") != std::string::npos) {
      RawServer::say(socket, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    } else if (path.rfind("/apis/", 0) == 0 && path.rfind("/apis/networking.k8s.io/", 0) != 0) {
      RawServer::say(socket, "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n");
    } else {
      const auto body = listOf(path, pods);
      RawServer::say(socket, "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) +
                                 "\r\n\r\n" + body);
    }
  }
}

/// A server of `pods` pods in a process of its own, which ends with this one; its URL.
std::string serverOf(int pods) {
  static std::map<int, std::string> urls;
  auto& url = urls[pods];
  if (!url.empty()) return url;
  int ends[2];
  if (::pipe(ends) != 0) return {};
  if (::fork() == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    RawServer server([pods](RawServer&, int socket) { serve(socket, pods); });
    const std::string text = server.url() + "\n";
    static_cast<void>(!::write(ends[1], text.data(), text.size()));
    for (;;) ::pause();
  }
  char text[128] = {};
  static_cast<void>(!::read(ends[0], text, sizeof text - 1));
  url = text;
  url.pop_back();
  return url;
}

void fetchAndParse(benchmark::State& state) {
  auto client =
      makeHttpClient({.url = serverOf(static_cast<int>(state.range(0))), .tls = {}, .token = {}});
  double peak = 0;
  std::size_t bytes = 0;
  for (auto round : state) {
    static_cast<void>(round);
    const bench::OwnMemory memory;
    bytes = 0;
    std::string next;
    do {
      HttpCall call;
      call.path = "/api/v1/pods?limit=500" + (next.empty() ? "" : "&continue=" + next);
      const auto reply = fetch(**client, call, {});
      if (!reply) return state.SkipWithError(reply.error().what.c_str());
      bytes += reply->body.size();
      const auto page = json::parse(reply->body);
      next = page["metadata"].value("continue", "");
    } while (!next.empty());
    peak = memory.peak();
  }
  state.counters["peakMB"] = peak;
  state.counters["bytesMB"] = static_cast<double>(bytes) / (1 << 20);
}
BENCHMARK(fetchAndParse)->Arg(10'000)->Arg(100'000)->Unit(benchmark::kMillisecond)->UseRealTime();

void listIntoStore(benchmark::State& state) {
  const auto count = static_cast<std::size_t>(state.range(0));
  KubernetesAccess access;
  access.url = serverOf(static_cast<int>(count));
  bench::listIntoStore(state, "kubernetes", count, [&](Mailbox& mailbox) {
    return std::make_unique<KubernetesSource>(std::move(*KubernetesClient::make(access)), mailbox);
  });
}
BENCHMARK(listIntoStore)->Arg(10'000)->Arg(100'000)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
}  // namespace margay::api

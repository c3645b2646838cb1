#include "cmd/agent/node_publisher.h"

#include <algorithm>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <nlohmann/json.hpp>
#include <utility>

#include "api/etcd/etcd_client.h"
#include "api/etcd/etcd_objects.h"
#include "api/etcd/etcd_options.h"
#include "base/log.h"
#include "base/trouble.h"
#include "cmd/agent/default_documents.h"
#include "cmd/agent/kubernetes_parts.h"
#include "cmd/agent/node_documents.h"

namespace margay::agent {
namespace {

using Json = nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds kFirstRetry{500};
constexpr milliseconds kLastRetry{30'000};
constexpr seconds kPoll{60};
constexpr seconds kLook{10};
constexpr seconds kLeave{2};

/// Writes the document unless it is what is stored.
Result<void> keep(const api::ObjectStore& objects, const Json& stored, const Json& wanted) {
  if (stored == wanted) return {};
  const auto written = stored.is_object() ? objects.replace(wanted) : objects.create(wanted);
  if (!written) return Fail(written.error());
  log::info("published", {{"kind", wanted["kind"].get<std::string>()},
                          {"name", wanted["metadata"]["name"].get<std::string>()}});
  return {};
}

/// Null if it does not exist.
Result<Json> storedOne(const api::ObjectStore& objects, const char* kind, const std::string& name) {
  auto found = objects.get(*api::storedKindNamed(kind), "", name);
  if (!found && found.error().code == Errc::NotFound) return Json();
  return found;
}

bool detects(const Settings& settings) {
  const auto is = [&](const char* variable) {
    const auto found = settings.environment.find(variable);
    return found != settings.environment.end() && found->second == "autodetect";
  };
  return is("IP") || is("IP6");
}

Result<PublisherParts> etcdParts(const Settings& settings) {
  auto options = api::etcdOptions(settings.environment);
  if (!options) return Fail(options.error());
  PublisherParts parts;
  parts.open =
      [kept = std::make_shared<api::EtcdClient>(std::move(*options))](const std::stop_token& stop) {
        return std::make_unique<api::EtcdObjects>(kept, stop);
      };
  return parts;
}

/// Without `open` where nothing can be published.
Result<PublisherParts> partsOf(const Settings& settings, std::function<bool()> ready) {
  if (settings.datastore == "etcdv3") return etcdParts(settings);
  if (settings.datastore == "kubernetes") return kubernetesParts(settings, std::move(ready));
  return PublisherParts();
}

/// False when it was asked to stop.
bool pause(milliseconds duration, const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  never.wait_for(lock, stop, duration, [] { return false; });
  return !stop.stop_requested();
}

}  // namespace

Result<std::unique_ptr<NodePublisher>> NodePublisher::start(const Settings& settings,
                                                            AgentState agent) {
  const auto found = settings.environment.find("MARGAY_PUBLISH_NODE");
  if (found != settings.environment.end() && found->second == "false") return nullptr;
  auto parts = partsOf(settings, std::move(agent.ready));
  if (!parts) return Fail(parts.error());
  if (!parts->open) return nullptr;
  return std::make_unique<NodePublisher>(settings, std::move(*parts), std::move(agent.listed));
}

NodePublisher::NodePublisher(const Settings& settings, PublisherParts parts,
                             std::function<bool()> listed)
    : settings_(settings),
      parts_(std::move(parts)),
      listed_(std::move(listed)),
      thread_([this](const std::stop_token& stop) {
        run(stop);
        leave();
      }) {}

void NodePublisher::leave() const {
  if (!parts_.leave) return;
  std::stop_source late;
  const std::jthread clock([&late](const std::stop_token& done) {
    if (pause(kLeave, done)) late.request_stop();
  });
  parts_.leave(late.get_token());
}

Result<void> NodePublisher::publish(const std::stop_token& stop) const {
  const auto objects = parts_.open(stop);
  auto interfaces = hostInterfaces();
  if (!interfaces) return Fail(interfaces.error());
  HostView host{std::move(*interfaces), sourceTowards};
  if (parts_.complete) {
    if (auto completed = parts_.complete(host, stop); !completed) return completed;
  }
  if (auto node = publishNode(*objects, host); !node) return node;
  if (auto pools = publishPools(*objects, host); !pools) return pools;
  return publishCluster(*objects);
}

Result<void> NodePublisher::publishNode(const api::ObjectStore& objects, HostView& host) const {
  const auto others = objects.list(*api::storedKindNamed("Node"));
  if (!others) return Fail(others.error());
  const auto stored = storedOne(objects, "Node", settings_.nodeName);
  if (!stored) return Fail(stored.error());
  const auto node = nodeDocument(settings_.nodeName, *stored, *others, settings_.environment, host);
  if (!node) return Fail(node.error());
  return keep(objects, *stored, *node);
}

Result<void> NodePublisher::publishPools(const api::ObjectStore& objects,
                                         const HostView& host) const {
  const auto pools = objects.list(*api::storedKindNamed("IPPool"));
  if (!pools) return Fail(pools.error());
  const bool hasIpv6 = std::filesystem::exists("/proc/sys/net/ipv6");
  const auto missing = missingPools(*pools, settings_.environment, host, hasIpv6);
  if (!missing) return Fail(missing.error());
  for (const auto& pool : *missing) {
    if (auto kept = keep(objects, Json(), pool); !kept) return kept;
  }
  return {};
}

Result<void> NodePublisher::publishCluster(const api::ObjectStore& objects) const {
  const auto cluster = storedOne(objects, "ClusterInformation", "default");
  if (!cluster) return Fail(cluster.error());
  auto variables = settings_.environment;
  auto& type = variables["CLUSTER_TYPE"];
  if (!parts_.clusterType.empty()) type += (type.empty() ? "" : ",") + parts_.clusterType;
  auto kept = keep(objects, *cluster, clusterDocument(*cluster, variables));
  if (!kept || !parts_.withDefaults) return kept;
  for (const auto& wanted : defaultDocuments(settings_.nodeName)) {
    const auto found = storedOne(objects, wanted.kind, wanted.name);
    if (!found) return Fail(found.error());
    kept = keep(objects, *found, completed(wanted, *found));
    if (!kept) return kept;
  }
  return {};
}

void NodePublisher::run(const std::stop_token& stop) {
  milliseconds retry = kFirstRetry;
  Trouble trouble;
  auto due = std::chrono::steady_clock::now();
  for (;;) {
    const auto now = std::chrono::steady_clock::now();
    if (now >= due) {
      const auto published = publish(stop);
      if (stop.stop_requested()) return;
      if (published) {
        retry = kFirstRetry;
        trouble.over();
        if (!detects(settings_) && !parts_.look) return;
        due = detects(settings_) ? now + kPoll : std::chrono::steady_clock::time_point::max();
      } else {
        // Another node that writes the same is met again at once, what is wrong here later.
        due = now + std::exchange(retry, std::min(retry * 2, kLastRetry));
        if (published.error().code != Errc::Stale && listed_() &&
            trouble.isNews(published.error().what))
          log::warn("cannot publish this node", {{"error", published.error().what}});
      }
    }
    if (parts_.look) parts_.look(stop);
    const auto next = parts_.look ? std::min(due, now + kLook) : due;
    if (!pause(std::chrono::ceil<milliseconds>(next - std::chrono::steady_clock::now()), stop))
      return;
  }
}

}  // namespace margay::agent

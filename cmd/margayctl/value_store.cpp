#include "cmd/margayctl/value_store.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "api/codec/calico_decode.h"
#include "api/codec/calico_encode.h"
#include "api/etcd/etcd_client.h"
#include "api/etcd/etcd_objects.h"
#include "api/etcd/etcd_options.h"
#include "api/file/manifest_writer.h"
#include "api/kubernetes/access.h"
#include "api/kubernetes/kubernetes_objects.h"
#include "cmd/agent/settings.h"

namespace margay::ctl {
namespace {

using api::Kind;
using api::ObjectKey;
using api::Value;

class FileStore final : public ValueStore {
 public:
  explicit FileStore(api::ManifestWriter writer) : writer_(std::move(writer)) {}

  Result<std::optional<Value>> find(const ObjectKey& key) override {
    auto found = writer_.find(key);
    if (!found) return Fail(found.error());
    return *found ? std::optional<Value>((*found)->value) : std::nullopt;
  }
  Result<std::vector<Value>> list(Kind kind) override {
    auto found = writer_.list(kind);
    if (!found) return Fail(found.error());
    std::vector<Value> out;
    for (auto& entry : *found) out.push_back(std::move(entry.value));
    return out;
  }
  Result<void> put(const Value& value) override { return writer_.put(value); }
  Result<void> remove(const ObjectKey& key) override { return writer_.remove(key); }

 private:
  api::ManifestWriter writer_;
};

class ObjectValues final : public ValueStore {
 public:
  explicit ObjectValues(std::unique_ptr<api::ObjectStore> objects) : objects_(std::move(objects)) {}

  Result<std::optional<Value>> find(const ObjectKey& key) override {
    const auto found = objects_->get(storedKind(key.kind), key.ns.str(), key.name);
    if (!found && found.error().code == Errc::NotFound) return std::nullopt;
    if (!found) return Fail(found.error());
    return api::decodeCalico(*found, api::UnknownFields::Ignored).value;
  }
  Result<std::vector<Value>> list(Kind kind) override {
    const auto found = objects_->list(storedKind(kind), std::nullopt);
    if (!found) return Fail(found.error());
    std::vector<Value> out;
    for (const auto& document : *found) {
      auto decoded = api::decodeCalico(document, api::UnknownFields::Ignored);
      if (decoded.value) out.push_back(std::move(*decoded.value));
    }
    return out;
  }
  Result<void> put(const Value& value) override {
    const auto document = api::encodeCalico(value);
    if (!document) return fail(Errc::Unsupported, "only endpoints and profiles can be written");
    if (auto applied = objects_->apply(nlohmann::json(*document)); !applied)
      return Fail(applied.error());
    return {};
  }
  Result<void> remove(const ObjectKey& key) override {
    return objects_->remove(storedKind(key.kind), key.ns.str(), key.name);
  }

 private:
  static const api::StoredKind& storedKind(Kind kind) {
    const auto& kinds = api::storedKinds();
    const auto found = std::find_if(kinds.begin(), kinds.end(), [&](const api::StoredKind& entry) {
      return entry.kind == kind;
    });
    MGY_CHECK(found != kinds.end() && kind != Kind::Unknown);
    return *found;
  }

  std::unique_ptr<api::ObjectStore> objects_;
};

}  // namespace

std::string datastoreOf(const Variables& variables) {
  const auto type = variables.find("DATASTORE_TYPE");
  if (type != variables.end() && !type->second.empty()) return type->second;
  return variables.contains("ETCD_ENDPOINTS") ? "etcdv3" : "file";
}

Result<std::unique_ptr<api::ObjectStore>> openObjectStore(const Variables& variables) {
  if (datastoreOf(variables) == "kubernetes") {
    auto access = api::kubernetesAccess(variables);
    if (!access) return Fail(access.error());
    auto client = api::KubernetesClient::make(std::move(*access));
    if (!client) return Fail(client.error());
    return std::make_unique<api::KubernetesObjects>(std::move(*client));
  }
  if (datastoreOf(variables) != "etcdv3")
    return fail(Errc::Unsupported,
                "this needs a datastore: set DATASTORE_TYPE=kubernetes and KUBECONFIG, "
                "DATASTORE_TYPE=etcdv3 and ETCD_ENDPOINTS, or give --config (with files, the "
                "manifests in MARGAY_DATA_DIR are the objects)");
  auto options = api::etcdOptions(variables);
  if (!options) return Fail(options.error());
  return std::make_unique<api::EtcdObjects>(std::make_shared<api::EtcdClient>(std::move(*options)));
}

Result<std::unique_ptr<ValueStore>> openValueStore(const Environment& env) {
  const auto variables = agent::processEnvironment();
  if (datastoreOf(variables) != "file") {
    auto objects = openObjectStore(variables);
    if (!objects) return Fail(objects.error());
    return std::make_unique<ObjectValues>(std::move(*objects));
  }
  auto writer = api::ManifestWriter::open(env.dataDir);
  if (!writer) return Fail(writer.error());
  return std::make_unique<FileStore>(std::move(*writer));
}

}  // namespace margay::ctl

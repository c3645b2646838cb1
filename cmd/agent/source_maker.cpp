#include "cmd/agent/source_maker.h"

#include <utility>

#include "api/etcd/etcd_client.h"
#include "api/etcd/etcd_options.h"
#include "api/etcd/etcd_source.h"
#include "api/file/file_source.h"
#include "api/kubernetes/access.h"
#include "api/kubernetes/kubernetes_client.h"
#include "api/kubernetes/kubernetes_source.h"

namespace margay::agent {
namespace {

Result<SourceMaker> etcdMaker(const Settings& settings) {
  auto options = api::etcdOptions(settings.environment);
  if (!options) return Fail(options.error());
  api::EtcdSourceOptions following;
  following.node = settings.nodeName;
  return SourceMaker([options = std::move(*options), following](api::Mailbox& mailbox) {
    return std::make_unique<api::EtcdSource>(std::make_unique<api::EtcdClient>(options), mailbox,
                                             following);
  });
}

Result<SourceMaker> kubernetesMaker(const Settings& settings) {
  auto access = api::kubernetesAccess(settings.environment);
  if (!access) return Fail(access.error());
  auto client = api::KubernetesClient::make(std::move(*access));
  if (!client) return Fail(client.error());
  auto kept = std::make_shared<std::unique_ptr<api::KubernetesClient>>(std::move(*client));
  return SourceMaker([kept](api::Mailbox& mailbox) {
    return std::make_unique<api::KubernetesSource>(std::move(*kept), mailbox);
  });
}

}  // namespace

Result<SourceMaker> sourceMaker(const Settings& settings, const controllers::NodeOptions& options) {
  if (settings.datastore == "etcdv3") return etcdMaker(settings);
  if (settings.datastore == "kubernetes") return kubernetesMaker(settings);
  api::FileSourceOptions files;
  files.interfacePrefix = options.statics.interfacePrefixes.front();
  return SourceMaker([directory = settings.dataDir, files](api::Mailbox& mailbox) {
    return std::make_unique<api::FileSource>(directory, mailbox, files);
  });
}

}  // namespace margay::agent

#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "api/kubernetes/kubernetes_client.h"
#include "api/kubernetes/reflector.h"
#include "api/kubernetes/server_pulse.h"
#include "api/store/mailbox.h"

namespace margay::api {

/// The source "kubernetes": every kind of `kubernetesResources`, listed in pages at one
/// resourceVersion and watched from there on, by a thread a kind. Objects that cannot be used are
/// left out and named in SourceState::invalid. It has synced when every kind that the server has is
/// listed; while the server is away, or refuses a kind, everything stays and the source is not
/// connected. After a stop it may be started again and goes on where it was. start, stop and relist
/// may be called on any thread.
class KubernetesSource final : public Source {
 public:
  KubernetesSource(std::unique_ptr<KubernetesClient> client, Mailbox& mailbox,
                   ReflectorOptions options = {});
  ~KubernetesSource() override;
  KubernetesSource(const KubernetesSource&) = delete;
  KubernetesSource& operator=(const KubernetesSource&) = delete;

  [[nodiscard]] const std::string& name() const override;
  void start() override;
  void stop() override;
  /// The barrier waits while the server is away or refuses a kind.
  void relist(std::uint64_t barrier) override;

 private:
  const std::unique_ptr<KubernetesClient> client_;
  SourceBoard board_;
  ServerPulse pulse_;
  std::vector<std::unique_ptr<Reflector>> reflectors_;
};

}  // namespace margay::api

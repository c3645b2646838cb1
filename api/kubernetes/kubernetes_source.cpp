#include "api/kubernetes/kubernetes_source.h"

#include <chrono>
#include <utility>

namespace margay::api {
namespace {

const std::string kName = "kubernetes";

}  // namespace

KubernetesSource::KubernetesSource(std::unique_ptr<KubernetesClient> client, Mailbox& mailbox,
                                   ReflectorOptions options)
    : client_(std::move(client)),
      board_(kName, kubernetesResources().size(), mailbox),
      pulse_(*client_, options.pulse, [this](const KubernetesError& error) {
        for (const auto& reflector : reflectors_) reflector->doubt(error);
      }) {
  for (const auto& resource : kubernetesResources())
    reflectors_.push_back(std::make_unique<Reflector>(
        Reflector::Place{*client_, board_, pulse_, resource, reflectors_.size()}, options));
}

KubernetesSource::~KubernetesSource() {
  stop();
}

const std::string& KubernetesSource::name() const {
  return kName;
}

void KubernetesSource::start() {
  for (const auto& reflector : reflectors_) reflector->start();
  pulse_.start();
}

void KubernetesSource::stop() {
  pulse_.stop();
  for (const auto& reflector : reflectors_) reflector->interrupt();
  for (const auto& reflector : reflectors_) reflector->stop();
}

void KubernetesSource::relist(std::uint64_t barrier) {
  board_.ask(barrier);
  const auto now = std::chrono::steady_clock::now();
  for (const auto& reflector : reflectors_) reflector->relist(barrier, now);
}

}  // namespace margay::api

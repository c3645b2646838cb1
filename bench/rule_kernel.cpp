#include "bench/rule_kernel.h"

#include <chrono>
#include <iostream>
#include <thread>
#include <utility>
#include <vector>

#include "bench/kernel_table.h"
#include "bench/nft_messages.h"
#include "bench/percentiles.h"
#include "dataplane/ipset_driver.h"
#include "dataplane/iptables_driver.h"
#include "dataplane/nft_driver.h"

namespace margay::bench {
namespace {

constexpr int kCommits = 20;
/// As between the events that are measured: the processor's caches have other things in them.
constexpr auto kPause = std::chrono::milliseconds(20);

template <class Commit>
double middle(Commit commit) {
  std::vector<double> all;
  for (int i = 0; i < kCommits; ++i) {
    std::this_thread::sleep_for(kPause);
    if (const double took = commit(); took > 0) all.push_back(took);
  }
  return percentiles(std::move(all)).p50;
}

class Legacy final : public RuleKernel {
 public:
  Legacy(std::unique_ptr<dataplane::KernelIpsetDriver> sets, dataplane::IptablesDriver rules)
      : sets_(std::move(sets)), rules_(std::move(rules)) {}
  [[nodiscard]] std::string backend() const override { return "Legacy"; }
  double commitMs() override {
    KernelTable kernel;
    return middle([&] {
      const auto begin = threadMs();
      return kernel.run() ? threadMs() - begin : 0;
    });
  }

 private:
  dataplane::RuleDriver& ruleDriver() override { return rules_; }
  dataplane::IpsetDriver& setDriver() override { return *sets_; }
  std::unique_ptr<dataplane::KernelIpsetDriver> sets_;
  dataplane::IptablesDriver rules_;
};

class Nft final : public RuleKernel {
 public:
  Nft(std::unique_ptr<dataplane::NftDriver> driver, dataplane::NfnetlinkSocket socket)
      : driver_(std::move(driver)), socket_(std::move(socket)) {}
  [[nodiscard]] std::string backend() const override { return "NFT"; }
  /// The agent removes each of these chains again, for nobody wants them.
  double commitMs() override {
    std::size_t next = 60'000;  // far above the agent's, and still a net of 10.0.0.0/8
    return middle([&] {
      dataplane::NftBatch batch;
      putChains(batch, policyChains(next++, 1));
      return kernelMs(batch, socket_);
    });
  }

 private:
  dataplane::RuleDriver& ruleDriver() override { return driver_->rules(); }
  dataplane::IpsetDriver& setDriver() override { return driver_->sets(); }
  std::unique_ptr<dataplane::NftDriver> driver_;
  dataplane::NfnetlinkSocket socket_;
};

template <class T>
bool opened(const Result<T>& made) {
  if (!made) std::cerr << made.error().what << '\n';
  return made.has_value();
}

}  // namespace

std::unique_ptr<RuleKernel> RuleKernel::open(const std::string& backend,
                                             const std::filesystem::path& lock) {
  if (backend == "NFT") {
    auto driver = dataplane::NftDriver::open();
    auto socket = dataplane::NfnetlinkSocket::open();
    if (!opened(driver) || !opened(socket)) return nullptr;
    return std::make_unique<Nft>(std::move(*driver), std::move(*socket));
  }
  auto sets = dataplane::KernelIpsetDriver::open();
  auto rules = dataplane::IptablesDriver::open({.lockPath = lock.string()});
  if (!opened(sets) || !opened(rules)) return nullptr;
  return std::make_unique<Legacy>(std::move(*sets), std::move(*rules));
}

bool RuleKernel::has(const std::string& set, const std::string& address) {
  const auto members = setDriver().members(set);
  const auto wanted = Prefix::parseNetwork(address);
  return members && std::any_of(members->begin(), members->end(),
                                [&](const auto& member) { return member.net == *wanted; });
}

std::string RuleKernel::selectorSetWith(const std::string& address) {
  using dataplane::SetType;
  const auto all = setDriver().list();
  if (!all) return {};
  for (const auto& [name, header] : *all) {
    const auto type = header.spec.type;
    if ((type == SetType::HashNet || type == SetType::HashAddress) && has(name, address))
      return name;
  }
  return {};
}

dataplane::TableFingerprint RuleKernel::fingerprint() {
  const auto seen = ruleDriver().fingerprint(kFilter4);
  return seen ? *seen : dataplane::TableFingerprint{};
}

std::size_t RuleKernel::rules() {
  const auto seen = ruleDriver().read(kFilter4);
  std::size_t out = 0;
  if (!seen) return out;
  for (const auto& [name, digests] : seen->chains) out += digests.size();
  for (const auto& [key, hook] : seen->hooks) out += hook.rules.size();
  return out;
}

}  // namespace margay::bench

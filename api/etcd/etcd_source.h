#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "api/etcd/etcd_client.h"
#include "api/store/mailbox.h"

namespace margay::api {

struct EtcdSourceOptions {
  /// Only its own endpoints does a node need whole (see `ObjectTable`); empty: all are.
  std::string node = {};
  /// After this long without news from the watch, the server is asked for its revision.
  std::chrono::milliseconds idleCheck{4'000};
  /// Between attempts while etcd is away: doubled from the first to the last, with jitter.
  std::chrono::milliseconds firstRetry{100};
  std::chrono::milliseconds lastRetry{3'000};
};

/// The source "etcd": Calico's objects in etcd v3, listed at one revision and watched from there on
/// by a thread of its own. Values that cannot be used are left out and named in
/// SourceState::invalid. While etcd is away everything stays and the source is not connected; a
/// server that hangs, or a connection that has gone deaf, is noticed within 15 s. After a
/// stop it may be started again and goes on where it was. start, stop and relist may be called on
/// any thread.
class EtcdSource final : public Source {
 public:
  EtcdSource(std::unique_ptr<EtcdClient> client, Mailbox& mailbox, EtcdSourceOptions options = {});
  ~EtcdSource() override;

  [[nodiscard]] const std::string& name() const override;
  void start() override;
  void stop() override;
  /// The barrier waits while etcd is away.
  void relist(std::uint64_t barrier) override;

 private:
  class Follower;
  std::unique_ptr<Follower> follower_;
};

}  // namespace margay::api

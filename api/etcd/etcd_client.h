#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "api/etcd/answer_reader.h"
#include "api/etcd/etcd_options.h"
#include "api/http/http_client.h"
#include "base/result.h"

namespace margay::api {

/// One step of a transaction, on a key or, for a range, every key that starts with it.
struct EtcdWrite {
  std::string key;
  std::optional<std::string> value;  ///< none: delete
  std::int64_t lease = 0;            ///< the key goes with it
};

/// What a transaction asks before it writes. Revision 0: the key does not exist.
struct EtcdCondition {
  std::string key;
  std::int64_t modRevision = 0;
};

/// Up to where a cluster's data is known.
struct EtcdPosition {
  std::int64_t revision = 0;
  std::uint64_t clusterId = 0;
};

/// A watch on the keys with a prefix. One thread. The destructor ends it.
class EtcdWatch {
 public:
  enum class Heard : std::uint8_t { Something, Nothing };
  virtual ~EtcdWatch() = default;
  /// Waits for news, which go to the callback in the order of their revisions. `Errc::Stale`: what
  /// came next has been compacted, list again. `Errc::Transient`: the watch is over, open another
  /// one from `revision() + 1`.
  virtual Result<Heard> next(const AnswerReader::OnEvent& onEvent,
                             std::chrono::milliseconds timeout, const std::stop_token& stop) = 0;
  /// Everything up to here has been given.
  [[nodiscard]] virtual std::int64_t revision() const = 0;
  /// The newest revision that the server has named on this watch.
  [[nodiscard]] virtual std::int64_t heardOf() const = 0;
  /// After `Errc::Stale`: it is not the data that was read, so equal revisions may be other values.
  [[nodiscard]] virtual bool otherHistory() const = 0;
};

/// etcd v3 over its JSON gateway. Reads go to the next endpoint when one does not answer; writes go
/// once to the endpoint that last answered, since a write whose answer is lost may have been done.
/// Errors: `Errc::Transient` (away, no leader, out of space), `Errc::Invalid` (certificate, user,
/// permission: names which), `Errc::Stale` (compacted, or a condition that does not hold),
/// `Errc::NotFound` (DNS knows no endpoints), `Errc::Interrupted`. The endpoints are looked up and
/// the TLS files read by the first call; as long as that fails, by the next one again. Any thread.
class EtcdClient {
 public:
  using MakeClient = std::function<Result<std::unique_ptr<HttpClient>>(HttpClientOptions options)>;
  explicit EtcdClient(EtcdOptions options, MakeClient makeClient = makeHttpClient);
  ~EtcdClient();
  EtcdClient(const EtcdClient&) = delete;
  EtcdClient& operator=(const EtcdClient&) = delete;

  /// Every key with the prefix in the order of keys, all at one revision, in pages; memory is that
  /// of a page. After an endpoint is lost it goes on at the next one behind the last key; `Stale`
  /// if that is of another cluster.
  Result<EtcdPosition> list(const std::string& prefix,
                            const std::function<void(EtcdKeyValue&)>& onKey,
                            const std::stop_token& stop);
  Result<std::optional<EtcdKeyValue>> get(const std::string& key, const std::stop_token& stop = {});
  /// The current revision, agreed on by a majority, of the endpoint in use; no other is tried.
  Result<std::int64_t> currentRevision(const std::stop_token& stop);

  /// Watches what comes after `start`, at the endpoint in use or the next one that answers.
  Result<std::unique_ptr<EtcdWatch>> watch(const std::string& prefix, const EtcdPosition& start,
                                           const std::stop_token& stop);
  /// The endpoint in use is no good: the next call begins with another one.
  void leaveEndpoint();
  /// Empty before the first call.
  [[nodiscard]] std::string endpoint() const;

  /// All writes or none; the revision after them. `Errc::Stale` if a condition does not hold.
  Result<std::int64_t> write(const std::vector<EtcdCondition>& conditions,
                             const std::vector<EtcdWrite>& writes,
                             const std::stop_token& stop = {});
  /// A lease that ends `ttl` after its last keep-alive, and its id.
  Result<std::int64_t> grantLease(std::chrono::seconds ttl, const std::stop_token& stop = {});
  /// NotFound when it has ended.
  Result<void> keepLease(std::int64_t lease, const std::stop_token& stop = {});
  Result<void> revokeLease(std::int64_t lease, const std::stop_token& stop = {});

 private:
  struct Endpoint {
    std::string url;
    std::unique_ptr<HttpClient> http;
  };
  enum class Retry : std::uint8_t { OtherEndpoints, Never };

  using Endpoints = std::vector<Endpoint>;

  /// Those to use from now on; what is there once stays.
  Result<const Endpoints*> endpoints(const std::stop_token& stop);
  Result<Endpoints> makeEndpoints(const std::stop_token& stop);
  [[nodiscard]] HttpCall callOf(const std::string& path, const std::string& body) const;
  /// One request at one endpoint; keys go to `onEvent`.
  Result<EtcdAnswer> callAt(const Endpoint& endpoint, const HttpCall& call,
                            const AnswerReader::OnEvent& onEvent, const std::stop_token& stop);
  Result<EtcdAnswer> call(const std::string& path, const std::string& body, Retry retry,
                          const AnswerReader::OnEvent& onEvent, const std::stop_token& stop);
  Result<std::string> token(std::size_t endpoint, Token use, const std::stop_token& stop);
  [[nodiscard]] Error errorOf(const EtcdAnswer& answer, int status);

  const EtcdOptions options_;
  const MakeClient makeClient_;
  std::atomic<std::size_t> current_{0};
  mutable std::mutex endpointsMutex_;
  std::optional<const Endpoints> endpoints_;  // guarded by endpointsMutex_
  std::mutex mutex_;
  std::string token_;  // guarded by mutex_
};

}  // namespace margay::api

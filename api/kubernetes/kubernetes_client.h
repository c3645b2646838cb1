#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <set>
#include <stop_token>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "api/http/http_client.h"
#include "api/kubernetes/access.h"
#include "api/kubernetes/credentials.h"
#include "api/kubernetes/item_reader.h"
#include "api/kubernetes/resources.h"

namespace margay::api {

/// Why the server did not do what it was asked for.
struct KubernetesError {
  enum class Why : std::uint8_t {
    Away,         ///< no answer, a broken one, or a server that cannot just now
    Expired,      ///< 410: what was asked for is no longer kept; list again
    Absent,       ///< 404: it has no such kind
    Refused,      ///< credentials, rights, certificates: a person must act
    Interrupted,  ///< the caller's stop_token
  };
  Why why = Why::Away;
  std::string what;                   ///< one line
  std::chrono::milliseconds wait{0};  ///< the server asks not to be asked before
  bool silence = false;               ///< nothing was answered in time
};
template <class T>
using KubernetesResult = tl::expected<T, KubernetesError>;

/// When a server last said anything, on whatever connection. Any thread.
class LastHeard {
 public:
  using Time = std::chrono::steady_clock::time_point;
  void now() { at_ = std::chrono::steady_clock::now(); }
  [[nodiscard]] Time at() const { return at_; }

 private:
  std::atomic<Time> at_ = std::chrono::steady_clock::now();
};

/// An answer, with what it needs to live on. One thread.
class KubernetesAnswer {
 public:
  KubernetesAnswer(std::shared_ptr<HttpClient> client, std::unique_ptr<HttpBody> body,
                   std::shared_ptr<LastHeard> heard)
      : client_(std::move(client)), body_(std::move(body)), heard_(std::move(heard)) {}
  [[nodiscard]] const HttpBody& head() const { return *body_; }
  /// As HttpBody::read.
  Result<HttpBody::Read> read(std::string& piece, std::chrono::milliseconds timeout,
                              const std::stop_token& stop) const;

 private:
  std::shared_ptr<HttpClient> client_;  // outlives the body
  std::unique_ptr<HttpBody> body_;
  std::shared_ptr<LastHeard> heard_;
};

/// A watch on all objects of a kind. One thread. The destructor ends it.
class KubernetesWatch {
 public:
  enum class Heard : std::uint8_t { Something, Nothing, End };
  enum class Change : std::uint8_t { Put, Removed };
  using OnChange = std::function<void(Change, nlohmann::json& item)>;

  /// `title` is for messages: "https://10.0.0.1:6443: the watch on pods".
  KubernetesWatch(KubernetesAnswer answer, std::string title, const FieldFilter& fields,
                  std::string version, OnChange onChange);
  ~KubernetesWatch();
  KubernetesWatch(const KubernetesWatch&) = delete;
  KubernetesWatch& operator=(const KubernetesWatch&) = delete;

  /// Waits for news, which go to `onChange` in their order; Something: a whole event at least. End:
  /// the server has ended it as agreed; open another one from `version()`. `Why::Away` also where
  /// the answer is none of a watch.
  KubernetesResult<Heard> next(std::chrono::milliseconds timeout, const std::stop_token& stop);
  /// Everything up to here has been given; bookmarks count.
  [[nodiscard]] const std::string& version() const { return version_; }

 private:
  void take(std::string_view type, nlohmann::json& item);
  void refuse(KubernetesError::Why why, const std::string& what);
  KubernetesResult<Heard> ended() const;

  const KubernetesAnswer answer_;
  const std::string title_;
  const OnChange onChange_;
  std::string version_;
  std::unique_ptr<KubernetesError> error_;
  std::uint64_t events_ = 0;
  ItemReader reader_;
};

/// Lists and watches at one Kubernetes API server. Any thread.
class KubernetesClient {
 public:
  using MakeClient = std::function<Result<std::unique_ptr<HttpClient>>(HttpClientOptions options)>;
  using OnItem = std::function<void(nlohmann::json& item)>;
  using Time = std::chrono::steady_clock::time_point;

  /// `Errc::Invalid` where a certificate or key cannot be used. Nothing is asked of the server yet.
  static Result<std::unique_ptr<KubernetesClient>> make(KubernetesAccess access,
                                                        MakeClient make = makeHttpClient);

  /// A page of all objects of a kind; `next` is that of the page before, empty for the first.
  KubernetesResult<ListPage> list(const KubernetesResource& resource, std::string_view groupVersion,
                                  const std::string& next, const OnItem& onItem,
                                  const std::stop_token& stop);
  /// What happens behind `version`. The server ends it after `lifetime`.
  KubernetesResult<std::unique_ptr<KubernetesWatch>> watch(const KubernetesResource& resource,
                                                           std::string_view groupVersion,
                                                           const std::string& version,
                                                           std::chrono::seconds lifetime,
                                                           KubernetesWatch::OnChange onChange,
                                                           const std::stop_token& stop);
  /// Whether the server has the kind, by what it said at `notBefore` or later.
  KubernetesResult<bool> has(const KubernetesResource& resource, std::string_view groupVersion,
                             Time notBefore, const std::stop_token& stop);
  /// Any other call with its whole answer, whatever its status; its headTimeout is `kAnswerTime`.
  Result<HttpReply> send(HttpCall call, const std::stop_token& stop);
  /// Asks for what every server tells everybody. Any answer is success; `Error::sysErrno` is
  /// ETIMEDOUT where none came within `patience`.
  Result<void> probe(std::chrono::milliseconds patience, const std::stop_token& stop);
  /// What the server has for all other answers to begin.
  static constexpr std::chrono::seconds kAnswerTime{15};
  /// When the server last said anything; in the beginning, when the client was made.
  [[nodiscard]] Time lastHeard() const { return heard_->at(); }
  [[nodiscard]] const std::string& url() const { return access_.url; }

 private:
  struct Group {
    Time asked;
    std::set<std::string> plurals;
  };

  KubernetesClient(KubernetesAccess access, MakeClient make)
      : access_(std::move(access)), make_(std::move(make)) {}
  /// The client with the certificate that is to be shown now.
  Result<std::shared_ptr<HttpClient>> client(const std::stop_token& stop);
  Result<HttpReply> sendNow(HttpCall call, const std::stop_token& stop);
  KubernetesResult<KubernetesAnswer> open(const std::string& path, std::string_view verb,
                                          const std::string& title, const std::stop_token& stop);
  KubernetesError refusal(const KubernetesAnswer& answer, std::string_view verb,
                          const std::string& title, const std::stop_token& stop) const;
  KubernetesResult<std::set<std::string>> discover(std::string_view groupVersion,
                                                   const std::stop_token& stop);

  const KubernetesAccess access_;
  const MakeClient make_;
  const std::shared_ptr<LastHeard> heard_ = std::make_shared<LastHeard>();
  std::shared_ptr<ExecCredentials> exec_;  // null without a program
  std::mutex clientMutex_;
  std::shared_ptr<HttpClient> http_;  // guarded by clientMutex_
  std::string certificate_;           // of exec_, that http_ shows; guarded by clientMutex_
  std::mutex mutex_;
  std::map<std::string, Group, std::less<>> groups_;  // guarded by mutex_
};

}  // namespace margay::api

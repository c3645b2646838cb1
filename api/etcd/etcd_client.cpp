#include "api/etcd/etcd_client.h"

#include <utility>

#include "api/etcd/etcd_request.h"
#include "api/etcd/etcd_watch.h"

namespace margay::api {
namespace {

using std::chrono::milliseconds;

constexpr std::int64_t kPage = 1000;
constexpr milliseconds kBodyIdle{8'000};

enum GrpcCode : int {
  InvalidArgument = 3,
  NotFound = 5,
  PermissionDenied = 7,
  FailedPrecondition = 9,
  OutOfRange = 11,
  Unauthenticated = 16,
};

void ignoreKey(EtcdEvent& /*event*/) {}

bool has(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

EtcdClient::~EtcdClient() = default;

Result<std::unique_ptr<EtcdClient>> EtcdClient::make(EtcdOptions options,
                                                     const MakeClient& makeClient) {
  std::unique_ptr<EtcdClient> client(new EtcdClient(std::move(options)));
  for (const auto& url : client->options_.endpoints) {
    const std::size_t index = client->endpoints_.size();
    HttpClientOptions http{.url = url, .tls = client->options_.tls, .token = {}};
    if (!client->options_.username.empty()) {
      http.token = [self = client.get(), index](Token use, const std::stop_token& stop) {
        return self->token(index, use, stop);
      };
    }
    auto made = makeClient(std::move(http));
    if (!made) return Fail(withContext(made.error(), "etcd"));
    client->endpoints_.push_back({url, std::move(*made)});
  }
  return client;
}

const std::string& EtcdClient::endpoint() const {
  return endpoints_[current_ % endpoints_.size()].url;
}

void EtcdClient::leaveEndpoint() {
  ++current_;
}

HttpCall EtcdClient::callOf(const std::string& path, const std::string& body) const {
  return {.method = "POST",
          .path = path,
          .headers = {},
          .body = body,
          .headTimeout = options_.callTimeout};
}

Error EtcdClient::errorOf(const EtcdAnswer& answer, int status) {
  const std::string text =
      answer.error.empty() ? "the answer has status " + std::to_string(status) : answer.error;
  const std::string user = options_.username;
  if (has(text, "revision of auth store is old") || has(text, "revision in header is old")) {
    const std::lock_guard lock(mutex_);
    token_.clear();
    return {Errc::Transient, 0, text};
  }
  if (has(text, "compacted")) return {Errc::Stale, 0, text};
  if (has(text, "authentication failed"))
    return {Errc::Invalid, 0,
            "etcd refuses the user '" + user + "': check ETCD_USERNAME and ETCD_PASSWORD"};
  if (has(text, "user name is empty"))
    return {Errc::Invalid, 0, "etcd asks for a user: set ETCD_USERNAME and ETCD_PASSWORD"};
  if (answer.grpcCode == PermissionDenied)
    return {Errc::Invalid, 0,
            "etcd does not let the user '" + user + "' do this (" + text +
                "): give it a role with readwrite on /calico/"};
  switch (answer.grpcCode) {
    case InvalidArgument:
    case FailedPrecondition:
    case Unauthenticated:
      return {Errc::Invalid, 0, text};
    case NotFound:
      return {Errc::NotFound, 0, text};
    case OutOfRange:
      return {Errc::Stale, 0, text};
    default:
      return {Errc::Transient, 0, text};
  }
}

Result<std::string> EtcdClient::token(std::size_t endpoint, Token use,
                                      const std::stop_token& stop) {
  {
    const std::lock_guard lock(mutex_);
    if (use == Token::Kept && !token_.empty()) return token_;
  }
  auto call =
      callOf("/v3/auth/authenticate", authenticateBody(options_.username, options_.password));
  call.authorize = Authorize::No;
  auto answer = callAt(endpoint, call, ignoreKey, stop);
  // Without authentication switched on there is nothing to show.
  if (!answer && has(answer.error().what, "authentication is not enabled")) return std::string();
  if (!answer) return Fail(answer.error());
  const std::lock_guard lock(mutex_);
  token_ = answer->token;
  return token_;
}

Result<EtcdAnswer> EtcdClient::callAt(std::size_t endpoint, const HttpCall& call,
                                      const AnswerReader::OnEvent& onEvent,
                                      const std::stop_token& stop) {
  auto body = endpoints_[endpoint].http->open(call, stop);
  if (!body) return Fail(body.error());
  EtcdAnswer answer;
  bool whole = false;
  AnswerReader reader(onEvent, [&](EtcdAnswer& read) {
    answer = std::move(read);
    whole = true;
  });
  const bool refused = (*body)->status() >= 400;
  std::string piece;
  for (;;) {
    const auto read = (*body)->read(piece, kBodyIdle, stop);
    if (!read) return Fail(withContext(read.error(), endpoints_[endpoint].url));
    if (*read == HttpBody::Read::Idle)
      return fail(Errc::Transient, endpoints_[endpoint].url + ": the answer stopped in its middle");
    if (*read == HttpBody::Read::End) break;
    auto fed = reader.feed(piece);
    if (!fed && refused) break;  // an error page of something that is no etcd
    if (!fed) return Fail(withContext(fed.error(), endpoints_[endpoint].url));
  }
  if (refused || answer.grpcCode != 0)
    return Fail(withContext(errorOf(answer, (*body)->status()), endpoints_[endpoint].url));
  if (!whole) return fail(Errc::Transient, endpoints_[endpoint].url + ": the answer has no end");
  return answer;
}

Result<EtcdAnswer> EtcdClient::call(const std::string& path, const std::string& body, Retry retry,
                                    const AnswerReader::OnEvent& onEvent,
                                    const std::stop_token& stop) {
  const auto call = callOf(path, body);
  for (std::size_t tried = 1;; ++tried) {
    const std::size_t index = current_ % endpoints_.size();
    auto answer = callAt(index, call, onEvent, stop);
    // One more than there are: the first may only have lost a connection that was kept too long.
    if (answer || retry == Retry::Never || answer.error().code != Errc::Transient ||
        tried > endpoints_.size())
      return answer;
    leaveEndpoint();
  }
}

Result<EtcdPosition> EtcdClient::list(const std::string& prefix,
                                      const std::function<void(EtcdKeyValue&)>& onKey,
                                      const std::stop_token& stop) {
  EtcdPosition listed;
  EtcdRange range{.key = prefix, .end = endOfPrefix(prefix), .revision = 0, .limit = kPage};
  const auto take = [&](EtcdEvent& event) {
    range.key = event.kv.key + '\0';
    onKey(event.kv);
  };
  for (std::size_t failed = 0;;) {
    auto page = call("/v3/kv/range", rangeBody(range), Retry::Never, take, stop);
    if (!page) {
      if (page.error().code != Errc::Transient || ++failed > endpoints_.size())
        return Fail(page.error());
      leaveEndpoint();
      // Without a revision yet, what came of the first page belongs to none.
      if (range.revision == 0 && range.key != prefix) return fail(Errc::Stale, page.error().what);
      continue;
    }
    failed = 0;
    if (range.revision == 0) {
      range.revision = listed.revision = page->revision;
      listed.clusterId = page->clusterId;
    }
    if (page->clusterId != listed.clusterId)
      return fail(Errc::Stale, "the endpoints are of different clusters");
    if (!page->more) return listed;
  }
}

Result<std::optional<EtcdKeyValue>> EtcdClient::get(const std::string& key,
                                                    const std::stop_token& stop) {
  std::optional<EtcdKeyValue> found;
  const auto take = [&](EtcdEvent& event) { found = std::move(event.kv); };
  const EtcdRange range{.key = key, .end = {}};
  auto answer = call("/v3/kv/range", rangeBody(range), Retry::OtherEndpoints, take, stop);
  if (!answer) return Fail(answer.error());
  return found;
}

Result<std::int64_t> EtcdClient::currentRevision(const std::stop_token& stop) {
  const EtcdRange range{.key = "/calico/", .end = {}};
  auto answer = call("/v3/kv/range", rangeBody(range), Retry::Never, ignoreKey, stop);
  if (!answer) return Fail(answer.error());
  return answer->revision;
}

Result<std::unique_ptr<EtcdWatch>> EtcdClient::watch(const std::string& prefix,
                                                     const EtcdPosition& start,
                                                     const std::stop_token& stop) {
  auto call = callOf("/v3/watch", watchBody(prefix, start.revision + 1));
  // A member that has lost the others ends the watch instead of being silent.
  call.headers["Grpc-Metadata-hasleader"] = "true";
  for (std::size_t tried = 1;; ++tried) {
    const auto& endpoint = endpoints_[current_ % endpoints_.size()];
    auto body = endpoint.http->open(call, stop);
    Error error;
    if (body && (*body)->status() == 200)
      return makeEtcdWatch(std::move(*body), start, endpoint.url,
                           [this](const EtcdAnswer& answer) { return errorOf(answer, 200); });
    error = body ? Error{Errc::Transient, 0,
                         endpoint.url + ": a watch is answered with status " +
                             std::to_string((*body)->status())}
                 : body.error();
    if (error.code != Errc::Transient || tried >= endpoints_.size()) return Fail(std::move(error));
    leaveEndpoint();
  }
}

Result<std::int64_t> EtcdClient::write(const std::vector<EtcdCondition>& conditions,
                                       const std::vector<EtcdWrite>& writes,
                                       const std::stop_token& stop) {
  auto answer =
      call("/v3/kv/txn", transactionBody(conditions, writes), Retry::Never, ignoreKey, stop);
  if (!answer) {
    if (answer.error().code == Errc::Transient) leaveEndpoint();
    return Fail(answer.error());
  }
  if (!answer->succeeded)
    return fail(Errc::Stale, "the object has been changed by somebody else meanwhile");
  return answer->revision;
}

Result<std::int64_t> EtcdClient::grantLease(std::chrono::seconds ttl, const std::stop_token& stop) {
  const std::string body = R"({"TTL":")" + std::to_string(ttl.count()) + R"("})";
  auto answer = call("/v3/lease/grant", body, Retry::OtherEndpoints, ignoreKey, stop);
  if (!answer) return Fail(answer.error());
  return answer->lease;
}

Result<void> EtcdClient::keepLease(std::int64_t lease, const std::stop_token& stop) {
  const std::string body = R"({"ID":")" + std::to_string(lease) + R"("})";
  auto answer = call("/v3/lease/keepalive", body, Retry::OtherEndpoints, ignoreKey, stop);
  if (!answer) return Fail(answer.error());
  if (answer->ttl <= 0) return fail(Errc::NotFound, "the lease has ended");
  return {};
}

Result<void> EtcdClient::revokeLease(std::int64_t lease, const std::stop_token& stop) {
  const std::string body = R"({"ID":")" + std::to_string(lease) + R"("})";
  auto answer = call("/v3/lease/revoke", body, Retry::OtherEndpoints, ignoreKey, stop);
  if (!answer) return Fail(answer.error());
  return {};
}

}  // namespace margay::api

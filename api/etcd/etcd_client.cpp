#include "api/etcd/etcd_client.h"

#include <algorithm>
#include <utility>

#include "api/etcd/etcd_discovery.h"
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

/// Of a page that somebody shows instead of an answer.
std::string firstLine(const std::string& page) {
  constexpr std::size_t kShown = 160;
  return page.substr(0, std::min(page.find_first_of("\r\n"), kShown));
}

bool has(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

EtcdClient::~EtcdClient() = default;

EtcdClient::EtcdClient(EtcdOptions options, MakeClient makeClient)
    : options_(std::move(options)), makeClient_(std::move(makeClient)) {}

Result<const EtcdClient::Endpoints*> EtcdClient::endpoints(const std::stop_token& stop) {
  const std::lock_guard lock(endpointsMutex_);
  if (!endpoints_) {
    auto made = makeEndpoints(stop);
    if (!made) return Fail(made.error());
    endpoints_.emplace(std::move(*made));
  }
  return &*endpoints_;
}

Result<EtcdClient::Endpoints> EtcdClient::makeEndpoints(const std::stop_token& stop) {
  auto urls = options_.endpoints;
  if (!options_.discoveryDomain.empty()) {
    auto found = discoverEtcd(options_.discoveryDomain, stop, options_.dns);
    if (!found) return Fail(withContext(found.error(), "ETCD_DISCOVERY_SRV"));
    urls = std::move(*found);
  }
  Endpoints out;
  for (const auto& url : urls) {
    HttpClientOptions http{.url = url, .tls = options_.tls, .token = {}};
    if (!options_.username.empty()) {
      http.token = [this, index = out.size()](Token use, const std::stop_token& ends) {
        return token(index, use, ends);
      };
    }
    auto made = makeClient_(std::move(http));
    if (!made) return Fail(withContext(made.error(), "etcd"));
    out.push_back({url, std::move(*made)});
  }
  return out;
}

std::string EtcdClient::endpoint() const {
  const std::lock_guard lock(endpointsMutex_);
  return endpoints_ ? (*endpoints_)[current_ % endpoints_->size()].url : std::string();
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
  std::string text = answer.error;
  if (text.empty() || (status >= 400 && answer.grpcCode == 0))
    text = "the answer has status " + std::to_string(status) + (text.empty() ? "" : ": " + text);
  const std::string user = options_.username;
  if (has(text, "revision of auth store is old") || has(text, "revision in header is old")) {
    const std::lock_guard lock(mutex_);
    token_.clear();
    return {Errc::Transient, 0, text};
  }
  // etcd's gateway cannot tell its own certificate from that of who calls it, so it takes none that
  // could be a user's: https://github.com/etcd-io/etcd/pull/10392
  if (status == 400 && has(text, "CommonName"))
    return {Errc::Invalid, 0,
            "etcd with --client-cert-auth and users takes no certificate with a CommonName: make " +
                options_.tls.certificate.name() + " anew with a subject without CN"};
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
  if (status == 404 && answer.grpcCode == 0)
    return {Errc::Invalid, 0,
            text + ": no JSON gateway of etcd; is it started with --enable-grpc-gateway=false?"};
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
  const auto all = endpoints(stop);
  if (!all) return Fail(all.error());
  auto call =
      callOf("/v3/auth/authenticate", authenticateBody(options_.username, options_.password));
  call.authorize = Authorize::No;
  auto answer = callAt((**all)[endpoint], call, ignoreKey, stop);
  // Without authentication switched on there is nothing to show.
  if (!answer && has(answer.error().what, "authentication is not enabled")) return std::string();
  if (!answer) return Fail(answer.error());
  const std::lock_guard lock(mutex_);
  token_ = answer->token;
  return token_;
}

Result<EtcdAnswer> EtcdClient::callAt(const Endpoint& endpoint, const HttpCall& call,
                                      const AnswerReader::OnEvent& onEvent,
                                      const std::stop_token& stop) {
  auto body = endpoint.http->open(call, stop);
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
    if (!read) return Fail(withContext(read.error(), endpoint.url));
    if (*read == HttpBody::Read::Idle)
      return fail(Errc::Transient, endpoint.url + ": the answer stopped in its middle");
    if (*read == HttpBody::Read::End) break;
    auto fed = reader.feed(piece);
    if (!fed && refused) {  // a page, not an answer
      answer.error = firstLine(piece);
      break;
    }
    if (!fed) return Fail(withContext(fed.error(), endpoint.url));
  }
  if (refused || answer.grpcCode != 0)
    return Fail(withContext(errorOf(answer, (*body)->status()), endpoint.url));
  if (!whole) return fail(Errc::Transient, endpoint.url + ": the answer has no end");
  return answer;
}

Result<EtcdAnswer> EtcdClient::call(const std::string& path, const std::string& body, Retry retry,
                                    const AnswerReader::OnEvent& onEvent,
                                    const std::stop_token& stop) {
  const auto known = endpoints(stop);
  if (!known) return Fail(known.error());
  const Endpoints& all = **known;
  const auto call = callOf(path, body);
  for (std::size_t tried = 1;; ++tried) {
    auto answer = callAt(all[current_ % all.size()], call, onEvent, stop);
    // One more than there are: the first may only have lost a connection that was kept too long.
    if (answer || retry == Retry::Never || answer.error().code != Errc::Transient ||
        tried > all.size())
      return answer;
    leaveEndpoint();
  }
}

Result<EtcdPosition> EtcdClient::list(const std::string& prefix,
                                      const std::function<void(EtcdKeyValue&)>& onKey,
                                      const std::stop_token& stop) {
  const auto all = endpoints(stop);
  if (!all) return Fail(all.error());
  EtcdPosition listed;
  EtcdRange range{.key = prefix, .end = endOfPrefix(prefix), .revision = 0, .limit = kPage};
  const auto take = [&](EtcdEvent& event) {
    range.key = event.kv.key + '\0';
    onKey(event.kv);
  };
  for (std::size_t failed = 0;;) {
    auto page = call("/v3/kv/range", rangeBody(range), Retry::Never, take, stop);
    if (!page) {
      if (page.error().code != Errc::Transient || ++failed > (*all)->size())
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
  const auto known = endpoints(stop);
  if (!known) return Fail(known.error());
  const Endpoints& all = **known;
  auto call = callOf("/v3/watch", watchBody(prefix, start.revision + 1));
  // A member that has lost the others ends the watch instead of being silent.
  call.headers["Grpc-Metadata-hasleader"] = "true";
  for (std::size_t tried = 1;; ++tried) {
    const auto& endpoint = all[current_ % all.size()];
    auto body = endpoint.http->open(call, stop);
    Error error;
    if (body && (*body)->status() == 200)
      return makeEtcdWatch(std::move(*body), start, endpoint.url,
                           [this](const EtcdAnswer& answer) { return errorOf(answer, 200); });
    error = body ? Error{Errc::Transient, 0,
                         endpoint.url + ": a watch is answered with status " +
                             std::to_string((*body)->status())}
                 : body.error();
    if (error.code != Errc::Transient || tried >= all.size()) return Fail(std::move(error));
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

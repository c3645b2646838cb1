#include "api/kubernetes/kubernetes_client.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <nlohmann/json.hpp>
#include <utility>

#include "api/kubernetes/item_text.h"
#include "api/server/http.h"

namespace margay::api {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Why = KubernetesError::Why;

constexpr int kPage = 500;
constexpr milliseconds kBodyIdle{15'000};
constexpr seconds kLongestWait{60};
constexpr auto kNoWatch = " is answered by what is no watch";
constexpr std::size_t kMaxErrorBody = 64U << 10U;
constexpr std::size_t kMaxDiscovery = 4U << 20U;

std::string pathOf(const KubernetesResource& resource, std::string_view groupVersion) {
  return groupPath(groupVersion) + "/" + std::string(resource.plural);
}

KubernetesError errorOf(const Error& error) {
  const Why why = error.code == Errc::Interrupted ? Why::Interrupted
                  : error.code == Errc::Invalid   ? Why::Refused
                                                  : Why::Away;
  return {.why = why, .what = error.what, .silence = error.sysErrno == ETIMEDOUT};
}

/// Reads all of it, or the beginning of what is longer.
Result<std::string> rest(const KubernetesAnswer& answer, std::size_t maxBytes,
                         const std::stop_token& stop) {
  std::string all;
  std::string piece;
  while (all.size() < maxBytes) {
    const auto read = answer.read(piece, kBodyIdle, stop);
    if (!read) return Fail(read.error());
    if (*read == HttpBody::Read::End) break;
    if (*read == HttpBody::Read::Idle)
      return fail(Errc::Transient, "the answer stopped in its middle");
    all += piece;
  }
  return all;
}

seconds retryAfter(const HttpBody& body) {
  const auto found = body.headers().find("retry-after");
  if (found == body.headers().end()) return seconds(0);
  int value = 0;
  std::from_chars(found->second.data(), found->second.data() + found->second.size(), value);
  return std::clamp(seconds(value), seconds(0), kLongestWait);
}

Why whyOf(int status) {
  switch (status) {
    case 404:
      return Why::Absent;
    case 410:
      return Why::Expired;
    case 408:
    case 429:
      return Why::Away;
    default:
      return status >= 500 ? Why::Away : Why::Refused;
  }
}

}  // namespace

Result<HttpBody::Read> KubernetesAnswer::read(std::string& piece, milliseconds timeout,
                                              const std::stop_token& stop) const {
  auto read = body_->read(piece, timeout, stop);
  if (read && *read == HttpBody::Read::Data) heard_->now();
  return read;
}

KubernetesWatch::KubernetesWatch(KubernetesAnswer answer, std::string title,
                                 const FieldFilter& fields, std::string version, OnChange onChange)
    : answer_(std::move(answer)),
      title_(std::move(title)),
      onChange_(std::move(onChange)),
      version_(std::move(version)),
      reader_(fields, [this](std::string_view type, json& item) { take(type, item); }) {}

KubernetesWatch::~KubernetesWatch() = default;

void KubernetesWatch::refuse(Why why, const std::string& what) {
  error_ = std::make_unique<KubernetesError>(KubernetesError{why, title_ + what});
}

void KubernetesWatch::take(std::string_view type, json& item) {
  if (error_) return;
  if (type == "ERROR") {
    const int code =
        item.contains("code") && item["code"].is_number_integer() ? item["code"].get<int>() : 500;
    return refuse(whyOf(code), " ends with status " + std::to_string(code) + ": " +
                                   std::string(textAt(item, "message")));
  }
  if (type.empty()) return refuse(Why::Away, kNoWatch);
  const bool isPut = type == "ADDED" || type == "MODIFIED";
  // What is passed over here would be missing until the next list, so that comes now.
  if (!isPut && type != "DELETED" && type != "BOOKMARK")
    return refuse(Why::Expired, " has an event of the unknown type " + std::string(type));
  ++events_;
  const auto version = std::string(metadataText(item, "resourceVersion"));
  if (isPut) onChange_(Change::Put, item);
  if (type == "DELETED") onChange_(Change::Removed, item);
  if (!version.empty()) version_ = version;
}

KubernetesResult<KubernetesWatch::Heard> KubernetesWatch::ended() const {
  if (reader_.isInside())
    return tl::unexpected(KubernetesError{Why::Away, title_ + " ends in the middle of an event"});
  if (events_ == 0 && reader_.whole())
    return tl::unexpected(KubernetesError{Why::Away, title_ + kNoWatch});
  return Heard::End;
}

KubernetesResult<KubernetesWatch::Heard> KubernetesWatch::next(milliseconds timeout,
                                                               const std::stop_token& stop) {
  const auto before = events_;
  for (std::string piece; events_ == before;) {
    const auto read = answer_.read(piece, timeout, stop);
    if (!read) return tl::unexpected(errorOf(withContext(read.error(), title_)));
    if (*read == HttpBody::Read::Idle) return Heard::Nothing;
    if (*read == HttpBody::Read::End) return ended();
    const auto fed = reader_.feed(piece);
    if (error_) return tl::unexpected(*error_);
    if (!fed) return tl::unexpected(errorOf(withContext(fed.error(), title_)));
  }
  return Heard::Something;
}

Result<std::unique_ptr<KubernetesClient>> KubernetesClient::make(KubernetesAccess access,
                                                                 MakeClient make) {
  std::unique_ptr<KubernetesClient> out(new KubernetesClient(std::move(access), std::move(make)));
  if (out->access_.exec) out->exec_ = std::make_shared<ExecCredentials>(*out->access_.exec);
  auto http = out->make_({.url = out->access_.url,
                          .tls = out->access_.tls,
                          .token = tokenProvider(out->access_, out->exec_)});
  if (!http) return Fail(withContext(http.error(), "Kubernetes"));
  out->http_ = std::move(*http);
  return out;
}

Result<std::shared_ptr<HttpClient>> KubernetesClient::client(const std::stop_token& stop) {
  std::optional<ExecCredential> credential;
  if (exec_) {
    auto got = exec_->get(Token::Kept, stop);
    if (!got) return Fail(got.error());
    credential = std::move(*got);
  }
  const std::lock_guard lock(clientMutex_);
  if (!credential || credential->certificate == certificate_) return http_;
  auto tls = access_.tls;
  tls.certificate = {.file = {}, .text = credential->certificate};
  tls.key = {.file = {}, .text = credential->key};
  auto made = make_({.url = access_.url, .tls = tls, .token = tokenProvider(access_, exec_)});
  if (!made) return Fail(withContext(made.error(), "the program " + access_.exec->command));
  http_ = std::move(*made);
  certificate_ = credential->certificate;
  return http_;
}

KubernetesError KubernetesClient::refusal(const KubernetesAnswer& answer, std::string_view verb,
                                          const std::string& title,
                                          const std::stop_token& stop) const {
  const int status = answer.head().status();
  const auto text = rest(answer, kMaxErrorBody, stop);
  std::string message;
  if (text) {
    const auto parsed = json::parse(*text, nullptr, false);
    message = textAt(parsed, "message");
  }
  KubernetesError out{.why = whyOf(status), .what = {}, .wait = retryAfter(answer.head())};
  const std::string said = "status " + std::to_string(status) + (message.empty() ? "" : ": ");
  if (status == 401) {
    out.what = access_.url + " does not accept " + access_.user +
               " (401): is the token or certificate still valid?";
  } else if (status == 403) {
    out.what = "may not " + std::string(verb) + " " + title + " (403" +
               (message.empty() ? "" : ": " + message) +
               "): give the ClusterRole of this user the verbs list and watch on it";
  } else if (status == 429) {
    out.what = access_.url + " is busy (429)";
  } else {
    out.what = access_.url + ": " + std::string(verb) + " " + title + ": " + said + message;
  }
  return out;
}

KubernetesResult<KubernetesAnswer> KubernetesClient::open(const std::string& path,
                                                          std::string_view verb,
                                                          const std::string& title,
                                                          const std::stop_token& stop) {
  auto http = client(stop);
  if (!http) return tl::unexpected(errorOf(http.error()));
  HttpCall call;
  call.path = path;
  call.headTimeout = kAnswerTime;
  call.headers["Accept"] = "application/json";
  call.headers["User-Agent"] = "margay-node";
  auto body = (*http)->open(call, stop);
  if (!body) return tl::unexpected(errorOf(body.error()));
  heard_->now();
  KubernetesAnswer answer(std::move(*http), std::move(*body), heard_);
  if (answer.head().status() != 200) return tl::unexpected(refusal(answer, verb, title, stop));
  return answer;
}

Result<HttpReply> KubernetesClient::send(HttpCall call, const std::stop_token& stop) {
  call.headTimeout = kAnswerTime;
  return sendNow(std::move(call), stop);
}

Result<HttpReply> KubernetesClient::sendNow(HttpCall call, const std::stop_token& stop) {
  const auto http = client(stop);
  if (!http) return Fail(http.error());
  call.headers["Accept"] = "application/json";
  call.headers["User-Agent"] = "margay";
  auto reply = fetch(**http, call, stop);
  if (reply) heard_->now();
  return reply;
}

Result<void> KubernetesClient::probe(milliseconds patience, const std::stop_token& stop) {
  HttpCall call;
  call.path = "/version";
  call.headTimeout = patience;
  const auto reply = sendNow(std::move(call), stop);
  if (!reply) return Fail(reply.error());
  return {};
}

KubernetesResult<ListPage> KubernetesClient::list(const KubernetesResource& resource,
                                                  std::string_view groupVersion,
                                                  const std::string& next, const OnItem& onItem,
                                                  const std::stop_token& stop) {
  std::string path = pathOf(resource, groupVersion) + "?limit=" + std::to_string(kPage);
  if (!next.empty()) path += "&continue=" + percentEncode(next);
  const std::string title = resourceTitle(resource);
  const auto answer = open(path, "list", title, stop);
  if (!answer) return tl::unexpected(answer.error());
  ItemReader reader(*resource.fields, [&](std::string_view /*type*/, json& item) { onItem(item); });
  const auto broken = [&](const std::string& why, int sysErrno = 0) {
    return tl::unexpected(
        errorOf({Errc::Transient, sysErrno, access_.url + ": the list of " + title + " " + why}));
  };
  for (std::string piece;;) {
    const auto read = answer->read(piece, kBodyIdle, stop);
    if (!read && read.error().code == Errc::Interrupted)
      return tl::unexpected(errorOf(read.error()));
    if (!read) return broken("broke off: " + read.error().what);
    if (*read == HttpBody::Read::Idle) return broken("stopped in its middle", ETIMEDOUT);
    if (*read == HttpBody::Read::End) break;
    if (const auto fed = reader.feed(piece); !fed)
      return broken("cannot be read: " + fed.error().what);
  }
  if (!reader.whole() || reader.page().resourceVersion.empty()) return broken("has no end");
  return reader.page();
}

KubernetesResult<std::unique_ptr<KubernetesWatch>> KubernetesClient::watch(
    const KubernetesResource& resource, std::string_view groupVersion, const std::string& version,
    seconds lifetime, KubernetesWatch::OnChange onChange, const std::stop_token& stop) {
  const std::string path =
      pathOf(resource, groupVersion) +
      "?watch=true&allowWatchBookmarks=true&resourceVersion=" + percentEncode(version) +
      "&timeoutSeconds=" + std::to_string(lifetime.count());
  auto answer = open(path, "watch", resourceTitle(resource), stop);
  if (!answer) return tl::unexpected(answer.error());
  return std::make_unique<KubernetesWatch>(
      std::move(*answer), access_.url + ": the watch on " + resourceTitle(resource),
      *resource.fields, version, std::move(onChange));
}

KubernetesResult<std::set<std::string>> KubernetesClient::discover(std::string_view groupVersion,
                                                                   const std::stop_token& stop) {
  std::set<std::string> out;
  const auto answer =
      open(groupPath(groupVersion), "get", "API group " + std::string(groupVersion), stop);
  if (!answer) {
    if (answer.error().why == Why::Absent) return out;
    return tl::unexpected(answer.error());
  }
  const auto text = rest(*answer, kMaxDiscovery, stop);
  if (!text) return tl::unexpected(errorOf(withContext(text.error(), access_.url)));
  const auto parsed = json::parse(*text, nullptr, false);
  const auto list = parsed.is_object() ? parsed.find("resources") : parsed.end();
  if (!parsed.is_object() || list == parsed.end() || !list->is_array())
    return tl::unexpected(KubernetesError{Why::Away, access_.url + groupPath(groupVersion) +
                                                         " does not answer with a list of kinds"});
  for (const json& entry : *list) out.emplace(textAt(entry, "name"));
  return out;
}

KubernetesResult<bool> KubernetesClient::has(const KubernetesResource& resource,
                                             std::string_view groupVersion, Time notBefore,
                                             const std::stop_token& stop) {
  // Held while the server is asked, so that it is asked once for all kinds of a group.
  const std::lock_guard lock(mutex_);
  const auto known = groups_.find(groupVersion);
  if (known == groups_.end() || known->second.asked < notBefore) {
    const auto asked = std::chrono::steady_clock::now();
    auto plurals = discover(groupVersion, stop);
    if (!plurals) return tl::unexpected(plurals.error());
    groups_.insert_or_assign(std::string(groupVersion), Group{asked, std::move(*plurals)});
  }
  return groups_.find(groupVersion)->second.plurals.contains(std::string(resource.plural));
}

}  // namespace margay::api

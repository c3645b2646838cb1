#include <utility>  // before Boost 1.74's awaitable.hpp, which lacks it

#include <arpa/inet.h>
#include <cpprest/astreambuf.h>
#include <cpprest/http_client.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <pplx/threadpool.h>

#include <algorithm>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <cctype>
#include <cerrno>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string_view>

#include "api/http/exchange.h"
#include "api/http/http_client.h"
#include "api/http/tls_context.h"

namespace margay::api {
namespace {

namespace http = web::http;
namespace streams = Concurrency::streams;
using std::chrono::milliseconds;

constexpr std::size_t kThreads = 2;
constexpr int kResends = 4;  // more than connections are kept when calls are made one by one
// The library's own timer counts while a reader takes its time, so the time-outs are ours.
constexpr std::chrono::hours kLibraryTimeout{24 * 365};
// A peer that is gone without a word is noticed after the first and some of the second of these,
// also where nothing is under way, as in a watch.
constexpr std::chrono::seconds kProbeAfter{10};
constexpr std::chrono::seconds kProbeEvery{5};
constexpr int kProbes = 3;

/// The write side of an Exchange as the library wants it. A write is over when there is room for
/// the next one, so the library does not read from the connection until then.
class ExchangeBuffer final : public streams::details::streambuf_state_manager<std::uint8_t> {
 public:
  explicit ExchangeBuffer(std::shared_ptr<Exchange> exchange)
      : streambuf_state_manager(std::ios_base::out), exchange_(std::move(exchange)) {}

  bool can_seek() const override { return false; }
  bool has_size() const override { return false; }
  std::size_t buffer_size(std::ios_base::openmode /*mode*/) const override { return 0; }
  void set_buffer_size(std::size_t /*size*/, std::ios_base::openmode /*mode*/) override {}
  std::size_t in_avail() const override { return 0; }
  pos_type getpos(std::ios_base::openmode /*mode*/) const override { return kNowhere; }
  pos_type seekpos(pos_type /*pos*/, std::ios_base::openmode /*mode*/) override { return kNowhere; }
  pos_type seekoff(off_type /*offset*/, std::ios_base::seekdir /*way*/,
                   std::ios_base::openmode /*mode*/) override {
    return kNowhere;
  }
  bool acquire(std::uint8_t*& /*ptr*/, std::size_t& /*count*/) override { return false; }
  void release(std::uint8_t* /*ptr*/, std::size_t /*count*/) override {}

 protected:
  pplx::task<std::size_t> _putn(const std::uint8_t* bytes, std::size_t count) override {
    pplx::task_completion_event<std::size_t> done;
    exchange_->put({reinterpret_cast<const char*>(bytes), count},
                   [done, count] { done.set(count); });
    return pplx::create_task(done);
  }
  pplx::task<int_type> _putc(std::uint8_t byte) override {
    return _putn(&byte, 1).then([byte](std::size_t /*count*/) { return int_type{byte}; });
  }
  pplx::task<bool> _sync() override { return pplx::task_from_result(true); }
  std::uint8_t* _alloc(std::size_t /*count*/) override { return nullptr; }
  void _commit(std::size_t /*count*/) override {}
  pplx::task<int_type> _bumpc() override { return end(); }
  int_type _sbumpc() override { return traits::eof(); }
  pplx::task<int_type> _getc() override { return end(); }
  int_type _sgetc() override { return traits::eof(); }
  pplx::task<int_type> _nextc() override { return end(); }
  pplx::task<int_type> _ungetc() override { return end(); }
  pplx::task<std::size_t> _getn(std::uint8_t* /*ptr*/, std::size_t /*count*/) override {
    return pplx::task_from_result<std::size_t>(0);
  }
  std::size_t _scopy(std::uint8_t* /*ptr*/, std::size_t /*count*/) override { return 0; }

 private:
  static pplx::task<int_type> end() { return pplx::task_from_result<int_type>(traits::eof()); }
  static inline const pos_type kNowhere = static_cast<pos_type>(traits::eof());
  std::shared_ptr<Exchange> exchange_;
};

class CpprestBody final : public HttpBody {
 public:
  CpprestBody(std::shared_ptr<Exchange> exchange, pplx::cancellation_token_source cancel)
      : exchange_(std::move(exchange)), cancel_(std::move(cancel)) {}
  ~CpprestBody() override {
    exchange_->abandon();
    cancel_.cancel();
  }
  CpprestBody(const CpprestBody&) = delete;
  CpprestBody& operator=(const CpprestBody&) = delete;

  [[nodiscard]] int status() const override { return head_.status; }
  [[nodiscard]] const std::map<std::string, std::string>& headers() const override {
    return head_.headers;
  }
  Result<Read> read(std::string& piece, milliseconds timeout,
                    const std::stop_token& stop) override {
    return exchange_->read(piece, timeout, stop);
  }
  Result<void> waitHead(milliseconds timeout, const std::stop_token& stop) {
    auto head = exchange_->waitHead(timeout, stop);
    if (!head) return Fail(head.error());
    head_ = std::move(*head);
    return {};
  }

 private:
  std::shared_ptr<Exchange> exchange_;
  pplx::cancellation_token_source cancel_;
  HttpHead head_;
};

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

HttpHead headOf(const http::http_response& response) {
  HttpHead head{.status = response.status_code(), .headers = {}};
  for (const auto& [name, value] : response.headers()) head.headers[lower(name)] = value;
  return head;
}

/// Of a call that the server cannot have taken as one, since it was not sent to its end: EPIPE. The
/// library tells this by its text alone. A connection that was kept while the server was started
/// again ends so.
int errnoOf(std::string_view text) {
  return text.starts_with("Failed to write request") ? EPIPE : 0;
}

/// Of a call that has not met a server, in the library's words.
bool isUnconnected(std::string_view text) {
  return text.starts_with("Failed to connect") || text.starts_with("Error resolving address") ||
         text.starts_with("Failed to resolve");
}

/// How a call ended. Every exception of the library ends here: one that nobody looks at would end
/// the process.
Result<void> outcomeOf(const pplx::task<http::http_response>& task, TlsContext& tls) {
  try {
    static_cast<void>(task.get());
    return {};
  } catch (const http::http_exception& error) {
    if (auto problem = tls.takeProblem()) return fail(Errc::Invalid, *problem);
    return fail(Errc::Transient,
                error.what() + (isUnconnected(error.what()) ? std::string() : tls.hint()),
                errnoOf(error.what()));
  } catch (const std::exception& error) {
    return fail(Errc::Transient, error.what());
  }
}

/// Calls of a client that the library is still at work on.
class Calls {
 public:
  void began() {
    const std::lock_guard lock(mutex_);
    ++running_;
  }
  void ended() {
    const std::lock_guard lock(mutex_);
    if (--running_ == 0) none_.notify_all();
  }
  void waitForNone(milliseconds patience) {
    std::unique_lock lock(mutex_);
    none_.wait_for(lock, patience, [this] { return running_ == 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable none_;
  std::size_t running_ = 0;
};
/// A call that was given up ends within a round of the library's threads.
constexpr milliseconds kEndPatience{2000};

using Socket = boost::asio::ip::tcp::socket;

/// The library tells of the socket before it connects a new one, and again when a call uses a kept
/// one. One that is to be connected to an address is opened here, so that it has the options from
/// the start; one to a name has them from its second call on.
void probe(Socket& socket, const std::string& host) {
  in6_addr address{};
  boost::system::error_code ignored;  // such a peer is then noticed by what is not heard of it
  if (!socket.is_open() && ::inet_pton(AF_INET, host.c_str(), &address) == 1)
    socket.open(boost::asio::ip::tcp::v4(), ignored);
  if (!socket.is_open() && ::inet_pton(AF_INET6, host.c_str(), &address) == 1)
    socket.open(boost::asio::ip::tcp::v6(), ignored);
  if (!socket.is_open()) return;
  const auto set = [&](int level, int name, int value) {
    ::setsockopt(socket.native_handle(), level, name, &value, sizeof value);
  };
  const milliseconds patience = kProbeAfter + kProbes * kProbeEvery;
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, static_cast<int>(kProbeAfter.count()));
  set(IPPROTO_TCP, TCP_KEEPINTVL, static_cast<int>(kProbeEvery.count()));
  set(IPPROTO_TCP, TCP_KEEPCNT, kProbes);
  set(IPPROTO_TCP, TCP_USER_TIMEOUT, static_cast<int>(patience.count()));
}

/// What the library's handle of a connection is depends on the scheme.
std::function<void(http::client::native_handle)> prober(const web::uri& url) {
  std::string host = url.host();
  if (host.starts_with('[')) host = host.substr(1, host.size() - 2);
  if (url.scheme() == "https")
    return [host](http::client::native_handle handle) {
      probe(static_cast<boost::asio::ssl::stream<Socket&>*>(handle)->next_layer(), host);
    };
  return [host](http::client::native_handle handle) { probe(*static_cast<Socket*>(handle), host); };
}

class CpprestClient final : public HttpClient {
 public:
  /// What the library has begun must not outlive the client: the process may end then.
  ~CpprestClient() override { calls_->waitForNone(kEndPatience); }
  CpprestClient(const CpprestClient&) = delete;
  CpprestClient& operator=(const CpprestClient&) = delete;

  CpprestClient(HttpClientOptions options, std::shared_ptr<TlsContext> tls,
                const http::client::http_client_config& config)
      : options_(std::move(options)), tls_(std::move(tls)), client_(options_.url, config) {}

  Result<std::unique_ptr<HttpBody>> open(const HttpCall& call,
                                         const std::stop_token& stop) override {
    for (Token use = Token::Kept;; use = Token::Renewed) {
      std::string token;
      const bool authorized = call.authorize == Authorize::Yes && options_.token;
      if (authorized) {
        auto given = options_.token(use, stop);
        if (!given) return Fail(given.error());
        token = std::move(*given);
      }
      auto body = send(call, token, stop);
      for (int again = 0; !body && body.error().sysErrno == EPIPE && again < kResends; ++again)
        body = send(call, token, stop);
      if (!body) return Fail(withContext(body.error(), options_.url));
      if ((*body)->status() != 401 || !authorized || use == Token::Renewed) return body;
    }
  }

 private:
  Result<std::unique_ptr<HttpBody>> send(const HttpCall& call, const std::string& token,
                                         const std::stop_token& stop) {
    auto exchange = std::make_shared<Exchange>(options_.bufferBytes);
    pplx::cancellation_token_source cancel;
    auto body = std::make_unique<CpprestBody>(exchange, cancel);
    try {
      http::http_request request(call.method);
      request.set_request_uri(web::uri(call.path));
      for (const auto& [name, value] : call.headers) request.headers().add(name, value);
      if (!token.empty()) request.headers().add(http::header_names::authorization, token);
      if (!call.body.empty()) request.set_body(call.body, call.contentType);
      const streams::streambuf<std::uint8_t> sink(std::make_shared<ExchangeBuffer>(exchange));
      request.set_response_stream(sink.create_ostream());
      calls_->began();
      client_.request(request, cancel.get_token())
          .then([exchange](const http::http_response& response) {
            exchange->setHead(headOf(response));
            return response.content_ready();
          })
          .then(
              [exchange, tls = tls_, calls = calls_](const pplx::task<http::http_response>& task) {
                exchange->finish(outcomeOf(task, *tls));
                calls->ended();
              });
    } catch (const std::exception& error) {  // what is wrong with the call itself
      return fail(Errc::Invalid, call.path + ": " + error.what());
    }
    if (auto head = body->waitHead(call.headTimeout, stop); !head) return Fail(head.error());
    return body;
  }

  const HttpClientOptions options_;
  std::shared_ptr<TlsContext> tls_;
  std::shared_ptr<Calls> calls_ = std::make_shared<Calls>();
  http::client::http_client client_;
};

void limitThreads() {
  static std::once_flag once;
  std::call_once(once, [] {
    // First, so that at exit OpenSSL is cleaned up after the threads that use it have ended.
    OPENSSL_init_ssl(0, nullptr);
    crossplat::threadpool::initialize_with_threads(kThreads);
  });
}

}  // namespace

Result<std::unique_ptr<HttpClient>> makeHttpClient(HttpClientOptions options) {
  try {
    const web::uri url(options.url);
    if ((url.scheme() != "http" && url.scheme() != "https") || url.host().empty())
      return fail(Errc::Invalid, "'" + options.url + "' is no URL of http or https");
    auto tls = std::make_shared<TlsContext>(options.tls, url.scheme() == "https");
    if (url.scheme() == "https") {
      if (auto usable = tls->check(); !usable) return Fail(usable.error());
    }
    limitThreads();
    http::client::http_client_config config;
    config.set_timeout(std::chrono::duration_cast<std::chrono::seconds>(kLibraryTimeout));
    config.set_max_redirects(0);
    config.set_validate_certificates(options.tls.verify);
    config.set_nativehandle_options(prober(url));
    config.set_ssl_context_callback(
        [tls](boost::asio::ssl::context& context) { tls->prepare(context.native_handle()); });
    return std::make_unique<CpprestClient>(std::move(options), std::move(tls), config);
  } catch (const std::exception& error) {
    return fail(Errc::Invalid, "'" + options.url + "': " + error.what());
  }
}

}  // namespace margay::api

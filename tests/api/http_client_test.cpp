#include "api/http/http_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <future>
#include <numeric>
#include <optional>
#include <sstream>
#include <thread>

#include "api/server/http.h"
#include "tests/api/raw_server.h"
#include "tests/base/eventually.h"

namespace margay::api {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using test::RawServer;
using ::testing::HasSubstr;

const std::string kChunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Kind: a\r\n\r\n";

std::unique_ptr<HttpClient> clientOf(const std::string& url, TokenProvider token = {}) {
  auto made = makeHttpClient({.url = url, .tls = {}, .token = std::move(token)});
  EXPECT_TRUE(made) << made.error().what;
  return std::move(*made);
}

HttpCall get(const std::string& path) {
  HttpCall call;
  call.path = path;
  return call;
}

/// Reads to the end, or to the first error.
Result<std::string> readAll(HttpBody& body) {
  std::string all;
  std::string piece;
  for (;;) {
    const auto read = body.read(piece, seconds(10), {});
    if (!read) return Fail(read.error());
    if (*read == HttpBody::Read::End) return all;
    if (*read == HttpBody::Read::Idle) return fail(Errc::Bug, "idle");
    all += piece;
  }
}

TEST(HttpClient, SendsTheCallAndGetsStatusAndBody) {
  auto server = HttpServer::onTcp("127.0.0.1", 0, [](const HttpRequest& request) {
    return HttpResponse{.status = 418, .body = request.method + request.path + request.body};
  });
  ASSERT_TRUE(server);
  auto client = clientOf("http://127.0.0.1:" + std::to_string((*server)->port()));
  HttpCall call{.method = "POST", .path = "/v3/kv/range", .headers = {}, .body = "{}"};
  const auto reply = fetch(*client, call, {});
  ASSERT_TRUE(reply) << reply.error().what;
  EXPECT_EQ(reply->status, 418);
  EXPECT_EQ(reply->body, "POST/v3/kv/range{}");
}

TEST(HttpClient, NamesTheServerThatNobodyAnswersOn) {
  auto client = clientOf("http://127.0.0.1:1");
  const auto reply = fetch(*client, get("/"), {});
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, Errc::Transient);
  EXPECT_THAT(reply.error().what, HasSubstr("http://127.0.0.1:1"));
}

TEST(HttpClient, DoesNotSuspectACertificateThatNobodyHasSeen) {
  auto client = clientOf("https://255.255.255.255:1");  // no such connection leaves the host
  const auto reply = fetch(*client, get("/"), {});
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, Errc::Transient);
  EXPECT_THAT(reply.error().what, ::testing::Not(HasSubstr("certificate")));
}

TEST(HttpClient, GivesUpOnAServerThatAcceptsAndSaysNothing) {
  RawServer server([](RawServer&, int socket) { RawServer::readRequest(socket); });
  auto client = clientOf(server.url());
  auto call = get("/");
  call.headTimeout = milliseconds(100);
  const auto reply = fetch(*client, call, {});
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, Errc::Transient);
}

TEST(HttpClient, GivesPiecesAsTheyComeAndSaysWhenNothingComes) {
  std::promise<void> more;
  RawServer server([&](RawServer&, int socket) {
    RawServer::readRequest(socket);
    RawServer::say(socket, kChunked);
    RawServer::sayChunk(socket, "first");
    more.get_future().wait();
    RawServer::sayChunk(socket, "second");
    RawServer::say(socket, "0\r\n\r\n");
  });
  auto client = clientOf(server.url());
  auto body = client->open(get("/"), {});
  ASSERT_TRUE(body) << body.error().what;
  EXPECT_EQ((*body)->headers().at("x-kind"), "a");
  std::string piece;
  EXPECT_EQ((*body)->read(piece, seconds(10), {}), HttpBody::Read::Data);
  EXPECT_EQ(piece, "first");
  EXPECT_EQ((*body)->read(piece, milliseconds(20), {}), HttpBody::Read::Idle);
  more.set_value();
  EXPECT_EQ(readAll(**body), "second");
}

TEST(HttpClient, StopsWaitingWhenAsked) {
  RawServer server([&](RawServer&, int socket) {
    RawServer::readRequest(socket);
    RawServer::say(socket, kChunked);
    RawServer::readRequest(socket);
  });
  auto client = clientOf(server.url());
  std::stop_source stop;
  auto body = client->open(get("/"), stop.get_token());
  ASSERT_TRUE(body);
  std::thread asker([&] { stop.request_stop(); });
  std::string piece;
  const auto read = (*body)->read(piece, seconds(60), stop.get_token());
  asker.join();
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, Errc::Interrupted);
}

TEST(HttpClient, TellsABodyThatBreaksOffFromItsEnd) {
  RawServer server([](RawServer&, int socket) {
    RawServer::readRequest(socket);
    RawServer::say(socket, kChunked);
    RawServer::sayChunk(socket, "first");
    RawServer::end(socket);
  });
  auto client = clientOf(server.url());
  auto body = client->open(get("/"), {});
  ASSERT_TRUE(body);
  const auto all = readAll(**body);
  ASSERT_FALSE(all);
  EXPECT_EQ(all.error().code, Errc::Transient);
}

TEST(HttpClient, EndsTheConnectionWhenTheBodyIsLetGo) {
  std::promise<void> closed;
  RawServer server([&](RawServer&, int socket) {
    RawServer::readRequest(socket);
    RawServer::say(socket, kChunked);
    if (RawServer::readRequest(socket).empty()) closed.set_value();
  });
  auto client = clientOf(server.url());
  auto body = client->open(get("/"), {});
  ASSERT_TRUE(body);
  body->reset();
  EXPECT_EQ(closed.get_future().wait_for(seconds(10)), std::future_status::ready);
}

/// When the kernel next asks whether the peer of our connection to `port` is still there; none
/// while it has no mind to.
std::optional<milliseconds> nextProbe(int port) {
  char wanted[8];
  std::snprintf(wanted, sizeof wanted, ":%04X", port);
  std::ifstream table("/proc/thread-self/net/tcp");
  for (std::string line; std::getline(table, line);) {
    std::istringstream words(line);
    std::string number, local, remote, state, queues, timer;
    words >> number >> local >> remote >> state >> queues >> timer;
    if (!remote.ends_with(wanted) || state != "01" || !timer.starts_with("02:")) continue;
    return milliseconds(10 * std::stol(timer.substr(3), nullptr, 16));
  }
  return std::nullopt;
}

/// A server whose answers never end.
void beginAnAnswer(RawServer& /*server*/, int socket) {
  while (!RawServer::readRequest(socket).empty()) {
    RawServer::say(socket, kChunked);
    RawServer::sayChunk(socket, "a");
  }
}

TEST(HttpClient, ProbesAPeerOfWhichNothingIsHeard) {
  RawServer server(beginAnAnswer);
  auto client = clientOf(server.url());
  const auto body = client->open(get("/"), {});
  ASSERT_TRUE(body) << body.error().what;
  EXPECT_TRUE(testing::eventually([&] { return nextProbe(server.port()).has_value(); }));
  EXPECT_LE(nextProbe(server.port()).value_or(seconds(99)), seconds(10));
}

TEST(HttpClient, ProbesAServerThatHasANameOnAConnectionThatIsKept) {
  RawServer server([](RawServer& self, int socket) {
    RawServer::readRequest(socket);
    RawServer::say(socket, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na");
    beginAnAnswer(self, socket);
  });
  auto client = clientOf("http://localhost:" + std::to_string(server.port()));
  std::vector<std::unique_ptr<HttpBody>> bodies;
  EXPECT_TRUE(testing::eventually([&] {
    // Where the library does not have the last connection back yet, it makes another one.
    auto body = client->open(get("/"), {});
    if (body) bodies.push_back(std::move(*body));
    return testing::eventually([&] { return nextProbe(server.port()).has_value(); },
                               milliseconds(500));
  }));
}

TEST(HttpClient, HoldsTheServerBackWhileNobodyReads) {
  constexpr std::size_t kChunks = 2048;
  const std::string chunk(32U << 10U, 'x');
  std::atomic<std::size_t> sent{0};
  RawServer server([&](RawServer&, int socket) {
    const int small = 64 << 10;
    ::setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    RawServer::readRequest(socket);
    RawServer::say(socket, kChunked);
    for (std::size_t i = 0; i < kChunks; ++i, sent += chunk.size())
      RawServer::sayChunk(socket, chunk);
    RawServer::say(socket, "0\r\n\r\n");
  });
  auto client = clientOf(server.url());
  auto body = client->open(get("/"), {});
  ASSERT_TRUE(body);
  // Nobody reads until the server has not come on for a while.
  std::size_t before = 1;
  while (before != sent) {
    before = sent;
    std::promise<void>().get_future().wait_for(milliseconds(200));
  }
  EXPECT_LT(sent, std::size_t{16} << 20U);
  const auto all = readAll(**body);
  ASSERT_TRUE(all) << all.error().what;
  EXPECT_EQ(all->size(), kChunks * chunk.size());
}

TEST(HttpClient, RenewsATokenThatTheServerRefuses) {
  auto server = HttpServer::onTcp(
      "127.0.0.1", 0, [](const HttpRequest&) { return HttpResponse{.status = 401, .body = ""}; });
  ASSERT_TRUE(server);
  std::vector<Token> asked;
  auto client = clientOf("http://127.0.0.1:" + std::to_string((*server)->port()),
                         [&](Token use, const std::stop_token&) -> Result<std::string> {
                           asked.push_back(use);
                           return "secret";
                         });
  const auto reply = fetch(*client, get("/"), {});
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 401);
  EXPECT_EQ(asked, (std::vector{Token::Kept, Token::Renewed}));
}

TEST(HttpClient, ReadsNoMoreThanItMay) {
  auto server = HttpServer::onTcp("127.0.0.1", 0, [](const HttpRequest&) {
    return HttpResponse{.body = std::string(2000, 'x')};
  });
  ASSERT_TRUE(server);
  auto client = clientOf("http://127.0.0.1:" + std::to_string((*server)->port()));
  EXPECT_EQ(fetch(*client, get("/"), {}, seconds(10), 1000).error().code, Errc::Invalid);
}

TEST(HttpClient, SharesFewThreads) {
  std::vector<std::unique_ptr<HttpClient>> clients;
  for (int i = 0; i < 8; ++i) clients.push_back(clientOf("http://127.0.0.1:1"));
  for (auto& client : clients) EXPECT_FALSE(fetch(*client, get("/"), {}));
  std::size_t threads = 0;
  for ([[maybe_unused]] const auto& task : std::filesystem::directory_iterator("/proc/self/task"))
    ++threads;
  EXPECT_LE(threads, 8U);
}

TEST(HttpClient, NamesACertificateFileThatIsNotThere) {
  HttpClientOptions options{.url = "https://127.0.0.1:1", .tls = {}, .token = {}};
  options.tls.ca.file = "/nonexistent/ca.pem";
  const auto made = makeHttpClient(std::move(options));
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, Errc::Invalid);
  EXPECT_THAT(made.error().what, HasSubstr("/nonexistent/ca.pem"));
}

TEST(HttpClient, RefusesWhatIsNoUrl) {
  for (const char* url : {"", "127.0.0.1:2379", "ftp://a", "http://"}) {
    EXPECT_FALSE(makeHttpClient({.url = url, .tls = {}, .token = {}})) << url;
  }
}

}  // namespace
}  // namespace margay::api

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <thread>
#include <vector>

#include "api/server/http.h"

namespace margay::api {
namespace {

class HttpServerTest : public ::testing::Test {
 protected:
  HttpServerTest() {
    char pattern[] = "/tmp/margay-http-XXXXXX";
    directory_ = mkdtemp(pattern);
  }
  ~HttpServerTest() override { std::filesystem::remove_all(directory_); }
  std::string directory_;
  [[nodiscard]] std::string socketPath() const { return directory_ + "/margay.sock"; }
};

HttpResponse echo(const HttpRequest& request) {
  std::string body = request.method + ' ' + request.path;
  for (const auto& [key, value] : request.query) body += ' ' + key + '=' + value;
  return {200, "text/plain", body + ' ' + request.body};
}

TEST_F(HttpServerTest, AnswersOverAUnixSocketOnlyForItsOwner) {
  auto server = HttpServer::onUnix(socketPath(), echo);
  ASSERT_TRUE(server) << server.error().what;
  struct stat info {};
  ASSERT_EQ(stat(socketPath().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
  const auto got = unixRequest(socketPath(), {"POST", "/v1/a", {{"from", "a/b c"}}, "body"},
                               std::chrono::seconds(5));
  ASSERT_TRUE(got) << got.error().what;
  EXPECT_EQ(got->body, "POST /v1/a from=a/b c body");
}

TEST_F(HttpServerTest, TakesTheConnectionsOfManyThreads) {
  auto server = HttpServer::onUnix(socketPath(), echo);
  ASSERT_TRUE(server);
  std::vector<std::jthread> clients;
  std::atomic<int> answered = 0;
  for (int i = 0; i < 64; ++i) {
    clients.emplace_back([&] {
      if (unixRequest(socketPath(), {"GET", "/x", {}, ""}, std::chrono::seconds(20))) ++answered;
    });
  }
  clients.clear();
  EXPECT_EQ(answered, 64);
}

TEST_F(HttpServerTest, TakesThePlaceOfADeadSocketButNotOfALivingServer) {
  {
    auto first = HttpServer::onUnix(socketPath(), echo);
    ASSERT_TRUE(first);
    EXPECT_FALSE(HttpServer::onUnix(socketPath(), echo));
  }
  EXPECT_FALSE(std::filesystem::exists(socketPath()));
  std::filesystem::create_directory(directory_ + "/d");
  EXPECT_TRUE(HttpServer::onUnix(socketPath(), echo));
}

TEST_F(HttpServerTest, NamesTheSocketThatNobodyAnswersOn) {
  const auto got = unixRequest(socketPath(), {"GET", "/", {}, ""}, std::chrono::seconds(1));
  ASSERT_FALSE(got);
  EXPECT_THAT(got.error().what, ::testing::HasSubstr(socketPath()));
}

TEST_F(HttpServerTest, ListensOnTcpAndSaysWhichPortIsTaken) {
  auto server = HttpServer::onTcp("localhost", 0, echo);
  ASSERT_TRUE(server) << server.error().what;
  ASSERT_NE((*server)->port(), 0);
  const auto again = HttpServer::onTcp("localhost", (*server)->port(), echo);
  ASSERT_FALSE(again);
  EXPECT_THAT(again.error().what, ::testing::HasSubstr(std::to_string((*server)->port())));
}

TEST(Percent, RoundTrips) {
  EXPECT_EQ(percentEncode("a b/ä"), "a%20b%2F%C3%A4");
  EXPECT_EQ(percentDecode(percentEncode("x=1&y=%")), "x=1&y=%");
  EXPECT_EQ(percentDecode("%zz%4"), "%zz%4");
}

}  // namespace
}  // namespace margay::api

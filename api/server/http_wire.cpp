#include "api/server/http_wire.h"

#include <poll.h>
#include <sys/socket.h>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cerrno>

namespace margay::api {
namespace {

namespace http = boost::beast::http;
// Anybody on the network may ask for metrics, 32 at once.
constexpr std::size_t kMaxRequestBody = 64U << 10U;
constexpr std::size_t kMaxResponseBody = 16U << 20U;

Result<void> waitFor(int fd, short events, Deadline deadline) {
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
                          deadline - std::chrono::steady_clock::now())
                          .count();
    if (left <= 0) return fail(Errc::Transient, "timed out", ETIMEDOUT);
    pollfd entry{fd, events, 0};
    const int ready = poll(&entry, 1, static_cast<int>(std::min<long>(left, 3'600'000)));
    if (ready > 0) return {};
    if (ready < 0 && errno != EINTR) return Fail(systemError(errno, "poll"));
  }
}

template <class Parser>
Result<void> receive(int fd, Deadline deadline, Parser& parser) {
  parser.eager(true);
  std::string pending;
  char buffer[16384];
  while (!parser.is_done()) {
    if (auto ready = waitFor(fd, POLLIN, deadline); !ready) return ready;
    const auto got = recv(fd, buffer, sizeof buffer, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Fail(systemError(errno, "receive"));
    boost::system::error_code error;
    if (got == 0) {
      // Beast asserts that an end comes after something.
      if (parser.got_some()) parser.put_eof(error);
      if (error || !parser.is_done())
        return fail(Errc::Transient, "the peer closed the connection", ECONNRESET);
      break;
    }
    pending.append(buffer, static_cast<std::size_t>(got));
    const auto used = parser.put(boost::asio::buffer(pending), error);
    pending.erase(0, used);
    if (error && error != http::error::need_more)
      return fail(Errc::Invalid, "not HTTP: " + error.message());
  }
  return {};
}

void parseTarget(std::string_view target, HttpRequest& request) {
  const auto mark = target.find('?');
  request.path = percentDecode(target.substr(0, mark));
  if (mark == std::string_view::npos) return;
  auto rest = target.substr(mark + 1);
  while (!rest.empty()) {
    const auto end = rest.find('&');
    const auto pair = rest.substr(0, end);
    const auto equals = pair.find('=');
    const auto value =
        equals == std::string_view::npos ? std::string_view() : pair.substr(equals + 1);
    request.query[percentDecode(pair.substr(0, equals))] = percentDecode(value);
    if (end == std::string_view::npos) break;
    rest.remove_prefix(end + 1);
  }
}

std::string_view reason(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 204:
      return "No Content";
    case 400:
      return "Bad Request";
    case 404:
      return "Not Found";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    default:
      return "Error";
  }
}

}  // namespace

Result<HttpRequest> receiveRequest(int fd, Deadline deadline) {
  http::request_parser<http::string_body> parser;
  parser.body_limit(kMaxRequestBody);
  if (auto got = receive(fd, deadline, parser); !got) return Fail(got.error());
  HttpRequest request;
  request.method = std::string(parser.get().method_string());
  const auto target = parser.get().target();
  parseTarget({target.data(), target.size()}, request);
  request.body = std::move(parser.get().body());
  return request;
}

Result<HttpResponse> receiveResponse(int fd, Deadline deadline) {
  http::response_parser<http::string_body> parser;
  parser.body_limit(kMaxResponseBody);
  if (auto got = receive(fd, deadline, parser); !got) return Fail(got.error());
  HttpResponse response;
  response.status = static_cast<int>(parser.get().result_int());
  response.contentType = std::string(parser.get()[http::field::content_type]);
  response.body = std::move(parser.get().body());
  return response;
}

Result<void> sendAll(int fd, std::string_view data, Deadline deadline) {
  while (!data.empty()) {
    if (auto ready = waitFor(fd, POLLOUT, deadline); !ready) return ready;
    const auto sent = send(fd, data.data(), data.size(), MSG_NOSIGNAL);
    if (sent < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (sent < 0) return Fail(systemError(errno, "send"));
    data.remove_prefix(static_cast<std::size_t>(sent));
  }
  return {};
}

std::string requestText(const HttpRequest& request) {
  std::string target = request.path;
  for (const auto& [key, value] : request.query) {
    target += (target.find('?') == std::string::npos ? '?' : '&') + percentEncode(key) + '=' +
              percentEncode(value);
  }
  return request.method + ' ' + target +
         " HTTP/1.1\r\nHost: margay\r\nConnection: close\r\nContent-Length: " +
         std::to_string(request.body.size()) + "\r\n\r\n" + request.body;
}

std::string responseText(const HttpResponse& response) {
  return "HTTP/1.1 " + std::to_string(response.status) + ' ' +
         std::string(reason(response.status)) + "\r\nContent-Type: " + response.contentType +
         "\r\nConnection: close\r\nContent-Length: " + std::to_string(response.body.size()) +
         "\r\n\r\n" + response.body;
}

std::string percentEncode(std::string_view text) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0 || c == '-' || c == '_' || c == '.' || c == '~') {
      out += c;
    } else {
      out += {'%', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return out;
}

std::string percentDecode(std::string_view text) {
  const auto digit = [](char c) {
    if (c >= '0' && c <= '9') return c - '0';
    const auto low = static_cast<char>(c | 0x20);
    return low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
  };
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && digit(text[i + 1]) >= 0 &&
        digit(text[i + 2]) >= 0) {
      out += static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2]));
      i += 2;
    } else {
      out += text[i] == '+' ? ' ' : text[i];
    }
  }
  return out;
}

}  // namespace margay::api

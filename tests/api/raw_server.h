#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace margay::api::test {

/// A server that says byte by byte what a test wants. Each connection is a thread of its own.
class RawServer {
 public:
  using Session = std::function<void(RawServer& server, int socket)>;

  explicit RawServer(Session session) : session_(std::move(session)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    socklen_t size = sizeof address;
    if (::bind(listener_, generic, size) != 0 || ::listen(listener_, 16) != 0) std::abort();
    ::getsockname(listener_, generic, &size);
    port_ = ntohs(address.sin_port);
    acceptor_ = std::thread([this] { accept(); });
  }
  ~RawServer() {
    stopping_ = true;
    ::shutdown(listener_, SHUT_RDWR);
    acceptor_.join();
    for (const int socket : sockets_) ::shutdown(socket, SHUT_RDWR);
    for (auto& session : sessions_) session.join();
    for (const int socket : sockets_) ::close(socket);
    ::close(listener_);
  }
  RawServer(const RawServer&) = delete;
  RawServer& operator=(const RawServer&) = delete;

  [[nodiscard]] int port() const { return port_; }
  [[nodiscard]] std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }

  /// One request, head and body; empty when the connection is over.
  static std::string readRequest(int socket) {
    std::string text;
    char piece[4096];
    for (;;) {
      const auto head = text.find("\r\n\r\n");
      if (head != std::string::npos) {
        const auto length = text.find("Content-Length: ");
        const std::size_t body =
            length < head ? std::stoul(text.substr(length + 16)) : std::size_t{0};
        if (text.size() >= head + 4 + body) return text;
      }
      const auto count = ::recv(socket, piece, sizeof piece, 0);
      if (count <= 0) return {};
      text.append(piece, static_cast<std::size_t>(count));
    }
  }
  /// False when the other side is gone.
  static bool say(int socket, std::string_view text) {
    while (!text.empty()) {
      const auto count = ::send(socket, text.data(), text.size(), MSG_NOSIGNAL);
      if (count <= 0) return false;
      text.remove_prefix(static_cast<std::size_t>(count));
    }
    return true;
  }
  static void sayChunk(int socket, const std::string& text) {
    char size[32];
    std::snprintf(size, sizeof size, "%zx\r\n", text.size());
    say(socket, size + text + "\r\n");
  }
  static void end(int socket) { ::shutdown(socket, SHUT_RDWR); }

 private:
  void accept() {
    while (!stopping_) {
      const int socket = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (socket < 0) return;
      sockets_.push_back(socket);
      sessions_.emplace_back([this, socket] { session_(*this, socket); });
    }
  }

  Session session_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<bool> stopping_{false};
  std::thread acceptor_;
  std::vector<int> sockets_;
  std::vector<std::thread> sessions_;
};

}  // namespace margay::api::test

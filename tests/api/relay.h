#pragma once

#include <poll.h>

#include <atomic>
#include <memory>

#include "tests/api/raw_server.h"

namespace margay::api::test {

/// Stands between a client and a server of loopback and can go deaf, as a firewall does that has
/// forgotten its connections: those that are open stay open and carry nothing any more. New ones
/// work.
class Relay {
 public:
  explicit Relay(int serverPort)
      : server_([this, serverPort](RawServer&, int client) { carry(client, serverPort); }) {}
  ~Relay() { stopping_ = true; }
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  void goDeaf() { ++generation_; }
  [[nodiscard]] std::string url() const { return server_.url(); }

 private:
  void carry(int client, int port) {
    const int mine = generation_;
    const int server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    const bool there =
        ::connect(server, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    pollfd ends[2] = {{client, POLLIN, 0}, {server, POLLIN, 0}};
    while (there && !stopping_) {
      if (::poll(ends, 2, 20) < 0) break;
      if (generation_ != mine) {
        if ((ends[0].revents & POLLHUP) != 0) break;
        ends[0].events = ends[1].events = 0;
        continue;
      }
      if (!pass(ends[0], server) || !pass(ends[1], client)) break;
    }
    ::shutdown(client, SHUT_RDWR);
    ::close(server);
  }

  static bool pass(const pollfd& from, int to) {
    if (from.revents == 0) return true;
    char piece[4096];
    const auto count = ::recv(from.fd, piece, sizeof piece, 0);
    return count > 0 && RawServer::say(to, {piece, static_cast<std::size_t>(count)});
  }

  std::atomic<int> generation_{0};
  std::atomic<bool> stopping_{false};
  RawServer server_;
};

}  // namespace margay::api::test

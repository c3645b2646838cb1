#pragma once

#include <poll.h>
#include <sched.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>

#include "tests/api/raw_server.h"

namespace margay::api::test {

/// Stands between a client and a server of loopback and can go deaf, as a firewall does that has
/// forgotten its connections: those that are open stay open and carry nothing any more. New ones
/// work.
class Relay {
 public:
  /// Listens in the network namespace of the calling thread. The server is there, too, or in the
  /// one that `serverNamespace` is open on.
  explicit Relay(int serverPort, int serverNamespace = -1)
      : serverNamespace_(serverNamespace),
        server_([this, serverPort](RawServer&, int client) { carry(client, serverPort); }) {}
  ~Relay() { stopping_ = true; }
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  void goDeaf() { ++generation_; }
  /// As a server that hangs: connections are open, new ones too, and nobody reads them or says
  /// anything until `thaw`.
  void freeze() { frozen_ = true; }
  void thaw() { frozen_ = false; }
  /// Both sides of the open connections are told that they are over. New ones work.
  void cut() { ++cuts_; }
  [[nodiscard]] std::string url() const { return server_.url(); }
  [[nodiscard]] int port() const { return server_.port(); }
  /// Bytes that the server has said through this relay.
  [[nodiscard]] std::uint64_t bytesFromServer() const { return fromServer_; }

 private:
  void carry(int client, int port) {
    const int mine = generation_;
    const int cutsBefore = cuts_;
    // Sockets belong to the namespace in which they are made; each connection is a thread.
    if (serverNamespace_ >= 0 && ::setns(serverNamespace_, CLONE_NEWNET) != 0) return;
    const int server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    const bool connected =
        ::connect(server, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    pollfd ends[2] = {{client, POLLIN, 0}, {server, POLLIN, 0}};
    while (connected && !stopping_ && cuts_ == cutsBefore) {
      const bool frozen = frozen_;
      for (auto& end : ends) end.events = frozen ? 0 : POLLIN;
      if (::poll(ends, 2, 20) < 0) break;
      if (frozen) continue;
      if (generation_ != mine) {
        if ((ends[0].revents & POLLHUP) != 0) break;
        ends[0].events = ends[1].events = 0;
        continue;
      }
      const auto there = pass(ends[0], server);
      const auto back = pass(ends[1], client);
      if (!there || !back) break;
      fromServer_ += *back;
    }
    ::shutdown(client, SHUT_RDWR);
    ::close(server);
  }

  /// How many bytes; none if either side is gone.
  static std::optional<std::size_t> pass(const pollfd& from, int to) {
    if (from.revents == 0) return 0;
    char piece[65536];
    const auto count = ::recv(from.fd, piece, sizeof piece, 0);
    if (count <= 0 || !RawServer::say(to, {piece, static_cast<std::size_t>(count)})) return {};
    return static_cast<std::size_t>(count);
  }

  std::atomic<int> generation_{0};
  std::atomic<int> cuts_{0};
  std::atomic<bool> frozen_{false};
  std::atomic<bool> stopping_{false};
  std::atomic<std::uint64_t> fromServer_{0};
  int serverNamespace_;
  RawServer server_;
};

}  // namespace margay::api::test

#include "tests/system/probe.h"

#include <arpa/inet.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

namespace margay::system_tests {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

bool waitFor(int fd, short events, steady_clock::time_point deadline) {
  for (;;) {
    const auto left =
        std::chrono::duration_cast<milliseconds>(deadline - steady_clock::now()).count();
    if (left <= 0) return false;
    pollfd entry{fd, events, 0};
    const int ready = poll(&entry, 1, static_cast<int>(left));
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return false;
  }
}

int connected(const From& from, const Address& to, std::uint16_t port,
              steady_clock::time_point deadline) {
  const int fd = socketIn(from, to.family(), SOCK_STREAM, 0);
  if (fd < 0) return -1;
  const auto peer = socketAddress(to, port);
  int error = connect(fd, peer.get(), peer.size) == 0 ? 0 : errno;
  if (error == EINPROGRESS) {
    error = ETIMEDOUT;
    socklen_t size = sizeof error;
    if (waitFor(fd, POLLOUT, deadline)) getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
  }
  if (error == 0) return fd;
  close(fd);
  return -1;
}

bool byteComesBack(int fd, steady_clock::time_point deadline) {
  char byte = 'm';
  if (send(fd, &byte, 1, MSG_NOSIGNAL) != 1) return false;
  return waitFor(fd, POLLIN, deadline) && recv(fd, &byte, 1, 0) == 1;
}

/// Sends `request` again and again until `answered` says yes to something received.
template <class Answered>
bool exchange(int fd, const SocketAddress& peer, std::span<const char> request,
              milliseconds patience, Answered answered) {
  const auto deadline = steady_clock::now() + patience;
  std::array<char, 2048> buffer{};
  while (steady_clock::now() < deadline) {
    static_cast<void>(sendto(fd, request.data(), request.size(), 0, peer.get(),
                             peer.size));  // a drop shows as no answer
    const auto next = std::min(deadline, steady_clock::now() + milliseconds(200));
    while (waitFor(fd, POLLIN, next)) {
      const auto got = recv(fd, buffer.data(), buffer.size(), 0);
      if (got > 0 && answered(std::span<const char>(buffer.data(), static_cast<std::size_t>(got))))
        return true;
      if (got < 0 && errno != EAGAIN && errno != ECONNREFUSED && errno != EINTR &&
          errno != EHOSTUNREACH)
        return false;
    }
  }
  return false;
}

std::uint16_t checksum(std::span<const char> data) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i + 1 < data.size(); i += 2) {
    std::uint16_t word = 0;
    std::memcpy(&word, data.data() + i, 2);
    sum += word;
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

std::string text(const sockaddr_storage& peer) {
  std::array<char, INET6_ADDRSTRLEN> out{};
  const auto& six = reinterpret_cast<const sockaddr_in6&>(peer);
  inet_ntop(AF_INET6, &six.sin6_addr, out.data(), out.size());
  const std::string mapped(out.data());
  return mapped.starts_with("::ffff:") ? mapped.substr(7) : mapped;
}

}  // namespace

EchoServer::EchoServer(const NetworkNamespace& where, std::uint16_t port)
    : stop_(eventfd(0, EFD_CLOEXEC)) {
  const From from{&where, *Address::parse("::"), port};
  tcp_ = socketIn(from, Family::V6, SOCK_STREAM, 0);
  udp_ = socketIn(from, Family::V6, SOCK_DGRAM, 0);
  if (tcp_ < 0 || udp_ < 0 || listen(tcp_, 1024) != 0)
    ADD_FAILURE() << "echo server on port " << port << ": " << std::strerror(errno);
  thread_ = std::thread([this] { run(); });
}

EchoServer::~EchoServer() {
  const std::uint64_t one = 1;
  EXPECT_EQ(write(stop_, &one, sizeof one), 8);
  thread_.join();
  for (const int fd : {tcp_, udp_, stop_}) close(fd);
}

std::string EchoServer::lastPeer() const {
  const std::lock_guard lock(mutex_);
  return lastPeer_;
}

std::uint64_t EchoServer::received() const {
  const std::lock_guard lock(mutex_);
  return received_;
}

void EchoServer::run() {
  std::vector<pollfd> entries = {{stop_, POLLIN, 0}, {tcp_, POLLIN, 0}, {udp_, POLLIN, 0}};
  std::array<char, 65536> buffer{};
  const auto note = [this](const sockaddr_storage& peer) {
    const std::lock_guard lock(mutex_);
    lastPeer_ = text(peer);
    ++received_;
  };
  while (poll(entries.data(), entries.size(), -1) >= 0 || errno == EINTR) {
    if (entries[0].revents != 0) break;
    if (entries[2].revents != 0) {
      sockaddr_storage peer{};
      socklen_t size = sizeof peer;
      const auto got = recvfrom(udp_, buffer.data(), buffer.size(), 0,
                                reinterpret_cast<sockaddr*>(&peer), &size);
      if (got >= 0) {
        note(peer);
        static_cast<void>(sendto(udp_, buffer.data(), static_cast<std::size_t>(got), 0,
                                 reinterpret_cast<sockaddr*>(&peer), size));
      }
    }
    for (std::size_t i = entries.size(); i-- > 3;) {
      if (entries[i].revents == 0) continue;
      const auto got = recv(entries[i].fd, buffer.data(), buffer.size(), 0);
      if (got > 0) {
        static_cast<void>(
            send(entries[i].fd, buffer.data(), static_cast<std::size_t>(got), MSG_NOSIGNAL));
      } else {
        close(entries[i].fd);
        entries.erase(entries.begin() + static_cast<std::ptrdiff_t>(i));
      }
    }
    if (entries[1].revents != 0) {
      sockaddr_storage peer{};
      socklen_t size = sizeof peer;
      const int fd = accept4(tcp_, reinterpret_cast<sockaddr*>(&peer), &size, SOCK_CLOEXEC);
      if (fd >= 0) {
        note(peer);
        entries.push_back({fd, POLLIN, 0});
      }
    }
  }
  for (std::size_t i = 3; i < entries.size(); ++i) close(entries[i].fd);
}

bool tcpReaches(const From& from, const Address& to, std::uint16_t port, milliseconds patience) {
  const auto deadline = steady_clock::now() + patience;
  const int fd = connected(from, to, port, deadline);
  if (fd < 0) return false;
  const bool answered = byteComesBack(fd, deadline);
  const linger reset{1, 0};  // no TIME_WAIT, so that probes may use one source port again
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  close(fd);
  return answered;
}

bool udpReaches(const From& from, const Address& to, std::uint16_t port, milliseconds patience) {
  const int fd = socketIn(from, to.family(), SOCK_DGRAM, 0);
  if (fd < 0) return false;
  const std::string_view request = "margay";
  const bool answered =
      exchange(fd, socketAddress(to, port), request, patience, [&](std::span<const char> got) {
        return std::string_view(got.data(), got.size()) == request;
      });
  close(fd);
  return answered;
}

bool pingReaches(const From& from, const Address& to, milliseconds patience) {
  const bool six = to.family() == Family::V6;
  const int fd =
      socketIn(from, to.family(), SOCK_RAW, six ? int{IPPROTO_ICMPV6} : int{IPPROTO_ICMP});
  if (fd < 0) return false;
  static std::atomic<std::uint16_t> identifiers = static_cast<std::uint16_t>(getpid());
  const auto identifier = htons(++identifiers);
  std::array<char, 16> request{};
  request[0] = static_cast<char>(six ? ICMP6_ECHO_REQUEST : ICMP_ECHO);
  std::memcpy(request.data() + 4, &identifier, 2);
  if (!six) {
    const auto sum = checksum(request);  // the kernel fills in ICMPv6's
    std::memcpy(request.data() + 2, &sum, 2);
  }
  const bool answered =
      exchange(fd, socketAddress(to, 0), request, patience, [&](std::span<const char> got) {
        const std::size_t header = six ? 0 : static_cast<std::size_t>(got[0] & 15) * 4;
        if (got.size() < header + 8) return false;
        std::uint16_t seen = 0;
        std::memcpy(&seen, got.data() + header + 4, 2);
        const auto type = static_cast<std::uint8_t>(got[header]);
        return type == (six ? int{ICMP6_ECHO_REPLY} : int{ICMP_ECHOREPLY}) && seen == identifier;
      });
  close(fd);
  return answered;
}

Flow::Flow(const From& from, const Address& to, std::uint16_t port)
    : fd_(connected(from, to, port, steady_clock::now() + kPatience)) {}
Flow::~Flow() {
  if (fd_ >= 0) close(fd_);
}
bool Flow::echoes(milliseconds patience) {
  return fd_ >= 0 && byteComesBack(fd_, steady_clock::now() + patience);
}

}  // namespace margay::system_tests

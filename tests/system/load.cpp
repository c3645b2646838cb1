#include "tests/system/load.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "tests/system/cluster.h"

namespace margay::system_tests {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::microseconds kInterval{1000};
constexpr int kMaxBehind = 50;
/// Source ports of new flows, in turn: one comes again after 45 s, when conntrack has forgotten it.
constexpr std::uint16_t kFirstPort = 15000;
constexpr std::uint16_t kLastPort = 60000;

/// One socket for all, or one for each datagram.
class Sender {
 public:
  Sender(const From& from, const Address& to, std::uint16_t port, LoadKind kind)
      : from_(from), peer_(socketAddress(to, port)), family_(to.family()), kind_(kind) {}
  ~Sender() {
    if (fd_ >= 0) close(fd_);
  }
  Sender(const Sender&) = delete;
  Sender& operator=(const Sender&) = delete;

  /// Fails the test and says no if the datagram does not leave this socket.
  bool send(std::uint32_t number) {
    if (kind_ == LoadKind::NewFlows && fd_ >= 0) {
      close(fd_);
      fd_ = -1;
    }
    if (fd_ < 0) fd_ = socketIn(from_, family_, SOCK_DGRAM, 0);
    if (kind_ == LoadKind::NewFlows)
      from_.port =
          from_.port >= kLastPort ? kFirstPort : static_cast<std::uint16_t>(from_.port + 1);
    // A datagram that a rule drops is sent all the same.
    if (sendto(fd_, &number, sizeof number, 0, peer_.get(), peer_.size) != sizeof number) {
      ADD_FAILURE() << "send of number " << number << ": " << std::strerror(errno);
      return false;
    }
    std::array<char, 16> answer{};
    while (recv(fd_, answer.data(), answer.size(), 0) > 0) {
    }
    return true;
  }

 private:
  From from_;
  SocketAddress peer_;
  Family family_;
  LoadKind kind_;
  int fd_ = -1;
};

}  // namespace

Counter::Counter(const NetworkNamespace& where, const Address& address, std::uint16_t port)
    : stop_(eventfd(0, EFD_CLOEXEC)), seen_(1U << 20) {
  socket_ = socketIn({&where, address, port}, address.family(), SOCK_DGRAM, 0);
  // A second one of this address and port fails, instead of taking the datagrams of this one.
  const int alone = 0;
  EXPECT_EQ(setsockopt(socket_, SOL_SOCKET, SO_REUSEADDR, &alone, sizeof alone), 0);
  const int room = 64 << 20;  // a receiver that is not scheduled for seconds must not lose any
  EXPECT_EQ(setsockopt(socket_, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room), 0);
  thread_ = std::thread([this] { run(); });
}

Counter::~Counter() {
  const std::uint64_t one = 1;
  EXPECT_EQ(write(stop_, &one, sizeof one), 8);
  thread_.join();
  for (const int fd : {socket_, stop_}) close(fd);
}

void Counter::run() {
  std::array<pollfd, 2> entries = {{{stop_, POLLIN, 0}, {socket_, POLLIN, 0}}};
  while (poll(entries.data(), entries.size(), -1) >= 0 || errno == EINTR) {
    if (entries[0].revents != 0) break;
    std::uint32_t number = 0;
    sockaddr_storage peer{};
    socklen_t size = sizeof peer;
    while (recvfrom(socket_, &number, sizeof number, 0, reinterpret_cast<sockaddr*>(&peer),
                    &size) == sizeof number) {
      note(number);
      static_cast<void>(sendto(socket_, &number, sizeof number, 0,
                               reinterpret_cast<const sockaddr*>(&peer), size));
      size = sizeof peer;
    }
  }
}

void Counter::note(std::uint32_t number) {
  const std::lock_guard lock(mutex_);
  if (number >= seen_.size() || seen_[number]) return;
  seen_[number] = true;
  ++arrived_;
}

std::vector<std::uint32_t> Counter::missing(std::uint32_t sent) const {
  static_cast<void>(eventually([&] { return arrived_ >= sent; }, std::chrono::seconds(1)));
  const std::lock_guard lock(mutex_);
  std::vector<std::uint32_t> out;
  for (std::uint32_t number = 0; number < sent && out.size() < 20; ++number)
    if (!seen_[number]) out.push_back(number);
  return out;
}

Load::Load(const From& from, const Address& to, std::uint16_t port, LoadKind kind)
    : thread_([this, from, to, port, kind] { run(from, to, port, kind); }) {}

std::uint32_t Load::stop() {
  stopping_ = true;
  if (thread_.joinable()) thread_.join();
  return sent_;
}

void Load::run(From from, Address to, std::uint16_t port, LoadKind kind) {
  const auto entered = from.where->enter();
  from.where = nullptr;  // entered once, not for each socket
  if (kind == LoadKind::NewFlows) from.port = kFirstPort;
  Sender sender(from, to, port, kind);
  auto due = steady_clock::now();
  while (!stopping_) {
    std::this_thread::sleep_until(due);
    if (!sender.send(sent_)) break;
    ++sent_;
    due = std::max(due + kInterval, steady_clock::now() - kMaxBehind * kInterval);
  }
}

}  // namespace margay::system_tests

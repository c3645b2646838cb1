#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <list>
#include <mutex>
#include <thread>

#include "api/server/http.h"
#include "api/server/http_wire.h"
#include "base/address.h"

namespace margay::api {
namespace {

constexpr std::size_t kMaxConnections = 32;
constexpr std::chrono::seconds kRequestTimeout{10};
constexpr std::chrono::seconds kResponseTimeout{30};

class Fd {
 public:
  explicit Fd(int fd = -1) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Fd() {
    if (fd_ >= 0) close(fd_);
  }
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

void serve(int fd, const HttpHandler& handler) {
  auto request = receiveRequest(fd, std::chrono::steady_clock::now() + kRequestTimeout);
  HttpResponse response;
  if (!request) {
    response = {400, "text/plain", request.error().what + "\n"};
  } else {
    try {
      response = handler(*request);
    } catch (const std::exception& error) {
      response = {500, "text/plain", std::string(error.what()) + "\n"};
    }
  }
  // A client that is gone needs no answer, so a failed send has no further effect.
  static_cast<void>(
      sendAll(fd, responseText(response), std::chrono::steady_clock::now() + kResponseTimeout));
}

class Server final : public HttpServer {
 public:
  Server(Fd listener, std::uint16_t port, std::string path, HttpHandler handler)
      : listener_(std::move(listener)),
        stop_(eventfd(0, EFD_CLOEXEC)),
        port_(port),
        path_(std::move(path)),
        handler_(std::move(handler)) {
    acceptor_ = std::jthread([this] { acceptLoop(); });
  }
  ~Server() override {
    const std::uint64_t one = 1;
    if (write(stop_.get(), &one, sizeof one) < 0) std::abort();  // an eventfd of ours takes a 1
    acceptor_.join();
    {
      const std::lock_guard lock(mutex_);
      for (auto& connection : connections_) shutdown(connection.fd.get(), SHUT_RDWR);
    }
    for (auto& connection : connections_) connection.thread.join();
    if (!path_.empty()) unlink(path_.c_str());
  }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  [[nodiscard]] std::uint16_t port() const override { return port_; }

 private:
  struct Connection {
    Fd fd;
    std::jthread thread;
    std::atomic<bool> done = false;
  };

  void acceptLoop() {
    for (;;) {
      reap();
      const bool full = connections_.size() >= kMaxConnections;
      pollfd entries[] = {{stop_.get(), POLLIN, 0}, {full ? -1 : listener_.get(), POLLIN, 0}};
      if (poll(entries, 2, full ? 50 : -1) < 0 && errno != EINTR) return;
      if ((entries[0].revents & POLLIN) != 0) return;
      if (full || (entries[1].revents & POLLIN) == 0) continue;
      Fd accepted(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (accepted.get() < 0) continue;
      const std::lock_guard lock(mutex_);
      auto& connection = connections_.emplace_back();
      connection.fd = std::move(accepted);
      connection.thread = std::jthread([this, &connection] {
        serve(connection.fd.get(), handler_);
        shutdown(connection.fd.get(), SHUT_RDWR);
        connection.done = true;
      });
    }
  }

  void reap() {
    const std::lock_guard lock(mutex_);
    connections_.remove_if([](Connection& connection) { return connection.done.load(); });
  }

  Fd listener_;
  Fd stop_;
  std::uint16_t port_;
  std::string path_;
  HttpHandler handler_;
  std::mutex mutex_;
  std::list<Connection> connections_;
  std::jthread acceptor_;
};

Result<sockaddr_un> unixAddress(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    return fail(Errc::Invalid,
                "socket path " + path +
                    " is longer than 107 bytes: set MARGAY_RUN_DIR to a shorter directory");
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

Result<Fd> connectUnix(const std::string& path) {
  auto address = unixAddress(path);
  if (!address) return Fail(address.error());
  Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (fd.get() < 0) return Fail(systemError(errno, "socket"));
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) != 0)
    return Fail(systemError(errno, "connect " + path));
  return fd;
}

/// Of both families, or of IPv4 where the kernel has no other.
const char* everyAddress() {
  const Fd six(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return six.get() >= 0 ? "::" : "0.0.0.0";
}

}  // namespace

Result<std::unique_ptr<HttpServer>> HttpServer::onUnix(const std::string& path,
                                                       HttpHandler handler) {
  if (connectUnix(path))
    return fail(Errc::Invalid,
                "another margay-node answers on " + path + ": stop it, or set MARGAY_RUN_DIR");
  unlink(path.c_str());
  auto address = unixAddress(path);
  if (!address) return Fail(address.error());
  Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const auto oldMask = umask(0177);
  const bool bound =
      bind(fd.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) == 0;
  const int bindErrno = errno;
  umask(oldMask);
  if (!bound) return Fail(systemError(bindErrno, "bind " + path));
  if (listen(fd.get(), 64) != 0) return Fail(systemError(errno, "listen " + path));
  return std::make_unique<Server>(std::move(fd), std::uint16_t{0}, path, std::move(handler));
}

Result<std::unique_ptr<HttpServer>> HttpServer::onTcp(const std::string& host, std::uint16_t port,
                                                      HttpHandler handler) {
  const auto address = Address::parse(host.empty()          ? everyAddress()
                                      : host == "localhost" ? "127.0.0.1"
                                                            : host);
  if (!address) return fail(Errc::Invalid, "'" + host + "' is not an address");
  const auto where = host + ':' + std::to_string(port);
  sockaddr_in6 six{};
  sockaddr_in four{};
  six.sin6_family = AF_INET6;
  six.sin6_port = htons(port);
  four.sin_family = AF_INET;
  four.sin_port = htons(port);
  const bool isSix = address->family() == Family::V6;
  std::memcpy(isSix ? static_cast<void*>(&six.sin6_addr) : &four.sin_addr, address->bytes().data(),
              address->bytes().size());
  Fd fd(socket(isSix ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int one = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  const auto* where4 = reinterpret_cast<const sockaddr*>(&four);
  const auto* where6 = reinterpret_cast<const sockaddr*>(&six);
  if (bind(fd.get(), isSix ? where6 : where4, isSix ? sizeof six : sizeof four) != 0)
    return Fail(systemError(errno, "bind " + where));
  if (listen(fd.get(), 64) != 0) return Fail(systemError(errno, "listen " + where));
  sockaddr_in6 local{};
  socklen_t size = sizeof local;
  getsockname(fd.get(), reinterpret_cast<sockaddr*>(&local), &size);
  return std::make_unique<Server>(std::move(fd), ntohs(local.sin6_port), std::string(),
                                  std::move(handler));
}

Result<HttpResponse> unixRequest(const std::string& socketPath, const HttpRequest& request,
                                 std::chrono::milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  auto fd = connectUnix(socketPath);
  if (!fd) return Fail(fd.error());
  if (auto sent = sendAll(fd->get(), requestText(request), deadline); !sent)
    return Fail(sent.error());
  return receiveResponse(fd->get(), deadline);
}

}  // namespace margay::api

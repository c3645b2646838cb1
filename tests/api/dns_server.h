#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace margay::api::test {

inline void put16(std::string& to, int number) {
  to += static_cast<char>(number >> 8);
  to += static_cast<char>(number & 255);
}

inline std::string dnsName(const std::string& name) {
  std::string out;
  for (std::size_t at = 0; at < name.size();) {
    const auto end = std::min(name.find('.', at), name.size());
    out += static_cast<char>(end - at) + name.substr(at, end - at);
    at = end + 1;
  }
  return out + '\0';
}

struct DnsRecord {
  int priority;
  int weight;
  int port;
  std::string target;
};

/// A DNS server that knows SRV records, in the network namespace of the thread that makes it: at
/// `address`, without one at a port of loopback.
class DnsServer {
 public:
  explicit DnsServer(std::map<std::string, std::vector<DnsRecord>> records,
                     const std::optional<sockaddr_in>& address = {})
      : records_(std::move(records)), fd_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    address_.sin_family = AF_INET;
    address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (address) address_ = *address;
    socklen_t size = sizeof address_;
    auto* generic = reinterpret_cast<sockaddr*>(&address_);
    if (::bind(fd_, generic, size) != 0) std::abort();
    ::getsockname(fd_, generic, &size);
    thread_ = std::thread([this] { run(); });
  }
  ~DnsServer() {
    stopping_ = true;
    thread_.join();
    ::close(fd_);
  }
  DnsServer(const DnsServer&) = delete;
  DnsServer& operator=(const DnsServer&) = delete;
  [[nodiscard]] const sockaddr_in& address() const { return address_; }
  /// Whether it answers from now on.
  void answer(bool answers) { answers_ = answers; }

 private:
  void run() {
    while (!stopping_) {
      pollfd entry{fd_, POLLIN, 0};
      if (::poll(&entry, 1, 20) <= 0) continue;
      char query[512];
      sockaddr_in from{};
      socklen_t size = sizeof from;
      const auto count =
          ::recvfrom(fd_, query, sizeof query, 0, reinterpret_cast<sockaddr*>(&from), &size);
      if (count < 12 || !answers_) continue;
      const auto answer = answerTo({query, static_cast<std::size_t>(count)});
      ::sendto(fd_, answer.data(), answer.size(), 0, reinterpret_cast<sockaddr*>(&from), size);
    }
  }

  [[nodiscard]] std::string answerTo(const std::string& query) const {
    const auto question = query.substr(12, query.find('\0', 12) - 12 + 5);
    const std::vector<DnsRecord>* known = nullptr;
    for (const auto& [name, records] : records_) {
      if (question.substr(0, question.size() - 4) == dnsName(name)) known = &records;
    }
    std::string out = query.substr(0, 2);
    put16(out, known == nullptr ? 0x8183 : 0x8180);  // there is no such name, or no error
    for (const int count : {1, known == nullptr ? 0 : static_cast<int>(known->size()), 0, 0})
      put16(out, count);
    out += question;
    if (known == nullptr) return out;
    for (const auto& record : *known) {
      out += "\xc0\x0c";  // the name of the question
      for (const int number : {33, 1, 0, 60}) put16(out, number);
      const auto target = dnsName(record.target);
      for (const int number :
           {6 + static_cast<int>(target.size()), record.priority, record.weight, record.port})
        put16(out, number);
      out += target;
    }
    return out;
  }

  const std::map<std::string, std::vector<DnsRecord>> records_;
  const int fd_;
  sockaddr_in address_{};
  std::atomic<bool> stopping_{false};
  std::atomic<bool> answers_{true};
  std::thread thread_;
};

}  // namespace margay::api::test

#include "api/etcd/etcd_discovery.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <map>
#include <thread>

#include "api/etcd/etcd_options.h"

namespace margay::api {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

void put16(std::string& to, int number) {
  to += static_cast<char>(number >> 8);
  to += static_cast<char>(number & 255);
}

std::string dnsName(const std::string& name) {
  std::string out;
  for (std::size_t at = 0; at < name.size();) {
    const auto end = std::min(name.find('.', at), name.size());
    out += static_cast<char>(end - at) + name.substr(at, end - at);
    at = end + 1;
  }
  return out + '\0';
}

struct Record {
  int priority;
  int weight;
  int port;
  std::string target;
};

/// A DNS server of loopback that knows SRV records.
class DnsServer {
 public:
  explicit DnsServer(std::map<std::string, std::vector<Record>> records)
      : records_(std::move(records)), fd_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    address_.sin_family = AF_INET;
    address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
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
      if (count < 12) continue;
      const auto answer = answerTo({query, static_cast<std::size_t>(count)});
      ::sendto(fd_, answer.data(), answer.size(), 0, reinterpret_cast<sockaddr*>(&from), size);
    }
  }

  [[nodiscard]] std::string answerTo(const std::string& query) const {
    const auto question = query.substr(12, query.find('\0', 12) - 12 + 5);
    const std::vector<Record>* known = nullptr;
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

  const std::map<std::string, std::vector<Record>> records_;
  const int fd_;
  sockaddr_in address_{};
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

TEST(EtcdDiscovery, FindsMembersByTheirRecords) {
  const DnsServer dns({{"_etcd-client._tcp.example.org",
                        {{20, 1, 2379, "c.example.org"},
                         {10, 1, 2379, "b.example.org"},
                         {10, 9, 12379, "a.example.org"}}}});
  const auto found = discoverEtcd("example.org", dns.address());
  ASSERT_TRUE(found) << found.error().what;
  EXPECT_THAT(*found, ElementsAre("http://a.example.org:12379", "http://b.example.org:2379",
                                  "http://c.example.org:2379"));
}

TEST(EtcdDiscovery, PrefersTls) {
  const DnsServer dns({{"_etcd-client._tcp.example.org", {{1, 1, 2379, "a.example.org"}}},
                       {"_etcd-client-ssl._tcp.example.org", {{1, 1, 2379, "a.example.org"}}}});
  EXPECT_THAT(*discoverEtcd("example.org", dns.address()),
              ElementsAre("https://a.example.org:2379", "http://a.example.org:2379"));
}

TEST(EtcdDiscovery, SaysThatThereIsNone) {
  const DnsServer dns({});
  const auto found = discoverEtcd("example.org", dns.address());
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, Errc::NotFound);
  EXPECT_THAT(found.error().what, HasSubstr("_etcd-client._tcp.example.org"));
}

TEST(EtcdOptions, EndpointsAreGivenOrFound) {
  EXPECT_THAT(etcdOptions({{"ETCD_DISCOVERY_SRV", "example.org"},
                           {"ETCD_ENDPOINTS", "http://127.0.0.1:2379"}})
                  .error()
                  .what,
              HasSubstr("ETCD_DISCOVERY_SRV"));
}

}  // namespace
}  // namespace margay::api

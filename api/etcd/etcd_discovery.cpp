#include "api/etcd/etcd_discovery.h"

#include <arpa/nameser.h>
#include <netdb.h>
#include <resolv.h>

#include <algorithm>
#include <array>
#include <cstdint>

namespace margay::api {
namespace {

struct SrvRecord {
  std::uint16_t priority = 0;
  std::uint16_t weight = 0;
  std::uint16_t port = 0;
  std::string target;
};

constexpr int kTries = 2;

/// One query at a time.
class Resolver {
 public:
  explicit Resolver(const std::optional<sockaddr_in>& server) {
    ready_ = ::res_ninit(&state_) == 0;
    // A second for each server, so that who asks can be told to stop in between.
    state_.retrans = 1;
    state_.retry = 1;
    if (!server) return;
    state_.nscount = 1;
    state_.nsaddr_list[0] = *server;
  }
  ~Resolver() {
    if (ready_) ::res_nclose(&state_);
  }
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  /// Empty if the name has none.
  Result<std::vector<SrvRecord>> services(const std::string& name, const std::stop_token& stop) {
    std::array<unsigned char, 8192> answer{};
    for (int tried = 0; tried < kTries; ++tried) {
      if (stop.stop_requested()) return fail(Errc::Interrupted, "asked to stop");
      const int size = ::res_nquery(&state_, name.c_str(), ns_c_in, ns_t_srv, answer.data(),
                                    static_cast<int>(answer.size()));
      if (size >= 0) return recordsOf(answer.data(), size);
      if (state_.res_h_errno == HOST_NOT_FOUND || state_.res_h_errno == NO_DATA)
        return std::vector<SrvRecord>();
    }
    return fail(Errc::Transient, "DNS does not answer for " + name);
  }

 private:
  static Result<std::vector<SrvRecord>> recordsOf(const unsigned char* answer, int size) {
    std::vector<SrvRecord> out;
    ns_msg message;
    if (::ns_initparse(answer, size, &message) != 0)
      return fail(Errc::Transient, "the answer of DNS cannot be read");
    for (int i = 0; i < ns_msg_count(message, ns_s_an); ++i) {
      ns_rr record;
      if (::ns_parserr(&message, ns_s_an, i, &record) != 0) continue;
      const auto* data = ns_rr_rdata(record);
      if (ns_rr_type(record) != ns_t_srv || ns_rr_rdlen(record) < 7) continue;
      std::array<char, NS_MAXDNAME> target{};
      if (::ns_name_uncompress(ns_msg_base(message), ns_msg_end(message), data + 6, target.data(),
                               target.size()) < 0)
        continue;
      const auto number = [&](int at) { return static_cast<std::uint16_t>(ns_get16(data + at)); };
      out.push_back({number(0), number(2), number(4), target.data()});
    }
    return out;
  }

  struct __res_state state_ {};
  bool ready_ = false;
};

}  // namespace

Result<std::vector<std::string>> discoverEtcd(const std::string& domain,
                                              const std::stop_token& stop,
                                              const std::optional<sockaddr_in>& server) {
  static constexpr const char* kServices[][2] = {{"_etcd-client-ssl._tcp.", "https://"},
                                                 {"_etcd-client._tcp.", "http://"}};
  Resolver resolver(server);
  std::vector<std::string> out;
  for (const auto& [service, scheme] : kServices) {
    auto records = resolver.services(service + domain, stop);
    if (!records) return Fail(records.error());
    std::stable_sort(records->begin(), records->end(), [](const auto& a, const auto& b) {
      return a.priority != b.priority ? a.priority < b.priority : a.weight > b.weight;
    });
    for (const auto& record : *records)
      out.push_back(scheme + record.target + ":" + std::to_string(record.port));
  }
  if (out.empty())
    return fail(Errc::NotFound, "DNS has no SRV records _etcd-client._tcp." + domain +
                                    " or _etcd-client-ssl._tcp." + domain);
  return out;
}

}  // namespace margay::api

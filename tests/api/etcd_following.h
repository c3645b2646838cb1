#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "api/etcd/etcd_source.h"
#include "api/etcd/stored_object.h"
#include "tests/api/etcd_server.h"
#include "tests/api/mail_reader.h"

/// A source on real etcd servers and what it posts.
namespace margay::api::test {

#define NEEDS_ETCD(server) \
  if (!(server)) GTEST_SKIP() << "/usr/bin/etcd is not there (Debian's etcd-server)"

inline std::unique_ptr<EtcdClient> clientOf(const EtcdOptions& options) {
  return std::make_unique<EtcdClient>(options);
}

inline std::vector<std::string> urlsOf(const EtcdServer::Members& members) {
  std::vector<std::string> out;
  for (const auto& member : members) out.push_back(member->url());
  return out;
}

inline EtcdWrite profile(const std::string& name) {
  return {.key = storedKeyOf(*storedKindNamed("Profile"), "", name),
          .value = R"({"kind":"Profile","apiVersion":"projectcalico.org/v3","metadata":{"name":")" +
                   name + R"(","uid":"4a0b"},"spec":{"ingress":[{"action":"Allow"}]}})"};
}
inline EtcdWrite without(const std::string& name) {
  return {.key = profile(name).key, .value = std::nullopt};
}

/// Notices trouble in a fraction of the time that the defaults take.
inline EtcdSourceOptions quickSource() {
  EtcdSourceOptions out;
  out.idleCheck = std::chrono::milliseconds(300);
  out.lastRetry = std::chrono::milliseconds(500);
  return out;
}

/// A source on some endpoints, and a client for the test's own writes.
struct Following {
  explicit Following(const EtcdOptions& options, EtcdSourceOptions times = quickSource())
      : writer(clientOf(options)), source(clientOf(options), mailbox, times) {}
  ~Following() { source.stop(); }
  Following(const Following&) = delete;
  Following& operator=(const Following&) = delete;

  void write(const EtcdWrite& what) {
    // An endpoint may be gone, and a leader be being chosen.
    Result<std::int64_t> written = fail(Errc::Transient, "not tried");
    for (int i = 0; i < 20 && !written; ++i) written = writer->write({}, {what});
    EXPECT_TRUE(written) << written.error().what;
  }

  Mailbox mailbox;
  MailReader reader{mailbox};
  std::unique_ptr<EtcdClient> writer;
  EtcdSource source;
};

}  // namespace margay::api::test

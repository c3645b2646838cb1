#include "base/trouble.h"

#include <gtest/gtest.h>

namespace margay {
namespace {

TEST(Trouble, IsNewsOnceUntilItIsOver) {
  Trouble trouble;
  EXPECT_TRUE(trouble.isNews("no leader"));
  EXPECT_TRUE(trouble.isNews("connection refused"));
  EXPECT_FALSE(trouble.isNews("no leader")) << "also after another one";
  trouble.over();
  EXPECT_TRUE(trouble.isNews("no leader"));
}

TEST(Trouble, IsTheSameAtEveryServer) {
  Trouble trouble;
  EXPECT_TRUE(trouble.isNews("etcd: https://10.0.0.1:2379: the CA a.pem"));
  EXPECT_FALSE(trouble.isNews("etcd: https://10.0.0.2:2379: the CA a.pem"));
  EXPECT_TRUE(trouble.isNews("etcd: https://10.0.0.2:2379: the CA b.pem"));
  EXPECT_TRUE(trouble.isNews("http://10.0.0.1:1"));
  EXPECT_FALSE(trouble.isNews("http://10.0.0.1:2"));
}

}  // namespace
}  // namespace margay

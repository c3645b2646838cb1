#include "base/hash.h"

#include <gtest/gtest.h>

namespace margay {
namespace {

TEST(Hash, NamesVethsAsCalicoDoes) {
  EXPECT_EQ("cali" + sha1Hex("default.web-0").substr(0, 11), "cali0d7763386da");
}

TEST(Hash, EncodesBase64UrlWithoutPadding) {
  EXPECT_EQ(base64Url(""), "");
  EXPECT_EQ(base64Url("f"), "Zg");
  EXPECT_EQ(base64Url("foobar"), "Zm9vYmFy");
  EXPECT_EQ(base64Url("\xfb\xff"), "-_8");
}

TEST(Hash, CutsTheContentHash) {
  EXPECT_EQ(contentHash("", 8), "e3b0c442");
}

}  // namespace
}  // namespace margay

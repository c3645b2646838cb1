#include "base/trouble.h"

#include <algorithm>

namespace margay {
namespace {

/// Servers may give every answer a text of its own.
constexpr std::size_t kRemembered = 64;

std::string withoutUrls(std::string text) {
  for (const char* scheme : {"http://", "https://"}) {
    for (auto at = text.find(scheme); at != std::string::npos; at = text.find(scheme, at))
      text.erase(at, std::min(text.find(' ', at), text.size()) - at);
  }
  return text;
}

}  // namespace

bool Trouble::isNews(const std::string& problem) {
  if (told_.size() >= kRemembered) told_.clear();
  return told_.insert(withoutUrls(problem)).second;
}

}  // namespace margay

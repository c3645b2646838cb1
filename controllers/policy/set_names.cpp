#include <algorithm>
#include <array>
#include <cctype>
#include <string>
#include <string_view>

#include "base/hash.h"
#include "controllers/policy/model.h"

namespace margay::controllers {
namespace {

constexpr std::size_t kMaxName = 31;
constexpr std::size_t kHashDigits = 12;

/// Words that most selectors have and that tell an operator nothing.
constexpr std::array<std::string_view, 14> kNoise = {
    "projectcalico",  "org",  "namespace", "orchestrator", "k8s", "kubernetes", "io",
    "serviceaccount", "name", "pcns",      "pcsa",         "in",  "has",        "app"};

char kindLetter(SetKind kind) {
  switch (kind) {
    case SetKind::Selector:
      return 's';
    case SetKind::NamedPort:
      return 'p';
    case SetKind::Service:
      return 'v';
    case SetKind::ServiceNoPort:
      return 'a';
  }
  return 's';
}

/// Words of the text in lower case, joined with '-', cut to `limit`.
std::string slug(std::string_view text, std::size_t limit) {
  std::string out;
  std::string word;
  const auto finish = [&] {
    const bool noise = std::find(kNoise.begin(), kNoise.end(), word) != kNoise.end();
    if (!word.empty() && !noise) out += out.empty() ? word : '-' + word;
    word.clear();
  };
  for (const char c : text) {
    if (out.size() > limit) break;
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0) {
      word += static_cast<char>(std::tolower(byte));
    } else {
      finish();
    }
  }
  finish();
  out.resize(std::min(out.size(), limit));
  while (!out.empty() && out.back() == '-') out.pop_back();
  return out;
}

std::string readable(const SetId& id) {
  switch (id.kind) {
    case SetKind::Selector:
      return id.selector;
    case SetKind::NamedPort:
      return id.portName + ' ' + id.selector;
    case SetKind::Service:
    case SetKind::ServiceNoPort:
      return id.service.name + ' ' + id.service.ns;
  }
  return {};
}

/// Every member of the id with its length, so that no two ids have the same text.
std::string identity(const SetId& id) {
  std::string out(1, kindLetter(id.kind));
  out += std::to_string(id.protocol);
  for (const std::string* text : {&id.selector, &id.portName, &id.service.ns, &id.service.name}) {
    out += ',' + std::to_string(text->size()) + ':' + *text;
  }
  return out;
}

}  // namespace

dataplane::SetName setName(const SetId& id, Family family) {
  std::string out(dataplane::kSetPrefix);
  out += family == Family::V4 ? "4-" : "6-";
  out += kindLetter(id.kind);
  out += '-';
  const std::string words = slug(readable(id), kMaxName - out.size() - 1 - kHashDigits);
  if (!words.empty()) out += words + '-';
  return out + contentHash(identity(id), kHashDigits);
}

dataplane::SetType setType(SetKind kind) {
  return kind == SetKind::Selector || kind == SetKind::ServiceNoPort
             ? dataplane::SetType::HashNet
             : dataplane::SetType::HashIpPort;
}

}  // namespace margay::controllers

#include "base/hash.h"
#include "controllers/policy/model.h"

namespace margay::controllers {
namespace {

constexpr std::size_t kSetNameBytes = 31;
constexpr std::size_t kHashDigits = 12;

/// The words of `text` that a reader knows it by, joined with '-', at most `bytes`.
std::string slugOf(const std::string& text, std::size_t bytes) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (plain) out += c;
    else if (!out.empty() && out.back() != '-') out += '-';
    if (out.size() == bytes) break;
  }
  while (!out.empty() && out.back() == '-') out.pop_back();
  return out;
}

}  // namespace

dataplane::SetName setName(const SetId& id, Family family) {
  std::string kind;
  std::string readable;
  switch (id.kind) {
    case SetKind::Selector: kind = "s", readable = id.selector; break;
    case SetKind::NamedPort: kind = "p", readable = id.portName + '-' + id.selector; break;
    case SetKind::Service: kind = "v", readable = id.service.name + '-' + id.service.ns; break;
    case SetKind::ServiceNoPort: kind = "w", readable = id.service.name + '-' + id.service.ns; break;
  }
  std::string content = kind;
  for (const std::string& part : {id.selector, std::to_string(id.protocol), id.portName, id.service.ns, id.service.name}) {
    content.append(std::to_string(part.size())).append(":").append(part);
  }
  const std::string head = (family == Family::V4 ? "mgy4-" : "mgy6-") + kind + '-';
  const std::string slug = slugOf(readable, kSetNameBytes - head.size() - kHashDigits - 1);
  return head + slug + (slug.empty() ? "" : "-") + contentHash(content, kHashDigits);
}

dataplane::SetType setType(SetKind kind) {
  return kind == SetKind::NamedPort || kind == SetKind::Service ? dataplane::SetType::HashIpPort
                                                                : dataplane::SetType::HashNet;
}

}  // namespace margay::controllers

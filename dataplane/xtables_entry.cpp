#include "dataplane/xtables_entry.h"

#include <netinet/in.h>

#include <linux/netfilter/xt_comment.h>
#include <linux/netfilter_ipv4/ip_tables.h>
#include <linux/netfilter_ipv6/ip6_tables.h>

#include <algorithm>

namespace margay::dataplane::xtables {
namespace {

constexpr std::size_t kHeaderSize = aligned(sizeof(xt_entry_match));
static_assert(kHeaderSize == aligned(sizeof(xt_entry_target)));

template <class T>
T load(std::span<const std::byte> bytes, std::size_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

std::size_t entrySize(Family family) {
  return family == Family::V4 ? sizeof(ipt_entry) : sizeof(ip6t_entry);
}

/// The first `length` bits of the bytes at `mask`.
void writeMask(void* mask, std::uint8_t length) {
  auto* bytes = static_cast<std::uint8_t*>(mask);
  std::memset(bytes, 0xff, length / 8);
  if (length % 8 != 0) bytes[length / 8] = static_cast<std::uint8_t>(0xff00 >> (length % 8));
}

void writeNet(const NetMatch& match, void* address, void* mask) {
  const auto masked = match.net.masked();
  const auto bytes = masked.address.bytes();
  std::memcpy(address, bytes.data(), bytes.size());
  writeMask(mask, masked.length);
}

/// The kernel compares the bytes under the mask: with the final zero for a whole name.
void writeInterface(const InterfaceMatch& match, char* name, unsigned char* mask) {
  std::copy(match.name.begin(), match.name.end(), name);
  std::memset(mask, 0xff, match.name.size() + (match.how == NameMatch::Exact ? 1 : 0));
}

/// ipt_ip and ip6t_ip6 name these parts alike, and give IPT_INV_* and IP6T_INV_* the same values.
template <class Ip>
void writeHead(const EntryHead& head, Ip& ip) {
  std::uint8_t inverted = 0;
  if (head.source) {
    writeNet(*head.source, &ip.src, &ip.smsk);
    if (head.source->sense == Sense::IsNot) inverted |= IPT_INV_SRCIP;
  }
  if (head.destination) {
    writeNet(*head.destination, &ip.dst, &ip.dmsk);
    if (head.destination->sense == Sense::IsNot) inverted |= IPT_INV_DSTIP;
  }
  if (head.in) {
    writeInterface(*head.in, ip.iniface, ip.iniface_mask);
    if (head.in->sense == Sense::IsNot) inverted |= IPT_INV_VIA_IN;
  }
  if (head.out) {
    writeInterface(*head.out, ip.outiface, ip.outiface_mask);
    if (head.out->sense == Sense::IsNot) inverted |= IPT_INV_VIA_OUT;
  }
  if (head.protocol) {
    ip.proto = head.protocol->number;
    if (head.protocol->sense == Sense::IsNot) inverted |= XT_INV_PROTO;
  }
  ip.invflags = inverted;
}

template <class Entry>
EntryBytes assemble(Entry entry, const EntryBytes& body, std::size_t targetOffset) {
  entry.target_offset = static_cast<__u16>(sizeof entry + targetOffset);
  entry.next_offset = static_cast<__u16>(sizeof entry + body.size());
  EntryBytes out(sizeof entry + body.size());
  std::memcpy(out.data(), &entry, sizeof entry);
  std::copy(body.begin(), body.end(), out.begin() + sizeof entry);
  return out;
}

}  // namespace

void EntryBuilder::append(std::string_view name, std::uint8_t revision, const void* info,
                          std::size_t size) {
  const auto start = body_.size();
  const auto total = kHeaderSize + aligned(size);
  body_.resize(start + total);
  xt_entry_match header{};
  header.u.user.match_size = static_cast<__u16>(total);
  std::copy(name.begin(), name.end(), header.u.user.name);
  header.u.user.revision = revision;
  std::memcpy(body_.data() + start, &header, sizeof header);
  std::memcpy(body_.data() + start + kHeaderSize, info, size);
}

void EntryBuilder::setStandardTarget(std::string_view name) {
  const int verdict = 0;
  setTarget(name, 0, verdict);
}

EntryBytes EntryBuilder::build(const EntryHead& head, Family family) const {
  if (family == Family::V4) {
    ipt_entry entry{};
    writeHead(head, entry.ip);
    if (head.goTo) entry.ip.flags |= IPT_F_GOTO;
    return assemble(entry, body_, targetOffset_);
  }
  ip6t_entry entry{};
  writeHead(head, entry.ipv6);
  if (head.protocol) entry.ipv6.flags |= IP6T_F_PROTO;
  if (head.goTo) entry.ipv6.flags |= IP6T_F_GOTO;
  return assemble(entry, body_, targetOffset_);
}

EntryView::EntryView(std::span<const std::byte> bytes, Family family)
    : bytes_(bytes), family_(family) {
  const auto offset = family == Family::V4 ? offsetof(ipt_entry, target_offset)
                                           : offsetof(ip6t_entry, target_offset);
  targetOffset_ = load<__u16>(bytes_, offset);
}

EntryView EntryView::at(const void* entry, Family family) {
  const auto* bytes = static_cast<const std::byte*>(entry);
  const auto offset =
      family == Family::V4 ? offsetof(ipt_entry, next_offset) : offsetof(ip6t_entry, next_offset);
  const auto size = load<__u16>({bytes, entrySize(family)}, offset);
  return {{bytes, size}, family};
}

std::span<const std::byte> EntryView::head() const {
  return bytes_.first(family_ == Family::V4 ? sizeof(ipt_ip) : sizeof(ip6t_ip6));
}

bool EntryView::isGoTo() const {
  if (family_ == Family::V4) return (load<__u8>(bytes_, offsetof(ipt_ip, flags)) & IPT_F_GOTO) != 0;
  return (load<__u8>(bytes_, offsetof(ip6t_ip6, flags)) & IP6T_F_GOTO) != 0;
}

std::size_t EntryView::matchesBegin() const {
  return entrySize(family_);
}

std::size_t EntryView::extensionSize(std::size_t offset) const {
  if (offset + kHeaderSize > bytes_.size()) return 0;
  const std::size_t size = load<__u16>(bytes_, offset);
  return size < kHeaderSize || offset + size > bytes_.size() ? 0 : size;
}

ExtensionView EntryView::extension(std::size_t offset, std::size_t size) const {
  using Header = decltype(xt_entry_match{}.u.user);
  const auto* name = reinterpret_cast<const char*>(bytes_.data() + offset + offsetof(Header, name));
  return {{name, strnlen(name, XT_EXTENSION_MAXNAMELEN)},
          load<__u8>(bytes_, offset + offsetof(Header, revision)),
          bytes_.subspan(offset + kHeaderSize, size - kHeaderSize)};
}

ExtensionView EntryView::target() const {
  const auto size = extensionSize(targetOffset_);
  return size == 0 ? ExtensionView{} : extension(targetOffset_, size);
}

std::string_view EntryView::comment() const {
  std::string_view found;
  forEachMatch([&](const ExtensionView& match) {
    if (match.name != "comment" || !found.empty()) return;
    const auto* text = reinterpret_cast<const char*>(match.data.data());
    found = {text, strnlen(text, std::min<std::size_t>(match.data.size(), XT_MAX_COMMENT_LEN))};
  });
  return found;
}

}  // namespace margay::dataplane::xtables

#include "dataplane/xtables_session.h"

#include <libiptc/libiptc.h>

#include <linux/netfilter_ipv6/ip6_tables.h>

#include <cerrno>
#include <climits>
#include <cstring>

// Unlike libiptc.h it does not say so itself. Its own includes come before.
extern "C" {
#include <libiptc/libip6tc.h>
}

namespace margay::dataplane::xtables {

struct LibraryCalls {
  xtc_handle* (*init)(const char*);
  void (*free)(xtc_handle*);
  const char* (*error)(int);
  const char* (*policy)(const char*, xtc_handle*);
  const char* (*firstChain)(xtc_handle*);
  const char* (*nextChain)(xtc_handle*);
  const void* (*firstRule)(const char*, xtc_handle*);
  const void* (*nextRule)(const void*, xtc_handle*);
  const char* (*target)(const void*, xtc_handle*);
};

namespace {

using Entry4 = const ipt_entry*;
using Entry6 = const ip6t_entry*;

// clang-format off
constexpr LibraryCalls kCalls4{
    iptc_init, iptc_free, iptc_strerror,
    [](const char* c, xtc_handle* h) { ipt_counters none{}; return iptc_get_policy(c, &none, h); },
    iptc_first_chain, iptc_next_chain,
    [](const char* c, xtc_handle* h) -> const void* { return iptc_first_rule(c, h); },
    [](const void* e, xtc_handle* h) -> const void* { return iptc_next_rule(static_cast<Entry4>(e), h); },
    [](const void* e, xtc_handle* h) { return iptc_get_target(static_cast<Entry4>(e), h); }};

constexpr LibraryCalls kCalls6{
    ip6tc_init, ip6tc_free, ip6tc_strerror,
    [](const char* c, xtc_handle* h) { ip6t_counters none{}; return ip6tc_get_policy(c, &none, h); },
    ip6tc_first_chain, ip6tc_next_chain,
    [](const char* c, xtc_handle* h) -> const void* { return ip6tc_first_rule(c, h); },
    [](const void* e, xtc_handle* h) -> const void* { return ip6tc_next_rule(static_cast<Entry6>(e), h); },
    [](const void* e, xtc_handle* h) { return ip6tc_get_target(static_cast<Entry6>(e), h); }};
// clang-format on

/// What the caller does about an errno of libiptc; the text is libiptc's own.
Fail libraryError(const LibraryCalls& calls, int cause, const std::string& context) {
  const std::string text = calls.error(cause);
  auto error = systemError(cause, context);
  error.what = context + ": " + text;
  return Fail(std::move(error));
}

}  // namespace

void Session::Deleter::operator()(xtc_handle* handle) const {
  calls->free(handle);
}

Result<Session> Session::open(TableId table) {
  const auto* calls = table.family == Family::V4 ? &kCalls4 : &kCalls6;
  const std::string name(tableText(table.table));
  errno = 0;
  auto* handle = calls->init(name.c_str());
  if (handle == nullptr) return libraryError(*calls, errno, "read table " + table.str());
  return Session(table, calls, handle);
}

bool Session::policyDrops(const ChainName& chain) const {
  const char* policy = calls_->policy(chain.c_str(), handle_.get());
  return policy != nullptr && std::string_view(policy) == "DROP";
}

const char* Session::firstChain() const {
  return calls_->firstChain(handle_.get());
}
const char* Session::nextChain() const {
  return calls_->nextChain(handle_.get());
}

const void* Session::firstRule(const ChainName& chain) const {
  return calls_->firstRule(chain.c_str(), handle_.get());
}

const void* Session::nextRule(const void* entry) const {
  return calls_->nextRule(entry, handle_.get());
}

std::optional<std::string_view> Session::verdictOf(const void* entry, const EntryView& view) const {
  // In the kernel's form standard targets have no name.
  if (!view.target().name.empty()) return std::nullopt;
  const char* name = calls_->target(entry, handle_.get());
  return std::string_view(name == nullptr ? "" : name);
}

}  // namespace margay::dataplane::xtables

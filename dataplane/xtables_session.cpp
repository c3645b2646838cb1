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
  int (*isChain)(const char*, xtc_handle*);
  int (*isBuiltin)(const char*, xtc_handle*);
  const char* (*policy)(const char*, xtc_handle*);
  int (*references)(unsigned*, const char*, xtc_handle*);
  const char* (*firstChain)(xtc_handle*);
  const char* (*nextChain)(xtc_handle*);
  const void* (*firstRule)(const char*, xtc_handle*);
  const void* (*nextRule)(const void*, xtc_handle*);
  const char* (*target)(const void*, xtc_handle*);
  int (*createChain)(const char*, xtc_handle*);
  int (*flush)(const char*, xtc_handle*);
  int (*deleteChain)(const char*, xtc_handle*);
  int (*append)(const char*, const void*, xtc_handle*);
  int (*insert)(const char*, const void*, unsigned, xtc_handle*);
  int (*deleteRule)(const char*, unsigned, xtc_handle*);
  int (*commit)(xtc_handle*);
};

namespace {

using Entry4 = const ipt_entry*;
using Entry6 = const ip6t_entry*;

// clang-format off
constexpr LibraryCalls kCalls4{
    iptc_init, iptc_free, iptc_strerror, iptc_is_chain, iptc_builtin,
    [](const char* c, xtc_handle* h) { ipt_counters none{}; return iptc_get_policy(c, &none, h); },
    iptc_get_references,
    iptc_first_chain, iptc_next_chain,
    [](const char* c, xtc_handle* h) -> const void* { return iptc_first_rule(c, h); },
    [](const void* e, xtc_handle* h) -> const void* { return iptc_next_rule(static_cast<Entry4>(e), h); },
    [](const void* e, xtc_handle* h) { return iptc_get_target(static_cast<Entry4>(e), h); },
    iptc_create_chain, iptc_flush_entries, iptc_delete_chain,
    [](const char* c, const void* e, xtc_handle* h) { return iptc_append_entry(c, static_cast<Entry4>(e), h); },
    [](const char* c, const void* e, unsigned n, xtc_handle* h) { return iptc_insert_entry(c, static_cast<Entry4>(e), n, h); },
    iptc_delete_num_entry, iptc_commit};

constexpr LibraryCalls kCalls6{
    ip6tc_init, ip6tc_free, ip6tc_strerror, ip6tc_is_chain, ip6tc_builtin,
    [](const char* c, xtc_handle* h) { ip6t_counters none{}; return ip6tc_get_policy(c, &none, h); },
    ip6tc_get_references,
    ip6tc_first_chain, ip6tc_next_chain,
    [](const char* c, xtc_handle* h) -> const void* { return ip6tc_first_rule(c, h); },
    [](const void* e, xtc_handle* h) -> const void* { return ip6tc_next_rule(static_cast<Entry6>(e), h); },
    [](const void* e, xtc_handle* h) { return ip6tc_get_target(static_cast<Entry6>(e), h); },
    ip6tc_create_chain, ip6tc_flush_entries, ip6tc_delete_chain,
    [](const char* c, const void* e, xtc_handle* h) { return ip6tc_append_entry(c, static_cast<Entry6>(e), h); },
    [](const char* c, const void* e, unsigned n, xtc_handle* h) { return ip6tc_insert_entry(c, static_cast<Entry6>(e), n, h); },
    ip6tc_delete_num_entry, ip6tc_commit};
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

bool Session::hasChain(const ChainName& chain) const {
  return calls_->isChain(chain.c_str(), handle_.get()) != 0;
}

bool Session::isBaseChain(const ChainName& chain) const {
  return calls_->isBuiltin(chain.c_str(), handle_.get()) != 0;
}

bool Session::policyDrops(const ChainName& chain) const {
  const char* policy = calls_->policy(chain.c_str(), handle_.get());
  return policy != nullptr && std::string_view(policy) == "DROP";
}

unsigned Session::references(const ChainName& chain) const {
  unsigned count = 0;
  calls_->references(&count, chain.c_str(), handle_.get());
  return count;
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

Result<void> Session::done(int success, std::string_view what, const ChainName& chain) const {
  if (success != 0) return {};
  return libraryError(*calls_, errno,
                      std::string(what) + ' ' + chain + " in table " + table_.str());
}

Result<void> Session::createChain(const ChainName& chain) {
  return done(calls_->createChain(chain.c_str(), handle_.get()), "make chain", chain);
}

Result<void> Session::flushChain(const ChainName& chain) {
  return done(calls_->flush(chain.c_str(), handle_.get()), "flush chain", chain);
}

Result<void> Session::deleteChain(const ChainName& chain) {
  return done(calls_->deleteChain(chain.c_str(), handle_.get()), "remove chain", chain);
}

Result<void> Session::appendRule(const ChainName& chain, const EntryBytes& entry) {
  return done(calls_->append(chain.c_str(), entry.data(), handle_.get()), "append a rule to chain",
              chain);
}

Result<void> Session::insertRule(const ChainName& chain, const EntryBytes& entry,
                                 std::size_t index) {
  return done(
      calls_->insert(chain.c_str(), entry.data(), static_cast<unsigned>(index), handle_.get()),
      "insert a rule into chain", chain);
}

Result<void> Session::deleteRule(const ChainName& chain, std::size_t index) {
  return done(calls_->deleteRule(chain.c_str(), static_cast<unsigned>(index), handle_.get()),
              "remove a rule of chain", chain);
}

Result<void> Session::commit() {
  if (calls_->commit(handle_.get()) != 0) return {};
  const int cause = errno;
  auto failed = libraryError(*calls_, cause, "write table " + table_.str());
  if (cause == EAGAIN) failed.value().code = Errc::Stale;
  if (cause == ENOENT)
    failed.value().what += " (the kernel lacks a match or target of these rules, or a set is gone)";
  return failed;
}

}  // namespace margay::dataplane::xtables

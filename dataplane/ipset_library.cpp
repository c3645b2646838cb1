#include "dataplane/ipset_library.h"

extern "C" {
#include <libipset/ipset.h>
#include <libipset/session.h>
#include <libipset/types.h>
}

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdarg>
#include <cstdio>
#include <mutex>

#include "dataplane/ipset_message.h"

namespace margay::dataplane {
namespace {

struct Outcome {
  bool failed = false;
  std::string text;
};

void note(Outcome& outcome, const char* text) {
  outcome.failed = true;
  if (text == nullptr) return;
  outcome.text.append(outcome.text.empty() ? "" : " ").append(text);
  while (!outcome.text.empty() &&
         std::isspace(static_cast<unsigned char>(outcome.text.back())) != 0) {
    outcome.text.pop_back();
  }
}

// With any of these three left out, libipset's own prints, and ends the process.
__attribute__((format(printf, 4, 5))) int onCustomError(struct ipset*, void* outcome, int,
                                                        const char* format, ...) {
  char text[IPSET_ERRORBUFLEN];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  note(*static_cast<Outcome*>(outcome), text);
  return -1;
}

int onStandardError(struct ipset* handle, void* outcome) {
  auto* session = ipset_session(handle);
  const bool warning = ipset_session_report_type(session) == IPSET_WARNING;
  if (!warning) note(*static_cast<Outcome*>(outcome), ipset_session_report_msg(session));
  ipset_session_report_reset(session);
  return warning ? 0 : -1;
}

__attribute__((format(printf, 3, 4))) int onOutput(struct ipset_session*, void*, const char*, ...) {
  return 0;
}

void loadTypesOnce() {
  static std::once_flag loaded;
  std::call_once(loaded, ipset_load_types);
}

}  // namespace

struct IpsetLibrary::Session {
  struct Closer {
    void operator()(struct ipset* opened) const { ipset_fini(opened); }
  };
  Outcome outcome;
  std::unique_ptr<struct ipset, Closer> handle;
};

IpsetLibrary::IpsetLibrary() : session_(std::make_unique<Session>()) {
  loadTypesOnce();
  session_->handle.reset(ipset_init());
  if (session_->handle) {
    ipset_custom_printf(session_->handle.get(), onCustomError, onStandardError, onOutput,
                        &session_->outcome);
  }
}

IpsetLibrary::~IpsetLibrary() = default;

Result<void> IpsetLibrary::run(std::vector<std::string> words) {
  if (!session_->handle) return fail(Errc::Transient, "libipset could not start");
  session_->outcome = {};
  std::array<char*, 12> argv{};
  MGY_CHECK(words.size() < argv.size());
  std::transform(words.begin(), words.end(), argv.begin(),
                 [](std::string& word) { return word.data(); });
  const int rc =
      ipset_parse_argv(session_->handle.get(), static_cast<int>(words.size()), argv.data());
  // Some failures are told only by the return code, others only by the callbacks.
  if (rc >= 0 && !session_->outcome.failed) return {};
  const std::string& text = session_->outcome.text;
  return fail(Errc::Transient, text.empty() ? "libipset failed without a reason" : text);
}

Result<void> IpsetLibrary::create(const SetSpec& spec) {
  // hashsize is where the table starts; the kernel doubles it as members come.
  return run({"ipset", "create", spec.name, kernelTypeName(spec.type), "family",
              spec.family == Family::V4 ? "inet" : "inet6", "hashsize", "1024", "maxelem",
              std::to_string(spec.maxElements)});
}

Result<void> IpsetLibrary::swap(const SetName& a, const SetName& b) {
  return run({"ipset", "swap", a, b});
}

Result<void> IpsetLibrary::destroy(const SetName& name) {
  return run({"ipset", "destroy", name});
}

const char* setNameProblem(const SetName& name) {
  if (!name.starts_with(kSetPrefix)) return "the name does not begin with our prefix";
  if (name.size() > 31) return "a set's name has at most 31 bytes";
  const bool plain = std::all_of(name.begin(), name.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
           std::string_view("-_.:+").find(c) != std::string_view::npos;
  });
  return plain ? nullptr : "the name has a byte other than letters, digits and -_.:+";
}

}  // namespace margay::dataplane

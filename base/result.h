#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace margay {

/// What the caller does about an error; `Error::what` only explains.
enum class Errc {
  Transient,    ///< back off and try again
  Stale,        ///< the kernel or datastore moved on: list again, then try again
  Interrupted,  ///< a torn dump or a lost notification: list again
  Invalid,      ///< input is wrong: wait for new input, show it in status
  NotFound,     ///< what was asked for does not exist
  Unsupported,  ///< the kernel or the environment lacks a feature
  Bug,          ///< an invariant of ours is broken
};

/// `what` names the operation and its object: "add route 10.1.2.0/24 table 254: No such device".
struct Error {
  Errc code = Errc::Transient;
  int sysErrno = 0;
  std::string what;
  bool operator==(const Error&) const = default;
};

template <class T>
class [[nodiscard]] Result : public tl::expected<T, Error> {
 public:
  using tl::expected<T, Error>::expected;
};

using Fail = tl::unexpected<Error>;

[[nodiscard]] inline Fail fail(Errc code, std::string what, int sysErrno = 0) {
  return Fail(Error{code, sysErrno, std::move(what)});
}

/// The same error with "context: " before its text.
[[nodiscard]] Error withContext(Error error, std::string_view context);

/// An error for `sysErrno` with the system's text after "context: "; the code follows from the
/// errno (EAGAIN, EBUSY, ENOBUFS, ENOMEM, EINTR: Transient; ENOENT, ESRCH, ENODEV: NotFound; EPERM,
/// EOPNOTSUPP, EPROTONOSUPPORT: Unsupported; else Invalid).
[[nodiscard]] Error systemError(int sysErrno, std::string_view context);

/// For our own bugs only, never for input, kernel or network: prints and aborts.
[[noreturn]] void checkFailed(const char* expression, const char* file, int line);
#define MGY_CHECK(expression) \
  ((expression) ? static_cast<void>(0) : ::margay::checkFailed(#expression, __FILE__, __LINE__))

}  // namespace margay

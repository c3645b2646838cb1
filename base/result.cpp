#include "base/result.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <system_error>

namespace margay {

Error withContext(Error error, std::string_view context) {
  error.what.insert(0, std::string(context) + ": ");
  return error;
}

Error systemError(int sysErrno, std::string_view context) {
  Errc code = Errc::Invalid;
  switch (sysErrno) {
    case EAGAIN:
    case EBUSY:
    case ENOBUFS:
    case ENOMEM:
    case EINTR:
    case ENETDOWN:
    case EIO:
      code = Errc::Transient;
      break;
    case ENOENT:
    case ESRCH:
    case ENODEV:
    case ENXIO:
      code = Errc::NotFound;
      break;
    case EPERM:
    case EACCES:
    case EOPNOTSUPP:
    case EPROTONOSUPPORT:
    case EAFNOSUPPORT:
      code = Errc::Unsupported;
      break;
    default:
      break;
  }
  return Error{code, sysErrno,
               std::string(context) + ": " + std::generic_category().message(sysErrno)};
}

void checkFailed(const char* expression, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: internal error, please report: %s\n", file, line, expression);
  std::abort();
}

}  // namespace margay

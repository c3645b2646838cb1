#include "api/http/http_client.h"

namespace margay::api {

Result<HttpReply> fetch(HttpClient& client, const HttpCall& call, const std::stop_token& stop,
                        std::chrono::milliseconds idle, std::size_t maxBytes) {
  auto body = client.open(call, stop);
  if (!body) return Fail(body.error());
  HttpReply reply{.status = (*body)->status(), .body = {}};
  std::string piece;
  for (;;) {
    const auto read = (*body)->read(piece, idle, stop);
    if (!read) return Fail(withContext(read.error(), call.path));
    if (*read == HttpBody::Read::End) return reply;
    if (*read == HttpBody::Read::Idle)
      return fail(Errc::Transient, call.path + ": the answer stopped in its middle");
    if (reply.body.size() + piece.size() > maxBytes)
      return fail(Errc::Invalid,
                  call.path + ": the answer has more than " + std::to_string(maxBytes) + " bytes");
    reply.body += piece;
  }
}

}  // namespace margay::api

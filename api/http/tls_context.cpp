#include "api/http/tls_context.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include <ctime>
#include <fstream>
#include <memory>
#include <sstream>
#include <string_view>
#include <utility>

namespace margay::api {
namespace {

template <auto Free>
struct Freer {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};
using Bio = std::unique_ptr<BIO, Freer<BIO_free>>;
using Certificate = std::unique_ptr<X509, Freer<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;
using Context = std::unique_ptr<SSL_CTX, Freer<SSL_CTX_free>>;

std::string lastReason() {
  const auto code = ERR_peek_last_error();
  ERR_clear_error();
  const char* reason = ERR_reason_error_string(code);
  return reason == nullptr ? "unknown reason" : reason;
}

Result<std::string> textOf(const Pem& pem, std::string_view what) {
  if (pem.file.empty()) return pem.text;
  std::ifstream file(pem.file);
  std::stringstream text;
  if (!file || !(text << file.rdbuf()))
    return fail(Errc::Invalid, "cannot read the " + std::string(what) + " " + pem.file +
                                   ": does the file exist, and may this user read it?");
  return text.str();
}

Result<Bio> open(const Pem& pem, std::string_view what, std::string& text) {
  auto read = textOf(pem, what);
  if (!read) return Fail(read.error());
  text = std::move(*read);
  return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

Fail unusable(const Pem& pem, std::string_view what) {
  return fail(Errc::Invalid, "the " + std::string(what) + " " + pem.name() +
                                 " cannot be used: " + lastReason() + "; it must be PEM");
}

Result<void> loadCa(SSL_CTX* context, const Pem& ca) {
  std::string text;
  auto bio = open(ca, "CA certificate", text);
  if (!bio) return Fail(bio.error());
  X509_STORE* store = X509_STORE_new();
  SSL_CTX_set_cert_store(context, store);  // takes it; the system's CAs go
  int found = 0;
  while (Certificate one{PEM_read_bio_X509(bio->get(), nullptr, nullptr, nullptr)}) {
    X509_STORE_add_cert(store, one.get());
    ++found;
  }
  if (found == 0) return unusable(ca, "CA certificate");
  ERR_clear_error();
  return {};
}

Result<void> loadCertificate(SSL_CTX* context, const Pem& certificate, const Pem& key) {
  std::string text;
  auto bio = open(certificate, "certificate", text);
  if (!bio) return Fail(bio.error());
  const Certificate own{PEM_read_bio_X509(bio->get(), nullptr, nullptr, nullptr)};
  if (!own || SSL_CTX_use_certificate(context, own.get()) != 1)
    return unusable(certificate, "certificate");
  while (Certificate next{PEM_read_bio_X509(bio->get(), nullptr, nullptr, nullptr)})
    SSL_CTX_add1_chain_cert(context, next.get());
  ERR_clear_error();
  auto keyBio = open(key, "key", text);
  if (!keyBio) return Fail(keyBio.error());
  const Key secret{PEM_read_bio_PrivateKey(keyBio->get(), nullptr, nullptr, nullptr)};
  if (!secret) return unusable(key, "key");
  if (SSL_CTX_use_PrivateKey(context, secret.get()) == 1) return {};
  ERR_clear_error();
  return fail(Errc::Invalid, "the key " + key.name() + " is not that of the certificate " +
                                 certificate.name() + ": give a pair");
}

std::string utcNow() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%d %H:%M UTC", &parts)};
}

int reportIndex() {
  static const int kIndex = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return kIndex;
}

}  // namespace

Result<void> TlsContext::load(SSL_CTX* context) const {
  if (!options_.ca.empty()) {
    if (auto loaded = loadCa(context, options_.ca); !loaded) return loaded;
  }
  if (options_.certificate.empty() != options_.key.empty())
    return fail(Errc::Invalid,
                options_.key.empty()
                    ? "the certificate " + options_.certificate.name() + " has no key: give both"
                    : "the key " + options_.key.name() + " has no certificate: give both");
  if (options_.certificate.empty()) return {};
  return loadCertificate(context, options_.certificate, options_.key);
}

Result<void> TlsContext::check() const {
  const Context context(SSL_CTX_new(TLS_client_method()));
  MGY_CHECK(context != nullptr);
  return load(context.get());
}

void TlsContext::prepare(SSL_CTX* context) {
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_ex_data(context, reportIndex(), this);
  SSL_CTX_set_info_callback(context, &TlsContext::watch);
  static_cast<void>(takeProblem());  // of a connection before
  if (auto loaded = load(context); !loaded) note(loaded.error().what);
}

void TlsContext::note(std::string problem) {
  const std::lock_guard lock(mutex_);
  if (!problem_) problem_ = std::move(problem);
}

std::optional<std::string> TlsContext::takeProblem() {
  const std::lock_guard lock(mutex_);
  return std::exchange(problem_, std::nullopt);
}

std::string TlsContext::hint() const {
  if (!inUse_) return {};
  return options_.certificate.empty()
             ? " (does the server ask for a client certificate?)"
             : " (does the server trust the certificate " + options_.certificate.name() + "?)";
}

void TlsContext::watch(const SSL* ssl, int where, int value) {
  if ((where & SSL_CB_ALERT) == 0 || (value >> 8) != SSL3_AL_FATAL) return;
  auto* self = static_cast<TlsContext*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), reportIndex()));
  const std::string alert = SSL_alert_desc_string_long(value);
  if ((where & SSL_CB_READ) != 0) {
    const auto& own = self->options_.certificate;
    self->note("the server ends the TLS handshake (" + alert + "): " +
               (own.empty() ? "does it ask for a client certificate?"
                            : "does it trust the certificate " + own.name() + "?"));
    return;
  }
  const auto verified = SSL_get_verify_result(ssl);
  const std::string reason = verified == X509_V_OK ? "it is not for this host name or address"
                                                   : X509_verify_cert_error_string(verified);
  if (verified == X509_V_ERR_CERT_NOT_YET_VALID || verified == X509_V_ERR_CERT_HAS_EXPIRED) {
    self->note("the server's certificate is not accepted (" + reason + "): is the clock of this " +
               "host right (" + utcNow() + "), and the certificate current?");
    return;
  }
  const auto& ca = self->options_.ca;
  self->note("the server's certificate is not accepted (" + reason + "): is the CA " +
             (ca.empty() ? "of the system" : ca.name()) + " the one that signed it?");
}

}  // namespace margay::api

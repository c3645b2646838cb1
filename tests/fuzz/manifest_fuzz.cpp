#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string_view>

#include "api/codec/document_reader.h"
#include "api/file/object_decoder.h"

/// No text makes the reader or a decoder crash, hang, or say neither that an object is good nor
/// what is wrong.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace margay::api;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  ObjectDecoder decoder;
  const auto sink = [&](const DocumentPlace&, nlohmann::json& object) {
    const auto decoded = decoder.decode(object);
    for (const auto& error : decoded.errors) {
      if (error.reason.empty()) std::abort();
    }
  };
  static_cast<void>(readDocuments(text, {}, sink));
  return 0;
}

#include "api/codec/document_reader.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <nlohmann/json.hpp>
#include <vector>

#include "api/codec/document_builder.h"

namespace margay::api {
namespace {

using nlohmann::json;

/// Bytes of a text or of a file, block by block; knows the line it has reached.
class ByteSource {
 public:
  ByteSource(int fd, std::size_t maxBytes)
      : fd_(fd), left_(maxBytes), buffer_(std::size_t{256} << 10U) {
    refill();
  }
  explicit ByteSource(std::string_view text)
      : begin_(text.data()), at_(begin_), end_(begin_ + text.size()) {}

  [[nodiscard]] bool atEnd() const { return at_ == end_; }
  [[nodiscard]] char get() const { return *at_; }
  void advance() {
    if (++at_ == end_ && fd_ >= 0) refill();
  }
  [[nodiscard]] int line() const {
    return 1 + lines_ + static_cast<int>(std::count(begin_, at_, '\n'));
  }
  [[nodiscard]] int readErrno() const { return errno_; }
  [[nodiscard]] bool tooLarge() const { return tooLarge_; }

 private:
  void refill() {
    lines_ += static_cast<int>(std::count(begin_, end_, '\n'));
    ssize_t got = 0;
    do {
      got = ::read(fd_, buffer_.data(), buffer_.size());
    } while (got < 0 && errno == EINTR);
    if (got < 0) errno_ = errno;
    auto count = static_cast<std::size_t>(std::max<ssize_t>(got, 0));
    if (count > left_) {
      tooLarge_ = true;
      count = 0;
    }
    left_ -= count;
    begin_ = at_ = buffer_.data();
    end_ = begin_ + count;
  }

  int fd_ = -1;
  std::size_t left_ = 0;
  std::vector<char> buffer_;
  const char* begin_ = nullptr;
  const char* at_ = nullptr;
  const char* end_ = nullptr;
  int lines_ = 0;
  int errno_ = 0;
  bool tooLarge_ = false;
};

/// The input iterator that nlohmann's parser wants; the end is any iterator without a source.
class ByteIterator {
 public:
  using difference_type = std::ptrdiff_t;
  using value_type = char;
  using pointer = const char*;
  using reference = char;
  using iterator_category = std::input_iterator_tag;

  ByteIterator() = default;
  explicit ByteIterator(ByteSource* source) : source_(source) {}
  char operator*() const { return source_->get(); }
  ByteIterator& operator++() {
    source_->advance();
    return *this;
  }
  ByteIterator operator++(int) {
    ByteIterator before = *this;
    ++*this;
    return before;
  }
  bool operator==(const ByteIterator& other) const { return ended() == other.ended(); }
  bool operator!=(const ByteIterator& other) const { return !(*this == other); }

 private:
  [[nodiscard]] bool ended() const { return source_ == nullptr || source_->atEnd(); }
  ByteSource* source_ = nullptr;
};

class JsonHandler final : public nlohmann::json_sax<json> {
 public:
  explicit JsonHandler(DocumentBuilder& builder) : builder_(builder) {}
  bool null() override { return builder_.value(json(nullptr)); }
  bool boolean(bool value) override { return builder_.value(json(value)); }
  bool number_integer(number_integer_t value) override { return builder_.value(json(value)); }
  bool number_unsigned(number_unsigned_t value) override { return builder_.value(json(value)); }
  bool number_float(number_float_t value, const string_t&) override {
    return builder_.value(json(value));
  }
  bool string(string_t& value) override { return builder_.value(json(std::move(value))); }
  bool binary(binary_t&) override { return builder_.fail("binary values are no JSON"); }
  bool start_object(std::size_t) override { return builder_.startObject(); }
  bool key(string_t& name) override { return builder_.key(name); }
  bool end_object() override { return builder_.end(); }
  bool start_array(std::size_t) override { return builder_.startArray(); }
  bool end_array() override { return builder_.end(); }
  bool parse_error(std::size_t, const std::string&,
                   const nlohmann::detail::exception& error) override {
    // "[json.exception.parse_error.101] parse error at line 3, column 7: syntax error ...": the id
    // and the place are dropped, the place is given apart.
    const std::string_view what = error.what();
    const auto at = what.find(": ");
    return builder_.fail(std::string(at == std::string_view::npos ? what : what.substr(at + 2)));
  }

 private:
  DocumentBuilder& builder_;
};

std::optional<ReadProblem> parse(ByteSource& source, const DocumentLimits& limits,
                                 const ObjectSink& sink) {
  DocumentBuilder builder(limits, sink);
  JsonHandler handler(builder);
  builder.beginDocument(1);
  const bool parsed = json::sax_parse(ByteIterator(&source), ByteIterator(), &handler);
  if (source.readErrno() != 0)
    return ReadProblem{0, 0, std::string("cannot be read: ") + std::strerror(source.readErrno())};
  if (source.tooLarge())
    return ReadProblem{0, 0,
                       "is larger than " + std::to_string(limits.maxBytes) + " bytes; split it"};
  if (parsed && builder.endDocument()) return std::nullopt;
  return ReadProblem{1, source.line(), builder.problem()};
}

}  // namespace

std::string ReadProblem::str() const {
  std::string out;
  if (document > 0) out += "document " + std::to_string(document);
  if (line > 0) out += (out.empty() ? "line " : ", line ") + std::to_string(line);
  return out.empty() ? reason : out + ": " + reason;
}

std::optional<ReadProblem> readJson(std::string_view text, const DocumentLimits& limits,
                                    const ObjectSink& sink) {
  if (text.size() > limits.maxBytes) {
    return ReadProblem{0, 0,
                       "is larger than " + std::to_string(limits.maxBytes) + " bytes; split it"};
  }
  if (text.find_first_not_of(" \t\r\n") == std::string_view::npos) return std::nullopt;
  ByteSource source(text);
  return parse(source, limits, sink);
}

std::optional<ReadProblem> readJson(int fd, const DocumentLimits& limits, const ObjectSink& sink) {
  ByteSource source(fd, limits.maxBytes);
  while (!source.atEnd() && std::strchr(" \t\r\n", source.get()) != nullptr && source.get() != '\0')
    source.advance();
  if (source.atEnd() && source.readErrno() == 0 && !source.tooLarge()) return std::nullopt;
  return parse(source, limits, sink);
}

std::optional<ReadProblem> readDocuments(std::string_view text, const DocumentLimits& limits,
                                         const ObjectSink& sink) {
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos || text[first] != '{') return readYaml(text, limits, sink);
  bool any = false;
  const ObjectSink noting = [&](const DocumentPlace& place, json& object) {
    any = true;
    sink(place, object);
  };
  auto problem = readJson(text, limits, noting);
  if (!problem || any) return problem;
  return readYaml(text, limits, sink) ? problem : std::nullopt;
}

}  // namespace margay::api

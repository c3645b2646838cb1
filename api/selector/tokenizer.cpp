#include "api/selector/tokenizer.h"

#include <array>
#include <string>

namespace margay::api {
namespace {

bool isLabelCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '.' || c == '/' || c == '-';
}

struct Word {
  std::string_view first;
  std::string_view second;  ///< after optional blanks; empty: the word is whole
  TokenKind kind;
};
// In this order: "in" is no prefix of the others, "not" must not be read as a label.
constexpr std::array<Word, 5> kOperatorWords = {{{"contains", "", TokenKind::Contains},
                                                 {"starts", "with", TokenKind::StartsWith},
                                                 {"ends", "with", TokenKind::EndsWith},
                                                 {"not", "in", TokenKind::NotIn},
                                                 {"in", "", TokenKind::In}}};

struct Symbol {
  std::string_view text;
  TokenKind kind;
};
constexpr std::array<Symbol, 10> kSymbols = {{{"(", TokenKind::LeftParen},
                                              {")", TokenKind::RightParen},
                                              {"{", TokenKind::LeftBrace},
                                              {"}", TokenKind::RightBrace},
                                              {",", TokenKind::Comma},
                                              {"==", TokenKind::Equal},
                                              {"!=", TokenKind::NotEqual},
                                              {"!", TokenKind::Not},
                                              {"&&", TokenKind::And},
                                              {"||", TokenKind::Or}}};

class Tokenizer {
 public:
  explicit Tokenizer(std::string_view input) : input_(input) {}

  Result<std::vector<Token>> run() {
    for (skipBlanks(); at_ < input_.size(); skipBlanks()) {
      if (auto read = next(); !read) return Fail(read.error());
    }
    tokens_.push_back({TokenKind::End, {}, input_.size()});
    return std::move(tokens_);
  }

 private:
  [[nodiscard]] std::string_view rest() const { return input_.substr(at_); }
  void skipBlanks() {
    while (at_ < input_.size() && (input_[at_] == ' ' || input_[at_] == '\t')) ++at_;
  }
  bool skip(std::string_view text) {
    if (!rest().starts_with(text)) return false;
    at_ += text.size();
    return true;
  }
  void add(TokenKind kind, std::size_t position, std::string_view text = {}) {
    tokens_.push_back({kind, text, position});
  }

  Result<void> next() {
    const std::size_t start = at_;
    const char c = input_[at_];
    if (c == '"' || c == '\'') return quoted(c);
    for (const Symbol& symbol : kSymbols) {
      if (skip(symbol.text)) {
        add(symbol.kind, start);
        return {};
      }
    }
    if (c == '=' || c == '&' || c == '|') {
      return selectorError(std::string("expected ") + c + c, start);
    }
    if (!tokens_.empty() && tokens_.back().kind == TokenKind::Label) return operatorWord();
    if (skip("has(")) return has(start);
    if (skip("all(")) return closed(TokenKind::All, "all(", start);
    if (skip("global(")) return closed(TokenKind::Global, "global(", start);
    const std::string_view name = label();
    if (name.empty()) {
      return selectorError("unexpected character, expected a label, has(), all(), global(), ! or (",
                           start);
    }
    add(TokenKind::Label, start, name);
    return {};
  }

  Result<void> quoted(char quote) {
    const std::size_t start = at_++;
    const std::size_t end = input_.find(quote, at_);
    if (end == std::string_view::npos) {
      return selectorError(std::string("unterminated string, expected a closing ") + quote, start);
    }
    add(TokenKind::String, start, input_.substr(at_, end - at_));
    at_ = end + 1;
    return {};
  }

  Result<void> operatorWord() {
    const std::size_t start = at_;
    for (const Word& word : kOperatorWords) {
      if (!skip(word.first)) continue;
      if (!word.second.empty()) {
        skipBlanks();
        if (!skip(word.second)) break;
      }
      add(word.kind, start);
      return {};
    }
    return selectorError("expected an operator after label '" + std::string(tokens_.back().text) +
                             "': ==, !=, in, not in, contains, starts with or ends with",
                         start);
  }

  /// The longest run of label characters; empty when there is none.
  std::string_view label() {
    const std::size_t start = at_;
    while (at_ < input_.size() && isLabelCharacter(input_[at_])) ++at_;
    return input_.substr(start, at_ - start);
  }

  Result<void> has(std::size_t start) {
    skipBlanks();
    const std::string_view name = label();
    if (name.empty()) return selectorError("expected a label name in has(", at_);
    skipBlanks();
    if (!skip(")")) return selectorError("expected ) after has(" + std::string(name), at_);
    add(TokenKind::Has, start, name);
    return {};
  }

  Result<void> closed(TokenKind kind, std::string_view opening, std::size_t start) {
    skipBlanks();
    if (!skip(")")) return selectorError("expected ) after " + std::string(opening), at_);
    add(kind, start);
    return {};
  }

  std::string_view input_;
  std::size_t at_ = 0;
  std::vector<Token> tokens_;
};

}  // namespace

Fail selectorError(std::string_view message, std::size_t position) {
  return fail(Errc::Invalid, std::string(message) + " at position " + std::to_string(position + 1));
}

Result<std::vector<Token>> tokenize(std::string_view input) {
  return Tokenizer(input).run();
}

}  // namespace margay::api

#pragma once

#include <compare>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

namespace margay {

/// An immutable string that many objects share (a namespace, a node's name): 16 bytes each,
/// compared and hashed by content. Copies are safe on any thread.
class SharedString {
 public:
  SharedString() = default;
  SharedString(std::string_view text)  // NOLINT(google-explicit-constructor): reads as a string
      : text_(text.empty() ? nullptr : std::make_shared<const std::string>(text)) {}
  SharedString(const char* text) : SharedString(std::string_view(text)) {}         // NOLINT
  SharedString(const std::string& text) : SharedString(std::string_view(text)) {}  // NOLINT

  [[nodiscard]] std::string_view view() const {
    return text_ ? std::string_view(*text_) : std::string_view();
  }
  [[nodiscard]] std::string str() const { return std::string(view()); }
  [[nodiscard]] bool empty() const { return !text_; }
  operator std::string_view() const { return view(); }  // NOLINT(google-explicit-constructor)

  friend bool operator==(const SharedString& a, const SharedString& b) {
    return a.text_ == b.text_ || a.view() == b.view();
  }
  friend auto operator<=>(const SharedString& a, const SharedString& b) {
    return a.view() <=> b.view();
  }
  friend bool operator==(const SharedString& a, std::string_view b) { return a.view() == b; }

 private:
  std::shared_ptr<const std::string> text_;
};

/// Gives equal strings one storage. Owned by one decoder; one thread. It never forgets, so use it
/// only for strings of which a cluster has few.
class StringPool {
 public:
  [[nodiscard]] SharedString get(std::string_view text) {
    if (const auto found = strings_.find(text); found != strings_.end()) return found->second;
    SharedString made(text);
    strings_.emplace(made.view(), made);
    return made;
  }

 private:
  std::unordered_map<std::string_view, SharedString> strings_;  // keys view into their values
};

}  // namespace margay

template <>
struct std::hash<margay::SharedString> {
  std::size_t operator()(const margay::SharedString& text) const noexcept {
    return std::hash<std::string_view>{}(text.view());
  }
};

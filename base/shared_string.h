#pragma once

#include <algorithm>
#include <atomic>
#include <compare>
#include <cstdint>
#include <functional>
#include <new>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace margay {

/// An immutable string that many objects share (a namespace, a node's name): 8 bytes each, and once
/// 8 bytes and the text. Compared and hashed by content. Copies are safe on any thread.
class SharedString {
 public:
  SharedString() = default;
  SharedString(std::string_view text)  // NOLINT(google-explicit-constructor): reads as a string
      : text_(text.empty() ? nullptr : Text::make(text)) {}
  SharedString(const char* text) : SharedString(std::string_view(text)) {}         // NOLINT
  SharedString(const std::string& text) : SharedString(std::string_view(text)) {}  // NOLINT
  SharedString(const SharedString& other) noexcept : text_(other.text_) {
    if (text_ != nullptr) text_->uses.fetch_add(1, std::memory_order_relaxed);
  }
  SharedString(SharedString&& other) noexcept : text_(std::exchange(other.text_, nullptr)) {}
  SharedString& operator=(SharedString other) noexcept {
    std::swap(text_, other.text_);
    return *this;
  }
  ~SharedString() {
    if (text_ != nullptr && text_->uses.fetch_sub(1, std::memory_order_acq_rel) == 1)
      Text::free(text_);
  }

  /// Followed by a zero byte, as kernel interfaces want it, unless it is empty.
  [[nodiscard]] std::string_view view() const {
    return text_ == nullptr ? std::string_view() : text_->view();
  }
  [[nodiscard]] std::string str() const { return std::string(view()); }
  [[nodiscard]] bool empty() const { return text_ == nullptr; }
  operator std::string_view() const { return view(); }  // NOLINT(google-explicit-constructor)

  friend bool operator==(const SharedString& a, const SharedString& b) {
    return a.text_ == b.text_ || a.view() == b.view();
  }
  friend auto operator<=>(const SharedString& a, const SharedString& b) {
    return a.view() <=> b.view();
  }
  friend bool operator==(const SharedString& a, std::string_view b) { return a.view() == b; }
  friend bool operator==(const SharedString& a, const std::string& b) { return a.view() == b; }
  friend bool operator==(const SharedString& a, const char* b) { return a.view() == b; }

 private:
  /// The characters and a zero byte follow it.
  struct Text {
    std::atomic<std::uint32_t> uses = 1;
    std::uint32_t size = 0;

    static Text* make(std::string_view text) {
      void* storage = ::operator new(sizeof(Text) + text.size() + 1);
      auto* made = new (storage) Text;
      made->size = static_cast<std::uint32_t>(text.size());
      char* const end =
          std::copy(text.begin(), text.end(), static_cast<char*>(storage) + sizeof(Text));
      *end = '\0';
      return made;
    }
    static void free(Text* text) {
      text->~Text();  // NOLINT(clang-analyzer-cplusplus.NewDelete): std::optional
      ::operator delete(text);
    }
    [[nodiscard]] std::string_view view() const {
      return {reinterpret_cast<const char*>(this + 1), size};  // NOLINT
    }
  };
  Text* text_ = nullptr;
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

#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace margay {

/// An immutable value that many objects share, counted: 8 bytes each, 8 more for the value. Copies
/// are safe on any thread.
template <class T>
class Shared {
 public:
  Shared() = default;
  Shared(std::nullptr_t) {}  // NOLINT(google-explicit-constructor): as of a pointer
  explicit Shared(T value) : cell_(new Cell{1, std::move(value)}) {}
  Shared(const Shared& other) noexcept : cell_(other.cell_) {
    if (cell_ != nullptr) cell_->uses.fetch_add(1, std::memory_order_relaxed);
  }
  Shared(Shared&& other) noexcept : cell_(std::exchange(other.cell_, nullptr)) {}
  Shared& operator=(Shared other) noexcept {
    std::swap(cell_, other.cell_);
    return *this;
  }
  ~Shared() {
    if (cell_ != nullptr && cell_->uses.fetch_sub(1, std::memory_order_acq_rel) == 1) delete cell_;
  }

  explicit operator bool() const { return cell_ != nullptr; }
  // clang's analyzer does not follow the count, and takes a value with other users for freed.
  [[nodiscard]] const T& operator*() const {
    return cell_->value;  // NOLINT(clang-analyzer-cplusplus.NewDelete)
  }
  [[nodiscard]] const T* operator->() const {
    return &cell_->value;  // NOLINT(clang-analyzer-cplusplus.NewDelete)
  }
  [[nodiscard]] const T* get() const { return cell_ == nullptr ? nullptr : &cell_->value; }
  /// The same value, not an equal one.
  friend bool operator==(const Shared& a, const Shared& b) { return a.cell_ == b.cell_; }

 private:
  struct Cell {
    std::atomic<std::uint32_t> uses;
    const T value;
  };
  Cell* cell_ = nullptr;
};

template <class T>
[[nodiscard]] Shared<T> share(T value) {
  return Shared<T>(std::move(value));
}

}  // namespace margay

#pragma once

#include <cstddef>
#include <memory>

namespace margay {

/// Room for bytes that somebody else will write, such as the kernel an answer. It is not cleared,
/// so pages of it that are never written to take no memory.
class UnsetBytes {
 public:
  explicit UnsetBytes(std::size_t size)
      : bytes_(std::make_unique_for_overwrite<std::byte[]>(size)), size_(size) {}

  [[nodiscard]] std::byte* data() { return bytes_.get(); }
  [[nodiscard]] const std::byte* data() const { return bytes_.get(); }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  std::unique_ptr<std::byte[]> bytes_;  // NOLINT(modernize-avoid-c-arrays)
  std::size_t size_;
};

}  // namespace margay

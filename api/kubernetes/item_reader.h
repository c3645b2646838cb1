#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "api/kubernetes/field_filter.h"
#include "base/result.h"

namespace margay::api {

/// What a list says besides its items.
struct ListPage {
  std::string resourceVersion;
  std::string next;  ///< metadata.continue: of the next page; empty after the last one
};

/// Reads what the Kubernetes API sends, piece by piece, and hands on one object at a time with the
/// fields of the filter alone (and kind, apiVersion, code, reason and message at its top). Memory
/// is that of one such object. One thread.
class ItemReader {
 public:
  /// `type` is that of a watch event ("ADDED", ...), empty in a list and where an event has none.
  /// The object may be moved away.
  using OnItem = std::function<void(std::string_view type, nlohmann::json& item)>;
  /// `fields` must outlive the reader.
  ItemReader(const FieldFilter& fields, OnItem onItem);
  ~ItemReader();
  ItemReader(const ItemReader&) = delete;
  ItemReader& operator=(const ItemReader&) = delete;

  /// `Errc::Transient` for what is no JSON. Use no more after that.
  Result<void> feed(std::string_view piece);
  /// Whether the text so far is whole: nothing is open, and something has been read.
  [[nodiscard]] bool whole() const;
  /// Whether the text so far ends inside of a document.
  [[nodiscard]] bool isInside() const;
  [[nodiscard]] const ListPage& page() const;

 private:
  class Builder;
  std::unique_ptr<Builder> builder_;
};

}  // namespace margay::api

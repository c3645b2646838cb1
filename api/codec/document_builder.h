#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "api/codec/document_reader.h"

namespace margay::api {

/// Builds objects from the events of a YAML or JSON parser and hands them on: the whole document,
/// or, for lists, each entry of `items` as soon as it is complete. Every function returns false
/// once `problem()` is set; the parser must stop then. One thread. Included only by the readers.
class DocumentBuilder {
 public:
  DocumentBuilder(const DocumentLimits& limits, const ObjectSink& sink)
      : limits_(limits), sink_(sink) {}

  void beginDocument(int number);
  [[nodiscard]] bool endDocument();
  [[nodiscard]] bool startObject() { return start(nlohmann::json::value_t::object); }
  [[nodiscard]] bool startArray() { return start(nlohmann::json::value_t::array); }
  [[nodiscard]] bool end();
  [[nodiscard]] bool key(std::string& name);
  /// A scalar, or a whole value that counts as `nodes` values.
  [[nodiscard]] bool value(nlohmann::json&& json, std::size_t nodes = 1);
  /// Counts work that makes no value (copies of anchored values) against the limit.
  [[nodiscard]] bool charge(std::size_t nodes);

  /// The container that is being filled; null while its content is skipped or handed on piecewise.
  [[nodiscard]] nlohmann::json* current() {
    return skipDepth_ == 0 && !stack_.empty() ? stack_.back() : nullptr;
  }
  [[nodiscard]] std::size_t depth() const { return stack_.size() + skipDepth_; }
  [[nodiscard]] int document() const { return document_; }
  [[nodiscard]] const std::string& problem() const { return problem_; }
  bool fail(std::string reason);

 private:
  [[nodiscard]] bool start(nlohmann::json::value_t type);
  /// The place that the next value goes to; null if it must be skipped.
  nlohmann::json* place();
  [[nodiscard]] bool streamsHere() const { return streaming_ && stack_.size() == 2; }
  void completeItem();
  void emitItem(nlohmann::json& item, int index);
  void emit(nlohmann::json& object, DocumentPlace where);
  void emitList(nlohmann::json& list, DocumentPlace where);

  const DocumentLimits limits_;
  const ObjectSink& sink_;
  nlohmann::json root_;
  nlohmann::json item_;  // the entry of `items` that is being built
  std::vector<nlohmann::json>
      pending_;  // entries without kind, before the list's own kind is known
  std::vector<int> pendingIndex_;
  std::vector<nlohmann::json*> stack_;  // null: the `items` array that is handed on piecewise
  nlohmann::json* slot_ = nullptr;      // value of the key that was just read
  std::string problem_;
  std::size_t nodes_ = 0;
  std::size_t skipDepth_ = 0;
  int document_ = 0;
  int items_ = 0;
  bool skipNext_ = false;
  bool itemsNext_ = false;
  bool inMetadata_ = false;
  bool streaming_ = false;
  bool streamed_ = false;
};

}  // namespace margay::api

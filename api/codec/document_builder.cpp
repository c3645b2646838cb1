#include "api/codec/document_builder.h"

#include <utility>

namespace margay::api {
namespace {

using nlohmann::json;

std::string textOf(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

bool isListKind(const std::string& kind) {
  return kind.size() >= 4 && kind.compare(kind.size() - 4, 4, "List") == 0;
}

void inheritKind(json& item, const std::string& listKind, const std::string& apiVersion) {
  if (!item.is_object() || listKind == "List" || item.contains("kind")) return;
  item["kind"] = listKind.substr(0, listKind.size() - 4);
  if (!item.contains("apiVersion")) item["apiVersion"] = apiVersion;
}

}  // namespace

bool DocumentBuilder::fail(std::string reason) {
  if (problem_.empty()) problem_ = std::move(reason);
  return false;
}

bool DocumentBuilder::charge(std::size_t nodes) {
  nodes_ += nodes;
  if (nodes_ <= limits_.maxNodes) return true;
  return fail("an object has more than " + std::to_string(limits_.maxNodes) + " values; split it");
}

void DocumentBuilder::beginDocument(int number) {
  document_ = number;
  root_ = nullptr;
  stack_.clear();
  pending_.clear();
  pendingIndex_.clear();
  nodes_ = 0;
  skipDepth_ = 0;
  items_ = 0;
  skipNext_ = itemsNext_ = inMetadata_ = streaming_ = streamed_ = false;
}

json* DocumentBuilder::place() {
  if (stack_.empty()) return &root_;
  if (streamsHere()) {
    item_ = nullptr;
    nodes_ = 1;
    return &item_;
  }
  json* top = stack_.back();
  if (top->is_object()) return slot_;
  auto& list = top->get_ref<json::array_t&>();
  list.emplace_back();
  return &list.back();
}

bool DocumentBuilder::key(std::string& name) {
  if (skipDepth_ > 0) return true;
  const std::size_t level =
      stack_.size() - (streaming_ ? 2 : 0);  // 1: a field of the object itself
  if (level == 1) inMetadata_ = name == "metadata";
  if (level == 2 && inMetadata_ && name == "managedFields") {
    skipNext_ = true;
    return true;
  }
  auto& fields = stack_.back()->get_ref<json::object_t&>();
  itemsNext_ = !streaming_ && stack_.size() == 1 && name == "items";
  const auto [at, added] = fields.emplace(std::move(name), nullptr);
  if (!added) return fail("duplicate key \"" + at->first + "\"");
  slot_ = &at->second;
  return true;
}

bool DocumentBuilder::start(json::value_t type) {
  if (depth() >= limits_.maxDepth)
    return fail("values are nested deeper than " + std::to_string(limits_.maxDepth));
  if (skipDepth_ > 0 || skipNext_) {
    skipNext_ = false;
    ++skipDepth_;
    return true;
  }
  if (!charge(1)) return false;
  if (itemsNext_) {
    itemsNext_ = false;
    const std::string kind = textOf(root_, "kind");
    if (type == json::value_t::array && (kind.empty() || isListKind(kind))) {
      streaming_ = streamed_ = true;
      stack_.push_back(nullptr);
      return true;
    }
  }
  json* at = place();
  *at = json(type);
  stack_.push_back(at);
  return true;
}

bool DocumentBuilder::end() {
  if (skipDepth_ > 0) {
    --skipDepth_;
    return true;
  }
  if (streamsHere()) {
    streaming_ = false;
    stack_.pop_back();
    return true;
  }
  stack_.pop_back();
  if (streamsHere()) completeItem();
  return problem_.empty();
}

bool DocumentBuilder::value(json&& json, std::size_t nodes) {
  itemsNext_ = false;
  if (skipDepth_ > 0 || skipNext_) {
    skipNext_ = false;
    return true;
  }
  if (!charge(nodes)) return false;
  *place() = std::move(json);
  if (streamsHere()) completeItem();
  return problem_.empty();
}

void DocumentBuilder::completeItem() {
  const int index = items_++;
  if (item_.is_object() && !item_.contains("kind") && textOf(root_, "kind").empty()) {
    pending_.push_back(std::move(item_));
    pendingIndex_.push_back(index);
    return;
  }
  emitItem(item_, index);
}

void DocumentBuilder::emitItem(json& item, int index) {
  const std::string kind = textOf(root_, "kind");
  if (!kind.empty()) inheritKind(item, kind, textOf(root_, "apiVersion"));
  emit(item, {document_, index});
}

void DocumentBuilder::emit(json& object, DocumentPlace where) {
  if (!object.is_object()) {
    fail(where.item < 0 ? std::string("is no object; it must have apiVersion, kind and metadata")
                        : "items[" + std::to_string(where.item) + "] is no object");
    return;
  }
  if (object.contains("items") && object["items"].is_array() &&
      isListKind(textOf(object, "kind"))) {
    emitList(object, where);
    return;
  }
  sink_(where, object);
}

void DocumentBuilder::emitList(json& list, DocumentPlace where) {
  const std::string kind = textOf(list, "kind");
  const std::string apiVersion = textOf(list, "apiVersion");
  int index = 0;
  for (json& item : list["items"]) {
    inheritKind(item, kind, apiVersion);
    // A list inside a list keeps the place of the outer entry.
    emit(item, where.item < 0 ? DocumentPlace{where.document, index} : where);
    ++index;
  }
}

bool DocumentBuilder::endDocument() {
  if (!problem_.empty()) return false;
  if (streamed_) {
    const std::string kind = textOf(root_, "kind");
    if (!isListKind(kind)) {
      return fail(kind.empty() ? std::string("a list has no kind; write kind: List")
                               : "an object of kind " + kind + " has items, and is no list");
    }
    for (std::size_t i = 0; i < pending_.size(); ++i) emitItem(pending_[i], pendingIndex_[i]);
    pending_.clear();
  } else if (!root_.is_null()) {
    emit(root_, {document_, -1});
  }
  root_ = nullptr;
  return problem_.empty();
}

}  // namespace margay::api

#include "api/kubernetes/item_reader.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "api/codec/json_push.h"

namespace margay::api {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 5> kAlways{"kind", "apiVersion", "code", "reason",
                                                  "message"};

bool isAlways(std::string_view name) {
  return std::find(kAlways.begin(), kAlways.end(), name) != kAlways.end();
}

/// A number, true, false or null; null for what is none of them, as for a number out of all bounds.
json numberOrWord(std::string_view text) {
  auto value = json::parse(text.begin(), text.end(), nullptr, false);
  return value.is_discarded() ? json() : value;
}

}  // namespace

/// A document is {metadata, items: [...]} or {type, object: {...}}; an item is built as a tree.
class ItemReader::Builder final : public JsonEvents {
 public:
  Builder(const FieldFilter& fields, OnItem onItem)
      : fields_(fields), onItem_(std::move(onItem)), push_(*this) {}

  Result<void> feed(std::string_view piece) { return push_.feed(piece); }
  [[nodiscard]] bool whole() const { return documents_ > 0 && places_.empty(); }
  [[nodiscard]] bool isInside() const { return !places_.empty(); }
  [[nodiscard]] const ListPage& page() const { return page_; }

 private:
  /// What is open outside of items.
  enum class Place { Document, Metadata, Items };
  /// A container of the item; `at` refers into `item_`.
  struct Open {
    json* at;
    const FieldFilter* fields;
  };

  void key(std::string_view name) override {
    if (open_.empty()) {
      name_ = name;
      const bool inDocument = places_.back() == Place::Document;
      if (inDocument && name != "metadata" && name != "items" && name != "object" && name != "type")
        push_.skipValue();
      return;
    }
    field_ = open_.back().fields->field(name);
    if (open_.size() == 1 && isAlways(name)) field_ = open_.back().fields;
    if (field_ == nullptr) return push_.skipValue();
    name_ = name;
  }

  void string(std::string_view text) override {
    if (!open_.empty()) {
      add(std::string(text));
    } else if (places_.empty()) {
      ++documents_;
    } else if (places_.back() == Place::Document && name_ == "type") {
      type_ = text;
    } else if (places_.back() == Place::Metadata && name_ == "resourceVersion") {
      page_.resourceVersion = text;
    } else if (places_.back() == Place::Metadata && name_ == "continue") {
      page_.next = text;
    }
  }

  void scalar(std::string_view text) override {
    if (!open_.empty()) add(numberOrWord(text));
  }

  void begin(bool isArray) override {
    if (!open_.empty()) {
      json* at = add(isArray ? json::array() : json::object());
      open_.push_back({at, field_});
    } else if (places_.empty()) {
      places_.push_back(Place::Document);
      type_.clear();
      hasEvent_ = false;
    } else if (!isArray && startsItem()) {
      item_ = json::object();
      open_.push_back({&item_, &fields_});
    } else {
      const bool isItems = places_.back() == Place::Document && name_ == "items" && isArray;
      places_.push_back(isItems ? Place::Items : Place::Metadata);
    }
  }

  void end() override {
    if (open_.empty()) {
      places_.pop_back();
      if (places_.empty()) endDocument();
      return;
    }
    open_.pop_back();
    if (!open_.empty()) {
      field_ = open_.back().fields;
    } else if (places_.back() == Place::Items) {
      onItem_({}, item_);
    } else {
      hasEvent_ = true;  // its type may come behind it
    }
  }

  void endDocument() {
    ++documents_;
    if (hasEvent_) onItem_(type_, item_);
  }

  [[nodiscard]] bool startsItem() const {
    return places_.back() == Place::Items ||
           (places_.back() == Place::Document && name_ == "object");
  }

  json* add(json value) {
    json& into = *open_.back().at;
    if (into.is_array()) {
      field_ = open_.back().fields;
      into.push_back(std::move(value));
      return &into.back();
    }
    json& place = into[name_];
    place = std::move(value);
    return &place;
  }

  const FieldFilter& fields_;
  const OnItem onItem_;
  JsonPush push_;
  std::vector<Place> places_;
  std::vector<Open> open_;
  json item_;
  std::string name_;                    // of the value that comes
  const FieldFilter* field_ = nullptr;  // of the value that comes
  std::string type_;                    // of the event that is being read
  bool hasEvent_ = false;               // its object has been read
  ListPage page_;
  std::size_t documents_ = 0;
};

ItemReader::ItemReader(const FieldFilter& fields, OnItem onItem)
    : builder_(std::make_unique<Builder>(fields, std::move(onItem))) {}

ItemReader::~ItemReader() = default;

Result<void> ItemReader::feed(std::string_view piece) {
  return builder_->feed(piece);
}

bool ItemReader::whole() const {
  return builder_->whole();
}

bool ItemReader::isInside() const {
  return builder_->isInside();
}

const ListPage& ItemReader::page() const {
  return builder_->page();
}

}  // namespace margay::api

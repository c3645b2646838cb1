#include <yaml-cpp/anchor.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <istream>
#include <nlohmann/json.hpp>
#include <streambuf>
#include <unordered_map>
#include <utility>
#include <vector>

#include "api/codec/document_builder.h"
#include "api/codec/document_reader.h"
#include "api/codec/document_scalar.h"

namespace margay::api {
namespace {

using nlohmann::json;

/// Reads a text that lives elsewhere, without copying it.
class ViewBuffer final : public std::streambuf {
 public:
  explicit ViewBuffer(std::string_view text) {
    char* begin =
        const_cast<char*>(text.data());  // streambuf never writes through its get area here
    setg(begin, begin, begin + text.size());
  }
};

/// Ends yaml-cpp's parser from inside an event; caught in readYaml.
struct Stop {
  int line = 0;
};

struct Anchored {
  json value;
  std::size_t nodes = 0;
  std::size_t depth = 0;
};

std::size_t countNodes(const json& value) {
  std::size_t nodes = 1;
  if (value.is_structured()) {
    for (const json& child : value) nodes += countNodes(child);
  }
  return nodes;
}

std::size_t depthOf(const json& value) {
  std::size_t deepest = 0;
  if (!value.is_structured()) return 0;
  for (const json& child : value) deepest = std::max(deepest, depthOf(child));
  return deepest + 1;
}

class YamlHandler final : public YAML::EventHandler {
 public:
  YamlHandler(DocumentBuilder& builder, const DocumentLimits& limits)
      : builder_(builder), limits_(limits) {}

  void OnDocumentStart(const YAML::Mark& mark) override {
    line_ = mark.line + 1;
    // yaml-cpp makes empty documents without end of a stray ']', '}' or ','.
    if (mark.pos == documentAt_) check(builder_.fail("unexpected character"));
    documentAt_ = mark.pos;
    frames_.clear();
    anchors_.clear();
    builder_.beginDocument(builder_.document() + 1);
  }
  void OnDocumentEnd() override { check(builder_.endDocument()); }

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    scalar(mark, anchor, json(nullptr), "null");
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    const bool plain = tag == "?" || tag.empty();
    const bool typed = tag == "tag:yaml.org,2002:int" || tag == "tag:yaml.org,2002:float" ||
                       tag == "tag:yaml.org,2002:bool" || tag == "tag:yaml.org,2002:null";
    if (plain && value == "<<" && expectsKey()) frames_.back().merges = true;
    scalar(mark, anchor, plain || typed ? plainScalar(value) : json(value), value);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    line_ = mark.line + 1;
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) {
      check(builder_.fail("an alias stands for a value that contains it, or that is not kept"));
      return;
    }
    const Anchored& target = found->second;
    if (expectsKey()) {
      if (target.value.is_structured())
        check(builder_.fail("a mapping or sequence cannot be a key"));
      std::string name =
          target.value.is_string() ? target.value.get<std::string>() : target.value.dump();
      keyDone(name);
      return;
    }
    if (builder_.depth() + target.depth > limits_.maxDepth) {
      check(builder_.fail("values are nested deeper than " + std::to_string(limits_.maxDepth)));
    }
    check(builder_.charge(target.nodes));
    check(builder_.value(json(target.value), 0));
    valueDone();
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(mark, anchor, Frame::Sequence);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(mark, anchor, Frame::Mapping);
  }
  void OnMapEnd() override {
    if (frames_.back().merges) merge();
    close();
  }

  [[nodiscard]] int line() const { return line_; }

 private:
  struct Frame {
    enum Type { Sequence, Mapping } type = Sequence;
    bool expectsKey = false;
    bool merges = false;
    YAML::anchor_t anchor = 0;
  };

  void check(bool ok) const {
    if (!ok) throw Stop{line_};
  }
  [[nodiscard]] bool expectsKey() const { return !frames_.empty() && frames_.back().expectsKey; }
  void valueDone() {
    if (!frames_.empty() && frames_.back().type == Frame::Mapping) frames_.back().expectsKey = true;
  }
  void keyDone(std::string& name) {
    check(builder_.key(name));
    frames_.back().expectsKey = false;
  }

  void scalar(const YAML::Mark& mark, YAML::anchor_t anchor, json value, const std::string& text) {
    line_ = mark.line + 1;
    if (anchor != 0) anchors_[anchor] = {expectsKey() ? json(text) : value, 1, 0};
    if (expectsKey()) {
      std::string name = value.is_boolean() ? (value.get<bool>() ? "true" : "false") : text;
      keyDone(name);
      return;
    }
    check(builder_.value(std::move(value)));
    valueDone();
  }

  void open(const YAML::Mark& mark, YAML::anchor_t anchor, Frame::Type type) {
    line_ = mark.line + 1;
    if (expectsKey()) check(builder_.fail("a mapping or sequence cannot be a key"));
    check(type == Frame::Mapping ? builder_.startObject() : builder_.startArray());
    frames_.push_back({type, type == Frame::Mapping, false, anchor});
  }

  void close() {
    if (const json* made = builder_.current(); made != nullptr && frames_.back().anchor != 0) {
      const std::size_t nodes = countNodes(*made);
      check(builder_.charge(nodes));
      anchors_[frames_.back().anchor] = {*made, nodes, depthOf(*made)};
    }
    check(builder_.end());
    frames_.pop_back();
    valueDone();
  }

  /// "<<": its mapping, or each of its mappings, gives the keys that are not there.
  void merge() {
    json* into = builder_.current();
    if (into == nullptr || !into->is_object() || !into->contains("<<")) return;
    const json from = std::move((*into)["<<"]);
    into->erase("<<");
    const auto mergeOne = [&](const json& source) {
      if (!source.is_object())
        check(builder_.fail("the value of << must be a mapping or a list of mappings"));
      for (const auto& [name, value] : source.items()) {
        if (into->contains(name)) continue;
        check(builder_.charge(countNodes(value)));
        (*into)[name] = value;
      }
    };
    if (from.is_array()) {
      for (const json& each : from) mergeOne(each);
    } else {
      mergeOne(from);
    }
  }

  DocumentBuilder& builder_;
  const DocumentLimits& limits_;
  std::vector<Frame> frames_;
  std::unordered_map<YAML::anchor_t, Anchored> anchors_;
  int line_ = 0;
  int documentAt_ = -1;
};

}  // namespace

std::optional<ReadProblem> readYaml(std::string_view text, const DocumentLimits& limits,
                                    const ObjectSink& sink) {
  if (text.size() > limits.maxBytes) {
    return ReadProblem{0, 0,
                       "is larger than " + std::to_string(limits.maxBytes) + " bytes; split it"};
  }
  DocumentBuilder builder(limits, sink);
  YamlHandler handler(builder, limits);
  const auto documentNow = [&] { return std::max(builder.document(), 1); };
  try {
    ViewBuffer buffer(text);
    std::istream stream(&buffer);
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(handler)) {
    }
  } catch (const Stop& stop) {
    return ReadProblem{documentNow(), stop.line, builder.problem()};
  } catch (const YAML::Exception& error) {
    // An error between two documents belongs to the one that begins there.
    return ReadProblem{documentNow(), error.mark.is_null() ? 0 : error.mark.line + 1, error.msg};
  } catch (const std::exception& error) {
    return ReadProblem{documentNow(), handler.line(), error.what()};
  }
  return std::nullopt;
}

}  // namespace margay::api

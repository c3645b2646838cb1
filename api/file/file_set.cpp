#include "api/file/file_set.h"

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "api/model/same_value.h"

namespace margay::api {
namespace {

/// Of updates: some two milliseconds of work for who takes them.
constexpr std::size_t kPart = 1024;

const WorkloadEndpoint* endpointIn(const FileObject& object) {
  const auto* pointer = std::get_if<Shared<WorkloadEndpoint>>(&object.value);
  return pointer == nullptr ? nullptr : pointer->get();
}

/// The v1 Node with what the v3 Node says: labels of both, its addresses before the others.
Value mergedNode(const Node& base, const Node& extra) {
  Node merged = base;
  LabelMap labels = base.labels.pairs();
  labels.insert(labels.end(), extra.labels.pairs().begin(), extra.labels.pairs().end());
  merged.labels = Labels(std::move(labels));
  if (extra.bgpAddress4) merged.bgpAddress4 = extra.bgpAddress4;
  if (extra.bgpAddress6) merged.bgpAddress6 = extra.bgpAddress6;
  for (const Address& address : extra.internalAddresses) {
    auto& all = merged.internalAddresses;
    if (std::find(all.begin(), all.end(), address) == all.end()) all.push_back(address);
  }
  for (const Prefix& cidr : extra.podCidrs) {
    auto& all = merged.podCidrs;
    if (std::find(all.begin(), all.end(), cidr) == all.end()) all.push_back(cidr);
  }
  return share(std::move(merged));
}

}  // namespace

ObjectKey FileSet::keyOf(const KeyView& view) {
  return {view.kind, view.ns.empty() ? SharedString() : namespaces_.get(view.ns),
          std::string(view.name)};
}

bool FileSet::precedes(ObjectRef a, ObjectRef b) const {
  const FileObject& left = object(a);
  const FileObject& right = object(b);
  if (left.kind == Kind::WorkloadEndpoint &&
      (left.origin == Origin::Calico) != (right.origin == Origin::Calico)) {
    return left.origin == Origin::Calico;
  }
  if (a.file != b.file) return paths_[a.file] < paths_[b.file];
  return a.object < b.object;
}

std::vector<ObjectRef> FileSet::candidates(const KeyView& key) const {
  std::vector<ObjectRef> all;
  index_.each(objects_, key, [&](ObjectRef ref) { all.push_back(ref); });
  std::sort(all.begin(), all.end(), [this](ObjectRef a, ObjectRef b) { return precedes(a, b); });
  return all;
}

void FileSet::noteLoser(ObjectRef loser, ObjectRef winner, Notes* notes) const {
  if (notes == nullptr) return;
  const FileObject& lost = object(loser);
  if (lost.origin == Origin::Prototype && sameValue(lost.value, object(winner).value)) return;
  const ObjectKey key = lost.key();
  if (lost.origin == Origin::Kubernetes && endpointIn(lost) != nullptr &&
      object(winner).origin == Origin::Calico) {
    notes->warnings.push_back(paths_[loser.file] + ": Pod " + key.ns.str() + "/" +
                              endpointIn(lost)->workload() +
                              " gives way to the WorkloadEndpoint in " + paths_[winner.file]);
    return;
  }
  notes->invalid.push_back({key.kind, std::string(kindText(key.kind)), key.ns.str(), key.name,
                            paths_[loser.file], lost.document, "metadata.name",
                            "is already defined in " + paths_[winner.file] + " (document " +
                                std::to_string(object(winner).document) + "); that one counts"});
}

std::optional<Value> FileSet::effectiveNode(const std::vector<ObjectRef>& all, Notes* notes) const {
  std::optional<ObjectRef> base;
  std::optional<ObjectRef> extra;
  for (const ObjectRef ref : all) {
    auto& first = object(ref).origin == Origin::Calico ? extra : base;
    if (first) {
      noteLoser(ref, *first, notes);
    } else {
      first = ref;
    }
  }
  if (!base || !extra) return object(base ? *base : *extra).value;
  using Pointer = Shared<Node>;
  return mergedNode(*std::get<Pointer>(object(*base).value),
                    *std::get<Pointer>(object(*extra).value));
}

const std::string* FileSet::claimant(const WorkloadEndpoint& pod) const {
  if (claims_.empty()) return nullptr;
  // Names are hashed only for pods of nodes that have such endpoints.
  const std::string node = pod.node.str();
  const auto onNode = claims_.lower_bound({node, {}});
  if (onNode == claims_.end() || onNode->first.first != node) return nullptr;
  const auto found = claims_.find({node, interfaceNameOf(pod, interfacePrefix_)});
  return found == claims_.end() ? nullptr : &*found->second.begin();
}

std::optional<Value> FileSet::effective(const KeyView& key, Notes* notes) const {
  const auto all = candidates(key);
  if (all.empty()) return std::nullopt;
  if (key.kind == Kind::Node) return effectiveNode(all, notes);
  for (std::size_t i = 1; i < all.size(); ++i) noteLoser(all[i], all[0], notes);
  const FileObject& winner = object(all[0]);
  const WorkloadEndpoint* endpoint = endpointIn(winner);
  if (endpoint == nullptr || winner.origin != Origin::Kubernetes) return winner.value;
  const std::string* other = claimant(*endpoint);
  if (other == nullptr) return winner.value;
  if (notes != nullptr) {
    notes->warnings.push_back(paths_[all[0].file] + ": Pod " + endpoint->ns.str() + "/" +
                              endpoint->workload() + " gives way to WorkloadEndpoint " + *other +
                              ", which has its interface");
  }
  return std::nullopt;
}

void FileSet::claim(const FileObject& object, int count) {
  const WorkloadEndpoint* endpoint = endpointIn(object);
  if (endpoint == nullptr || object.origin != Origin::Calico) return;
  const auto& interface = endpoint->details().interfaceName;
  if (interface.empty()) return;
  const NodeInterface place{endpoint->node.str(), interface};
  if (count > 0) {
    claims_[place].insert(endpoint->name.str());
    return;
  }
  const auto found = claims_.find(place);
  if (found == claims_.end()) return;
  if (const auto one = found->second.find(endpoint->name.str()); one != found->second.end())
    found->second.erase(one);
  if (found->second.empty()) claims_.erase(found);
}

void FileSet::affectPodsOf(const FileObject& object, std::set<std::string>& nodes) const {
  const WorkloadEndpoint* endpoint = endpointIn(object);
  if (endpoint == nullptr || object.origin != Origin::Calico) return;
  if (endpoint->details().interfaceName.starts_with(interfacePrefix_))
    nodes.insert(endpoint->node.str());
}

std::vector<FileSet::Affected> FileSet::affectedBy(const std::vector<Change>& changes) const {
  std::vector<Affected> out;
  std::set<std::string> nodes;
  std::unordered_set<std::uint32_t> changed;
  for (const Change& change : changes) {
    const auto id = ids_.find(change.file);
    if (id == ids_.end()) continue;
    changed.insert(id->second);
  }
  for (const std::uint32_t file : changed) {
    for (std::uint32_t i = 0; i < objects_[file].size(); ++i) {
      const FileObject& old = objects_[file][i];
      const KeyView key = KeyView::of(old);
      bool first = true;  // of those with the key that may go
      index_.each(objects_, key, [&](ObjectRef other) {
        first = first && (!changed.contains(other.file) ||
                          std::pair(file, i) <= std::pair(other.file, other.object));
      });
      if (first) out.push_back({key, effective(key, nullptr)});
      affectPodsOf(old, nodes);
    }
  }
  for (const Change& change : changes) {
    if (!change.content) continue;
    for (const FileObject& made : change.content->objects) {
      bool known = false;
      index_.each(objects_, KeyView::of(made),
                  [&](ObjectRef ref) { known = known || changed.contains(ref.file); });
      if (!known) out.push_back({KeyView::of(made), effective(KeyView::of(made), nullptr)});
      affectPodsOf(made, nodes);
    }
  }
  if (nodes.empty()) return out;
  for (std::uint32_t file = 0; file < objects_.size(); ++file) {
    if (changed.contains(file)) continue;
    for (const FileObject& other : objects_[file]) {
      const WorkloadEndpoint* pod = endpointIn(other);
      if (pod == nullptr || other.origin != Origin::Kubernetes || !nodes.contains(pod->node.str()))
        continue;
      out.push_back({KeyView::of(other), effective(KeyView::of(other), nullptr)});
    }
  }
  return out;
}

std::vector<FileObject> FileSet::remove(const std::string& file) {
  saidByFile_.erase(file);
  problems_.erase(file);
  const auto found = ids_.find(file);
  if (found == ids_.end()) return {};
  const std::uint32_t id = found->second;
  for (std::uint32_t i = 0; i < objects_[id].size(); ++i) {
    index_.erase(objects_, {id, i});
    claim(objects_[id][i], -1);
  }
  ids_.erase(found);
  freeIds_.push_back(id);
  return std::exchange(objects_[id], {});
}

void FileSet::insert(const std::string& file, FileContent content) {
  std::uint32_t id = 0;
  if (freeIds_.empty()) {
    id = static_cast<std::uint32_t>(paths_.size());
    paths_.emplace_back();
    objects_.emplace_back();
  } else {
    id = freeIds_.back();
    freeIds_.pop_back();
  }
  ids_[file] = id;
  paths_[id] = file;
  objects_[id] = std::move(content.objects);
  index_.reserve(objects_, index_.size() + objects_[id].size());
  for (std::uint32_t i = 0; i < objects_[id].size(); ++i) {
    index_.insert(objects_, {id, i});
    claim(objects_[id][i], 1);
  }
  Notes said{std::move(content.invalid), std::move(content.warnings)};
  if (!said.empty()) saidByFile_[file] = std::move(said);
}

std::vector<Update> FileSet::apply(std::vector<Change> changes, const TakePart& takePart) {
  const auto affected = affectedBy(changes);
  std::vector<std::vector<FileObject>> old;  // keys in `affected` view into these
  old.reserve(changes.size());
  for (Change& change : changes) old.push_back(remove(change.file));
  for (Change& change : changes) {
    if (change.content) insert(change.file, std::move(*change.content));
  }
  std::vector<Update> updates;
  std::unordered_set<ObjectKey> doubled;
  for (const Affected& each : affected) {
    std::size_t count = 0;
    index_.each(objects_, each.key, [&](ObjectRef) { ++count; });
    if (count > 1 && !doubled.insert(keyOf(each.key)).second) continue;
    Notes notes;
    auto after = effective(each.key, &notes);
    if (!notes.empty()) {
      conflicts_[keyOf(each.key)] = std::move(notes);
    } else if (!conflicts_.empty()) {
      conflicts_.erase(keyOf(each.key));
    }
    if (!sameValue(each.before, after)) updates.push_back({keyOf(each.key), std::move(after)});
    if (takePart && updates.size() >= kPart) takePart(std::exchange(updates, {}));
  }
  return updates;
}

void FileSet::setProblem(const std::string& file, std::string reason) {
  problems_[file] = std::move(reason);
}

std::vector<InvalidObject> FileSet::invalid() const {
  std::vector<InvalidObject> out;
  for (const auto& [file, said] : saidByFile_)
    out.insert(out.end(), said.invalid.begin(), said.invalid.end());
  for (const auto& [key, notes] : conflicts_)
    out.insert(out.end(), notes.invalid.begin(), notes.invalid.end());
  for (const auto& [file, reason] : problems_) out.push_back({.file = file, .reason = reason});
  std::sort(out.begin(), out.end());
  return out;
}

std::vector<std::string> FileSet::warnings() const {
  std::vector<std::string> out;
  for (const auto& [file, said] : saidByFile_)
    out.insert(out.end(), said.warnings.begin(), said.warnings.end());
  for (const auto& [key, notes] : conflicts_)
    out.insert(out.end(), notes.warnings.begin(), notes.warnings.end());
  std::sort(out.begin(), out.end());
  return out;
}

std::map<ObjectKey, Place> FileSet::places(const std::set<ObjectKey>& keys) const {
  std::map<ObjectKey, Place> out;
  for (const ObjectKey& key : keys) {
    const auto all = candidates({key.kind, key.ns.view(), key.name});
    if (all.empty()) continue;
    const FileObject& from = object(all[0]);
    Place place{std::string(kindText(key.kind)), key.name, paths_[all[0].file], from.document};
    if (key.kind == Kind::WorkloadEndpoint && from.origin == Origin::Kubernetes) {
      place.kind = kindText(Kind::Pod);
      place.name = endpointIn(from)->workload();
    }
    out.emplace(key, std::move(place));
  }
  return out;
}

}  // namespace margay::api

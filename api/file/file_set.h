#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "api/file/file_content.h"
#include "api/file/object_index.h"
#include "api/model/object.h"
#include "api/store/mailbox.h"

namespace margay::api {

/// The objects of a directory's files as one set: who wins where two files say different things,
/// and what a change of some files changes in the whole. No I/O. One thread.
///
/// Of two objects with one key the first in the order of path and document counts; the other is
/// invalid and named. A Calico WorkloadEndpoint wins over a Pod with its key, or with its interface
/// on its node, with a warning. A v3 Node adds to the v1 Node of its name.
class FileSet {
 public:
  /// `interfacePrefix`: of the interfaces of pods.
  explicit FileSet(std::string interfacePrefix = "cali")
      : interfacePrefix_(std::move(interfacePrefix)) {}

  struct Change {
    std::string file;
    std::optional<FileContent> content;  ///< none: the file is gone
  };
  /// Takes a part of many updates while the next one is made.
  using TakePart = std::function<void(std::vector<Update>)>;
  /// What the changes, taken together, change: values that are equal to those before are not named.
  /// With `takePart` it gets all but the last part of them. A problem of a changed file is over.
  /// O(objects of the changed files).
  [[nodiscard]] std::vector<Update> apply(std::vector<Change> changes,
                                          const TakePart& takePart = nullptr);
  /// The file, or a place in it, cannot be read: what it last gave stays.
  void setProblem(const std::string& file, std::string reason);
  void clearProblem(const std::string& file) { problems_.erase(file); }

  [[nodiscard]] std::vector<InvalidObject> invalid() const;  ///< sorted
  [[nodiscard]] std::vector<std::string> warnings() const;
  /// Where those of `keys` that are here come from. O(keys).
  [[nodiscard]] std::map<ObjectKey, Place> places(const std::set<ObjectKey>& keys) const;
  [[nodiscard]] std::size_t size() const { return index_.size(); }
  [[nodiscard]] bool contains(const std::string& file) const { return ids_.contains(file); }
  [[nodiscard]] bool hasProblem(const std::string& file) const { return problems_.contains(file); }

 private:
  struct Notes {
    std::vector<InvalidObject> invalid;
    std::vector<std::string> warnings;
    [[nodiscard]] bool empty() const { return invalid.empty() && warnings.empty(); }
  };
  struct Affected {
    KeyView key;
    std::optional<Value> before;
  };
  using NodeInterface = std::pair<std::string, std::string>;

  [[nodiscard]] const FileObject& object(ObjectRef ref) const {
    return objects_[ref.file][ref.object];
  }
  [[nodiscard]] bool precedes(ObjectRef a, ObjectRef b) const;
  [[nodiscard]] std::vector<ObjectRef> candidates(const KeyView& key) const;
  [[nodiscard]] std::optional<Value> effective(const KeyView& key, Notes* notes) const;
  [[nodiscard]] std::optional<Value> effectiveNode(const std::vector<ObjectRef>& all,
                                                   Notes* notes) const;
  void noteLoser(ObjectRef loser, ObjectRef winner, Notes* notes) const;
  /// The Calico WorkloadEndpoint that has the pod's interface.
  [[nodiscard]] const std::string* claimant(const WorkloadEndpoint& pod) const;
  void claim(const FileObject& object, int count);
  void affectPodsOf(const FileObject& object, std::set<std::string>& nodes) const;
  [[nodiscard]] std::vector<Affected> affectedBy(const std::vector<Change>& changes) const;
  [[nodiscard]] ObjectKey keyOf(const KeyView& view);
  void insert(const std::string& file, FileContent content);
  [[nodiscard]] std::vector<FileObject> remove(const std::string& file);

  std::string interfacePrefix_;
  StringPool namespaces_;
  std::map<std::string, std::uint32_t> ids_;
  std::vector<std::string> paths_;  // by id
  ObjectIndex::Files objects_;      // by id
  std::vector<std::uint32_t> freeIds_;
  ObjectIndex index_;
  std::map<std::string, Notes> saidByFile_;  // files that have something to say
  std::map<std::string, std::string> problems_;
  std::unordered_map<ObjectKey, Notes> conflicts_;
  std::map<NodeInterface, std::multiset<std::string>>
      claims_;  // -> names of Calico WorkloadEndpoints
};

}  // namespace margay::api

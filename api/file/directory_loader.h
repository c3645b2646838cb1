#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/codec/decoded.h"
#include "api/model/object.h"
#include "base/result.h"

namespace margay::api {

/// A directory of manifests as the file datastore would give it at start.
struct LoadedDirectory {
  std::vector<Update> updates;  ///< one a key, all with values
  std::vector<InvalidObject> invalid;
  std::vector<std::string> warnings;
};
[[nodiscard]] Result<LoadedDirectory> loadDirectory(const std::string& path);

struct DocumentVerdict {
  std::string file;  ///< as given, or below the directory that was given
  int document = 0;  ///< 0: the file as a whole
  std::string kind;
  std::string ns;
  std::string name;
  std::vector<FieldError> errors;
  std::vector<std::string> warnings;
  [[nodiscard]] bool valid() const { return errors.empty(); }
};

/// A verdict for each object of a text (YAML or JSON), in its order; what ends the reading is the
/// last one. Of objects with one key all but the first are invalid, in this and the next function.
[[nodiscard]] std::vector<DocumentVerdict> validateText(std::string_view text,
                                                        const std::string& file);
/// Of a file, whatever its name, or of every manifest below a directory. An error if `path` cannot
/// be read.
[[nodiscard]] Result<std::vector<DocumentVerdict>> validatePath(const std::string& path);

}  // namespace margay::api

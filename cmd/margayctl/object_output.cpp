#include "cmd/margayctl/object_output.h"

#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "api/codec/calico_encode.h"

namespace margay::ctl {
namespace {

using Json = nlohmann::json;

void strip(Json& document) {
  for (const char* field : {"uid", "resourceVersion", "creationTimestamp"})
    document["metadata"].erase(field);
}

}  // namespace

void printObjects(const ObjectOutput& output, std::vector<Json> objects) {
  if (output.form == GetFormat::Form::Name) {
    for (const auto& object : objects)
      std::cout << output.kind.kindName << '/' << object["metadata"]["name"].get<std::string>()
                << '\n';
    return;
  }
  for (auto& object : objects) {
    if (output.bare) strip(object);
  }
  const Json document = output.alone ? std::move(objects.front())
                                     : Json{{"apiVersion", "projectcalico.org/v3"},
                                            {"kind", std::string(output.kind.kindName) + "List"},
                                            {"items", std::move(objects)},
                                            {"metadata", Json::object()}};
  if (output.form == GetFormat::Form::Yaml)
    std::cout << api::yamlText(nlohmann::ordered_json(document));
  else
    std::cout << document.dump(2) << '\n';
}

}  // namespace margay::ctl

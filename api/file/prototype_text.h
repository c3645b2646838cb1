#pragma once

#include <string>
#include <string_view>

#include "api/file/file_content.h"

namespace margay::api {

/// Reads the text files of the prototype with routed hosts: `[felix HOST]` sections (ip, host)
/// become Nodes,
/// `[endpoint NAME]` sections (id, ip, mac, host, group) become WorkloadEndpoints on interface
/// `tap` + the first 11 characters of the id, with a Profile for each group whose members may talk
/// to each other. A text without such sections says nothing. The n-th section is document n.
void readPrototype(std::string_view text, const std::string& file, FileContent& content);

}  // namespace margay::api

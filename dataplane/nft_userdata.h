#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "dataplane/model/ipset.h"
#include "dataplane/model/rule.h"

/// What the kernel keeps for us beside its objects: records of type, length and value. `nft` shows
/// those of type 0 as comments and leaves out types that it does not know, as ours from 200 on are.
namespace margay::dataplane {

using NftUserdata = std::vector<std::uint8_t>;

/// `comment` is cut to the 127 bytes that nft shows; empty: none.
[[nodiscard]] NftUserdata ruleUserdata(std::string_view comment, std::uint64_t digest);
/// A view into `userdata`; empty: none.
[[nodiscard]] std::string_view commentIn(std::span<const std::uint8_t> userdata);
[[nodiscard]] std::optional<std::uint64_t> digestIn(std::span<const std::uint8_t> userdata);

/// Which table a chain of ours belongs to.
[[nodiscard]] NftUserdata chainUserdata(TableName table);
[[nodiscard]] std::optional<TableName> tableIn(std::span<const std::uint8_t> userdata);

/// What a set was made with. nft shows no comment.
[[nodiscard]] NftUserdata setUserdata(const SetSpec& spec);
/// Type and maximum of elements; name and family are the caller's.
[[nodiscard]] std::optional<SetSpec> specIn(std::span<const std::uint8_t> userdata);

}  // namespace margay::dataplane

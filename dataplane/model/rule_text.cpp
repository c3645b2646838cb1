#include "dataplane/model/rule.h"

namespace margay::dataplane {

std::string_view baseChainText(BaseChain chain) {
  switch (chain) {
    case BaseChain::Prerouting: return "PREROUTING";
    case BaseChain::Input: return "INPUT";
    case BaseChain::Forward: return "FORWARD";
    case BaseChain::Output: return "OUTPUT";
    case BaseChain::Postrouting: return "POSTROUTING";
  }
  return "";
}

std::string_view tableText(TableName table) {
  switch (table) {
    case TableName::Raw: return "raw";
    case TableName::Mangle: return "mangle";
    case TableName::Nat: return "nat";
    case TableName::Filter: return "filter";
  }
  return "";
}

std::string TableId::str() const {
  return std::string(tableText(table)) + (family == Family::V4 ? " (IPv4)" : " (IPv6)");
}

}  // namespace margay::dataplane

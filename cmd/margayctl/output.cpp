#include <algorithm>
#include <iostream>

#include "cmd/margayctl/commands.h"

namespace margay::ctl {

int failed(const std::string& line) {
  std::cerr << "margayctl: " << line << '\n';
  return kFailed;
}

int wrongUsage(const std::string& line) {
  std::cerr << "margayctl: " << line << '\n';
  return kUsage;
}

void printTable(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      if (i + 1 < row.size()) line += std::string(widths[i] - row[i].size() + 3, ' ');
    }
    line.erase(line.find_last_not_of(' ') + 1);
    std::cout << line << '\n';
  }
}

}  // namespace margay::ctl

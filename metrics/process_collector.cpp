#include "metrics/process_collector.h"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <string>

namespace margay::metrics {
namespace {

using prometheus::MetricFamily;
using prometheus::MetricType;

MetricFamily family(const char* name, const char* help, MetricType type, double value) {
  MetricFamily out{name, help, type, {}};
  auto& metric = out.metric.emplace_back();
  if (type == MetricType::Counter) {
    metric.counter.value = value;
  } else {
    metric.gauge.value = value;
  }
  return out;
}

struct Stat {
  double cpuSeconds = 0;
  double startSeconds = 0;
  double virtualBytes = 0;
  double residentBytes = 0;
};

double bootTime() {
  std::ifstream file("/proc/stat");
  std::string word;
  double value = 0;
  while (file >> word) {
    if (word == "btime" && file >> value) return value;
  }
  return 0;
}

Stat readStat() {
  std::ifstream file("/proc/self/stat");
  std::stringstream content;
  content << file.rdbuf();
  const auto text = content.str();
  const auto end = text.rfind(')');  // the command's name may hold anything
  Stat out;
  if (end == std::string::npos) return out;
  std::istringstream fields(text.substr(end + 1));
  std::string skipped;
  const auto skip = [&](int count) {
    for (int i = 0; i < count; ++i) fields >> skipped;
  };
  double utime = 0;
  double stime = 0;
  double start = 0;
  double pages = 0;
  skip(11);
  fields >> utime >> stime;
  skip(6);
  fields >> start >> out.virtualBytes >> pages;
  const auto ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
  out.cpuSeconds = (utime + stime) / ticks;
  out.startSeconds = bootTime() + start / ticks;
  out.residentBytes = pages * static_cast<double>(sysconf(_SC_PAGESIZE));
  return out;
}

double openFds() {
  DIR* directory = opendir("/proc/self/fd");
  if (directory == nullptr) return 0;
  double count = -3;  // ".", ".." and the directory's own descriptor
  while (readdir(directory) != nullptr) ++count;
  closedir(directory);
  return count;
}

}  // namespace

std::vector<MetricFamily> ProcessCollector::Collect() const {
  const auto stat = readStat();
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  return {
      family("process_cpu_seconds_total", "Total user and system CPU time spent in seconds.",
             MetricType::Counter, stat.cpuSeconds),
      family("process_open_fds", "Number of open file descriptors.", MetricType::Gauge, openFds()),
      family("process_max_fds", "Maximum number of open file descriptors.", MetricType::Gauge,
             static_cast<double>(limit.rlim_cur)),
      family("process_virtual_memory_bytes", "Virtual memory size in bytes.", MetricType::Gauge,
             stat.virtualBytes),
      family("process_resident_memory_bytes", "Resident memory size in bytes.", MetricType::Gauge,
             stat.residentBytes),
      family("process_start_time_seconds", "Start time of the process since unix epoch in seconds.",
             MetricType::Gauge, stat.startSeconds),
  };
}

}  // namespace margay::metrics

#pragma once

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "tests/system/cluster.h"
#include "tests/system/probe.h"

/// Numbered datagrams at a steady rate, each counted where it arrives: what a change loses, or lets
/// through for a moment, shows as a number.
namespace margay::system_tests {

enum class LoadKind : std::uint8_t {
  NewFlows,  ///< each datagram from a source port of its own: a new flow for conntrack
  OneFlow    ///< all datagrams of one socket; the receiver answers, so the flow is established
};

/// Notes the number of every datagram of a `Load` that arrives at an address and UDP port of a
/// namespace.
class Counter {
 public:
  Counter(const NetworkNamespace& where, const Address& address, std::uint16_t port);
  ~Counter();
  Counter(const Counter&) = delete;
  Counter& operator=(const Counter&) = delete;
  /// How many different numbers arrived. Any thread.
  [[nodiscard]] std::uint32_t arrived() const { return arrived_; }
  /// The first numbers below `sent` that did not arrive, at most 20, for messages of tests; waits
  /// up to a second for those that are under way.
  [[nodiscard]] std::vector<std::uint32_t> missing(std::uint32_t sent) const;

 private:
  void run();
  void note(std::uint32_t number);
  int socket_ = -1;
  int stop_ = -1;
  std::atomic<std::uint32_t> arrived_ = 0;
  mutable std::mutex mutex_;
  std::vector<bool> seen_;
  std::thread thread_;
};

/// Sends numbers from 0 on until `stop`, 1,000 a second unless the machine is too slow for it: what
/// is behind by more than 50 is left out, not made up for.
class Load {
 public:
  Load(const From& from, const Address& to, std::uint16_t port, LoadKind kind);
  ~Load() { stop(); }
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;
  [[nodiscard]] std::uint32_t sent() const { return sent_; }
  /// Returns how many were sent. May be called again.
  std::uint32_t stop();

 private:
  void run(From from, Address to, std::uint16_t port, LoadKind kind);
  std::atomic<bool> stopping_ = false;
  std::atomic<std::uint32_t> sent_ = 0;
  std::thread thread_;
};

/// One way of a datagram, with its sender and its receiver.
struct Way {
  Way(const Pod& from, const Pod& to, Family family, std::uint16_t port, LoadKind kind)
      : counter(to.ns(), to.address(family), port),
        load({&from.ns(), from.address(family), 0}, to.address(family), port, kind) {}
  Counter counter;
  Load load;
};

}  // namespace margay::system_tests

#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cmd/agent/backend_choice.h"
#include "cmd/agent/kernel.h"
#include "reconcile/loop.h"

namespace margay::agent {

/// Which rule backend is in force, and what becomes of the other one. Where rules of ours are in
/// both, the new ones are complete before the old ones go: a packet that both judge is judged
/// alike. The loop's thread.
class BackendKeeper {
 public:
  struct Wiring {
    /// Gives the kernel's new tables everything that should be in them.
    std::function<void()> rebuild;
    std::function<controllers::StaticOptions()> options;
  };
  BackendKeeper(Kernel& kernel, reconcile::Loop& loop, BackendChoice choice, Wiring wiring);

  /// Registers the kernel's tables with the loop.
  Result<void> begin();
  /// Everything that should be in the kernel is there: now the other backend may go.
  void settled();
  /// Nothing is left to be swept.
  [[nodiscard]] bool swept() const { return state_ == State::Swept; }
  /// Looks at the host again. Orders are followed at once, what Auto finds when it finds it twice.
  void look(const api::Parameters& parameters);
  /// From now on nothing of ours is to stay in chains of others.
  void cleanUp();

  [[nodiscard]] const BackendChoice& choice() const { return choice_; }
  /// Chains of others that drop what policy allows, as the host had them at the last look.
  [[nodiscard]] AcceptReport acceptReport() const;

 private:
  enum class State : std::uint8_t { Arriving, Sweeping, Swept };
  Result<void> registerTables();
  void noticed();
  void repair();
  void switchTo(const BackendChoice& choice);
  bool survey();
  void accept();
  [[nodiscard]] bool followsOrder(const api::Parameters& parameters, const BackendChoice& choice);

  Kernel& kernel_;
  reconcile::Loop& loop_;
  BackendChoice choice_;
  Wiring wiring_;
  State state_ = State::Arriving;
  int watched_ = -1;
  TimePoint lastRepair_{};
  bool repairDue_ = false;
  std::vector<reconcile::Table*> leaving_;
  bool cleaning_ = false;
  dataplane::RuleSurveyor surveyor_;
  dataplane::RuleSurvey seen_;       // at the last look
  AcceptPlan accepted_;              // what was asked for since
  std::optional<Backend> seenOnce_;  // what Auto would take, and has not yet
};

}  // namespace margay::agent

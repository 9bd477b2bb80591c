// A fork that runs within the time of its request, and that interrupt() of its slot can stop while it does.
//
// Thread safety: one thread at a time, that which runs the guest. Borrows everything.
#pragma once

#include <cstdint>
#include <span>

#include "src/vms/program_fork.hpp"
#include "src/vms/time_budget.hpp"
#include "src/vms/vm_slot.hpp"
#include "tinykvm/callable.hpp"

namespace tinykvm::host {

class TimedFork final : public Callable {
  public:
    TimedFork(ProgramFork& fork, VmSlot& slot, TimeBudget& time) : fork_(fork), slot_(slot), time_(time) {}

    GuestMemory& memory() override { return fork_.get().memory(); }
    RequestArea request_area() override { return fork_.get().request_area(); }

    // The same calls as those of Fork. They throw Failure with the reason, too, when the run was interrupted before.
    Stop call(GuestAddr function, std::span<const std::uint64_t> arguments, HostCalls& calls,
              Deadline deadline) override;
    Stop go_on(HostCalls& calls, Deadline deadline) override;
    Stop call_on_top(GuestAddr function, std::span<const std::uint64_t> arguments, HostCalls& calls, Deadline deadline);
    Stop resume(std::int64_t result, HostCalls& calls, Deadline deadline) override;

  private:
    class Run;

    ProgramFork& fork_;
    VmSlot& slot_;
    TimeBudget& time_;
};

}  // namespace tinykvm::host

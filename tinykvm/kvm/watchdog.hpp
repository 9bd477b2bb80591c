// Makes deadlines hold for running guests: one thread of this process that kicks vCPUs whose time is up.
//
// Arming and disarming is a lock and a set operation; the thread is only woken when a deadline comes before
// everything it waits for, so requests with equal limits cost no system call.
#pragma once

#include <atomic>

#include "tinykvm/kvm/vcpu.hpp"
#include "tinykvm/types.hpp"

namespace tinykvm::kvm {

// While it lives, the vCPU is kicked at the deadline and `flag` set before that. The flag is not cleared.
// Made and destroyed by any thread; a kick may come until the destructor has returned.
class Watch {
  public:
    Watch(Vcpu& vcpu, std::atomic<bool>& flag, Deadline deadline);
    ~Watch();
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;

  private:
    friend class Watchdog;
    Vcpu& vcpu_;
    std::atomic<bool>& flag_;
    Deadline deadline_;
};

}  // namespace tinykvm::kvm

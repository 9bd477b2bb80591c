// The calls a guest makes that are not Linux: guest-api/kvm_api.h on one side, an implementation of HostCalls
// on the other. The library delivers number and arguments and knows nothing of their meaning.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>

#include "tinykvm/registers.hpp"
#include "tinykvm/types.hpp"

namespace tinykvm {

class GuestMemory;

struct HostCall {
    std::uint32_t number = 0;
    std::array<std::uint64_t, 6> args{};  // rdi, rsi, rdx, rcx, r8, r9
    // A call that waits gives up at the deadline, and soon after the guest was interrupted. (Either ends the run when
    // the call has returned.)
    Deadline deadline{};
    const std::atomic<bool>* interrupted = nullptr;

    bool is_interrupted() const { return interrupted != nullptr && interrupted->load(std::memory_order_relaxed); }
};

// What happens after a call.
struct HostCallResult {
    enum class Next {
        resume,  // the guest goes on with `value` in rax
        stop,    // the run ends with Stop::Reason::host_call; the guest stays where it is
        debug,   // as resume, but a debugger, if there is to be one, gets the program first
    };
    Next next = Next::resume;
    std::int64_t value = 0;
    std::optional<std::uint64_t> second{};  // in rdx, of a call with two values; else rdx is as it was

    static HostCallResult resume(std::int64_t value) { return {Next::resume, value}; }
    static HostCallResult resume(std::int64_t value, std::uint64_t second) { return {Next::resume, value, second}; }
    static HostCallResult stop() { return {Next::stop, 0}; }
    static HostCallResult debug() { return {Next::debug, 0}; }
};

// Implemented and owned by the code that runs a guest. Called on the thread that is in run(), call() or resume() of the
// guest, which stands still meanwhile; or on the thread that is in Fork::poll_call(), while the guest spins and waits.
// The implementation may throw any tinykvm::Error to end the run with it.
class HostCalls {
  public:
    virtual HostCallResult handle(const HostCall& call, GuestMemory& memory) = 0;
    // May this call wait for something? If so, the guest has to leave its VM for it.
    virtual bool may_wait(std::uint32_t number) const {
        (void)number;
        return false;
    }

  protected:
    ~HostCalls() = default;
};

}  // namespace tinykvm

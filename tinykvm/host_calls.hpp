// The calls a guest makes that are not Linux: guest-api/kvm_api.h on one side, an implementation of HostCalls
// on the other. The library delivers number and arguments and knows nothing of their meaning.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "tinykvm/registers.hpp"
#include "tinykvm/types.hpp"

namespace tinykvm {

class GuestMemory;

// The CPUs of a guest besides the one that makes a host call (Options::cpus). What they are given to do begins when the
// caller goes on, and ends with its run at the latest. They have the caller's vector registers and thread pointers.
class FurtherCpus {
  public:
    virtual unsigned cpus() const = 0;  // the caller's among them, which is number 0
    // Has one of them work that has not ended?
    virtual bool busy() const = 0;
    // CPU `cpu` calls a function with up to three arguments, on a stack of its own. False, when the address cannot be
    // one of a function, or there is no stack.
    [[nodiscard]] virtual bool call(unsigned cpu, GuestAddr function, std::span<const std::uint64_t> arguments) = 0;
    // CPU `cpu` goes on where the caller does, with `cpu` as the value of the call, on a copy of the top of the
    // caller's stack in [stack, stack + size). False, when there is no memory.
    [[nodiscard]] virtual bool go_on(unsigned cpu, GuestAddr stack, std::size_t size) = 0;

    // Takes back what they were given and have not begun.
    virtual void take_back() = 0;

  protected:
    ~FurtherCpus() = default;
};

struct HostCall {
    std::uint32_t number = 0;
    std::array<std::uint64_t, 6> args{};  // rdi, rsi, rdx, rcx, r8, r9
    // A call that waits gives up at the deadline, and soon after the guest was interrupted. (Either ends the run when
    // the call has returned.)
    Deadline deadline{};
    const std::atomic<bool>* interrupted = nullptr;
    FurtherCpus* further_cpus = nullptr;  // null: there are none

    bool is_interrupted() const { return interrupted != nullptr && interrupted->load(std::memory_order_relaxed); }
};

// What happens after a call.
struct HostCallResult {
    enum class Next {
        resume,  // the guest goes on with `value` in rax
        stop,    // the run ends with Stop::Reason::host_call; the guest stays where it is
        await,   // as resume, once the further CPUs have done their work
        debug,   // as resume, but a debugger, if there is to be one, gets the program first
    };
    Next next = Next::resume;
    std::int64_t value = 0;
    std::optional<std::uint64_t> second{};  // in rdx, of a call with two values; else rdx is as it was

    static HostCallResult resume(std::int64_t value) { return {Next::resume, value}; }
    static HostCallResult resume(std::int64_t value, std::uint64_t second) { return {Next::resume, value, second}; }
    static HostCallResult stop() { return {Next::stop, 0}; }
    static HostCallResult await(std::int64_t value) { return {Next::await, value}; }
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

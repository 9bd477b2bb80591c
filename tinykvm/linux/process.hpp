// The Linux a guest program sees: its process state and its system calls.
//
// Thread safety: used by the thread that runs the guest.
#pragma once

#include <atomic>
#include <csignal>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "tinykvm/linux/cpu_time.hpp"
#include "tinykvm/linux/state.hpp"
#include "tinykvm/memory/guest_memory.hpp"
#include "tinykvm/options.hpp"
#include "tinykvm/registers.hpp"
#include "tinykvm/types.hpp"

namespace tinykvm::linux_abi {

// What the machine does after a system call or a signal.
struct Outcome {
    enum class Next {
        resume,       // go on with the registers as they are now
        exit,         // the process ended by itself with `exit_status`
        killed,       // a signal without a handler ended it: `signal`
        needs_input,  // no thread can go on before the caller does something; then go_on() continues
        has_output,   // a call gave Options::client something; go_on() continues
        paused,       // all threads wait, and the function of set_pause_check() asks for it; go_on() continues
    };
    Next next = Next::resume;
    int exit_status = 0;
    int signal = 0;
    std::optional<Clock::time_point> wakes_at = std::nullopt;  // with needs_input, see Stop::wakes_at
};

// A hardware exception as Linux would turn it into a signal.
struct Fault {
    int signal = 0;           // SIGSEGV, SIGILL, SIGFPE, SIGBUS, SIGTRAP
    int code = 0;             // si_code
    GuestAddr address = 0;    // si_addr
    std::uint8_t vector = 0;  // x86 exception vector
    std::uint32_t error_code = 0;
};

// Vector state is saved into and loaded from signal frames through this.
class VectorState {
  public:
    virtual std::size_t size() const = 0;  // bytes of the XSAVE image in the standard format
    virtual void save(std::span<std::byte> image) = 0;
    virtual bool load(std::span<const std::byte> image) = 0;  // false when it is not valid; nothing has changed then
    // The state components of the image (XCR0). Programs find it in signal frames.
    virtual std::uint64_t features() const { return 3; }

  protected:
    ~VectorState() = default;
};

class Waiter;

class Process {
  public:
    // `memory` and `options` must outlive the process.
    Process(GuestMemory& memory, const Options& options, ProcessState state);

    // Performs the system call in `registers`: the number is in rax, the result goes to rax, and rip is already after
    // the instruction. While the call has to wait other threads run, and registers, pointers and vectors are those of
    // the thread that runs afterwards. Throws Timeout when no thread could go on until the deadline.
    Outcome system_call(Registers& registers, ThreadPointers& pointers, VectorState& vectors, Deadline deadline);

    // Goes on with the thread whose turn it is: after a system call that ended with needs_input, or when the running
    // thread, which is in user mode, has had its time slice. Otherwise as system_call().
    Outcome go_on(Registers& registers, ThreadPointers& pointers, VectorState& vectors, Deadline deadline);
    bool has_several_threads() const { return !state_.parked.empty(); }
    // Does the running thread have to be interrupted some time: for the turn of another one, or the signal of a timer?
    bool needs_interruptions() const { return !state_.parked.empty() || state_.timers.is_armed(); }
    bool has_timer_signals() const { return state_.timers.is_armed(); }
    // When the next signal of a timer is due, if the running thread only computes until then; nullopt: none is.
    std::optional<Clock::time_point> next_timer_signal();
    // The time when another thread will want to run, besides so many that can run beside this one; nullopt when none
    // will before this one does something.
    std::optional<Clock::time_point> others_ready_at(std::size_t beside) const;
    // Makes a parked thread the next one that go_on() lets run: one that left another CPU for the host or, with `all`,
    // any for which the host has to do something before it goes on in user mode. Returns what it waits for; nullopt
    // when there is none.
    std::optional<Wait::For> bring_forward(bool all);
    // CPU time that the program has used on other threads of this process, which its clocks count.
    void add_cpu_time(std::uint64_t nanoseconds) { cpu_.add(nanoseconds); }
    // Makes a thread the one that runs and ends its wait. Returns false when there is no thread of that id.
    [[nodiscard]] bool switch_to_thread(int id, Registers& registers, ThreadPointers& pointers, VectorState& vectors);

    // Delivers a fault to the handler of the running thread, or says that it is killed by it.
    Outcome fault(const Fault& fault, Registers& registers, VectorState& vectors);

    // Sets a flag that ends blocking calls with Interrupted soon after it became true, or at once when a
    // signal arrives at the host's thread, too. With null there is no such flag. It must outlive the process.
    void set_interrupt_flag(const std::atomic<bool>* flag) { interrupted_ = flag; }
    // While all threads wait, `wants_pause` is asked some times a second, and ends the wait with Outcome::Next::paused.
    // With null nobody is asked.
    void set_pause_check(std::function<bool()> wants_pause) { wants_pause_ = std::move(wants_pause); }

    // Sets everything back to `state`, also what is only cached here.
    void restore(const ProcessState& state) {
        state_ = state;
        cpu_ = {};
    }

    ProcessState& state() { return state_; }
    const ProcessState& state() const { return state_; }

  private:
    // Makes a copy of a frozen process one of its own: with an id and random bytes that are fresh, and timers that run.
    void begin_fork();
    // How far a call has come: its result is known, or its thread waits.
    enum class CallProgress { returned, waiting };
    // Makes one call of the running thread. `again` is what the thread was parked with, when it is made once more.
    CallProgress make_call(const Processor& on, const Waiter& waiter, const Wait* again, Outcome& outcome);
    // Lets threads run in turn until one is back in user mode, or the process has ended.
    Outcome schedule(const Processor& on, const Waiter& waiter);
    bool choose_thread(const Processor& on);
    // Has a thread to wait until Options::input or Options::client has more?
    bool waits_for_caller() const;
    bool has_thread_for_caller() const;
    // When the first thread is ready that waits for a moment, or a timer expires; nullopt: none does.
    std::optional<Clock::time_point> next_wake() const;
    // Sleeps until a thread may be ready.
    void sleep(const Waiter& waiter) const;

    GuestMemory& memory_;
    const Options& options_;
    ProcessState state_;
    const std::atomic<bool>* interrupted_ = nullptr;
    std::function<bool()> wants_pause_;
    CpuMeter cpu_;
};

}  // namespace tinykvm::linux_abi

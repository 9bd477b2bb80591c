// A debugger, as the machine sees it, and a program that stands still, as a debugger sees it.
//
// Owner: who runs the machine owns the debugger, the machine the target. Thread safety: the thread that runs the guest.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "tinykvm/registers.hpp"
#include "tinykvm/types.hpp"

namespace tinykvm::debug {

// The registers of a thread that its program sees.
struct ThreadRegisters {
    Registers general;
    std::uint64_t fs_base = 0, gs_base = 0;
    std::vector<std::byte> vectors;  // an XSAVE image in standard format (Intel SDM volume 1, 13.4)
};

class Target {
  public:
    virtual ~Target() = default;

    // The numbers of all threads; the one that stopped is the first.
    virtual std::vector<int> threads() const = 0;
    virtual std::string thread_name(int thread) const = 0;
    // Of a thread; zeros and no image when there is none of that number.
    virtual ThreadRegisters registers(int thread) const = 0;
    // Sets those of the thread that stopped, but not the segment bases. False when it waits in a system call, or the
    // vector registers are not valid.
    virtual bool set_registers(const ThreadRegisters& registers) = 0;
    // Makes another thread the one that goes on. False when it waits in a system call.
    virtual bool switch_to(int thread) = 0;
    // False when a part is not mapped. What is written may be code.
    virtual bool read(GuestAddr from, std::span<std::byte> to) const = 0;
    virtual bool write(GuestAddr to, std::span<const std::byte> from) = 0;
    virtual const std::string& auxiliary_vector() const = 0;
    virtual const std::string& program_path() const = 0;
    // Does the vector state have the upper halves of the AVX registers?
    virtual bool has_avx() const = 0;
    // Has the run to end, so that nobody may wait any more?
    virtual bool is_interrupted() const = 0;
};

class Debugger {
  public:
    enum class Resume {
        go_on,    // the signal is forgotten
        step,     // the same for one instruction
        deliver,  // the program gets the signal
        kill,
    };
    // Why the program stands before an instruction.
    enum class Event {
        start,    // nothing of it has run
        signal,   // it would get this signal
        crash,    // this signal would end it; asked only when the debugger has not been asked about it as `signal`
        request,  // it has asked for a debugger
        pause,    // wants_stop()
    };
    virtual ~Debugger() = default;

    // Has it the program in its hands? Then it is asked at each event, and breakpoints are in the program's memory;
    // otherwise only at `start`, `crash` and `request`, and what is no `start` may be waited for.
    virtual bool is_attached() const = 0;
    // Says how the program goes on. A call with a target that is_interrupted() returns soon. Throws MachineError.
    virtual Resume stopped(Target& target, int signal, Event event) = 0;
    // Is a breakpoint of the debugger there?
    virtual bool has_breakpoint(GuestAddr address) const = 0;
    // Asked some times a second while an attached program runs: does it want it to stop?
    virtual bool wants_stop() = 0;
    // When the time is up for which it may have the program.
    virtual Deadline deadline() const = 0;
    // Takes its breakpoints out of the program's memory, and lets the program go. Any state.
    virtual void let_go(Target& target) = 0;
};

}  // namespace tinykvm::debug

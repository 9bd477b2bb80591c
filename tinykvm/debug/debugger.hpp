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

class Target {
  public:
    virtual ~Target() = default;

    // The numbers of all threads; the one that stopped is the first.
    virtual std::vector<int> threads() const = 0;
    virtual std::string thread_name(int thread) const = 0;
    // Of a thread; zeros when there is none of that number.
    virtual Registers registers(int thread) const = 0;
    // Only the thread that stopped can get others.
    virtual bool set_registers(const Registers& registers) = 0;
    // Makes another thread the one that goes on. False when it waits in a system call.
    virtual bool switch_to(int thread) = 0;
    // False when a part is not mapped. What is written may be code.
    virtual bool read(GuestAddr from, std::span<std::byte> to) const = 0;
    virtual bool write(GuestAddr to, std::span<const std::byte> from) = 0;
    virtual const std::string& auxiliary_vector() const = 0;
    virtual const std::string& program_path() const = 0;
};

class Debugger {
  public:
    enum class Resume {
        go_on,    // the signal is forgotten
        step,     // the same for one instruction
        deliver,  // the program gets the signal
        kill,
    };
    virtual ~Debugger() = default;

    // The program stands before an instruction, for this signal. Returns how it goes on. Throws MachineError.
    virtual Resume stopped(Target& target, int signal) = 0;
    // Is a breakpoint of the debugger there?
    virtual bool has_breakpoint(GuestAddr address) const = 0;
};

}  // namespace tinykvm::debug

// What it means that a guest has left its user mode: for the thread of a program that a Linux signal may stop, and for
// the program.
//
// Thread safety: functions of their arguments.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "tinykvm/kvm/vcpu.hpp"
#include "tinykvm/memory/guest_memory.hpp"
#include "tinykvm/memory/regions.hpp"
#include "tinykvm/registers.hpp"
#include "tinykvm/types.hpp"

namespace tinykvm {

// Has KVM completed the instruction that caused the exit? Stores other than that of a call may have more pieces.
bool is_whole(const kvm::Exit& exit);

// An exception that a vCPU of this number has left the guest for, as the handler found it.
struct TakenException {
    Registers at;  // where it happened
    std::uint32_t error_code;
    bool in_user_mode;  // else the guest is to be ended
};
TakenException taken_exception(const std::byte* system_block, unsigned vector, unsigned cpu,
                               const Registers& of_handler);
std::string describe_supervisor_exception(unsigned vector);

// How Linux signals an exception that is neither a page fault nor a general protection fault.
struct ExceptionSignal {
    int signal, code;
    std::string reason;
};
ExceptionSignal signal_of(unsigned vector);
// The same of an exit that is a fault of the guest's by itself. Throws MachineError when it is none.
ExceptionSignal signal_of(const kvm::Exit& exit);

// Of a page fault, by its error code: does the mapping allow the access? If so, tables and mapping disagree for now.
bool is_access_allowed(std::uint32_t error_code, const Region* region);
// Does what lets a page fault of a further vCPU not happen again, if that is all there is to do.
enum class FurtherPageFault { settled, not_in_file, not_allowed };
FurtherPageFault settle_page_fault(GuestMemory& memory, GuestAddr address, std::uint32_t error_code);
std::string describe_page_fault(GuestAddr address, std::uint32_t error_code, const Region* region);

}  // namespace tinykvm

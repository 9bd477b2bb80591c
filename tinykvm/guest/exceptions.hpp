// What it means that a guest has left its user mode: for the thread of a program that a Linux signal may stop, and for
// the program.
//
// Thread safety: functions of their arguments.
#pragma once

#include <cstdint>
#include <string>

#include "tinykvm/kvm/vcpu.hpp"
#include "tinykvm/memory/regions.hpp"
#include "tinykvm/types.hpp"

namespace tinykvm {

// Has KVM completed the instruction that caused the exit? Stores other than that of a call may have more pieces.
bool is_whole(const kvm::Exit& exit);

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
std::string describe_page_fault(GuestAddr address, std::uint32_t error_code, const Region* region);

}  // namespace tinykvm

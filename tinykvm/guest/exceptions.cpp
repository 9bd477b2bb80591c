#include "tinykvm/guest/exceptions.hpp"

#include <csignal>
#include <cstdio>

#include "tinykvm/errors.hpp"
#include "tinykvm/x86/descriptor_tables.hpp"

namespace tinykvm {

namespace {

using Reason = kvm::Exit::Reason;

// The error code of a page fault (Intel SDM volume 3, 4.7).
constexpr std::uint32_t fault_present = 1, fault_write = 2, fault_fetch = 16;

}  // namespace

TakenException taken_exception(const std::byte* system_block, unsigned vector, unsigned cpu,
                               const Registers& of_handler) {
    const x86::ExceptionFrame frame = x86::read_exception_frame(system_block, vector, cpu);
    TakenException taken{of_handler, static_cast<std::uint32_t>(frame.error_code), (frame.cs & 3) == 3};
    taken.at.rip = frame.rip;
    taken.at.rsp = frame.rsp;
    taken.at.rflags = frame.rflags;
    return taken;
}

std::string describe_supervisor_exception(unsigned vector) {
    return "exception " + std::to_string(vector) + " in supervisor mode";
}

bool is_whole(const kvm::Exit& exit) {
    switch (exit.reason) {
        case Reason::store: return exit.size == sizeof(std::uint32_t) && exit.address % 8 == 0;
        case Reason::load:
        case Reason::shutdown:
        case Reason::not_emulated:
        case Reason::failed: return false;
        case Reason::port:
        case Reason::memory_refused:
        case Reason::interrupted:
        case Reason::ring_full: return true;
    }
    return false;
}

ExceptionSignal signal_of(unsigned vector) {
    switch (vector) {
        case 0: return {SIGFPE, FPE_INTDIV, "division error"};
        case 1: return {SIGTRAP, TRAP_TRACE, "debug exception"};
        case 3: return {SIGTRAP, SI_KERNEL, "breakpoint"};
        case 6: return {SIGILL, ILL_ILLOPN, "invalid instruction"};
        case 12: return {SIGBUS, SI_KERNEL, "stack segment fault"};
        case 16: return {SIGFPE, FPE_FLTINV, "x87 exception"};
        case 17: return {SIGBUS, BUS_ADRALN, "unaligned access"};
        case 19: return {SIGFPE, FPE_FLTINV, "SIMD exception"};
        default: return {SIGSEGV, SI_KERNEL, "exception " + std::to_string(vector)};
    }
}

ExceptionSignal signal_of(const kvm::Exit& exit) {
    switch (exit.reason) {
        case Reason::load: return {SIGSEGV, SI_KERNEL, "read of the doorbell page"};
        case Reason::memory_refused:
            return {SIGSEGV, SEGV_ACCERR, "access to memory that was unmapped or protected (address not known)"};
        case Reason::shutdown: return {SIGSEGV, SI_KERNEL, "triple fault"};
        case Reason::not_emulated:
            return {SIGILL, SI_KERNEL, "an instruction that KVM would have to emulate and cannot"};
        case Reason::store:
        case Reason::port:
        case Reason::interrupted:
        case Reason::ring_full:
        case Reason::failed: break;
    }
    throw MachineError("KVM could not run the guest (reason " + std::to_string(exit.value) + ")");
}

bool is_access_allowed(std::uint32_t error_code, const Region* region) {
    return region && (error_code & fault_fetch   ? region->protection.execute
                      : error_code & fault_write ? region->protection.write
                                                 : region->protection.accessible());
}

// An entry may be from before a right was added, or the page one of a file that has not been shown yet.
FurtherPageFault settle_page_fault(GuestMemory& memory, GuestAddr address, std::uint32_t error_code) {
    if (!is_access_allowed(error_code, memory.regions().find(address))) return FurtherPageFault::not_allowed;
    const FileMemory::Fault fault = memory.files().fault_in(address);
    const bool settled = fault == FileMemory::Fault::none || fault == FileMemory::Fault::mapped;
    return settled ? FurtherPageFault::settled : FurtherPageFault::not_in_file;
}

std::string describe_page_fault(GuestAddr address, std::uint32_t error_code, const Region* region) {
    char text[96];
    std::snprintf(text, sizeof text, "page fault at 0x%lx (%s, %s)", static_cast<unsigned long>(address),
                  !region                      ? "not mapped"
                  : error_code & fault_present ? "not permitted"
                                               : "protected",
                  error_code & fault_fetch   ? "execute"
                  : error_code & fault_write ? "write"
                                             : "read");
    std::string reason = text;
    if (region && region->name == "[stack guard]") reason += ": stack overflow";
    return reason;
}

}  // namespace tinykvm

#include "tinykvm/errors.hpp"

#include <csignal>
#include <cstdio>
#include <cstring>

namespace tinykvm {

MachineError MachineError::from_errno(const std::string& what, int error) {
    return MachineError(what + ": " + std::strerror(error));
}

NotAllowed::NotAllowed(const std::string& what, std::string path)
    : LoadError(what + (what.ends_with(path) ? "" : " leads to " + path + ", which") + " is not in allowed_paths"),
      path_(std::move(path)) {}

OutOfMemory::OutOfMemory(std::string limit, std::size_t bytes)
    : Error("the program changed or added more memory than " + limit + " allows (" + std::to_string(bytes >> 20) +
            " MiB)"),
      limit_(std::move(limit)) {}

GuestFault::GuestFault(Details details)
    : Error("the program was killed by SIG" +
            std::string(::sigabbrev_np(details.signal) ? ::sigabbrev_np(details.signal) : "?") +
            (details.reason.empty() ? "" : ": " + details.reason)),
      details_(std::move(details)) {}

std::string GuestFault::report() const {
    const Registers& r = details_.registers;
    char text[700];
    std::snprintf(text, sizeof text,
                  "RIP %016lx RSP %016lx RFLAGS %08lx\n"
                  "RAX %016lx RBX %016lx RCX %016lx RDX %016lx\n"
                  "RSI %016lx RDI %016lx RBP %016lx R8  %016lx\n"
                  "R9  %016lx R10 %016lx R11 %016lx R12 %016lx\n"
                  "R13 %016lx R14 %016lx R15 %016lx\n",
                  r.rip, r.rsp, r.rflags, r.rax, r.rbx, r.rcx, r.rdx, r.rsi, r.rdi, r.rbp, r.r8, r.r9, r.r10, r.r11,
                  r.r12, r.r13, r.r14, r.r15);
    return std::string(what()) + "\n" + text + details_.backtrace;
}

}  // namespace tinykvm

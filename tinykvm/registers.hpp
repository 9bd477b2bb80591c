// The general registers of a guest program in user mode, as its own code sees them.
#pragma once

#include <cstdint>

namespace tinykvm {

struct Registers {
    std::uint64_t rax = 0, rbx = 0, rcx = 0, rdx = 0;
    std::uint64_t rsi = 0, rdi = 0, rsp = 0, rbp = 0;
    std::uint64_t r8 = 0, r9 = 0, r10 = 0, r11 = 0;
    std::uint64_t r12 = 0, r13 = 0, r14 = 0, r15 = 0;
    std::uint64_t rip = 0, rflags = 0x202;

    template <typename Archive>
    void archive(Archive& archive) {
        archive(rax, rbx, rcx, rdx, rsi, rdi, rsp, rbp, r8, r9, r10, r11, r12, r13, r14, r15, rip, rflags);
    }
    bool operator==(const Registers&) const = default;
};

}  // namespace tinykvm

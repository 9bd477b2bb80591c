// The tables a 64-bit CPU needs before it runs user code: segments, TSS, interrupt descriptors. Written once into
// the system block; selectors and bits as on Linux. Source: Intel SDM volume 3, chapters 3, 6, 8.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tinykvm/kvm/vcpu.hpp"
#include "tinykvm/types.hpp"
#include "tinykvm/x86/shim_ports.h"

namespace tinykvm::x86 {

inline constexpr std::uint16_t kernel_code = 0x10, kernel_data = 0x18;
inline constexpr std::uint16_t user_data = 0x2B, user_code = 0x33;
inline constexpr std::uint16_t star_user = 0x23;  // SYSRET: SS = +8, CS = +16
inline constexpr std::uint16_t task_state = 0x40;

// Flags user code may have; always with the reserved bit 1 and IF.
inline constexpr std::uint64_t user_flags = 0x244DD5;
inline constexpr std::uint64_t initial_flags = INITIAL_FLAGS;
constexpr std::uint64_t sanitize_flags(std::uint64_t flags) { return (flags & user_flags) | initial_flags; }

// Fills the pages of the system block whose first byte is at `base` on the host, except those other files own: clock
// page, vDSO, mailbox, vector registers and page tables.
void write_system_pages(std::byte* base);

// The system registers for user mode on these tables, made from those of a new vCPU.
kvm::SystemRegisters user_mode(kvm::SystemRegisters initial, std::uint64_t page_table_root, std::uint64_t extra_cr4);
// Gives the CPU of that number the stack of its own on which exceptions arrive.
void use_exception_stack(kvm::SystemRegisters& registers, unsigned cpu);
// Sets code and stack segment to those of user mode, after an entry at CPL0.
void enter_user_segments(kvm::SystemRegisters& registers);
inline bool in_user_mode(const kvm::SystemRegisters& registers) { return (registers.cs.selector & 3) == 3; }

// What the CPU pushed for an exception, as found on its exception stack.
struct ExceptionFrame {
    std::uint64_t error_code = 0, rip = 0, cs = 0, rflags = 0, rsp = 0, ss = 0;
};
constexpr bool has_error_code(unsigned vector) {
    return vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 ||
           vector == 30;
}
ExceptionFrame read_exception_frame(const std::byte* base, unsigned vector, unsigned cpu = 0);

// How the shim says what happened (x86/shim_ports.h).
inline constexpr std::uint64_t syscall_port = PORT_SYSCALL, exception_port = PORT_EXCEPTION;
inline constexpr std::uint64_t doorbell_host_call = DOORBELL_HOST_CALL, doorbell_syscall = DOORBELL_SYSCALL,
                               doorbell_leave = DOORBELL_LEAVE;
inline constexpr std::uint32_t host_call_returned = HOST_CALL_RETURNED;

// Guest addresses of entry points in shim.S.

// What LSTAR is set to; `at_cpl0` as Platform::syscall_at_cpl0().
GuestAddr syscall_entry(bool at_cpl0);
// What takes the place of SYSCALL where that stays in user mode, with the registers that SYSCALL leaves.
GuestAddr stub_syscall_entry();
// Loads the vector registers of the snapshot and calls the function in R11.
GuestAddr call_entry();
// Waits for a call in the mailbox; `with_vectors`: loads the vector registers of the snapshot before.
GuestAddr wait_entry(bool with_vectors);
// Touches the pages of the ranges from RDI to RSI, and leaves the guest (guest/first_touch.hpp).
GuestAddr touch_entry();
// Where a function that the host calls returns to.
GuestAddr return_entry();
// Where a function returns to that a further CPU runs.
GuestAddr cpu_return_entry();
// Is it an instruction of the shim?
bool in_shim(GuestAddr rip);
// Calls the host with the registers of a host call, to go on at the address in R11.
GuestAddr host_call_entry();
// Leaves the guest with the futex call that is in its registers, to go on at the address in RCX.
GuestAddr leave_with_futex();
// The instruction that reads the word of a futex for the shim.
GuestAddr futex_word_access();
// The instruction pointer of a guest that has left with a host call; the guest goes on at the address in R11.
GuestAddr host_call_end();

}  // namespace tinykvm::x86

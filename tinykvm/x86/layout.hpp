// Where things are in a guest. The numbers of the system block are part of the guest ABI
// (guest-api/kvm_api.h jumps into the shim, older programs store to the doorbell) and never change.
//
//   guest virtual                                guest physical
//   0x0000010000  user_begin                     0x1_0000_0000  window: block 0 is the system block,
//        program, heap (brk)                                    then 2 MiB blocks in the order in which
//        ...                                                    guest addresses become accessible
//        mappings, growing down                  0xE000_0000    doorbell: no memory there
//        stack
//   0x7FFFE00000  system block (2 MiB)
//        +0x000000  clock page (read-only, shared by all VMs of this process)
//        +0x001000  descriptor tables, exception entries                    supervisor only
//        +0x004000  shim: code in user mode; at +0x004800 where programs call the host
//        +0x005000  exception stack                                         supervisor only
//        +0x006000  vDSO
//        +0x00A000  mailbox: calls and answers without leaving the guest, readable and writable
//        +0x00B000  vector registers of the snapshot: an XSAVE image, read-only
//        +0x00F000  scratch page: what KVM writes to fill its dirty ring    not mapped for the guest
//        +0x010000  threads the shim may hand over to, readable and writable
//        +0x020000  page tables                                             not mapped for the guest
//        +0x1FF000  doorbell: a 4-byte store here leaves the guest
//   0x8000000000  stacks of the further CPUs, of programs that have some: 8 MiB for each number, 0 left out
//        ... 0x7FFFFFFFF000  free for mappings at addresses the program asks for
#pragma once

#include <cstdint>

#include "tinykvm/types.hpp"

namespace tinykvm::x86 {

inline constexpr GuestAddr user_begin = 0x10000;
inline constexpr GuestAddr system_begin = 0x7FFFE00000;
inline constexpr GuestAddr system_end = 0x8000000000;
inline constexpr GuestAddr user_end = 0x7FFFFFFFF000;  // as on Linux: TASK_SIZE with 4-level paging
inline constexpr GuestAddr stack_top = system_begin - 0x200000;

// How many CPUs a VM may have, and where the stack of each further one ends. vcpuid() of guest-api/kvm_api.h takes the
// number of its CPU from the address of its stack.
inline constexpr unsigned max_cpus = 8;
inline constexpr std::size_t cpu_stack_size = 0x800000;
constexpr GuestAddr cpu_stack_top(unsigned cpu) { return system_end + (cpu + 1) * cpu_stack_size; }

// Offsets in the system block.
inline constexpr std::size_t clock_page_offset = 0x0000;   // first: mapped before the image, not into it
inline constexpr std::size_t descriptors_offset = 0x1000;  // GDT and TSS
inline constexpr std::size_t idt_offset = 0x2000;
inline constexpr std::size_t entries_offset = 0x3000;  // exception and SYSCALL entries at CPL0
inline constexpr std::size_t shim_offset = 0x4000;
inline constexpr std::size_t kernel_stack_offset = 0x5000;
inline constexpr std::size_t vdso_offset = 0x6000;
inline constexpr std::size_t vdso_max_size = 0x4000;
inline constexpr std::size_t mailbox_offset = 0xA000;
// Room for all that XRSTOR may look at: where user mode runs natively, the CPU wants its whole XSAVE area to be
// readable, which is 11,008 bytes with AMX, also when the guest has none of it.
inline constexpr std::size_t vectors_offset = 0xB000;
inline constexpr std::size_t vectors_max_size = 0x4000;
inline constexpr std::size_t scratch_offset = 0xF000;
inline constexpr std::size_t hand_over_offset = 0x10000;
inline constexpr std::size_t hand_over_size = 0x10000;
inline constexpr std::size_t page_tables_offset = 0x20000;
inline constexpr std::size_t doorbell_offset = 0x1FF000;

inline constexpr GuestAddr shim = system_begin + shim_offset;
inline constexpr GuestAddr clock_page = system_begin + clock_page_offset;
inline constexpr GuestAddr vdso = system_begin + vdso_offset;
// Where programs jump that are to stop at their entry point: no code is there for a guest.
inline constexpr GuestAddr entry_stop = system_begin + scratch_offset;
inline constexpr GuestAddr doorbell = system_begin + doorbell_offset;
inline constexpr GuestAddr mailbox = system_begin + mailbox_offset;
static_assert(doorbell == 0x7FFFFFF000);

// Guest-physical addresses.
inline constexpr std::uint64_t window_base = 0x100000000;
inline constexpr std::uint64_t doorbell_physical = 0xE0000000;

}  // namespace tinykvm::x86

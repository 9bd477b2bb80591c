#include "tinykvm/x86/descriptor_tables.hpp"

#include <cstring>

#include "tinykvm/x86/layout.hpp"

extern "C" {
extern const char tinykvm_entries_begin[], tinykvm_entries_end[];
extern const char tinykvm_entry_syscall[], tinykvm_entry_exceptions[];
extern const char tinykvm_shim_begin[], tinykvm_shim_end[], tinykvm_shim_syscall[], tinykvm_shim_call[],
    tinykvm_shim_return[], tinykvm_shim_wait[], tinykvm_shim_wait_restored[], tinykvm_shim_host_call_end[],
    tinykvm_shim_leave_futex[], tinykvm_shim_futex_word[], tinykvm_shim_stub_syscall[], tinykvm_shim_cpu_return[],
    tinykvm_shim_touch[];
}

namespace tinykvm::x86 {

namespace {

static_assert(vectors_offset - shim_offset == SHIM_TO_VECTORS);
static_assert(hand_over_offset - shim_offset == SHIM_TO_HAND_OVER);
static_assert(mailbox == MAILBOX && shim == SHIM && user_end == USER_END);

// One for each CPU, in the descriptor page after the GDT. The GDT has that of the first only: no CPU loads its own from
// there.
constexpr std::size_t tss_offset = 0x100;
constexpr std::size_t tss_size = 104, tss_distance = 128;
static_assert(tss_offset + max_cpus * tss_distance <= page_size);
// The exception stacks of all CPUs share a page: nothing but one frame is ever on them.
constexpr std::size_t exception_stack_size = page_size / max_cpus;
constexpr GuestAddr exception_stack_top(unsigned cpu) {
    return system_begin + kernel_stack_offset + page_size - 16 - cpu * exception_stack_size;
}
constexpr GuestAddr tss_address(unsigned cpu) {
    return system_begin + descriptors_offset + tss_offset + cpu * tss_distance;
}
constexpr std::size_t entry_size = 16;

void store(std::byte* to, std::uint64_t value) { std::memcpy(to, &value, sizeof value); }

// Accessed bits are set, so that the CPU never writes to the table.
constexpr std::uint64_t code_segment(unsigned dpl) { return 0x00AF9B000000FFFFull | std::uint64_t{dpl} << 45; }
constexpr std::uint64_t data_segment(unsigned dpl) { return 0x00CF93000000FFFFull | std::uint64_t{dpl} << 45; }

GuestAddr entry_address(const char* label) {
    return system_begin + entries_offset + static_cast<std::size_t>(label - tinykvm_entries_begin);
}

GuestAddr shim_address(const char* label) { return shim + static_cast<std::size_t>(label - tinykvm_shim_begin); }

kvm::Segment segment(std::uint16_t selector, bool code) {
    kvm::Segment s;
    s.limit = 0xFFFFFFFF;
    s.selector = selector;
    s.type = code ? 11 : 3;
    s.present = 1;
    s.dpl = selector & 3;
    s.db = !code;
    s.s = 1;
    s.l = code;
    s.g = 1;
    return s;
}

}  // namespace

void write_system_pages(std::byte* base) {
    std::byte* gdt = base + descriptors_offset;
    store(gdt + kernel_code, code_segment(0));
    store(gdt + kernel_data, data_segment(0));
    store(gdt + (user_data & ~7), data_segment(3));
    store(gdt + (user_code & ~7), code_segment(3));
    const std::uint64_t tss = tss_address(0);
    store(gdt + task_state, 0x00008B0000000000ull | (tss_size - 1) | (tss & 0xFFFFFF) << 16 | (tss >> 24 & 0xFF) << 56);
    store(gdt + task_state + 8, tss >> 32);

    for (unsigned cpu = 0; cpu < max_cpus; ++cpu) {
        std::byte* task = gdt + tss_offset + cpu * tss_distance;
        store(task + 4, exception_stack_top(cpu));   // RSP0
        store(task + 36, exception_stack_top(cpu));  // IST1
        const std::uint16_t no_io_bitmap = tss_size;
        std::memcpy(task + 102, &no_io_bitmap, sizeof no_io_bitmap);
    }

    for (std::size_t vector = 0; vector < 32; ++vector) {
        GuestAddr handler = entry_address(tinykvm_entry_exceptions) + vector * entry_size;
        std::uint64_t dpl = vector == 3 || vector == 4 ? 3 : 0;  // INT3 and INTO are for user code
        std::byte* gate = base + idt_offset + vector * 16;
        store(gate, (handler & 0xFFFF) | std::uint64_t{kernel_code} << 16 | std::uint64_t{1} << 32 /* IST1 */ |
                        std::uint64_t{0x8E} << 40 | dpl << 45 | (handler >> 16 & 0xFFFF) << 48);
        store(gate + 8, handler >> 32);
    }
    std::memcpy(base + entries_offset, tinykvm_entries_begin, tinykvm_entries_end - tinykvm_entries_begin);
    std::memcpy(base + shim_offset, tinykvm_shim_begin, tinykvm_shim_end - tinykvm_shim_begin);
}

kvm::SystemRegisters user_mode(kvm::SystemRegisters registers, std::uint64_t page_table_root, std::uint64_t extra_cr4) {
    registers.cr0 = 0x80050033;  // PE MP ET NE WP AM PG
    registers.cr3 = page_table_root;
    registers.cr4 = 1 << 5 | 1 << 9 | 1 << 10 | extra_cr4;  // PAE OSFXSR OSXMMEXCPT
    registers.efer = 0xD01;                                 // SCE LME LMA NXE
    registers.gdt.base = system_begin + descriptors_offset;
    registers.gdt.limit = task_state + 15;
    registers.idt.base = system_begin + idt_offset;
    registers.idt.limit = 32 * 16 - 1;
    enter_user_segments(registers);
    registers.ds = registers.es = registers.fs = registers.gs = segment(user_data, false);
    registers.tr = {};
    use_exception_stack(registers, 0);
    registers.tr.limit = tss_size - 1;
    registers.tr.selector = task_state;
    registers.tr.type = 11;
    registers.tr.present = 1;
    registers.ldt = {};
    registers.ldt.unusable = 1;
    return registers;
}

void use_exception_stack(kvm::SystemRegisters& registers, unsigned cpu) { registers.tr.base = tss_address(cpu); }

void enter_user_segments(kvm::SystemRegisters& registers) {
    registers.cs = segment(user_code, true);
    registers.ss = segment(user_data, false);
}

ExceptionFrame read_exception_frame(const std::byte* base, unsigned vector, unsigned cpu) {
    constexpr std::size_t words = 5;
    const std::byte* top = base + (exception_stack_top(cpu) - system_begin);
    ExceptionFrame frame;
    std::memcpy(&frame.rip, top - words * 8, words * 8);
    if (has_error_code(vector)) std::memcpy(&frame.error_code, top - (words + 1) * 8, 8);
    return frame;
}

GuestAddr syscall_entry(bool at_cpl0) {
    return at_cpl0 ? entry_address(tinykvm_entry_syscall) : shim_address(tinykvm_shim_syscall);
}

GuestAddr stub_syscall_entry() { return shim_address(tinykvm_shim_stub_syscall); }
GuestAddr call_entry() { return shim_address(tinykvm_shim_call); }
GuestAddr wait_entry(bool with_vectors) {
    return shim_address(with_vectors ? tinykvm_shim_wait_restored : tinykvm_shim_wait);
}
GuestAddr host_call_entry() { return shim + SHIM_HOST_CALL; }
bool in_shim(GuestAddr rip) { return rip - shim < page_size; }
GuestAddr leave_with_futex() { return shim_address(tinykvm_shim_leave_futex); }
GuestAddr futex_word_access() { return shim_address(tinykvm_shim_futex_word); }
GuestAddr touch_entry() { return shim_address(tinykvm_shim_touch); }
GuestAddr cpu_return_entry() { return shim_address(tinykvm_shim_cpu_return); }
GuestAddr return_entry() { return shim_address(tinykvm_shim_return); }
GuestAddr host_call_end() { return shim_address(tinykvm_shim_host_call_end); }

}  // namespace tinykvm::x86

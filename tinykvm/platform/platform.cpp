#include "tinykvm/platform/platform.hpp"

#include <cpuid.h>
#include <x86intrin.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>

#include "tinykvm/errors.hpp"
#include "tinykvm/memory/guest_memory.hpp"
#include "tinykvm/os/mutex.hpp"
#include "tinykvm/platform/instruction_tests.hpp"
#include "tinykvm/x86/descriptor_tables.hpp"
#include "tinykvm/x86/layout.hpp"
#include "tinykvm/x86/shim_ports.h"

// The test code: one slot each, all ending with a store to the doorbell.
#define TEST_SLOT "128"
#define END_TEST "\n movabsl %eax, 0x7FFFFFF000\n ud2\n"
#define CODE(name, leaf, index, reg, bit, xcr0, code) ".balign " TEST_SLOT "\n" code END_TEST
asm(".pushsection .rodata\n .balign 4096\n .globl tinykvm_test_code, tinykvm_test_code_end\n tinykvm_test_code:\n"
    // 0: what SYSCALL leads to; the LSTAR code, in slot 1, reports its CS.
    "syscall\n ud2\n .balign " TEST_SLOT "\n movl %cs, %eax" END_TEST
    // 2: the time stamp counter, into (%rdi)
    ".balign " TEST_SLOT "\n rdtsc\n movl %eax, (%rdi)\n movl %edx, 4(%rdi)" END_TEST TINYKVM_X86_INSTRUCTION_TESTS(
        CODE) ".balign " TEST_SLOT "\n tinykvm_test_code_end:\n .popsection\n");
extern "C" const char tinykvm_test_code[], tinykvm_test_code_end[];

namespace tinykvm::x86 {

using kvm::CpuidEntry;

namespace {

constexpr std::size_t test_slot = 128;
constexpr std::size_t syscall_test = 0, lstar_code = 1, tsc_test = 2, first_instruction_test = 3;
constexpr GuestAddr test_code = 0x400000, test_data = 0x600000;

struct InstructionTest {
    const char* name;
    std::uint32_t function, index;
    std::uint32_t CpuidEntry::*reg;
    unsigned bit;
    std::uint64_t vector_state;
};
constexpr InstructionTest instruction_tests[] = {
#define ROW(name, leaf, index, reg, bit, xcr0, code) {name, leaf, index, &CpuidEntry::reg, bit, xcr0},
    TINYKVM_X86_INSTRUCTION_TESTS(ROW)
#undef ROW
};

CpuidEntry host_cpuid(std::uint32_t function, std::uint32_t index) {
    CpuidEntry e;
    e.function = function;
    e.index = index;
    if (static_cast<std::uint32_t>(__get_cpuid_max(function & 0x80000000, nullptr)) >= function)
        __cpuid_count(function, index, e.eax, e.ebx, e.ecx, e.edx);
    return e;
}

bool has(const CpuidEntry* entry, const InstructionTest& test) { return entry && (entry->*test.reg >> test.bit & 1); }

__attribute__((target("xsave"))) std::uint64_t host_xcr0() { return _xgetbv(0); }

CpuidEntry* find(std::vector<CpuidEntry>& table, std::uint32_t function, std::uint32_t index) {
    for (CpuidEntry& e : table)
        if (e.function == function && (e.index == index || !(e.flags & CpuidEntry::index_is_significant))) return &e;
    return nullptr;
}

CpuidEntry& find_or_add(std::vector<CpuidEntry>& table, std::uint32_t function, std::uint32_t index) {
    if (CpuidEntry* entry = find(table, function, index)) return *entry;
    CpuidEntry entry;
    entry.function = function;
    entry.index = index;
    if (function == 7 || function == 0xD) entry.flags = CpuidEntry::index_is_significant;
    return table.emplace_back(entry);
}

// Programs read all leaves when they start, and each CPUID instruction leaves the guest. So the table ends with the
// last leaf that says something.
void drop_empty_leaves(std::vector<CpuidEntry>& table) {
    for (const std::uint32_t base : {0u, 0x80000000u}) {
        const auto in_range = [base](const CpuidEntry& e) { return (e.function & 0xF0000000) == base; };
        std::uint32_t last = base;
        for (const CpuidEntry& e : table)
            if (in_range(e) && (e.eax | e.ebx | e.ecx | e.edx)) last = std::max(last, e.function);
        find_or_add(table, base, 0).eax = last;
        std::erase_if(table, [&](const CpuidEntry& e) { return in_range(e) && e.function > last; });
    }
}

// Saves exits when programs start. Leaf 2 of today's CPUs says "see leaf 4", and glibc then reads leaf 4 from its
// beginning for each number it wants to know. It does not when leaf 2 describes that cache itself, which it can with
// one byte for some (Intel SDM volume 2A, table 3-12). So leaf 2 gets those bytes, followed by what it said before.
void describe_caches(std::vector<CpuidEntry>& table) {
    struct Cache {
        std::uint8_t descriptor;
        std::uint32_t kind, ways, sets;  // leaf 4: EAX 7:0; with lines of 64 bytes
    };
    constexpr Cache known[] = {{0x30, 0x22, 8, 64}, {0x2C, 0x21, 8, 64}, {0x21, 0x43, 8, 512}};
    constexpr std::uint8_t see_leaf_4 = 0xFF;
    CpuidEntry* leaf = find(table, 2, 0);
    if (!leaf || (leaf->eax & 0xFF) != 1) return;  // not to be read just once
    std::uint32_t* const words[] = {&leaf->eax, &leaf->ebx, &leaf->ecx, &leaf->edx};
    std::vector<std::uint8_t> said, bytes;
    for (const std::uint32_t* word : words)
        for (int shift = word == &leaf->eax ? 8 : 0; shift < 32 && !(*word >> 31); shift += 8)
            if (const auto byte = static_cast<std::uint8_t>(*word >> shift)) said.push_back(byte);
    if (said.empty() || said.front() != see_leaf_4) return;
    for (const Cache& cache : known)
        for (const CpuidEntry& e : table)
            if (e.function == 4 && (e.eax & 0xFF) == cache.kind && e.ecx == cache.sets - 1 &&
                e.ebx == ((cache.ways - 1) << 22 | 63u))
                bytes.push_back(cache.descriptor);
    if (bytes.empty()) return;
    for (const std::uint8_t byte : said) bytes.push_back(byte);
    auto next = bytes.begin();
    for (std::uint32_t* word : words) {
        *word = word == &leaf->eax ? 1 : 0;
        for (int shift = word == &leaf->eax ? 8 : 0; shift < 32 && next != bytes.end(); shift += 8)
            if (shift < 24 || *next < 0x80)  // with bit 31 set the CPU would say that the register is not valid
                *word |= std::uint32_t{*next++} << shift;
    }
}

// A VM that runs one test after another.
class TestGuest {
  public:
    TestGuest(const kvm::System& system, const Platform& platform)
        : platform_(platform),
          vm_(0, Clock::now() + kvm::usual_creation_time, system),
          memory_(vm_, {.bytes = std::size_t{4} << 20, .name = "probe", .address_space = std::size_t{16} << 20}),
          vcpu_(vm_, platform.cpuid()) {
        const std::size_t size = static_cast<std::size_t>(tinykvm_test_code_end - tinykvm_test_code);
        const Protection data{.read = true, .write = true}, code{.read = true, .execute = true};
        bool ok = memory_.map(test_code, page_ceil(size), data) == 0 && memory_.map(test_data, page_size, data) == 0 &&
                  memory_.write(test_code, tinykvm_test_code, size) &&
                  memory_.protect(test_code, page_ceil(size), code) == 0;
        if (!ok) throw MachineError("cannot lay out the guest that tests the processor");
        platform_.prepare(vcpu_, memory_.page_table_root());
        user_ = vcpu_.system_registers();
        // Where this KVM refuses LSTAR, the test of SYSCALL fails.
        (void)vcpu_.set_msrs({{0xC0000082, test_code + lstar_code * test_slot}});
        tsc_follows_ = vcpu_.follow_host_tsc();
    }

    // The value the test stored to the doorbell; nullopt when it did anything else.
    std::optional<std::uint64_t> run(std::size_t test) {
        Registers registers;
        registers.rip = test_code + test * test_slot;
        registers.rdi = test_data;
        registers.rsp = test_data + page_size - 64;
        vcpu_.set_registers(registers);
        vcpu_.set_system_registers(user_);
        kvm::Exit exit = vcpu_.run();
        if (exit.reason == kvm::Exit::Reason::store && exit.address == doorbell_physical && exit.size == 4)
            return exit.value;
        if (exit.reason != kvm::Exit::Reason::port && !vcpu_.clear_pending())
            throw MachineError("this KVM stops in the middle of an instruction that guests are tested for");
        return std::nullopt;
    }

    bool tsc_is_the_hosts() {
        if (!tsc_follows_) return false;
        const std::uint64_t before = __rdtsc();
        bool done = run(tsc_test).has_value();
        const std::uint64_t after = __rdtsc();
        std::uint64_t seen = 0;
        return done && memory_.read(test_data, seen) && before <= seen && seen <= after;
    }

  private:
    const Platform& platform_;
    kvm::Vm vm_;
    GuestMemory memory_;
    kvm::Vcpu vcpu_;
    kvm::SystemRegisters user_;
    bool tsc_follows_ = false;
};

}  // namespace

const CpuidEntry* Platform::leaf(std::uint32_t function, std::uint32_t index) const {
    return find(const_cast<std::vector<CpuidEntry>&>(cpuid_), function, index);
}

// The vector state guests get: what KVM offers; where it offers none, what the host's user mode has. AMX is left
// out, because it needs a permission of its own, and so are protection keys, which need a kernel in the guest.
void Platform::choose_vector_state(const kvm::System&) {
    constexpr std::uint64_t usable = 0xE7;  // x87, SSE, AVX, AVX-512
    const CpuidEntry host1 = host_cpuid(1, 0);
    const bool host_xsave = host1.ecx >> 27 & 1;
    if (const CpuidEntry* d = leaf(0xD, 0); d && d->eax)
        xcr0_ = (d->eax | std::uint64_t{d->edx} << 32) & usable;
    else if (host_xsave)
        xcr0_ = host_xcr0() & usable;
    if (!xcr0_) return;

    std::uint32_t size = 512 + 64;
    for (unsigned component = 2; component < 8; ++component) {
        if (!(xcr0_ >> component & 1)) continue;
        CpuidEntry part = host_cpuid(0xD, component);
        find_or_add(cpuid_, 0xD, component) = part;
        find_or_add(cpuid_, 0xD, component).flags = CpuidEntry::index_is_significant;
        size = std::max(size, part.ebx + part.eax);
    }
    vector_state_size_ = size;
    CpuidEntry& main = find_or_add(cpuid_, 0xD, 0);
    main.eax = static_cast<std::uint32_t>(xcr0_);
    main.ebx = main.ecx = size;
    main.edx = 0;
    main.flags = CpuidEntry::index_is_significant;
    CpuidEntry& extended = find_or_add(cpuid_, 0xD, 1);
    extended = host_cpuid(0xD, 1);
    extended.flags = CpuidEntry::index_is_significant;
    extended.eax &= 7;  // XSAVEOPT, XSAVEC, XGETBV 1; XSAVES is for kernels
    extended.ebx = size;
    extended.ecx = extended.edx = 0;
    cpuid_.erase(std::remove_if(cpuid_.begin(), cpuid_.end(),
                                [&](const CpuidEntry& e) {
                                    return e.function == 0xD && e.index >= 2 && !(e.index < 8 && xcr0_ >> e.index & 1);
                                }),
                 cpuid_.end());
}

void Platform::finish_cpuid() {
    CpuidEntry& one = find_or_add(cpuid_, 1, 0);  // valid until the table grows
    hwcap_ = one.edx;
    constexpr std::uint32_t xsave = 1u << 26, osxsave = 1u << 27;
    one.ecx = xcr0_ ? one.ecx | xsave | osxsave : one.ecx & ~(xsave | osxsave);
    one.ecx &= ~(1u << 3 | 1u << 5 | 1u << 24);  // MONITOR, VMX, TSC deadline: not for programs
    if (CpuidEntry* seven = find(cpuid_, 7, 0)) {
        seven->ecx &= ~(1u << 3 | 1u << 4);               // protection keys
        seven->edx &= ~(1u << 22 | 1u << 24 | 1u << 25);  // AMX
        if (const CpuidEntry* more = find(cpuid_, 7, 1); more && more->index == 1)
            seven->eax = std::max(seven->eax, 1u);
    }
    drop_empty_leaves(cpuid_);
    describe_caches(cpuid_);
    const CpuidEntry* seven = leaf(7);
    const bool fsgsbase = seven && (seven->ebx & 1);
    hwcap2_ = fsgsbase ? 2 : 0;
    cr4_ = (fsgsbase ? 1u << 16 : 0) | (xcr0_ ? 1u << 18 : 0);
    if (syscall_at_cpl0_ && seven) {
        if (seven->ebx >> 7 & 1) cr4_ |= 1u << 20;   // SMEP
        if (seven->ebx >> 20 & 1) cr4_ |= 1u << 21;  // SMAP
    }
}

Platform::Platform(const kvm::System& system)
    : cpuid_(system.supported_cpuid().begin(), system.supported_cpuid().end()) {
    choose_vector_state(system);

    // Offer everything the host has, and keep what KVM itself announces or what proves to work.
    const std::vector<CpuidEntry> announced = cpuid_;
    for (const InstructionTest& test : instruction_tests) {
        CpuidEntry host = host_cpuid(test.function, test.index);
        if (has(&host, test) && (test.vector_state & ~xcr0_) == 0)
            find_or_add(cpuid_, test.function, test.index).*test.reg |= 1u << test.bit;
    }
    finish_cpuid();
    std::optional<TestGuest> guest;
    try {
        guest.emplace(system, *this);
    } catch (const MachineError&) {  // this KVM does not take more than it announces
        cpuid_ = announced;
        finish_cpuid();
        guest.emplace(system, *this);
    }

    auto cs = guest->run(syscall_test);
    if (!cs) throw MachineError("this KVM does not deliver SYSCALL to the guest: guests cannot make system calls");
    syscall_at_cpl0_ = (*cs & 3) == 0;
    guest_has_host_tsc_ = guest->tsc_is_the_hosts();

    std::size_t slot = first_instruction_test;
    for (const InstructionTest& test : instruction_tests) {
        CpuidEntry host = host_cpuid(test.function, test.index);
        CpuidEntry* entry = find(cpuid_, test.function, test.index);
        bool works = has(entry, test) && guest->run(slot).has_value();
        if (entry && !works) entry->*test.reg &= ~(1u << test.bit);
        instructions_.push_back({test.name, has(&host, test), works});
        ++slot;
    }
    finish_cpuid();
}

void Platform::prepare(kvm::Vcpu& vcpu, std::uint64_t page_table_root) const {
    if (xcr0_) vcpu.set_xcr0(xcr0_);
    vcpu.set_system_registers(user_mode(vcpu.initial_system_registers(), page_table_root, cr4_));
    constexpr std::uint32_t star = 0xC0000081, lstar = 0xC0000082, fmask = 0xC0000084;
    constexpr std::uint64_t masked_flags = 0x47700;  // TF IF DF IOPL NT AC... as Linux
    if (!vcpu.set_msrs({{star, std::uint64_t{kernel_code} << 32 | std::uint64_t{star_user} << 48},
                        {lstar, syscall_entry(syscall_at_cpl0_)},
                        {fmask, masked_flags}}))
        throw MachineError("this KVM refuses the registers of SYSCALL (STAR, LSTAR, FMASK)");
    vcpu.set_registers({});
}

const Platform& Platform::instance() {
    // It is never destroyed, because guests may still run while the process exits.
    static Mutex mutex;
    static const Platform* platform TINYKVM_GUARDED_BY(mutex) = nullptr;
    const MutexLock lock(mutex);
    if (!platform) platform = new Platform(kvm::System::instance());
    return *platform;
}

}  // namespace tinykvm::x86

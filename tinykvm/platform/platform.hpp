// What this machine's KVM does with a guest, found out once by running small tests in one: where SYSCALL lands,
// which instructions work, whether the guest's TSC is the host's. Never assumed from names or versions.
//
// Thread safety: immutable after construction.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tinykvm/kvm/system.hpp"
#include "tinykvm/kvm/vcpu.hpp"

namespace tinykvm::x86 {

struct Instructions {
    std::string name;       // "AVX2"
    bool on_host = false;   // CPUID of the host has it
    bool in_guest = false;  // guests are told so, and it works there
};

class Platform {
  public:
    // Runs the tests. Throws MachineError.
    explicit Platform(const kvm::System& system);
    // The single instance of this process, made at the first use that succeeds. Throws like the constructor.
    static const Platform& instance();

    // True: SYSCALL enters LSTAR at CPL0, as on hardware. False: it stays at CPL3.
    bool syscall_at_cpl0() const { return syscall_at_cpl0_; }
    // True when RDTSC gives the same in guests as on the host, so that the vDSO can tell the time.
    bool guest_has_host_tsc() const { return guest_has_host_tsc_; }
    // What guests see of CPUID, and the vector state that goes with it. xcr0() is 0 when there is no XSAVE.
    const std::vector<kvm::CpuidEntry>& cpuid() const { return cpuid_; }
    std::uint64_t xcr0() const { return xcr0_; }
    std::size_t vector_state_size() const { return vector_state_size_; }  // XSAVE image, standard format
    // CR4 bits guests run with besides the ones 64-bit mode needs.
    std::uint64_t cr4() const { return cr4_; }
    // May user mode read and write the bases of FS and GS?
    bool has_fsgsbase() const { return cr4_ >> 16 & 1; }
    // For the auxiliary vector.
    std::uint64_t hwcap() const { return hwcap_; }
    std::uint64_t hwcap2() const { return hwcap2_; }
    const std::vector<Instructions>& instructions() const { return instructions_; }

    // Makes a new vCPU run user code on page tables with this root.
    void prepare(kvm::Vcpu& vcpu, std::uint64_t page_table_root) const;

  private:
    void choose_vector_state(const kvm::System& system);
    void finish_cpuid();
    const kvm::CpuidEntry* leaf(std::uint32_t function, std::uint32_t index = 0) const;

    std::vector<kvm::CpuidEntry> cpuid_;
    std::vector<Instructions> instructions_;
    std::uint64_t xcr0_ = 0, cr4_ = 0, hwcap_ = 0, hwcap2_ = 0;
    std::size_t vector_state_size_ = 512 + 64;
    bool syscall_at_cpl0_ = false, guest_has_host_tsc_ = false;
};

}  // namespace tinykvm::x86

// The least that anything can cost on this KVM: what benchmarks compare with.
//
// Thread safety: one thread at a time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "tinykvm/errors.hpp"
#include "tinykvm/kvm/vcpu.hpp"
#include "tinykvm/kvm/vm.hpp"
#include "tinykvm/memory/guest_memory.hpp"
#include "tinykvm/platform/platform.hpp"

namespace tinykvm::cli {

// Nothing but KVM_RUN: a guest that stores to the doorbell for ever.
class Floor {
  public:
    Floor()
        : memory_(vm_, {.bytes = std::size_t{1} << 20, .name = "floor", .address_space = std::size_t{4} << 20}),
          vcpu_(vm_, x86::Platform::instance().cpuid()) {
        constexpr GuestAddr code = 0x400000;
        constexpr std::array<std::uint8_t, 11> loop = {
            0xA3, 0x00, 0xF0, 0xFF, 0xFF, 0x7F, 0, 0, 0,  // movabs %eax, 0x7FFFFFF000
            0xEB, 0xF5,                                   // jmp back to it
        };
        if (memory_.map(code, page_size, {.read = true, .write = true}) != 0 ||
            !memory_.write(code, loop.data(), loop.size()) ||
            memory_.protect(code, page_size, {.read = true, .execute = true}) != 0) {
            throw MachineError("cannot lay out the guest that measures the floor");
        }
        x86::Platform::instance().prepare(vcpu_, memory_.page_table_root());
        Registers registers;
        registers.rip = code;
        vcpu_.set_registers(registers);
    }

    void operator()() {
        if (vcpu_.run().reason != kvm::Exit::Reason::store) throw MachineError("the floor's guest went astray");
    }

  private:
    kvm::Vm vm_;
    GuestMemory memory_;
    kvm::Vcpu vcpu_;
};

}  // namespace tinykvm::cli

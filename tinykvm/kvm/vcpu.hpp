// A KVM virtual CPU: its registers, its dirty ring, and running it.
//
// Every ioctl on a vCPU is here, and KVM's exit reasons are folded into Exit here and nowhere else.
// Source: Linux Documentation/virt/kvm/api.rst.
//
// Thread safety: one thread at a time, but kick() may be called by any thread. Kernels before 6.13 take
// milliseconds when a vCPU is run by another thread than last time.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <vector>

#include "tinykvm/kvm/vm.hpp"
#include "tinykvm/os/file_descriptor.hpp"
#include "tinykvm/os/mapping.hpp"
#include "tinykvm/registers.hpp"

struct kvm_run;

namespace tinykvm::kvm {

// Segment, table and control registers; same layout as struct kvm_sregs.
struct Segment {
    std::uint64_t base = 0;
    std::uint32_t limit = 0;
    std::uint16_t selector = 0;
    std::uint8_t type = 0, present = 0, dpl = 0, db = 0, s = 0, l = 0, g = 0, avl = 0;
    std::uint8_t unusable = 0, padding = 0;

    bool operator==(const Segment&) const = default;
};
struct DescriptorTable {
    std::uint64_t base = 0;
    std::uint16_t limit = 0, padding[3] = {};

    bool operator==(const DescriptorTable&) const = default;
};
struct SystemRegisters {
    Segment cs, ds, es, fs, gs, ss, tr, ldt;
    DescriptorTable gdt, idt;
    std::uint64_t cr0 = 0, cr2 = 0, cr3 = 0, cr4 = 0, cr8 = 0, efer = 0, apic_base = 0;
    std::uint64_t interrupt_bitmap[4] = {};

    bool operator==(const SystemRegisters&) const = default;
};

// Why the guest has left its VM.
struct Exit {
    enum class Reason {
        store,           // a store to an address without memory: `address`, `size` bytes, `value`
        load,            // a load from an address without memory: `address`
        port,            // OUT at CPL0: `address` is the port, `value` what was put out
        memory_refused,  // an access the host's mapping does not allow; registers at the instruction
        interrupted,     // kick()
        ring_full,       // to be run again after collect_dirty_pages() and make_ring_room()
        shutdown,        // triple fault
        not_emulated,    // an instruction KVM would have to emulate and cannot
        failed,          // KVM could not enter the guest; `value` says why
    };
    Reason reason = Reason::failed;
    std::uint64_t address = 0;
    std::uint32_t size = 0;
    std::uint64_t value = 0;
};

class Vcpu {
  public:
    // Each vCPU of a VM has a number of its own, counted from 0.
    Vcpu(const Vm& vm, std::span<const CpuidEntry> cpuid, unsigned number = 0);

    // Enters the guest. Throws MachineError when KVM refuses.
    Exit run();

    // Makes run() return (interrupted), now or when it is called next. This holds until acknowledge().
    void kick() noexcept;
    void acknowledge() noexcept;

    // The registers as of the last exit, or as set since; setting them takes effect at the next run().
    Registers registers() const;
    void set_registers(const Registers& registers);
    SystemRegisters system_registers() const;
    void set_system_registers(const SystemRegisters& registers);
    // The system registers that KVM gives a new vCPU, which are the same for all. The first call in the process must be
    // for a vCPU that has not run yet.
    const SystemRegisters& initial_system_registers() const;

    // x87, SSE, AVX...: an XSAVE image in standard format (Intel SDM volume 1, 13.4).
    std::vector<std::byte> vector_state() const;
    std::size_t vector_state_size() const { return vm_->system().vector_state_size(); }
    void save_vector_state(std::span<std::byte> image) const;
    // False when the image is not valid; nothing has changed then.
    [[nodiscard]] bool set_vector_state(std::span<const std::byte> image);
    void set_xcr0(std::uint64_t value);
    struct Msr {
        std::uint32_t index;
        std::uint64_t value;
    };
    // False when KVM refuses one of them.
    [[nodiscard]] bool set_msrs(std::initializer_list<Msr> msrs);
    // Lets the guest read the TSC of the host. False when this KVM cannot do that.
    bool follow_host_tsc();
    // After an interruption: has the guest caused an exception that the next run() delivers first?
    bool has_pending_exception() const;
    // After a stop at an arbitrary moment: lets KVM complete the last exit, and drops pending exceptions. False when
    // KVM is in the middle of emulating an instruction; such a vCPU must not be used again.
    [[nodiscard]] bool clear_pending();

    // Appends the pages the guest has written since the last call, as offsets from the first slot, in pages. A page is
    // reported once, until make_ring_room() gives its entry back to KVM or its mapping on the host changes.
    void collect_dirty_pages(std::vector<std::uint64_t>& pages);
    // How many more pages the guest can write before it stops with ring_full, not counting entries that have not been
    // collected yet. It may be up to 512 more, because KVM keeps entries for itself that not every CPU needs.
    std::size_t ring_room() const;
    // Gives the oldest collected entries back to KVM until there is room for `pages`, as far as there are any. Their
    // pages are reported again when they are written next.
    void make_ring_room(std::size_t pages);
    // Uses up room for `pages` entries: makes KVM write that often to the page at the guest-physical address `scratch`,
    // which must be in a slot and of no other use. Costs 0.1 us an entry. The entries have to be collected like others.
    // False when this KVM cannot do that.
    [[nodiscard]] bool take_ring_room(std::size_t pages, std::uint64_t scratch);

    std::uint64_t ioctls() const { return ioctls_; }

  private:
    struct RingEntry {
        std::uint32_t flags, slot;
        std::uint64_t page;
    };
    kvm_run* state() const { return reinterpret_cast<kvm_run*>(shared_.data()); }
    int call(unsigned long request, void* argument) const;
    Exit decode(int result, int error);

    const Vm* vm_;
    FileDescriptor fd_;
    Mapping shared_;  // memory shared with the kernel: struct kvm_run and, further on, the dirty ring
    std::uint64_t ring_next_ = 0, ring_recycled_ = 0;
    std::atomic<int> thread_{0};  // kernel thread id while in run()
    mutable std::uint64_t ioctls_ = 0;
};

}  // namespace tinykvm::kvm

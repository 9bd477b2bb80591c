// A VM without our library: what KVM itself costs, for benchmarks to compare with. One vCPU in user mode on one memory
// slot, whose program touches pages and stores to a page without memory, for ever.
//
// Thread safety: one thread at a time. Functions throw MachineError.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>

#include "tinykvm/os/file_descriptor.hpp"
#include "tinykvm/os/mapping.hpp"

namespace tinykvm::bench {

class BareVm {
  public:
    struct Shape {
        std::size_t pages = 1;     // of memory with data in it, a private mapping of `image`
        std::size_t mappings = 3;  // of the host: its memory and what it shares with the vCPU; at least 3
        std::size_t ring = 16384;  // entries of the dirty ring; 0: writes are not tracked
        bool huge = false;         // the pages are zero, in huge pages as far as the host has some
    };
    // Maps the memory. `image`: a file of `shape.pages` pages.
    BareVm(const Shape& shape, int image);
    // Makes the VM. To be called once, before the rest.
    void create();

    // Gives the VM private copies of all pages, as far as the host can without the guest.
    void populate();
    // Tells KVM to map all pages (KVM_PRE_FAULT_MEMORY). False: it cannot.
    bool pre_fault();
    // Enters the guest, which writes to each page and leaves.
    void touch();
    // Enters the guest, which executes CPUID so often and leaves.
    void ask_cpuid(unsigned times);

  private:
    void map_memory(int image);
    void write_tables();
    void make_vcpu();
    void set_registers(std::uint64_t rip, std::uint64_t rdi, std::uint64_t rsi);
    void run();

    Shape shape_;
    Mapping memory_;
    FileDescriptor vm_, vcpu_;
    Mapping shared_;
    bool touches_ = false;  // its registers are those that touch()
};

// A file in memory with data in each page.
FileDescriptor filled_file(std::size_t pages);

}  // namespace tinykvm::bench

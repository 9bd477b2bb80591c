// What this process keeps in memory, and what the kernel keeps for it.
//
// Thread safety: any thread.
#pragma once

namespace tinykvm::bench {

// In KiB.
struct ProcessMemory {
    double resident = 0;     // pages of others, such as those of images, included
    double own = 0;          // those that nobody else has mapped
    double page_tables = 0;  // of the process
    double kernel = 0;       // of the whole machine: what KVM, the kernel's heap and page tables take

    static ProcessMemory now();
};
ProcessMemory operator-(const ProcessMemory& after, const ProcessMemory& before);

// A fork has a handful of descriptors.
void allow_many_descriptors();

}  // namespace tinykvm::bench

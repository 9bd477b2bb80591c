// What a Snapshot is made of: everything a new fork begins with. Written once by Guest::freeze(), never changed.
//
// Thread safety: immutable; any thread.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "tinykvm/elf/loader.hpp"
#include "tinykvm/kvm/vcpu.hpp"
#include "tinykvm/linux/seen_files.hpp"
#include "tinykvm/linux/state.hpp"
#include "tinykvm/memory/image.hpp"
#include "tinykvm/options.hpp"
#include "tinykvm/registers.hpp"
#include "tinykvm/run.hpp"

namespace tinykvm {

struct SnapshotContents {
    Options options;
    std::vector<elf::LoadedProgram> programs;  // the program, and its dynamic loader if it has one
    std::shared_ptr<const MemoryImage> memory;
    linux_abi::ProcessState process;
    Registers registers;  // in user mode, after the host call the program was frozen in
    kvm::SystemRegisters system_registers;
    std::vector<std::byte> vector_state;  // an XSAVE image, standard format
    RequestArea request_area;
    // The files of the host it looked at while it booted; null: they were not noted (Options::note_files).
    std::shared_ptr<const linux_abi::SeenFiles> seen_files;
};

}  // namespace tinykvm

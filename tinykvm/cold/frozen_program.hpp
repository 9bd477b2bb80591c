// All that a frozen program consists of (SnapshotContents), as a file of a snapshot has it.
//
// Thread safety: one thread. Errors: MachineError with the reason; Malformed when the file cannot be of a program.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "tinykvm/cold/host_files.hpp"
#include "tinykvm/cold/identity.hpp"
#include "tinykvm/cold/saved_image.hpp"
#include "tinykvm/guest/snapshot_contents.hpp"
#include "tinykvm/linux/seen_files.hpp"

namespace tinykvm::cold {

class FrozenProgram {
  public:
    FrozenProgram() = default;
    // One that is to be saved. Throws MachineError when it cannot be.
    explicit FrozenProgram(const SnapshotContents& contents);

    void write_pages(int file, std::uint64_t begin) const { image_.write(file, begin); }

    // Of one that was read, whose pages are in the file from `begin` on: checks all of it, and opens the files of the
    // host that it has open.
    std::unique_ptr<const SnapshotContents> open(FileDescriptor file, std::uint64_t begin,
                                                 const std::shared_ptr<const Program>& program, const Options& options);

    template <typename Archive>
    void archive(Archive& archive) {
        archive(counters_, image_, process_, host_files_, seen_files_, registers_, pointers_, vector_state_,
                request_area_, placements_);
    }

  private:
    // Where an ELF file was loaded; the first is the program itself, the other its dynamic loader.
    struct Placement {
        std::uint64_t bias = 0;
        GuestAddr begin = 0, end = 0;

        template <typename Archive>
        void archive(Archive& archive) {
            archive(bias, begin, end);
        }
    };

    std::vector<elf::LoadedProgram> load_programs(const std::shared_ptr<const Program>& program,
                                                  const Options& options) const;
    void take_registers(SnapshotContents& contents) const;

    Counters counters_;
    SavedImage image_;
    linux_abi::ProcessState process_;
    std::vector<HostFileNote> host_files_;
    linux_abi::SeenFiles seen_files_;
    Registers registers_;
    linux_abi::ThreadPointers pointers_;
    std::vector<std::byte> vector_state_;
    RequestArea request_area_;
    std::vector<Placement> placements_;
};

}  // namespace tinykvm::cold

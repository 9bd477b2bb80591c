// What has to be the same where a snapshot is loaded as where it was saved: the program, its options, this library, the
// kernel, what KVM and the CPU offer to guests.
//
// Thread safety: any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tinykvm/cold/tag.hpp"
#include "tinykvm/options.hpp"
#include "tinykvm/os/file_stamp.hpp"
#include "tinykvm/program.hpp"

namespace tinykvm::cold {

// Throws MachineError when the machine has no KVM.
std::vector<Tag> tags_of_machine();
// Of all that the options say but where output goes and how it boots.
std::vector<Tag> tags_of_options(const Options& options);

// Which program a snapshot is of. The checksum decides; the stamp of its file spares to read that.
class ProgramIdentity {
  public:
    ProgramIdentity() = default;
    // Throws LoadError when the program cannot be read.
    explicit ProgramIdentity(const Program& program);

    // Throws LoadError when the program has to be read and cannot be. Empty: it is the same one.
    std::string why_not(const Program& program) const;
    template <typename Archive>
    void archive(Archive& archive) {
        archive(checksum_, stamp_);
    }

  private:
    std::string checksum_;
    std::optional<FileStamp> stamp_;
};

// Guests read the time from counters that only go on: those of this machine now.
struct Counters {
    std::uint64_t nanoseconds = 0;       // of the host's steady clock
    std::uint64_t ticks = 0;             // of the time-stamp counter
    std::uint64_t ticks_per_second = 0;  // 0: not known

    static Counters now();
    // Why a program of which these are the counters cannot go on with those of `now`; empty: it can.
    std::string why_not(const Counters& now) const;
    template <typename Archive>
    void archive(Archive& archive) {
        archive(nanoseconds, ticks, ticks_per_second);
    }
};

}  // namespace tinykvm::cold

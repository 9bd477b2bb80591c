// What has to be the same where a snapshot is loaded as where it was saved: the program, its options, this library, the
// kernel, what KVM and the CPU offer to guests.
//
// Thread safety: any thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tinykvm/cold/tag.hpp"
#include "tinykvm/options.hpp"
#include "tinykvm/program.hpp"

namespace tinykvm::cold {

// Throws MachineError when the machine has no KVM.
std::vector<Tag> tags_of_machine();
// Of the program's file, and of all that the options say but where output goes and how it boots.
std::vector<Tag> tags_of_program(const Program& program, const Options& options);

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

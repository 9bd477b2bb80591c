// Threads that are lent to the guest while it runs, so that they hand over to each other without leaving it: a futex
// call or sched_yield that finds all it needs is made by the shim (x86/shim.S). When the guest has left, they are taken
// back, and ProcessState is as if the host had made these calls.
//
// Lent are threads that wait for the word of a futex, and those that can go on and stand at the end of a system call.
// Threads that are interrupted elsewhere, or wait for something else, stay with the host.
//
// Owned by Guest. Between two runs nothing is lent, so a snapshot has nothing of this, and clear() makes the pages as
// they are in a new VM. Thread safety: the thread that runs the guest, while the guest stands still.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "tinykvm/linux/state.hpp"
#include "tinykvm/linux/threads.hpp"
#include "tinykvm/x86/hand_over.hpp"

namespace tinykvm::linux_abi {

class LentThreads {
  public:
    // `pages`: those of the guest. `vector_size`: bytes of an XSAVE image, `components`: what is in it (XCR0). With
    // `usable` false nothing is ever lent.
    LentThreads(std::byte* pages, std::size_t vector_size, std::uint64_t components, bool usable);

    // Lends what can be lent, unless nothing can be gained by it. `slice_ends`: is there an end of the running thread's
    // time slice? Without one a thread that is woken leaves the guest, so that the host arms it.
    void lend(const ProcessState& state, const Options& options, bool slice_ends);
    // Makes the state say which thread runs and what the others wait for. Its registers are the vCPU's. Returns whether
    // threads have handed over to each other.
    bool take_back(ProcessState& state);
    // Is something lent? Then the guest is about to go on in the shim.
    bool are_lent() const { return lent_; }
    // Forgets what was lent, and makes the pages zero.
    void clear();

  private:
    static constexpr std::size_t places = x86::HandOverPages::places;
    struct Place {
        int thread = 0;  // its id; 0: nobody
        bool lent = false;
        // The vector registers that are in the context; null: others.
        std::shared_ptr<const std::vector<std::byte>> vectors{};
    };

    std::size_t place_of(int thread);
    std::optional<std::size_t> find(int thread) const;
    static void make_running(ProcessState& state, int id);
    void give_up_places(const ProcessState& state);
    bool lend(const ProcessState& state, const Options& options, const ParkedThread& parked);
    void put(std::size_t place, const ParkedThread& parked);
    void get(std::size_t place, ParkedThread& parked);

    x86::HandOverPages* const pages_;
    const std::size_t vector_size_;
    const std::uint64_t components_;
    const bool usable_;
    bool lent_ = false;
    std::size_t running_ = 0;  // place of the thread that ran when they were lent
    std::size_t used_ = 0;     // places that have been used since clear()
    std::array<Place, places> places_{};
};

}  // namespace tinykvm::linux_abi

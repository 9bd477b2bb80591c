// The threads of a guest process. One thread is the one that runs, on the first processor; the others are parked here,
// each with all a processor holds of it. Parked ones may run beside it while nobody looks (guest/spread_threads.hpp).
//
// A call that has to wait parks its thread (SyscallContext::park). When what it waits for may have happened, the same
// call is made again, with the Wait it was parked with. So a handler checks whether it can go on, and otherwise parks
// its thread (again). A relative time is turned into a moment only once, when the thread is first parked.
//
// Thread safety: values, part of ProcessState; one owner at a time.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "tinykvm/linux/signal_state.hpp"
#include "tinykvm/options.hpp"
#include "tinykvm/registers.hpp"
#include "tinykvm/types.hpp"

namespace tinykvm::linux_abi {

struct ProcessState;
class VectorState;

// Registers besides the general ones that Linux calls change. The machine copies them to and from the vCPU.
struct ThreadPointers {
    std::uint64_t fs_base = 0, gs_base = 0;

    template <typename Archive>
    void archive(Archive& archive) {
        archive(fs_base, gs_base);
    }
    bool operator==(const ThreadPointers&) const = default;
};

// What a thread that does not run waits for. All of them end at `until`, and when a signal can be delivered.
struct Wait {
    enum class For : std::uint8_t {
        processor,  // nothing but the processor: it goes on in user mode
        time,       // `until`
        futex,      // a thread wakes `address`
        files,      // a pipe or an event counter changes
        signal,     // one of `signals`, which are blocked
        first_cpu,  // as `processor`, but of the first CPU: what it does next is for the host
        call,       // as `processor`, but it stands in a system call that has not been made yet
    };
    For what = For::processor;
    bool returned = false;    // of `processor`: it stands at the end of a call, so RCX and R11 mean nothing to it
    bool woken = false;       // of `futex`: a thread has woken it
    bool for_caller = false;  // of `files`: or the caller changes something: its input, or its client
    std::uint32_t bitset = 0;
    std::uint32_t entries = 0;  // messages of a call of many that are done
    GuestAddr address = 0;
    SignalSet signals = 0;
    std::uint64_t changes_seen = 0;  // of `files`: FileTable::changes()
    std::uint64_t client_seen = 0;   // of `files`: client_changes()
    std::uint64_t done = 0;          // bytes of a write that has begun
    std::optional<Clock::time_point> until{};

    bool is_over(Clock::time_point now) const { return until && *until <= now; }
    template <typename Archive>
    void archive(Archive& archive) {
        archive(what, returned, woken, for_caller, bitset, entries, address, signals, changes_seen, client_seen, done,
                until);
    }
};

struct ThreadState {
    int id = 0;
    SignalSet blocked = 0;
    std::vector<PendingSignal> pending{};  // for this thread only
    AlternateStack alternate_stack{};
    // rt_sigsuspend and the like: the mask that comes back when the handler of the awaited signal returns.
    bool restore_blocked = false;
    SignalSet saved_blocked = 0;
    GuestAddr clear_child_tid = 0;
    GuestAddr robust_list = 0;
    std::array<char, 16> name{};                   // prctl(PR_SET_NAME), NUL terminated
    bool keeps_capabilities = false;               // prctl(PR_SET_KEEPCAPS); only told
    std::uint64_t processors = ~std::uint64_t{0};  // sched_setaffinity(); only told
    Wait wait{};                                   // of a thread that does not run

    void begin_temporary_mask(SignalSet mask) {
        saved_blocked = blocked;
        restore_blocked = true;
        blocked = mask;
    }
    void end_temporary_mask() {
        if (restore_blocked) blocked = saved_blocked;
        restore_blocked = false;
    }
    template <typename Archive>
    void archive(Archive& archive) {
        archive(id, blocked, pending, alternate_stack, restore_blocked, saved_blocked, clear_child_tid, robust_list,
                name, keeps_capabilities, processors, wait);
    }
};

struct ParkedThread {
    ThreadState state;
    Registers registers;
    ThreadPointers pointers;
    std::shared_ptr<const std::vector<std::byte>> vectors;  // an image as of VectorState

    template <typename Archive>
    void archive(Archive& archive) {
        archive(state, registers, pointers, vectors);
    }
};

// The state of the running thread in the processor.
struct Processor {
    Registers& registers;
    ThreadPointers& pointers;
    VectorState& vectors;
};

// Returns the thread that runs or a parked one; null when there is none of that id. The id of the process means its
// first thread, as on Linux.
ThreadState* find_thread(ProcessState& state, int id);
const ThreadState* find_thread(const ProcessState& state, int id);
inline bool has_thread(const ProcessState& state, int id) { return id > 0 && find_thread(state, id); }
// Returns a number for a new thread.
int new_thread_id(ProcessState& state);
// Returns a number for a fork of the process, at random: neither programs nor visitors learn from it how many there
// are.
int new_process_id(const ProcessState& state);

// Makes a thread that can run, with these registers and a copy of the vector registers. Its id must be set.
void add_thread(ProcessState& state, ThreadState thread, const Processor& as);
// Parks the running thread, if there is one, after the others and lets the parked one of this index run.
void switch_to(ProcessState& state, std::size_t index, const Processor& on);
// May the thread go on, or has its call to be made again?
bool is_ready(const ProcessState& state, const ThreadState& thread, const Options& options, Clock::time_point now);

// Wakes up to `most` threads that wait for the word at `address` with a bit of `bitset`. Returns how many.
std::int64_t wake_waiters(ProcessState& state, GuestAddr address, std::int64_t most, std::uint32_t bitset = ~0u);

}  // namespace tinykvm::linux_abi

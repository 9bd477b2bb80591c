// A system call that is being made: what its handler works on, and what all handlers need.
//
// A handler returns what Linux returns in rax: a value, or a negative errno. It may throw Timeout, Interrupted and
// OutOfMemory. Everything a guest passes is hostile: pointers go through GuestMemory, lengths are limited before they
// are used, structures are copied before they are checked.
//
// Thread safety: the thread that runs the guest.
#pragma once

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "tinykvm/linux/cpu_time.hpp"
#include "tinykvm/linux/process.hpp"
#include "tinykvm/linux/state.hpp"
#include "tinykvm/linux/waiter.hpp"
#include "tinykvm/memory/guest_memory.hpp"

namespace tinykvm::linux_abi {

// As on Linux: the most one call reads or writes, the last position in a file, and the longest path with its NUL.
inline constexpr std::uint64_t max_transfer = 0x7ffff000;
inline constexpr std::uint64_t max_offset = INT64_MAX;
inline constexpr std::size_t max_path = 4096;
inline constexpr std::size_t max_vectors = 1024;
// Data is moved between host and guest in pieces of at most this size; the deadline is checked after each.
inline constexpr std::size_t transfer_piece = std::size_t{128} << 10;

// A result as Linux' ERESTARTSYS: the call is made again after a handler with SA_RESTART, else it is EINTR.
inline constexpr std::int64_t restart_call = -512;

// The most lines about unusual events that a process may cause.
inline constexpr unsigned max_events = 100;

struct SyscallContext {
    GuestMemory& memory;
    ProcessState& state;
    const Options& options;
    Registers& registers;
    ThreadPointers& pointers;
    VectorState& vectors;
    const Waiter& waiter;
    CpuMeter& cpu;
    std::array<std::uint64_t, 6> args{};  // rdi, rsi, rdx, r10, r8, r9
    const char* name = "";                // of the system call, for log lines
    const Wait* parked_with = nullptr;    // the call is made again: what its thread was parked with
    // When it is not empty, fill_guest() and drain_guest() work on it instead of on guest memory, whose addresses are
    // then those in the buffer: for calls that move data from file to file.
    std::span<std::byte> host_buffer{};
    Outcome outcome{};
    bool registers_replaced = false;     // rt_sigreturn: rax is not the result
    bool parked = false;                 // there is no result yet
    bool yields = false;                 // other threads run before this one goes on
    bool gives_client_its_turn = false;  // the run stops after the call
    bool unmapped_files = false;         // shared mappings of in-memory files may have gone

    // Linux takes descriptors, flags and the like from the lower half of a register.
    int int_arg(int index) const { return static_cast<int>(args[static_cast<std::size_t>(index)]); }
    // The file of a descriptor; null when it is not open (EBADF).
    OpenFile* file(int index) const { return state.files.find(int_arg(index)); }
    // The same for calls that want more than the file's name: null also when it was opened with O_PATH.
    OpenFile* data_file(int index) const {
        OpenFile* found = file(index);
        return found && !found->kind->is_name ? found : nullptr;
    }

    // Does the id of a thread mean this process? 0 is the caller's.
    bool is_own(int id) const { return id == 0 || state.is_process(id) || has_thread(state, id); }

    // Parks the running thread until `wait` may be over; the call is made again then. The handler has to return what
    // this returns. When a signal can be delivered to the thread, it is not parked, and the result is `interrupted`.
    std::int64_t park(const Wait& wait, std::int64_t interrupted = restart_call);
    // The end of a wait that was to last until `first`; when the call is made again, of the wait it began with.
    std::optional<Clock::time_point> end_of_wait(std::optional<Clock::time_point> first) const {
        return parked_with ? parked_with->until : first;
    }

    // Logs unusual events, of which a guest can cause any number. After max_events nothing more is logged.
    void log(const std::string& line) const;
    // Logs a limit that made the call fail, so that the operator learns of it; once a request.
    void warn(Limit limit) const;
};

// Bytes of a guest as a log may show them: in quotes, shortened, and without control characters.
std::string in_quotes(std::string_view text);

// A path argument. `error` is 0, -EFAULT or -ENAMETOOLONG; whether the path may be empty is left to the caller.
struct PathArgument {
    std::string path;
    int error = 0;
};
PathArgument read_path(const SyscallContext& call, GuestAddr address);

// struct timespec of a guest.
struct TimeSpec {
    std::int64_t seconds = 0, nanoseconds = 0;
};
// Reads and checks the one at `address`. Returns 0, -EFAULT or -EINVAL.
[[nodiscard]] int read_timespec(const SyscallContext& call, GuestAddr address, TimeSpec& time);
// The moment that comes after `time`, counted from now. Saturates.
Clock::time_point time_from_now(const TimeSpec& time);

}  // namespace tinykvm::linux_abi

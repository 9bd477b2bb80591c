// Everything the host remembers about a guest process, as one value.
//
// This is the isolation rule of the library: what is not in this value (or in guest memory and registers) does not
// exist. A snapshot keeps a copy, and a fork is reset by assigning it. So a reset can forget nothing.
//
// Copying makes no system call and costs a few small allocations. Copies share only objects that never
// change: files of the host (closed when the last state that refers to them goes) and the path rules; and the list of
// paths that were logged as refused, which only grows and which no guest can see.
//
// Thread safety: a value; one owner at a time.
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tinykvm/linux/file_locks.hpp"
#include "tinykvm/linux/file_table.hpp"
#include "tinykvm/linux/memory_tree.hpp"
#include "tinykvm/linux/process_timers.hpp"
#include "tinykvm/linux/signal_state.hpp"
#include "tinykvm/linux/threads.hpp"
#include "tinykvm/memory/copy_on_write.hpp"
#include "tinykvm/options.hpp"
#include "tinykvm/types.hpp"

namespace tinykvm::linux_abi {

class GuestFileSystem;
class RefusedPaths;
class SeenFiles;

// The ids of the process that boots, of its first thread, its group and its session. Forks of it keep all of them but
// the first (ProcessState::process_id).
inline constexpr int first_process_id = 2;
inline constexpr int parent_id = 1;
inline constexpr int largest_process_id = 4194303;  // as on Linux
inline constexpr int user_id = 1000;

struct ResourceLimit {
    std::uint64_t current = ~std::uint64_t{0}, maximum = ~std::uint64_t{0};
    template <typename Archive>
    void archive(Archive& archive) {
        archive(current, maximum);
    }
    bool operator==(const ResourceLimit&) const = default;
};
inline constexpr std::size_t resource_limits = 16;

// Limits of Options that make a call fail as it would on a machine that is too small.
enum class Limit : std::uint8_t {
    threads,
    address_space,
    mappings,
    open_files,
    memory,
    piped_bytes,
    waiting_connections,
    connections
};

struct ProcessState {
    // The state of a process whose program has just been laid out in memory. `break_start` is where its heap
    // begins (page aligned), `program_path` what /proc/self/exe says. Opens the roots of the path rules.
    static ProcessState at_start(const Options& options, GuestAddr break_start, std::string program_path);
    // Makes this the state with which forks begin.
    void begin_forks();
    // Lets timers go on that stood still while this was frozen.
    void thaw_timers();
    // Does time alone change something: signals of timers, and files of timers?
    bool has_timers() const { return timers.is_armed() || files.has_timers(); }
    // Does the id mean the process? Programs may have kept the one they had while they booted.
    // A bit for each processor.
    std::uint64_t processors() const { return (std::uint64_t{1} << cpus) - 1; }
    bool is_process(int id) const { return id > 0 && (id == process_id || id == first_process_id); }

    // What getpid() says. Each request has an id of its own, because libraries that keep random numbers for later tell
    // by it that they are in a copy of a process and must not use them. Ids of threads stay as they are: libraries keep
    // those. 0: of a fork that has made no system call yet; Process chooses one with the first.
    int process_id = first_process_id;

    // Where the bytes of AT_RANDOM are, if the program was frozen before it could use them; 0: it was not.
    GuestAddr unused_random = 0;

    FileTable files;
    CopyOnWrite<MemoryTree> memory_tree;  // the names of in-memory files
    FileLocks file_locks;                 // of in-memory files
    // Which file was at the path of Options::kept_file when the host saved it last, and when that was modified.
    FileId saved_inode = 0;
    timespec saved_version{};
    std::string working_directory = "/";
    std::uint32_t umask = 022;
    std::shared_ptr<const GuestFileSystem> file_system;  // what the guest has of files; never null in use
    std::shared_ptr<RefusedPaths> refused_paths;         // never null in use
    std::shared_ptr<SeenFiles> seen_files;               // while it boots, with Options::note_files; else null

    GuestAddr break_start = 0, break_end = 0;

    std::array<SignalAction, signal_count + 1> actions{};
    std::vector<PendingSignal> pending;          // for any thread that does not block it
    ThreadState thread{.id = first_process_id};  // the one that runs; id 0: it has ended, and no other can run yet
    std::vector<ParkedThread> parked;            // the others; the one that was parked longest is first
    int next_thread_id = first_process_id + 1;

    ProcessTimers timers;
    std::uint64_t frozen_at = 0;  // nanoseconds_of() the moment since when timers stand still; 0: they do not

    std::array<ResourceLimit, resource_limits> limits{};
    std::string program_path;
    std::string auxiliary_vector;            // as it is on the program's first stack
    std::array<std::uint8_t, 16> boot_id{};  // random; of this boot and all its forks
    bool dumpable = true, no_new_privileges = false, no_huge_pages = false;
    int nice = 0, parent_death_signal = 0;
    unsigned cpus = 1;                  // how many processors there are
    int memory_barriers = 0;            // the commands of membarrier() that registered for some
    std::uint64_t timer_slack = 50000;  // nanoseconds; only told
    std::uint64_t cpu_nanoseconds = 0;  // CPU time used so far, as CpuMeter counts it
    std::bitset<1024> reported;         // system calls already logged as missing
    unsigned events_logged = 0;
    std::uint8_t limits_reported = 0;  // a bit for each Limit

    // All but what belongs to the host: the file system and files of the host, and what was logged already.
    template <typename Archive>
    void archive(Archive& archive) {
        archive(process_id, unused_random, files, memory_tree, file_locks, working_directory, umask, break_start,
                break_end, actions, pending, thread, parked, next_thread_id, timers, frozen_at, limits, program_path,
                auxiliary_vector, boot_id, dumpable, no_new_privileges, no_huge_pages, nice, parent_death_signal, cpus,
                memory_barriers, timer_slack, cpu_nanoseconds);
    }
};

}  // namespace tinykvm::linux_abi

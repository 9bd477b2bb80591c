// How a program is run. Plain values; set before the Machine is made, constant afterwards.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "tinykvm/types.hpp"

namespace tinykvm {

class Client;
class InputSource;

// One entry of the file system a guest sees. Without any entry it sees none.
struct PathRule {
    std::string virtual_path;  // absolute path in the guest
    std::string real_path;     // absolute path on the host; empty: the same as virtual_path
    bool writable = false;     // may be opened for writing, created, truncated, renamed and removed
    bool prefix = true;        // a directory: everything below it too; false: this very path only
    // Only what every user of the host may read: no passwords, no private keys.
    bool for_everybody = false;
    bool symlink = false;  // the guest sees virtual_path as a symbolic link to real_path (a guest path)

    bool operator==(const PathRule&) const = default;
};

// An in-memory file of the guest that its host keeps, for whoever runs the program next.
struct KeptFile {
    std::string path;  // absolute guest path, in one of Options::memory_directories; empty: there is none
    std::size_t max_size = 0;
    // Called on the thread that runs the guest with what is in the file, when it was changed and then closed, renamed
    // to this path or synced. `check` throws when the guest has no more time; who waits here has to call it now and
    // then. Returns 0 or a negative errno, which is the result of the guest's call.
    using Save = int(std::vector<std::byte> bytes, const std::function<void()>& check);
    std::function<Save> save;
};

// How many CPUs a VM can have.
inline constexpr unsigned most_cpus = 8;

struct Options {
    // --- what the program sees ---
    std::string program_name = "program";  // argv[0]
    std::vector<std::string> arguments;    // argv[1...]
    // With more than 0 each argument has so many bytes of its own on the stack, its zero included, for others to be
    // written there.
    std::size_t argument_room = 0;
    std::vector<std::string> environment;  // "KEY=value"
    // With more than 0 slots: so many more variables follow, each of them `environment_filler` at first, and
    // environment_room bytes for others to be written there (Machine::environment_places()).
    std::size_t environment_slots = 0, environment_room = 0;
    std::string environment_filler;       // "KEY=value"
    std::string working_directory = "/";  // absolute guest path
    std::vector<PathRule> allowed_paths;
    // Absolute guest paths of directories whose files live in the guest's own memory. A rule of allowed_paths for the
    // same path, or for one below, counts more.
    std::vector<std::string> memory_directories = {"/tmp", "/dev/shm"};
    KeptFile kept_file;

    // While it boots it is noted which files of the host it looks at, so that its snapshot can be saved
    // (SnapshotFile).
    bool note_files = false;

    // The run stops (Stop::Reason::at_entry) where the program's own code begins: after the dynamic linker, if any.
    bool stop_at_entry = false;

    // --- limits, bytes; counted in whole pages the guest changed or added ---
    std::size_t max_memory = std::size_t{256} << 20;         // while it boots
    std::size_t max_request_memory = std::size_t{64} << 20;  // a fork, beyond the snapshot
    // What of its changed memory a fork may keep resident for its next request; the rest is given back to the host
    // at each reset. 0: all is given back.
    std::size_t max_kept_memory = std::numeric_limits<std::size_t>::max();
    // How long the host may take to make a VM while signals interrupt it, of a Machine or a Fork.
    Clock::duration max_creation_time = std::chrono::seconds(10);
    // Most guest address space that may be accessible at a time. Reserving it costs the host nothing but
    // 0.2 % of what is touched; mmap beyond it is ENOMEM.
    std::size_t max_address_space = std::size_t{3} << 30;
    // Memory that all VMs of the program see, zero at first, never reset; counted in none of the limits above. Taken
    // from the host while it boots.
    std::size_t shared_memory = 0;
    // Addresses that only mappings get that ask for them, fixed or as a hint. Whole pages.
    std::vector<GuestRange> addresses_on_request;
    // Addresses where nothing is ever mapped. Whole pages.
    std::vector<GuestRange> closed_addresses;
    // Files that forks map are copied once for all of them, at most max_memory of them at a time, and not for each.
    bool share_mapped_files = false;
    // mmap with MAP_FIXED at addresses that cannot be had finds another place, instead of failing.
    bool relocate_fixed_mappings = false;
    bool executable_heap = false;  // memory of brk
    std::size_t stack_size = std::size_t{8} << 20;
    std::size_t max_open_files = 1024;
    std::size_t max_threads = 64;  // each costs the host some 4 KiB besides the guest's memory

    // CPUs that work at once for a call of the program (FurtherCpus), at most most_cpus. Each but the first is a
    // thread of this process for each VM.
    unsigned cpus = 1;

    // --- huge pages of the host, of 2 MiB, for whole blocks of zero memory; bytes ---
    // Ask for transparent ones. Guest memory then becomes resident in steps of up to 2 MiB.
    bool transparent_huge_pages = false;
    // How much comes from reserved ones (/proc/sys/vm/nr_hugepages) while the program boots. When the host has too few,
    // that is a MachineError.
    std::size_t huge_page_arena = 0;
    // The same for each fork, the request area first. When the host has too few, small pages are used, with a warning.
    std::size_t request_huge_page_arena = 0;

    // --- where its output goes ---
    // Called on the thread that runs the guest with what it writes to fd 1 or 2. Null: discarded.
    std::function<void(int fd, std::string_view text)> output;
    // The guest's fd 0 is the host's; else it reads end of file, unless there is `input`.
    bool host_stdin = false;
    // The guest's fd 0 reads from the source that this returns on the thread that runs the guest. A null source has
    // nothing yet. Null: see host_stdin.
    std::function<InputSource*()> input;
    // The client that connects to a server in the guest; this is called on the thread that runs the guest. A null
    // client has not come yet. Null: none ever comes.
    std::function<Client*()> client;
    // The socket it connects to: a port, a path, or '@' and an abstract name. Empty: any stream that listens.
    std::string listen;
    // Receives one line per unusual event (unknown system calls, refused paths). Null: silent.
    std::function<void(std::string_view line)> log;
    // Receives one line when something works but is not as configured, and one line a request when one of these limits
    // makes a system call fail. Null: silent.
    std::function<void(std::string_view line)> warn;
    bool log_system_calls = false;  // every system call too
};

}  // namespace tinykvm

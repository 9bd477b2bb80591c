#include "tinykvm/linux/state.hpp"

#include <fcntl.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstring>
#include <span>
#include <utility>

#include "tinykvm/linux/guest_file_system.hpp"
#include "tinykvm/linux/refused_paths.hpp"
#include "tinykvm/linux/seen_files.hpp"
#include "tinykvm/os/random.hpp"

namespace tinykvm::linux_abi {

ProcessState ProcessState::at_start(const Options& options, GuestAddr break_start, std::string program_path) {
    ProcessState state;
    state.file_system = std::make_shared<const GuestFileSystem>(options);
    state.refused_paths = std::make_shared<RefusedPaths>();
    if (options.note_files) state.seen_files = std::make_shared<SeenFiles>();
    state.memory_tree.change() = MemoryTree(state.file_system->memory_mounts().size());
    fill_random(std::as_writable_bytes(std::span(state.boot_id)));
    state.break_start = state.break_end = break_start;
    if (!options.working_directory.empty()) state.working_directory = options.working_directory;

    state.files.set_limit(options.max_open_files);
    OpenFile file;
    file.kind = &kinds::input;
    file.flags = O_RDONLY;
    state.files.open(file, false);
    for (int fd : {1, 2}) {
        file.kind = &kinds::output;
        file.flags = O_WRONLY;
        file.output_fd = fd;
        state.files.open(file, false);
    }

    state.cpus = std::clamp(options.cpus, 1U, most_cpus);
    state.limits[RLIMIT_STACK] = {options.stack_size, options.stack_size};
    state.limits[RLIMIT_NOFILE] = {options.max_open_files, options.max_open_files};
    state.limits[RLIMIT_CORE] = {0, 0};
    state.limits[RLIMIT_NPROC] = {options.max_threads, options.max_threads};
    state.limits[RLIMIT_SIGPENDING] = {max_pending_signals, max_pending_signals};
    state.limits[RLIMIT_MEMLOCK] = {0, 0};
    state.limits[RLIMIT_MSGQUEUE] = {0, 0};
    state.limits[RLIMIT_NICE] = {0, 0};
    state.limits[RLIMIT_RTPRIO] = {0, 0};

    const std::string name = program_path.substr(program_path.rfind('/') + 1);
    std::memcpy(state.thread.name.data(), name.data(), std::min(name.size(), state.thread.name.size() - 1));
    // As on Linux this is the file itself, not a link to it: programs look for their other files in its directory.
    const GuestFileSystem::Location file_of_program =
        state.file_system->resolve(state, "/", program_path, GuestFileSystem::Last::follow);
    if (file_of_program.exists()) program_path = file_of_program.path;
    state.program_path = std::move(program_path);
    return state;
}

void ProcessState::begin_forks() {
    process_id = 0;
    limits_reported = 0;
    frozen_at = nanoseconds_of(Clock::now());
}

void ProcessState::thaw_timers() {
    const std::uint64_t since = std::exchange(frozen_at, 0), now = nanoseconds_of(Clock::now());
    if (since == 0) return;
    timers.thaw(since, now);
    if (files.has_timers()) files.thaw_timers(since, now);
}

}  // namespace tinykvm::linux_abi

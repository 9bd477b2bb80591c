#include "tinykvm/cold/process_check.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <set>
#include <string>

#include "tinykvm/cold/archive.hpp"
#include "tinykvm/linux/guest_file_system.hpp"
#include "tinykvm/x86/descriptor_tables.hpp"
#include "tinykvm/x86/layout.hpp"

namespace tinykvm::cold {

namespace {

using namespace linux_abi;

bool is_absolute(const std::string& path) { return path.starts_with('/') && path.size() < longest_resolved_path; }

void check_signals(const std::vector<PendingSignal>& pending) {
    require(pending.size() <= max_pending_signals, "it has too many signals");
    for (const PendingSignal& one : pending)
        require(one.signal > 0 && one.signal <= signal_count, "it has an unknown signal");
}

void check_thread(const ThreadState& thread, std::set<int>& ids) {
    check_signals(thread.pending);
    require(thread.id > 0 && thread.id <= largest_process_id && ids.insert(thread.id).second,
            "its threads have impossible numbers");
    require(thread.name.back() == '\0' && thread.wait.what <= Wait::For::call, "its threads are impossible");
}

void check_threads(const ProcessState& process, const Options& options, std::size_t vector_state_size) {
    require(process.parked.size() < options.max_threads, "it has too many threads");
    require(process.cpus == std::clamp(options.cpus, 1U, most_cpus), "it was told of other processors");
    std::set<int> ids;
    check_thread(process.thread, ids);
    for (const ParkedThread& parked : process.parked) {
        check_thread(parked.state, ids);
        require(parked.vectors && parked.vectors->size() == vector_state_size,
                "its threads have other vector registers than those of this CPU");
        require(check_registers(parked.registers) == parked.registers, "its threads have impossible registers");
    }
    require(process.next_thread_id > 0 && process.next_thread_id <= largest_process_id + 1,
            "its threads have impossible numbers");
}

void check_files(const ProcessState& process, const Regions& regions, const Options& options) {
    require(process.files.limit() <= options.max_open_files, "it has more open files than it may");
    std::string why = process.files.why_impossible();
    require(why.empty(), why.c_str());
    why = process.memory_tree->why_impossible(process.file_system->memory_mounts().size());
    require(why.empty(), why.c_str());
    const auto check_inode = [&](FileId inode, bool is_directory, bool is_file) {
        const MemoryInode* found = process.memory_tree->find(inode);
        require(found && (!is_directory || found->is_directory()) && (!is_file || found->is_file()),
                "it has an in-memory file open that does not exist");
    };
    process.files.for_each_file([&](const OpenFile& file) {
        const bool is_directory = file.kind == &kinds::memory_directory, is_file = file.kind == &kinds::memory_file;
        if (file.inode != 0 || is_directory || is_file || file.kind == &kinds::memory_name)
            check_inode(file.inode, is_directory, is_file);
    });
    for (const auto& [begin, region] : regions)
        if (region.shared_file != 0) check_inode(region.shared_file, false, true);
}

void check_timers(const ProcessTimers& timers) {
    require(timers.created.size() <= max_timers, "it has too many timers");
    for (const PosixTimer& one : timers.created)
        require(one.signal >= 0 && one.signal <= signal_count && (one.signal > 0 || !one.sends_signal()),
                "it has an impossible timer");
}

void check_limits(const ProcessState& process, const Options& options) {
    const auto is_within = [&](int which, std::uint64_t most) { return process.limits[which].maximum <= most; };
    require(is_within(RLIMIT_NOFILE, options.max_open_files) && is_within(RLIMIT_NPROC, options.max_threads) &&
                is_within(RLIMIT_SIGPENDING, max_pending_signals),
            "its limits are not those of the configuration");
}

}  // namespace

Registers check_registers(Registers registers) {
    require(registers.rip < x86::user_end, "it goes on at an address beyond user space");
    registers.rflags = x86::sanitize_flags(registers.rflags);
    return registers;
}

void check_process(const ProcessState& process, const Regions& regions, const Options& options,
                   std::size_t vector_state_size) {
    require(process.process_id == 0, "it is no frozen process");
    require(is_absolute(process.working_directory) && !process.program_path.empty(), "its paths are impossible");
    require(process.break_start <= process.break_end && process.break_end <= x86::user_end, "its heap is impossible");
    check_signals(process.pending);
    check_threads(process, options, vector_state_size);
    check_files(process, regions, options);
    check_timers(process.timers);
    check_limits(process, options);
}

}  // namespace tinykvm::cold

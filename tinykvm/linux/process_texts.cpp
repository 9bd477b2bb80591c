// The texts of /proc/PID.
#include <sys/resource.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <string_view>

#include "tinykvm/linux/guest_file_system.hpp"
#include "tinykvm/linux/memory_files.hpp"
#include "tinykvm/linux/pseudo_texts.hpp"
#include "tinykvm/linux/syscall_context.hpp"
#include "tinykvm/linux/text_format.hpp"
#include "tinykvm/linux/vdso/vdso.hpp"
#include "tinykvm/x86/layout.hpp"

namespace tinykvm::linux_abi {

namespace {

constexpr std::uint64_t ticks_per_second = 100;

const ThreadState& thread_of(const SyscallContext& call, int thread) {
    const ThreadState* found = find_thread(std::as_const(call.state), thread);
    return found ? *found : call.state.thread;  // the first thread of the process has ended
}

std::size_t thread_count(const ProcessState& state) { return state.parked.size() + (state.thread.id != 0); }

struct Sizes {
    std::uint64_t all = 0, code = 0, data = 0, stack = 0;  // bytes of addresses
    GuestAddr code_begin = 0, code_end = 0, stack_end = 0;
};

Sizes sizes_of(const Regions& regions) {
    Sizes sizes;
    for (const auto& [begin, region] : regions) {
        const std::uint64_t size = region.end - region.begin;
        sizes.all += size;
        if (region.name == "[stack]") {
            sizes.stack += size;
            sizes.stack_end = region.end;
        } else if (region.protection.execute) {
            sizes.code += size;
            if (sizes.code_begin == 0) sizes.code_begin = region.begin, sizes.code_end = region.end;
        } else if (region.protection.write) {
            sizes.data += size;
        }
    }
    return sizes;
}

SignalSet pending_set(const std::vector<PendingSignal>& pending) {
    SignalSet set = 0;
    for (const PendingSignal& signal : pending) set |= signal_bit(signal.signal);
    return set;
}

SignalSet action_set(const ProcessState& state, bool ignored) {
    SignalSet set = 0;
    for (int signal = 1; signal <= signal_count; ++signal) {
        const std::uint64_t handler = state.actions[static_cast<std::size_t>(signal)].handler;
        if (ignored ? handler == 1 : handler > 1) set |= signal_bit(signal);
    }
    return set;
}

std::string zero_ended(const std::vector<std::string>& strings) {
    std::string text;
    for (const std::string& string : strings) text.append(string) += '\0';
    return text;
}

// A thread's name as Linux writes it where other fields are on its line: a newline that the program put in it is
// escaped.
std::string name_in_line(const ThreadState& thread) {
    std::string name;
    for (const char c : std::string_view(thread.name.data())) {
        if (c == '\n') {
            name += "\\n";
        } else {
            name.append(c == '\\' ? 2 : 1, c);
        }
    }
    return name;
}

// The same for the path of a mapping.
std::string path_in_line(const std::string& path) {
    std::string text;
    for (const char c : path) {
        if (c == '\n') {
            text += "\\012";
        } else {
            text += c;
        }
    }
    return text;
}

void append_mapping(std::string& text, GuestRange range, Protection p, const std::string& name,
                    const MappingTraits& traits = {}) {
    const std::string line =
        formatted("%08" PRIx64 "-%08" PRIx64 " %c%c%c%c %08" PRIx64 " %02x:%02x %" PRIu64 " ", range.begin, range.end,
                  p.read ? 'r' : '-', p.write ? 'w' : '-', p.execute ? 'x' : '-', traits.shared ? 's' : 'p',
                  traits.offset, major(traits.device), minor(traits.device), traits.inode);
    text += line;
    if (!name.empty()) text.append(73 - std::min<std::size_t>(73, line.size()), ' ') += path_in_line(name);
    text += '\n';
}

}  // namespace

std::string auxv_text(const SyscallContext& call, int) { return call.state.auxiliary_vector; }
std::string cgroup_text(const SyscallContext&, int) { return "0::/\n"; }

std::string cmdline_text(const SyscallContext& call, int) {
    return zero_ended({call.options.program_name}) + zero_ended(call.options.arguments);
}

std::string comm_text(const SyscallContext& call, int thread) {
    return thread_of(call, thread).name.data() + std::string("\n");
}
std::string environ_text(const SyscallContext& call, int) { return zero_ended(call.options.environment); }

std::string limits_text(const SyscallContext& call, int) {
    constexpr struct {
        int resource;
        const char *name, *unit;
    } rows[] = {
        {RLIMIT_CPU, "Max cpu time", "seconds"},         {RLIMIT_FSIZE, "Max file size", "bytes"},
        {RLIMIT_DATA, "Max data size", "bytes"},         {RLIMIT_STACK, "Max stack size", "bytes"},
        {RLIMIT_CORE, "Max core file size", "bytes"},    {RLIMIT_RSS, "Max resident set", "bytes"},
        {RLIMIT_NPROC, "Max processes", "processes"},    {RLIMIT_NOFILE, "Max open files", "files"},
        {RLIMIT_MEMLOCK, "Max locked memory", "bytes"},  {RLIMIT_AS, "Max address space", "bytes"},
        {RLIMIT_LOCKS, "Max file locks", "locks"},       {RLIMIT_SIGPENDING, "Max pending signals", "signals"},
        {RLIMIT_MSGQUEUE, "Max msgqueue size", "bytes"}, {RLIMIT_NICE, "Max nice priority", ""},
        {RLIMIT_RTPRIO, "Max realtime priority", ""},    {RLIMIT_RTTIME, "Max realtime timeout", "us"},
    };
    const auto number = [](std::uint64_t limit) {
        return limit == ~std::uint64_t{0} ? std::string("unlimited") : std::to_string(limit);
    };
    std::string text = formatted("%-25s %-20s %-20s %-10s\n", "Limit", "Soft Limit", "Hard Limit", "Units");
    for (const auto& row : rows) {
        const ResourceLimit& limit = call.state.limits[static_cast<std::size_t>(row.resource)];
        text += formatted("%-25s %-20s %-20s %-10s\n", row.name, number(limit.current).c_str(),
                          number(limit.maximum).c_str(), row.unit);
    }
    return text;
}

namespace {

// Calls visit(range, rights, name, traits) for each line of /proc/PID/maps.
template <typename Visit>
void for_each_mapping(const SyscallContext& call, Visit visit) {
    static const std::string shared_memory_name = "/dev/zero (deleted)";
    const ProcessState& state = call.state;
    for (const auto& [begin, region] : call.memory.regions()) {
        // The heap may be one region with what the program has before it.
        const bool has_heap = region.begin < state.break_end && region.end > state.break_start && region.name.empty();
        const GuestAddr heap = has_heap ? std::max(region.begin, state.break_start) : region.end;
        const bool is_memory = region.name.empty() && region.traits.shared;
        const std::string& name = is_memory ? shared_memory_name : region.name;
        if (region.begin < heap) visit(GuestRange{region.begin, heap}, region.protection, name, region.traits);
        if (has_heap) visit(GuestRange{heap, region.end}, region.protection, std::string("[heap]"), MappingTraits{});
    }
    visit(GuestRange{x86::clock_page, x86::clock_page + page_size}, Protection{.read = true}, std::string("[vvar]"),
          MappingTraits{});
    visit(GuestRange{x86::vdso, x86::vdso + page_ceil(vdso_image().size())}, Protection{.read = true, .execute = true},
          std::string("[vdso]"), MappingTraits{});
}

// The rows of smaps for `bytes` of addresses. What is resident is not known for each mapping; it is given as
// `resident`.
void append_sizes(std::string& text, std::uint64_t resident) {
    for (const char* name : {"Rss", "Pss", "Pss_Dirty"})
        text += formatted("%s:%*" PRIu64 " kB\n", name, static_cast<int>(23 - std::string_view(name).size()),
                          resident >> 10);
    for (const char* name : {"Shared_Clean", "Shared_Dirty", "Private_Clean"})
        text += formatted("%s:%*d kB\n", name, static_cast<int>(23 - std::string_view(name).size()), 0);
    for (const char* name : {"Private_Dirty", "Referenced", "Anonymous"})
        text += formatted("%s:%*" PRIu64 " kB\n", name, static_cast<int>(23 - std::string_view(name).size()),
                          resident >> 10);
    for (const char* name : {"LazyFree", "AnonHugePages", "ShmemPmdMapped", "FilePmdMapped", "Shared_Hugetlb",
                             "Private_Hugetlb", "Swap", "SwapPss", "Locked"})
        text += formatted("%s:%*d kB\n", name, static_cast<int>(23 - std::string_view(name).size()), 0);
}

}  // namespace

std::string maps_text(const SyscallContext& call, int) {
    std::string text;
    for_each_mapping(call, [&](GuestRange range, Protection rights, const std::string& name,
                               const MappingTraits& traits) { append_mapping(text, range, rights, name, traits); });
    return text;
}

// All that the guest has changed is in its writable mappings; which part is in which is not told.
std::string smaps_text(const SyscallContext& call, int) {
    std::string text;
    std::uint64_t left = call.memory.changed_bytes();
    for_each_mapping(
        call, [&](GuestRange range, Protection rights, const std::string& name, const MappingTraits& traits) {
            const std::uint64_t size = range.end - range.begin, resident = rights.write ? std::min(size, left) : 0;
            left -= resident;
            append_mapping(text, range, rights, name, traits);
            text += formatted("Size:%19" PRIu64 " kB\nKernelPageSize:        4 kB\nMMUPageSize:           4 kB\n",
                              size >> 10);
            append_sizes(text, resident);
            text += "THPeligible:           0\n";
            text += formatted("VmFlags:%s%s%s mr mw me%s\n", rights.read ? " rd" : "", rights.write ? " wr" : "",
                              rights.execute ? " ex" : "", traits.shared ? " sh" : "");
        });
    return text;
}

std::string smaps_rollup_text(const SyscallContext& call, int) {
    const auto first = call.memory.regions().begin();
    const GuestAddr begin = first == call.memory.regions().end() ? 0 : first->first;
    std::string text;
    append_mapping(text, {begin, x86::vdso + page_ceil(vdso_image().size())}, {}, "[rollup]");
    append_sizes(text, call.memory.changed_bytes());
    return text;
}

std::string mountinfo_text(const SyscallContext& call, int) {
    std::string text =
        "1 1 0:1 / / ro,relatime - tmpfs tmpfs ro\n"
        "2 1 0:2 / /proc ro,nosuid,nodev,noexec,relatime - proc proc ro\n"
        "3 1 0:3 / /sys ro,nosuid,nodev,noexec,relatime - sysfs sysfs ro\n"
        "4 1 0:4 / /dev rw,nosuid,noexec,relatime - devtmpfs devtmpfs rw\n";
    int number = 5;
    for (const std::string& mount : call.state.file_system->memory_mounts()) {
        text += formatted("%d 1 0:%u / %s rw,nosuid,nodev,noatime - tmpfs tmpfs rw\n", number,
                          first_memory_minor + static_cast<unsigned>(number - 4), path_in_line(mount).c_str());
        ++number;
    }
    return text;
}

std::string mounts_text(const SyscallContext& call, int) {
    std::string text =
        "tmpfs / tmpfs ro,relatime 0 0\n"
        "proc /proc proc ro,nosuid,nodev,noexec,relatime 0 0\n"
        "sysfs /sys sysfs ro,nosuid,nodev,noexec,relatime 0 0\n"
        "devtmpfs /dev devtmpfs rw,nosuid,noexec,relatime 0 0\n";
    for (const std::string& mount : call.state.file_system->memory_mounts())
        text += "tmpfs " + path_in_line(mount) + " tmpfs rw,nosuid,nodev,noatime 0 0\n";
    return text;
}

// 52 fields; those with names here are not zero.
std::string process_stat_text(const SyscallContext& call, int thread) {
    const ThreadState& about = thread_of(call, thread);
    const Sizes sizes = sizes_of(call.memory.regions());
    const std::uint64_t used = call.cpu.charge(call.state.cpu_nanoseconds) / (1'000'000'000 / ticks_per_second);
    const std::uint64_t resident = call.memory.changed_bytes() / page_size;
    std::string text = formatted("%d (%s) R %d %d %d 0 -1 0 0 0 0 0 ", thread, name_in_line(about).c_str(), parent_id,
                                 first_process_id, first_process_id);
    text += formatted("%" PRIu64 " 0 0 0 %d %d %zu 0 0 ", used, 20 + call.state.nice, call.state.nice,
                      thread_count(call.state));
    text += formatted("%" PRIu64 " %" PRIu64 " 18446744073709551615 ", sizes.all, resident);
    text += formatted("%" PRIu64 " %" PRIu64 " %" PRIu64 " 0 0 ", sizes.code_begin, sizes.code_end, sizes.stack_end);
    text += formatted("%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " ", pending_set(about.pending), about.blocked,
                      action_set(call.state, true), action_set(call.state, false));
    text += formatted("0 0 0 17 0 0 0 0 0 0 0 0 %" PRIu64 " 0 0 0 0 0\n", call.state.break_start);
    return text;
}

std::string statm_text(const SyscallContext& call, int) {
    const Sizes sizes = sizes_of(call.memory.regions());
    return formatted("%" PRIu64 " %zu 0 %" PRIu64 " 0 %" PRIu64 " 0\n", sizes.all / page_size,
                     call.memory.changed_bytes() / page_size, sizes.code / page_size,
                     (sizes.data + sizes.stack) / page_size);
}

std::string status_text(const SyscallContext& call, int thread) {
    const ProcessState& state = call.state;
    const ThreadState& about = thread_of(call, thread);
    const Sizes sizes = sizes_of(call.memory.regions());
    const std::size_t resident = call.memory.changed_bytes() >> 10;
    std::string text = formatted("Name:\t%s\nUmask:\t%04o\nState:\tR (running)\nTgid:\t%d\nNgid:\t0\nPid:\t%d\n",
                                 name_in_line(about).c_str(), state.umask, state.process_id, thread);
    text += formatted("PPid:\t%d\nTracerPid:\t0\n", parent_id);
    for (const char* name : {"Uid", "Gid"})
        text += formatted("%s:\t%d\t%d\t%d\t%d\n", name, user_id, user_id, user_id, user_id);
    text +=
        formatted("FDSize:\t%zu\nGroups:\t \nNStgid:\t%d\nNSpid:\t%d\n", state.files.limit(), state.process_id, thread);
    text += formatted("NSpgid:\t%d\nNSsid:\t%d\n", first_process_id, first_process_id);
    const auto size = [&](const char* name, std::uint64_t kib) {
        text += formatted("%s:\t%8" PRIu64 " kB\n", name, kib);
    };
    size("VmPeak", sizes.all >> 10);
    size("VmSize", sizes.all >> 10);
    size("VmLck", 0);
    size("VmPin", 0);
    size("VmHWM", resident);
    size("VmRSS", resident);
    size("RssAnon", resident);
    size("RssFile", 0);
    size("RssShmem", 0);
    size("VmData", sizes.data >> 10);
    size("VmStk", sizes.stack >> 10);
    size("VmExe", sizes.code >> 10);
    size("VmLib", 0);
    size("VmPTE", 0);
    size("VmSwap", 0);
    size("HugetlbPages", 0);
    text += formatted("CoreDumping:\t0\nTHP_enabled:\t0\nThreads:\t%zu\nSigQ:\t%zu/%zu\n", thread_count(state),
                      state.pending.size(), max_pending_signals);
    const auto set = [&](const char* name, SignalSet value) {
        text += formatted("%s:\t%016" PRIx64 "\n", name, value);
    };
    set("SigPnd", pending_set(about.pending));
    set("ShdPnd", pending_set(state.pending));
    set("SigBlk", about.blocked);
    set("SigIgn", action_set(state, true));
    set("SigCgt", action_set(state, false));
    for (const char* name : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"}) set(name, 0);
    const std::uint64_t processors = about.processors & state.processors();
    text += formatted("NoNewPrivs:\t%d\nSeccomp:\t0\nSeccomp_filters:\t0\nCpus_allowed:\t%" PRIx64 "\n",
                      state.no_new_privileges, processors);
    text += "Cpus_allowed_list:\t" + processor_list(processors) + "\n";
    return text +
           "Mems_allowed:\t1\nMems_allowed_list:\t0\nvoluntary_ctxt_switches:\t0\nnonvoluntary_ctxt_switches:\t0\n";
}

}  // namespace tinykvm::linux_abi

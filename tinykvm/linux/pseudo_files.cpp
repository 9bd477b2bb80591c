#include "tinykvm/linux/pseudo_files.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>

#include "tinykvm/linux/pseudo_texts.hpp"
#include "tinykvm/linux/state.hpp"
#include "tinykvm/linux/syscall_context.hpp"
#include "tinykvm/linux/system_name.hpp"

namespace tinykvm::linux_abi {

namespace {

using Kind = PseudoFile::Kind;
using Target = std::string (*)(const ProcessState&);

struct Entry {
    std::string_view path;
    Kind kind;
    std::string_view constant{};  // the one line of a text, or the target of a link
    PseudoFile::Text text = nullptr;
    Target target = nullptr;
    const FileKind* device = nullptr;
    unsigned minor = 0;
};

constexpr Entry directory(std::string_view path) { return {.path = path, .kind = Kind::directory}; }
constexpr Entry text(std::string_view path, PseudoFile::Text make) {
    return {.path = path, .kind = Kind::text, .text = make};
}
constexpr Entry line(std::string_view path, std::string_view constant) {
    return {.path = path, .kind = Kind::text, .constant = constant};
}
constexpr Entry link(std::string_view path, std::string_view target) {
    return {.path = path, .kind = Kind::link, .constant = target};
}
constexpr Entry link(std::string_view path, Target target) {
    return {.path = path, .kind = Kind::link, .target = target};
}
constexpr Entry device(std::string_view path, const FileKind& kind, unsigned minor) {
    return {.path = path, .kind = Kind::device, .device = &kind, .minor = minor};
}

std::string own_directory(const ProcessState& state) { return std::to_string(state.process_id); }
std::string own_thread_directory(const ProcessState& state) {
    return std::to_string(state.process_id) + "/task/" + std::to_string(state.thread.id);
}
std::string own_program(const ProcessState& state) { return state.program_path; }
std::string own_working_directory(const ProcessState& state) { return state.working_directory; }

// Directories are not listed: they exist because files are in them.
constexpr Entry system_files[] = {
    link("/dev/fd", "/proc/self/fd"),
    device("/dev/full", kinds::full, 7),
    device("/dev/null", kinds::null, 3),
    device("/dev/random", kinds::random, 8),
    link("/dev/stderr", "/proc/self/fd/2"),
    link("/dev/stdin", "/proc/self/fd/0"),
    link("/dev/stdout", "/proc/self/fd/1"),
    device("/dev/urandom", kinds::random, 9),
    device("/dev/zero", kinds::zero, 5),
    text("/proc/cpuinfo", cpuinfo_text),
    line("/proc/filesystems", "nodev\tsysfs\nnodev\ttmpfs\nnodev\tproc\nnodev\tdevtmpfs"),
    text("/proc/loadavg", loadavg_text),
    text("/proc/meminfo", meminfo_text),
    link("/proc/mounts", "self/mounts"),
    link("/proc/self", own_directory),
    text("/proc/stat", stat_text),
    line("/proc/swaps", "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority"),
    line("/proc/sys/fs/file-max", "9223372036854775807"),
    line("/proc/sys/fs/nr_open", "1048576"),
    line("/proc/sys/fs/pipe-max-size", "1048576"),
    line("/proc/sys/kernel/cap_last_cap", "40"),
    line("/proc/sys/kernel/core_pattern", "core"),
    line("/proc/sys/kernel/domainname", system_domain),
    line("/proc/sys/kernel/hostname", system_host),
    line("/proc/sys/kernel/ngroups_max", "65536"),
    line("/proc/sys/kernel/osrelease", system_release),
    line("/proc/sys/kernel/ostype", system_type),
    line("/proc/sys/kernel/pid_max", "4194304"),
    text("/proc/sys/kernel/random/boot_id", boot_id_text),
    line("/proc/sys/kernel/random/entropy_avail", "256"),
    text("/proc/sys/kernel/random/uuid", uuid_text),
    text("/proc/sys/kernel/threads-max", thread_limit_text),
    line("/proc/sys/kernel/version", system_version),
    line("/proc/sys/net/core/somaxconn", "4096"),
    text("/proc/sys/vm/max_map_count", mapping_limit_text),
    line("/proc/sys/vm/mmap_min_addr", "65536"),
    line("/proc/sys/vm/nr_hugepages", "0"),
    line("/proc/sys/vm/overcommit_memory", "0"),
    line("/proc/sys/vm/overcommit_ratio", "50"),
    line("/proc/sys/vm/swappiness", "60"),
    link("/proc/thread-self", own_thread_directory),
    text("/proc/uptime", uptime_text),
    text("/proc/version", version_text),
    text("/sys/devices/system/cpu/cpu0/topology/core_cpus", own_processor_mask_text),
    text("/sys/devices/system/cpu/cpu0/topology/core_cpus_list", own_processor_text),
    text("/sys/devices/system/cpu/cpu0/topology/core_id", own_processor_text),
    text("/sys/devices/system/cpu/cpu0/topology/core_siblings", processors_mask_text),
    text("/sys/devices/system/cpu/cpu0/topology/core_siblings_list", processors_text),
    line("/sys/devices/system/cpu/cpu0/topology/die_id", "0"),
    text("/sys/devices/system/cpu/cpu0/topology/package_cpus", processors_mask_text),
    text("/sys/devices/system/cpu/cpu0/topology/package_cpus_list", processors_text),
    line("/sys/devices/system/cpu/cpu0/topology/physical_package_id", "0"),
    text("/sys/devices/system/cpu/cpu0/topology/thread_siblings", own_processor_mask_text),
    text("/sys/devices/system/cpu/cpu0/topology/thread_siblings_list", own_processor_text),
    line("/sys/devices/system/cpu/isolated", ""),
    text("/sys/devices/system/cpu/kernel_max", last_processor_text),
    line("/sys/devices/system/cpu/offline", ""),
    text("/sys/devices/system/cpu/online", processors_text),
    text("/sys/devices/system/cpu/possible", processors_text),
    text("/sys/devices/system/cpu/present", processors_text),
    line("/sys/devices/system/cpu/smt/active", "0"),
    line("/sys/devices/system/cpu/smt/control", "notsupported"),
    line("/sys/devices/system/node/has_cpu", "0"),
    line("/sys/devices/system/node/has_memory", "0"),
    text("/sys/devices/system/node/node0/cpulist", processors_text),
    text("/sys/devices/system/node/node0/cpumap", processors_mask_text),
    line("/sys/devices/system/node/node0/distance", "10"),
    text("/sys/devices/system/node/node0/meminfo", node_meminfo_text),
    line("/sys/devices/system/node/online", "0"),
    line("/sys/devices/system/node/possible", "0"),
    // Guests never have huge pages of their own.
    line("/sys/kernel/mm/transparent_hugepage/defrag", "always defer defer+madvise madvise [never]"),
    line("/sys/kernel/mm/transparent_hugepage/enabled", "always madvise [never]"),
    line("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size", "2097152"),
    line("/sys/kernel/mm/transparent_hugepage/shmem_enabled", "always within_size advise [never] deny force"),
};

// The files in /proc/PID and, except for "task", in /proc/PID/task/TID.
constexpr Entry process_files[] = {
    text("auxv", auxv_text),
    text("cgroup", cgroup_text),
    text("cmdline", cmdline_text),
    text("comm", comm_text),
    line("coredump_filter", "00000033"),
    link("cwd", own_working_directory),
    text("environ", environ_text),
    link("exe", own_program),
    directory("fd"),
    line("gid_map", "         0          0 4294967295"),
    line("io", "rchar: 0\nwchar: 0\nsyscr: 0\nsyscw: 0\nread_bytes: 0\nwrite_bytes: 0\ncancelled_write_bytes: 0"),
    text("limits", limits_text),
    line("loginuid", "4294967295"),
    text("maps", maps_text),
    text("mountinfo", mountinfo_text),
    text("mounts", mounts_text),
    line("oom_adj", "0"),
    line("oom_score", "0"),
    line("oom_score_adj", "0"),
    line("personality", "00000000"),
    link("root", "/"),
    line("schedstat", "0 0 0"),
    line("sessionid", "4294967295"),
    line("setgroups", "allow"),
    text("smaps", smaps_text),
    text("smaps_rollup", smaps_rollup_text),
    text("stat", process_stat_text),
    text("statm", statm_text),
    text("status", status_text),
    directory("task"),
    line("uid_map", "         0          0 4294967295"),
};

constexpr std::string_view trees[] = {"/proc", "/sys", "/dev"};

// "/proc/2/fd" below "/proc" is "2/fd"; the directory itself is "".
std::optional<std::string_view> relative_to(std::string_view path, std::string_view directory) {
    if (!path.starts_with(directory)) return std::nullopt;
    path.remove_prefix(directory.size());
    if (path.empty()) return path;
    if (path[0] != '/') return std::nullopt;
    return path.substr(1);
}

std::string_view take_component(std::string_view& path) {
    const auto slash = std::min(path.find('/'), path.size());
    const std::string_view component = path.substr(0, slash);
    path.remove_prefix(std::min(slash + 1, path.size()));
    return component;
}

// The value of a number as Linux writes it; -1 for any other text.
int number_of(std::string_view digits) {
    int number = -1;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    const bool whole = error == std::errc() && end == digits.data() + digits.size();
    return whole && number >= 0 && (digits == "0" || digits[0] != '0') ? number : -1;
}

PseudoFile made(const ProcessState& state, const Entry& entry, int thread) {
    PseudoFile file{.kind = entry.kind,
                    .device = entry.device,
                    .minor = entry.minor,
                    .constant = entry.constant,
                    .text = entry.text,
                    .number = thread};
    if (entry.kind == Kind::link) {
        file.target = entry.target ? entry.target(state) : std::string(entry.constant);
        if (file.target.empty()) file.kind = Kind::none;
    }
    return file;
}

// A directory of a process or thread, and the rest of the path in it.
struct ProcessPath {
    int thread = 0;
    bool of_thread = false;  // in "task"
    std::string_view rest;   // "" is the directory itself
};

// Splits paths in /proc/PID and /proc/PID/task/TID, for ids that exist. (As on Linux /proc/TID exists, too, though it
// is not listed.)
std::optional<ProcessPath> process_path(const ProcessState& state, std::string_view path) {
    auto rest = relative_to(path, "/proc");
    if (!rest || rest->empty()) return std::nullopt;
    ProcessPath found;
    found.thread = number_of(take_component(*rest));
    found.rest = *rest;
    // The process still exists when its first thread has ended.
    if (!state.is_process(found.thread) && !has_thread(state, found.thread)) return std::nullopt;
    auto task = relative_to(found.rest, "task");
    if (task && !task->empty()) {
        found.thread = number_of(take_component(*task));
        found.of_thread = true;
        found.rest = *task;
        if (!has_thread(state, found.thread)) return std::nullopt;
    }
    return found;
}

constexpr std::string_view processor_directory = "/sys/devices/system/cpu/cpu";

// A path in the directory of a processor, as it is in that of the first one, which has all entries.
struct ProcessorPath {
    int cpu = 0;
    std::string path;
};
std::optional<ProcessorPath> processor_path(const ProcessState& state, std::string_view path) {
    if (!path.starts_with(processor_directory)) return std::nullopt;
    std::string_view rest = path.substr(processor_directory.size());
    const std::string_view digits = rest.substr(0, std::min(rest.find('/'), rest.size()));
    const int cpu = number_of(digits);
    if (cpu < 0 || cpu >= static_cast<int>(state.cpus)) return std::nullopt;
    return ProcessorPath{cpu, std::string(processor_directory) + "0" + std::string(rest.substr(digits.size()))};
}

PseudoFile find_of_process(const ProcessState& state, const ProcessPath& path) {
    if (path.rest.empty()) return {.kind = Kind::directory};
    if (const auto number = relative_to(path.rest, "fd"); number && !number->empty()) {
        const int fd = number_of(*number);
        return state.files.find(fd) ? PseudoFile{.kind = Kind::descriptor, .number = fd} : PseudoFile{};
    }
    if (path.of_thread && path.rest == "task") return {};
    for (const Entry& entry : process_files)
        if (entry.path == path.rest) return made(state, entry, path.thread);
    return {};
}

std::vector<std::string> list_of_process(const ProcessState& state, const ProcessPath& path) {
    std::vector<std::string> names;
    if (path.rest == "fd") {
        for (int fd = 0; fd < static_cast<int>(state.files.limit()); ++fd)
            if (state.files.find(fd)) names.push_back(std::to_string(fd));
    } else if (path.rest == "task" && !path.of_thread) {
        if (state.thread.id != 0) names.push_back(std::to_string(state.thread.id));
        for (const ParkedThread& parked : state.parked) names.push_back(std::to_string(parked.state.id));
    } else if (path.rest.empty()) {
        for (const Entry& entry : process_files)
            if (entry.path != "task" || !path.of_thread) names.emplace_back(entry.path);
    }
    return names;
}

}  // namespace

int pseudo_tree(std::string_view path) {
    for (std::size_t i = 0; i < std::size(trees); ++i)
        if (relative_to(path, trees[i])) return static_cast<int>(i) + 1;
    return 0;
}

std::string make_text(const PseudoFile& file, const SyscallContext& call) {
    return file.text ? file.text(call, file.number) : std::string(file.constant) + "\n";
}

bool is_pseudo_path(std::string_view path) { return pseudo_tree(path) != 0; }

PseudoFile find_pseudo_file(const ProcessState& state, std::string_view path) {
    if (!is_pseudo_path(path)) return {};
    if (const auto process = process_path(state, path)) return find_of_process(state, *process);
    const auto of_processor = processor_path(state, path);
    if (of_processor) path = of_processor->path;
    for (const Entry& entry : system_files) {
        const auto rest = relative_to(entry.path, path);
        if (rest && rest->empty()) return made(state, entry, of_processor ? of_processor->cpu : state.process_id);
        if (rest) return {.kind = Kind::directory};
    }
    return {};
}

std::vector<std::string> list_pseudo_files(const ProcessState& state, std::string_view directory) {
    std::set<std::string> names;
    if (directory == "/") {
        for (std::string_view tree : trees) names.emplace(tree.substr(1));
    } else if (const auto process = process_path(state, directory)) {
        return list_of_process(state, *process);
    } else {
        const auto of_processor = processor_path(state, directory);
        if (of_processor) directory = of_processor->path;
        for (const Entry& entry : system_files)
            if (auto rest = relative_to(entry.path, directory); rest && !rest->empty())
                names.emplace(take_component(*rest));
        if (directory == "/sys/devices/system/cpu")
            for (unsigned cpu = 1; cpu < state.cpus; ++cpu) names.insert("cpu" + std::to_string(cpu));
        if (directory == "/proc") names.insert(std::to_string(state.process_id));
    }
    return {names.begin(), names.end()};
}

}  // namespace tinykvm::linux_abi

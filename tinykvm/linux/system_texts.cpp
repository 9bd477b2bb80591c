// The texts of pseudo files about the machine and its kernel.
#include <time.h>

#include <algorithm>
#include <array>
#include <cinttypes>
#include <cstring>
#include <iterator>
#include <span>
#include <utility>

#include "tinykvm/linux/guest_clock.hpp"
#include "tinykvm/linux/pseudo_texts.hpp"
#include "tinykvm/linux/syscall_context.hpp"
#include "tinykvm/linux/system_name.hpp"
#include "tinykvm/linux/text_format.hpp"
#include "tinykvm/os/random.hpp"
#include "tinykvm/platform/platform.hpp"

namespace tinykvm::linux_abi {

namespace {

constexpr std::uint64_t second = 1'000'000'000, tick = second / 100;

std::uint64_t uptime() { return guest_time(CLOCK_BOOTTIME).value_or(0); }

}  // namespace

// The guest sees its memory limit as the memory of the machine.
std::string meminfo_text(const SyscallContext& call, int) {
    const std::size_t total = call.memory.limits().bytes;
    const std::size_t free = total - std::min(total, call.memory.changed_bytes());
    const struct {
        const char* name;
        std::size_t bytes;
    } rows[] = {{"MemTotal:", total},
                {"MemFree:", free},
                {"MemAvailable:", free},
                {"Buffers:", 0},
                {"Cached:", 0},
                {"SwapCached:", 0},
                {"Active:", total - free},
                {"Inactive:", 0},
                {"SwapTotal:", 0},
                {"SwapFree:", 0},
                {"Dirty:", 0},
                {"Writeback:", 0},
                {"AnonPages:", total - free},
                {"Mapped:", 0},
                {"Shmem:", 0},
                {"Slab:", 0},
                {"SReclaimable:", 0},
                {"SUnreclaim:", 0},
                {"CommitLimit:", total},
                {"Committed_AS:", total - free}};
    std::string text;
    for (const auto& row : rows) text += formatted("%-15s %8zu kB\n", row.name, row.bytes >> 10);
    return text;
}

std::string node_meminfo_text(const SyscallContext& call, int) {
    const std::size_t total = call.memory.limits().bytes, used = std::min(total, call.memory.changed_bytes());
    std::string text;
    for (const auto& [name, bytes] : {std::pair{"MemTotal:", total}, {"MemFree:", total - used}, {"MemUsed:", used}})
        text += formatted("Node 0 %-15s %8zu kB\n", name, bytes >> 10);
    return text;
}

std::string stat_text(const SyscallContext& call, int) {
    const std::uint64_t used = call.cpu.charge(call.state.cpu_nanoseconds), up = uptime();
    const unsigned cpus = call.state.cpus;
    const std::uint64_t idle = cpus * up - std::min(cpus * up, used), now = guest_time(CLOCK_REALTIME).value_or(0);
    const auto row = [&](const std::string& name, std::uint64_t part) {
        return formatted("%s %" PRIu64 " 0 0 %" PRIu64 " 0 0 0 0 0 0\n", name.c_str(), used / part / tick,
                         idle / part / tick);
    };
    std::string text = row("cpu ", 1);
    // Threads move between them, so none has done more than another.
    for (unsigned cpu = 0; cpu < cpus; ++cpu) text += row("cpu" + std::to_string(cpu), cpus);
    text += formatted("intr 0\nctxt 0\nbtime %" PRIu64 "\nprocesses 1\n", (now - std::min(now, up)) / second);
    return text + "procs_running 1\nprocs_blocked 0\nsoftirq 0 0 0 0 0 0 0 0 0 0 0\n";
}

std::string uptime_text(const SyscallContext& call, int) {
    const std::uint64_t up = uptime(), used = call.cpu.charge(call.state.cpu_nanoseconds);
    const auto seconds = [](std::uint64_t time) {
        const std::uint64_t ticks = time / tick;
        return static_cast<double>(ticks) / 100;
    };
    return formatted("%.2f %.2f\n", seconds(up), seconds(up - std::min(up, used)));
}

std::string loadavg_text(const SyscallContext& call, int) {
    const std::size_t threads = call.state.parked.size() + (call.state.thread.id != 0);
    return formatted("0.00 0.00 0.00 1/%zu %d\n", threads, call.state.next_thread_id - 1);
}

std::string version_text(const SyscallContext&, int) {
    std::string text;
    for (const std::string_view part :
         {std::string_view(system_type), std::string_view(" version "), std::string_view(system_release),
          std::string_view(" ("), std::string_view(system_host), std::string_view(") "),
          std::string_view(system_version), std::string_view("\n")})
        text += part;  // g++ 14 sees copies past the end in a chain of operator+
    return text;
}

// --- Random numbers as names

namespace {

std::string uuid(std::array<std::uint8_t, 16> bytes) {
    bytes[6] = static_cast<std::uint8_t>((bytes[6] & 0x0f) | 0x40);
    bytes[8] = static_cast<std::uint8_t>((bytes[8] & 0x3f) | 0x80);
    std::string text;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
        text += formatted("%02x", bytes[i]);
    }
    return text + "\n";
}

}  // namespace

// Each boot of a program has its own id, which its requests share.
std::string boot_id_text(const SyscallContext& call, int) { return uuid(call.state.boot_id); }

std::string uuid_text(const SyscallContext&, int) {
    std::array<std::uint8_t, 16> bytes;
    fill_random(std::as_writable_bytes(std::span(bytes)));
    return uuid(bytes);
}

std::string mapping_limit_text(const SyscallContext& call, int) {
    return std::to_string(call.memory.max_regions()) + "\n";
}

std::string thread_limit_text(const SyscallContext& call, int) {
    return std::to_string(call.options.max_threads) + "\n";
}

}  // namespace tinykvm::linux_abi

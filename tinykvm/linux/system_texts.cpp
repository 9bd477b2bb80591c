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

// --- What CPUID tells the guest, in the words of /proc/cpuinfo.

kvm::CpuidEntry leaf(std::uint32_t function, std::uint32_t index = 0) {
    for (const kvm::CpuidEntry& entry : x86::Platform::instance().cpuid())
        if (entry.function == function && entry.index == index) return entry;
    return {};
}

struct Flag {
    int bit;
    const char* name;
};
constexpr Flag flags_1_edx[] = {{0, "fpu"},  {1, "vme"},   {2, "de"},    {3, "pse"},   {4, "tsc"},    {5, "msr"},
                                {6, "pae"},  {7, "mce"},   {8, "cx8"},   {9, "apic"},  {11, "sep"},   {12, "mtrr"},
                                {13, "pge"}, {14, "mca"},  {15, "cmov"}, {16, "pat"},  {17, "pse36"}, {19, "clflush"},
                                {23, "mmx"}, {24, "fxsr"}, {25, "sse"},  {26, "sse2"}, {27, "ss"},    {28, "ht"}};
constexpr Flag flags_1_ecx[] = {{0, "pni"},     {1, "pclmulqdq"},  {9, "ssse3"},   {12, "fma"},    {13, "cx16"},
                                {17, "pcid"},   {19, "sse4_1"},    {20, "sse4_2"}, {21, "x2apic"}, {22, "movbe"},
                                {23, "popcnt"}, {25, "aes"},       {26, "xsave"},  {28, "avx"},    {29, "f16c"},
                                {30, "rdrand"}, {31, "hypervisor"}};
constexpr Flag flags_7_ebx[] = {
    {0, "fsgsbase"},    {3, "bmi1"},      {5, "avx2"},      {7, "smep"},    {8, "bmi2"},      {9, "erms"},
    {16, "avx512f"},    {17, "avx512dq"}, {18, "rdseed"},   {19, "adx"},    {20, "smap"},     {21, "avx512ifma"},
    {23, "clflushopt"}, {24, "clwb"},     {28, "avx512cd"}, {29, "sha_ni"}, {30, "avx512bw"}, {31, "avx512vl"}};
constexpr Flag flags_7_ecx[] = {{1, "avx512vbmi"},     {6, "avx512_vbmi2"},      {8, "gfni"},
                                {9, "vaes"},           {10, "vpclmulqdq"},       {11, "avx512_vnni"},
                                {12, "avx512_bitalg"}, {14, "avx512_vpopcntdq"}, {22, "rdpid"}};
constexpr Flag flags_extended_edx[] = {{11, "syscall"}, {20, "nx"}, {26, "pdpe1gb"}, {27, "rdtscp"}, {29, "lm"}};
constexpr Flag flags_extended_ecx[] = {{0, "lahf_lm"}, {5, "abm"}, {6, "sse4a"}, {8, "3dnowprefetch"}};

void append_flags(std::string& text, std::uint32_t bits, std::span<const Flag> flags) {
    for (const Flag& flag : flags)
        if (bits >> flag.bit & 1) (text += ' ') += flag.name;
}

std::string cpu_flags() {
    const kvm::CpuidEntry basic = leaf(1), structured = leaf(7), extended = leaf(0x80000001);
    std::string text;
    append_flags(text, basic.edx, flags_1_edx);
    append_flags(text, extended.edx, flags_extended_edx);
    append_flags(text, basic.ecx, flags_1_ecx);
    append_flags(text, extended.ecx, flags_extended_ecx);
    append_flags(text, structured.ebx, flags_7_ebx);
    append_flags(text, structured.ecx, flags_7_ecx);
    return text;
}

std::string cpu_vendor() {
    const kvm::CpuidEntry entry = leaf(0);
    char name[12];
    std::memcpy(name, &entry.ebx, 4);
    std::memcpy(name + 4, &entry.edx, 4);
    std::memcpy(name + 8, &entry.ecx, 4);
    return {name, ::strnlen(name, sizeof name)};
}

std::string cpu_name() {
    char name[48];
    for (std::uint32_t i = 0; i < 3; ++i) {
        const kvm::CpuidEntry entry = leaf(0x80000002 + i);
        const std::uint32_t words[] = {entry.eax, entry.ebx, entry.ecx, entry.edx};
        std::memcpy(name + std::size_t{16} * i, words, sizeof words);
    }
    const std::string text(name, ::strnlen(name, sizeof name));
    return text.empty() ? "unknown" : text;
}

}  // namespace

std::string cpuinfo_text(const SyscallContext&, int) {
    const std::uint32_t signature = leaf(1).eax, base_family = signature >> 8 & 15;
    const std::uint32_t family = base_family == 15 ? base_family + (signature >> 20 & 255) : base_family;
    const std::uint32_t model = (signature >> 4 & 15) | (base_family >= 6 ? signature >> 12 & 0xf0 : 0);
    const std::uint32_t sizes = leaf(0x80000008).eax, line = leaf(1).ebx >> 5 & 0x7f8;
    std::string text = "processor\t: 0\nvendor_id\t: " + cpu_vendor() + "\n";
    text += formatted("cpu family\t: %u\nmodel\t\t: %u\n", family, model);
    text += "model name\t: " + cpu_name() + "\n";
    text += formatted("stepping\t: %u\n", signature & 15);
    if (const std::uint32_t mhz = leaf(0x16).eax & 0xffff) text += formatted("cpu MHz\t\t: %u.000\n", mhz);
    text += "physical id\t: 0\nsiblings\t: 1\ncore id\t\t: 0\ncpu cores\t: 1\napicid\t\t: 0\ninitial apicid\t: 0\n";
    text += formatted("fpu\t\t: yes\nfpu_exception\t: yes\ncpuid level\t: %u\nwp\t\t: yes\n", leaf(0).eax);
    text += "flags\t\t:" + cpu_flags() + "\n";
    text += formatted("clflush size\t: %u\ncache_alignment\t: %u\n", line, line);
    text += formatted("address sizes\t: %u bits physical, %u bits virtual\n\n", sizes & 255, sizes >> 8 & 255);
    return text;
}

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
    const std::uint64_t idle = up - std::min(up, used), now = guest_time(CLOCK_REALTIME).value_or(0);
    std::string text;
    for (const char* name : {"cpu ", "cpu0"})
        text += formatted("%s %" PRIu64 " 0 0 %" PRIu64 " 0 0 0 0 0 0\n", name, used / tick, idle / tick);
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

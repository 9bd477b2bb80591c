// The texts of pseudo files about the processors.
#include <algorithm>
#include <bit>
#include <cinttypes>
#include <cstring>
#include <span>
#include <string>

#include "tinykvm/linux/pseudo_texts.hpp"
#include "tinykvm/linux/state.hpp"
#include "tinykvm/linux/syscall_context.hpp"
#include "tinykvm/linux/text_format.hpp"
#include "tinykvm/platform/platform.hpp"

namespace tinykvm::linux_abi {

namespace {

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

std::string processor_text(unsigned cpu, unsigned cpus) {
    const std::uint32_t signature = leaf(1).eax, base_family = signature >> 8 & 15;
    const std::uint32_t family = base_family == 15 ? base_family + (signature >> 20 & 255) : base_family;
    const std::uint32_t model = (signature >> 4 & 15) | (base_family >= 6 ? signature >> 12 & 0xf0 : 0);
    const std::uint32_t sizes = leaf(0x80000008).eax, line = leaf(1).ebx >> 5 & 0x7f8;
    std::string text = formatted("processor\t: %u\n", cpu) + "vendor_id\t: " + cpu_vendor() + "\n";
    text += formatted("cpu family\t: %u\nmodel\t\t: %u\n", family, model);
    text += "model name\t: " + cpu_name() + "\n";
    text += formatted("stepping\t: %u\n", signature & 15);
    if (const std::uint32_t mhz = leaf(0x16).eax & 0xffff) text += formatted("cpu MHz\t\t: %u.000\n", mhz);
    text += formatted("physical id\t: 0\nsiblings\t: %u\ncore id\t\t: %u\ncpu cores\t: %u\n", cpus, cpu, cpus);
    text += formatted("apicid\t\t: %u\ninitial apicid\t: %u\n", cpu, cpu);
    text += formatted("fpu\t\t: yes\nfpu_exception\t: yes\ncpuid level\t: %u\nwp\t\t: yes\n", leaf(0).eax);
    text += "flags\t\t:" + cpu_flags() + "\n";
    text += formatted("clflush size\t: %u\ncache_alignment\t: %u\n", line, line);
    text += formatted("address sizes\t: %u bits physical, %u bits virtual\n\n", sizes & 255, sizes >> 8 & 255);
    return text;
}

std::string mask(std::uint64_t processors) { return formatted("%" PRIx64 "\n", processors); }

}  // namespace

std::string cpuinfo_text(const SyscallContext& call, int) {
    std::string text;
    for (unsigned cpu = 0; cpu < call.state.cpus; ++cpu) text += processor_text(cpu, call.state.cpus);
    return text;
}

std::string processor_list(std::uint64_t processors) {
    std::string text;
    for (int cpu = 0; cpu < 64 && processors >> cpu != 0; ++cpu) {
        if (!(processors >> cpu & 1)) continue;
        const int first = cpu;
        cpu += std::countr_one(processors >> cpu) - 1;
        if (!text.empty()) text += ',';
        text += std::to_string(first);
        if (cpu != first) text += '-' + std::to_string(cpu);
    }
    return text;
}

std::string processors_text(const SyscallContext& call, int) { return processor_list(call.state.processors()) + "\n"; }
std::string processors_mask_text(const SyscallContext& call, int) { return mask(call.state.processors()); }
std::string last_processor_text(const SyscallContext& call, int) { return std::to_string(call.state.cpus - 1) + "\n"; }
std::string own_processor_text(const SyscallContext&, int cpu) { return std::to_string(cpu) + "\n"; }
std::string own_processor_mask_text(const SyscallContext&, int cpu) { return mask(std::uint64_t{1} << cpu); }

}  // namespace tinykvm::linux_abi

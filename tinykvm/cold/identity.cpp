#include "tinykvm/cold/identity.hpp"

#include <sys/utsname.h>
#include <x86intrin.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "tinykvm/cold/archive.hpp"
#include "tinykvm/cold/checksums.hpp"
#include "tinykvm/cold/sources.hpp"
#include "tinykvm/linux/guest_clock.hpp"
#include "tinykvm/linux/timer.hpp"
#include "tinykvm/platform/platform.hpp"
#include "tinykvm/printable.hpp"

namespace tinykvm::cold {

namespace {

std::string hexadecimal(const Sha256& digest) {
    constexpr std::size_t enough = 16;  // to tell by, in a message
    return to_hex(digest.data(), enough);
}

// Without the numbers of the CPU that was asked, of which each has its own.
std::string features(const x86::Platform& platform) {
    Writer table;
    for (kvm::CpuidEntry entry : platform.cpuid()) {
        if (entry.function == 1) entry.ebx &= 0x00FFFFFF;
        if (entry.function == 0xB || entry.function == 0x1F) entry.edx = 0;
        if (entry.function == 0x8000001E) entry.eax = entry.ebx = entry.ecx = 0;
        table(entry.function, entry.index, entry.eax, entry.ebx, entry.ecx, entry.edx);
    }
    table(platform.xcr0(), platform.cr4(), std::uint64_t{platform.vector_state_size()}, platform.hwcap(),
          platform.hwcap2());
    return hexadecimal(sha256(table.bytes()));
}

// SHA-256 of all of it would take longer than the rest of a load; what this does not tell apart are programs that
// somebody has made up to be alike.
std::string checksum(const Program& program) {
    const std::span<const std::byte> bytes = program.bytes();
    const std::size_t pages = bytes.size() / page_size;
    std::vector<std::uint32_t> checksums(pages);
    checksum_pages(bytes.first(pages * page_size), checksums);
    Writer all;
    all(std::uint64_t{bytes.size()}, checksums, sha256(bytes.subspan(pages * page_size)));
    return hexadecimal(sha256(all.bytes()));
}

std::string kernel_release() {
    utsname names{};
    return ::uname(&names) == 0 ? names.release : "unknown";
}

std::string flavour(const x86::Platform& platform) {
    return std::string(platform.syscall_at_cpl0() ? "SYSCALL in supervisor mode" : "SYSCALL in user mode") +
           (platform.guest_has_host_tsc() ? ", the host's time-stamp counter" : ", no time-stamp counter") + ", " +
           std::to_string(kvm::System::instance().vector_state_size()) + " bytes of vector registers";
}

}  // namespace

std::vector<Tag> tags_of_machine() {
    const x86::Platform& platform = x86::Platform::instance();
    return {{"version of tinykvm", source_digest},
            {"kernel", kernel_release()},
            {"kind of KVM", flavour(platform)},
            {"set of CPU features", features(platform)}};
}

std::vector<Tag> tags_of_options(const Options& options) {
    Writer all;
    all(options.program_name, options.arguments, options.environment, std::uint64_t{options.environment_slots},
        std::uint64_t{options.environment_room}, options.environment_filler, options.working_directory,
        options.memory_directories, std::uint64_t{options.max_memory}, std::uint64_t{options.max_request_memory},
        std::uint64_t{options.max_address_space}, std::uint64_t{options.shared_memory}, options.relocate_fixed_mappings,
        options.executable_heap, std::uint64_t{options.stack_size}, std::uint64_t{options.max_open_files},
        std::uint64_t{options.max_threads}, std::uint64_t{options.cpus}, options.listen, options.host_stdin);
    for (const PathRule& rule : options.allowed_paths)
        all(rule.virtual_path, rule.real_path, rule.writable, rule.prefix, rule.for_everybody, rule.symlink);
    for (const auto* ranges : {&options.addresses_on_request, &options.closed_addresses})
        for (const GuestRange& range : *ranges) all(ranges == &options.closed_addresses, range.begin, range.end);
    return {{"configuration", hexadecimal(sha256(all.bytes()))}};
}

ProgramIdentity::ProgramIdentity(const Program& program) : checksum_(checksum(program)), stamp_(program.stamp()) {}

std::string ProgramIdentity::why_not(const Program& program) const {
    if (stamp_ && program.stamp() == stamp_) return {};
    const std::string now = checksum(program);
    return now == checksum_ ? "" : "the program is another one (" + checksum_ + ", now " + now + ")";
}

Counters Counters::now() {
    Counters counters{.nanoseconds = linux_abi::nanoseconds_of(Clock::now()), .ticks = __rdtsc()};
    const linux_abi::ClockPage& clock = linux_abi::ClockPage::instance();
    if (clock.enabled())
        counters.ticks_per_second =
            clock.ticks_after(std::chrono::seconds(1)) - clock.ticks_after(std::chrono::seconds(0));
    return counters;
}

std::string Counters::why_not(const Counters& now) const {
    if (now.nanoseconds < nanoseconds || now.ticks < ticks)
        return "the host has started anew since: the clocks of the program would go back";
    const std::uint64_t faster = std::max(ticks_per_second, now.ticks_per_second);
    const std::uint64_t slower = std::min(ticks_per_second, now.ticks_per_second);
    // It is measured, so it is not exactly the same each time.
    if (slower != 0 && (faster - slower) > faster / 100)
        return "the time-stamp counter has another frequency (" + std::to_string(ticks_per_second) + " Hz, now " +
               std::to_string(now.ticks_per_second) + " Hz)";
    return {};
}

}  // namespace tinykvm::cold

#include "tinykvm/linux/guest_clock.hpp"

#include <cpuid.h>
#include <sys/mman.h>
#include <unistd.h>
#include <x86intrin.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tinykvm/errors.hpp"

namespace tinykvm::linux_abi {

namespace {

constexpr std::uint64_t second = 1'000'000'000;
constexpr std::uint64_t refresh_interval = 50'000'000;  // ns
constexpr std::uint64_t anchor_age = 8 * second;        // ns: the tick length is measured over 8 to 16 s
constexpr std::uint64_t correction_time = second;       // ns: how long correcting a page that is ahead takes
constexpr std::int64_t jump = 1'000'000;                // ns: more than any drift

std::uint64_t host_time(clockid_t clock) noexcept {
    timespec time{};
    ::clock_gettime(clock, &time);
    return static_cast<std::uint64_t>(time.tv_sec) * second + static_cast<std::uint64_t>(time.tv_nsec);
}

std::uint64_t ticks() noexcept {
    _mm_lfence();
    return __rdtsc();
}

// Does the host itself tell the time by the counter?
bool counter_is_clock() {
    char name[64] = {};
    if (std::FILE* file = std::fopen("/sys/devices/system/clocksource/clocksource0/current_clocksource", "re")) {
        const bool read = std::fgets(name, sizeof name, file) != nullptr;
        std::fclose(file);
        if (read) {
            name[std::strcspn(name, "\n")] = 0;
            return !std::strcmp(name, "tsc") || !std::strcmp(name, "kvm-clock") ||
                   !std::strcmp(name, "hyperv_clocksource_tsc_page");
        }
    }
    unsigned a = 0, b = 0, c = 0, d = 0;
    return __get_cpuid(0x80000007, &a, &b, &c, &d) && (d >> 8 & 1);  // invariant TSC
}

std::uint64_t nanoseconds_of(std::uint64_t elapsed_ticks, std::uint64_t multiplier) {
    return static_cast<std::uint64_t>(static_cast<unsigned __int128>(elapsed_ticks) * multiplier >> 32);
}

// Fields are plain integers in the page (C reads them too); each access of ours is atomic.
template <typename T>
T load(const T& field) noexcept {
    return __atomic_load_n(&field, __ATOMIC_RELAXED);
}
template <typename T>
void store(T& field, T value) noexcept {
    __atomic_store_n(&field, value, __ATOMIC_RELAXED);
}

}  // namespace

ClockPage& ClockPage::instance() {
    // The clock is never destroyed, as guests may still run while the process exits.
    static ClockPage& page = *new ClockPage;
    return page;
}

ClockPage::ClockPage() {
    fd_ = FileDescriptor(::memfd_create("tinykvm-clock", MFD_CLOEXEC));
    if (!fd_ || ::ftruncate(fd_.get(), page_size) != 0) throw MachineError::from_errno("memfd_create", errno);
    void* memory = ::mmap(nullptr, page_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd_.get(), 0);
    if (memory == MAP_FAILED) throw MachineError::from_errno("mmap of the clock page", errno);
    page_ = static_cast<tinykvm_clock_page*>(memory);

    if (!counter_is_clock()) return;
    anchor_ = sample();
    // This is a first estimate of the tick length; each refresh improves it.
    const timespec pause{0, 2'000'000};
    ::nanosleep(&pause, nullptr);
    const Sample now = sample();
    if (now.tsc <= anchor_.tsc || now.monotonic <= anchor_.monotonic) return;
    next_anchor_ = now;
    update(load(page_->sequence));
}

ClockPage::~ClockPage() { ::munmap(page_, page_size); }

ClockPage::Sample ClockPage::sample() noexcept {
    Sample best;
    std::uint64_t best_width = ~std::uint64_t{0};
    for (int i = 0; i < 5; ++i) {
        const std::uint64_t before = ticks();
        const std::uint64_t now = host_time(CLOCK_MONOTONIC);
        const std::uint64_t width = ticks() - before;
        if (width < best_width) {
            best_width = width;
            best = {before + width / 2, now};
        }
    }
    return best;
}

ClockPage::Offset ClockPage::offset(clockid_t clock) noexcept {
    Offset best{0, ~std::uint64_t{0}};
    for (int i = 0; i < 5; ++i) {
        const std::uint64_t before = host_time(CLOCK_MONOTONIC);
        const std::uint64_t now = host_time(clock);
        const std::uint64_t width = host_time(CLOCK_MONOTONIC) - before;
        if (width < best.width) best = {static_cast<std::int64_t>(now - (before + width / 2)), width};
    }
    return best;
}

bool ClockPage::enabled() const noexcept { return load(page_->mode) == tinykvm_clock_tsc; }

std::uint64_t ClockPage::ticks_after(std::chrono::nanoseconds time) const noexcept {
    const auto length = static_cast<unsigned __int128>(std::max<std::int64_t>(time.count(), 0)) << 32;
    return ticks() + static_cast<std::uint64_t>(length / std::max<std::uint64_t>(load(page_->multiplier), 1));
}

void ClockPage::refresh() noexcept {
    if (!enabled()) return;
    const std::uint64_t since = __rdtsc() - load(page_->tsc);
    if (since < load(interval_) || static_cast<std::int64_t>(since) < 0) return;
    std::uint32_t sequence = load(page_->sequence);
    // A thread that finds the sequence odd leaves the work to the one that made it so.
    if (!(sequence & 1)) update(sequence);
}

void ClockPage::update(std::uint32_t sequence) noexcept {
    // Everything is measured first, so that readers are held up as briefly as possible.
    const Sample now = sample();
    const Offset realtime = offset(CLOCK_REALTIME), boottime = offset(CLOCK_BOOTTIME), tai = offset(CLOCK_TAI);
    if (!__atomic_compare_exchange_n(&page_->sequence, &sequence, sequence + 1, false, __ATOMIC_ACQUIRE,
                                     __ATOMIC_RELAXED))
        return;
    std::atomic_thread_fence(std::memory_order_release);

    const bool forward = now.tsc > anchor_.tsc && now.monotonic > anchor_.monotonic;
    const std::uint64_t elapsed_ticks = forward ? now.tsc - anchor_.tsc : 1;
    const std::uint64_t elapsed = forward ? now.monotonic - anchor_.monotonic : 1;
    const std::uint64_t multiplier = std::max<std::uint64_t>(
        1, static_cast<std::uint64_t>((static_cast<unsigned __int128>(elapsed) << 32) / elapsed_ticks));
    std::uint64_t monotonic = now.monotonic, slowed = multiplier;
    bool usable = forward;  // a counter that goes back is of no use
    if (page_->mode == tinykvm_clock_tsc) {
        const std::uint64_t shown =
            page_->monotonic + (now.tsc > page_->tsc ? nanoseconds_of(now.tsc - page_->tsc, page_->multiplier) : 0);
        const auto behind = static_cast<std::int64_t>(now.monotonic - shown);
        if (behind < 0) {
            monotonic = shown;
            const auto ahead = std::min(static_cast<std::uint64_t>(-behind), correction_time / 2);
            slowed = multiplier -
                     static_cast<std::uint64_t>(static_cast<unsigned __int128>(multiplier) * ahead / correction_time);
        }
        if (std::abs(behind) > jump && ++jumps_ > 3) usable = false;
    }
    const bool first = page_->mode == tinykvm_clock_absent;
    const auto pass_on = [first](std::int64_t& field, const Offset& measured) {
        // A smaller change may come from the measurement, and realtime must not jitter.
        constexpr std::uint64_t jitter = 2'000;
        const auto change = static_cast<std::uint64_t>(std::abs(measured.value - field));
        if (first || change > std::max(jitter, measured.width)) store(field, measured.value);
    };
    pass_on(page_->realtime_offset, realtime);
    pass_on(page_->boottime_offset, boottime);
    pass_on(page_->tai_offset, tai);
    store(page_->tsc, now.tsc);
    store(page_->monotonic, monotonic);
    store(page_->multiplier, slowed);
    store(page_->mode, static_cast<std::uint32_t>(usable ? tinykvm_clock_tsc : tinykvm_clock_absent));

    if (now.monotonic - next_anchor_.monotonic > anchor_age) {
        anchor_ = next_anchor_;
        next_anchor_ = now;
    }
    // Soon after the start the tick length still improves quickly.
    const std::uint64_t wait = std::clamp<std::uint64_t>(elapsed / 4, second / 1000, refresh_interval);
    store(interval_, static_cast<std::uint64_t>((static_cast<unsigned __int128>(wait) << 32) / multiplier));
    __atomic_store_n(&page_->sequence, sequence + 2, __ATOMIC_RELEASE);
}

std::optional<std::uint64_t> ClockPage::monotonic() const noexcept {
    for (int attempt = 0; attempt < 1000; ++attempt) {
        const std::uint32_t sequence = __atomic_load_n(&page_->sequence, __ATOMIC_ACQUIRE);
        if (load(page_->mode) != tinykvm_clock_tsc) return std::nullopt;
        const std::uint64_t now = ticks(), base = load(page_->tsc);
        const std::uint64_t at_base = load(page_->monotonic), multiplier = load(page_->multiplier);
        std::atomic_thread_fence(std::memory_order_acquire);
        if ((sequence & 1) || load(page_->sequence) != sequence) continue;
        return at_base + (static_cast<std::int64_t>(now - base) > 0 ? nanoseconds_of(now - base, multiplier) : 0);
    }
    return std::nullopt;
}

std::optional<std::uint64_t> guest_time(int clock) {
    ClockPage& page = ClockPage::instance();
    page.refresh();
    switch (clock) {
        case CLOCK_MONOTONIC:
        case CLOCK_MONOTONIC_COARSE: {
            // The result is that of the vDSO, so that programs can compare both.
            const auto shown = page.monotonic();
            return shown ? *shown : host_time(CLOCK_MONOTONIC);
        }
        case CLOCK_REALTIME:
        case CLOCK_REALTIME_COARSE:
        case CLOCK_REALTIME_ALARM: return host_time(CLOCK_REALTIME);
        case CLOCK_BOOTTIME:
        case CLOCK_BOOTTIME_ALARM: return host_time(CLOCK_BOOTTIME);
        case CLOCK_MONOTONIC_RAW: return host_time(CLOCK_MONOTONIC_RAW);
        case CLOCK_TAI: return host_time(CLOCK_TAI);
    }
    return std::nullopt;
}

Clock::time_point moment_of(int clock, const TimeSpec& time) {
    const auto now = guest_time(clock);
    const std::uint64_t seconds = std::min(static_cast<std::uint64_t>(time.seconds), INT64_MAX / 2 / second);
    const std::uint64_t wanted = seconds * second + static_cast<std::uint64_t>(time.nanoseconds);
    if (!now || wanted <= *now) return Clock::now();
    const std::uint64_t wait = std::min(wanted - *now, 3'155'760'000 * second / 2);
    return Clock::now() + std::chrono::nanoseconds(wait);
}

}  // namespace tinykvm::linux_abi

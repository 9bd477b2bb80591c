// Guest time. All guests of a host process read one clock page (vdso/clock_page.h), which ClockPage keeps up to date.
#pragma once

#include <time.h>

#include <chrono>
#include <cstdint>
#include <optional>

#include "tinykvm/linux/syscall_context.hpp"
#include "tinykvm/linux/vdso/clock_page.h"
#include "tinykvm/os/file_descriptor.hpp"
#include "tinykvm/types.hpp"

namespace tinykvm::linux_abi {

// The page, in a memory file that every VM maps read-only. A VM whose time-stamp counter is not the host's
// maps a page of zeros instead; its vDSO then makes system calls.
//
// Guest time never goes back: when the page has run ahead of the host's clock it is slowed down until it is right
// again; when it is late it is set forward. Between refreshes it is as exact as the measured tick length: some
// microseconds within seconds.
//
// Thread safety: all threads, and processes that inherited the page.
class ClockPage {
  public:
    // Throws MachineError the first time, when the host has no memory for it.
    static ClockPage& instance();

    // The memory file of one page, to be mapped MAP_SHARED and read-only.
    int fd() const { return fd_.get(); }
    // To be called before a guest is entered. Costs one rdtsc unless the last real refresh is some 50 ms ago.
    void refresh() noexcept;
    // The time a guest would read now; nullopt when the host's counter is of no use for it.
    std::optional<std::uint64_t> monotonic() const noexcept;
    bool enabled() const noexcept;
    // What the time-stamp counter will show after `time`. Only when enabled().
    std::uint64_t ticks_after(std::chrono::nanoseconds time) const noexcept;

    ClockPage(const ClockPage&) = delete;
    ClockPage& operator=(const ClockPage&) = delete;

  private:
    struct Sample {
        std::uint64_t tsc = 0, monotonic = 0;
    };
    // How far another clock is ahead of the monotonic one; `width` is how long the measuring took. In nanoseconds.
    struct Offset {
        std::int64_t value;
        std::uint64_t width;
    };

    ClockPage();
    ~ClockPage();
    // Returns the best of several attempts, as an interruption between two clocks is measured, too.
    static Sample sample() noexcept;
    static Offset offset(clockid_t clock) noexcept;
    void update(std::uint32_t sequence) noexcept;

    FileDescriptor fd_;
    tinykvm_clock_page* page_ = nullptr;
    // The members below are changed by the thread that made the page's sequence odd.
    Sample anchor_, next_anchor_;  // what the tick length is measured from
    std::uint64_t interval_ = 0;   // ticks between refreshes
    int jumps_ = 0;                // times the counter was found to be wrong by far
};

// The time on a clock of Linux in nanoseconds, as a guest sees it; nullopt for clocks that do not exist.
// CPU time clocks are not the host's business: see sys_clock_gettime.
std::optional<std::uint64_t> guest_time(int clock);
// The moment on the host's steady clock at which a clock of the guest shows `time`; now, when that has passed.
// Saturates.
Clock::time_point moment_of(int clock, const TimeSpec& time);

}  // namespace tinykvm::linux_abi

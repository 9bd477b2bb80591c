// How long it pays to wait by spinning, and which threads may.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

#include "src/config/config.hpp"
#include "tinykvm/types.hpp"

namespace tinykvm::host {

// The right of one thread to spin. Spinning takes no CPU from other work: spinning threads and requests that are being
// served are together never more than the CPUs, and at most half as many threads spin as there are CPUs; with one CPU
// none does.
//
// Thread safety: as an atomic flag.
class SpinPermit {
  public:
    ~SpinPermit() { give_back(); }
    bool obtain() {
        if (held_.load()) {
            return true;
        }
        const int before = spinning_.fetch_add(1);
        if (before >= cpus / 2 || before + served_.load() >= cpus) {
            spinning_.fetch_sub(1);
            return false;
        }
        held_ = true;
        return true;
    }
    void give_back() {
        if (held_.exchange(false)) {
            spinning_.fetch_sub(1);
        }
    }

  private:
    friend class ServedRequest;
    static inline const int cpus = static_cast<int>(std::thread::hardware_concurrency());
    static inline std::atomic<int> spinning_{0}, served_{0};
    std::atomic<bool> held_{false};
};

// Lives as long as a request is being served.
class ServedRequest {
  public:
    ServedRequest() { SpinPermit::served_.fetch_add(1); }
    ~ServedRequest() { SpinPermit::served_.fetch_sub(1); }
    ServedRequest(const ServedRequest&) = delete;
    ServedRequest& operator=(const ServedRequest&) = delete;
};

// How long a VM waits inside its guest for the next request. With `auto` it follows the gaps between requests: as long
// as they are short it is worth it, and a VM that gets no requests does not spin at all.
//
// Thread safety: one thread at a time.
class SpinTime {
  public:
    explicit SpinTime(Poll poll) : poll_(poll), time_(poll.automatic ? std::chrono::microseconds(0) : poll.time) {}

    std::chrono::microseconds get() const { return time_; }
    void became_idle(Clock::time_point now) { idle_since_ = now; }
    // The gap since it became idle is over.
    void request_came(Clock::time_point now) {
        if (!poll_.automatic) {
            return;
        }
        const auto gap = std::chrono::duration_cast<std::chrono::microseconds>(now - idle_since_);
        time_ = gap > most ? std::chrono::microseconds(0) : std::clamp(2 * gap, least, most);
    }

  private:
    // Waking a thread and entering a guest take some 100 us where that is slow, 10 where it is fast.
    static constexpr std::chrono::microseconds least{20}, most{200};
    Poll poll_;
    std::chrono::microseconds time_;
    Clock::time_point idle_since_;
};

}  // namespace tinykvm::host

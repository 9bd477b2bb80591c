// How long it pays to wait by spinning, and who may.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

#include "api/config.hpp"

namespace tinykvm::api {

// The right of one thread to spin. There are half as many as CPUs in this process, so that spinning never takes the
// CPUs of those who have something to do; none on a machine with one CPU.
//
// Thread safety: as an atomic flag.
class SpinPermit {
  public:
    ~SpinPermit() { give_back(); }
    bool obtain() {
        if (held_.load()) {
            return true;
        }
        if (free_.fetch_sub(1) <= 0) {
            free_.fetch_add(1);
            return false;
        }
        held_ = true;
        return true;
    }
    void give_back() {
        if (held_.exchange(false)) {
            free_.fetch_add(1);
        }
    }

  private:
    static inline std::atomic<int> free_{static_cast<int>(std::thread::hardware_concurrency() / 2)};
    std::atomic<bool> held_{false};
};

// How long a VM waits inside its guest for the next request. With `auto` it follows the gaps between requests: as
// long as they are short it is worth it, and a VM that nobody needs does not spin at all.
//
// Thread safety: one thread at a time.
class SpinTime {
  public:
    explicit SpinTime(Poll poll) : poll_(poll), time_(poll.automatic ? std::chrono::microseconds(0) : poll.time) {}

    std::chrono::microseconds get() const { return time_; }
    // The last gap.
    void waited(std::chrono::microseconds gap) {
        if (!poll_.automatic) {
            return;
        }
        time_ = gap > most ? std::chrono::microseconds(0) : std::clamp(2 * gap, least, most);
    }

  private:
    // Waking a thread and entering a guest take some 100 us where that is slow, 10 where it is fast.
    static constexpr std::chrono::microseconds least{20}, most{200};
    Poll poll_;
    std::chrono::microseconds time_;
};

}  // namespace tinykvm::api

#include "src/vmod/body_pace.hpp"

#include <cstdio>
#include <string>

namespace tinykvm::host {

void BodyPace::arrived(std::size_t bytes, Clock::time_point now) {
    const MutexLock lock(mutex_);
    bytes_ += bytes;
    waited_ = waited(now);
    waiting_since_.reset();
}

void BodyPace::go_on(Clock::time_point now) {
    const MutexLock lock(mutex_);
    waiting_since_ = now;
}

Clock::duration BodyPace::waited(Clock::time_point now) const {
    return waited_ + (waiting_since_ ? now - *waiting_since_ : Clock::duration(0));
}

bool BodyPace::is_too_slow(Clock::time_point now) const {
    const MutexLock lock(mutex_);
    const Clock::duration time = waited(now);
    return time > patience && static_cast<double>(bytes_) < std::chrono::duration<double>(time).count() *
                                                                static_cast<double>(least_bytes_per_second);
}

Failure BodyPace::failure(Clock::time_point now) const {
    const MutexLock lock(mutex_);
    char seconds[32];
    std::snprintf(seconds, sizeof seconds, "%.1f", std::chrono::duration<double>(waited(now)).count());
    return {FailureKind::too_slow, std::to_string(bytes_) + " bytes of the body came in " + seconds +
                                       " s, fewer than " + std::to_string(least_bytes_per_second) + " a second"};
}

}  // namespace tinykvm::host

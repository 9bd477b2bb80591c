#include "tinykvm/guest/run_time.hpp"

namespace tinykvm {

void RunTime::begin(Deadline deadline) {
    runs_ = true;
    deadline_ = deadline;
    if (suspended_since_)
        suspended_since_ = Clock::now();
    else
        watch_.emplace(vcpu_, interrupted_, deadline);
}

void RunTime::end() {
    watch_.reset();
    if (suspended_since_) count_suspended();
    runs_ = false;
}

void RunTime::suspend(Deadline until) {
    watch_.reset();
    suspended_until_ = until;
    if (suspended_since_)
        count_suspended();
    else
        suspended_since_ = Clock::now();
}

void RunTime::resume() {
    if (!suspended_since_) return;
    count_suspended();
    suspended_since_.reset();
    if (runs_) watch_.emplace(vcpu_, interrupted_, deadline_);
}

void RunTime::count_suspended() {
    const auto now = Clock::now();
    const Clock::duration time = now - *suspended_since_;
    deadline_ = deadline_ > Deadline::max() - time ? Deadline::max() : deadline_ + time;
    suspended_ += time;
    suspended_since_ = now;
}

}  // namespace tinykvm

#include "src/vms/timed_fork.hpp"

namespace tinykvm::host {

// The guest runs as long as this object lives.
class TimedFork::Run {
  public:
    explicit Run(TimedFork& fork) : fork_(fork) { fork_.slot_.enter_guest(); }
    ~Run() {
        fork_.time_.spend(Clock::now() - begin_ - (fork_.fork_.get().debugged_time() - debugged_before_));
        fork_.slot_.leave_guest();
    }
    Run(const Run&) = delete;
    Run& operator=(const Run&) = delete;

  private:
    TimedFork& fork_;
    const Clock::time_point begin_ = Clock::now();
    const Clock::duration debugged_before_ = fork_.fork_.get().debugged_time();
};

Stop TimedFork::call(GuestAddr function, std::span<const std::uint64_t> arguments, HostCalls& calls,
                     Deadline deadline) {
    const Run run(*this);
    return fork_.get().call(function, arguments, calls, deadline);
}

Stop TimedFork::call_on_top(GuestAddr function, std::span<const std::uint64_t> arguments, HostCalls& calls,
                            Deadline deadline) {
    const Run run(*this);
    return fork_.get().call_on_top(function, arguments, calls, deadline);
}

Stop TimedFork::go_on(HostCalls& calls, Deadline deadline) {
    const Run run(*this);
    return fork_.get().go_on(calls, deadline);
}

Stop TimedFork::resume(std::int64_t result, HostCalls& calls, Deadline deadline) {
    const Run run(*this);
    return fork_.get().resume(result, calls, deadline);
}

}  // namespace tinykvm::host

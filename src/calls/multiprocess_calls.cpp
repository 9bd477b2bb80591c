// The calls with which a program gives work to the further CPUs of its VM (`smp`).
#include <array>
#include <cerrno>

#include "src/calls/guest_calls.hpp"

namespace tinykvm::host {

namespace {

HostCallResult error(int code) { return HostCallResult::resume(-code); }

// Gives work to all of the `n` CPUs but the caller's. With `n` 0 the call asks how many there are.
template <typename Begin>
HostCallResult begin_work(const HostCall& call, Begin begin) {
    FurtherCpus* const further = call.further_cpus;
    if (further == nullptr) {
        return error(ENOSYS);
    }
    const std::uint64_t n = call.args[0];
    if (n == 0) {
        return HostCallResult::resume(further->cpus());
    }
    if (n > further->cpus()) {
        return error(EINVAL);
    }
    if (further->busy()) {
        return error(EBUSY);
    }
    for (unsigned cpu = 1; cpu < n; ++cpu) {
        if (!begin(*further, cpu)) {
            further->take_back();
            return error(EFAULT);
        }
    }
    return HostCallResult::resume(0);
}

}  // namespace

HostCallResult GuestCalls::multiprocess(const HostCall& call, GuestMemory&) {
    return begin_work(call, [&](FurtherCpus& further, unsigned cpu) {
        return further.call(cpu, call.args[1], std::array{call.args[2]});
    });
}

HostCallResult GuestCalls::multiprocess_array(const HostCall& call, GuestMemory&) {
    return begin_work(call, [&](FurtherCpus& further, unsigned cpu) {
        return further.call(cpu, call.args[1], std::array<std::uint64_t, 3>{cpu, call.args[2], call.args[3]});
    });
}

HostCallResult GuestCalls::multiprocess_clone(const HostCall& call, GuestMemory&) {
    const auto [n, stacks, size, unused1, unused2, unused3] = call.args;
    constexpr std::uint64_t least = 4096, most = std::uint64_t{1} << 30;
    if (n > 0 && (size < least || size > most)) {
        return error(call.further_cpus == nullptr ? ENOSYS : EINVAL);
    }
    return begin_work(call, [&, stacks = stacks, size = size](FurtherCpus& further, unsigned cpu) {
        return further.go_on(cpu, stacks + cpu * size, size);
    });
}

HostCallResult GuestCalls::multiprocess_wait(const HostCall& call, GuestMemory&) {
    return call.further_cpus == nullptr ? error(ENOSYS) : HostCallResult::await(0);
}

}  // namespace tinykvm::host

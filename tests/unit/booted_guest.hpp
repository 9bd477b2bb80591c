// A test's own guest program (tests/unit/guests), booted and frozen, with its functions by name.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tinykvm/errors.hpp"
#include "tinykvm/fork.hpp"
#include "tinykvm/machine.hpp"

namespace tinykvm::test {

inline Deadline in_seconds(double seconds) {
    return Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
}
// Long enough for emulated machines; nothing that works waits for it.
inline Deadline patience() { return in_seconds(300); }

inline Options with_cpus(unsigned cpus) {
    Options options;
    options.cpus = cpus;
    return options;
}

// The other side of tests/unit/guests/host_call.h.
class Calls final : public HostCalls {
  public:
    std::map<std::string, GuestAddr> functions;
    std::vector<std::pair<std::uint64_t, std::uint64_t>> notes;
    std::uint64_t answer = 0;
    std::atomic<bool> answered = false;
    bool notes_wait = false;  // until the guest is interrupted, or its time is over
    std::atomic<std::thread::id> noted_by;

    bool may_wait(std::uint32_t number) const override {
        return (number == 4 && notes_wait) || (number >= 6 && number <= 8);
    }
    HostCallResult handle(const HostCall& call, GuestMemory& memory) override {
        switch (call.number) {
            case 1:
                functions[memory.read_string(call.args[0], 64).value()] = call.args[1];
                return HostCallResult::resume(0);
            case 2: return HostCallResult::stop();
            case 3:
                answer = call.args[0];
                answered = true;
                return HostCallResult::stop();
            case 4:
                notes.emplace_back(call.args[0], call.args[1]);
                noted_by = std::this_thread::get_id();
                while (notes_wait && !call.is_interrupted() && Clock::now() < call.deadline) std::this_thread::yield();
                return HostCallResult::resume(0);
            case 5: return HostCallResult::resume(static_cast<std::int64_t>(call.args[0] + 1), call.args[0] + 2);
            case 6: return HostCallResult::resume(give_work(call));
            case 7: return HostCallResult::await(0);
            case 8: return HostCallResult::resume(let_go_on(call));
            case 9: return HostCallResult::resume(call.further_cpus ? call.further_cpus->cpus() : 1);
            default: return HostCallResult::resume(-1);
        }
    }

  private:
    // To all further CPUs, as work(cpu, argument).
    static std::int64_t give_work(const HostCall& call) {
        FurtherCpus* further = call.further_cpus;
        if (!further) return -1;
        if (further->busy()) return -2;
        for (unsigned cpu = 1; cpu < further->cpus(); ++cpu) {
            const std::uint64_t arguments[] = {cpu, call.args[1]};
            if (!further->call(cpu, call.args[0], arguments)) return further->take_back(), -3;
        }
        return 0;
    }
    static std::int64_t let_go_on(const HostCall& call) {
        FurtherCpus* further = call.further_cpus;
        if (!further) return -1;
        for (unsigned cpu = 1; cpu < further->cpus(); ++cpu)
            if (!further->go_on(cpu, call.args[0] + cpu * call.args[1], call.args[1])) return further->take_back(), -3;
        return 0;
    }
};

class BootedGuest {
  public:
    explicit BootedGuest(const std::string& name, Options options = {})
        : BootedGuest(Program::from_file(std::string(TINYKVM_BUILD_DIR "/tests/guests/") + name), std::move(options)) {}
    BootedGuest(std::shared_ptr<const Program> program, Options options) {
        Machine machine(std::move(program), std::move(options));
        Stop stop = machine.run(&calls, patience());
        if (stop.reason != Stop::Reason::host_call) throw MachineError("the test guest did not wait");
        snapshot = std::move(machine).freeze();
    }

    // The answer of a call; fails the test when there is none.
    std::uint64_t call(Fork& fork, const std::string& function, std::vector<std::uint64_t> arguments = {},
                       Deadline deadline = patience()) {
        calls.answered = false;
        calls.notes.clear();
        Stop stop = fork.call(calls.functions.at(function), arguments, calls, deadline);
        EXPECT_EQ(stop.reason, Stop::Reason::host_call) << function;
        EXPECT_TRUE(calls.answered) << function;
        return calls.answer;
    }

    Calls calls;
    std::shared_ptr<const Snapshot> snapshot;
};

// What `run` throws, as text; "" when it throws nothing of that type.
template <typename Error, typename Run>
std::string error_of(Run run) {
    try {
        run();
    } catch (const Error& error) {
        return error.what();
    }
    return "";
}

}  // namespace tinykvm::test

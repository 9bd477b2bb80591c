// What benchmarks call: a program of guest-api/kvm_api.h, booted until it waits for requests, with its GET
// callback.
//
// Thread safety: one thread at a time.
#pragma once

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <memory>
#include <utility>

#include "tinykvm/errors.hpp"
#include "tinykvm/fork.hpp"
#include "tinykvm/machine.hpp"
#include "tinykvm/program.hpp"
#include "tinykvm/snapshot.hpp"
#include "tinykvm/statistics.hpp"

namespace tinykvm::cli {

class WaitingProgram {
  public:
    explicit WaitingProgram(std::shared_ptr<const Program> program, unsigned cpus = 1)
        : program_(std::move(program)), cpus_(cpus) {
        boot();
    }

    // Starts the program once more.
    void boot() {
        Options options;
        options.environment = {"KVM_NAME=bench"};  // what programs recognise the sandbox by
        options.cpus = cpus_;
        end_boot();
        machine_ = std::make_unique<Machine>(program_, std::move(options));
        const Stop stop = machine_->run(&calls_, Clock::now() + patience);
        if (stop.reason != Stop::Reason::host_call)
            throw MachineError(program_->name() + " ended instead of waiting for requests");
        boot_statistics_ = machine_->statistics();
        snapshot_ = std::move(*machine_).freeze();
    }
    // Ends the VM of the last boot, which is left until then.
    void end_boot() { machine_.reset(); }

    // `url` is passed as it is: programs made for benchmarks take a number there.
    void call(Fork& fork, std::uint64_t url = 0) {
        const std::array<std::uint64_t, 2> arguments = {url, 0};
        const Stop stop = fork.call(calls_.callback, arguments, calls_, Clock::now() + patience);
        if (stop.reason != Stop::Reason::host_call) throw MachineError(program_->name() + " did not answer");
    }

    // Hands a call to a guest that waits for it.
    bool post(Fork& fork) {
        const std::array<std::uint64_t, 2> arguments{};
        return fork.post(calls_.callback, arguments, Clock::now() + patience);
    }
    HostCalls& calls() { return calls_; }

    const std::shared_ptr<const Snapshot>& snapshot() const { return snapshot_; }
    // What starting it cost.
    const Statistics& boot_statistics() const { return boot_statistics_; }

  private:
    static constexpr std::chrono::seconds patience{60};

    // The three calls it takes to serve requests, and those with which it has further CPUs work.
    struct Calls final : HostCalls {
        GuestAddr callback = 0;

        HostCallResult handle(const HostCall& call, GuestMemory&) override {
            switch (call.number) {
                case 0x10000:  // register_func
                    callback = call.args[1];
                    return HostCallResult::resume(0);
                case 0x10001:  // wait_for_requests
                case 0x10010:  // backend_response
                    return HostCallResult::stop();
                case 0x10710: return HostCallResult::resume(multiprocess(call));
                case 0x10713: return HostCallResult::await(0);  // multiprocess_wait
                default: return HostCallResult::resume(-ENOSYS);
            }
        }

        static std::int64_t multiprocess(const HostCall& call) {
            const std::array<std::uint64_t, 1> argument = {call.args[2]};
            for (unsigned cpu = 1; cpu < call.args[0]; ++cpu)
                if (!call.further_cpus || !call.further_cpus->call(cpu, call.args[1], argument)) return -EFAULT;
            return 0;
        }
    };

    std::shared_ptr<const Program> program_;
    unsigned cpus_;
    Calls calls_;
    std::shared_ptr<const Snapshot> snapshot_;
    Statistics boot_statistics_;
    std::unique_ptr<Machine> machine_;  // frozen
};

}  // namespace tinykvm::cli

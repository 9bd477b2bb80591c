// The same work on one CPU of a VM and on several, with multiprocess() and with threads, and what it costs to give CPUs
// nothing to do.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "src/cli/waiting_program.hpp"
#include "tests/bench/micro/micro.hpp"
#include "tests/bench/micro/two_worlds.hpp"

namespace tinykvm::bench {

namespace {

struct Costs {
    double work, nothing;  // microseconds of a call
};

Costs measure(cli::WaitingProgram& program, unsigned cpus, int rounds) {
    Fork fork(program.snapshot());
    std::vector<double> work, nothing;
    for (int round = -1; round < rounds; ++round) {
        const double worked = microseconds_of([&] { program.call(fork, cpus); });
        fork.reset();
        const double called = microseconds_of([&] { program.call(fork, -std::uint64_t{cpus}); });
        fork.reset();
        if (round < 0) continue;  // pages became private
        work.push_back(worked);
        nothing.push_back(called);
    }
    return {median(std::move(work)), median(std::move(nothing))};
}

// Of an ordinary program with as many threads as CPUs.
double work_of_threads(const TwoWorlds& program, unsigned cpus, Effort effort) {
    const std::vector<std::string> arguments = {std::to_string(cpus), effort.quick ? "10000000" : "200000000"};
    std::vector<double> work;
    for (int round = 0; round < effort.rounds(5); ++round)
        work.push_back(std::atof(program.in_guest(arguments, nullptr, cpus).c_str()));
    return median(std::move(work));
}

}  // namespace

void processors(Effort effort) {
    const unsigned most = std::clamp(std::thread::hardware_concurrency(), 2U, most_cpus);
    cli::WaitingProgram program(Program::from_file(build_folder + "/bench/bench_processors"), most);
    const Costs one = measure(program, 1, effort.rounds(15));
    std::printf("%6s %14s %10s %20s\n", "CPUs", "work us", "speed-up", "nothing to do us");
    std::printf("%6u %14.0f %10.2f %20.2f\n", 1U, one.work, 1.0, one.nothing);
    for (unsigned cpus = 2; cpus <= most; ++cpus) {
        const Costs costs = measure(program, cpus, effort.rounds(15));
        std::printf("%6u %14.0f %10.2f %20.2f\n", cpus, costs.work, one.work / costs.work, costs.nothing);
    }
    const TwoWorlds threads(build_folder + "/bench/computing_threads");
    const double alone = work_of_threads(threads, 1, effort);
    std::printf("%6s %14s %10s\n", "threads", "work us", "speed-up");
    for (unsigned cpus = 1; cpus <= most; ++cpus) {
        const double time = cpus == 1 ? alone : work_of_threads(threads, cpus, effort);
        std::printf("%6u %14.0f %10.2f\n", cpus, time, alone / time);
    }
    std::printf("\nThis machine has %u processors.\n", std::thread::hardware_concurrency());
}

}  // namespace tinykvm::bench

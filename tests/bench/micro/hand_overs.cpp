// What it costs that one thread hands over to another: in a guest, and natively on one CPU.
#include <sched.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "tests/bench/micro/micro.hpp"
#include "tests/bench/micro/two_worlds.hpp"
#include "tinykvm/errors.hpp"

namespace tinykvm::bench {

namespace {

// What this process starts while it lives runs on one CPU.
class OneCpu {
  public:
    OneCpu() {
        cpu_set_t one;
        CPU_ZERO(&one);
        if (::sched_getaffinity(0, sizeof before_, &before_) != 0) throw MachineError("sched_getaffinity failed");
        for (int cpu = 0; CPU_COUNT(&one) == 0; ++cpu)
            if (CPU_ISSET(cpu, &before_)) CPU_SET(cpu, &one);
        if (::sched_setaffinity(0, sizeof one, &one) != 0) throw MachineError("sched_setaffinity failed");
    }
    ~OneCpu() { ::sched_setaffinity(0, sizeof before_, &before_); }
    OneCpu(const OneCpu&) = delete;
    OneCpu& operator=(const OneCpu&) = delete;

  private:
    cpu_set_t before_{};
};

struct Case {
    const char* title;
    std::vector<std::string> arguments;  // and the number of rounds
    int rounds, hand_overs_of_a_round;
};
const Case c_cases[] = {
    {"futex ping-pong", {"futex"}, 20000, 2},       {"mutex and condition", {"condition"}, 20000, 2},
    {"sched_yield ping-pong", {"yield"}, 20000, 2}, {"OpenMP loop, 4 threads", {"openmp"}, 1000, 1},
    {"pipe ping-pong", {"pipe"}, 2000, 2},          {"signal ping-pong", {"signal"}, 2000, 2},
};
const Case go_cases[] = {{"Go channel", {"free"}, 20000, 2}, {"Go channel, 2 threads", {"locked"}, 20000, 2}};

void measure(const TwoWorlds& program, const Case& one, Effort effort) {
    std::vector<std::string> arguments = one.arguments;
    arguments.push_back(std::to_string(effort.quick ? 100 : one.rounds));
    std::vector<double> native, inside;
    Statistics counts;
    for (int i = 0; i < effort.rounds(3); ++i) {
        {
            const OneCpu cpu;
            native.push_back(std::atof(program.natively(arguments).c_str()));
        }
        inside.push_back(std::atof(program.in_guest(arguments, &counts).c_str()));
    }
    const double here = median(native), there = median(inside);
    std::printf("%-24s %12.2f %12.2f %8.2f %8.2f\n", one.title, here, there, there / here,
                static_cast<double>(counts.exits) / std::atof(arguments.back().c_str()) / one.hand_overs_of_a_round);
}

bool exists(const std::string& path) { return ::access(path.c_str(), R_OK) == 0; }

}  // namespace

void hand_overs(Effort effort) {
    std::printf("%-24s %12s %12s %8s %8s\n", "microseconds for each", "natively", "in a guest", "ratio", "exits");
    const TwoWorlds program(build_folder + "/bench/hand_overs");
    for (const Case& one : c_cases) measure(program, one, effort);
    if (const std::string path = build_folder + "/bench/channels"; exists(path)) {
        const TwoWorlds channels(path);
        for (const Case& one : go_cases) measure(channels, one, effort);
    }
    if (const std::string node = "/usr/bin/node", script = TINYKVM_BENCH_GUESTS "/messages.js"; exists(node))
        measure(TwoWorlds(node, {script}), {"Node, worker_threads", {script}, 1000, 2}, effort);
}

}  // namespace tinykvm::bench

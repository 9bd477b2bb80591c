// What it costs that one thread hands over to another: in a guest, and natively on one CPU.
#include <sched.h>

#include <cstdio>
#include <cstdlib>
#include <string>

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
    const char* name;
    const char* title;
    int rounds, hand_overs_of_a_round;
};
constexpr Case cases[] = {
    {"futex", "futex ping-pong", 20000, 2},       {"condition", "mutex and condition", 20000, 2},
    {"yield", "sched_yield ping-pong", 20000, 2}, {"openmp", "OpenMP loop, 4 threads", 1000, 1},
    {"pipe", "pipe ping-pong", 2000, 2},          {"signal", "signal ping-pong", 2000, 2},
};

}  // namespace

void hand_overs(Effort effort) {
    const TwoWorlds program(build_folder + "/bench/hand_overs");
    std::printf("%-24s %12s %12s %8s %8s\n", "microseconds for each", "natively", "in a guest", "ratio", "exits");
    for (const Case& one : cases) {
        const std::string rounds = std::to_string(effort.quick ? 100 : one.rounds);
        std::vector<double> native, inside;
        Statistics counts;
        for (int i = 0; i < effort.rounds(3); ++i) {
            {
                const OneCpu cpu;
                native.push_back(std::atof(program.natively({one.name, rounds}).c_str()));
            }
            inside.push_back(std::atof(program.in_guest({one.name, rounds}, &counts).c_str()));
        }
        const double here = median(native), there = median(inside);
        std::printf("%-24s %12.2f %12.2f %8.2f %8.2f\n", one.title, here, there, there / here,
                    static_cast<double>(counts.exits) / std::atof(rounds.c_str()) / one.hand_overs_of_a_round);
    }
}

}  // namespace tinykvm::bench

// The first request of a new fork, which finds none of the pages it writes to, against its later ones: of forks that
// are made before any request has been reset, and of those made after one has told which pages requests write.
#include <cstdio>
#include <optional>
#include <vector>

#include "src/cli/waiting_program.hpp"
#include "tests/bench/micro/micro.hpp"

namespace tinykvm::bench {

namespace {

struct Costs {
    double make, first;  // microseconds
};

Costs of_new_forks(cli::WaitingProgram& program, std::size_t pages, int rounds) {
    std::vector<double> make, first;
    for (int i = 0; i < rounds; ++i) {
        std::optional<Fork> fork;
        make.push_back(microseconds_of([&] { fork.emplace(program.snapshot()); }));
        first.push_back(microseconds_of([&] { program.call(*fork, pages); }));
    }
    return {median(make), median(first)};
}

double steady(cli::WaitingProgram& program, std::size_t pages, int rounds) {
    Fork fork(program.snapshot());
    std::vector<double> times;
    for (int i = 0; i < rounds; ++i) {
        program.call(fork, pages);  // the first one is among them, and the median is not
        fork.reset();
        times.push_back(microseconds_of([&] { program.call(fork, pages); }));
        fork.reset();
    }
    return median(times);
}

}  // namespace

void first_request(Effort effort) {
    std::printf("%8s %12s %12s %12s %12s %12s %8s\n", "pages", "make, us", "first, us", "made later", "its first",
                "steady, us", "ratio");
    for (const std::size_t pages : {1, 64, 256, 1024}) {
        cli::WaitingProgram program(Program::from_file(build_folder + "/bench/pages"));
        const Costs unknown = of_new_forks(program, pages, effort.rounds(40));
        const double usual = steady(program, pages, effort.rounds(200));
        const Costs known = of_new_forks(program, pages, effort.rounds(40));
        std::printf("%8zu %12.0f %12.0f %12.0f %12.0f %12.1f %8.1f\n", pages, unknown.make, unknown.first, known.make,
                    known.first, usual, known.first / usual);
    }
}

}  // namespace tinykvm::bench

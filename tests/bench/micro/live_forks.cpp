// Whether making a fork becomes more expensive the more of them live, and what a fork that has nothing to do keeps
// resident.
#include <sys/resource.h>

#include <cstdint>
#include <cstdio>
#include <deque>
#include <fstream>
#include <optional>
#include <string>

#include "src/cli/waiting_program.hpp"
#include "tests/bench/micro/micro.hpp"

namespace tinykvm::bench {

namespace {

// Resident memory of this process that is not shared, in KiB.
double resident_kib() {
    std::ifstream rollup("/proc/self/smaps_rollup");
    double total = 0, value = 0;
    for (std::string word; rollup >> word;)
        if ((word == "Private_Clean:" || word == "Private_Dirty:") && rollup >> value) total += value;
    return total;
}

// A fork has a handful of descriptors.
void allow_many_descriptors() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        ::setrlimit(RLIMIT_NOFILE, &limit);
    }
}

}  // namespace

void live_forks(Effort effort) {
    allow_many_descriptors();
    cli::WaitingProgram program(Program::from_file(build_folder + "/programs/hello"));
    std::vector<std::size_t> counts = {1, 10, 100, 300, 1000};
    if (effort.quick) counts = {1, 10};

    std::deque<Fork> forks;
    std::printf("%12s %16s %18s\n", "live forks", "one more, us", "KiB of each");
    const double before = resident_kib();
    for (const std::size_t count : counts) {
        while (forks.size() < count) forks.emplace_back(program.snapshot());
        const double each = (resident_kib() - before) / static_cast<double>(count);
        std::vector<double> times;
        for (int round = 0; round < effort.rounds(15); ++round) {
            std::optional<Fork> one;
            times.push_back(microseconds_of([&] { one.emplace(program.snapshot()); }));
        }
        std::printf("%12zu %16.0f %18.1f\n", count, median(std::move(times)), each);
    }

    double dirty_kib = 0;
    for (Fork& fork : forks) {
        program.call(fork);
        dirty_kib += static_cast<double>(fork.statistics().pages_dirtied * page_size) / 1024;
        fork.reset();
    }
    const double all = static_cast<double>(forks.size());
    std::printf("\nAfter a request and its reset each keeps %.1f KiB: %.1f of dirty pages, %.1f beside them.\n",
                (resident_kib() - before) / all, dirty_kib / all, (resident_kib() - before - dirty_kib) / all);
}

}  // namespace tinykvm::bench

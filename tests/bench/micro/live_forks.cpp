// Whether making a fork becomes more expensive the more of them live, beside VMs without our library that are made in
// as many mappings of the host, and in as few as there can be; and what a fork that has nothing to do keeps resident.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <fstream>
#include <iterator>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "src/cli/waiting_program.hpp"
#include "tests/bench/micro/bare_kvm.hpp"
#include "tests/bench/micro/micro.hpp"
#include "tests/bench/micro/process_memory.hpp"

namespace tinykvm::bench {

namespace {

// Of a VM with an image: the image, zero memory, and what the vCPU shares.
constexpr std::size_t least_mappings = 3;

std::size_t mappings_of_process() {
    std::ifstream maps("/proc/self/maps");
    return static_cast<std::size_t>(std::count(std::istreambuf_iterator<char>(maps), {}, '\n'));
}

// What one more takes at least, in microseconds, while as many as each of `counts` says live. prepare(vms) comes before
// it, and is not counted.
template <typename Vm, typename Prepare, typename Make>
std::vector<double> times_of_one_more(const std::vector<std::size_t>& counts, std::deque<Vm>& live, int rounds,
                                      Prepare prepare, Make make) {
    std::vector<double> times;
    const auto one_more = [&] {
        prepare(live);
        return microseconds_of([&] { make(live); });
    };
    for (const std::size_t count : counts) {
        while (live.size() < count) one_more();
        double least = std::numeric_limits<double>::max();
        for (int round = 0; round < rounds; ++round) {
            least = std::min(least, one_more());
            live.pop_back();
        }
        times.push_back(least);
    }
    return times;
}

std::vector<double> bare_times(const std::vector<std::size_t>& counts, std::size_t mappings, int rounds) {
    const BareVm::Shape shape{.pages = large_page_size / page_size, .mappings = mappings};
    const FileDescriptor image = filled_file(shape.pages);
    std::deque<BareVm> live;
    return times_of_one_more(
        counts, live, rounds, [&](auto& vms) { vms.emplace_back(shape, image.get()); },
        [](auto& vms) { vms.back().create(); });
}

}  // namespace

void live_forks(Effort effort) {
    allow_many_descriptors();
    cli::WaitingProgram program(Program::from_file(build_folder + "/programs/hello"));
    std::vector<std::size_t> counts = {1, 10, 100, 300, 1000};
    if (effort.quick) counts = {1, 10};

    const int rounds = effort.rounds(30);
    std::deque<Fork> forks;
    const double before = ProcessMemory::now().own;
    const std::size_t mappings_before = mappings_of_process();
    const auto times = times_of_one_more(
        counts, forks, rounds, [](auto&) {}, [&](auto& vms) { vms.emplace_back(program.snapshot()); });
    const double all = static_cast<double>(forks.size());
    const std::size_t mappings = (mappings_of_process() - mappings_before + forks.size() / 2) / forks.size();
    std::printf("Each of %zu idle forks keeps %.1f KiB, in %zu mappings.\n", forks.size(),
                (ProcessMemory::now().own - before) / all, mappings);
    double dirty_kib = 0;
    for (Fork& fork : forks) {
        program.call(fork);
        dirty_kib += static_cast<double>(fork.statistics().pages_dirtied * page_size) / 1024;
        fork.reset();
    }
    std::printf("After a request and its reset each keeps %.1f KiB: %.1f of dirty pages, %.1f beside them.\n",
                (ProcessMemory::now().own - before) / all, dirty_kib / all,
                (ProcessMemory::now().own - before - dirty_kib) / all);
    forks.clear();

    const auto as_many = bare_times(counts, mappings, rounds), fewest = bare_times(counts, least_mappings, rounds);
    std::printf("\n%12s %14s %9s %24s %9s %16s %9s\n", "live forks", "one more, us", "to first",
                "bare, as many mappings", "to first", "bare, in three", "to first");
    for (std::size_t i = 0; i < counts.size(); ++i)
        std::printf("%12zu %14.0f %9.2f %24.0f %9.2f %16.0f %9.2f\n", counts[i], times[i], times[i] / times[0],
                    as_many[i], as_many[i] / as_many[0], fewest[i], fewest[i] / fewest[0]);
}

}  // namespace tinykvm::bench

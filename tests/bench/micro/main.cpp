// Microbenchmarks of the sandbox library beyond `tinykvm bench`.
//   micro [--quick] [NAME...]
#include <cstdio>
#include <cstring>
#include <exception>
#include <string_view>
#include <vector>

#include "tests/bench/micro/micro.hpp"

namespace {

using namespace tinykvm::bench;

struct Benchmark {
    const char* name;
    const char* title;
    void (*run)(Effort effort);
};
constexpr Benchmark benchmarks[] = {
    {"reset", "Reset, against memcpy of the same pages", reset_cost},
    {"forks", "Making a fork while others live, and their memory", live_forks},
    {"first", "The first request of a fork, against its later ones", first_request},
    {"access", "The first access to a page, in a bare VM", first_access},
    {"cpu", "Guest CPU speed against native", cpu_speed},
    {"code", "Code selected for the CPU, natively and in a guest", selected_code},
    {"load", "From the file to a snapshot that can be forked", load_time},
    {"memory", "The memory of 50 programs with 20 forks each", memory_use},
    {"cold", "Booting a server, against loading its snapshot from a file", cold_start},
    {"storage", "A call of a storage, and its tasks", storage_calls},
    {"threads", "Threads that hand over to each other, in a guest and natively on one CPU", hand_overs},
    {"smp", "The same work on one CPU of a VM and on several", processors},
};

int usage() {
    std::fputs("usage: micro [--quick] [NAME...]\n", stderr);
    for (const Benchmark& benchmark : benchmarks) std::fprintf(stderr, "  %-8s%s\n", benchmark.name, benchmark.title);
    return 2;
}

}  // namespace

int main(int argc, char** argv) {
    Effort effort;
    std::vector<const Benchmark*> wanted;
    for (int i = 1; i < argc; ++i) {
        const std::string_view word = argv[i];
        const auto* found = std::find_if(std::begin(benchmarks), std::end(benchmarks),
                                         [&](const Benchmark& benchmark) { return benchmark.name == word; });
        if (word == "--quick")
            effort.quick = true;
        else if (found != std::end(benchmarks))
            wanted.push_back(found);
        else
            return usage();
    }
    if (wanted.empty())
        for (const Benchmark& benchmark : benchmarks) wanted.push_back(&benchmark);
    try {
        for (const Benchmark* benchmark : wanted) {
            std::printf("%s%s\n\n", benchmark == wanted.front() ? "" : "\n", benchmark->title);
            benchmark->run(effort);
            std::fflush(stdout);
        }
    } catch (const std::exception& error) {
        std::fprintf(stderr, "micro: %s\n", error.what());
        return 1;
    }
}

// What programs and their forks take of the host's memory: 50 programs, with 20 forks each, that are idle, and that
// have answered a request.
#include <cstdio>
#include <deque>

#include "src/cli/waiting_program.hpp"
#include "tests/bench/micro/micro.hpp"
#include "tests/bench/micro/process_memory.hpp"

namespace tinykvm::bench {

namespace {

void print(const char* what, const ProcessMemory& memory, double count) {
    std::printf("%-34s %12.1f %12.1f %12.1f %12.1f\n", what, memory.resident / count, memory.own / count,
                memory.page_tables / count, memory.kernel / count);
}

}  // namespace

void memory_use(Effort effort) {
    allow_many_descriptors();
    const int program_count = effort.quick ? 2 : 50, forks_of_each = effort.quick ? 2 : 20;
    const auto file = Program::from_file(build_folder + "/programs/hello");
    { const cli::WaitingProgram first(file); }  // what the process keeps from then on

    const ProcessMemory before = ProcessMemory::now();
    std::deque<cli::WaitingProgram> programs;
    for (int i = 0; i < program_count; ++i) programs.emplace_back(file).end_boot();
    const ProcessMemory booted = ProcessMemory::now();

    std::deque<std::deque<Fork>> forks;
    for (const cli::WaitingProgram& program : programs)
        for (std::deque<Fork>& own = forks.emplace_back(); static_cast<int>(own.size()) < forks_of_each;)
            own.emplace_back(program.snapshot());
    const ProcessMemory forked = ProcessMemory::now();

    for (std::size_t i = 0; i < forks.size(); ++i)
        for (Fork& fork : forks[i]) {
            programs[i].call(fork);
            fork.reset();
        }
    const ProcessMemory used = ProcessMemory::now();

    const double all = static_cast<double>(program_count) * forks_of_each;
    std::printf("%-34s %12s %12s %12s %12s\n", "KiB", "resident", "its own", "page tables", "in the kernel");
    print("a program", booted - before, program_count);
    print("an idle fork", forked - booted, all);
    print("what a request and its reset add", used - forked, all);
    print("all of it", used - before, 1);
    std::printf(
        "\n%d programs with %d forks each. The image of each program is %.0f KiB of a file in memory, of which only\n"
        "what is mapped and touched is resident. The kernel's is of the whole machine.\n",
        program_count, forks_of_each, static_cast<double>(programs.front().snapshot()->image_bytes()) / 1024);
}

}  // namespace tinykvm::bench

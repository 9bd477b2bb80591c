// Everything from the program's file (in the page cache) to a snapshot: read and check the file, make the VM,
// run the program until it waits, freeze.
#include <cstdio>
#include <optional>
#include <string>

#include "src/cli/waiting_program.hpp"
#include "tests/bench/micro/micro.hpp"

namespace tinykvm::bench {

void load_time(Effort effort) {
    std::printf("%-22s %10s %10s %10s %8s %10s %12s\n", "", "read ms", "boot ms", "ready ms", "exits", "KVM calls",
                "image pages");
    for (const auto& [name, below] :
         {std::pair{"hello, static glibc", "/programs/hello"}, std::pair{"hello, static musl", "/bench/hello_musl"}}) {
        const std::string path = build_folder + below;
        std::vector<double> reads, boots, both;
        Statistics counts;
        std::size_t pages = 0;
        for (int round = -1; round < effort.rounds(40); ++round) {
            std::shared_ptr<const Program> file;
            std::optional<cli::WaitingProgram> program;
            const double read = microseconds_of([&] { file = Program::from_file(path); }) / 1000;
            const double boot = microseconds_of([&] { program.emplace(file); }) / 1000;
            if (round < 0) continue;
            counts = program->boot_statistics();
            pages = program->snapshot()->image_bytes() / page_size;
            reads.push_back(read);
            boots.push_back(boot);
            both.push_back(read + boot);
        }
        std::printf("%-22s %10.2f %10.2f %10.2f %8llu %10llu %12zu\n", name, median(std::move(reads)),
                    median(std::move(boots)), median(std::move(both)), static_cast<unsigned long long>(counts.exits),
                    static_cast<unsigned long long>(counts.kvm_calls), pages);
    }
}

}  // namespace tinykvm::bench

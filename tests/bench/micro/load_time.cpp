// Everything from the program's file (in the page cache) to a snapshot: read and check the file, make the VM,
// run the program until it waits, freeze. Beside it what bare VMs say is KVM's: making and ending one, and CPUID, which
// a C library executes when it starts.
#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "src/cli/waiting_program.hpp"
#include "tests/bench/micro/bare_kvm.hpp"
#include "tests/bench/micro/micro.hpp"

namespace tinykvm::bench {

namespace {

// Other work only lengthens.
double least(const std::vector<double>& times) { return *std::min_element(times.begin(), times.end()); }

void print_floor(Effort effort) {
    const BareVm::Shape shape{.pages = large_page_size / page_size};
    const FileDescriptor image = filled_file(shape.pages);
    constexpr unsigned many = 100;
    std::vector<double> makes, ends, questions;
    for (int round = 0; round < effort.rounds(40); ++round) {
        std::optional<BareVm> vm(std::in_place, shape, image.get());
        makes.push_back(microseconds_of([&] { vm->create(); }));
        vm->touch();
        const double nothing = microseconds_of([&] { vm->ask_cpuid(0); });
        questions.push_back((microseconds_of([&] { vm->ask_cpuid(many); }) - nothing) / many);
        ends.push_back(microseconds_of([&] { vm.reset(); }));
    }
    std::printf("\nA bare VM: made in %.2f ms, ended in %.2f ms; a CPUID in it takes %.1f us.\n", least(makes) / 1000,
                least(ends) / 1000, median(std::move(questions)));
}

}  // namespace

void load_time(Effort effort) {
    std::printf("%-22s %10s %10s %10s %10s %8s %10s %12s\n", "", "read ms", "boot ms", "ready ms", "end ms", "exits",
                "KVM calls", "image pages");
    for (const auto& [name, below] :
         {std::pair{"hello, static glibc", "/programs/hello"}, std::pair{"hello, static musl", "/bench/hello_musl"}}) {
        const std::string path = build_folder + below;
        std::vector<double> reads, boots, both, ends;
        Statistics counts;
        std::size_t pages = 0;
        for (int round = -1; round < effort.rounds(40); ++round) {
            std::shared_ptr<const Program> file;
            std::optional<cli::WaitingProgram> program;
            const double read = microseconds_of([&] { file = Program::from_file(path); }) / 1000;
            const double boot = microseconds_of([&] { program.emplace(file); }) / 1000;
            const double end = microseconds_of([&] { program->end_boot(); }) / 1000;
            if (round < 0) continue;
            counts = program->boot_statistics();
            pages = program->snapshot()->image_bytes() / page_size;
            reads.push_back(read);
            boots.push_back(boot);
            both.push_back(read + boot);
            ends.push_back(end);
        }
        std::printf("%-22s %10.2f %10.2f %10.2f %10.2f %8llu %10llu %12zu\n", name, least(reads), least(boots),
                    least(both), least(ends), static_cast<unsigned long long>(counts.exits),
                    static_cast<unsigned long long>(counts.kvm_calls), pages);
    }
    print_floor(effort);
}

}  // namespace tinykvm::bench

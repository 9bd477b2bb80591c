// The same program's pieces of work, in pairs of a native run and one in a guest, so that whatever else the
// machine does harms both.
#include <cstdio>
#include <sstream>
#include <string>

#include "tests/bench/micro/micro.hpp"
#include "tests/bench/micro/two_worlds.hpp"

namespace tinykvm::bench {

void cpu_speed(Effort effort) {
    const TwoWorlds kernels(build_folder + "/bench/kernels");
    const std::string repetitions = std::to_string(effort.rounds(5));
    const std::string inside = kernels.in_guest({});
    std::istringstream names(kernels.natively({}));
    std::printf("%-14s %14s %14s %10s\n", "", "native us", "guest us", "speed");
    for (std::string name; names >> name;) {
        if (inside.find(name) == std::string::npos) {
            std::printf("%-14s not offered to guests\n", name.c_str());
            continue;
        }
        std::vector<double> native, guest, speed;
        for (int pair = 0; pair < effort.rounds(9); ++pair) {
            native.push_back(std::stod(kernels.natively({name, repetitions})) / 1000);
            guest.push_back(std::stod(kernels.in_guest({name, repetitions})) / 1000);
            speed.push_back(native.back() / guest.back());
        }
        std::printf("%-14s %14.1f %14.1f %10.3f\n", name.c_str(), median(native), median(guest), median(speed));
    }
    std::puts("\nspeed: 1 is native, less is slower; the median of pairs of runs.");
}

}  // namespace tinykvm::bench

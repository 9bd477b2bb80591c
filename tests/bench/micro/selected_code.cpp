// Libraries choose code by what CPUID says. Guests shall get what the host gets.
#include <unistd.h>

#include <cstdio>
#include <sstream>
#include <string>

#include "tests/bench/micro/micro.hpp"
#include "tests/bench/micro/two_worlds.hpp"

namespace tinykvm::bench {

void selected_code(Effort) {
    const std::string path = build_folder + "/bench/selected_code";
    if (::access(path.c_str(), X_OK) != 0) {
        std::puts("not built: there is no simdjson (Debian: apt install libsimdjson-dev)");
        return;
    }
    const TwoWorlds program(path);
    std::istringstream native(program.natively({})), guest(program.in_guest({}));
    std::printf("%-24s %-20s %-20s\n", "", "native", "guest");
    int different = 0;
    for (std::string outside, inside; std::getline(native, outside) && std::getline(guest, inside);) {
        const std::size_t colon = outside.find(':');
        const std::string choice = outside.substr(colon + 2), guests_choice = inside.substr(inside.find(':') + 2);
        different += choice != guests_choice;
        std::printf("%-24s %-20s %-20s%s\n", outside.substr(0, colon).c_str(), choice.c_str(), guests_choice.c_str(),
                    choice == guests_choice ? "" : " DIFFERENT");
    }
    std::printf("\n%s\n", different == 0 ? "All the same." : "Not the same.");
}

}  // namespace tinykvm::bench

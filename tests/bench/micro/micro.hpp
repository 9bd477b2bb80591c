// The microbenchmarks, and what they share. Each prints one table.
#pragma once

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

namespace tinykvm::bench {

// Quick: just enough to see that everything runs.
struct Effort {
    bool quick = false;

    int rounds(int wanted) const { return quick ? 1 : wanted; }
};

void reset_cost(Effort effort);
void live_forks(Effort effort);
void first_request(Effort effort);
void first_access(Effort effort);
void cpu_speed(Effort effort);
void selected_code(Effort effort);
void load_time(Effort effort);
void memory_use(Effort effort);
void cold_start(Effort effort);
void hand_overs(Effort effort);
void storage_calls(Effort effort);
void processors(Effort effort);

// The folder of the build with the programs that benchmarks run in guests.
inline const std::string build_folder = TINYKVM_BUILD_DIR;

template <typename Work>
double microseconds_of(Work&& work) {
    const auto begin = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin).count();
}

inline double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values.empty() ? 0 : values[values.size() / 2];
}

}  // namespace tinykvm::bench

#include "tests/bench/micro/process_memory.hpp"

#include <sys/resource.h>

#include <fstream>
#include <initializer_list>
#include <string>
#include <string_view>

namespace tinykvm::bench {

namespace {

// The sum of the fields of a text of /proc with these names.
double sum_of(const char* path, std::initializer_list<std::string_view> names) {
    std::ifstream text(path);
    double sum = 0, value = 0;
    for (std::string line; std::getline(text, line);)
        for (const std::string_view name : names)
            if (line.starts_with(name) && line[name.size()] == ':') {
                value = std::stod(line.substr(name.size() + 1));
                sum += value;
            }
    return sum;
}

}  // namespace

ProcessMemory ProcessMemory::now() {
    constexpr const char* rollup = "/proc/self/smaps_rollup";
    return {.resident = sum_of(rollup, {"Rss"}),
            .own = sum_of(rollup, {"Private_Clean", "Private_Dirty"}),
            .page_tables = sum_of("/proc/self/status", {"VmPTE"}),
            .kernel = sum_of("/proc/meminfo", {"Slab", "VmallocUsed", "Percpu", "PageTables", "SecPageTables"})};
}

ProcessMemory operator-(const ProcessMemory& after, const ProcessMemory& before) {
    return {.resident = after.resident - before.resident,
            .own = after.own - before.own,
            .page_tables = after.page_tables - before.page_tables,
            .kernel = after.kernel - before.kernel};
}

void allow_many_descriptors() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        ::setrlimit(RLIMIT_NOFILE, &limit);
    }
}

}  // namespace tinykvm::bench

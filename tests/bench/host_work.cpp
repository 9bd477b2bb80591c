// What the host does for a request beside entering the guest, part by part (Google Benchmark).
#include <benchmark/benchmark.h>

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "src/calls/request_layout.hpp"
#include "src/cli/waiting_program.hpp"
#include "tinykvm/memory/dirty_pages.hpp"
#include "tinykvm/memory/guest_memory.hpp"

namespace {

using namespace tinykvm;

// What a browser sends for a page.
constexpr std::array<std::string_view, 10> browser_headers = {
    "Host: www.example.com",
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Accept-Language: en-US,en;q=0.5",
    "Accept-Encoding: gzip",
    "Cookie: session=0123456789abcdef0123456789abcdef; consent=all",
    "Upgrade-Insecure-Requests: 1",
    "X-Forwarded-For: 192.0.2.17",
    "Via: 1.1 varnish (Varnish/7.1)",
    "X-Varnish: 32770",
};
const host::Request request{.method = "GET",
                            .url = "/articles/2024/an-ordinary-page?page=2&sort=date",
                            .argument = "",
                            .content_type = "",
                            .headers = browser_headers};

Fork make_fork() {
    static cli::WaitingProgram program(Program::from_file(TINYKVM_BUILD_DIR "/programs/hello"));
    return Fork(program.snapshot());
}

void lay_out_request(benchmark::State& state) {
    Fork fork = make_fork();
    host::RequestLayout layout;
    for (auto _ : state) {
        layout.begin(fork.memory(), fork.request_area(), request);
        layout.finish();
    }
}
BENCHMARK(lay_out_request);

void append_body(benchmark::State& state) {
    Fork fork = make_fork();
    host::RequestLayout layout;
    const std::vector<std::byte> body(static_cast<std::size_t>(state.range(0)));
    for (auto _ : state) {
        layout.begin(fork.memory(), fork.request_area(), request);
        layout.append_body(body);
        layout.finish();
    }
    state.SetBytesProcessed(state.range(0) * static_cast<std::int64_t>(state.iterations()));
}
BENCHMARK(append_body)->RangeMultiplier(16)->Range(256, 1 << 20);

void read_string_of_guest(benchmark::State& state) {
    Fork fork = make_fork();
    const std::string text(static_cast<std::size_t>(state.range(0)), 'x');
    const GuestAddr at = fork.request_area().begin;
    if (!fork.memory().write(at, text.c_str(), text.size() + 1)) throw MachineError("no room for a string");
    for (auto _ : state) benchmark::DoNotOptimize(fork.memory().read_string(at, 65536));
}
BENCHMARK(read_string_of_guest)->RangeMultiplier(16)->Range(16, 16 << 8);

void walk_dirty_pages(benchmark::State& state) {
    DirtyPages pages;
    for (std::int64_t i = 0; i < state.range(0); ++i) pages.add(static_cast<std::uint64_t>(i * 3));
    for (auto _ : state) {
        std::uint64_t sum = 0;
        pages.for_each([&](std::uint64_t page) { sum += page; });
        benchmark::DoNotOptimize(sum);
    }
    state.SetItemsProcessed(state.range(0) * static_cast<std::int64_t>(state.iterations()));
}
BENCHMARK(walk_dirty_pages)->RangeMultiplier(10)->Range(1, 10000);

}  // namespace

BENCHMARK_MAIN();

// `tinykvm bench`: what a request costs here, side by side with the least anything can cost on this KVM.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "src/cli/command.hpp"
#include "src/cli/floor.hpp"
#include "src/cli/waiting_program.hpp"
#include "tinykvm/errors.hpp"
#include "tinykvm/fork.hpp"
#include "tinykvm/kvm/vcpu.hpp"
#include "tinykvm/memory/guest_memory.hpp"
#include "tinykvm/platform/platform.hpp"
#include "tinykvm/program.hpp"

extern "C" const std::byte tinykvm_bench_guest[], tinykvm_bench_guest_end[];

namespace tinykvm::cli {

namespace {

using Microseconds = std::chrono::duration<double, std::micro>;

constexpr std::size_t most_rounds = 5000, least_rounds = 20, warm_up_rounds = 10;
constexpr std::chrono::seconds row_time{2};
constexpr std::size_t some_pages = 64;

struct Row {
    std::string name;
    double median = 0, p99 = 0;  // microseconds
    // Counts of one round; absent where there is no request.
    std::optional<Statistics> counts;
};

// Calls `work` until there are enough rounds; what `prepare` does before each is not timed.
template <typename Prepare, typename Work>
Row measure(std::string name, Prepare&& prepare, Work&& work) {
    for (std::size_t i = 0; i < warm_up_rounds; ++i) {
        prepare();
        work();
    }
    std::vector<double> times;
    const auto end = Clock::now() + row_time;
    while (times.size() < least_rounds || (times.size() < most_rounds && Clock::now() < end)) {
        prepare();
        const auto begin = Clock::now();
        work();
        times.push_back(Microseconds(Clock::now() - begin).count());
    }
    std::sort(times.begin(), times.end());
    return {std::move(name), times[times.size() / 2], times[times.size() * 99 / 100], {}};
}

constexpr auto nothing = [] {};

// One more round, with the difference it makes to the counts.
Statistics counts_of(const Fork& fork, const std::function<void()>& round) {
    const Statistics before = fork.statistics();
    round();
    Statistics after = fork.statistics();
    after.exits -= before.exits;
    after.system_calls -= before.system_calls;
    after.host_calls -= before.host_calls;
    after.guest_faults -= before.guest_faults;
    after.kvm_calls -= before.kvm_calls;
    after.pages_restored -= before.pages_restored;
    return after;
}

// A call of a guest that is entered already (Fork, "Calls without entering"), from handing it over to its answer.
// With `reset` the fork leaves, is reset and enters again after each answer. nullopt: this host cannot.
std::optional<Row> measure_entered(WaitingProgram& program, bool reset) {
    constexpr std::chrono::seconds wait{60};
    Fork fork(program.snapshot());
    if (!fork.prepare_wait(Awaits::call, wait)) return std::nullopt;
    std::atomic<bool> waits{true}, end{false};
    std::thread runner([&] {
        while (fork.wait_for_call(program.calls()) && !end) {
            fork.reset();
            fork.prepare_wait(Awaits::call, wait);
            waits = true;
        }
    });
    const auto again = reset ? std::nullopt : std::optional<std::chrono::microseconds>(wait);
    const auto entered = [&] {
        while (!waits) {
        }
        // Entering takes its time, too.
        for (const auto until = Clock::now() + (reset ? std::chrono::microseconds(150) : std::chrono::microseconds(0));
             Clock::now() < until;) {
        }
    };
    const auto round = [&] {
        waits = !reset;
        if (!program.post(fork)) throw MachineError("a guest that was entered does not wait");
        while (!fork.poll_call(program.calls())) {
        }
        fork.release_after_call(again);
    };
    Row row = measure(reset ? "entered call, reset after it" : "entered call", entered, round);
    entered();
    row.counts = counts_of(fork, [&] {
        round();
        while (!waits) {
        }
    });
    end = true;
    fork.wake();
    runner.join();
    return row;
}

std::vector<Row> measure_all() {
    WaitingProgram program(Program::from_bytes({tinykvm_bench_guest, tinykvm_bench_guest_end}, "bench guest"));

    std::vector<Row> rows;
    Floor floor;
    rows.push_back(measure("floor", nothing, [&] { floor(); }));

    Fork fork(program.snapshot());
    const auto add_request = [&](const char* name, const std::function<void()>& round) {
        Row row = measure(name, nothing, round);
        row.counts = counts_of(fork, round);
        rows.push_back(std::move(row));
    };
    add_request("call", [&] { program.call(fork); });
    add_request("reset+call", [&] {
        fork.reset();
        program.call(fork);
    });
    add_request("reset+call, 64 pages", [&] {
        fork.reset();
        program.call(fork, some_pages);
    });

    for (const bool reset : {false, true})
        if (auto row = measure_entered(program, reset)) rows.push_back(*std::move(row));

    std::optional<Fork> another;
    rows.push_back(measure(
        "fork", [&] { another.reset(); }, [&] { another.emplace(program.snapshot()); }));
    rows.push_back(measure(
        "fork+call", [&] { another.reset(); },
        [&] {
            another.emplace(program.snapshot());
            program.call(*another);
        }));
    another.reset();
    rows.push_back(measure("boot", nothing, [&] { program.boot(); }));
    return rows;
}

void print_table(const std::vector<Row>& rows) {
    std::printf("%-27s %10s %10s %8s   %s\n", "microseconds", "median", "p99", "ratio",
                "exits, faults, KVM calls, pages dirtied and restored");
    for (const Row& row : rows) {
        std::printf("%-27s %10.2f %10.2f %8.2f", row.name.c_str(), row.median, row.p99,
                    row.median / rows.front().median);
        if (row.counts) {
            std::printf("   %llu, %llu, %llu, %llu, %llu", static_cast<unsigned long long>(row.counts->exits),
                        static_cast<unsigned long long>(row.counts->guest_faults),
                        static_cast<unsigned long long>(row.counts->kvm_calls),
                        static_cast<unsigned long long>(row.counts->pages_dirtied),
                        static_cast<unsigned long long>(row.counts->pages_restored));
        }
        std::printf("\n");
    }
    std::puts(
        "\nfloor: KVM_RUN until the guest leaves again, nothing else. ratio: median over the floor's.\n"
        "fork and boot include making a VM; the counts are of one round.");
}

void print_json(const std::vector<Row>& rows) {
    std::puts("{\"unit\": \"microseconds\", \"rows\": [");
    for (const Row& row : rows) {
        std::printf("  {\"name\": \"%s\", \"median\": %.3f, \"p99\": %.3f, \"ratio\": %.3f", row.name.c_str(),
                    row.median, row.p99, row.median / rows.front().median);
        if (row.counts) {
            std::printf(
                ", \"exits\": %llu, \"faults\": %llu, \"system_calls\": %llu, \"kvm_calls\": %llu, "
                "\"pages_dirtied\": %llu, \"pages_restored\": %llu",
                static_cast<unsigned long long>(row.counts->exits),
                static_cast<unsigned long long>(row.counts->guest_faults),
                static_cast<unsigned long long>(row.counts->system_calls),
                static_cast<unsigned long long>(row.counts->kvm_calls),
                static_cast<unsigned long long>(row.counts->pages_dirtied),
                static_cast<unsigned long long>(row.counts->pages_restored));
        }
        std::printf("}%s\n", &row == &rows.back() ? "" : ",");
    }
    std::puts("]}");
}

Command::Run declare(OptionParser& options) {
    const auto json = std::make_shared<bool>(false);
    options.add_flag("--json", "print the table as JSON", [json] { *json = true; });
    return [json](const std::vector<std::string>& operands) -> int {
        if (!operands.empty()) throw Usage{"bench has no such option", operands[0]};
        const std::vector<Row> rows = measure_all();
        *json ? print_json(rows) : print_table(rows);
        return exit_ok;
    };
}

}  // namespace

const Command bench_command = {
    "bench", "What a request costs on this machine",
    "Usage: tinykvm bench [--json]\n"
    "\n"
    "Measures, with a tiny program of its own: the floor (one bare KVM_RUN round trip), a call into a fork,\n"
    "reset and call, making a fork, booting. Prints medians and 99th percentiles in microseconds, their\n"
    "ratio to the floor, and how many exits, faults and KVM calls one request makes. The counts are the same\n"
    "on every machine; the times are not.\n"
    "\n",
    "", declare};

}  // namespace tinykvm::cli

// What programs are said to have done: sums, their JSON, and that they are exact.
#include <atomic>
#include <nlohmann/json.hpp>
#include <thread>

#include "src/programs/statistics_json.hpp"
#include "tests/unit/vtc_guest.hpp"
#include "tinykvm/program.hpp"

namespace tinykvm::host {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

TEST(Statistics, TotalsAreTheSumOfMachinesThatAreAndThatWere) {
    TestCounters process;
    ProgramStatistics program(process);
    const auto total = [&](Counter counter) {
        ProgramReport report;
        program.report(report);
        return value_of(report.totals, counter);
    };
    program.add(Counter::queue_timeouts, 2);
    MachineStatistics one(program, 1000, 10);
    {
        MachineStatistics two(program, 1000, 10);
        one.add(Counter::requests, 3);
        two.add(Counter::requests, 4);
        one.set_memory(500);
        one.set_memory(200);
        one.note_request_memory(300);
        two.note_request_memory(700);
        two.note_request_memory(600);
        one.note_request_time(5ms);
        one.note_request_time(-1ms);
        two.note_request_time(2ms);
        EXPECT_EQ(total(Counter::requests), 7U);
        ProgramReport report;
        program.report(report);
        EXPECT_EQ(report.machines.size(), 2U);
        EXPECT_EQ(report.peaks.memory, 700U);
        EXPECT_EQ(report.peaks.microseconds, 5000U);
    }
    ProgramReport later;
    program.report(later);
    EXPECT_EQ(later.peaks.memory, 700U) << "of a machine that is gone";
    EXPECT_EQ(later.peaks.microseconds, 5000U);
    EXPECT_EQ(total(Counter::requests), 7U);
    EXPECT_EQ(total(Counter::queue_timeouts), 2U);
    EXPECT_EQ(process[Counter::requests], 7U);
    EXPECT_EQ(process[Counter::queue_timeouts], 2U);
    const MachineReport report = one.report();
    EXPECT_EQ(value_of(report.counts, Counter::requests), 3U);
    EXPECT_EQ(report.memory_capacity, 1000U);
    EXPECT_EQ(report.memory_current, 200U);
    EXPECT_EQ(report.memory_highest, 500U);
    EXPECT_EQ(report.peaks.memory, 300U);
    EXPECT_EQ(report.snapshot_memory, 10U);
}

TEST(Statistics, JsonHasEveryMember) {
    ProgramReport report;
    report.name = "p";
    report.binary_size = 5000;
    report.binary_type = "static-pie";
    report.live_updates = 2;
    report.totals[static_cast<std::size_t>(Counter::queue_wait)] = 1500000;
    report.totals[static_cast<std::size_t>(Counter::program_status_3xx)] = 7;
    report.machines.resize(2);
    report.machines[1].memory_current = 4096;
    report.machines[1].peaks = {8192, 2500};
    report.peaks = {12288, 1500000};
    const json all = json::parse(statistics_json(std::vector{report}, {}, -1));
    const json machine = {{"connections", 0},
                          {"exception_cpu_time", 0.0},
                          {"exceptions", 0},
                          {"input_bytes", 0},
                          {"interrupted", 0},
                          {"invocations", 0},
                          {"output_bytes", 0},
                          {"pages_restored", 0},
                          {"request_cpu_time", 0.0},
                          {"request_memory_peak", 0},
                          {"request_time_peak", 0.0},
                          {"reservation_time", 0.0},
                          {"resets", 0},
                          {"status_2xx", 0},
                          {"status_3xx", 0},
                          {"status_4xx", 0},
                          {"status_5xx", 0},
                          {"tasks_queued", 0},
                          {"timeouts", 0},
                          {"vm_bank_capacity", 0},
                          {"vm_bank_current", 0},
                          {"vm_bank_highest", 0},
                          {"vm_main_memory", 0}};
    json second = machine, storage = machine, totals = machine;
    second["vm_bank_current"] = 4096;
    second["request_memory_peak"] = 8192;
    second["request_time_peak"] = 0.0025;
    totals["request_memory_peak"] = 12288;
    totals["request_time_peak"] = 1.5;
    storage["tasks_inschedule"] = 0;
    storage["calls_queued"] = 0;
    for (const char* key :
         {"tasks_queued", "vm_bank_capacity", "vm_bank_current", "vm_bank_highest", "vm_main_memory"}) {
        totals.erase(key);
    }
    totals["reservation_time"] = 1.5;
    totals["status_3xx"] = 7;
    EXPECT_EQ(all, json({{"p",
                          {{"program",
                            {{"binary_size", 5000},
                             {"binary_type", "static-pie"},
                             {"cold_start", false},
                             {"live_update_transfer_bytes", 0},
                             {"live_updates", 2},
                             {"reservation_time", 1.5},
                             {"reservation_timeouts", 0}}},
                           {"request", {{"machines", {machine, second}}, {"totals", totals}}},
                           {"storage", storage}}}}));
}

TEST(Statistics, JsonOfNothing) {
    EXPECT_EQ(statistics_json({}, {}, -1), "{}");
    EXPECT_EQ(statistics_json(std::vector<ProgramReport>(1), {}, -1).find('\n'), std::string::npos);
    EXPECT_NE(statistics_json(std::vector<ProgramReport>(1), {}, 0).find('\n'), std::string::npos);
    EXPECT_NE(statistics_json(std::vector<ProgramReport>(1), {}, 2).find("\n    \""), std::string::npos);
}

class ReportTest : public VtcGuestTest {
  protected:
    std::string ask(std::string_view url, std::string_view body = {}) {
        Request request;
        request.url = url;
        request.method = body.empty() ? "GET" : "POST";
        Lease lease = service.acquire(nullptr);
        lease->begin(request);
        lease->append_body(std::as_bytes(std::span(body.data(), body.size())));
        const Outcome outcome = lease->run(nullptr);
        return outcome.answered ? body_of(*lease, outcome) : to_string(outcome.failures.at(0).kind());
    }
    std::uint64_t total(Counter counter) { return value_of(service.report().value().totals, counter); }

    ProgramService service{"p", {counters, [](const std::string&, std::string_view) {}}};
};

TEST_F(ReportTest, OnlyOfLoadedPrograms) {
    ProgramConfig config = guest_config("boot");
    config.main_arguments = {"exit"};
    ASSERT_TRUE(service.configure(config));
    EXPECT_FALSE(service.report());
    EXPECT_THROW((void)service.acquire(nullptr), Failure);
    EXPECT_FALSE(service.report());  // did not boot
    service.set_main_arguments({});
    service.unload();
    EXPECT_EQ(ask("/"), "booted");
    ASSERT_TRUE(service.report());
    service.cold();
    EXPECT_TRUE(service.wait_until_cold(soon()));
    EXPECT_TRUE(service.report().value().machines.empty());
    EXPECT_EQ(total(Counter::requests), 1U);
    service.warm();
    service.unload();
    EXPECT_FALSE(service.report());
}

TEST_F(ReportTest, NumbersAreThoseOfTheRequests) {
    ProgramConfig config = guest_config("rogue");
    config.max_request_time = 200ms;
    config.max_request_memory = std::size_t{8} << 20;
    ASSERT_TRUE(service.configure(config));
    EXPECT_EQ(ask("/x"), "request 1");
    EXPECT_EQ(ask("/x", "12345"), "request 1");
    EXPECT_EQ(ask("/crash", "123"), "crashed");
    EXPECT_EQ(ask("/loop"), "timed out");
    const ProgramReport report = service.report().value();
    EXPECT_EQ(report.name, "p");
    EXPECT_EQ(report.binary_type, "static");
    EXPECT_EQ(report.binary_size, Program::from_file(guest_path("rogue"))->bytes().size());
    EXPECT_EQ(value_of(report.totals, Counter::requests), 4U);
    EXPECT_EQ(value_of(report.totals, Counter::program_status_2xx), 2U);
    EXPECT_EQ(value_of(report.totals, Counter::program_exception), 1U);
    EXPECT_EQ(value_of(report.totals, Counter::program_timeout), 1U);
    EXPECT_EQ(value_of(report.totals, Counter::input_bytes), 8U);
    EXPECT_EQ(value_of(report.totals, Counter::output_bytes), 18U);
    EXPECT_GE(value_of(report.totals, Counter::exception_time), 200000U);
    EXPECT_GE(report.peaks.microseconds, 200000U);  // max_request_time
    ASSERT_EQ(report.machines.size(), 1U);
    const MachineReport& machine = report.machines[0];
    EXPECT_EQ(value_of(machine.counts, Counter::requests), 4U);
    EXPECT_EQ(machine.memory_capacity, std::size_t{8} << 20);
    EXPECT_GT(machine.memory_highest, 0U);
    EXPECT_GE(machine.memory_highest, machine.memory_current);
    EXPECT_GT(machine.snapshot_memory, 0U);
}

// Whether its VM is reset after it or not, and when its VM is gone.
TEST_F(ReportTest, PeaksAreThoseOfTheLargestAndLongestRequest) {
    constexpr std::size_t size = std::size_t{3} << 20, few = std::size_t{256} << 10;
    for (const bool ephemeral : {true, false}) {
        ProgramService one("p", {counters, [](const std::string&, std::string_view) {}});
        ProgramConfig config = guest_config("mirror");
        config.ephemeral = ephemeral;
        config.concurrency = 1;
        ASSERT_TRUE(one.configure(config));
        const auto ask_one = [&](std::size_t bytes) {
            const std::string body(bytes, 'x');
            Request request;
            request.url = "/";
            request.method = "POST";
            Lease lease = one.acquire(nullptr);
            lease->begin(request);
            lease->append_body(std::as_bytes(std::span(body)));
            EXPECT_TRUE(lease->run(nullptr).answered);
        };
        ask_one(size);
        ask_one(10);  // in the same VM, which is reset before
        const ProgramReport report = one.report().value();
        ASSERT_EQ(report.machines.size(), 1U);
        EXPECT_GE(report.machines[0].peaks.memory, size) << ephemeral;
        EXPECT_LE(report.machines[0].peaks.memory, size + few) << ephemeral;
        EXPECT_GT(report.machines[0].peaks.microseconds, 0U);
        one.cold();
        EXPECT_TRUE(one.wait_until_cold(soon()));
        EXPECT_EQ(one.report().value().peaks.memory, report.peaks.memory);
        EXPECT_EQ(one.report().value().peaks.microseconds, report.peaks.microseconds);
    }
}

TEST_F(ReportTest, TotalsOutliveGenerations) {
    ASSERT_TRUE(service.configure(guest_config("hello")));
    (void)ask("/a");
    service.update(Program::from_file(guest_path("counter")));
    (void)ask("/b");
    service.unload();
    (void)ask("/c");
    EXPECT_EQ(total(Counter::requests), 3U);
    EXPECT_EQ(total(Counter::program_status_2xx), 3U);
    EXPECT_EQ(service.report().value().live_updates, 1U);
}

TEST_F(ReportTest, SumsAreExactUnderLoad) {
    ProgramConfig config = guest_config("rogue");
    config.concurrency = 3;
    ASSERT_TRUE(service.configure(config));
    std::atomic<std::uint64_t> answered = 0, crashed = 0, bytes = 0;
    std::vector<std::thread> clients;
    for (int t = 0; t < 6; t++) {
        clients.emplace_back([&, t] {
            for (int i = 0; i < rounds(100); i++) {
                const std::string said = ask((t + i) % 5 == 0 ? "/crash" : "/x");
                crashed += said == "crashed";
                answered += said == "request 1";
                bytes += said == "request 1" ? said.size() : 0;
                (void)service.report();
            }
        });
    }
    for (auto& client : clients) {
        client.join();
    }
    EXPECT_EQ(answered + crashed, 6U * static_cast<unsigned>(rounds(100)));
    EXPECT_EQ(total(Counter::requests), answered + crashed);
    EXPECT_EQ(total(Counter::program_status_2xx), answered);
    EXPECT_EQ(total(Counter::program_exception), crashed);
    EXPECT_EQ(total(Counter::output_bytes), bytes);
    EXPECT_EQ(counters[Counter::requests], total(Counter::requests));
    EXPECT_EQ(counters[Counter::program_exception], total(Counter::program_exception));
}

}  // namespace
}  // namespace tinykvm::host

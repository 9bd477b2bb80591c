// What a request pays for a call of its program's storage, and how many tasks a storage runs.
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "src/base/counter_sink.hpp"
#include "src/cli/floor.hpp"
#include "src/programs/boot_program.hpp"
#include "src/vms/pool.hpp"
#include "tests/bench/micro/micro.hpp"

namespace tinykvm::bench {

namespace {

using namespace tinykvm::host;

constexpr int tasks_of_a_request = 500;  // as in the guest
constexpr std::chrono::seconds patience{60};

class StorageProgram {
  public:
    StorageProgram() {
        ProgramConfig config;
        config.filename = build_folder + "/bench/storage";
        config.storage = true;
        config.concurrency = 1;
        BootControl control;
        pool_ = std::make_shared<Pool>(boot_program(
                                           "storage", config, nullptr, [](std::string_view) {}, control, {}, &place_),
                                       counters_);
    }
    ~StorageProgram() { pool_->close(patience); }
    StorageProgram(const StorageProgram&) = delete;
    StorageProgram& operator=(const StorageProgram&) = delete;

    void ask(std::string_view url) {
        Lease lease = pool_->acquire(Clock::now() + patience, nullptr);
        Request request;
        request.url = url;
        lease->begin(request);
        if (const Outcome outcome = lease->run(nullptr); !outcome.answered) throw std::runtime_error("no answer");
    }
    void wait_until_idle() {
        while (place_.last()->report().tasks_queued > 0) std::this_thread::yield();
        ask("/call");  // the last task may be running
    }

  private:
    NoCounters counters_;
    StoragePlace place_;
    std::shared_ptr<Pool> pool_;
};

template <typename Work>
double median_of(int rounds, Work&& work) {
    for (int i = 0; i < rounds / 10 + 1; ++i) work();
    std::vector<double> times;
    for (int i = 0; i < rounds; ++i) times.push_back(microseconds_of(work));
    return median(std::move(times));
}

void print(const char* name, double microseconds, double floor) {
    std::printf("%-32s %12.1f %12.2f %12.0f\n", name, microseconds, microseconds / floor, 1e6 / microseconds);
}

}  // namespace

void storage_calls(Effort effort) {
    cli::Floor run_once;
    StorageProgram program;
    const double floor = median_of(effort.rounds(2000), [&] { run_once(); });
    const double plain = median_of(effort.rounds(2000), [&] { program.ask("/"); });
    const double with_call = median_of(effort.rounds(2000), [&] { program.ask("/call"); });
    const double tasks = median_of(effort.rounds(10), [&] {
        program.ask("/tasks");
        program.wait_until_idle();
    });
    std::printf("%-32s %12s %12s %12s\n", "", "microseconds", "floors", "per second");
    print("floor: one bare KVM_RUN", floor, floor);
    print("request", plain, floor);
    print("request with a storage call", with_call, floor);
    print("storage call", with_call - plain, floor);
    print("task, of 500 of one request", tasks / tasks_of_a_request, floor);
}

}  // namespace tinykvm::bench

// What the tests of src/ share: booted programs of tests/vtc, and counters that can be read.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <memory>
#include <string>

#include "src/programs/boot_program.hpp"
#include "src/programs/program_service.hpp"
#include "src/vms/pool.hpp"

namespace tinykvm::host {

inline std::string guest_path(const std::string& name) { return std::string(TINYKVM_TEST_GUESTS "/") + name; }

inline ProgramConfig guest_config(const std::string& name) {
    ProgramConfig config;
    config.filename = guest_path(name);
    config.concurrency = 1;
    config.max_boot_time = std::chrono::seconds(300);  // emulated machines are slow
    config.max_request_time = std::chrono::seconds(300);
    return config;
}

inline std::shared_ptr<const BootedProgram> boot(const ProgramConfig& config) {
    BootControl control;
    return boot_program("p", config, nullptr, nullptr, control);
}

struct TestCounters final : CounterSink {
    std::array<std::atomic<std::uint64_t>, 32> values{};

    void add(Counter counter, std::uint64_t amount) noexcept override {
        values[static_cast<std::size_t>(counter)] += amount;
    }
    std::uint64_t operator[](Counter counter) const { return values[static_cast<std::size_t>(counter)]; }
};

// How many rounds the long tests make.
inline int rounds(int usual) {
    const char* shorter = std::getenv("TINYKVM_BATTERY_PAIRS");
    return shorter != nullptr ? std::min(usual, std::atoi(shorter)) : usual;
}

inline Deadline soon() { return Clock::now() + std::chrono::seconds(300); }

inline std::string body_of(RequestVm& vm, const Outcome& outcome) {
    std::string text;
    for (;;) {
        const auto piece = vm.body(outcome.response, text.size());
        if (piece.empty()) {
            return text;
        }
        text.append(reinterpret_cast<const char*>(piece.data()), piece.size());
    }
    return text;
}

// One request: "STATUS BODY", or the kind of the first failure when there was no answer.
inline std::string ask(Pool& pool, const Request& request, std::string_view body = {}) {
    Lease lease = pool.acquire(soon(), nullptr);
    lease->begin(request);
    lease->append_body(std::as_bytes(std::span(body.data(), body.size())));
    const Outcome outcome = lease->run(nullptr);
    if (!outcome.answered) {
        return to_string(outcome.failures.at(0).kind());
    }
    return std::to_string(outcome.response.status) + " " + body_of(*lease, outcome);
}

inline std::string get(Pool& pool, std::string_view url, std::string_view argument = {}) {
    Request request;
    request.url = url;
    request.argument = argument;
    return ask(pool, request);
}

class VtcGuestTest : public testing::Test {
  protected:
    void SetUp() override {
        if (access("/dev/kvm", R_OK | W_OK) != 0) {
            GTEST_SKIP() << "/dev/kvm cannot be opened";
        }
        ASSERT_EQ(access(guest_path("hello").c_str(), X_OK), 0) << "the guests of tests/vtc are not built";
    }

    TestCounters counters;
};

}  // namespace tinykvm::host

// A fork with a thread that runs it, and the other thread's side of calls ("Calls without entering").
#pragma once

#include <atomic>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "booted_guest.hpp"
#include "tests/unit/eventually.hpp"

namespace tinykvm::test {

constexpr auto long_wait = std::chrono::seconds(300);

class PolledFork {
  public:
    explicit PolledFork(BootedGuest& guest) : fork(guest.snapshot), guest_(guest) {}
    ~PolledFork() {
        fork.wake();
        join();
    }

    // Has the guest wait for calls, on a thread of this object. False: this host cannot.
    bool wait(std::chrono::microseconds time = long_wait, Awaits awaits = Awaits::call) {
        if (!fork.prepare_wait(awaits, time)) return false;
        runner_ = std::thread([this] {
            try {
                stop = fork.wait_for_call(guest_.calls);
            } catch (const std::exception& e) {
                error = e.what();
            }
            left = true;
        });
        return true;
    }
    void join() {
        if (runner_.joinable()) runner_.join();
    }
    bool post(const std::string& function, std::vector<std::uint64_t> arguments, Deadline deadline = patience()) {
        forget();
        return fork.post(guest_.calls.functions.at(function), arguments, deadline);
    }
    bool post_result(std::int64_t result) {
        forget();
        return fork.post_result(result, patience());
    }
    // Takes calls through the mailbox until the guest stops there, or has left; nullopt when it has left.
    std::optional<Stop> listen_only() {
        std::optional<Stop> taken;
        const auto ends = [&] { return left || (taken = fork.poll_call(guest_.calls)); };
        eventually("a guest that was called stops in the mailbox or leaves", ends, std::chrono::milliseconds(0));
        return taken;
    }
    std::optional<Stop> listen(std::optional<std::chrono::microseconds> again = {}) {
        const auto taken = listen_only();
        if (taken) fork.release_after_call(again);
        return taken;
    }

    Fork fork;
    std::atomic<bool> left = false;
    std::optional<Stop> stop;
    std::string error;

  private:
    void forget() {
        left = false;
        stop.reset();
        error.clear();
        guest_.calls.answered = false;
        guest_.calls.notes.clear();
    }

    BootedGuest& guest_;
    std::thread runner_;
};

#define WAIT_OR_SKIP(polled, ...) \
    if (!(polled).wait(__VA_ARGS__)) GTEST_SKIP() << "guests have no time-stamp counter here"

}  // namespace tinykvm::test

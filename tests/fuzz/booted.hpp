// A fork of guest.c that is reset after each input, and that nothing may be left in.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/fuzz/input.hpp"
#include "tinykvm/errors.hpp"
#include "tinykvm/fork.hpp"
#include "tinykvm/machine.hpp"

namespace tinykvm::fuzz {

class Calls final : public HostCalls {
  public:
    std::map<std::string, GuestAddr> functions;
    std::uint64_t answer = 0;

    HostCallResult handle(const HostCall& call, GuestMemory& memory) override {
        switch (call.number) {
            case 1:
                if (const auto name = memory.read_string(call.args[0], 64); name && booting)
                    functions[*name] = call.args[1];
                return HostCallResult::resume(0);
            case 2: return HostCallResult::stop();
            case 3: answer = call.args[0]; return HostCallResult::stop();
            default: return HostCallResult::resume(static_cast<std::int64_t>(call.args[0] + 1));
        }
    }
    bool booting = true;
};

class Booted {
  public:
    explicit Booted(Options options) {
        options.max_memory = std::size_t{32} << 20;
        options.max_request_memory = std::size_t{8} << 20;
        options.max_address_space = std::size_t{512} << 20;
        Machine machine(Program::from_file(TINYKVM_FUZZ_GUEST), std::move(options));
        (void)machine.run(&calls, Clock::now() + std::chrono::minutes(10));
        calls.booting = false;
        fork.emplace(std::move(machine).freeze());
        reset();
        state_ = state();
        reset();
        open_files_ = open_files();
    }

    GuestAddr function(const char* name) const { return calls.functions.at(name); }

    // One input's guest. What it does may end it in any way that is an error of the library.
    template <typename Run>
    void attack(Run run) {
        try {
            run(*fork);
        } catch (const Error&) {
        }
        reset();
        if (++inputs_ % 16 == 0) {
            if (state() != state_) found("a request finds another state than the first");
            reset();
            if (open_files() != open_files_) found("files stay open on the host");
        }
    }

    Calls calls;
    std::optional<Fork> fork;

  private:
    void reset() { fork->reset(); }
    std::uint64_t state() {
        (void)fork->call(function("state"), {}, calls, Clock::now() + std::chrono::minutes(10));
        return calls.answer;
    }
    static std::size_t open_files() {
        const std::filesystem::directory_iterator files("/proc/self/fd");
        return static_cast<std::size_t>(std::distance(begin(files), end(files)));
    }

    std::uint64_t state_ = 0, inputs_ = 0;
    std::size_t open_files_ = 0;
};

}  // namespace tinykvm::fuzz

// Lets a gdb have a program, when its configuration allows that: before its first instruction (tinykvm.start() with
// debug), when it calls sys_breakpoint() (allow_debug), and when it crashes (remote_debug_on_exception). gdb is waited
// for at a port of 127.0.0.1, for max_debug_wait; then the program goes on without one.
//
// One program of the process at a time is waited for or debugged; others go on as if they could not be. Everything that
// a debugger does ends with the VM it was done in.
//
// Thread safety: the thread that runs the guest, but for has_program(). A boot or a ProgramFork owns it.
#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "src/config/config.hpp"
#include "tinykvm/debug/gdb_server.hpp"

namespace tinykvm::host {

class ProgramDebugger final : public debug::Debugger {
  public:
    // A line about the program, which somebody is to see at once.
    using Log = std::function<void(std::string_view)>;

    // Borrows the configuration.
    ProgramDebugger(const ProgramConfig& config, Log log) : config_(config), log_(std::move(log)) {}
    ~ProgramDebugger() override { release(); }
    ProgramDebugger(const ProgramDebugger&) = delete;
    ProgramDebugger& operator=(const ProgramDebugger&) = delete;

    bool is_attached() const override { return gdb_.has_value(); }
    Resume stopped(debug::Target& target, int signal, Event event) override;
    bool has_breakpoint(GuestAddr address) const override { return gdb_ && gdb_->has_breakpoint(address); }
    bool wants_stop() override { return gdb_ && gdb_->wants_stop(); }
    Deadline deadline() const override;
    // The run of the program is over, which gdb is told.
    void let_go(debug::Target& target) override;

    // A request of the program is over: in the next one gdb may be waited for again.
    void end_request() { waited_in_vain_ = false; }

    // Does the program stand still for a gdb, or run under one? Any thread.
    bool has_program() const { return has_program_.load(); }

  private:
    bool is_wanted(Event event) const;
    bool attach(const debug::Target& target, Event event);
    void release();

    const ProgramConfig& config_;
    const Log log_;
    std::optional<debug::GdbServer> gdb_;  // while one has the program
    int delivered_ = 0;                    // the signal that it gave the program when it went on last; 0: none
    // No gdb came when one was waited for. A program that asks again and again would never end, because its time stands
    // still meanwhile.
    bool waited_in_vain_ = false;
    std::atomic<bool> has_program_{false};
};

}  // namespace tinykvm::host

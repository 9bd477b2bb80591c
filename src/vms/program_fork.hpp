// A fork of a booted program with all that belongs to it: its calls of the host, what it prints, where requests are
// laid out, and what is counted of it. It has none before it is reset for the first time, and when a reset fails.
//
// Thread safety: one thread at a time, that whose turn it is (src/vms/vm_life.hpp); wake() and interrupt() by any.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "src/calls/guest_calls.hpp"
#include "src/calls/guest_output.hpp"
#include "src/calls/request_layout.hpp"
#include "src/calls/standard_streams.hpp"
#include "src/http/server_connection.hpp"
#include "src/vms/booted_program.hpp"
#include "src/vms/program_debugger.hpp"
#include "src/vms/program_statistics.hpp"
#include "tinykvm/fork.hpp"
#include "tinykvm/os/mutex.hpp"

namespace tinykvm::host {

class ProgramFork {
  public:
    // `pool` stands for the pool in the graph of waits (src/fetch/wait_graph.hpp).
    ProgramFork(std::shared_ptr<const BootedProgram> program, ProgramStatistics& statistics, const void* pool);
    ProgramFork(const ProgramFork&) = delete;
    ProgramFork& operator=(const ProgramFork&) = delete;

    const BootedProgram& program() const { return *program_; }
    MachineStatistics& statistics() { return statistics_; }
    GuestCalls& calls() { return calls_; }
    GuestOutput& output() { return output_; }
    StandardStreams& streams() { return streams_; }         // of a program with the protocol stdio
    ServerConnection& connection() { return connection_; }  // of one with the protocol http
    RequestLayout& layout() { return layout_; }

    bool exists() const { return fork_ != nullptr; }
    Fork& get() { return *fork_; }

    // Makes it equal to the snapshot: by resetting the fork, or by a new one when there is none or that fails. Throws
    // what making a fork throws; there is none then.
    void reset();
    // The same when there is a fork and that takes a few microseconds at most. False: nothing has changed.
    bool reset_if_quick();
    void destroy();

    // The run of the program is over for a gdb that has it. True: gdb has changed something, so the fork has to be
    // reset.
    bool end_debugging();
    // Does it stand still for a gdb, or run under one? Any thread.
    bool is_debugged() const { return debugger_ && debugger_->has_program(); }

    // --- Any thread; the caller knows that the guest runs, or waits for calls.
    void interrupt() noexcept;
    void wake();

    // Ends the locks of files. It is called before the client can see the answer, or its last piece, because the next
    // request may be in another VM. Those of a program that is not ephemeral stay: they are state like any other.
    void end_locks();
    // Adds what the fork has done since the last time to the statistics.
    void count();
    std::vector<std::string> take_log();

    // Is the program one that goes on after its waiting call, once for each request?
    bool waits_paused() const { return program_->registration.waiting == Registration::Waiting::paused; }

  private:
    void replace(std::unique_ptr<Fork> fork);
    void count_fork();

    const std::shared_ptr<const BootedProgram> program_;
    MachineStatistics statistics_;
    GuestCalls calls_;
    StandardStreams streams_;
    ServerConnection connection_;
    GuestOutput output_;
    RequestLayout layout_;
    Statistics counted_;  // of fork_, already added to statistics_

    // Held while the fork is replaced, and by threads that use it when it is not their turn; the thread whose turn it
    // is does without, which is why clang cannot check it. It is taken after the mutex of the slot.
    Mutex fork_mutex_;
    std::optional<ProgramDebugger> debugger_;  // of a program that may be debugged
    std::unique_ptr<Fork> fork_;
};

}  // namespace tinykvm::host

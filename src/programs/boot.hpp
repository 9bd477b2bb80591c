// One boot of a program, on a thread of its own: under way, then booted or failed, or called off by whoever does not
// want it any more.
//
// Thread safety: any thread. Lives as long as somebody holds it, the thread among them.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "src/base/counter_sink.hpp"
#include "src/fetch/self_requests.hpp"
#include "src/programs/boot_program.hpp"
#include "tinykvm/os/mutex.hpp"

namespace tinykvm::host {

// What boots and services need from the process they live in.
struct ProgramEnvironment {
    CounterSink& counters;
    // One or more lines about a program that belong to no request. Any thread.
    void (*log)(const std::string& program, std::string_view lines);
    // Of the configuration; null: none can be made.
    std::shared_ptr<SelfRequests> self_requests = nullptr;
};

class Boot {
  public:
    enum class End { booted, failed, called_off };

    // `binary` null: the program is read from the file of its configuration. Throws Failure (host_error) when there is
    // no thread to be had.
    static std::shared_ptr<Boot> begin(const std::string& name, ProgramConfig config,
                                       std::shared_ptr<const Program> binary, const ProgramEnvironment& environment);

    // Waits for the end, or until then: nullopt. A boot that is called off ends at once for who waits.
    std::optional<End> wait(Deadline until) const;
    std::optional<End> end() const;

    // Nothing changes when it is over already; may be repeated.
    void call_off();
    // For one that was called off: makes it stop, and says whether its thread is done with it. To be repeated.
    bool has_stopped();

    // What its self-requests hold, for the graph of waits.
    const void* vm() const { return &control_; }
    // When it has booted.
    const std::shared_ptr<const BootedProgram>& program() const { return program_; }
    // When it has failed: why, and when.
    const std::string& failure() const { return failure_; }
    Clock::time_point ended_at() const { return ended_at_; }

  private:
    Boot(std::string name, ProgramConfig config, std::shared_ptr<const Program> binary,
         const ProgramEnvironment& environment);
    void run();
    void log_failure(std::string_view what, std::string_view report) const;

    const std::string name_;
    const ProgramConfig config_;
    const ProgramEnvironment environment_;
    std::shared_ptr<const Program> binary_;  // the thread's
    BootControl control_;

    mutable Mutex mutex_;
    mutable CondVar ended_;
    std::optional<End> end_ TINYKVM_GUARDED_BY(mutex_);
    bool thread_is_done_ TINYKVM_GUARDED_BY(mutex_) = false;
    // Written once, with the mutex held and before end_ is set; constant from then on.
    std::shared_ptr<const BootedProgram> program_;
    std::string failure_;
    Clock::time_point ended_at_;
};

}  // namespace tinykvm::host

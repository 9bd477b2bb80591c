// One boot of a program, on a thread of its own: under way, then booted or failed, or called off because it is not
// wanted any more.
//
// Thread safety: any thread. Shared pointers keep it alive, one of which its thread has.
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
    // How programs make requests to Varnish itself; null: they cannot.
    std::shared_ptr<SelfRequests> self_requests = nullptr;
};

class Boot {
  public:
    enum class End { booted, failed, called_off };

    // `binary` null: the program is read from the file of its configuration. `place`: of its storage, if it may have
    // one. `update`: it is to replace a program. Throws Failure (host_error) when no thread can be started.
    static std::shared_ptr<Boot> begin(const std::string& name, ProgramConfig config,
                                       std::shared_ptr<const Program> binary, const ProgramEnvironment& environment,
                                       std::shared_ptr<StoragePlace> place = nullptr,
                                       std::optional<LiveUpdate> update = std::nullopt);

    // Waits for the end; nullopt when there is none until then. Those that wait for a boot see its end as soon as it is
    // called off.
    std::optional<End> wait(Deadline until) const;
    std::optional<End> end() const;

    // Ends a boot that is not over; may be repeated.
    void call_off();
    // Of a boot that was called off, or has ended: makes it stop if need be, and says whether its thread is done with
    // it, which saves a booted program last. Has to be repeated until it is.
    bool has_stopped();

    // What its self-requests hold, for the graph of waits.
    const void* vm() const { return &control_; }
    // The program, when it has booted.
    const std::shared_ptr<const BootedProgram>& program() const { return program_; }
    // Why it has failed, and when it has ended.
    const std::string& failure() const { return failure_; }
    Clock::time_point ended_at() const { return ended_at_; }

  private:
    Boot(std::string name, ProgramConfig config, std::shared_ptr<const Program> binary,
         const ProgramEnvironment& environment, std::shared_ptr<StoragePlace> place, std::optional<LiveUpdate> update);
    void run();
    void set_end(std::shared_ptr<const BootedProgram> program, std::string failure);
    void save(const BootedProgram& program) const;
    void log_failure(std::string_view what, std::string_view report) const;

    const std::string name_;
    const ProgramConfig config_;
    const ProgramEnvironment environment_;
    const std::shared_ptr<StoragePlace> place_;
    std::optional<LiveUpdate> update_;       // used by the thread alone, as
    std::shared_ptr<const Program> binary_;  // this
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

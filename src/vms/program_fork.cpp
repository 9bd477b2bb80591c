#include "src/vms/program_fork.hpp"

#include <string_view>
#include <utility>

namespace tinykvm::host {

namespace {

GuestCalls::Environment environment_of(const BootedProgram& program, const void* pool) {
    GuestCalls::Environment environment = GuestCalls::environment_of(program.config);
    environment.ephemeral = program.registration.ephemeral;
    environment.services = program.services;
    environment.pool = pool;
    return environment;
}

}  // namespace

ProgramFork::ProgramFork(std::shared_ptr<const BootedProgram> program, ProgramStatistics& statistics, const void* pool)
    : program_(std::move(program)),
      statistics_(statistics, program_->config.max_request_memory, program_->snapshot->image_bytes()),
      calls_(environment_of(*program_, pool)),
      output_([this](std::string_view line) { calls_.note(line); }) {
    output_.log_output(program_->config.standard_output);
    if (program_->config.protocol == ProgramConfig::Protocol::stdio) {
        output_.use(streams_);
    }
    if (program_->config.protocol == ProgramConfig::Protocol::http) {
        output_.use(connection_);
    }
    if (program_->config.may_be_debugged()) {
        debugger_.emplace(program_->config, [this](std::string_view line) {
            if (program_->services.log != nullptr) {
                program_->services.log(program_->name, line);
            }
        });
    }
}

void ProgramFork::replace(std::unique_ptr<Fork> fork) {
    counted_ = {};
    const MutexLock lock(fork_mutex_);
    fork_ = std::move(fork);
}

void ProgramFork::reset() {
    (void)end_debugging();
    calls_.adopt(program_->registration);
    connection_.adopt(program_->connection);
    if (fork_) {
        try {
            fork_->reset();
            count_fork();
            return;
        } catch (const std::exception& error) {
            calls_.note(std::string("the VM could not be reset and is replaced: ") + error.what());
        }
        count_fork();
        replace(nullptr);  // destroyed first: the host may not have room for two
    }
    replace(std::make_unique<Fork>(program_->snapshot));
    if (debugger_) {
        fork_->set_debugger(*debugger_);
    }
    statistics_.add(Counter::forks, 1);
}

bool ProgramFork::reset_if_quick() {
    if (!fork_ || !fork_->reset_if_quick()) {
        return false;
    }
    connection_.adopt(program_->connection);
    calls_.adopt(program_->registration);
    return true;
}

void ProgramFork::destroy() {
    (void)end_debugging();
    replace(nullptr);
}

bool ProgramFork::end_debugging() {
    if (!debugger_ || !fork_) {
        return false;
    }
    fork_->end_debugging();
    debugger_->end_request();
    return fork_->changed_by_debugger();
}

void ProgramFork::interrupt() noexcept {
    const MutexLock lock(fork_mutex_);
    if (fork_) {
        fork_->interrupt();
    }
}

void ProgramFork::wake() {
    const MutexLock lock(fork_mutex_);
    if (fork_) {
        fork_->wake();
    }
}

void ProgramFork::end_locks() {
    if (fork_ && calls_.is_ephemeral()) {
        fork_->release_locks();
    }
}

void ProgramFork::count_fork() {
    const Statistics now = fork_->statistics();
    statistics_.add(Counter::exits, now.exits - counted_.exits);
    constexpr std::uint64_t nanoseconds_of_one = 1000;
    statistics_.add(Counter::cpu_time,
                    now.further_cpu_time / nanoseconds_of_one - counted_.further_cpu_time / nanoseconds_of_one);
    statistics_.add(Counter::guest_faults, now.guest_faults - counted_.guest_faults);
    statistics_.add(Counter::kvm_calls, now.kvm_calls - counted_.kvm_calls);
    statistics_.add(Counter::resets, now.resets - counted_.resets);
    statistics_.add(Counter::pages_restored, now.pages_restored - counted_.pages_restored);
    statistics_.set_memory(now.pages_dirtied * page_size);
    statistics_.note_request_memory(now.memory_peak);
    counted_ = now;
}

void ProgramFork::count() {
    count_fork();
    // A VM that is not reset after requests keeps all that they have changed so far, which counts for the next one,
    // too.
    if (!calls_.is_ephemeral()) {
        statistics_.note_request_memory(fork_->memory().changes().peak_bytes());
    }
}

std::vector<std::string> ProgramFork::take_log() {
    output_.flush();
    return calls_.take_log();
}

}  // namespace tinykvm::host

#include "src/programs/boot.hpp"

#include <chrono>
#include <utility>

#include "src/base/failure.hpp"
#include "src/base/thread.hpp"
#include "src/fetch/wait_graph.hpp"
#include "src/programs/cold_start.hpp"

namespace tinykvm::host {

Boot::Boot(std::string name, ProgramConfig config, std::shared_ptr<const Program> binary,
           const ProgramEnvironment& environment, std::shared_ptr<StoragePlace> place, std::optional<LiveUpdate> update)
    : name_(std::move(name)),
      config_(std::move(config)),
      environment_(environment),
      place_(std::move(place)),
      update_(std::move(update)),
      binary_(std::move(binary)) {}

std::shared_ptr<Boot> Boot::begin(const std::string& name, ProgramConfig config, std::shared_ptr<const Program> binary,
                                  const ProgramEnvironment& environment, std::shared_ptr<StoragePlace> place,
                                  std::optional<LiveUpdate> update) {
    std::shared_ptr<Boot> boot(
        new Boot(name, std::move(config), std::move(binary), environment, std::move(place), std::move(update)));
    Thread("kvm:" + name, [boot] { boot->run(); }).detach();
    environment.counters.add(Counter::boots, 1);
    return boot;
}

void Boot::run() {
    const auto begin = Clock::now();
    std::shared_ptr<const BootedProgram> program;
    std::string failure;
    const bool is_update = binary_ != nullptr || update_;
    try {
        program = boot_program(
            name_, config_, std::exchange(binary_, nullptr),
            [&](std::string_view line) { environment_.log(name_, line); }, control_,
            GuestServices{environment_.self_requests, &environment_.counters, environment_.log}, place_.get(),
            update_ ? &*update_ : nullptr);
        update_.reset();  // what was handed over is in the program
        if (config_.verbose) {
            const auto time = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begin);
            environment_.log(name_, "booted in " + std::to_string(time.count()) + " us");
        }
    } catch (const Failure& error) {
        failure = error.what();
        log_failure(failure, error.report());
    } catch (const std::exception& error) {
        failure = error.what();
        log_failure(failure, {});
    }
    set_end(program, std::move(failure));
    control_.end_machine();
    if (program && !is_update && end() == End::booted) {
        save(*program);
    }
    const MutexLock lock(mutex_);
    thread_is_done_ = true;
}

// Requests need not wait for this.
void Boot::save(const BootedProgram& program) const {
    if (config_.cold_start_file.empty() || program.is_from_file || !why_no_cold_start(config_).empty()) {
        return;
    }
    save_cold_start(program, [&](std::string_view line) { environment_.log(name_, line); });
}

void Boot::set_end(std::shared_ptr<const BootedProgram> program, std::string failure) {
    const MutexLock lock(mutex_);
    if (!end_) {
        if (!program) {
            environment_.counters.add(Counter::boots_failed, 1);
        }
        end_ = program ? End::booted : End::failed;
        program_ = std::move(program);
        failure_ = std::move(failure);
        ended_at_ = Clock::now();
    }
    ended_.notify_all();
}

void Boot::log_failure(std::string_view what, std::string_view report) const {
    if (end() == End::called_off) {
        return;
    }
    environment_.log(name_, "did not boot: " + std::string(what));
    if (!report.empty()) {
        environment_.log(name_, report);
    }
}

std::optional<Boot::End> Boot::end() const {
    const MutexLock lock(mutex_);
    return end_;
}

std::optional<Boot::End> Boot::wait(Deadline until) const {
    const MutexLock lock(mutex_);
    while (!end_ && ended_.wait_until(mutex_, until)) {
    }
    return end_;
}

void Boot::call_off() {
    {
        const MutexLock lock(mutex_);
        if (!end_) {
            end_ = End::called_off;
            WaitGraph::of_process().forget_waits(vm());
            ended_.notify_all();
        }
    }
    (void)has_stopped();
}

bool Boot::has_stopped() {
    {
        const MutexLock lock(mutex_);
        if (thread_is_done_) {
            return true;
        }
    }
    control_.cancel();  // may come too early or too late for a program that is about to run
    return false;
}

}  // namespace tinykvm::host

#include "src/vms/live_state.hpp"

#include <cerrno>
#include <chrono>
#include <exception>
#include <optional>
#include <string>
#include <utility>

#include "src/base/counter_sink.hpp"
#include "src/base/failure.hpp"
#include "src/base/thread.hpp"
#include "src/vms/program_fork.hpp"
#include "src/vms/program_statistics.hpp"
#include "tinykvm/os/mutex.hpp"

namespace tinykvm::host {

namespace {

constexpr auto look_around = std::chrono::milliseconds(10);

class LiveStateRun {
  public:
    explicit LiveStateRun(std::shared_ptr<const BootedProgram> program)
        : program_(std::move(program)), fork_(program_, statistics_, this) {}

    StorageBytes wait(const std::function<bool()>& is_cancelled) {
        Thread thread("kvm:" + program_->name, [this] { run(); });
        {
            const MutexLock lock(mutex_);
            while (!is_over_) {
                over_.wait_until(mutex_, Clock::now() + look_around);
                const MutexUnlock unlocked(mutex_);
                if (is_cancelled()) {
                    fork_.interrupt();
                }
            }
        }
        thread.join();
        if (!why_.empty()) {
            throw Failure(FailureKind::not_ready, "on_live_update failed: " + why_);
        }
        return std::move(state_);
    }

  private:
    void run() {
        GuestOutput::attach(&fork_.output());
        try {
            call();
        } catch (const Timeout&) {
            why_ = "it took more than max_request_time";
        } catch (const Interrupted&) {
            why_ = "the update is not wanted any more";
        } catch (const std::exception& error) {
            why_ = error.what();
        }
        for (const std::string& line : fork_.take_log()) {
            if (program_->services.log != nullptr) {
                program_->services.log(program_->name, line);
            }
        }
        GuestOutput::attach(nullptr);
        const MutexLock lock(mutex_);
        is_over_ = true;
        over_.notify_one();
    }

    void call() {
        const std::size_t most = program_->config.max_memory;
        fork_.reset();
        fork_.calls().begin_hand_over(most);
        const Stop stop = fork_.get().call(program_->registration.callback(abi::Callback::live_update), {},
                                           fork_.calls(), Clock::now() + program_->config.max_request_time);
        StorageResult result = fork_.calls().take_storage_result();
        if (stop.reason == Stop::Reason::exited) {
            why_ = "the program ended itself with status " + std::to_string(stop.exit_status);
        } else if (result.size > most) {
            why_ = "its state has " + std::to_string(result.size) + " bytes, more than max_memory";
        } else {
            state_ = std::move(result.bytes);
        }
    }

    const std::shared_ptr<const BootedProgram> program_;
    NoCounters no_counters_;
    ProgramStatistics statistics_{no_counters_};
    ProgramFork fork_;
    StorageBytes state_;  // of the thread until it is over, as why_
    std::string why_;

    Mutex mutex_;
    CondVar over_;
    bool is_over_ TINYKVM_GUARDED_BY(mutex_) = false;
};

}  // namespace

StorageBytes take_live_state(const std::shared_ptr<const BootedProgram>& program,
                             const std::function<bool()>& is_cancelled) {
    return LiveStateRun(program).wait(is_cancelled);
}

}  // namespace tinykvm::host

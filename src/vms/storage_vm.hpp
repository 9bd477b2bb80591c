// The storage of a program: one VM that outlives requests, with a thread that runs in it what requests call, in the
// order in which they came, and tasks between them.
//
// A call that fails (crashes, takes too long, needs too much memory) leaves what it has written until then; the storage
// goes on with the next one. Only when the VM cannot go on, because the program in it has ended itself or another of
// its threads has crashed, it begins anew: as it was after its boot, or by another boot with the state that it has
// saved.
//
// Thread safety: any thread. The last owner waits for the thread, which ends soon.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/thread.hpp"
#include "src/calls/guest_calls.hpp"
#include "src/calls/guest_output.hpp"
#include "src/calls/storage.hpp"
#include "src/vms/booted_program.hpp"
#include "src/vms/program_statistics.hpp"
#include "src/vms/storage_tasks.hpp"
#include "tinykvm/fork.hpp"
#include "tinykvm/os/mutex.hpp"

namespace tinykvm::host {

// Boots the program of a storage once more, on the thread of that.
class StorageBoot {
  public:
    virtual ~StorageBoot() = default;
    // Throws Failure.
    virtual std::shared_ptr<const BootedProgram> boot(const BootedProgram& first,
                                                      const std::function<void(std::string_view)>& log) = 0;
    // Makes it end soon. Any thread; may have to be repeated.
    virtual void cancel() = 0;
};

class StorageVm final : public Storage {
  public:
    // `program` was booted with the settings of a storage (ProgramConfig::of_storage). `again` boots it when it begins
    // anew; null: it begins with what it was after this boot. Throws MachineError, or Failure (host_error).
    explicit StorageVm(std::shared_ptr<const BootedProgram> program, std::unique_ptr<StorageBoot> again = nullptr);
    ~StorageVm() override;

    bool allows(GuestAddr function) const override;
    StorageResult call(StorageCall call) override;
    long begin(StorageTask task) override;
    bool stop(long task) override;

    StorageReport report() const;
    const BootedProgram& program() const { return *program_; }

    // --- For a live update

    // Runs nothing from now on but what these functions ask for, until release(); what others call waits, also when it
    // is this. False: what runs has not come to its end until then, or the update is not wanted any more; it is as
    // before.
    bool hold(Deadline until, const std::function<bool()>& is_cancelled);
    void release();
    // Has the program hand over its state, while it is held. Throws Failure (not_ready).
    StorageBytes hand_over(const std::function<bool()>& is_cancelled);
    // Has the program take over the state of another one. Throws Failure (not_ready).
    void take_over(StorageBytes state, const std::function<bool()>& is_cancelled);
    // Of a storage that saves its state: begins anew, with what is saved. Throws Failure (not_ready).
    void reload(const std::function<bool()>& is_cancelled);

  private:
    // What the thread is to run. Those that call keep it with the thread: who gives up leaves it alone.
    struct Job {
        enum class Kind { call, task, hand_over, take_over, reload };
        Kind kind = Kind::call;
        GuestAddr function = 0;
        std::vector<StorageBytes> buffers;
        std::uint64_t room = 0;
        // Guarded by the mutex of the storage:
        bool has_begun = false;
        std::optional<StorageResult> result;
        CondVar ended;
    };

    StorageResult await(const StorageCall& call, const std::shared_ptr<Job>& job);
    void thread_main();
    StorageResult update(const std::shared_ptr<Job>& job, const std::function<bool()>& is_cancelled);
    bool ask(const std::function<bool()>& is_cancelled) TINYKVM_REQUIRES(mutex_);
    std::shared_ptr<Job> next_job() TINYKVM_REQUIRES(mutex_);
    StorageResult run(const Job& job);
    Stop enter(const Job& job);
    StorageResult failed(const Job& job, int error, const std::string& why, const std::string& report = {});
    static std::string name_of(Job::Kind kind);
    void begin_anew(const std::string& why);
    void make_fork();
    void replace(std::unique_ptr<Fork> fork);
    void interrupt();
    std::vector<std::uint64_t> lay_out(const Job& job);
    void log(std::string_view lines) const;

    const std::shared_ptr<const BootedProgram> program_;
    const std::unique_ptr<StorageBoot> again_;
    std::shared_ptr<const BootedProgram> booted_;  // of the thread: the same, or by a later boot
    NoCounters no_counters_;                       // those of the process are about requests
    ProgramStatistics program_statistics_{no_counters_};
    MachineStatistics statistics_;
    GuestCalls calls_;
    GuestOutput output_;

    // Held while the fork is replaced, and by who interrupts it.
    Mutex fork_mutex_;
    std::unique_ptr<Fork> fork_;  // of the thread; null after one could not be made

    mutable Mutex mutex_;
    CondVar work_;
    std::deque<std::shared_ptr<Job>> queue_ TINYKVM_GUARDED_BY(mutex_);
    StorageTasks tasks_ TINYKVM_GUARDED_BY(mutex_);
    bool task_was_last_ TINYKVM_GUARDED_BY(mutex_) = false;
    bool is_held_ TINYKVM_GUARDED_BY(mutex_) = false, is_running_ TINYKVM_GUARDED_BY(mutex_) = false;
    std::shared_ptr<Job> update_job_ TINYKVM_GUARDED_BY(mutex_);  // of who holds it; null: none
    CondVar job_ended_;
    bool ends_ TINYKVM_GUARDED_BY(mutex_) = false, has_ended_ TINYKVM_GUARDED_BY(mutex_) = false;
    CondVar thread_ended_;
    Thread thread_;  // last: everything above is there when it starts
};

}  // namespace tinykvm::host

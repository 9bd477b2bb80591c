// A configured program. It boots when it is started or first needed, then has a pool of request VMs. It can be
// unloaded, to boot again for the next request, or be replaced by a new binary, which boots beside it.
//
// One boot and its pool are a generation. A request is served by one generation: those that run when theirs is replaced
// finish there, those that still wait for a boot or a VM get the new one. What is left of the old one goes after them,
// watched by the reaper.
//
// Thread safety: any thread, except configure(), refuse() and the destructor.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/thread.hpp"
#include "src/programs/boot.hpp"
#include "src/programs/boot_program.hpp"
#include "src/programs/reaper.hpp"
#include "src/vms/pool.hpp"
#include "src/vms/program_statistics.hpp"
#include "tinykvm/os/mutex.hpp"

namespace tinykvm::host {

class ProgramService {
  public:
    ProgramService(std::string name, const ProgramEnvironment& environment);
    // Calls cold(), and waits some seconds for everything to end, unless that was waited for already. What is left then
    // ends by itself, with its lease if need be.
    ~ProgramService();

    const std::string& name() const { return name_; }
    // The configuration; main arguments may have been replaced since.
    const ProgramConfig& config() const { return config_; }
    // Takes a configuration. False, and nothing has changed, when the program was started already.
    bool configure(ProgramConfig config);
    // The program cannot be served as it is configured: requests for it fail with the reason. False when it was
    // started.
    bool refuse(std::string why);
    // Why not; empty: it can be.
    const std::string& refusal() const { return refusal_; }
    // Instead of those of the configuration, from the next boot on.
    void set_main_arguments(std::vector<std::string> arguments);

    // Begins to boot the program, unless it did already. `debug`: gdb is waited for before its first instruction; its
    // configuration must allow that.
    void start(bool debug = false);
    // Waits until the boot is over. Throws Failure (not_ready) with the reason.
    void wait_until_booted(const IsClientGone& gone = nullptr);
    bool ready() const;
    // False while requests would fail because the program did not boot.
    bool healthy() const;

    // A request VM; starts the program if need be and waits for it. Throws Failure. A program that did not
    // boot is tried again when a second has passed. `inside_of`: see Pool.
    Lease acquire(const IsClientGone& gone, WaitGraph::Id inside_of = 0);
    // One that is free right now; an empty lease when there is none. Starts nothing.
    Lease try_acquire();

    // The next request boots the program again, from its file. True when it was loaded, or being loaded; the failure
    // of a boot is forgotten, too.
    bool unload();
    // The same; but a program that hands over its state is updated to its file, on a thread, and serves until then.
    // What goes wrong is logged.
    bool invalidate();
    // Boots `binary`, or if that is null its file, beside the program that runs, if any, and replaces it when that went
    // well. State is handed over. Waits for all that, at most max_boot_time and what the storages and requests may
    // take. Throws Failure: not_ready with the reason, busy when there is another update under way, shutting_down;
    // nothing has changed then.
    void update(std::shared_ptr<const Program> binary);

    // What it does now, for displays. VMs and requests are those of the current generation.
    struct Activity {
        // "cold" (the VCL is), "refused", "not loaded", "booting", "ready", or "failed": it did not boot.
        const char* state = "not loaded";
        std::string reason;  // of "refused" and "failed"
        bool is_healthy = true;
        bool is_updating = false;
        Pool::Occupancy occupancy;
        unsigned concurrency = 0;
    };
    Activity activity() const;
    // For a process that panics; see Pool. `occupancy` is that of no VMs while there is no pool.
    bool visit_unless_locked(Pool::Occupancy& occupancy, Pool::VisitVm each, void* context) const noexcept;

    // What it has done since it was configured, all generations together. Nothing while it is not loaded.
    std::optional<ProgramReport> report() const;

    // cold: request VMs and all threads end, boots under way are given up; a booted program stays. warm: there may be
    // VMs and boots again.
    void warm();
    void cold();
    // After cold(): waits until they have ended; false when some have not until then.
    bool wait_until_cold(Deadline until);

  private:
    std::shared_ptr<Boot> begin_boot(std::shared_ptr<const Program> binary, bool debug = false,
                                     std::optional<LiveUpdate> update = std::nullopt) TINYKVM_REQUIRES(mutex_);
    std::shared_ptr<const BootedProgram> begin_update();
    void boot_and_replace(const std::shared_ptr<const BootedProgram>& old, std::shared_ptr<const Program> binary);
    void take_over(const std::shared_ptr<const BootedProgram>& old, const std::shared_ptr<Boot>& boot,
                   std::uint64_t bytes);
    bool hands_over() const TINYKVM_REQUIRES(mutex_);
    bool begin_update_to_file();
    void update_to_file();
    bool is_cold() const;
    std::shared_ptr<Boot> current_boot(bool debug = false);
    std::shared_ptr<Boot> await_boot(const IsClientGone& gone, WaitGraph::Id inside_of = 0);
    std::shared_ptr<Pool> pool_of(const std::shared_ptr<Boot>& boot);
    bool is_healthy() const TINYKVM_REQUIRES(mutex_);
    void give_up(const std::shared_ptr<Boot>& boot) TINYKVM_REQUIRES(mutex_);
    void retire_generation() TINYKVM_REQUIRES(mutex_);
    void retire_pool() TINYKVM_REQUIRES(mutex_);

    const std::string name_;
    const ProgramEnvironment environment_;
    const std::shared_ptr<ProgramStatistics> statistics_;
    ProgramConfig config_;
    std::string refusal_;
    std::shared_ptr<StoragePlace> storage_place_;  // null: the program has no storage
    Reaper reaper_;

    mutable Mutex mutex_;  // taken before those of boots and pools
    std::optional<std::vector<std::string>> main_arguments_ TINYKVM_GUARDED_BY(mutex_);
    bool was_started_ TINYKVM_GUARDED_BY(mutex_) = false;
    bool is_cold_ TINYKVM_GUARDED_BY(mutex_) = false;
    bool was_waited_for_ TINYKVM_GUARDED_BY(mutex_) = false;  // since it is cold
    std::uint64_t live_updates_ TINYKVM_GUARDED_BY(mutex_) = 0;
    std::uint64_t live_update_bytes_ TINYKVM_GUARDED_BY(mutex_) = 0;
    bool is_updating_ TINYKVM_GUARDED_BY(mutex_) = false;
    std::shared_ptr<Boot> boot_ TINYKVM_GUARDED_BY(mutex_);    // of the current generation; null: not loaded
    std::shared_ptr<Pool> pool_ TINYKVM_GUARDED_BY(mutex_);    // of boot_; null: no request came yet
    std::shared_ptr<Boot> update_ TINYKVM_GUARDED_BY(mutex_);  // what shall replace them
    // An update to its file is wanted, by a thread that is there or about to end.
    bool wants_its_file_ TINYKVM_GUARDED_BY(mutex_) = false, has_file_thread_ TINYKVM_GUARDED_BY(mutex_) = false;
    std::vector<std::weak_ptr<Pool>> retired_pools_ TINYKVM_GUARDED_BY(mutex_);  // some of them have gone
    Thread file_thread_;
};

}  // namespace tinykvm::host

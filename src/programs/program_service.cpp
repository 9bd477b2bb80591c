#include "src/programs/program_service.hpp"

#include <algorithm>
#include <thread>
#include <utility>

#include "src/base/failure.hpp"
#include "src/fetch/wait_graph.hpp"
#include "src/programs/hand_over.hpp"
#include "src/vms/live_state.hpp"

namespace tinykvm::host {

namespace {

constexpr auto retry_after = std::chrono::seconds(1);
constexpr auto look_around = std::chrono::milliseconds(100);
constexpr auto patience_with_vms = std::chrono::seconds(5);
// For what a boot does outside of its guest: reading files, making the snapshot.
constexpr auto patience_with_boots = std::chrono::seconds(10);

}  // namespace

ProgramService::ProgramService(std::string name, const ProgramEnvironment& environment)
    : name_(std::move(name)),
      environment_(environment),
      statistics_(std::make_shared<ProgramStatistics>(environment.counters)),
      reaper_("kvm:" + name_) {}

ProgramService::~ProgramService() {
    cold();
    if (!was_waited_for_) {
        wait_until_cold(Clock::now() + patience_with_vms);
    }
    file_thread_.join();  // it ends as soon as the program is cold
}

bool ProgramService::configure(ProgramConfig config) {
    const MutexLock lock(mutex_);
    if (was_started_) {
        return false;
    }
    config_ = std::move(config);
    storage_place_ = config_.storage ? StoragePlace::of(name_) : nullptr;
    refusal_.clear();
    return true;
}

bool ProgramService::refuse(std::string why) {
    if (!configure({})) {
        return false;
    }
    refusal_ = std::move(why);
    return true;
}

void ProgramService::set_main_arguments(std::vector<std::string> arguments) {
    const MutexLock lock(mutex_);
    main_arguments_ = std::move(arguments);
}

std::shared_ptr<Boot> ProgramService::begin_boot(std::shared_ptr<const Program> binary, bool debug,
                                                 std::optional<LiveUpdate> update) {
    if (is_cold_) {
        throw Failure(FailureKind::shutting_down, "the VCL is cold");
    }
    if (!refusal_.empty()) {
        throw Failure(FailureKind::not_ready, "the program is not served: " + refusal_);
    }
    ProgramConfig config = config_;
    config.debug_start = debug;
    if (main_arguments_) {
        config.main_arguments = *main_arguments_;
    }
    was_started_ = true;
    return Boot::begin(name_, std::move(config), std::move(binary), environment_, storage_place_, std::move(update));
}

// The boot to wait for or to use; a new one when there is none or the last one failed a while ago.
std::shared_ptr<Boot> ProgramService::current_boot(bool debug) {
    const MutexLock lock(mutex_);
    const bool failed_a_while_ago =
        boot_ && boot_->end() == Boot::End::failed && Clock::now() >= boot_->ended_at() + retry_after;
    if (!boot_ || failed_a_while_ago) {
        boot_ = begin_boot(nullptr, debug);
    }
    return boot_;
}

void ProgramService::start(bool debug) { (void)current_boot(debug); }

void ProgramService::wait_until_booted(const IsClientGone& gone) { (void)await_boot(gone); }

std::shared_ptr<Boot> ProgramService::await_boot(const IsClientGone& gone, WaitGraph::Id inside_of) {
    // One boot usually ends in time by itself. This is for files on disks that hang, and for a program that is unloaded
    // again and again meanwhile.
    const Deadline until = Clock::now() + config_.max_boot_time + config_.max_queue_time + patience_with_boots;
    for (;;) {
        std::shared_ptr<Boot> boot = current_boot();
        std::optional<Boot::End> end = boot->end();
        std::optional<WaitGraph::Entry> graph_entry;
        if (!end && inside_of != 0 && !(graph_entry = WaitGraph::of_process().begin_wait(boot->vm(), 1, inside_of))) {
            throw Failure(
                FailureKind::not_ready,
                "the program asks Varnish for what it answers itself, directly or through other programs, while "
                "it boots");
        }
        while (!(end = boot->wait(Clock::now() + look_around))) {
            if (gone && gone()) {
                throw Failure(FailureKind::client_gone, "the client left while the program booted");
            }
            if (Clock::now() >= until) {
                throw Failure(FailureKind::not_ready, "the program is still being loaded");
            }
        }
        switch (*end) {
            case Boot::End::booted: return boot;
            case Boot::End::failed:
                throw Failure(FailureKind::not_ready, "the program did not boot: " + boot->failure());
            case Boot::End::called_off: break;
        }
        if (Clock::now() >= until) {
            throw Failure(FailureKind::not_ready, "the program was unloaded each time before it had booted");
        }
    }
}

bool ProgramService::ready() const {
    const MutexLock lock(mutex_);
    return boot_ && boot_->end() == Boot::End::booted;
}

bool ProgramService::healthy() const {
    const MutexLock lock(mutex_);
    return is_healthy();
}

bool ProgramService::is_healthy() const {
    return refusal_.empty() &&
           (!boot_ || boot_->end() != Boot::End::failed || Clock::now() >= boot_->ended_at() + retry_after);
}

// Null when the boot is not that of the current generation any more.
std::shared_ptr<Pool> ProgramService::pool_of(const std::shared_ptr<Boot>& boot) {
    const MutexLock lock(mutex_);
    if (is_cold_) {
        throw Failure(FailureKind::shutting_down, "the VCL is cold");
    }
    if (boot != boot_) {
        return nullptr;
    }
    if (!pool_) {
        pool_ = std::make_shared<Pool>(boot->program(), statistics_);
    }
    return pool_;
}

Lease ProgramService::acquire(const IsClientGone& gone, WaitGraph::Id inside_of) {
    std::optional<Deadline> until;  // waiting for a boot does not count as waiting in line
    for (;;) {
        const auto begin = Clock::now();
        const std::shared_ptr<Boot> boot = await_boot(gone, inside_of);
        until = until ? *until + (Clock::now() - begin) : Clock::now() + config_.max_queue_time;
        const std::shared_ptr<Pool> pool = pool_of(boot);
        if (Lease lease = pool ? pool->acquire(*until, gone, inside_of) : Lease()) {
            return lease;
        }
    }
}

void ProgramService::give_up(const std::shared_ptr<Boot>& boot) {
    boot->call_off();
    if (!boot->has_stopped()) {
        reaper_.watch([boot] { return boot->has_stopped(); });
    }
}

void ProgramService::retire_pool() {
    if (const std::shared_ptr<Pool> pool = std::exchange(pool_, nullptr)) {
        pool->retire();
        std::erase_if(retired_pools_, [](const auto& one) { return one.expired(); });
        retired_pools_.push_back(pool);
        reaper_.watch([pool] { return pool->has_ended(); });
    }
}

void ProgramService::retire_generation() {
    if (const std::shared_ptr<Boot> boot = std::exchange(boot_, nullptr)) {
        give_up(boot);
    }
    retire_pool();
}

bool ProgramService::unload() {
    const MutexLock lock(mutex_);
    const bool was_loaded = boot_ && boot_->end() != Boot::End::failed;
    retire_generation();
    return was_loaded;
}

// Would it hand over its state to its next version?
bool ProgramService::hands_over() const {
    if (is_cold_ || !boot_ || boot_->end() != Boot::End::booted) {
        return false;
    }
    const BootedProgram& program = *boot_->program();
    return program.storage ? program.storage->program().hands_over() : program.hands_over();
}

bool ProgramService::begin_update_to_file() {
    const MutexLock lock(mutex_);
    if (!hands_over()) {
        return false;
    }
    wants_its_file_ = true;
    return true;
}

bool ProgramService::invalidate() {
    if (!begin_update_to_file()) {
        return unload();
    }
    {
        const MutexLock lock(mutex_);
        if (std::exchange(has_file_thread_, true)) {
            return true;
        }
    }
    file_thread_.join();  // one that is about to end, or has ended
    try {
        file_thread_ = Thread("kvm:" + name_, [this] { update_to_file(); });
        return true;
    } catch (const Failure&) {
        const MutexLock lock(mutex_);
        has_file_thread_ = wants_its_file_ = false;
    }
    return unload();
}

void ProgramService::update_to_file() {
    for (;;) {
        {
            const MutexLock lock(mutex_);
            if (!std::exchange(wants_its_file_, false) || is_cold_) {
                has_file_thread_ = false;
                return;
            }
        }
        try {
            update(nullptr);
            environment_.log(name_, "updated to its file");
        } catch (const Failure& failure) {
            if (failure.kind() == FailureKind::busy) {  // with another update, after which it is still wanted
                std::this_thread::sleep_for(look_around);
                const MutexLock lock(mutex_);
                wants_its_file_ = true;
                continue;
            }
            environment_.log(name_, std::string("not updated to its file: ") + failure.what());
        } catch (const std::exception& error) {
            environment_.log(name_, std::string("not updated to its file: ") + error.what());
        }
    }
}

bool ProgramService::is_cold() const {
    const MutexLock lock(mutex_);
    return is_cold_;
}

// The program that is to hand over its state; null: there is none.
std::shared_ptr<const BootedProgram> ProgramService::begin_update() {
    const MutexLock lock(mutex_);
    if (is_updating_) {
        throw Failure(FailureKind::busy, "another live update of the program is under way");
    }
    is_updating_ = true;
    return boot_ && boot_->end() == Boot::End::booted ? boot_->program() : nullptr;
}

void ProgramService::update(std::shared_ptr<const Program> binary) {
    const std::shared_ptr<const BootedProgram> old = begin_update();
    const auto end = [this] {
        const MutexLock lock(mutex_);
        is_updating_ = false;
        update_.reset();
    };
    try {
        boot_and_replace(old, std::move(binary));
    } catch (...) {
        end();
        throw;
    }
    end();
}

void ProgramService::boot_and_replace(const std::shared_ptr<const BootedProgram>& old,
                                      std::shared_ptr<const Program> binary) {
    LiveUpdate handed_over;
    if (old && !old->storage && old->hands_over()) {
        handed_over.state = std::make_shared<const StorageBytes>(take_live_state(old, [this] { return is_cold(); }));
    }
    const std::uint64_t bytes = handed_over.state ? handed_over.state->size() : 0;
    std::shared_ptr<Boot> boot;
    {
        const MutexLock lock(mutex_);
        boot = update_ = begin_boot(std::move(binary), false, std::move(handed_over));
    }
    const auto end = boot->wait(Clock::now() + config_.max_boot_time + patience_with_boots);
    if (end == Boot::End::failed) {
        throw Failure(FailureKind::not_ready, "the program did not boot: " + boot->failure());
    }
    if (!end) {
        const MutexLock lock(mutex_);
        give_up(boot);
        throw Failure(FailureKind::not_ready, "the program did not boot in time");
    }
    if (end == Boot::End::booted) {
        take_over(old, boot, boot->program()->takes_over() ? bytes : 0);
        return;
    }
    throw Failure(FailureKind::shutting_down, "the VCL became cold meanwhile");
}

// The new program has booted: it is given the state of the storage, and serves.
void ProgramService::take_over(const std::shared_ptr<const BootedProgram>& old, const std::shared_ptr<Boot>& boot,
                               std::uint64_t bytes) {
    std::optional<HandOver> hand_over;
    const std::shared_ptr<StorageVm>& storage = boot->program()->storage;
    const bool is_new = storage_place_ && storage && !storage_place_->is_adopted(storage);
    if (old && is_new && HandOver::is_needed(*old, *boot->program())) {
        std::shared_ptr<Pool> pool;
        {
            const MutexLock lock(mutex_);
            pool = pool_;
        }
        hand_over.emplace(*old, *boot->program(), std::move(pool), [this] { return is_cold(); });
        bytes += hand_over->bytes();
    }
    {
        const MutexLock lock(mutex_);
        if (is_cold_) {
            throw Failure(FailureKind::shutting_down, "the VCL became cold meanwhile");
        }
        retire_generation();
        boot_ = boot;
        live_updates_++;
        live_update_bytes_ += bytes;
    }
    if (is_new) {
        storage_place_->adopt(storage);
    }
}

ProgramService::Activity ProgramService::activity() const {
    const MutexLock lock(mutex_);
    Activity activity;
    activity.is_healthy = is_healthy();
    activity.is_updating = is_updating_;
    activity.concurrency = config_.concurrency;
    const auto end = boot_ ? boot_->end() : std::nullopt;
    if (!refusal_.empty()) {
        activity.state = "refused";
        activity.reason = refusal_;
    } else if (end == Boot::End::failed) {
        activity.state = "failed";
        activity.reason = boot_->failure();
    } else if (is_cold_) {
        activity.state = "cold";
    } else if (boot_) {
        activity.state = end == Boot::End::booted ? "ready" : "booting";
    }
    if (pool_) {
        activity.occupancy = pool_->occupancy();
    }
    return activity;
}

bool ProgramService::visit_unless_locked(Pool::Occupancy& occupancy, Pool::VisitVm each, void* context) const noexcept {
    if (!mutex_.try_lock()) {
        return false;
    }
    const MutexLock lock(mutex_, std::adopt_lock);
    return !pool_ || pool_->visit_unless_locked(occupancy, each, context);
}

std::optional<ProgramReport> ProgramService::report() const {
    std::optional<ProgramReport> report;
    {
        const MutexLock lock(mutex_);
        if (!boot_ || boot_->end() != Boot::End::booted) {
            return std::nullopt;
        }
        report.emplace();
        report->name = name_;
        report->binary_size = boot_->program()->binary->size();
        report->binary_type = boot_->program()->binary->type();
        report->is_from_file = boot_->program()->is_from_file;
        report->live_updates = live_updates_;
        report->live_update_bytes = live_update_bytes_;
    }
    statistics_->report(*report);
    if (const auto storage = storage_place_ ? storage_place_->last() : nullptr) {
        report->storage = storage->report();
    }
    return report;
}

Lease ProgramService::try_acquire() {
    std::shared_ptr<Pool> pool;
    {
        const MutexLock lock(mutex_);
        pool = pool_;
    }
    return pool ? pool->try_acquire() : Lease();
}

void ProgramService::warm() {
    const MutexLock lock(mutex_);
    is_cold_ = false;
    was_waited_for_ = false;
}

void ProgramService::cold() {
    const MutexLock lock(mutex_);
    is_cold_ = true;
    if (update_) {
        give_up(update_);
    }
    if (boot_ && boot_->end() != Boot::End::booted) {
        retire_generation();
    } else if (const std::shared_ptr<Boot> boot = boot_; boot && !boot->has_stopped()) {
        reaper_.watch([boot] { return boot->has_stopped(); });  // it is being saved
    }
    retire_pool();
    for (const auto& one : retired_pools_) {
        if (const auto pool = one.lock()) {
            pool->close(std::chrono::milliseconds(0));
        }
    }
}

bool ProgramService::wait_until_cold(Deadline until) {
    {
        const MutexLock lock(mutex_);
        was_waited_for_ = true;
    }
    return reaper_.wait(until);
}

}  // namespace tinykvm::host

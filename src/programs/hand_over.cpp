#include "src/programs/hand_over.hpp"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "src/base/failure.hpp"

namespace tinykvm::host {

namespace {

constexpr auto look_around = std::chrono::milliseconds(1);

bool is_handed_over(const BootedProgram& from, const BootedProgram& to) {
    return from.storage->program().hands_over() && to.storage->program().takes_over();
}

}  // namespace

// Requests that are served finish, others wait. One that takes long is not waited for: its client may be slow, and no
// other may have to wait for so long that it fails.
class HandOver::HeldPool {
  public:
    HeldPool(std::shared_ptr<Pool> pool, const ProgramConfig& config, const IsCancelled& is_cancelled)
        : pool_(config.max_queue_time.count() != 0 ? std::move(pool) : nullptr) {
        const Deadline until = Clock::now() + std::min(config.max_request_time, config.max_queue_time / 2);
        if (pool_) {
            pool_->hold(true);
            while (!pool_->is_idle() && Clock::now() < until && !is_cancelled()) {
                std::this_thread::sleep_for(look_around);
            }
        }
    }
    ~HeldPool() {
        if (pool_) {
            pool_->hold(false);
        }
    }
    HeldPool(const HeldPool&) = delete;
    HeldPool& operator=(const HeldPool&) = delete;

  private:
    const std::shared_ptr<Pool> pool_;
};

class HandOver::HeldStorage {
  public:
    HeldStorage(std::shared_ptr<StorageVm> storage, Deadline until, const IsCancelled& is_cancelled)
        : storage_(std::move(storage)) {
        if (!storage_->hold(until, is_cancelled)) {
            throw Failure(FailureKind::not_ready, "its storage did not come to rest");
        }
    }
    ~HeldStorage() { storage_->release(); }
    HeldStorage(const HeldStorage&) = delete;
    HeldStorage& operator=(const HeldStorage&) = delete;

  private:
    const std::shared_ptr<StorageVm> storage_;
};

bool HandOver::is_needed(const BootedProgram& from, const BootedProgram& to) {
    return from.storage && to.storage && from.storage != to.storage &&
           (is_handed_over(from, to) || to.storage->program().state);
}

HandOver::HandOver(const BootedProgram& from, const BootedProgram& to, std::shared_ptr<Pool> pool,
                   const IsCancelled& is_cancelled)
    : held_pool_(std::make_unique<HeldPool>(std::move(pool), from.config, is_cancelled)),
      held_storage_(std::make_unique<HeldStorage>(
          from.storage, Clock::now() + from.config.max_storage_time + from.config.max_storage_time, is_cancelled)) {
    if (!is_handed_over(from, to)) {
        to.storage->reload(is_cancelled);  // the old one may have saved something since the new one has booted
        return;
    }
    StorageBytes state = from.storage->hand_over(is_cancelled);
    bytes_ = state.size();
    to.storage->take_over(std::move(state), is_cancelled);
}

HandOver::~HandOver() = default;

}  // namespace tinykvm::host

#include "tinykvm/kvm/watchdog.hpp"

#include <set>
#include <thread>

#include "tinykvm/os/mutex.hpp"
#include "tinykvm/os/quiet_thread.hpp"

namespace tinykvm::kvm {

class Watchdog {
  public:
    static Watchdog& instance() {
        // It is never destroyed, because guests may still run while the process exits.
        static Watchdog& watchdog = *new Watchdog;
        return watchdog;
    }

    void add(Watch& watch) {
        const MutexLock lock(mutex_);
        if (!thread_.joinable()) start();
        watches_.insert(&watch);
        if (watch.deadline_ < wakes_at_) changed_.notify_one();
    }
    void remove(Watch& watch) {
        const MutexLock lock(mutex_);
        watches_.erase(&watch);
    }

  private:
    struct Earlier {
        bool operator()(const Watch* a, const Watch* b) const {
            return a->deadline_ != b->deadline_ ? a->deadline_ < b->deadline_ : a < b;
        }
    };

    void start() TINYKVM_REQUIRES(mutex_) {
        thread_ = start_quiet_thread("tinykvm-watch", [this] { run(); });
    }

    void run() {
        const MutexLock lock(mutex_);
        for (;;) {
            const auto now = Clock::now();
            while (!watches_.empty() && (*watches_.begin())->deadline_ <= now) {
                Watch* watch = *watches_.begin();
                watches_.erase(watches_.begin());
                watch->flag_.store(true);
                watch->vcpu_.kick();
            }
            // The thread sleeps until this deadline even when its watch is removed meanwhile: removing then costs no
            // system call, and the next deadline is most likely later.
            wakes_at_ = watches_.empty() ? Clock::time_point::max() : (*watches_.begin())->deadline_;
            if (watches_.empty())
                changed_.wait(mutex_);
            else
                changed_.wait_until(mutex_, wakes_at_);
            wakes_at_ = Clock::time_point::min();
        }
    }

    Mutex mutex_;
    CondVar changed_;
    std::set<Watch*, Earlier> watches_ TINYKVM_GUARDED_BY(mutex_);
    Clock::time_point wakes_at_ TINYKVM_GUARDED_BY(mutex_) = Clock::time_point::max();
    std::thread thread_ TINYKVM_GUARDED_BY(mutex_);
};

Watch::Watch(Vcpu& vcpu, std::atomic<bool>& flag, Deadline deadline) : vcpu_(vcpu), flag_(flag), deadline_(deadline) {
    Watchdog::instance().add(*this);
}

Watch::~Watch() { Watchdog::instance().remove(*this); }

}  // namespace tinykvm::kvm

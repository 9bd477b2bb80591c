#include "src/vms/client_watch.hpp"

#include <chrono>
#include <exception>
#include <optional>

#include "src/base/thread.hpp"
#include "tinykvm/os/mutex.hpp"

namespace tinykvm::host {

namespace {

constexpr auto look_around = std::chrono::milliseconds(100);

}  // namespace

class ClientWatcher {
  public:
    static ClientWatcher& instance() {
        static ClientWatcher watcher;
        return watcher;
    }

    bool add(ClientWatch& watch) {
        const MutexLock lock(mutex_);
        if (!thread_ && !start()) {
            return false;
        }
        watch.next_ = first_;
        if (first_ != nullptr) {
            first_->previous_ = &watch;
        }
        first_ = &watch;
        if (sleeps_) {
            sleeps_ = false;
            changed_.notify_one();
        }
        return true;
    }

    void remove(ClientWatch& watch) {
        const MutexLock lock(mutex_);
        (watch.previous_ != nullptr ? watch.previous_->next_ : first_) = watch.next_;
        if (watch.next_ != nullptr) {
            watch.next_->previous_ = watch.previous_;
        }
    }

  private:
    ~ClientWatcher() {
        {
            const MutexLock lock(mutex_);
            stop_ = true;
            changed_.notify_one();
        }
        thread_.reset();
    }

    bool start() TINYKVM_REQUIRES(mutex_) {
        try {
            thread_.emplace("tinykvm-clients", [this] { run(); });
        } catch (const std::exception&) {
            return false;
        }
        return true;
    }

    // A watch is asked when it has been there for a whole round: most requests are over by then.
    void run() {
        const MutexLock lock(mutex_);
        while (!stop_) {
            for (ClientWatch* watch = first_; watch != nullptr; watch = watch->next_) {
                if (!watch->is_new_ && watch->gone_()) {
                    watch->on_gone_();
                }
                watch->is_new_ = false;
            }
            sleeps_ = first_ == nullptr;
            while (sleeps_ && !stop_) {
                changed_.wait(mutex_);
            }
            const auto next_look = std::chrono::steady_clock::now() + look_around;
            while (!stop_ && changed_.wait_until(mutex_, next_look)) {
            }
        }
    }

    Mutex mutex_;
    CondVar changed_;
    ClientWatch* first_ TINYKVM_GUARDED_BY(mutex_) = nullptr;
    bool sleeps_ TINYKVM_GUARDED_BY(mutex_) = false;
    bool stop_ TINYKVM_GUARDED_BY(mutex_) = false;
    std::optional<Thread> thread_ TINYKVM_GUARDED_BY(mutex_);
};

ClientWatch::ClientWatch(const IsClientGone& gone, const std::function<void()>& on_gone) noexcept
    : gone_(gone), on_gone_(on_gone) {
    is_watched_ = gone_ && ClientWatcher::instance().add(*this);
}

ClientWatch::~ClientWatch() {
    if (is_watched_) {
        ClientWatcher::instance().remove(*this);
    }
}

}  // namespace tinykvm::host

#include "src/vms/client_watch.hpp"

#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <optional>

#include "src/base/thread.hpp"

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
        const std::lock_guard lock(mutex_);
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
        const std::lock_guard lock(mutex_);
        (watch.previous_ != nullptr ? watch.previous_->next_ : first_) = watch.next_;
        if (watch.next_ != nullptr) {
            watch.next_->previous_ = watch.previous_;
        }
    }

  private:
    ~ClientWatcher() {
        {
            const std::lock_guard lock(mutex_);
            stop_ = true;
            changed_.notify_one();
        }
        thread_.reset();
    }

    bool start() {
        try {
            thread_.emplace("tinykvm-clients", [this] { run(); });
        } catch (const std::exception&) {
            return false;
        }
        return true;
    }

    // A watch is asked when it has been there for a whole round: most requests are over by then.
    void run() {
        std::unique_lock lock(mutex_);
        while (!stop_) {
            for (ClientWatch* watch = first_; watch != nullptr; watch = watch->next_) {
                if (!watch->is_new_ && watch->gone_()) {
                    watch->leave_();
                }
                watch->is_new_ = false;
            }
            sleeps_ = first_ == nullptr;
            if (sleeps_) {
                changed_.wait(lock, [this] { return stop_ || !sleeps_; });
            }
            changed_.wait_for(lock, look_around, [this] { return stop_; });
        }
    }

    std::mutex mutex_;  // guards everything below
    std::condition_variable changed_;
    ClientWatch* first_ = nullptr;
    bool sleeps_ = false, stop_ = false;
    std::optional<Thread> thread_;
};

ClientWatch::ClientWatch(const IsClientGone& gone, const std::function<void()>& leave) noexcept
    : gone_(gone), leave_(leave) {
    is_watched_ = gone_ && ClientWatcher::instance().add(*this);
}

ClientWatch::~ClientWatch() {
    if (is_watched_) {
        ClientWatcher::instance().remove(*this);
    }
}

}  // namespace tinykvm::host

#include "src/programs/reaper.hpp"

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include "src/base/failure.hpp"
#include "src/base/thread.hpp"
#include "tinykvm/os/mutex.hpp"

namespace tinykvm::host {

namespace {

// It looks again soon at first, because most things end at once.
constexpr auto first_look = std::chrono::milliseconds(1);
constexpr auto last_look = std::chrono::milliseconds(100);

}  // namespace

struct Reaper::Watched {
    Mutex mutex;
    CondVar news;
    std::vector<std::function<bool()>> things TINYKVM_GUARDED_BY(mutex);
    std::size_t examined TINYKVM_GUARDED_BY(mutex) = 0;  // taken out of `things` by a thread that looks at them
    std::size_t arrivals TINYKVM_GUARDED_BY(mutex) = 0;
    bool has_thread TINYKVM_GUARDED_BY(mutex) = false;

    bool empty() const TINYKVM_REQUIRES(mutex) { return things.empty() && examined == 0; }

    // Looks at everything once. What has ended is destroyed without the mutex.
    void look() TINYKVM_REQUIRES(mutex) {
        std::vector<std::function<bool()>> mine = std::exchange(things, {});
        const std::size_t count = mine.size();
        examined += count;
        {
            const MutexUnlock unlocked(mutex);
            std::erase_if(mine, [](const auto& has_ended) { return has_ended(); });
        }
        examined -= count;
        std::move(mine.begin(), mine.end(), std::back_inserter(things));
        news.notify_all();
    }

    void work() {
        const MutexLock lock(mutex);
        auto pause = first_look;
        for (std::size_t seen = arrivals;;) {
            look();
            if (things.empty()) {
                break;
            }
            const auto next_look = Clock::now() + pause;
            while (arrivals == seen && news.wait_until(mutex, next_look)) {
            }
            pause = arrivals != seen ? first_look : std::min<decltype(pause)>(2 * pause, last_look);
            seen = arrivals;
        }
        has_thread = false;
        news.notify_all();
    }
};

Reaper::Reaper(std::string name) : name_(std::move(name)), watched_(std::make_shared<Watched>()) {}

void Reaper::watch(std::function<bool()> has_ended) {
    const MutexLock lock(watched_->mutex);
    watched_->things.push_back(std::move(has_ended));
    watched_->arrivals++;
    watched_->news.notify_all();
    if (watched_->has_thread) {
        return;
    }
    try {
        Thread(name_, [watched = watched_] { watched->work(); }).detach();
        watched_->has_thread = true;
    } catch (const Failure&) {
        // No thread can be started: the next call tries again, and wait() looks by itself.
    }
}

bool Reaper::wait(Deadline until) {
    const MutexLock lock(watched_->mutex);
    while (!watched_->empty() || watched_->has_thread) {
        if (Clock::now() >= until) {
            return false;
        }
        if (watched_->has_thread) {
            watched_->news.wait_until(watched_->mutex, until);
            continue;
        }
        watched_->look();
        watched_->news.wait_until(watched_->mutex, std::min<Deadline>(until, Clock::now() + first_look));
    }
    return true;
}

}  // namespace tinykvm::host

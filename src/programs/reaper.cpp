#include "src/programs/reaper.hpp"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <utility>
#include <vector>

#include "src/base/failure.hpp"
#include "src/base/thread.hpp"

namespace tinykvm::host {

namespace {

// It looks again soon at first, because most things end at once.
constexpr auto first_look = std::chrono::milliseconds(1);
constexpr auto last_look = std::chrono::milliseconds(100);

}  // namespace

struct Reaper::Watched {
    std::mutex mutex;
    std::condition_variable news;
    std::vector<std::function<bool()>> things;  // guarded by mutex
    std::size_t examined = 0;                   // guarded by mutex; taken out of `things` by who looks at them
    std::size_t arrivals = 0;                   // guarded by mutex
    bool has_thread = false;                    // guarded by mutex

    bool empty() const { return things.empty() && examined == 0; }

    // Looks at everything once. What has ended is destroyed without the mutex.
    void look(std::unique_lock<std::mutex>& lock) {
        std::vector<std::function<bool()>> mine = std::exchange(things, {});
        const std::size_t count = mine.size();
        examined += count;
        lock.unlock();
        std::erase_if(mine, [](const auto& has_ended) { return has_ended(); });
        lock.lock();
        examined -= count;
        std::move(mine.begin(), mine.end(), std::back_inserter(things));
        news.notify_all();
    }

    void work() {
        std::unique_lock lock(mutex);
        auto pause = first_look;
        for (std::size_t seen = arrivals;;) {
            look(lock);
            if (things.empty()) {
                break;
            }
            news.wait_for(lock, pause, [&] { return arrivals != seen; });
            pause = arrivals != seen ? first_look : std::min<decltype(pause)>(2 * pause, last_look);
            seen = arrivals;
        }
        has_thread = false;
        news.notify_all();
    }
};

Reaper::Reaper(std::string name) : name_(std::move(name)), watched_(std::make_shared<Watched>()) {}

void Reaper::watch(std::function<bool()> has_ended) {
    const std::lock_guard lock(watched_->mutex);
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
        // No thread to be had: whoever comes next tries again, and who waits looks himself.
    }
}

bool Reaper::wait(Deadline until) {
    std::unique_lock lock(watched_->mutex);
    while (!watched_->empty() || watched_->has_thread) {
        if (Clock::now() >= until) {
            return false;
        }
        if (watched_->has_thread) {
            watched_->news.wait_until(lock, until);
            continue;
        }
        watched_->look(lock);
        watched_->news.wait_until(lock, std::min<Deadline>(until, Clock::now() + first_look));
    }
    return true;
}

}  // namespace tinykvm::host

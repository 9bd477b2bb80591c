// Threads as C++ programs use them.
#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <future>
#include <mutex>
#include <numeric>
#include <shared_mutex>
#include <stdexcept>
#include <thread>
#include <vector>

int main() {
    std::vector<std::thread> threads;
    std::atomic<int> sum{0};
    for (int i = 0; i < 20; ++i)
        threads.emplace_back([&sum, i] {
            thread_local int own = i;
            std::this_thread::yield();
            sum += own;
        });
    for (auto& thread : threads) thread.join();
    std::printf("sum %d\n", sum.load());

    std::mutex mutex;
    std::condition_variable changed;
    std::vector<int> queue;
    int taken = 0;
    std::thread consumer([&] {
        std::unique_lock lock(mutex);
        while (taken < 100) {
            changed.wait(lock, [&] { return !queue.empty(); });
            taken += static_cast<int>(queue.size());
            queue.clear();
        }
    });
    for (int i = 0; i < 100; ++i) {
        const std::lock_guard lock(mutex);
        queue.push_back(i);
        changed.notify_one();
    }
    consumer.join();
    std::printf("taken %d\n", taken);
    {
        std::unique_lock lock(mutex);
        std::printf("in time: %d\n",
                    changed.wait_for(lock, std::chrono::milliseconds(3)) == std::cv_status::no_timeout);
    }
    auto failing = std::async(std::launch::async, []() -> int { throw std::runtime_error("from another thread"); });
    try {
        failing.get();
    } catch (const std::exception& e) {
        std::puts(e.what());
    }
    std::promise<int> promise;
    std::jthread giver([&] { promise.set_value(17); });
    std::printf("promised %d\n", promise.get_future().get());
    std::atomic<bool> flag{false};
    std::jthread notifier([&] {
        flag = true;
        flag.notify_all();
    });
    flag.wait(false);
    std::puts("notified");
}

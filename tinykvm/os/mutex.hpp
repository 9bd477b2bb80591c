// A mutex of which clang knows what it guards: `clang++ -Wthread-safety` refuses a program that touches a member
// annotated TINYKVM_GUARDED_BY without holding its mutex, or calls a function annotated TINYKVM_REQUIRES without it.
// Other compilers see std::mutex and std::condition_variable, and nothing costs more than with those.
//
// The order in which mutexes are taken is in docs/design.md.
//
// Thread safety: any thread.
#pragma once

#include <condition_variable>
#include <mutex>

#if defined(__clang__)
#define TINYKVM_THREAD_ATTRIBUTE(attribute) __attribute__((attribute))
#else
#define TINYKVM_THREAD_ATTRIBUTE(attribute)
#endif

// For a member: only a thread that holds the mutex reads and writes it.
#define TINYKVM_GUARDED_BY(mutex) TINYKVM_THREAD_ATTRIBUTE(guarded_by(mutex))
// For a function: what its caller holds, what its caller must not hold, and what the function locks or unlocks.
#define TINYKVM_REQUIRES(...) TINYKVM_THREAD_ATTRIBUTE(requires_capability(__VA_ARGS__))
#define TINYKVM_EXCLUDES(...) TINYKVM_THREAD_ATTRIBUTE(locks_excluded(__VA_ARGS__))
#define TINYKVM_ACQUIRE(...) TINYKVM_THREAD_ATTRIBUTE(acquire_capability(__VA_ARGS__))
#define TINYKVM_TRY_ACQUIRE(...) TINYKVM_THREAD_ATTRIBUTE(try_acquire_capability(__VA_ARGS__))
#define TINYKVM_RELEASE(...) TINYKVM_THREAD_ATTRIBUTE(release_capability(__VA_ARGS__))

namespace tinykvm {

class TINYKVM_THREAD_ATTRIBUTE(capability("mutex")) Mutex {
  public:
    Mutex() = default;
    Mutex(const Mutex&) = delete;
    Mutex& operator=(const Mutex&) = delete;

    void lock() TINYKVM_ACQUIRE() { mutex_.lock(); }
    [[nodiscard]] bool try_lock() TINYKVM_TRY_ACQUIRE(true) { return mutex_.try_lock(); }
    void unlock() TINYKVM_RELEASE() { mutex_.unlock(); }

  private:
    friend class CondVar;
    std::mutex mutex_;
};

// Holds the mutex as long as it exists. `adopt` is for one that try_lock() has taken.
class TINYKVM_THREAD_ATTRIBUTE(scoped_lockable) MutexLock {
  public:
    explicit MutexLock(Mutex& mutex) TINYKVM_ACQUIRE(mutex) : mutex_(mutex) { mutex_.lock(); }
    MutexLock(Mutex& mutex, std::adopt_lock_t) TINYKVM_REQUIRES(mutex) : mutex_(mutex) {}
    ~MutexLock() TINYKVM_RELEASE() { mutex_.unlock(); }
    MutexLock(const MutexLock&) = delete;
    MutexLock& operator=(const MutexLock&) = delete;

  private:
    Mutex& mutex_;
};

// Lets go of a mutex that is held, and takes it again at its end.
class TINYKVM_THREAD_ATTRIBUTE(scoped_lockable) MutexUnlock {
  public:
    explicit MutexUnlock(Mutex& mutex) TINYKVM_RELEASE(mutex) : mutex_(mutex) { mutex_.unlock(); }
    ~MutexUnlock() TINYKVM_RELEASE() { mutex_.lock(); }
    MutexUnlock(const MutexUnlock&) = delete;
    MutexUnlock& operator=(const MutexUnlock&) = delete;

  private:
    Mutex& mutex_;
};

// A wait may end without a reason: the caller looks at its condition in a loop, where clang sees that it holds the
// mutex.
class CondVar {
  public:
    void wait(Mutex& mutex) TINYKVM_REQUIRES(mutex) {
        std::unique_lock lock(mutex.mutex_, std::adopt_lock);
        condition_.wait(lock);
        lock.release();
    }
    // False when the time is up.
    template <typename TimePoint>
    bool wait_until(Mutex& mutex, const TimePoint& until) TINYKVM_REQUIRES(mutex) {
        std::unique_lock lock(mutex.mutex_, std::adopt_lock);
        const bool in_time = condition_.wait_until(lock, until) == std::cv_status::no_timeout;
        lock.release();
        return in_time;
    }
    void notify_one() noexcept { condition_.notify_one(); }
    void notify_all() noexcept { condition_.notify_all(); }

  private:
    std::condition_variable condition_;
};

}  // namespace tinykvm

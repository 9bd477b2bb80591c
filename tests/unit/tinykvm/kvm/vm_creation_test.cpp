// Making a VM while signals arrive.
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <ctime>

#include "tinykvm/errors.hpp"
#include "tinykvm/kvm/vm.hpp"

namespace tinykvm {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

// So many mappings of this process that KVM_CREATE_VM, which locks each, takes its time.
class ManyMappings {
  public:
    ManyMappings() : memory_(::mmap(nullptr, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {
        for (std::size_t i = 0; i < count; ++i)
            (void)::mprotect(static_cast<char*>(memory_) + 2 * i * page_size, page_size, PROT_READ | PROT_WRITE);
    }
    ~ManyMappings() { ::munmap(memory_, size); }

  private:
    static constexpr std::size_t count = 30000, size = 2 * count * page_size;
    void* memory_;
};

// A signal with an empty handler for this process, again and again.
class Signals {
  public:
    explicit Signals(microseconds interval) {
        struct sigaction handler {};
        handler.sa_handler = [](int) {};
        ::sigaction(SIGUSR1, &handler, nullptr);
        struct sigevent event {};
        event.sigev_notify = SIGEV_SIGNAL;
        event.sigev_signo = SIGUSR1;
        ::timer_create(CLOCK_MONOTONIC, &event, &timer_);
        const struct timespec time { 0, interval.count() * 1000 };
        const struct itimerspec both { time, time };
        ::timer_settime(timer_, 0, &both, nullptr);
    }
    ~Signals() { ::timer_delete(timer_); }

  private:
    timer_t timer_{};
};

TEST(VmCreation, EndsAtItsDeadlineHoweverManySignalsArrive) {
    const ManyMappings mappings;
    const auto began = Clock::now();
    { const kvm::Vm vm; }
    const auto undisturbed = std::chrono::duration_cast<microseconds>(Clock::now() - began);
    // So that several arrive during one attempt, whatever the machine; some still succeed on a busy one.
    const Signals signals(std::max(undisturbed / 20, microseconds(20)));
    int given_up = 0;
    for (int attempt = 0; attempt < 100 && given_up == 0; ++attempt) {
        const Deadline deadline = Clock::now() + milliseconds(50);
        try {
            const kvm::Vm vm(0, deadline);
        } catch (const MachineError& error) {
            EXPECT_STREQ(error.what(),
                         "cannot create a virtual machine (KVM_CREATE_VM): signals interrupted each "
                         "attempt until the time for it was over");
            EXPECT_GE(Clock::now(), deadline);
            ++given_up;
        }
    }
    EXPECT_GT(given_up, 0);
}

TEST(VmCreation, IsTriedOnceWhateverTheDeadline) {
    EXPECT_NO_THROW(kvm::Vm(0, Clock::now() - std::chrono::seconds(1)));
}

}  // namespace
}  // namespace tinykvm

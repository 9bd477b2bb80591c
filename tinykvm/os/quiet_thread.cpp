#include "tinykvm/os/quiet_thread.hpp"

#include <pthread.h>

#include <csignal>
#include <utility>

namespace tinykvm {

namespace {

struct NoSignals {
    sigset_t before;
    NoSignals() {
        sigset_t all;
        sigfillset(&all);
        ::pthread_sigmask(SIG_SETMASK, &all, &before);
    }
    ~NoSignals() { ::pthread_sigmask(SIG_SETMASK, &before, nullptr); }
};

}  // namespace

std::thread start_quiet_thread(const std::string& name, std::function<void()> body) {
    const NoSignals blocked;
    std::thread thread(std::move(body));
    constexpr std::size_t longest = 15;
    ::pthread_setname_np(thread.native_handle(), name.substr(0, longest).c_str());
    return thread;
}

}  // namespace tinykvm

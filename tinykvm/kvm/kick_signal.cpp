#include "tinykvm/kvm/kick_signal.hpp"

#include <csignal>

#include "tinykvm/errors.hpp"

namespace tinykvm::kvm {

namespace {

void ignore_signal(int) {}

int install() {
    for (int signal = SIGRTMAX - 2; signal >= SIGRTMIN; --signal) {
        struct sigaction present {};
        if (::sigaction(signal, nullptr, &present) != 0) continue;
        if ((present.sa_flags & SA_SIGINFO) || present.sa_handler != SIG_DFL) continue;
        struct sigaction ours {};
        ours.sa_handler = ignore_signal;  // no SA_RESTART: blocking calls return EINTR
        sigemptyset(&ours.sa_mask);
        if (::sigaction(signal, &ours, nullptr) == 0) return signal;
    }
    throw MachineError("all real-time signals are in use: none left to interrupt guests with");
}

}  // namespace

int kick_signal() {
    static const int signal = install();
    return signal;
}

void accept_kick_signal() {
    thread_local bool accepted = false;
    if (accepted) return;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, kick_signal());
    ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
    accepted = true;
}

}  // namespace tinykvm::kvm

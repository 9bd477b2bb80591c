// What a process remembers about signals: plain values, with the numbers and layouts of Linux on x86-64.
#pragma once

#include <array>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace tinykvm::linux_abi {

inline constexpr int signal_count = 64;  // signals are numbered 1 ... 64

// A set of signals as the kernel keeps it. Bit n-1 is signal n.
using SignalSet = std::uint64_t;
constexpr SignalSet signal_bit(int signal) { return SignalSet{1} << (signal - 1); }

inline constexpr SignalSet unblockable = signal_bit(SIGKILL) | signal_bit(SIGSTOP);

// struct sigaction as rt_sigaction takes it on x86-64.
struct SignalAction {
    std::uint64_t handler = 0;  // SIG_DFL
    std::uint64_t flags = 0;
    std::uint64_t restorer = 0;
    SignalSet mask = 0;

    template <typename Archive>
    void archive(Archive& archive) {
        archive(handler, flags, restorer, mask);
    }
    bool operator==(const SignalAction&) const = default;
};
static_assert(sizeof(SignalAction) == 32);

// siginfo_t as the guest gets it. The meaning of the bytes depends on the signal.
using SignalInfo = std::array<std::byte, 128>;

struct PendingSignal {
    int signal = 0;
    SignalInfo info{};

    template <typename Archive>
    void archive(Archive& archive) {
        archive(signal, info);
    }
};

// sigaltstack(); `size` 0 when there is none.
struct AlternateStack {
    std::uint64_t begin = 0, size = 0;
    bool disarm_when_entered = false;  // SS_AUTODISARM

    bool contains(std::uint64_t stack_pointer) const {
        return size != 0 && stack_pointer > begin && stack_pointer - begin <= size;
    }
    template <typename Archive>
    void archive(Archive& archive) {
        archive(begin, size, disarm_when_entered);
    }
    bool operator==(const AlternateStack&) const = default;
};

// The most signals that can be pending at a time (RLIMIT_SIGPENDING).
inline constexpr std::size_t max_pending_signals = 64;

}  // namespace tinykvm::linux_abi

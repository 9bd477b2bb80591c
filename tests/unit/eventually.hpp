// Waiting in tests: with a limit that no machine reaches, however slow it is, and a message that says for what.
#pragma once

#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>

namespace tinykvm {

// Returns when `is_so()`, which is asked again after each pause; without a pause this thread spins. Throws when it is
// not so for five minutes, which fails the test and does not hang it.
template <typename Condition>
void eventually(const std::string& what, Condition is_so,
                std::chrono::milliseconds pause = std::chrono::milliseconds(1)) {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::minutes(5);
    while (!is_so()) {
        if (std::chrono::steady_clock::now() >= limit) {
            throw std::runtime_error("waited for five minutes in vain: " + what);
        }
        if (pause.count() > 0) {
            std::this_thread::sleep_for(pause);
        }
    }
}

}  // namespace tinykvm

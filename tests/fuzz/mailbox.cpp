// The mailbox of a guest that writes into it whatever it likes, whenever it likes, while the host calls it. An input is
// what the host does and what the guest wrote, one after the other.
#include <thread>

#include "tests/fuzz/booted.hpp"
#include "tinykvm/x86/layout.hpp"

namespace tinykvm::fuzz {
namespace {

using std::chrono::microseconds;

void write_mailbox(Fork& fork, std::size_t offset, std::uint64_t value, std::size_t size) {
    std::byte* const page = fork.memory().system_block() + x86::mailbox_offset;
    if (size == sizeof(std::uint32_t)) {
        std::atomic_ref(*reinterpret_cast<std::uint32_t*>(page + offset)).store(static_cast<std::uint32_t>(value));
    } else {
        std::atomic_ref(*reinterpret_cast<std::uint64_t*>(page + offset)).store(value);
    }
}

void act(Booted& guest, Fork& fork, Input& input) {
    const Deadline deadline = Clock::now() + std::chrono::milliseconds(20);
    const std::uint8_t what = input.byte();
    const std::size_t word = what / 16;
    switch (what % 10) {
        case 0: write_mailbox(fork, 8 * word, input.number<std::uint64_t>(), 8); break;
        case 1: write_mailbox(fork, 4 * (word % 2), input.byte() % 12, 4); break;  // a phase, or which side listens
        case 2: write_mailbox(fork, 8 * word, guest.function("echo") + input.byte() - 1, 8); break;
        case 3: (void)fork.poll_call(guest.calls); break;
        case 4:
            (void)fork.post(guest.function("echo"), std::array<std::uint64_t, 2>{word, input.byte()}, deadline);
            break;
        case 5: (void)fork.post(guest.function("answer"), std::array<std::uint64_t, 1>{word}, deadline); break;
        case 6: fork.release_after_call(word % 2 != 0 ? std::optional(microseconds(500)) : std::nullopt); break;
        case 7: fork.disable_mailbox(); break;
        case 8: fork.wake(); break;
        default: std::this_thread::sleep_for(microseconds(word)); break;
    }
}

void converse(Booted& guest, Fork& fork, Input& input) {
    if (!fork.prepare_wait(Awaits::call, microseconds(500))) return;
    std::thread runner([&] {
        try {
            (void)fork.wait_for_call(guest.calls);
        } catch (const Error&) {
        }
    });
    try {
        while (!input.ended()) act(guest, fork, input);
    } catch (const Error&) {
    }
    fork.interrupt();
    runner.join();
}

}  // namespace
}  // namespace tinykvm::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    using namespace tinykvm::fuzz;
    static Booted guest({});
    guest.attack([&](tinykvm::Fork& fork) {
        Input input(bytes, std::min<std::size_t>(size, 256));
        converse(guest, fork, input);
    });
    return 0;
}

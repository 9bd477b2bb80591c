#include "tinykvm/linux/threads.hpp"

#include <algorithm>
#include <span>
#include <utility>

#include "tinykvm/errors.hpp"
#include "tinykvm/linux/process.hpp"
#include "tinykvm/linux/signal_delivery.hpp"
#include "tinykvm/linux/state.hpp"
#include "tinykvm/linux/waiter.hpp"
#include "tinykvm/os/random.hpp"

namespace tinykvm::linux_abi {

namespace {

std::shared_ptr<const std::vector<std::byte>> saved(VectorState& vectors) {
    std::vector<std::byte> image(vectors.size());
    vectors.save(image);
    return std::make_shared<const std::vector<std::byte>>(std::move(image));
}

}  // namespace

const ThreadState* find_thread(const ProcessState& state, int id) {
    if (id != 0 && id == state.process_id) id = first_process_id;
    if (state.thread.id == id) return &state.thread;
    const auto found = std::find_if(state.parked.begin(), state.parked.end(),
                                    [id](const ParkedThread& parked) { return parked.state.id == id; });
    return found == state.parked.end() ? nullptr : &found->state;
}

ThreadState* find_thread(ProcessState& state, int id) {
    return const_cast<ThreadState*>(find_thread(std::as_const(state), id));
}

int new_thread_id(ProcessState& state) {
    int id = 0;
    do {
        id = state.next_thread_id;
        state.next_thread_id = id == largest_process_id ? first_process_id + 1 : id + 1;
    } while (state.is_process(id) || has_thread(state, id));
    return id;
}

int new_process_id(const ProcessState& state) {
    constexpr std::uint32_t least = 1000;
    for (;;) {
        std::uint32_t number = 0;
        fill_random(std::as_writable_bytes(std::span(&number, 1)));
        const auto id = static_cast<int>(least + number % (largest_process_id - least + 1));
        if (!has_thread(state, id)) return id;
    }
}

void add_thread(ProcessState& state, ThreadState thread, const Processor& as) {
    state.parked.push_back({std::move(thread), as.registers, as.pointers, saved(as.vectors)});
}

void switch_to(ProcessState& state, std::size_t index, const Processor& on) {
    const auto place = state.parked.begin() + static_cast<std::ptrdiff_t>(index);
    ParkedThread next = std::move(*place);
    state.parked.erase(place);
    if (state.thread.id != 0) add_thread(state, std::move(state.thread), on);
    state.thread = std::move(next.state);
    on.registers = next.registers;
    on.pointers = next.pointers;
    if (!on.vectors.load(*next.vectors)) throw MachineError("KVM refuses the vector registers of a thread");
}

bool is_ready(const ProcessState& state, const ThreadState& thread, const Options& options, Clock::time_point now) {
    const Wait& wait = thread.wait;
    if (wait.is_over(now) || deliverable_set(state, thread)) return true;
    switch (wait.what) {
        case Wait::For::processor:
        case Wait::For::first_cpu:
        case Wait::For::call: return true;
        case Wait::For::time: return false;
        case Wait::For::futex: return wait.woken;
        case Wait::For::files:
            return wait.changes_seen != state.files.changes() ||
                   (wait.for_caller && has_caller_changed(options, wait.client_seen));
        case Wait::For::signal: return pending_set(state, thread) & wait.signals;
    }
    return false;
}

std::int64_t wake_waiters(ProcessState& state, GuestAddr address, std::int64_t most, std::uint32_t bitset) {
    std::int64_t woken = 0;
    // Threads are in the order in which they were parked, so the one that has waited longest is woken first.
    for (ParkedThread& parked : state.parked) {
        Wait& wait = parked.state.wait;
        if (woken >= most) break;
        if (wait.what != Wait::For::futex || wait.woken || wait.address != address || !(wait.bitset & bitset)) continue;
        wait.woken = true;
        ++woken;
    }
    return woken;
}

}  // namespace tinykvm::linux_abi

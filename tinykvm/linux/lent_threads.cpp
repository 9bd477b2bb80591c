#include "tinykvm/linux/lent_threads.hpp"

#include <sys/syscall.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <utility>

#include "tinykvm/linux/signal_delivery.hpp"
#include "tinykvm/x86/descriptor_tables.hpp"

namespace tinykvm::linux_abi {

namespace {

// Parts of an XSAVE image (Intel SDM volume 1, 13.4).
constexpr std::size_t mxcsr_offset = 24, header_offset = 512, header_size = 64;
constexpr std::uint32_t mxcsr_bits = 0xFFFF;

// Makes an image that a guest may have written one that KVM accepts.
void sanitize(std::vector<std::byte>& image, std::uint64_t components) {
    std::uint32_t mxcsr = 0;
    std::uint64_t present = 0;
    std::memcpy(&mxcsr, &image[mxcsr_offset], sizeof mxcsr);
    std::memcpy(&present, &image[header_offset], sizeof present);
    mxcsr &= mxcsr_bits;
    present &= components;
    std::memcpy(&image[mxcsr_offset], &mxcsr, sizeof mxcsr);
    std::memset(&image[header_offset], 0, header_size);
    std::memcpy(&image[header_offset], &present, sizeof present);
}

std::uint64_t user_address(std::uint64_t value) { return value < x86::user_end ? value : 0; }

}  // namespace

LentThreads::LentThreads(std::byte* pages, std::size_t vector_size, std::uint64_t components, bool usable)
    : pages_(reinterpret_cast<x86::HandOverPages*>(pages)),
      vector_size_(vector_size),
      components_(components),
      usable_(usable && vector_size >= header_offset + header_size && vector_size <= CONTEXT_REGISTERS) {}

void LentThreads::clear() {
    lent_ = false;
    if (used_ == 0) return;
    std::memset(static_cast<void*>(pages_), 0, HAND_OVER_CONTEXTS + used_ * CONTEXT_SIZE);
    places_ = {};
    used_ = 0;
}

// The place of a thread, or a free one; `places` when there is none.
std::size_t LentThreads::place_of(int thread) {
    std::size_t place = places;
    for (std::size_t i = 0; i < places; ++i) {
        if (places_[i].thread == thread) return i;
        if (places_[i].thread == 0 && place == places) place = i;
    }
    if (place == places) return place;
    places_[place] = {.thread = thread};
    used_ = std::max(used_, place + 1);
    return place;
}

void LentThreads::give_up_places(const ProcessState& state) {
    for (std::size_t i = 0; i < used_; ++i)
        if (places_[i].thread != 0 && !has_thread(state, places_[i].thread)) places_[i] = {};
}

void LentThreads::lend(const ProcessState& state, const Options& options, bool slice_ends) {
    if (!usable_ || state.thread.id == 0 || options.log_system_calls) return;
    give_up_places(state);
    for (Place& place : places_) place.lent = false;
    running_ = place_of(state.thread.id);
    if (running_ == places) return;
    places_[running_].lent = true;
    for (x86::HandOverEntry& entry : pages_->entries) entry = {};
    pages_->others = 0;
    for (const ParkedThread& parked : state.parked)
        if (!lend(state, options, parked)) return;
    pages_->armed = slice_ends ? 1 : 0;
    pages_->current = static_cast<std::uint32_t>(running_ * ENTRY_SIZE);
    pages_->end = static_cast<std::uint32_t>(used_ * ENTRY_SIZE);
    pages_->components = static_cast<std::uint32_t>(components_);
    pages_->lent = 1;
    lent_ = true;
}

// False: nothing must be lent, because a thread waits for a word that the shim would not find.
bool LentThreads::lend(const ProcessState& state, const Options& options, const ParkedThread& parked) {
    const Wait& wait = parked.state.wait;
    const bool waits = wait.what == Wait::For::futex;
    const bool ready = is_ready(state, parked.state, options, Clock::now());
    const bool at_end_of_call = wait.what == Wait::For::processor && wait.returned;
    const bool lendable = (waits && ready == wait.woken) || at_end_of_call;
    const bool has_signal = deliverable_set(state, parked.state) != 0;
    const std::size_t place = lendable && !has_signal ? place_of(parked.state.id) : places;
    if (place == places) {
        if (ready) pages_->others = 1;
        return ready || !waits;
    }
    put(place, parked);
    places_[place].lent = true;
    const std::uint32_t said = at_end_of_call ? ENTRY_READY | ENTRY_YIELDED : wait.woken ? ENTRY_READY : ENTRY_WAITS;
    pages_->entries[place] = {said, wait.bitset, wait.address};
    return true;
}

void LentThreads::put(std::size_t place, const ParkedThread& parked) {
    x86::HandOverContext& to = pages_->contexts[place];
    const Registers& r = parked.registers;
    // clang-format off
    to.rbx = r.rbx, to.rbp = r.rbp, to.rip = r.rip, to.rsp = r.rsp, to.rdx = r.rdx, to.rsi = r.rsi, to.rdi = r.rdi;
    to.r8 = r.r8, to.r9 = r.r9, to.r10 = r.r10, to.r12 = r.r12, to.r13 = r.r13, to.r14 = r.r14, to.r15 = r.r15;
    // clang-format on
    to.fs_base = parked.pointers.fs_base, to.gs_base = parked.pointers.gs_base;
    if (places_[place].vectors == parked.vectors) return;
    std::memcpy(to.vectors.data(), parked.vectors->data(), vector_size_);
    places_[place].vectors = parked.vectors;
}

// What the shim has saved.
void LentThreads::get(std::size_t place, ParkedThread& parked) {
    const x86::HandOverContext& from = pages_->contexts[place];
    const x86::HandOverEntry entry = pages_->entries[place];
    const bool yielded = entry.state & ENTRY_YIELDED;
    parked.state.wait = {};
    if (yielded) {
        parked.state.wait.returned = true;
    } else {
        parked.state.wait = {.what = Wait::For::futex,
                             .woken = (entry.state & ENTRY_READY) != 0,
                             .bitset = entry.bits,
                             .address = entry.address};
    }
    // clang-format off
    parked.registers = {.rax = yielded ? 0u : static_cast<std::uint64_t>(SYS_futex), .rbx = from.rbx, .rcx = from.rip,
                        .rdx = from.rdx, .rsi = from.rsi, .rdi = from.rdi, .rsp = from.rsp, .rbp = from.rbp,
                        .r8 = from.r8, .r9 = from.r9, .r10 = from.r10, .r11 = x86::initial_flags, .r12 = from.r12,
                        .r13 = from.r13, .r14 = from.r14, .r15 = from.r15, .rip = from.rip,
                        .rflags = x86::initial_flags};
    // clang-format on
    parked.pointers = {user_address(from.fs_base), user_address(from.gs_base)};
    std::vector<std::byte> image(from.vectors.begin(),
                                 from.vectors.begin() + static_cast<std::ptrdiff_t>(vector_size_));
    sanitize(image, components_);
    parked.vectors = std::make_shared<const std::vector<std::byte>>(std::move(image));
    places_[place].vectors = parked.vectors;
}

bool LentThreads::take_back(ProcessState& state) {
    if (!std::exchange(lent_, false)) return false;
    pages_->lent = 0;
    const std::size_t said = pages_->current / ENTRY_SIZE;
    const std::size_t current = said < used_ && places_[said].lent ? said : running_;
    if (current != running_) make_running(state, places_[current].thread);
    // Those that have begun to wait since they were lent come after those that waited before.
    const auto has_run = [&](const ParkedThread& parked) {
        const auto place = find(parked.state.id);
        return place && (*place == running_ || pages_->entries[*place].state & ENTRY_SAVED);
    };
    const auto first = std::stable_partition(state.parked.begin(), state.parked.end(), std::not_fn(has_run));
    for (auto parked = state.parked.begin(); parked != state.parked.end(); ++parked) {
        const auto place = find(parked->state.id);
        if (!place) continue;
        if (parked >= first)
            get(*place, *parked);
        else if (pages_->entries[*place].state & ENTRY_READY)
            parked->state.wait.woken = true;
    }
    return first != state.parked.end();
}

// The place of a thread that was lent.
std::optional<std::size_t> LentThreads::find(int thread) const {
    for (std::size_t i = 0; i < used_; ++i)
        if (places_[i].thread == thread && places_[i].lent) return i;
    return std::nullopt;
}

// The thread that runs becomes a parked one, and the parked one of this id runs.
void LentThreads::make_running(ProcessState& state, int id) {
    const auto next = std::find_if(state.parked.begin(), state.parked.end(),
                                   [id](const ParkedThread& parked) { return parked.state.id == id; });
    if (next == state.parked.end()) return;
    std::swap(next->state, state.thread);
    next->vectors = nullptr;  // get() follows
    state.thread.wait = {};
}

}  // namespace tinykvm::linux_abi

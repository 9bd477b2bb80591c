// The host's view of a guest's mailbox: a page through which a call enters a guest that waits for it, and through which
// the guest's host calls come out, without leaving the guest. The other side is shim.S.
//
// The guest can write anything there at any time, so nothing that is read here is believed: phases only say when to
// look, and a posted call is copied before it is checked, like one that comes with an exit.
//
// Thread safety: every access is atomic; the phases say which side may write the other words.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>

#include "tinykvm/types.hpp"
#include "tinykvm/x86/shim_ports.h"

namespace tinykvm::x86 {

class Mailbox {
  public:
    enum class Phase : std::uint32_t {
        running = MAILBOX_RUNNING,
        waiting = MAILBOX_WAITING,
        call = MAILBOX_CALL,
        posted = MAILBOX_POSTED,
        taken = MAILBOX_TAKEN,
        reply = MAILBOX_REPLY,
        leave = MAILBOX_LEAVE,
        asleep = MAILBOX_ASLEEP,
    };
    using Words = std::array<std::uint64_t, 6>;

    // Borrows the page.
    explicit Mailbox(std::byte* page) : page_(reinterpret_cast<Page*>(page)) {}

    // Sequentially consistent, because the host stops listening before it looks at the phase, and the guest posts
    // before it looks whether the host listens.
    Phase phase() const { return static_cast<Phase>(atomic(page_->phase).load()); }
    void set_phase(Phase phase) { atomic(page_->phase).store(static_cast<std::uint32_t>(phase)); }
    bool change_phase(Phase from, Phase to) {
        auto expected = static_cast<std::uint32_t>(from);
        return atomic(page_->phase).compare_exchange_strong(expected, static_cast<std::uint32_t>(to));
    }
    // Zeroes the whole page, because the guest may have written anything anywhere in it.
    void clear() { std::memset(static_cast<void*>(page_), 0, page_size); }
    // Says whether the host looks for posted calls.
    void listen(bool listening) { atomic(page_->listening).store(listening ? 1 : 0); }

    // How long the shim waits for a call, as a value of the time-stamp counter.
    void set_wait_until(std::uint64_t ticks) { put(page_->wait_until, ticks); }
    void set_call(GuestAddr function, const Words& arguments, GuestAddr stack) {
        put(page_->target, function);
        for (std::size_t i = 0; i < arguments.size(); ++i) put(page_->arguments[i], arguments[i]);
        put(page_->stack, stack);
    }
    // `second` replaces the call's third argument, because the shim loads RDX from there in any case.
    void set_result(std::uint64_t value, std::optional<std::uint64_t> second) {
        put(page_->result, value);
        if (second) put(page_->arguments[2], *second);
    }
    // The address at which the guest goes on with the result. A guest that posted a call has set it itself.
    void set_link(GuestAddr link) { put(page_->link, link); }
    GuestAddr link() const { return get(page_->link); }
    std::uint64_t target() const { return get(page_->target); }
    Words arguments() const {
        Words words;
        for (std::size_t i = 0; i < words.size(); ++i) words[i] = get(page_->arguments[i]);
        return words;
    }

  private:
    struct Page {
        std::uint32_t phase, listening;
        std::uint64_t wait_until, target, arguments[6], stack, result, link;
    };
    static_assert(offsetof(Page, phase) == MAILBOX_PHASE && offsetof(Page, listening) == MAILBOX_LISTENING &&
                  offsetof(Page, wait_until) == MAILBOX_WAIT_UNTIL && offsetof(Page, target) == MAILBOX_TARGET &&
                  offsetof(Page, arguments) == MAILBOX_ARGUMENTS && offsetof(Page, stack) == MAILBOX_STACK &&
                  offsetof(Page, result) == MAILBOX_RESULT && offsetof(Page, link) == MAILBOX_LINK);

    static std::atomic_ref<std::uint32_t> atomic(std::uint32_t& word) { return std::atomic_ref(word); }
    static void put(std::uint64_t& word, std::uint64_t value) {
        std::atomic_ref(word).store(value, std::memory_order_relaxed);
    }
    static std::uint64_t get(std::uint64_t& word) { return std::atomic_ref(word).load(std::memory_order_relaxed); }

    Page* page_;
};

}  // namespace tinykvm::x86

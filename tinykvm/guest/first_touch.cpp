#include "tinykvm/guest/first_touch.hpp"

#include <algorithm>
#include <cstring>

#include "tinykvm/guest/user_context.hpp"
#include "tinykvm/x86/descriptor_tables.hpp"
#include "tinykvm/x86/layout.hpp"

namespace tinykvm {

namespace {

constexpr std::size_t most_at_once = page_size / sizeof(GuestRange);
static_assert(sizeof(GuestRange) == 16);  // as the shim reads it

// Runs the guest until the shim leaves it. False: it has left otherwise.
bool run_shim(kvm::Vcpu& vcpu, WriteLimit& writes) {
    for (;;) {
        const kvm::Exit exit = vcpu.run();
        if (exit.reason != kvm::Exit::Reason::ring_full)
            return exit.reason == kvm::Exit::Reason::store &&
                   exit.address == x86::doorbell_physical + x86::doorbell_leave;
        writes.collect();
        writes.make_ring_room();
    }
}

}  // namespace

bool touch_pages(kvm::Vcpu& vcpu, GuestMemory& memory, WriteLimit& writes, std::span<const GuestRange> ranges) {
    std::byte* const list = memory.system_block() + x86::mailbox_offset;
    bool finished = true;
    while (finished && !ranges.empty()) {
        const auto some = ranges.first(std::min(ranges.size(), most_at_once));
        ranges = ranges.subspan(some.size());
        std::memcpy(list, some.data(), some.size_bytes());
        Registers registers;
        registers.rip = x86::touch_entry();
        registers.rdi = x86::mailbox;
        registers.rsi = x86::mailbox + some.size_bytes();
        enter_user_mode(vcpu, registers);
        finished = run_shim(vcpu, writes);
    }
    std::memset(list, 0, page_size);
    return finished;
}

}  // namespace tinykvm

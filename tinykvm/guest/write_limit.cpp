#include "tinykvm/guest/write_limit.hpp"

#include "tinykvm/x86/layout.hpp"

namespace tinykvm {

namespace {

// How many more pages a guest at its limit may write before it stops and they are counted; as many may have been
// written by the host, whose writes are not in the dirty ring. With the 512 pages by which the end of the ring is
// uncertain this makes the 4 MiB of docs/design.md, "Limits".
constexpr std::size_t unnoticed_pages = 256;

}  // namespace

void WriteLimit::collect() {
    written_.clear();
    vcpu_.collect_dirty_pages(written_);
    memory_.note_guest_writes(written_);
}

void WriteLimit::enforce() {
    collect();
    memory_.enforce_limit();
}

// The ring is full after so many first writes to a page. Its size is a power of two, and what the host writes is not in
// it; so it is shortened where that would let the guest have much more memory than it may.
bool WriteLimit::may_write_too_much() const {
    return !unbounded_ && vcpu_.ring_room() > memory_.changes().pages_left() + 2 * unnoticed_pages;
}

void WriteLimit::shorten_ring() {
    if (!may_write_too_much()) return;
    const std::size_t excess = vcpu_.ring_room() - memory_.changes().pages_left() - unnoticed_pages;
    unbounded_ = !vcpu_.take_ring_room(excess, x86::window_base + x86::scratch_offset);
    collect();
}

void WriteLimit::make_ring_room() { vcpu_.make_ring_room(memory_.changes().pages_left() + unnoticed_pages); }

}  // namespace tinykvm

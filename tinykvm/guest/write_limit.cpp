#include "tinykvm/guest/write_limit.hpp"

#include <cstring>

#include "tinykvm/x86/layout.hpp"

namespace tinykvm {

namespace {

// How many more pages a guest at its limit may write before it stops and they are counted; as many may have been
// written by the host, whose writes are not in the dirty ring. With the 512 pages by which the end of the ring is
// uncertain this makes the 4 MiB of docs/design.md, "Limits".
constexpr std::size_t unnoticed_pages = 256;
// As the dirty ring numbers them. Their memory is the guest's in any case and counts in no limit.
constexpr std::uint64_t first_hand_over_page = x86::hand_over_offset / page_size;
constexpr std::size_t hand_over_pages = x86::hand_over_size / page_size;
static_assert(hand_over_pages <= 16);

}  // namespace

void WriteLimit::collect() {
    written_.clear();
    vcpu_.collect_dirty_pages(written_);
    for (const std::uint64_t page : written_)
        if (page - first_hand_over_page < hand_over_pages)
            hand_over_written_ = static_cast<std::uint16_t>(hand_over_written_ | 1u << (page - first_hand_over_page));
    memory_.note_guest_writes(written_);
}

void WriteLimit::clear_hand_over_pages() {
    for (std::size_t i = 0; i < hand_over_pages; ++i)
        if (hand_over_written_ >> i & 1)
            std::memset(memory_.system_block() + x86::hand_over_offset + i * page_size, 0, page_size);
}

void WriteLimit::enforce() {
    collect();
    memory_.enforce_limit();
}

std::size_t WriteLimit::pages_left() const {
    const std::size_t pages = memory_.changes().pages_left();
    return vcpus_ == 1 ? pages : pages / vcpus_;
}

// The ring is full after so many first writes to a page. Its size is a power of two, and what the host writes is not in
// it; so it is shortened where that would let the guest have much more memory than it may.
bool WriteLimit::may_write_too_much() const {
    return !unbounded_ && vcpu_.ring_room() > pages_left() + 2 * unnoticed_pages;
}

void WriteLimit::shorten_ring() {
    if (!may_write_too_much()) return;
    const std::size_t excess = vcpu_.ring_room() - pages_left() - unnoticed_pages;
    unbounded_ = !vcpu_.take_ring_room(excess, x86::window_base + x86::scratch_offset);
    collect();
}

void WriteLimit::make_ring_room() { vcpu_.make_ring_room(pages_left() + unnoticed_pages); }

}  // namespace tinykvm

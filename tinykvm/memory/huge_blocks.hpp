// Reserved huge pages (/proc/sys/vm/nr_hugepages) for blocks of guest-physical memory.
//
// Huge pages can only be mapped, protected and given back whole. A block of which only a part is to change gets small
// pages instead, with the same contents. All pages are there before a block is given to a guest: the host never gets
// SIGBUS because the pool is empty.
//
// Thread safety: one thread at a time, while the guest stands still.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "tinykvm/types.hpp"

namespace tinykvm {

// What guest memory may have of the host's huge pages.
struct HugePages {
    bool transparent = false;  // ask for transparent ones where guest memory is mapped; the host may give them
    std::size_t reserved = 0;  // bytes of reserved ones at a time
    std::string key = {};      // the configuration key that asks for them
    bool required = false;     // too few are a MachineError that names the key; else small pages are used, and logged
    std::function<void(std::string_view line)> log = {};  // receives that line; may be null
};

class HugeBlocks {
  public:
    // `window`: where offset 0 is on the host. The destructor unmaps nothing: the owner unmaps the whole window.
    HugeBlocks(std::byte* window, HugePages wanted);

    // Puts huge pages, zero, under whole blocks of zero memory in [offset, offset+size), readable and writable, as
    // far as there are any left. Throws MachineError.
    void use_huge_pages(std::uint64_t offset, std::size_t size);
    // Has to be called before [offset, offset+size) is mapped again.
    void before_mapping(std::uint64_t offset, std::size_t size);
    // Has to be called before [offset, offset+size) gets this protection.
    void before_protecting(std::uint64_t offset, std::size_t size, Protection protection);
    // Makes what lies in huge pages zero, calls rest(offset, size) for the pieces that do not. Pages next to it in the
    // same huge page keep their contents; the guest's next write to them is noticed again.
    template <typename Rest>
    void make_zero(std::uint64_t offset, std::size_t size, Rest rest) {
        const std::uint64_t end = offset + size;
        for (auto block = first_ending_after(offset); block != blocks_.end() && block->first < end; ++block) {
            if (offset < block->first) rest(offset, block->first - offset);
            offset = std::max(offset, block->first);
            const std::uint64_t to = std::min<std::uint64_t>(end, block->first + large_page_size);
            zero(*block, offset, to - offset);
            offset = to;
        }
        if (offset < end) rest(offset, end - offset);
    }
    // From now on nothing more gets huge pages.
    void use_small_pages() { left_ = 0; }

    // Bytes in huge pages now.
    std::size_t size() const { return blocks_.size() * large_page_size; }

  private:
    using Blocks = std::map<std::uint64_t, Protection>;  // by window offset

    Blocks::iterator first_ending_after(std::uint64_t offset);
    void split_edges(std::uint64_t offset, std::size_t size);
    void split(Blocks::iterator block);
    void zero(const Blocks::value_type& block, std::uint64_t offset, std::size_t size);
    void protect(std::uint64_t block, int protection);
    [[nodiscard]] int take(std::uint64_t offset, std::size_t size);

    std::byte* window_;
    HugePages wanted_;
    std::size_t left_;
    Blocks blocks_;
};

}  // namespace tinykvm

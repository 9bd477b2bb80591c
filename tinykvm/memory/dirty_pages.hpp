// A set of pages of guest-physical memory, by their numbers. A plain value.
//
// GuestMemory keeps in one those that may differ from the snapshot: what the vCPU's dirty ring reported and what the
// host wrote. A page stays in it as long as the VM has a private copy of it, because KVM reports a page once.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace tinykvm {

class DirtyPages {
  public:
    void add(std::uint64_t page) {
        if (page / 64 >= words_.size()) words_.resize(page / 64 + 64);
        std::uint64_t& word = words_[page / 64];
        const std::uint64_t bit = std::uint64_t{1} << page % 64;
        count_ += !(word & bit);
        word |= bit;
    }
    void remove(std::uint64_t page) {
        if (!contains(page)) return;
        words_[page / 64] &= ~(std::uint64_t{1} << page % 64);
        --count_;
    }
    // Pages [first, last).
    void remove(std::uint64_t first, std::uint64_t last);
    bool contains(std::uint64_t page) const {
        return page / 64 < words_.size() && (words_[page / 64] >> page % 64 & 1);
    }
    // How many of [first, last) are not in the set.
    std::size_t missing(std::uint64_t first, std::uint64_t last) const;
    bool contains_any(std::uint64_t first, std::uint64_t last) const { return missing(first, last) < last - first; }
    std::size_t size() const { return count_; }

    // Calls visit(page) for those in [first, last), ascending; the set must not grow meanwhile, pages visited may be
    // removed.
    template <typename Visit>
    void for_each(std::uint64_t first, std::uint64_t last, Visit visit) const {
        for (std::size_t i = first / 64; i < words_.size() && i * 64 < last; ++i)
            for (std::uint64_t word = words_[i]; word; word &= word - 1) {
                const std::uint64_t page = i * 64 + static_cast<std::uint64_t>(std::countr_zero(word));
                if (first <= page && page < last) visit(page);
            }
    }
    template <typename Visit>
    void for_each(Visit visit) const {
        for_each(0, words_.size() * 64, visit);
    }

  private:
    std::vector<std::uint64_t> words_;
    std::size_t count_ = 0;
};

}  // namespace tinykvm

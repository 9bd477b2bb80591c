#include "tinykvm/memory/dirty_pages.hpp"

#include <algorithm>

namespace tinykvm {

void DirtyPages::remove(std::uint64_t first, std::uint64_t last) {
    last = std::min<std::uint64_t>(last, words_.size() * 64);
    while (first < last) {
        if (first % 64 == 0 && last - first >= 64) {
            count_ -= static_cast<std::size_t>(std::popcount(words_[first / 64]));
            words_[first / 64] = 0;
            first += 64;
        } else {
            remove(first++);
        }
    }
}

std::size_t DirtyPages::missing(std::uint64_t first, std::uint64_t last) const {
    std::size_t n = 0;
    for (; first < last; ++first) n += !contains(first);
    return n;
}

}  // namespace tinykvm

// The breakpoints a debugger has set: INT3 in the place of an instruction's first byte.
//
// Thread safety: one thread at a time, while the program stands still.
#pragma once

#include <cstddef>
#include <map>
#include <span>

#include "tinykvm/debug/debugger.hpp"
#include "tinykvm/types.hpp"

namespace tinykvm::debug {

class Breakpoints {
  public:
    static constexpr std::size_t most = 4096;

    bool contains(GuestAddr address) const { return codes_.contains(address); }
    // False when the byte is not mapped, or there are too many.
    [[nodiscard]] bool insert(Target& target, GuestAddr address);
    void remove(Target& target, GuestAddr address);
    void remove_all(Target& target);

    // Memory as it would be without them.
    void hide(GuestAddr from, std::span<std::byte> bytes) const;
    // Writes memory that may have some in it. False when a part is not mapped.
    [[nodiscard]] bool write(Target& target, GuestAddr to, std::span<const std::byte> bytes);

  private:
    std::map<GuestAddr, std::byte> codes_;  // what is to be there without them
};

}  // namespace tinykvm::debug

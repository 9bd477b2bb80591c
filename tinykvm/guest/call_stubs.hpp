// Ways around the SYSCALL instruction, where that costs much: on KVMs where it stays in user mode it traps into the
// host's kernel (20 us), although the shim could make the call (x86/shim.S). An instruction that threads use to hand
// over to each other is led to a stub, which enters the shim as SYSCALL would.
//
// The program's code changes, in one of two ways, neither of which any jump into it can notice: `mov $number, %eax`
// directly before SYSCALL becomes a jump of the same length, and SYSCALL itself stays where it is; or SYSCALL becomes a
// short jump to a longer one, in a NOP nearby. A SYSCALL with neither stays as it is.
//
// Only while a program boots, so that the code is part of the image. Owned by Guest. Thread safety: the thread that
// runs the guest, while the guest stands still.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "tinykvm/memory/guest_memory.hpp"
#include "tinykvm/types.hpp"

namespace tinykvm {

class CallStubs {
  public:
    explicit CallStubs(GuestMemory& memory) : memory_(memory) {}

    // Leads the SYSCALL before `after` to a stub, if it can be.
    void lead_around(GuestAddr after);

  private:
    struct Page {
        GuestAddr begin = 0;
        std::size_t used = 0;
    };

    void lead_through(GuestAddr nop, std::size_t short_nops, GuestAddr after);
    void write(GuestAddr place, std::span<const std::uint8_t> code);
    std::optional<GuestAddr> make_stub(GuestAddr near, GuestAddr after, std::optional<std::uint32_t> number);
    Page* page_near(GuestAddr address);
    void jump_from(GuestAddr place, GuestAddr to);

    GuestMemory& memory_;
    std::vector<Page> pages_;
};

}  // namespace tinykvm

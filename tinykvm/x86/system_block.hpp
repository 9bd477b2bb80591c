// Which pages of the system block are in a guest's page tables, with which rights (layout.hpp says what is on them).
#pragma once

#include <cstddef>
#include <cstdint>

#include "tinykvm/types.hpp"
#include "tinykvm/x86/layout.hpp"

namespace tinykvm::x86 {

// Which mode of the CPU may use a page: the U/S bit of its entry (Intel SDM volume 3, 4.6).
enum class Access { user, supervisor };

struct SystemPages {
    std::size_t offset, size;  // in the system block, bytes
    Protection rights;
    Access access;
    std::uint64_t physical;      // guest-physical address
    const char* name = nullptr;  // as in /proc/self/maps; null: programs do not see the mapping there
};

namespace detail {

inline constexpr Protection read_only{.read = true}, data{.read = true, .write = true},
    code{.read = true, .execute = true};

constexpr SystemPages pages(std::size_t offset, std::size_t size, Protection rights, Access access,
                            const char* name = nullptr) {
    return {offset, size, rights, access, window_base + offset, name};
}

}  // namespace detail

inline constexpr SystemPages system_block[] = {
    detail::pages(descriptors_offset, 2 * page_size, detail::data, Access::supervisor),  // and the IDT
    detail::pages(entries_offset, page_size, detail::code, Access::supervisor),
    detail::pages(kernel_stack_offset, page_size, detail::data, Access::supervisor),
    detail::pages(shim_offset, page_size, detail::code, Access::user),
    detail::pages(clock_page_offset, page_size, detail::read_only, Access::user, "[vvar]"),
    detail::pages(vdso_offset, vdso_max_size, detail::code, Access::user, "[vdso]"),
    detail::pages(vectors_offset, vectors_max_size, detail::read_only, Access::user),
    detail::pages(mailbox_offset, page_size, detail::data, Access::user),
    detail::pages(hand_over_offset, hand_over_size, detail::data, Access::user),
    {doorbell_offset, page_size, detail::data, Access::user, doorbell_physical},
};

}  // namespace tinykvm::x86

#include "tinykvm/linux/directory_entries.hpp"

#include <cstring>

namespace tinykvm::linux_abi {

std::size_t put_entry(std::span<std::byte> to, std::string_view name, std::uint8_t type, std::uint64_t inode,
                      std::uint64_t next) {
    const std::size_t size = (entry_head_size + name.size() + 1 + 7) & ~std::size_t{7};
    if (size > to.size()) return 0;
    std::memset(to.data(), 0, size);
    const auto short_size = static_cast<std::uint16_t>(size);
    std::memcpy(to.data(), &inode, 8);
    std::memcpy(to.data() + 8, &next, 8);
    std::memcpy(to.data() + 16, &short_size, 2);
    std::memcpy(to.data() + 18, &type, 1);
    std::memcpy(to.data() + entry_head_size, name.data(), name.size());
    return size;
}

}  // namespace tinykvm::linux_abi

// Random bytes always come fresh from the host, in every fork and after every reset.
#include "tinykvm/os/random.hpp"

#include <sys/random.h>

#include "tinykvm/linux/syscall_context.hpp"
#include "tinykvm/linux/syscall_handlers.hpp"
#include "tinykvm/linux/transfer.hpp"

namespace tinykvm::linux_abi {

std::int64_t sys_getrandom(SyscallContext& call) {
    const auto flags = static_cast<std::uint32_t>(call.args[2]);
    if ((flags & ~std::uint32_t{GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE}) ||
        (flags & (GRND_RANDOM | GRND_INSECURE)) == (GRND_RANDOM | GRND_INSECURE))
        return -EINVAL;
    return fill_guest(call, call.args[0], call.args[1], [](std::span<std::byte> piece) {
        fill_random(piece);
        return static_cast<std::int64_t>(piece.size());
    });
}

}  // namespace tinykvm::linux_abi

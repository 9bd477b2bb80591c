#include "tinykvm/os/random.hpp"

#include <sys/random.h>

#include <cerrno>

#include "tinykvm/errors.hpp"

namespace tinykvm {

void fill_random(std::span<std::byte> bytes) {
    while (!bytes.empty()) {
        const ssize_t got = ::getrandom(bytes.data(), bytes.size(), 0);
        if (got > 0) {
            bytes = bytes.subspan(static_cast<std::size_t>(got));
        } else if (errno != EINTR) {
            throw MachineError::from_errno("getrandom", errno);
        }
    }
}

}  // namespace tinykvm

// Files opened with O_PATH: names that can be asked about and that other paths can begin at, but no data.
#include <poll.h>

#include <cerrno>

#include "tinykvm/linux/file_status.hpp"

namespace tinykvm::linux_abi {

constinit const FileKind kinds::path{
    .status = host_or_pseudo_status,
    .readiness = [](const SyscallContext&, const OpenFile&) -> short { return POLLNVAL; },
    .is_name = true,
    .transfer_error = -EBADF};

}  // namespace tinykvm::linux_abi

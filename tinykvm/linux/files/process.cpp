// pidfd_open: a file that stands for the process. It is ready when the process has ended, which nobody here sees.
#include <fcntl.h>
#include <sys/stat.h>

#include <charconv>
#include <string_view>

#include "tinykvm/linux/file_status.hpp"
#include "tinykvm/linux/signal_delivery.hpp"
#include "tinykvm/linux/syscall_context.hpp"
#include "tinykvm/linux/syscall_handlers.hpp"

namespace tinykvm::linux_abi {

namespace {

int process_status(const SyscallContext&, const OpenFile&, struct stat& status) {
    status = made_up_status(0600, "process");
    return 0;
}

short never_ready(const SyscallContext&, const OpenFile&) { return 0; }

// Is the file a directory of /proc that stands for the process? Linux takes these, too.
bool is_own_directory(const SyscallContext& call, const OpenFile& file) {
    constexpr std::string_view folder = "/proc/";
    int id = 0;
    if (!file.is_directory || !file.path.starts_with(folder)) return false;
    const char* const end = file.path.data() + file.path.size();
    const auto [stop, error] = std::from_chars(file.path.data() + folder.size(), end, id);
    return error == std::errc() && stop == end && call.state.is_process(id);
}

}  // namespace

constinit const FileKind kinds::process{
    .status = process_status, .readiness = never_ready, .transfer_error = -EINVAL, .can_be_in_epoll = true};

std::int64_t sys_pidfd_open(SyscallContext& call) {
    const int id = call.int_arg(0), flags = call.int_arg(1);
    if ((flags & ~O_NONBLOCK) || id <= 0) return -EINVAL;
    if (!call.is_own(id)) return -ESRCH;
    if (!call.state.is_process(id)) return -EINVAL;  // a thread's
    OpenFile file;
    file.kind = &kinds::process;
    file.flags = O_RDWR | flags;
    return call.state.files.open(std::move(file), true);
}

std::int64_t sys_pidfd_send_signal(SyscallContext& call) {
    if (call.args[3] != 0) return -EINVAL;
    const OpenFile* file = call.data_file(0);
    if (!file || (file->kind != &kinds::process && !is_own_directory(call, *file))) return -EBADF;
    call.args = {static_cast<std::uint64_t>(call.state.process_id), call.args[1], call.args[2]};
    return call.args[2] == 0 ? sys_kill(call) : sys_rt_sigqueueinfo(call);
}

}  // namespace tinykvm::linux_abi

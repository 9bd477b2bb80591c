// signalfd: a file from which signals are read instead of handled.
#include <fcntl.h>
#include <poll.h>
#include <sys/signalfd.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "tinykvm/linux/file_status.hpp"
#include "tinykvm/linux/signal_delivery.hpp"
#include "tinykvm/linux/syscall_handlers.hpp"
#include "tinykvm/linux/transfer.hpp"

namespace tinykvm::linux_abi {

namespace {

template <typename T>
T field(const SignalInfo& info, std::size_t offset) {
    T value{};
    std::memcpy(&value, info.data() + offset, sizeof value);
    return value;
}

// siginfo_t in the layout that the file has: which of its fields mean something depends on where the signal is from.
signalfd_siginfo to_record(const PendingSignal& taken) {
    constexpr std::size_t code = 8, first = 16, second = 20, value = 24;
    signalfd_siginfo record;
    std::memset(&record, 0, sizeof record);
    record.ssi_signo = static_cast<std::uint32_t>(taken.signal);
    record.ssi_errno = field<std::int32_t>(taken.info, 4);
    record.ssi_code = field<std::int32_t>(taken.info, code);
    if (record.ssi_code == SI_TIMER) {
        record.ssi_tid = field<std::uint32_t>(taken.info, first);
        record.ssi_overrun = field<std::uint32_t>(taken.info, second);
    } else {
        record.ssi_pid = field<std::uint32_t>(taken.info, first);
        record.ssi_uid = field<std::uint32_t>(taken.info, second);
    }
    if (record.ssi_code != SI_USER && record.ssi_code != SI_TKILL && record.ssi_code != SI_KERNEL) {
        record.ssi_ptr = field<std::uint64_t>(taken.info, value);
        record.ssi_int = field<std::int32_t>(taken.info, value);
    }
    return record;
}

std::int64_t read_signals(SyscallContext& call, OpenFile& file, IoVectors ranges, std::uint64_t*) {
    const std::size_t most =
        std::min<std::uint64_t>(total_size(ranges) / sizeof(signalfd_siginfo), max_pending_signals);
    if (most == 0) return -EINVAL;
    std::vector<signalfd_siginfo> records;
    while (records.size() < most) {
        const PendingSignal taken = take_pending(call.state, file.counter);
        if (taken.signal == 0) break;
        records.push_back(to_record(taken));
    }
    if (records.empty()) {
        if (file.non_blocking()) return -EAGAIN;
        return call.park({.what = Wait::For::files});
    }
    return fill_guest(call, ranges, std::as_bytes(std::span(records)));
}

std::int64_t refuse_write(SyscallContext&, OpenFile&, IoVectors, std::uint64_t*) { return -EINVAL; }

int signals_status(const SyscallContext&, const OpenFile&, struct stat& status) {
    status = made_up_status(0600, "signals");
    return 0;
}

short signals_readiness(const SyscallContext& call, const OpenFile& file) {
    return pending_set(call.state, call.state.thread) & file.counter ? POLLIN | POLLRDNORM : 0;
}

std::int64_t set_signals(SyscallContext& call, int flags) {
    if (call.args[2] != sizeof(SignalSet)) return -EINVAL;
    SignalSet set = 0;
    if (!call.memory.read(call.args[1], set)) return -EFAULT;
    if (flags & ~(SFD_CLOEXEC | SFD_NONBLOCK)) return -EINVAL;
    set &= ~unblockable;
    if (call.int_arg(0) != -1) {
        OpenFile* file = call.data_file(0);
        if (!file) return -EBADF;
        if (file->kind != &kinds::signals) return -EINVAL;
        file->counter = set;
        call.state.files.note_change(*file);
        return call.int_arg(0);
    }
    OpenFile file;
    file.kind = &kinds::signals;
    file.flags = O_RDWR | (flags & SFD_NONBLOCK);
    file.counter = set;
    return call.state.files.open(std::move(file), flags & SFD_CLOEXEC);
}

}  // namespace

constinit const FileKind kinds::signals{.read = read_signals,
                                        .write = refuse_write,
                                        .status = signals_status,
                                        .readiness = signals_readiness,
                                        .can_be_in_epoll = true};

std::int64_t sys_signalfd(SyscallContext& call) { return set_signals(call, 0); }
std::int64_t sys_signalfd4(SyscallContext& call) { return set_signals(call, call.int_arg(3)); }

}  // namespace tinykvm::linux_abi

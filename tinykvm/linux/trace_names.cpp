#include "tinykvm/linux/trace_names.hpp"

#include <asm/ioctls.h>
#include <asm/prctl.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <span>

namespace tinykvm::linux_abi {

namespace {

struct Name {
    std::uint64_t value;
    const char* text;
};
using Names = std::span<const Name>;
#define NAME(constant) \
    Name { static_cast<std::uint64_t>(constant), #constant }

// The number's name; the number itself when it has none.
std::string one_of(Names names, std::uint64_t value) {
    for (const Name& name : names)
        if (name.value == value) return name.text;
    return hexadecimal(value);
}

// The names of the bits, and the rest as a number. `begin` is what comes before them, for a part that is no bit.
std::string bits_of(Names names, std::uint64_t value, std::string begin = {}) {
    std::string text = std::move(begin);
    const auto add = [&](const std::string& more) { text += (text.empty() ? "" : "|") + more; };
    for (const Name& name : names)
        if (name.value != 0 && (value & name.value) == name.value) {
            add(name.text);
            value &= ~name.value;
        }
    if (value != 0) add(hexadecimal(value));
    return text.empty() ? "0" : text;
}

constexpr Name open_flags[] = {
    NAME(O_CREAT),     NAME(O_EXCL),     NAME(O_NOCTTY),  NAME(O_TRUNC),   NAME(O_APPEND),
    NAME(O_NONBLOCK),  NAME(O_TMPFILE),  NAME(O_SYNC),    NAME(O_DSYNC),   NAME(O_DIRECT),
    NAME(O_DIRECTORY), NAME(O_NOFOLLOW), NAME(O_NOATIME), NAME(O_CLOEXEC), NAME(O_PATH),
};
constexpr Name protections[] = {
    NAME(PROT_READ), NAME(PROT_WRITE), NAME(PROT_EXEC), NAME(PROT_GROWSDOWN), NAME(PROT_GROWSUP),
};
constexpr Name mapping_flags[] = {
    NAME(MAP_SHARED_VALIDATE), NAME(MAP_SHARED), NAME(MAP_PRIVATE),   NAME(MAP_FIXED),
    NAME(MAP_ANONYMOUS),       NAME(MAP_32BIT),  NAME(MAP_GROWSDOWN), NAME(MAP_DENYWRITE),
    NAME(MAP_EXECUTABLE),      NAME(MAP_LOCKED), NAME(MAP_NORESERVE), NAME(MAP_POPULATE),
    NAME(MAP_NONBLOCK),        NAME(MAP_STACK),  NAME(MAP_HUGETLB),   NAME(MAP_SYNC),
    NAME(MAP_FIXED_NOREPLACE),
};
constexpr Name clone_flags[] = {
    NAME(CLONE_VM),
    NAME(CLONE_FS),
    NAME(CLONE_FILES),
    NAME(CLONE_SIGHAND),
    NAME(CLONE_PIDFD),
    NAME(CLONE_PTRACE),
    NAME(CLONE_VFORK),
    NAME(CLONE_PARENT),
    NAME(CLONE_THREAD),
    NAME(CLONE_NEWNS),
    NAME(CLONE_SYSVSEM),
    NAME(CLONE_SETTLS),
    NAME(CLONE_PARENT_SETTID),
    NAME(CLONE_CHILD_CLEARTID),
    NAME(CLONE_DETACHED),
    NAME(CLONE_UNTRACED),
    NAME(CLONE_CHILD_SETTID),
    NAME(CLONE_NEWUSER),
    NAME(CLONE_NEWPID),
    NAME(CLONE_NEWNET),
    NAME(CLONE_IO),
};
constexpr Name at_flags[] = {
    NAME(AT_SYMLINK_NOFOLLOW), NAME(AT_REMOVEDIR), NAME(AT_SYMLINK_FOLLOW), NAME(AT_NO_AUTOMOUNT), NAME(AT_EMPTY_PATH),
};
constexpr Name message_flags[] = {
    NAME(MSG_OOB), NAME(MSG_PEEK),    NAME(MSG_DONTROUTE), NAME(MSG_CTRUNC), NAME(MSG_TRUNC),        NAME(MSG_DONTWAIT),
    NAME(MSG_EOR), NAME(MSG_WAITALL), NAME(MSG_NOSIGNAL),  NAME(MSG_MORE),   NAME(MSG_CMSG_CLOEXEC),
};
constexpr Name access_modes[] = {
    NAME(R_OK),
    NAME(W_OK),
    NAME(X_OK),
};
constexpr Name poll_events[] = {
    NAME(POLLIN),     NAME(POLLPRI),    NAME(POLLOUT),    NAME(POLLERR),    NAME(POLLHUP),   NAME(POLLNVAL),
    NAME(POLLRDNORM), NAME(POLLRDBAND), NAME(POLLWRNORM), NAME(POLLWRBAND), NAME(POLLRDHUP),
};
constexpr Name epoll_events[] = {
    NAME(EPOLLIN),     NAME(EPOLLPRI),   NAME(EPOLLOUT),       NAME(EPOLLERR),    NAME(EPOLLHUP),     NAME(EPOLLRDNORM),
    NAME(EPOLLWRNORM), NAME(EPOLLRDHUP), NAME(EPOLLEXCLUSIVE), NAME(EPOLLWAKEUP), NAME(EPOLLONESHOT), NAME(EPOLLET),
};
constexpr Name descriptor_flags[] = {
    NAME(O_CLOEXEC),
    NAME(O_NONBLOCK),
    NAME(O_DIRECT),
};
constexpr Name random_flags[] = {
    NAME(GRND_NONBLOCK),
    NAME(GRND_RANDOM),
};
constexpr Name futex_operations[] = {
    NAME(FUTEX_WAIT),           NAME(FUTEX_WAKE),        NAME(FUTEX_FD),          NAME(FUTEX_REQUEUE),
    NAME(FUTEX_CMP_REQUEUE),    NAME(FUTEX_WAKE_OP),     NAME(FUTEX_LOCK_PI),     NAME(FUTEX_UNLOCK_PI),
    NAME(FUTEX_TRYLOCK_PI),     NAME(FUTEX_WAIT_BITSET), NAME(FUTEX_WAKE_BITSET), NAME(FUTEX_WAIT_REQUEUE_PI),
    NAME(FUTEX_CMP_REQUEUE_PI),
};
constexpr Name clocks[] = {
    NAME(CLOCK_REALTIME),          NAME(CLOCK_MONOTONIC),     NAME(CLOCK_PROCESS_CPUTIME_ID),
    NAME(CLOCK_THREAD_CPUTIME_ID), NAME(CLOCK_MONOTONIC_RAW), NAME(CLOCK_REALTIME_COARSE),
    NAME(CLOCK_MONOTONIC_COARSE),  NAME(CLOCK_BOOTTIME),      NAME(CLOCK_REALTIME_ALARM),
    NAME(CLOCK_BOOTTIME_ALARM),    NAME(CLOCK_TAI),
};
constexpr Name mask_changes[] = {
    NAME(SIG_BLOCK),
    NAME(SIG_UNBLOCK),
    NAME(SIG_SETMASK),
};
constexpr Name whences[] = {
    NAME(SEEK_SET), NAME(SEEK_CUR), NAME(SEEK_END), NAME(SEEK_DATA), NAME(SEEK_HOLE),
};
constexpr Name fcntls[] = {
    NAME(F_DUPFD),         NAME(F_GETFD),      NAME(F_SETFD),      NAME(F_GETFL),     NAME(F_SETFL),     NAME(F_GETLK),
    NAME(F_SETLK),         NAME(F_SETLKW),     NAME(F_SETOWN),     NAME(F_GETOWN),    NAME(F_SETSIG),    NAME(F_GETSIG),
    NAME(F_OFD_GETLK),     NAME(F_OFD_SETLK),  NAME(F_OFD_SETLKW), NAME(F_SETLEASE),  NAME(F_GETLEASE),  NAME(F_NOTIFY),
    NAME(F_DUPFD_CLOEXEC), NAME(F_SETPIPE_SZ), NAME(F_GETPIPE_SZ), NAME(F_ADD_SEALS), NAME(F_GET_SEALS),
};
constexpr Name ioctls[] = {
    NAME(TCGETS),     NAME(TCSETS),   NAME(TCSETSW), NAME(TCSETSF), NAME(TIOCGPGRP), NAME(TIOCSPGRP), NAME(TIOCGWINSZ),
    NAME(TIOCSWINSZ), NAME(FIONREAD), NAME(FIONBIO), NAME(FIOCLEX), NAME(FIONCLEX),  NAME(FIOASYNC),  NAME(TIOCGPTN),
};
constexpr Name advices[] = {
    NAME(MADV_NORMAL),         NAME(MADV_RANDOM),    NAME(MADV_SEQUENTIAL),  NAME(MADV_WILLNEED),
    NAME(MADV_DONTNEED),       NAME(MADV_FREE),      NAME(MADV_REMOVE),      NAME(MADV_DONTFORK),
    NAME(MADV_DOFORK),         NAME(MADV_MERGEABLE), NAME(MADV_UNMERGEABLE), NAME(MADV_HUGEPAGE),
    NAME(MADV_NOHUGEPAGE),     NAME(MADV_DONTDUMP),  NAME(MADV_DODUMP),      NAME(MADV_WIPEONFORK),
    NAME(MADV_KEEPONFORK),     NAME(MADV_COLD),      NAME(MADV_PAGEOUT),     NAME(MADV_POPULATE_READ),
    NAME(MADV_POPULATE_WRITE),
};
constexpr Name domains[] = {
    NAME(AF_UNSPEC), NAME(AF_UNIX), NAME(AF_INET), NAME(AF_INET6), NAME(AF_NETLINK), NAME(AF_PACKET),
};
constexpr Name socket_types[] = {
    NAME(SOCK_STREAM),
    NAME(SOCK_DGRAM),
    NAME(SOCK_RAW),
    NAME(SOCK_SEQPACKET),
};
constexpr Name socket_flags[] = {
    NAME(SOCK_CLOEXEC),
    NAME(SOCK_NONBLOCK),
};
constexpr Name shutdowns[] = {
    NAME(SHUT_RD),
    NAME(SHUT_WR),
    NAME(SHUT_RDWR),
};
constexpr Name epoll_operations[] = {
    NAME(EPOLL_CTL_ADD),
    NAME(EPOLL_CTL_DEL),
    NAME(EPOLL_CTL_MOD),
};
constexpr Name resources[] = {
    NAME(RLIMIT_CPU),      NAME(RLIMIT_FSIZE), NAME(RLIMIT_DATA),   NAME(RLIMIT_STACK),
    NAME(RLIMIT_CORE),     NAME(RLIMIT_RSS),   NAME(RLIMIT_NPROC),  NAME(RLIMIT_NOFILE),
    NAME(RLIMIT_MEMLOCK),  NAME(RLIMIT_AS),    NAME(RLIMIT_LOCKS),  NAME(RLIMIT_SIGPENDING),
    NAME(RLIMIT_MSGQUEUE), NAME(RLIMIT_NICE),  NAME(RLIMIT_RTPRIO), NAME(RLIMIT_RTTIME),
};
constexpr Name process_controls[] = {
    NAME(PR_SET_PDEATHSIG),   NAME(PR_GET_PDEATHSIG),   NAME(PR_GET_DUMPABLE),     NAME(PR_SET_DUMPABLE),
    NAME(PR_GET_KEEPCAPS),    NAME(PR_SET_KEEPCAPS),    NAME(PR_SET_NAME),         NAME(PR_GET_NAME),
    NAME(PR_GET_SECCOMP),     NAME(PR_SET_SECCOMP),     NAME(PR_CAPBSET_READ),     NAME(PR_CAPBSET_DROP),
    NAME(PR_SET_TIMERSLACK),  NAME(PR_GET_TIMERSLACK),  NAME(PR_SET_NO_NEW_PRIVS), NAME(PR_GET_NO_NEW_PRIVS),
    NAME(PR_SET_THP_DISABLE), NAME(PR_GET_THP_DISABLE), NAME(PR_SET_VMA),          NAME(PR_CAP_AMBIENT),
};
constexpr Name architecture_controls[] = {
    NAME(ARCH_SET_GS),
    NAME(ARCH_SET_FS),
    NAME(ARCH_GET_FS),
    NAME(ARCH_GET_GS),
};
constexpr Name file_kinds[] = {
    NAME(S_IFSOCK), NAME(S_IFLNK), NAME(S_IFREG), NAME(S_IFBLK), NAME(S_IFDIR), NAME(S_IFCHR), NAME(S_IFIFO),
};
#undef NAME

}  // namespace

std::string hexadecimal(std::uint64_t value) {
    char text[20];
    std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(value));
    return text;
}

std::string open_flag_names(std::uint64_t flags) {
    static constexpr const char* modes[] = {"O_RDONLY", "O_WRONLY", "O_RDWR", "O_ACCMODE"};
    constexpr std::uint64_t large_file = 0100000;  // which programs of 64 bits may say
    return bits_of(open_flags, flags & ~std::uint64_t{O_ACCMODE} & ~large_file, modes[flags & O_ACCMODE]);
}
std::string protection_names(std::uint64_t flags) { return flags == 0 ? "PROT_NONE" : bits_of(protections, flags); }
std::string mapping_flag_names(std::uint64_t flags) { return bits_of(mapping_flags, flags); }
std::string clone_flag_names(std::uint64_t flags) {
    const std::uint64_t signal = flags & CSIGNAL;
    const std::string names = bits_of(clone_flags, flags & ~std::uint64_t{CSIGNAL});
    return signal == 0 ? names : names + "|" + signal_name(signal);
}
std::string at_flag_names(std::uint64_t flags) { return bits_of(at_flags, flags); }
std::string message_flag_names(std::uint64_t flags) { return bits_of(message_flags, flags); }
std::string access_mode_names(std::uint64_t mode) { return mode == 0 ? "F_OK" : bits_of(access_modes, mode); }
std::string poll_event_names(std::uint64_t events) { return bits_of(poll_events, events); }
std::string epoll_event_names(std::uint64_t events) { return bits_of(epoll_events, events); }
std::string file_mode_names(std::uint64_t mode) {
    char rights[16];
    std::snprintf(rights, sizeof rights, "%#o", static_cast<unsigned>(mode & ~std::uint64_t{S_IFMT}));
    return (mode & S_IFMT) == 0 ? rights : one_of(file_kinds, mode & S_IFMT) + "|" + rights;
}
std::string descriptor_flag_names(std::uint64_t flags) { return bits_of(descriptor_flags, flags); }
std::string futex_operation_name(std::uint64_t operation) {
    std::string name = one_of(futex_operations, operation & FUTEX_CMD_MASK);
    if (operation & FUTEX_PRIVATE_FLAG) name += "_PRIVATE";
    if (operation & FUTEX_CLOCK_REALTIME) name += "|FUTEX_CLOCK_REALTIME";
    return name;
}
std::string clock_name(std::uint64_t clock) { return one_of(clocks, clock); }
std::string signal_name(std::uint64_t signal) {
    if (signal == 0) return "0";
    const char* name = signal < 32 ? ::sigabbrev_np(static_cast<int>(signal)) : nullptr;
    if (name != nullptr) return std::string("SIG") + name;
    return signal >= 32 && signal <= 64 ? "SIGRT_" + std::to_string(signal - 32) : std::to_string(signal);
}
std::string mask_change_name(std::uint64_t how) { return one_of(mask_changes, how); }
std::string whence_name(std::uint64_t whence) { return one_of(whences, whence); }
std::string fcntl_name(std::uint64_t command) { return one_of(fcntls, command); }
std::string ioctl_name(std::uint64_t request) { return one_of(ioctls, request); }
std::string advice_name(std::uint64_t advice) { return one_of(advices, advice); }
std::string socket_domain_name(std::uint64_t domain) { return one_of(domains, domain); }
std::string socket_type_name(std::uint64_t type) {
    constexpr std::uint64_t flags = SOCK_CLOEXEC | SOCK_NONBLOCK;
    return bits_of(socket_flags, type & flags, one_of(socket_types, type & ~flags));
}
std::string shutdown_name(std::uint64_t how) { return one_of(shutdowns, how); }
std::string epoll_operation_name(std::uint64_t operation) { return one_of(epoll_operations, operation); }
std::string resource_name(std::uint64_t resource) { return one_of(resources, resource); }
std::string process_control_name(std::uint64_t option) { return one_of(process_controls, option); }
std::string architecture_control_name(std::uint64_t option) { return one_of(architecture_controls, option); }
std::string random_flag_names(std::uint64_t flags) { return bits_of(random_flags, flags); }

}  // namespace tinykvm::linux_abi

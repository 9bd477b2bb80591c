// The handlers of the system call table, by family. Each takes and returns what syscall_context.hpp says.
#pragma once

#include <cstdint>

namespace tinykvm::linux_abi {

struct SyscallContext;

// io.cpp: data in and out of open files
std::int64_t sys_read(SyscallContext&);
std::int64_t sys_write(SyscallContext&);
std::int64_t sys_pread64(SyscallContext&);
std::int64_t sys_pwrite64(SyscallContext&);
std::int64_t sys_readv(SyscallContext&);
std::int64_t sys_writev(SyscallContext&);
std::int64_t sys_preadv(SyscallContext&);
std::int64_t sys_pwritev(SyscallContext&);
std::int64_t sys_preadv2(SyscallContext&);
std::int64_t sys_pwritev2(SyscallContext&);
std::int64_t sys_lseek(SyscallContext&);
// file_transfers.cpp: data from one file to another
std::int64_t sys_sendfile(SyscallContext&);
std::int64_t sys_splice(SyscallContext&);
std::int64_t sys_tee(SyscallContext&);
std::int64_t sys_vmsplice(SyscallContext&);
std::int64_t sys_copy_file_range(SyscallContext&);
std::int64_t sys_readahead(SyscallContext&);
// files/process.cpp
std::int64_t sys_pidfd_open(SyscallContext&);
std::int64_t sys_pidfd_send_signal(SyscallContext&);
// placement.cpp: of memory and threads, on a machine with one node and one processor
std::int64_t sys_sched_getattr(SyscallContext&);
std::int64_t sys_sched_setattr(SyscallContext&);
std::int64_t sys_sched_rr_get_interval(SyscallContext&);
std::int64_t sys_membarrier(SyscallContext&);
std::int64_t sys_mbind(SyscallContext&);
std::int64_t sys_set_mempolicy(SyscallContext&);
std::int64_t sys_get_mempolicy(SyscallContext&);
// timer_calls.cpp: timers that send signals
std::int64_t sys_alarm(SyscallContext&);
std::int64_t sys_getitimer(SyscallContext&);
std::int64_t sys_setitimer(SyscallContext&);
std::int64_t sys_timer_create(SyscallContext&);
std::int64_t sys_timer_settime(SyscallContext&);
std::int64_t sys_timer_gettime(SyscallContext&);
std::int64_t sys_timer_getoverrun(SyscallContext&);
std::int64_t sys_timer_delete(SyscallContext&);
// files/timer.cpp and files/signals.cpp: timers and signals as files
std::int64_t sys_timerfd_create(SyscallContext&);
std::int64_t sys_timerfd_settime(SyscallContext&);
std::int64_t sys_timerfd_gettime(SyscallContext&);
std::int64_t sys_signalfd(SyscallContext&);
std::int64_t sys_signalfd4(SyscallContext&);
// descriptors.cpp: the descriptor table
std::int64_t sys_close(SyscallContext&);
std::int64_t sys_close_range(SyscallContext&);
std::int64_t sys_dup(SyscallContext&);
std::int64_t sys_dup2(SyscallContext&);
std::int64_t sys_dup3(SyscallContext&);
std::int64_t sys_fcntl(SyscallContext&);
std::int64_t sys_ioctl(SyscallContext&);
std::int64_t sys_flock(SyscallContext&);
// open.cpp
std::int64_t sys_open(SyscallContext&);
std::int64_t sys_openat(SyscallContext&);
std::int64_t sys_creat(SyscallContext&);
// stat.cpp: asking about files
std::int64_t sys_stat(SyscallContext&);
std::int64_t sys_lstat(SyscallContext&);
std::int64_t sys_fstat(SyscallContext&);
std::int64_t sys_newfstatat(SyscallContext&);
std::int64_t sys_statx(SyscallContext&);
std::int64_t sys_access(SyscallContext&);
std::int64_t sys_faccessat(SyscallContext&);
std::int64_t sys_faccessat2(SyscallContext&);
std::int64_t sys_readlink(SyscallContext&);
std::int64_t sys_readlinkat(SyscallContext&);
std::int64_t sys_statfs(SyscallContext&);
std::int64_t sys_fstatfs(SyscallContext&);
// directories.cpp: listing and the working directory
std::int64_t sys_getdents64(SyscallContext&);
std::int64_t sys_getcwd(SyscallContext&);
std::int64_t sys_chdir(SyscallContext&);
std::int64_t sys_fchdir(SyscallContext&);
std::int64_t sys_umask(SyscallContext&);
// path_changes.cpp: names
std::int64_t sys_unlink(SyscallContext&);
std::int64_t sys_unlinkat(SyscallContext&);
std::int64_t sys_rmdir(SyscallContext&);
std::int64_t sys_mkdir(SyscallContext&);
std::int64_t sys_mkdirat(SyscallContext&);
std::int64_t sys_rename(SyscallContext&);
std::int64_t sys_renameat(SyscallContext&);
std::int64_t sys_renameat2(SyscallContext&);
std::int64_t sys_link(SyscallContext&);
std::int64_t sys_symlink(SyscallContext&);
std::int64_t sys_linkat(SyscallContext&);
std::int64_t sys_symlinkat(SyscallContext&);
std::int64_t sys_memfd_create(SyscallContext&);
std::int64_t sys_mknod(SyscallContext&);
std::int64_t sys_mknodat(SyscallContext&);
// file_changes.cpp: contents, modes and times of what exists
std::int64_t sys_fsync(SyscallContext&);
std::int64_t sys_sync(SyscallContext&);
std::int64_t sys_truncate(SyscallContext&);
std::int64_t sys_ftruncate(SyscallContext&);
std::int64_t sys_fallocate(SyscallContext&);
std::int64_t sys_fadvise64(SyscallContext&);
std::int64_t sys_chmod(SyscallContext&);
std::int64_t sys_fchmod(SyscallContext&);
std::int64_t sys_fchmodat(SyscallContext&);
std::int64_t sys_chown(SyscallContext&);
std::int64_t sys_lchown(SyscallContext&);
std::int64_t sys_fchown(SyscallContext&);
std::int64_t sys_fchownat(SyscallContext&);
std::int64_t sys_utimensat(SyscallContext&);
std::int64_t sys_no_attributes(SyscallContext&);  // extended attributes
// files/socket_calls.cpp, socket_options.cpp and socket_messages.cpp
std::int64_t sys_socket(SyscallContext&);
std::int64_t sys_socketpair(SyscallContext&);
std::int64_t sys_bind(SyscallContext&);
std::int64_t sys_listen(SyscallContext&);
std::int64_t sys_accept(SyscallContext&);
std::int64_t sys_accept4(SyscallContext&);
std::int64_t sys_connect(SyscallContext&);
std::int64_t sys_shutdown(SyscallContext&);
std::int64_t sys_getsockname(SyscallContext&);
std::int64_t sys_getpeername(SyscallContext&);
std::int64_t sys_getsockopt(SyscallContext&);
std::int64_t sys_setsockopt(SyscallContext&);
std::int64_t sys_sendto(SyscallContext&);
std::int64_t sys_recvfrom(SyscallContext&);
std::int64_t sys_sendmsg(SyscallContext&);
std::int64_t sys_recvmsg(SyscallContext&);
std::int64_t sys_sendmmsg(SyscallContext&);
std::int64_t sys_recvmmsg(SyscallContext&);
// files/pipe.cpp and event.cpp
std::int64_t sys_pipe(SyscallContext&);
std::int64_t sys_pipe2(SyscallContext&);
std::int64_t sys_eventfd(SyscallContext&);
std::int64_t sys_eventfd2(SyscallContext&);
// files/epoll.cpp
std::int64_t sys_epoll_create(SyscallContext&);
std::int64_t sys_epoll_create1(SyscallContext&);
std::int64_t sys_epoll_ctl(SyscallContext&);
std::int64_t sys_epoll_wait(SyscallContext&);
std::int64_t sys_epoll_pwait(SyscallContext&);
std::int64_t sys_epoll_pwait2(SyscallContext&);
// poll.cpp
std::int64_t sys_poll(SyscallContext&);
std::int64_t sys_ppoll(SyscallContext&);
std::int64_t sys_select(SyscallContext&);
std::int64_t sys_pselect6(SyscallContext&);
// memory_calls.cpp, memory_advice.cpp and memory_move.cpp
std::int64_t sys_brk(SyscallContext&);
std::int64_t sys_mmap(SyscallContext&);
std::int64_t sys_munmap(SyscallContext&);
std::int64_t sys_mprotect(SyscallContext&);
std::int64_t sys_madvise(SyscallContext&);
std::int64_t sys_mincore(SyscallContext&);
std::int64_t sys_msync(SyscallContext&);
std::int64_t sys_mlock(SyscallContext&);
std::int64_t sys_mlock2(SyscallContext&);
std::int64_t sys_mlockall(SyscallContext&);
std::int64_t sys_munlockall(SyscallContext&);
std::int64_t sys_mremap(SyscallContext&);
// time.cpp
std::int64_t sys_clock_gettime(SyscallContext&);
std::int64_t sys_clock_getres(SyscallContext&);
std::int64_t sys_clock_settime(SyscallContext&);
std::int64_t sys_gettimeofday(SyscallContext&);
std::int64_t sys_settimeofday(SyscallContext&);
std::int64_t sys_time(SyscallContext&);
std::int64_t sys_times(SyscallContext&);
std::int64_t sys_nanosleep(SyscallContext&);
std::int64_t sys_clock_nanosleep(SyscallContext&);
std::int64_t sys_getrusage(SyscallContext&);
// random.cpp
std::int64_t sys_getrandom(SyscallContext&);
// identity.cpp: the identity of the process and its system
std::int64_t sys_getpid(SyscallContext&);
std::int64_t sys_gettid(SyscallContext&);
std::int64_t sys_getppid(SyscallContext&);
std::int64_t sys_getuid(SyscallContext&);     // and gid, effective ids
std::int64_t sys_getresuid(SyscallContext&);  // and gid
std::int64_t sys_setuid(SyscallContext&);     // and gid
std::int64_t sys_setreuid(SyscallContext&);   // and gid
std::int64_t sys_setresuid(SyscallContext&);  // and gid
std::int64_t sys_setfsuid(SyscallContext&);   // and gid
std::int64_t sys_getgroups(SyscallContext&);
std::int64_t sys_getpgid(SyscallContext&);
std::int64_t sys_getpgrp(SyscallContext&);
std::int64_t sys_setpgid(SyscallContext&);
std::int64_t sys_setsid(SyscallContext&);
std::int64_t sys_uname(SyscallContext&);
std::int64_t sys_sysinfo(SyscallContext&);
std::int64_t sys_capget(SyscallContext&);
std::int64_t sys_personality(SyscallContext&);
// limits.cpp: resource limits and scheduling
std::int64_t sys_getrlimit(SyscallContext&);
std::int64_t sys_setrlimit(SyscallContext&);
std::int64_t sys_prlimit64(SyscallContext&);
std::int64_t sys_getpriority(SyscallContext&);
std::int64_t sys_setpriority(SyscallContext&);
std::int64_t sys_sched_yield(SyscallContext&);
std::int64_t sys_sched_getaffinity(SyscallContext&);
std::int64_t sys_sched_setaffinity(SyscallContext&);
std::int64_t sys_sched_getparam(SyscallContext&);
std::int64_t sys_sched_getscheduler(SyscallContext&);
std::int64_t sys_sched_setscheduler(SyscallContext&);
std::int64_t sys_sched_setparam(SyscallContext&);
std::int64_t sys_sched_get_priority_max(SyscallContext&);
std::int64_t sys_sched_get_priority_min(SyscallContext&);
std::int64_t sys_getcpu(SyscallContext&);
// process_calls.cpp: the process and its thread
std::int64_t sys_arch_prctl(SyscallContext&);
std::int64_t sys_prctl(SyscallContext&);
std::int64_t sys_set_tid_address(SyscallContext&);
std::int64_t sys_set_robust_list(SyscallContext&);
std::int64_t sys_get_robust_list(SyscallContext&);
std::int64_t sys_wait4(SyscallContext&);
std::int64_t sys_waitid(SyscallContext&);
std::int64_t sys_kcmp(SyscallContext&);
std::int64_t sys_not_permitted(SyscallContext&);    // for calls that only a privileged user may make
std::int64_t sys_quietly_missing(SyscallContext&);  // for calls that libraries try and can do without
// clone.cpp: the beginning and the end of threads
std::int64_t sys_clone(SyscallContext&);
std::int64_t sys_clone3(SyscallContext&);
std::int64_t sys_exit(SyscallContext&);
std::int64_t sys_exit_group(SyscallContext&);
// futex.cpp
std::int64_t sys_futex(SyscallContext&);
// signals.cpp
std::int64_t sys_rt_sigaction(SyscallContext&);
std::int64_t sys_rt_sigprocmask(SyscallContext&);
std::int64_t sys_rt_sigreturn(SyscallContext&);
std::int64_t sys_rt_sigpending(SyscallContext&);
std::int64_t sys_rt_sigsuspend(SyscallContext&);
std::int64_t sys_rt_sigtimedwait(SyscallContext&);
std::int64_t sys_rt_sigqueueinfo(SyscallContext&);
std::int64_t sys_rt_tgsigqueueinfo(SyscallContext&);
std::int64_t sys_sigaltstack(SyscallContext&);
std::int64_t sys_kill(SyscallContext&);
std::int64_t sys_tkill(SyscallContext&);
std::int64_t sys_tgkill(SyscallContext&);
std::int64_t sys_pause(SyscallContext&);

}  // namespace tinykvm::linux_abi

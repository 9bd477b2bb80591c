// The handlers of the system call table, by family.
#pragma once

#include <cstdint>

namespace tinykvm::linux_abi {

struct Call;

// io.cpp: data in and out of open files
std::int64_t sys_read(Call&);
std::int64_t sys_write(Call&);
std::int64_t sys_pread64(Call&);
std::int64_t sys_pwrite64(Call&);
std::int64_t sys_readv(Call&);
std::int64_t sys_writev(Call&);
std::int64_t sys_preadv(Call&);
std::int64_t sys_pwritev(Call&);
std::int64_t sys_preadv2(Call&);
std::int64_t sys_pwritev2(Call&);
std::int64_t sys_sendto(Call&);
std::int64_t sys_recvfrom(Call&);
std::int64_t sys_lseek(Call&);

// descriptors.cpp: the descriptor table
std::int64_t sys_close(Call&);
std::int64_t sys_close_range(Call&);
std::int64_t sys_dup(Call&);
std::int64_t sys_dup2(Call&);
std::int64_t sys_dup3(Call&);
std::int64_t sys_fcntl(Call&);
std::int64_t sys_ioctl(Call&);
std::int64_t sys_pipe(Call&);
std::int64_t sys_pipe2(Call&);
std::int64_t sys_socketpair(Call&);
std::int64_t sys_getsockname(Call&);  // and getpeername
std::int64_t sys_eventfd(Call&);
std::int64_t sys_eventfd2(Call&);

// locks.cpp
std::int64_t sys_flock(Call&);

// open.cpp
std::int64_t sys_open(Call&);
std::int64_t sys_openat(Call&);
std::int64_t sys_creat(Call&);

// stat.cpp: asking about files
std::int64_t sys_stat(Call&);
std::int64_t sys_lstat(Call&);
std::int64_t sys_fstat(Call&);
std::int64_t sys_newfstatat(Call&);
std::int64_t sys_statx(Call&);
std::int64_t sys_access(Call&);
std::int64_t sys_faccessat(Call&);
std::int64_t sys_faccessat2(Call&);
std::int64_t sys_readlink(Call&);
std::int64_t sys_readlinkat(Call&);
std::int64_t sys_statfs(Call&);
std::int64_t sys_fstatfs(Call&);

// directories.cpp: listing and the working directory
std::int64_t sys_getdents64(Call&);
std::int64_t sys_getcwd(Call&);
std::int64_t sys_chdir(Call&);
std::int64_t sys_fchdir(Call&);
std::int64_t sys_umask(Call&);

// path_changes.cpp: names
std::int64_t sys_unlink(Call&);
std::int64_t sys_unlinkat(Call&);
std::int64_t sys_rmdir(Call&);
std::int64_t sys_mkdir(Call&);
std::int64_t sys_mkdirat(Call&);
std::int64_t sys_rename(Call&);
std::int64_t sys_renameat(Call&);
std::int64_t sys_renameat2(Call&);
std::int64_t sys_link(Call&);  // and symlink
std::int64_t sys_linkat(Call&);
std::int64_t sys_symlinkat(Call&);
std::int64_t sys_mknod(Call&);
std::int64_t sys_mknodat(Call&);

// file_changes.cpp: contents, modes and times of what exists
std::int64_t sys_fsync(Call&);
std::int64_t sys_sync(Call&);
std::int64_t sys_truncate(Call&);
std::int64_t sys_ftruncate(Call&);
std::int64_t sys_fallocate(Call&);
std::int64_t sys_fadvise64(Call&);
std::int64_t sys_chmod(Call&);
std::int64_t sys_fchmod(Call&);
std::int64_t sys_fchmodat(Call&);
std::int64_t sys_chown(Call&);
std::int64_t sys_lchown(Call&);
std::int64_t sys_fchown(Call&);
std::int64_t sys_fchownat(Call&);
std::int64_t sys_utimensat(Call&);
std::int64_t sys_no_attributes(Call&);  // extended attributes

// epoll.cpp
std::int64_t sys_epoll_create(Call&);
std::int64_t sys_epoll_create1(Call&);
std::int64_t sys_epoll_ctl(Call&);
std::int64_t sys_epoll_wait(Call&);
std::int64_t sys_epoll_pwait(Call&);
std::int64_t sys_epoll_pwait2(Call&);

// poll.cpp
std::int64_t sys_poll(Call&);
std::int64_t sys_ppoll(Call&);
std::int64_t sys_select(Call&);
std::int64_t sys_pselect6(Call&);

// memory.cpp and memory_move.cpp
std::int64_t sys_brk(Call&);
std::int64_t sys_mmap(Call&);
std::int64_t sys_munmap(Call&);
std::int64_t sys_mprotect(Call&);
std::int64_t sys_madvise(Call&);
std::int64_t sys_mincore(Call&);
std::int64_t sys_msync(Call&);
std::int64_t sys_mlock(Call&);
std::int64_t sys_mremap(Call&);

// time.cpp
std::int64_t sys_clock_gettime(Call&);
std::int64_t sys_clock_getres(Call&);
std::int64_t sys_clock_settime(Call&);
std::int64_t sys_gettimeofday(Call&);
std::int64_t sys_settimeofday(Call&);
std::int64_t sys_time(Call&);
std::int64_t sys_times(Call&);
std::int64_t sys_nanosleep(Call&);
std::int64_t sys_clock_nanosleep(Call&);
std::int64_t sys_getrusage(Call&);

// random.cpp
std::int64_t sys_getrandom(Call&);

// identity.cpp: who and where the process is
std::int64_t sys_getpid(Call&);
std::int64_t sys_gettid(Call&);
std::int64_t sys_getppid(Call&);
std::int64_t sys_getuid(Call&);     // and gid, effective ids
std::int64_t sys_getresuid(Call&);  // and gid
std::int64_t sys_setuid(Call&);     // and gid
std::int64_t sys_setreuid(Call&);   // and gid
std::int64_t sys_setresuid(Call&);  // and gid
std::int64_t sys_setfsuid(Call&);   // and gid
std::int64_t sys_getgroups(Call&);
std::int64_t sys_getpgid(Call&);
std::int64_t sys_getpgrp(Call&);
std::int64_t sys_setpgid(Call&);
std::int64_t sys_setsid(Call&);
std::int64_t sys_uname(Call&);
std::int64_t sys_sysinfo(Call&);
std::int64_t sys_capget(Call&);
std::int64_t sys_personality(Call&);

// limits.cpp: resource limits and scheduling
std::int64_t sys_getrlimit(Call&);
std::int64_t sys_setrlimit(Call&);
std::int64_t sys_prlimit64(Call&);
std::int64_t sys_getpriority(Call&);
std::int64_t sys_setpriority(Call&);
std::int64_t sys_sched_yield(Call&);
std::int64_t sys_sched_getaffinity(Call&);
std::int64_t sys_sched_setaffinity(Call&);
std::int64_t sys_sched_getparam(Call&);
std::int64_t sys_sched_getscheduler(Call&);
std::int64_t sys_sched_setscheduler(Call&);
std::int64_t sys_sched_setparam(Call&);
std::int64_t sys_sched_get_priority_max(Call&);
std::int64_t sys_sched_get_priority_min(Call&);
std::int64_t sys_getcpu(Call&);

// process_calls.cpp: the process and its thread
std::int64_t sys_arch_prctl(Call&);
std::int64_t sys_prctl(Call&);
std::int64_t sys_set_tid_address(Call&);
std::int64_t sys_set_robust_list(Call&);
std::int64_t sys_get_robust_list(Call&);
std::int64_t sys_wait4(Call&);
std::int64_t sys_waitid(Call&);
std::int64_t sys_quietly_missing(Call&);  // what libraries try and do without

// clone.cpp: the beginning and the end of threads
std::int64_t sys_clone(Call&);
std::int64_t sys_clone3(Call&);
std::int64_t sys_exit(Call&);
std::int64_t sys_exit_group(Call&);

// futex.cpp
std::int64_t sys_futex(Call&);

// signals.cpp
std::int64_t sys_rt_sigaction(Call&);
std::int64_t sys_rt_sigprocmask(Call&);
std::int64_t sys_rt_sigreturn(Call&);
std::int64_t sys_rt_sigpending(Call&);
std::int64_t sys_rt_sigsuspend(Call&);
std::int64_t sys_rt_sigtimedwait(Call&);
std::int64_t sys_rt_sigqueueinfo(Call&);
std::int64_t sys_rt_tgsigqueueinfo(Call&);
std::int64_t sys_sigaltstack(Call&);
std::int64_t sys_kill(Call&);
std::int64_t sys_tkill(Call&);
std::int64_t sys_tgkill(Call&);
std::int64_t sys_pause(Call&);

}  // namespace tinykvm::linux_abi

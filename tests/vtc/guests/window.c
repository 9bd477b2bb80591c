/* Looks for its host in every way it knows: by the names of /proc, /sys and /dev, past links, through descriptors of
 * directories, by file systems of the kernel at other places, and with system calls. Answers "closed", or what it
 * found. The argument, if any, is the id of a process of the host. As an ordinary program (tinykvm run) it prints
 * the answer. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "kvm_api.h"

static char found[8192];

static void report(const char *format, ...)
{
    const size_t size = strlen(found);
    va_list values;
    va_start(values, format);
    vsnprintf(found + size, sizeof found - size, format, values);
    va_end(values);
}

/* Nothing of that name may be there, to whatever call. */
static void expect_nothing_at(int directory, const char *path)
{
    struct stat status;
    char text[64];
    const int fd = openat(directory, path, O_RDONLY);
    if (fd >= 0) {
        ssize_t got = read(fd, text, sizeof text - 1);
        text[got < 0 ? 0 : got] = 0;
        report("%s opens and has %zd bytes%s\n", path, got, memcmp(text, "\177ELF", 4) == 0 ? ", ELF" : "");
        close(fd);
    }
    if (openat(directory, path, O_PATH) >= 0)
        report("%s opens as a path\n", path);
    if (openat(directory, path, O_RDWR) >= 0)
        report("%s opens for writing\n", path);
    if (fstatat(directory, path, &status, 0) == 0)
        report("%s exists\n", path);
    if (fstatat(directory, path, &status, AT_SYMLINK_NOFOLLOW) == 0)
        report("%s is a link\n", path);
    if (faccessat(directory, path, F_OK, 0) == 0)
        report("%s is accessible\n", path);
    if (readlinkat(directory, path, text, sizeof text) >= 0)
        report("%s can be read as a link\n", path);
    if (directory == AT_FDCWD && chdir(path) == 0) {
        report("%s can be gone to\n", path);
        (void)!chdir("/");
    }
}

static const char *const of_a_process[] = {"mem",    "maps", "smaps", "numa_maps", "environ", "cmdline",
                                           "auxv",   "root", "cwd",   "exe",       "fd",      "fd/0",
                                           "ns/mnt", "task", "stack", "syscall",   "map_files"};
static const char *const of_a_guest[] = {
    "/proc/self/mem",       "/proc/self/task/self/mem",
    "/proc/self/clear_refs", "/proc/self/numa_maps",
    "/proc/self/task/self/maps",
    "/proc/self/pagemap",   "/proc/self/map_files",
    "/proc/self/ns",        "/proc/self/stack",
    "/proc/self/syscall",   "/proc/thread-self/mem",
    "/proc/self/fd/99",     "/dev/fd/99",
    "/proc/self/fdinfo/0",  "/proc/self/root/proc/self/mem",
    "/proc/self/cwd/proc/self/mem"};
static const char *const of_the_host[] = {
    "/proc/0",        "/proc/1",          "/proc/3",
    "/proc/kcore",    "/proc/kallsyms",   "/proc/kmsg",
    "/proc/iomem",    "/proc/ioports",    "/proc/interrupts",
    "/proc/modules",  "/proc/cmdline",    "/proc/config.gz",
    "/proc/net",      "/proc/net/tcp",    "/proc/partitions",
    "/proc/key-users", "/proc/sysrq-trigger", "/proc/vmallocinfo",
    "/proc/sys/kernel/kptr_restrict", "/proc/sys/kernel/modprobe", "/proc/sys/net/ipv4",
    "/proc/sys/fs/binfmt_misc", "/proc/fs",  "/proc/bus/pci",
    "/dev/kvm",       "/dev/mem",         "/dev/kmsg",
    "/dev/tty",       "/dev/console",     "/dev/ptmx",
    "/dev/pts",       "/dev/pts/0",       "/dev/shm/sem.host",
    "/dev/mqueue",    "/dev/hugepages",   "/dev/fuse",
    "/dev/net/tun",   "/dev/loop0",       "/dev/sda",
    "/dev/vda",       "/dev/vhost-net",   "/dev/log",
    "/sys/class",     "/sys/class/net",   "/sys/block",
    "/sys/kernel/mm/ksm", "/sys/kernel/debug", "/sys/kernel/security",
    "/sys/kernel/tracing", "/sys/fs",     "/sys/fs/cgroup",
    "/sys/fs/bpf",    "/sys/fs/pstore",   "/sys/firmware",
    "/sys/module",    "/sys/power/state", "/sys/devices/system/cpu/cpu0/cache",
    "/sys/devices/system/cpu/cpu0/cpufreq", "/sys/devices/system/cpu/cpu1",
    "/sys/devices/system/node/node1", "/sys/devices/pci0000:00"};
/* Ways to the directory "/" that Linux has, and some it has not. */
static const char *const ways[] = {"",
                                   "/proc/self/root",
                                   "/proc/self/cwd",
                                   "/proc/2/root",
                                   "/proc/thread-self/root",
                                   "/proc/self/task/2/root",
                                   "/proc/self/root/proc/self/root",
                                   "/proc/..",
                                   "/dev/fd/../../..",
                                   "/proc/self/fd/3"};

static void look_at_names(void)
{
    char path[512];
    for (size_t i = 0; i < sizeof of_a_guest / sizeof *of_a_guest; i++)
        expect_nothing_at(AT_FDCWD, of_a_guest[i]);
    for (size_t way = 0; way < sizeof ways / sizeof *ways; way++)
        for (size_t i = 0; i < sizeof of_the_host / sizeof *of_the_host; i++) {
            snprintf(path, sizeof path, "%s%s", ways[way], of_the_host[i]);
            expect_nothing_at(AT_FDCWD, path);
        }
}

static void look_at_process(const char *id)
{
    char path[512];
    if (atoi(id) == getpid())
        return;
    for (size_t way = 0; way < sizeof ways / sizeof *ways; way++)
        for (size_t i = 0; i < sizeof of_a_process / sizeof *of_a_process; i++) {
            snprintf(path, sizeof path, "%s/proc/%s/%s", ways[way], id, of_a_process[i]);
            expect_nothing_at(AT_FDCWD, path);
            snprintf(path, sizeof path, "%s/proc/%s/task/%s/%s", ways[way], id, id, of_a_process[i]);
            expect_nothing_at(AT_FDCWD, path);
        }
}

static void look_through_descriptors(const char *id)
{
    char path[512];
    const char *const directories[] = {"/", "/proc", "/proc/self", "/proc/self/task", "/dev", "/sys", "/dev/fd"};
    const int kinds[] = {O_RDONLY | O_DIRECTORY, O_PATH};
    for (size_t d = 0; d < sizeof directories / sizeof *directories; d++)
        for (size_t k = 0; k < 2; k++) {
            const int fd = open(directories[d], kinds[k]);
            if (fd < 0)
                continue;
            const char *const relative[] = {"proc/%s/maps", "../proc/%s/maps", "%s/maps", "../%s/maps", "../../%s/mem"};
            for (size_t i = 0; i < sizeof relative / sizeof *relative; i++) {
                snprintf(path, sizeof path, relative[i], id);
                expect_nothing_at(fd, path);
            }
            expect_nothing_at(fd, "kcore");
            expect_nothing_at(fd, "kvm");
            expect_nothing_at(fd, "class");
            if (fchdir(fd) == 0) {
                snprintf(path, sizeof path, "proc/%s/environ", id);
                expect_nothing_at(AT_FDCWD, path);
                (void)!chdir("/");
            }
            close(fd);
        }
}

static int is_of_kernel(const char *path)
{
    struct statfs system;
    if (statfs(path, &system) != 0)
        return 0;
    switch ((unsigned)system.f_type) {
        case PROC_SUPER_MAGIC:
        case SYSFS_MAGIC:
        case DEVPTS_SUPER_MAGIC:
        case DEBUGFS_MAGIC:
        case TRACEFS_MAGIC:
        case CGROUP_SUPER_MAGIC:
        case CGROUP2_SUPER_MAGIC:
        case SECURITYFS_MAGIC:
        case BPF_FS_MAGIC:
        case HUGETLBFS_MAGIC: return 1;
    }
    return 0;
}

/* What lists itself must be there, and nothing outside of /proc and /sys be of the kernel. */
static void look_around(const char *directory, int depth)
{
    const int made_up = strncmp(directory, "/proc", 5) == 0 || strncmp(directory, "/sys", 4) == 0;
    DIR *entries = opendir(directory);
    if (entries == NULL)
        return;
    struct dirent *entry;
    for (int count = 0; (entry = readdir(entries)) != NULL && count < 300; count++) {
        char path[1024];
        struct stat status;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", strcmp(directory, "/") == 0 ? "" : directory, entry->d_name);
        if (lstat(path, &status) != 0 && entry->d_type == DT_DIR)
            report("%s is listed and not there\n", path);
        const int inside = made_up || strcmp(path, "/proc") == 0 || strcmp(path, "/sys") == 0;
        if (!inside && entry->d_type == DT_DIR && is_of_kernel(path))
            report("%s is a file system of the kernel\n", path);
        if (depth > 0 && entry->d_type == DT_DIR)
            look_around(path, depth - 1);
    }
    closedir(entries);
}

static void try_calls(const char *id)
{
    char byte;
    const pid_t other = (pid_t)atoi(id);
    struct iovec own = {&byte, 1}, theirs = {(void *)0x400000, 1};
    if (process_vm_readv(other, &own, 1, &theirs, 1, 0) >= 0)
        report("process_vm_readv\n");
    if (ptrace(PTRACE_ATTACH, other, 0, 0) >= 0)
        report("ptrace\n");
    if (kill(other, 0) == 0)
        report("kill\n");
    if (syscall(SYS_pidfd_open, other, 0) >= 0)
        report("pidfd_open\n");
    if (syscall(SYS_mount, "proc", "/", "proc", 0, NULL) == 0 || syscall(SYS_fsopen, "proc", 0) >= 0)
        report("mount\n");
    if (syscall(SYS_chroot, "/proc/1/root") == 0)
        report("chroot\n");
    if (syscall(SYS_mknodat, AT_FDCWD, "/dev/mem2", S_IFCHR | 0600, 0x101) == 0)
        report("mknod\n");
    if (syscall(SYS_open_tree, AT_FDCWD, "/proc/1/root", 0) >= 0)
        report("open_tree\n");
    if (syscall(SYS_io_uring_setup, 1, NULL) >= 0)
        report("io_uring\n");
}

static const char *look(const char *id)
{
    found[0] = 0;
    const int root = open("/", O_RDONLY | O_DIRECTORY); /* descriptor 3: see `ways` */
    look_at_names();
    look_at_process("1");
    look_at_process(id);
    look_through_descriptors(id);
    look_around("/", 1);
    look_around("/proc", 8);
    look_around("/sys", 8);
    look_around("/dev", 8);
    try_calls(id);
    close(root);
    return found[0] ? found : "closed";
}

static void on_get(const char *url, const char *arg)
{
    (void)url;
    backend_response_str(200, "text/plain", look(arg[0] ? arg : "3"));
}

int main(int argc, char **argv)
{
    if (IS_LINUX_MAIN()) {
        puts(look(argc > 1 ? argv[1] : "3"));
        return 0;
    }
    set_backend_get(on_get);
    wait_for_requests();
}

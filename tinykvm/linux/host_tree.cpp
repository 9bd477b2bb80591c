#include "tinykvm/linux/host_tree.hpp"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <iterator>

namespace tinykvm::linux_abi {

namespace {

constexpr int max_crossings = 64;  // mounts on the way of one path

// What statfs() says of file systems that hold no files of anybody but the kernel's view of itself, of its devices and
// of its processes, or the memory of processes. Those without a name in linux/magic.h are named here.
constexpr std::uint32_t kernel_file_systems[] = {
    AAFS_MAGIC,           ANON_INODE_FS_MAGIC, BINDERFS_SUPER_MAGIC,  BINFMTFS_MAGIC,    BPF_FS_MAGIC,
    CGROUP2_SUPER_MAGIC,  CGROUP_SUPER_MAGIC,  DAXFS_MAGIC,           DEBUGFS_MAGIC,     DEVMEM_MAGIC,
    DEVPTS_SUPER_MAGIC,   DMA_BUF_MAGIC,       EFIVARFS_MAGIC,        HUGETLBFS_MAGIC,   NSFS_MAGIC,
    OPENPROM_SUPER_MAGIC, PIPEFS_MAGIC,        PROC_SUPER_MAGIC,      PSTOREFS_MAGIC,    RDTGROUP_SUPER_MAGIC,
    SECRETMEM_MAGIC,      SECURITYFS_MAGIC,    SELINUX_MAGIC,         SMACK_MAGIC,       SOCKFS_MAGIC,
    SYSFS_MAGIC,          TRACEFS_MAGIC,       USBDEVICE_SUPER_MAGIC, XENFS_SUPER_MAGIC,
    0x19800202,  // mqueue
    0x0a647361,  // functionfs
    0x50494446,  // pidfs
    0x62656570,  // configfs
    0x65735543,  // fusectl
    0x67596969,  // rpc_pipefs
    0x6e667364,  // nfsd
    0xaee71ee7,  // gadgetfs
};

int open_at(int directory, const std::string& path, int flags, unsigned mode, std::uint64_t further_limits) {
    open_how how{};
    how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC);
    how.mode = mode;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS | further_limits;
    for (int attempt = 0;; ++attempt) {
        const long fd = ::syscall(SYS_openat2, directory, path.c_str(), &how, sizeof how);
        if (fd >= 0) return static_cast<int>(fd);
        // EAGAIN: something was renamed meanwhile and the kernel could not be sure.
        if ((errno != EAGAIN && errno != EINTR) || attempt == 8) return -errno;
    }
}

int open_on_mount(int directory, const std::string& path, int flags, unsigned mode) {
    return open_at(directory, path, flags, mode, RESOLVE_NO_XDEV);
}

// devtmpfs reports that it is a tmpfs, and in containers /dev is a tmpfs. So it is recognised by the device number of
// /dev, where that is not the one of the root.
bool is_device_file_system(const struct statfs& system, int fd) {
    if (static_cast<std::uint32_t>(system.f_type) != TMPFS_MAGIC) return false;
    struct stat status {
    }, devices{}, root{};
    return ::fstat(fd, &status) == 0 && ::stat("/dev", &devices) == 0 && ::stat("/", &root) == 0 &&
           devices.st_dev == status.st_dev && root.st_dev != status.st_dev;
}

// Returns the descriptor of a mount point that was opened, or -EXDEV when it is of the kernel. Errors pass through.
int unless_of_kernel(int opened) {
    if (opened < 0) return opened;
    FileDescriptor fd(opened);
    return is_of_kernel(fd.get()) ? -EXDEV : fd.release();
}

// Goes along `path` into the first mount that begins on it, and takes what lies before off `path`. When the mount point
// is the end of the path it is opened with `flags`, else as a name only.
int enter_mount(int directory, std::string_view& path, int flags, unsigned mode) {
    for (FileDescriptor here; !path.empty();) {
        const auto slash = std::min(path.find('/'), path.size());
        const std::string name(path.substr(0, slash));
        path.remove_prefix(std::min(slash + 1, path.size()));
        const int parent = here ? here.get() : directory;
        const int fd = open_on_mount(parent, name, O_PATH | O_NOFOLLOW, 0);
        if (fd == -EXDEV) {
            const int mount = unless_of_kernel(open_at(parent, name, O_PATH | O_NOFOLLOW, 0, 0));
            if (mount < 0 || !path.empty()) return mount;
            ::close(mount);
            return unless_of_kernel(open_at(parent, name, flags, mode, 0));
        }
        if (fd < 0) return fd;
        here = FileDescriptor(fd);
    }
    return -ENOENT;  // it was unmounted meanwhile
}

}  // namespace

int open_below(int directory, std::string_view path, int flags, unsigned mode) {
    FileDescriptor mount;
    for (int crossings = 0;; ++crossings) {
        const int from = mount ? mount.get() : directory;
        const int fd = open_on_mount(from, std::string(path), flags, mode);
        if (fd != -EXDEV) return fd;
        if (crossings == max_crossings) return -ELOOP;
        const int entered = enter_mount(from, path, flags, mode);
        if (entered < 0 || path.empty()) return entered;
        mount = FileDescriptor(entered);
    }
}

int open_on_host(std::string_view path, int flags) {
    const FileDescriptor root(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!root) return -errno;
    path.remove_prefix(1);
    return open_below(root.get(), path.empty() ? "." : path, flags);
}

bool is_of_kernel(int fd) {
    struct statfs system {};
    // A file system that cannot be identified is not trusted.
    if (::fstatfs(fd, &system) != 0) return true;
    return std::find(std::begin(kernel_file_systems), std::end(kernel_file_systems),
                     static_cast<std::uint32_t>(system.f_type)) != std::end(kernel_file_systems) ||
           is_device_file_system(system, fd);
}

bool is_on_sysfs(int fd) {
    struct statfs system {};
    return ::fstatfs(fd, &system) == 0 && system.f_type == SYSFS_MAGIC;
}

bool is_mount_of_kernel(int directory, const char* name) {
    struct statx status {};
    if (::statx(directory, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC, 0, &status) != 0 ||
        !(status.stx_attributes & STATX_ATTR_MOUNT_ROOT))
        return false;
    const FileDescriptor mount(::openat(directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC));
    return !mount || is_of_kernel(mount.get());
}

}  // namespace tinykvm::linux_abi

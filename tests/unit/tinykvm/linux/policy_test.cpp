// Which files a guest gets at: a denial costs no host call, nothing leads out of the rules.
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <atomic>
#include <thread>
#include <utility>

#include "tests/unit/linux_process.hpp"
#include "tests/unit/seccomp_filter.hpp"

namespace tinykvm {
namespace {

using test::Folder;
using test::LinuxProcess;
constexpr GuestAddr arena = LinuxProcess::arena;
constexpr auto at_cwd = static_cast<std::uint64_t>(AT_FDCWD);

// From now on every system call of this process that has to do with files kills it.
void forbid_file_calls() {
    std::vector<sock_filter> program{BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr))};
    for (unsigned number :
         {SYS_open,       SYS_openat,   SYS_openat2,  SYS_creat,     SYS_stat,       SYS_lstat,    SYS_fstat,
          SYS_newfstatat, SYS_statx,    SYS_access,   SYS_faccessat, SYS_faccessat2, SYS_readlink, SYS_readlinkat,
          SYS_unlink,     SYS_unlinkat, SYS_rename,   SYS_renameat,  SYS_renameat2,  SYS_mkdir,    SYS_mkdirat,
          SYS_rmdir,      SYS_link,     SYS_linkat,   SYS_symlink,   SYS_symlinkat,  SYS_truncate, SYS_ftruncate,
          SYS_chmod,      SYS_fchmod,   SYS_fchmodat, SYS_chown,     SYS_fchown,     SYS_fchownat, SYS_utimensat,
          SYS_getdents64, SYS_mknod,    SYS_mknodat,  SYS_chdir,     SYS_fchdir,     SYS_statfs,   SYS_fstatfs,
          SYS_fallocate,  SYS_setxattr, SYS_getxattr, SYS_pread64,   SYS_pwrite64,   SYS_pwritev2, SYS_socket,
          SYS_connect}) {
        program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1));
        program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS));
    }
    test::install_filter(std::move(program));
}

// Runs `work` in a child without file calls. Its exit status, or -signal.
template <typename Work>
int without_file_calls(Work work) {
    const pid_t child = ::fork();
    if (child == 0) {
        forbid_file_calls();
        ::_exit(work());
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

class PolicyTest : public testing::Test {
  protected:
    PolicyTest() {
        outside.write("secret", "secret");
        allowed.write("file", "0123456789");
        std::filesystem::create_directory(allowed / "sub");
        allowed.write("sub/inner", "inner");
        writable.write("file", "0123456789");
        std::filesystem::create_directory(writable / "sub");
    }

    Options options() {
        Options options;
        options.allowed_paths = {
            {.virtual_path = "/ro", .real_path = allowed.path},
            {.virtual_path = "/rw", .real_path = writable.path, .writable = true},
            {.virtual_path = "/single", .real_path = allowed / "file", .prefix = false},
            {.virtual_path = "/state", .real_path = writable / "state", .writable = true, .prefix = false},
            {.virtual_path = "/alias", .real_path = "/ro/sub", .symlink = true},
            {.virtual_path = "/gone", .real_path = "/does/not/exist"}};
        options.log = [this](std::string_view line) { log += std::string(line) + "\n"; };
        return options;
    }
    LinuxProcess& guest() {
        if (!guest_) guest_.emplace(options());
        return *guest_;
    }
    std::string content(const std::string& path) {
        const std::int64_t fd = guest().open(path, O_RDONLY);
        if (fd < 0) return "error " + std::to_string(fd);
        const std::int64_t got = guest().call(SYS_read, {static_cast<std::uint64_t>(fd), arena, 100});
        guest().call(SYS_close, {static_cast<std::uint64_t>(fd)});
        return got < 0 ? "error " + std::to_string(got) : guest().bytes(arena, static_cast<std::size_t>(got));
    }

    Folder outside, allowed, writable;
    std::string log;
    std::optional<LinuxProcess> guest_;
};

// Every call with a path, on `path`. The results.
std::vector<std::int64_t> every_path_call(LinuxProcess& guest, const std::string& path) {
    const GuestAddr name = guest.put(path), other = guest.put(path + "2", arena + 0x3D000);
    const std::uint64_t write_flags[] = {
        O_RDONLY, O_WRONLY, O_RDWR | O_CREAT, O_RDONLY | O_TRUNC, O_RDONLY | O_DIRECTORY, O_PATH};
    std::vector<std::int64_t> results;
    for (std::uint64_t flags : write_flags) {
        results.push_back(guest.call(SYS_open, {name, flags, 0644}));
        results.push_back(guest.call(SYS_openat, {at_cwd, name, flags, 0644}));
    }
    for (std::uint64_t number : {SYS_stat, SYS_lstat, SYS_statfs}) results.push_back(guest.call(number, {name, arena}));
    results.push_back(guest.call(SYS_newfstatat, {at_cwd, name, arena, 0}));
    results.push_back(guest.call(SYS_statx, {at_cwd, name, 0, 0xfff, arena}));
    for (std::uint64_t mode : {F_OK, R_OK, W_OK}) {
        results.push_back(guest.call(SYS_access, {name, mode}));
        results.push_back(guest.call(SYS_faccessat, {at_cwd, name, mode}));
        results.push_back(guest.call(SYS_faccessat2, {at_cwd, name, mode, AT_EACCESS}));
    }
    results.push_back(guest.call(SYS_readlink, {name, arena, 100}));
    results.push_back(guest.call(SYS_readlinkat, {at_cwd, name, arena, 100}));
    for (std::uint64_t number : {SYS_unlink, SYS_rmdir, SYS_chdir}) results.push_back(guest.call(number, {name}));
    for (std::uint64_t flags : {0, AT_REMOVEDIR}) results.push_back(guest.call(SYS_unlinkat, {at_cwd, name, flags}));
    for (std::uint64_t number : {SYS_mkdir, SYS_creat, SYS_chmod, SYS_truncate, SYS_mknod})
        results.push_back(guest.call(number, {name, 0}));
    results.push_back(guest.call(SYS_mkdirat, {at_cwd, name, 0755}));
    results.push_back(guest.call(SYS_fchmodat, {at_cwd, name, 0755}));
    results.push_back(guest.call(SYS_chown, {name, 1000, 1000}));
    results.push_back(guest.call(SYS_lchown, {name, 1000, 1000}));
    results.push_back(guest.call(SYS_fchownat, {at_cwd, name, 1000, 1000, 0}));
    results.push_back(guest.call(SYS_utimensat, {at_cwd, name, 0, 0}));
    for (std::uint64_t number : {SYS_rename, SYS_link, SYS_symlink})
        results.push_back(guest.call(number, {name, other}));
    results.push_back(guest.call(SYS_renameat2, {at_cwd, name, at_cwd, other, 0}));
    results.push_back(guest.call(SYS_linkat, {at_cwd, name, at_cwd, other, 0}));
    results.push_back(guest.call(SYS_symlinkat, {name, at_cwd, other}));
    return results;
}

// Nothing allowed. There is nothing but what is made for guests, and the host's file system hears of no call.
TEST_F(PolicyTest, WithoutRulesThereAreNoFilesAndNoHostCalls) {
    LinuxProcess bare;
    const char* paths[] = {"/etc/passwd", "etc/passwd", "/proc/1", "/proc/self/mem", "/dev/kvm", "/dev/null/x"};
    const char* made_up[] = {"/", ".", "/..", "/proc/self", "/proc/self/maps", "/dev", "/dev/null", "/dev/stdout"};
    const int status = without_file_calls([&] {
        int wrong = 0;
        for (const char* path : paths) {
            const auto results = every_path_call(bare, path);
            for (std::size_t i = 0; i < results.size(); ++i) {
                // Calls that would make /dev/kvm find /dev, in which nothing can be made.
                if (results[i] == -ENOENT || results[i] == -ENOTDIR || results[i] == -EROFS) continue;
                std::fprintf(stderr, "call %zu on %s: %ld\n", i, path, static_cast<long>(results[i]));
                ++wrong;
            }
        }
        for (const char* path : made_up) every_path_call(bare, path);
        return std::min(wrong, 99);
    });
    EXPECT_EQ(status, 0);
}

// The recorder does record: an allowed open ends the child.
TEST_F(PolicyTest, TheRecorderOfHostCallsWorks) {
    LinuxProcess& process = guest();
    EXPECT_EQ(without_file_calls([&] { return process.open("/ro/file", O_RDONLY) >= 0 ? 1 : 2; }), -SIGSYS);
}

// Every combination of open flags, on a read-only path: writing is refused before the host hears of it.
TEST_F(PolicyTest, OpenFlagsOnReadOnlyPaths) {
    LinuxProcess& process = guest();
    const int bits[] = {O_WRONLY, O_RDWR, O_CREAT, O_EXCL, O_TRUNC, O_APPEND, O_NONBLOCK, O_NOFOLLOW, O_SYNC};
    const int status = without_file_calls([&] {
        int wrong = 0;
        for (unsigned set = 0; set < 1u << std::size(bits); ++set) {
            int flags = 0;
            for (std::size_t i = 0; i < std::size(bits); ++i)
                if (set >> i & 1) flags |= bits[i];
            if (!(flags & (O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND))) continue;
            for (const char* path : {"/ro/file", "/ro/new", "/ro/sub/../new", "/single", "/alias/new", "/ro"}) {
                const std::int64_t result = process.open(path, flags);
                wrong += result != -EROFS && !(result == -EINVAL && (flags & O_ACCMODE) == O_ACCMODE);
            }
            // "/" is there, and read-only; "/denied" is not.
            wrong += process.open("/denied", flags) != (flags & O_CREAT ? -EROFS : -ENOENT) &&
                     (flags & O_ACCMODE) != O_ACCMODE;
            wrong += process.open("/denied/x", flags) != -ENOENT && (flags & O_ACCMODE) != O_ACCMODE;
        }
        return std::min(wrong, 99);
    });
    EXPECT_EQ(status, 0);
    EXPECT_EQ(allowed.read("file"), "0123456789");
    EXPECT_FALSE(std::filesystem::exists(allowed / "new"));
}

TEST_F(PolicyTest, ReadOnlyThingsStayAsTheyAre) {
    LinuxProcess& process = guest();
    struct stat before {
    }, after{};
    ASSERT_EQ(::stat((allowed / "file").c_str(), &before), 0);
    for (const char* path : {"/ro/file", "/single", "/alias/inner", "/ro/sub", "/ro/new"})
        every_path_call(process, path);
    const auto fd = static_cast<std::uint64_t>(process.open("/ro/file", O_RDONLY));
    EXPECT_EQ(process.call(SYS_fchmod, {fd, 0777}), -EROFS);
    EXPECT_EQ(process.call(SYS_fchown, {fd, 1000, 1000}), -EROFS);
    EXPECT_EQ(process.call(SYS_utimensat, {fd, 0, 0, 0}), -EROFS);
    EXPECT_EQ(process.call(SYS_ftruncate, {fd, 0}), -EINVAL);
    EXPECT_EQ(process.call(SYS_write, {fd, arena, 1}), -EBADF);
    ASSERT_EQ(::stat((allowed / "file").c_str(), &after), 0);
    EXPECT_EQ(std::memcmp(&before.st_mtim, &after.st_mtim, sizeof before.st_mtim), 0);
    EXPECT_EQ(before.st_mode, after.st_mode);
    EXPECT_EQ(allowed.read("file"), "0123456789");
    EXPECT_TRUE(std::filesystem::exists(allowed / "sub/inner"));
    EXPECT_FALSE(std::filesystem::exists(allowed / "new"));
    EXPECT_NE(log.find("is not writable"), log.npos);
}

TEST_F(PolicyTest, WritableRulesAreWritable) {
    LinuxProcess& process = guest();
    const auto two = [&](std::uint64_t number, const char* from, const char* to) {
        return process.call(number, {process.put(from), process.put(to, arena + 0x3D000)});
    };
    EXPECT_EQ(process.call(SYS_mkdir, {process.put("/rw/made"), 0755}), 0);
    EXPECT_TRUE(std::filesystem::is_directory(writable / "made"));
    EXPECT_EQ(process.call(SYS_mkdir, {process.put("/rw/made"), 0755}), -EEXIST);
    EXPECT_EQ(process.call(SYS_mkdir, {process.put("/ro/sub"), 0755}), -EEXIST);
    EXPECT_EQ(process.open("/rw/made/a", O_WRONLY | O_CREAT), 3);
    EXPECT_EQ(two(SYS_rename, "/rw/made/a", "/rw/b"), 0);
    EXPECT_TRUE(std::filesystem::exists(writable / "b"));
    EXPECT_EQ(two(SYS_rename, "/rw/b", "/ro/b"), -EROFS);
    EXPECT_EQ(two(SYS_rename, "/ro/file", "/rw/stolen"), -EROFS);
    EXPECT_EQ(two(SYS_rename, "/rw/missing", "/rw/x"), -ENOENT);
    EXPECT_EQ(two(SYS_rename, "/rw", "/rw/x"), -EBUSY);
    EXPECT_EQ(two(SYS_link, "/rw/b", "/rw/c"), -EPERM);
    EXPECT_EQ(two(SYS_symlink, "/etc/passwd", "/rw/c"), -EPERM);
    EXPECT_EQ(process.call(SYS_unlink, {process.put("/rw/made")}), -EISDIR);
    EXPECT_EQ(process.call(SYS_rmdir, {process.put("/rw/b")}), -ENOTDIR);
    EXPECT_EQ(process.call(SYS_unlink, {process.put("/rw/b")}), 0);
    EXPECT_EQ(process.call(SYS_rmdir, {process.put("/rw/made")}), 0);
    EXPECT_EQ(process.call(SYS_rmdir, {process.put("/rw")}), -EBUSY);
    EXPECT_EQ(process.call(SYS_rmdir, {process.put("/rw/sub/.")}), -EINVAL);
    // A single writable file that is not there yet can be made, replaced and removed; its folder stays out of
    // reach.
    EXPECT_GE(process.open("/state", O_RDWR | O_CREAT), 0);
    EXPECT_TRUE(std::filesystem::exists(writable / "state"));
    EXPECT_EQ(two(SYS_rename, "/rw/file", "/state"), 0);
    EXPECT_EQ(writable.read("state"), "0123456789");
    EXPECT_EQ(process.call(SYS_unlink, {process.put("/state")}), 0);
    EXPECT_EQ(content("/state/../rw/sub"), "error -2");
}

TEST_F(PolicyTest, ModesAndTimesOfWritableFiles) {
    LinuxProcess& process = guest();
    EXPECT_EQ(process.call(SYS_chmod, {process.put("/rw/file"), 07777}), 0);
    struct stat status {};
    ASSERT_EQ(::stat((writable / "file").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0777u) << "set-user-id bits are not for guests";
    const timespec times[2] = {{1000, 5}, {2000, 6}};
    EXPECT_EQ(process.call(SYS_utimensat, {at_cwd, process.put("/rw/file"), process.put_value(times), 0}), 0);
    ASSERT_EQ(::stat((writable / "file").c_str(), &status), 0);
    EXPECT_EQ(status.st_mtim.tv_sec, 2000);
    const timespec wrong[2] = {{0, 1000000000}, {0, 0}};
    EXPECT_EQ(process.call(SYS_utimensat, {at_cwd, process.put("/rw/file"), process.put_value(wrong), 0}), -EINVAL);
    EXPECT_EQ(process.call(SYS_chown, {process.put("/rw/file"), 0, 0}), -EPERM);
}

// Links leading out: absolute, relative, through folders, chained; resolved in the guest's namespace.
TEST_F(PolicyTest, LinksCannotLeaveTheRules) {
    const auto link = [&](const std::string& name, const std::string& target) {
        std::filesystem::create_symlink(target, allowed / name);
    };
    link("absolute", (outside / "secret").string());
    link("up", "../" + outside.path.filename().string() + "/secret");
    link("root", "/");
    link("chain", "absolute");
    link("proc", "/proc/self/root");
    link("own", "/ro/file");
    link("own_relative", "sub/../file");
    link("loop", "loop");
    link("to_writable", "/rw/file");
    link("deep", "sub");
    EXPECT_EQ(content("/ro/absolute"), "error -2");
    EXPECT_EQ(content("/ro/up"), "error -2");
    EXPECT_EQ(content("/ro/root" + (outside / "secret").string()), "error -2");
    EXPECT_EQ(content("/ro/root/etc/passwd"), "error -2");
    EXPECT_EQ(content("/ro/chain"), "error -2");
    EXPECT_EQ(content("/ro/proc/etc/passwd"), "error -2");
    EXPECT_EQ(content("/ro/../../../../../etc/passwd"), "error -2");
    EXPECT_EQ(content("/ro/loop"), "error -40");
    // What stays inside works, and the root a link may lead to is the guest's.
    EXPECT_EQ(content("/ro/own"), "0123456789");
    EXPECT_EQ(content("/ro/own_relative"), "0123456789");
    EXPECT_EQ(content("/ro/root/ro/file"), "0123456789");
    EXPECT_EQ(content("/ro/deep/../file"), "0123456789");
    EXPECT_EQ(content("/alias/inner"), "inner");
    EXPECT_EQ(content("/alias/../file"), "0123456789");
    EXPECT_EQ(content("/single"), "0123456789");
    EXPECT_EQ(content("/ro/to_writable"), "0123456789");
    // No file is made where a link leads that points out of what may be written.
    std::filesystem::create_symlink(outside / "made", writable / "trap");
    EXPECT_LT(guest().open("/rw/trap", O_WRONLY | O_CREAT), 0);
    EXPECT_LT(guest().open("/rw/trap", O_WRONLY | O_CREAT | O_TRUNC), 0);
    EXPECT_FALSE(std::filesystem::exists(outside / "made"));
    std::filesystem::create_symlink(outside.path, writable / "folder_trap");
    EXPECT_LT(guest().call(SYS_mkdir, {guest().put("/rw/folder_trap/x"), 0755}), 0);
    EXPECT_LT(guest().call(SYS_unlink, {guest().put("/rw/folder_trap/secret")}), 0);
    EXPECT_EQ(outside.read("secret"), "secret");
    EXPECT_EQ(guest().call(SYS_unlink, {guest().put("/rw/folder_trap")}), 0) << "the link itself may go";
    EXPECT_EQ(outside.read("secret"), "secret");
}

// What the policy judges is what the call means.
TEST_F(PolicyTest, EveryWayToNameAFile) {
    LinuxProcess& process = guest();
    const auto directory = static_cast<std::uint64_t>(process.open("/ro/sub", O_RDONLY | O_DIRECTORY));
    const auto open_at = [&](std::uint64_t fd, const char* path) {
        return process.call(SYS_openat, {fd, process.put(path), O_RDONLY, 0});
    };
    EXPECT_GE(open_at(directory, "inner"), 0);
    EXPECT_GE(open_at(directory, "../file"), 0);
    EXPECT_GE(open_at(directory, "/ro/file"), 0);
    EXPECT_GE(open_at(99, "/ro/file"), 0);
    EXPECT_EQ(open_at(99, "inner"), -EBADF);
    EXPECT_EQ(open_at(directory, "../../../../etc/passwd"), -ENOENT);
    EXPECT_EQ(open_at(directory, ""), -ENOENT);
    EXPECT_EQ(process.call(SYS_newfstatat, {directory, process.put(""), arena, AT_EMPTY_PATH}), 0);
    EXPECT_TRUE(S_ISDIR(process.get<struct stat>(arena).st_mode));
    EXPECT_EQ(process.call(SYS_newfstatat, {directory, process.put(""), arena, 0}), -ENOENT);
    EXPECT_EQ(process.call(SYS_chdir, {process.put("/ro/sub")}), 0);
    EXPECT_EQ(content("inner"), "inner");
    EXPECT_EQ(content("./../sub/./inner"), "inner");
    EXPECT_EQ(process.call(SYS_unlinkat, {directory, process.put("inner"), 0}), -EROFS);
    EXPECT_EQ(process.call(SYS_unlinkat, {at_cwd, process.put("inner"), AT_REMOVEDIR}), -EROFS);
    EXPECT_EQ(process.call(SYS_unlinkat, {directory, process.put("/rw/file"), 0}), 0);
    EXPECT_FALSE(std::filesystem::exists(writable / "file"));
}

TEST_F(PolicyTest, FoldersAboveRulesExistAndListThem) {
    LinuxProcess& process = guest();
    const auto root = static_cast<std::uint64_t>(process.open("/", O_RDONLY | O_DIRECTORY));
    std::string names;
    const std::int64_t size = process.call(SYS_getdents64, {root, arena, 4096});
    for (std::int64_t at = 0; at < size; at += process.get<std::uint16_t>(arena + static_cast<std::uint64_t>(at) + 16))
        names += process.memory.read_string(arena + static_cast<std::uint64_t>(at) + 19, 300).value() + " ";
    EXPECT_EQ(names, ". .. alias dev proc ro rw single state sys tmp ");
    EXPECT_EQ(process.call(SYS_getdents64, {root, arena, 4096}), 0);
    EXPECT_EQ(process.call(SYS_access, {process.put("/"), R_OK | X_OK}), 0);
    EXPECT_EQ(process.call(SYS_access, {process.put("/"), W_OK}), -EROFS);
    EXPECT_EQ(process.open("/new", O_CREAT | O_WRONLY), -EROFS);
    EXPECT_EQ(process.open("/new", O_WRONLY), -ENOENT);
    EXPECT_EQ(process.call(SYS_stat, {process.put("/gone"), arena}), -ENOENT);
}

TEST_F(PolicyTest, OnlyFilesAndFoldersAreOpened) {
    ASSERT_EQ(::mkfifo((allowed / "fifo").c_str(), 0666), 0);
    LinuxProcess& process = guest();
    const auto begin = Clock::now();
    EXPECT_EQ(process.open("/ro/fifo", O_RDONLY), -EACCES);
    EXPECT_LT(Clock::now() - begin, std::chrono::seconds(1));
    EXPECT_EQ(process.call(SYS_stat, {process.put("/ro/fifo"), arena}), 0);
}

TEST_F(PolicyTest, BuiltInDevicesNeedNoRule) {
    LinuxProcess bare;
    EXPECT_EQ(bare.open("/dev/null", O_WRONLY | O_CREAT | O_TRUNC), 3);
    EXPECT_EQ(bare.open("/dev/./zero", O_RDONLY), 4);
    EXPECT_EQ(bare.open("/dev/../dev/urandom", O_RDONLY), 5);
    EXPECT_EQ(bare.open("/proc/self/maps", O_RDONLY), 6);
    EXPECT_EQ(bare.open("/proc/self/exe", O_RDONLY), -ENOENT) << "it is not in allowed_paths";
    EXPECT_EQ(bare.call(SYS_unlink, {bare.put("/dev/null")}), -EPERM);
    const std::int64_t size = bare.call(SYS_read, {6, arena, 10000});
    const std::string maps = bare.bytes(arena, static_cast<std::size_t>(size));
    EXPECT_NE(maps.find("00100000-00140000 rw-p 00000000 00:00 0"), maps.npos) << maps;
    EXPECT_NE(maps.find("[stack]"), maps.npos);
}

// While another thread swaps a file and a link to the outside as fast as it can, no read shows the
// outside.
TEST_F(PolicyTest, SwappingUnderTheGuestNeverLeadsOut) {
    const auto target = writable / "target";
    const auto good = writable / "good", evil = writable / "evil";
    writable.write("good", "good");
    std::filesystem::create_directory(writable / "gooddir");
    writable.write("gooddir/secret", "good");
    std::filesystem::create_symlink(outside.path, writable / "evildir");
    std::filesystem::create_symlink(outside / "secret", evil);
    std::atomic<bool> stop{false};
    std::thread swapper([&] {
        while (!stop) {
            ::link(good.c_str(), (writable / "tmp").c_str());
            ::rename((writable / "tmp").c_str(), target.c_str());
            ::symlink((outside / "secret").c_str(), (writable / "tmp").c_str());
            ::rename((writable / "tmp").c_str(), target.c_str());
            ::syscall(SYS_renameat2, AT_FDCWD, (writable / "gooddir").c_str(), AT_FDCWD, (writable / "evildir").c_str(),
                      2);
        }
    });
    int good_reads = 0, refused = 0, made = 0;
    for (int i = 0; i < 5000; ++i) {
        for (const char* path : {"/rw/target", "/rw/gooddir/secret", "/rw/evildir/secret"}) {
            const std::string text = content(path);
            if (text == "good") {
                ++good_reads;
            } else {
                ASSERT_EQ(text.substr(0, 5), "error") << text;
                ++refused;
            }
        }
        const std::int64_t fd = guest().open("/rw/gooddir/planted", O_WRONLY | O_CREAT);
        if (fd >= 0) ++made, guest().call(SYS_close, {static_cast<std::uint64_t>(fd)});
    }
    stop = true;
    swapper.join();
    EXPECT_GT(good_reads, 0);
    EXPECT_GT(refused, 0);
    EXPECT_GT(made, 0);
    EXPECT_FALSE(std::filesystem::exists(outside / "planted"));
}

TEST_F(PolicyTest, RulesThatMakeNoSenseAreErrors) {
    for (const PathRule& rule :
         {PathRule{.virtual_path = "relative", .real_path = ""}, PathRule{.virtual_path = "", .real_path = ""},
          PathRule{.virtual_path = "/a/../b", .real_path = ""}, PathRule{.virtual_path = "/a", .real_path = "b"},
          PathRule{.virtual_path = "/a", .real_path = "", .symlink = true}}) {
        Options options;
        options.allowed_paths = {rule};
        EXPECT_THROW(linux_abi::ProcessState::at_start(options, 0x10000, "/x"), LoadError) << rule.virtual_path;
    }
}

}  // namespace
}  // namespace tinykvm

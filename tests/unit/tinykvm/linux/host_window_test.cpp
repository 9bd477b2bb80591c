// A guest's /proc, /sys and /dev: made for it, and never the host's, whatever is allowed.
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <set>

#include "tests/unit/host_call_recorder.hpp"
#include "tests/unit/linux_process.hpp"

namespace tinykvm {
namespace {

using test::Folder;
using test::HostCallRecorder;
using test::LinuxProcess;
constexpr GuestAddr arena = LinuxProcess::arena;
constexpr auto at_cwd = static_cast<std::uint64_t>(AT_FDCWD);

std::string content(LinuxProcess& process, const std::string& path) {
    const std::int64_t fd = process.open(path, O_RDONLY);
    if (fd < 0) return "error " + std::to_string(fd);
    const std::int64_t got = process.call(SYS_read, {static_cast<std::uint64_t>(fd), arena, 10000});
    process.call(SYS_close, {static_cast<std::uint64_t>(fd)});
    return got < 0 ? "error " + std::to_string(got) : process.bytes(arena, static_cast<std::size_t>(got));
}

std::multiset<std::string> list(LinuxProcess& process, const std::string& path) {
    std::multiset<std::string> names;
    const std::int64_t fd = process.open(path, O_RDONLY | O_DIRECTORY);
    if (fd < 0) return {"error " + std::to_string(fd)};
    for (;;) {
        const std::int64_t size = process.call(SYS_getdents64, {static_cast<std::uint64_t>(fd), arena, 4096});
        if (size <= 0) break;
        for (std::int64_t at = 0; at < size;
             at += process.get<std::uint16_t>(arena + static_cast<std::uint64_t>(at) + 16))
            names.insert(process.memory.read_string(arena + static_cast<std::uint64_t>(at) + 19, 300).value());
    }
    process.call(SYS_close, {static_cast<std::uint64_t>(fd)});
    return names;
}

std::string link_target(LinuxProcess& process, const std::string& path) {
    const std::int64_t size = process.call(SYS_readlink, {process.put(path), arena, 1000});
    return size < 0 ? "error " + std::to_string(size) : process.bytes(arena, static_cast<std::size_t>(size));
}

// What every call that names a file tells about this one. Empty when each says that there is none, or that nothing can
// be changed there.
std::string traces_of(LinuxProcess& process, std::uint64_t directory, const std::string& path) {
    std::string traces;
    const auto expect_none = [&](const char* what, std::int64_t result) {
        if (result != -ENOENT && result != -ENOTDIR && result != -EROFS)
            traces += path + ": " + what + " " + std::to_string(result) + "\n";
    };
    const GuestAddr name = process.put(path);
    for (std::uint64_t flags : {O_RDONLY, O_WRONLY, O_RDWR | O_CREAT, O_RDONLY | O_DIRECTORY, O_PATH, O_NOFOLLOW})
        expect_none("open", process.call(SYS_openat, {directory, name, flags, 0600}));
    for (std::uint64_t flags : {0, AT_SYMLINK_NOFOLLOW})
        expect_none("stat", process.call(SYS_newfstatat, {directory, name, arena, flags}));
    expect_none("statx", process.call(SYS_statx, {directory, name, 0, 0xfff, arena}));
    expect_none("access", process.call(SYS_faccessat, {directory, name, F_OK}));
    expect_none("readlink", process.call(SYS_readlinkat, {directory, name, arena, 100}));
    if (directory == at_cwd) {
        expect_none("statfs", process.call(SYS_statfs, {name, arena}));
        expect_none("chdir", process.call(SYS_chdir, {name}));
        expect_none("truncate", process.call(SYS_truncate, {name, 0}));
    }
    return traces;
}

std::vector<std::string> names_of_the_host() {
    const std::string own = "/proc/" + std::to_string(::getpid());
    std::vector<std::string> names;
    for (const std::string& process : {own, own + "/task/" + std::to_string(::getpid()), std::string("/proc/1"),
                                       std::string("/proc/self"), std::string("/proc/thread-self")}) {
        for (const char* file : {"/mem", "/numa_maps", "/pagemap", "/map_files", "/ns", "/syscall", "/stack", "/fd/77",
                                 "/fdinfo/0", "/task/77", "/root/proc/1/mem"})
            names.push_back(process + file);
        if (process == "/proc/self" || process == "/proc/thread-self") continue;
        for (const char* file : {"", "/maps", "/environ", "/cmdline", "/exe", "/root", "/cwd", "/fd", "/status"})
            names.push_back(process + file);
    }
    for (const char* name : {"/proc/kcore",
                             "/proc/kallsyms",
                             "/proc/cmdline",
                             "/proc/net",
                             "/proc/sysrq-trigger",
                             "/proc/sys/net/ipv4",
                             "/proc/sys/kernel/core_uses_pid",
                             "/proc/0",
                             "/proc/02",
                             "/proc/2x",
                             "/proc/self/fd/00",
                             "/dev/kvm",
                             "/dev/mem",
                             "/dev/tty",
                             "/dev/console",
                             "/dev/ptmx",
                             "/dev/pts",
                             "/dev/shm",
                             "/dev/mqueue",
                             "/dev/loop0",
                             "/dev/fd/77",
                             "/sys/class",
                             "/sys/kernel/debug",
                             "/sys/kernel/mm/ksm",
                             "/sys/fs",
                             "/sys/fs/cgroup",
                             "/sys/block",
                             "/sys/module",
                             "/sys/devices/system/cpu/cpu0/cache",
                             "/sys/devices/system/cpu/cpu0/node0",
                             "/sys/devices/system/cpu/cpu1",
                             "/sys/devices/system/cpu/vulnerabilities",
                             "/sys/devices/system/memory"})
        names.emplace_back(name);
    return names;
}

class HostWindowTest : public testing::Test {
  protected:
    Options options(std::vector<PathRule> rules) {
        Options options;
        options.allowed_paths = std::move(rules);
        options.memory_directories.clear();  // what is at those names would not be the host's
        options.log = [this](std::string_view line) { log += std::string(line) + "\n"; };
        return options;
    }
    // A place for mounts of this test alone; false when that cannot be had.
    static bool own_mounts() {
        return ::unshare(CLONE_NEWNS) == 0 && ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
    }

    std::string log;
};

TEST_F(HostWindowTest, NoRuleLeadsToTheHostsTrees) {
    Folder folder;
    std::filesystem::create_symlink("/proc", folder / "link");
    std::filesystem::create_symlink("/proc/self/root/proc", folder / "deeper");
    const std::vector<std::vector<PathRule>> all_rules = {
        {},
        {{.virtual_path = "/", .real_path = ""}},
        {{.virtual_path = "/", .real_path = "", .writable = true}},
        {{.virtual_path = "/proc", .real_path = ""},
         {.virtual_path = "/sys", .real_path = ""},
         {.virtual_path = "/dev", .real_path = ""}},
        {{.virtual_path = "/proc/self", .real_path = ""},
         {.virtual_path = "/proc/1", .real_path = ""},
         {.virtual_path = "/dev/kvm", .real_path = "", .writable = true}},
        {{.virtual_path = "/proc", .real_path = folder / "link"},
         {.virtual_path = "/dev", .real_path = folder / "deeper"}},
        {{.virtual_path = "/link", .real_path = "/proc", .symlink = true}, {.virtual_path = "/", .real_path = ""}},
    };
    for (const auto& rules : all_rules) {
        LinuxProcess process(options(rules));
        // Descriptors of directories, and the way from there to "/".
        std::vector<std::pair<std::uint64_t, std::string>> directories = {{at_cwd, "."}};
        constexpr std::pair<const char*, const char*> names[] = {
            {"/", "."}, {"/proc", ".."}, {"/proc/self", "../.."}, {"/dev", ".."}};
        for (const auto& [directory, way_up] : names)
            for (int flags : {O_RDONLY | O_DIRECTORY, O_PATH})
                directories.emplace_back(static_cast<std::uint64_t>(process.open(directory, flags)), way_up);
        for (const std::string& name : names_of_the_host()) {
            for (const char* way : {"", "/proc/self/root", "/proc/self/cwd", "/proc/2/root", "/proc/self/../self/root",
                                    "/dev/fd/../root", "/proc/self/task/2/root"})
                EXPECT_EQ(traces_of(process, at_cwd, way + name), "");
            for (const auto& [directory, way_up] : directories) {
                EXPECT_EQ(traces_of(process, directory, name), "");
                EXPECT_EQ(traces_of(process, directory, way_up + name), "");
            }
        }
    }
}

TEST_F(HostWindowTest, HostsTreesUnderOtherNamesAreEmpty) {
    Folder folder;
    std::filesystem::create_symlink("/proc", folder / "link");
    LinuxProcess process(options({{.virtual_path = "/kernel", .real_path = "/proc"},
                                  {.virtual_path = "/self", .real_path = "/proc/self"},
                                  {.virtual_path = "/maps", .real_path = "/proc/self/maps"},
                                  {.virtual_path = "/objects", .real_path = "/sys"},
                                  {.virtual_path = "/devices", .real_path = "/dev", .writable = true},
                                  {.virtual_path = "/memory", .real_path = "/dev/shm", .writable = true},
                                  {.virtual_path = "/null", .real_path = "/dev/null", .writable = true},
                                  {.virtual_path = "/host", .real_path = "/"},
                                  {.virtual_path = "/folder", .real_path = folder.path}}));
    for (const char* path : {"/host/proc", "/host/proc/1/mem", "/host/sys/kernel", "/kernel", "/kernel/self/maps",
                             "/kernel/1", "/self", "/self/mem", "/maps", "/objects", "/objects/kernel", "/devices",
                             "/devices/null", "/memory", "/memory/x", "/null", "/folder/link/1", "/folder/link/kcore"})
        EXPECT_EQ(traces_of(process, at_cwd, path), "") << log;
    EXPECT_EQ(list(process, "/"), (std::multiset<std::string>{".", "..", "dev", "folder", "host", "proc", "sys"}));
    EXPECT_FALSE(list(process, "/host").contains("proc"));
    EXPECT_FALSE(list(process, "/host").contains("sys"));
    EXPECT_TRUE(list(process, "/host").contains("etc"));
    // A link to /proc is one to the guest's own.
    EXPECT_EQ(content(process, "/folder/link/sys/kernel/ostype"), "Linux\n");
    for (const char* real : {"/proc", "/proc/self/maps", "/sys", "/dev", "/dev/shm", "/dev/null"})
        EXPECT_NE(log.find("allowed_paths: " + std::string(real) + " is the host kernel's"), log.npos) << log;
}

TEST_F(HostWindowTest, KindOfFileSystemDecidesNotItsPlace) {
    if (!own_mounts()) GTEST_SKIP() << "needs root, for a mount namespace of its own";
    Folder folder;
    for (const char* name : {"procfs", "bound", "devices", "disk", "sub"})
        std::filesystem::create_directory(folder / name);
    folder.write("file", "");
    const auto mount = [&](const char* from, const char* to, const char* type, unsigned long flags) {
        return ::mount(from, (folder / to).c_str(), type, flags, nullptr) == 0;
    };
    ASSERT_TRUE(mount("tmpfs", "disk", "tmpfs", 0));
    std::filesystem::create_directory(folder / "disk/proc");
    std::filesystem::create_directory(folder / "disk/folder");
    ASSERT_TRUE(mount("proc", "procfs", "proc", 0) || mount("/proc", "procfs", nullptr, MS_BIND));
    ASSERT_TRUE(mount("/proc/self", "bound", nullptr, MS_BIND));
    ASSERT_TRUE(mount("/proc/self/maps", "file", nullptr, MS_BIND));
    ASSERT_TRUE(mount("/dev", "devices", nullptr, MS_BIND | MS_REC));
    ASSERT_TRUE(mount("/proc", "disk/proc", nullptr, MS_BIND));

    for (bool by_root : {false, true}) {
        const std::string base = by_root ? folder.path.string() : "/data";
        LinuxProcess process(options({{.virtual_path = by_root ? "/" : "/data",
                                       .real_path = by_root ? "/" : folder.path.string(),
                                       .writable = true}}));
        for (const char* path :
             {"/procfs", "/procfs/self/maps", "/procfs/1/environ", "/bound", "/bound/mem", "/bound/root/etc", "/file",
              "/devices", "/devices/null", "/devices/shm", "/disk/proc", "/disk/proc/self/mem", "/disk/proc/x"})
            EXPECT_EQ(traces_of(process, at_cwd, base + path), "");
        EXPECT_EQ(list(process, base), (std::multiset<std::string>{".", "..", "disk", "file", "sub"}));
        EXPECT_EQ(list(process, base + "/disk"), (std::multiset<std::string>{".", "..", "folder"}));
        // Other mounts are as good as folders.
        EXPECT_GE(process.open(base + "/disk/folder/new", O_RDWR | O_CREAT), 0);
        EXPECT_EQ(process.call(SYS_rename, {process.put(base + "/disk/folder/new"),
                                            process.put(base + "/disk/old", arena + 0x3D000)}),
                  0);
        EXPECT_GE(process.open(base + "/disk/old", O_RDONLY), 0);
        EXPECT_EQ(process.call(SYS_unlink, {process.put(base + "/disk/old")}), 0);
        EXPECT_NE(log.find("is the host kernel's and not for guests"), log.npos) << log;
        log.clear();
    }
    for (const char* name : {"disk/proc", "devices", "file", "bound", "procfs", "disk"})
        ::umount2((folder / name).c_str(), MNT_DETACH);
}

// For a path that is refused only system calls that take names are made; an ordinary file costs no more calls than
// without these checks.
TEST_F(HostWindowTest, HostCallsOfAPath) {
    Folder folder;
    folder.write("file", "text");
    LinuxProcess process(options({{.virtual_path = "/", .real_path = "/"}}));
    const std::string path = folder / "file";
    using Names = std::vector<std::string>;
    const auto calls = [&](const std::string& name, int flags = O_RDONLY) {
        return HostCallRecorder::record([&] { process.open(name, flags); });
    };
    // On another mount than "/", where tmp may be, two more and one for each folder above.
    const bool one_mount = calls(path).size() == 5;
    if (one_mount) {
        EXPECT_EQ(calls(path), (Names{"openat2 path", "stat", "openat2", "stat", "close"}));
    }
    EXPECT_EQ(calls("/proc/1/mem"), Names{});
    EXPECT_EQ(calls("/proc/self/maps"), Names{});
    EXPECT_EQ(calls("/dev/kvm"), Names{});
    EXPECT_EQ(calls("/sys/kernel"), Names{});
    EXPECT_EQ(calls("/dev/null"), Names{});

    LinuxProcess below(options({{.virtual_path = "/data", .real_path = folder.path}}));
    EXPECT_EQ(HostCallRecorder::record([&] { below.open("/data/file", O_RDONLY); }),
              (Names{"openat2 path", "stat", "openat2", "stat", "close"}));
    EXPECT_EQ(HostCallRecorder::record([&] { below.open("/data/none", O_RDONLY); }), (Names{"openat2 path"}));
    EXPECT_EQ(HostCallRecorder::record([&] {
                  below.call(SYS_stat, {below.put("/data/file"), arena});
              }),
              (Names{"openat2 path", "stat", "close"}));
    EXPECT_EQ(HostCallRecorder::record([&] { below.open(path, O_RDONLY); }), Names{});

    if (!own_mounts()) GTEST_SKIP() << "needs root, for a mount namespace of its own";
    std::filesystem::create_directory(folder / "kernel");
    ASSERT_EQ(::mount("/proc", (folder / "kernel").c_str(), nullptr, MS_BIND, nullptr), 0);
    LinuxProcess mounted(options({{.virtual_path = "/data", .real_path = folder.path}}));
    const std::set<std::string> harmless = {"openat2 path", "fstatfs", "stat", "close"};
    for (const char* name : {"/data/kernel", "/data/kernel/self/mem", "/data/kernel/1/maps", "/data/kernel/kcore"})
        for (int flags : {O_RDONLY, O_RDWR, O_RDONLY | O_DIRECTORY, O_PATH})
            for (const std::string& call : HostCallRecorder::record([&] { mounted.open(name, flags); }))
                EXPECT_TRUE(harmless.contains(call)) << name << ": " << call;
    ::umount2((folder / "kernel").c_str(), MNT_DETACH);
}

TEST_F(HostWindowTest, DevicesOfTheHostAreNeverOpened) {
    Folder folder;
    ASSERT_EQ(::mkfifo((folder / "fifo").c_str(), 0666), 0);
    if (::mknod((folder / "device").c_str(), S_IFCHR | 0666, makedev(1, 5)) != 0)
        GTEST_SKIP() << "needs root, to make a device node";
    LinuxProcess process(options({{.virtual_path = "/data", .real_path = folder.path, .writable = true}}));
    for (const char* name : {"/data/device", "/data/fifo"}) {
        for (int flags : {O_RDONLY, O_RDWR, O_WRONLY | O_APPEND, O_PATH}) {
            const auto calls = HostCallRecorder::record([&] { process.open(name, flags); });
            EXPECT_EQ(std::count(calls.begin(), calls.end(), "openat2"), 0) << name;
            EXPECT_EQ(process.open(name, flags), -EACCES);
        }
        EXPECT_EQ(process.call(SYS_truncate, {process.put(name), 0}), -EACCES);
        EXPECT_EQ(process.call(SYS_chmod, {process.put(name), 0777}), -EACCES);
    }
}

TEST_F(HostWindowTest, SingleFilesOfSysfsCanBeNamed) {
    const std::string file = "/sys/kernel/mm/transparent_hugepage/enabled";
    struct statfs system {};
    if (::statfs(file.c_str(), &system) != 0 || system.f_type != SYSFS_MAGIC)
        GTEST_SKIP() << "the host has no " << file;
    LinuxProcess process(options({{.virtual_path = file, .real_path = "", .writable = true},
                                  {.virtual_path = "/huge", .real_path = file},
                                  {.virtual_path = "/sys/devices/system/cpu/online", .real_path = file},
                                  {.virtual_path = "/sys/kernel/mm/ksm", .real_path = ""},
                                  {.virtual_path = "/sys/block", .real_path = "", .prefix = false}}));
    EXPECT_NE(content(process, file).find("never"), std::string::npos);
    EXPECT_EQ(content(process, "/huge"), content(process, file));
    EXPECT_EQ(content(process, "/sys/devices/system/cpu/online"), content(process, file)) << "a rule names it";
    EXPECT_EQ(content(process, "/sys/devices/system/cpu/possible"), "0\n");
    EXPECT_EQ(process.open(file, O_WRONLY), -EROFS);
    EXPECT_EQ(list(process, "/sys/kernel/mm/transparent_hugepage"),
              (std::multiset<std::string>{".", "..", "defrag", "enabled", "hpage_pmd_size", "shmem_enabled"}));
    for (const char* other : {"/sys/kernel/mm/transparent_hugepage/use_zero_page", "/sys/kernel/mm/ksm",
                              "/sys/kernel/mm/ksm/run", "/sys/block", "/sys/block/loop0"})
        EXPECT_EQ(traces_of(process, at_cwd, other), "");
}

TEST_F(HostWindowTest, RulesCanAddNames) {
    Folder folder;
    folder.write("cpus", "processor : 7\n");
    std::filesystem::create_directory(folder / "shm");
    LinuxProcess process(options({{.virtual_path = "/proc/cpuinfo", .real_path = folder / "cpus"},
                                  {.virtual_path = "/dev/shm", .real_path = folder / "shm", .writable = true},
                                  {.virtual_path = "/dev/log", .real_path = "/dev/null", .symlink = true}}));
    EXPECT_EQ(content(process, "/proc/cpuinfo"), "processor : 7\n");
    EXPECT_GE(process.open("/dev/shm/semaphore", O_RDWR | O_CREAT), 0);
    EXPECT_TRUE(std::filesystem::exists(folder / "shm/semaphore"));
    EXPECT_EQ(content(process, "/dev/log"), "");
    EXPECT_TRUE(list(process, "/dev").contains("shm"));
    EXPECT_TRUE(list(process, "/dev").contains("zero"));
}

TEST_F(HostWindowTest, WhatIsListedIsThere) {
    LinuxProcess process(options({{.virtual_path = "/", .real_path = ""}}));
    std::vector<std::string> pending = {"/proc", "/sys", "/dev"};
    std::set<std::string> seen;
    while (!pending.empty()) {
        const std::string path = pending.back();
        pending.pop_back();
        ASSERT_EQ(process.call(SYS_lstat, {process.put(path), arena}), 0) << path;
        const auto status = process.get<struct stat>(arena);
        seen.insert(path);
        if (S_ISREG(status.st_mode)) {
            EXPECT_NE(content(process, path).substr(0, 5), "error") << path;
        } else if (S_ISLNK(status.st_mode)) {
            EXPECT_NE(link_target(process, path).substr(0, 5), "error") << path;
        }
        if (!S_ISDIR(status.st_mode)) continue;
        EXPECT_EQ(process.call(SYS_access, {process.put(path), W_OK}), -EROFS);
        for (const std::string& name : list(process, path))
            if (name != "." && name != ".." && !(path.ends_with("/fd") && name == "3"))  // the listing's own
                pending.push_back(path + "/" + name);
    }
    for (const char* path : {"/proc/2/task/2/status", "/proc/self", "/proc/2/fd/0", "/sys/devices/system/cpu/online",
                             "/dev/full", "/proc/sys/kernel/random/uuid"})
        EXPECT_TRUE(seen.contains(path)) << path;
    const auto root = list(process, "/");
    for (const char* name : {"proc", "sys", "dev", "etc"}) EXPECT_EQ(root.count(name), 1U) << name;
}

TEST_F(HostWindowTest, TextsAreAboutTheGuest) {
    Options own = options({});
    own.arguments = {"one", "two words"};
    own.environment = {"KEY=value"};
    LinuxProcess process(own);
    const auto has = [&](const char* path, const std::string& text) {
        const std::string all = content(process, path);
        EXPECT_NE(all.find(text), all.npos) << path << ":\n" << all;
    };
    has("/proc/self/status", "Name:\tprogram\n");
    has("/proc/self/status", "Pid:\t2\n");
    has("/proc/self/status", "Threads:\t1\n");
    has("/proc/2/stat", "2 (program) R 1 2 2 0 -1 ");
    has("/proc/thread-self/comm", "program\n");
    has("/proc/self/task/2/comm", "program\n");
    has("/proc/self/cmdline", std::string("program\0one\0two words\0", 22));
    has("/proc/self/environ", std::string("KEY=value\0", 10));
    has("/proc/self/maps", "[stack]\n");
    has("/proc/self/maps", "[vdso]\n");
    process.call(SYS_brk, {LinuxProcess::heap + 0x3000});
    has("/proc/self/maps", "00800000-00803000 rw-p 00000000 00:00 0                                  [heap]\n");
    has("/proc/self/limits", "Max open files            1024                 1024                 files");
    has("/proc/self/cgroup", "0::/\n");
    has("/proc/mounts", "proc /proc proc ");
    has("/proc/meminfo", "MemTotal:          65536 kB\n");
    has("/proc/cpuinfo", "processor\t: 0\n");
    has("/proc/cpuinfo", " sse2 ");
    has("/proc/stat", "\ncpu0 ");
    has("/proc/version", "Linux version 6.1.0-tinykvm ");
    has("/proc/sys/kernel/osrelease", "6.1.0-tinykvm\n");
    has("/proc/sys/kernel/hostname", "tinykvm\n");
    has("/proc/sys/vm/overcommit_memory", "0\n");
    const std::string cpu = "/sys/devices/system/cpu/", topology = cpu + "cpu0/topology/";
    for (const char* name : {"possible", "present", "online", "kernel_max"})
        EXPECT_EQ(content(process, cpu + name), "0\n") << name;
    for (const char* name : {"core_id", "physical_package_id", "die_id", "thread_siblings_list", "core_siblings_list"})
        EXPECT_EQ(content(process, topology + name), "0\n") << name;
    for (const char* mask : {"thread_siblings", "core_siblings", "core_cpus", "package_cpus"})
        EXPECT_EQ(content(process, topology + mask), "1\n") << mask;
    EXPECT_EQ(list(process, cpu + "cpu0"), (std::multiset<std::string>{".", "..", "topology"}));
    std::string stat = content(process, "/proc/self/stat");
    EXPECT_EQ(std::count(stat.begin(), stat.end(), ' '), 51);
    std::string statm = content(process, "/proc/self/statm");
    EXPECT_EQ(std::count(statm.begin(), statm.end(), ' '), 6);
    EXPECT_EQ(content(process, "/proc/cpuinfo").find("processor\t: 1"), std::string::npos);

    EXPECT_EQ(link_target(process, "/proc/self"), "2");
    EXPECT_EQ(link_target(process, "/proc/thread-self"), "2/task/2");
    EXPECT_EQ(link_target(process, "/proc/self/cwd"), "/");
    EXPECT_EQ(link_target(process, "/proc/self/exe"), "/bin/program");
    EXPECT_EQ(link_target(process, "/dev/stdout"), "/proc/self/fd/1");
    EXPECT_EQ(list(process, "/proc/self/fd"), (std::multiset<std::string>{".", "..", "0", "1", "2", "3"}));

    EXPECT_NE(content(process, "/proc/sys/kernel/random/uuid"), content(process, "/proc/sys/kernel/random/uuid"));
    const std::string boot = content(process, "/proc/sys/kernel/random/boot_id");
    EXPECT_EQ(boot, content(process, "/proc/sys/kernel/random/boot_id"));
    EXPECT_EQ(boot.size(), 37U);
}

// As on Linux, a name cannot make a line of its own in a text that is read line by line.
TEST_F(HostWindowTest, NamesMakeNoLinesOfTheirOwn) {
    Folder folder;
    folder.write("a\nb", "text");
    LinuxProcess process(options({{.virtual_path = "/data", .real_path = folder.path}}));
    EXPECT_EQ(process.call(SYS_prctl, {PR_SET_NAME, process.put("x\nUid:\t0\\")}), 0);
    const auto has = [&](const char* path, const std::string& text) {
        const std::string all = content(process, path);
        EXPECT_NE(all.find(text), all.npos) << path << ":\n" << all;
    };
    has("/proc/self/status", "Name:\tx\\nUid:\t0\\\\\nUmask:");
    has("/proc/self/stat", "2 (x\\nUid:\t0\\\\) R 1 ");
    EXPECT_EQ(content(process, "/proc/self/comm"), "x\nUid:\t0\\\n");
    const auto file = static_cast<std::uint64_t>(process.open("/data/a\nb", O_RDONLY));
    EXPECT_GT(process.call(SYS_mmap, {0, page_size, PROT_READ, MAP_PRIVATE, file, 0}), 0);
    has("/proc/self/maps", " /data/a\\012b\n");
}

TEST_F(HostWindowTest, OwnProgramIsTheFileAndNotALinkToIt) {
    Folder folder;
    std::filesystem::create_directory(folder / "package");
    folder.write("package/program", "text");
    std::filesystem::create_symlink("package/program", folder / "program");
    LinuxProcess process(options({{.virtual_path = "/bin", .real_path = folder.path}}));
    EXPECT_EQ(link_target(process, "/proc/self/exe"), "/bin/package/program");
    EXPECT_EQ(content(process, "/proc/self/exe"), "text");
}

TEST_F(HostWindowTest, TextsCannotBeChangedAndAreFew) {
    LinuxProcess process;
    for (int flags : {O_WRONLY, O_RDWR, O_RDONLY | O_TRUNC, O_WRONLY | O_CREAT})
        EXPECT_EQ(process.open("/proc/self/status", flags), -EACCES);
    EXPECT_EQ(process.call(SYS_access, {process.put("/proc/self/status"), W_OK}), -EACCES);
    EXPECT_EQ(process.call(SYS_unlink, {process.put("/proc/self/status")}), -EPERM);
    EXPECT_EQ(process.call(SYS_rmdir, {process.put("/proc/sys")}), -EPERM);
    EXPECT_EQ(process.call(SYS_mkdir, {process.put("/proc/new"), 0755}), -ENOENT);
    EXPECT_EQ(process.open("/dev/full", O_RDWR), 3);
    EXPECT_EQ(process.call(SYS_write, {3, arena, 5}), -ENOSPC);
    EXPECT_EQ(process.call(SYS_read, {3, arena, 5}), 5);
    for (int i = 0; i < 8; ++i) EXPECT_EQ(process.open("/proc/meminfo", O_RDONLY), 4 + i);
    EXPECT_EQ(process.open("/proc/meminfo", O_RDONLY), -ENFILE);
    EXPECT_EQ(process.open("/proc/self/fd/4", O_RDONLY | O_NOFOLLOW), -ELOOP);
}

TEST_F(HostWindowTest, RefusedReadsAreLoggedOnceAndNotWithoutEnd) {
    LinuxProcess process(options({{.virtual_path = "/data", .real_path = "/usr"}}));
    const std::string line = "open: \"/etc/passwd\" is not in allowed_paths\n";
    for (int i = 0; i < 3; ++i) EXPECT_EQ(process.open("/etc/passwd", O_RDONLY), -ENOENT);
    EXPECT_EQ(log, line);
    // Another request of the program: its state is the snapshot's again.
    linux_abi::ProcessState snapshot = process.process.state();
    process.process.restore(snapshot);
    EXPECT_EQ(process.call(SYS_stat, {process.put("/etc/passwd"), arena}), -ENOENT);
    EXPECT_EQ(log, line);
    EXPECT_EQ(process.open("/data/not/there", O_RDONLY), -ENOENT);
    EXPECT_EQ(log, line) << "only missing";
    EXPECT_EQ(process.open("/proc/1/mem", O_RDONLY), -ENOENT);
    EXPECT_NE(log.find("open: \"/proc/1\" is not among what guests have in /proc, /sys and /dev\n"), log.npos) << log;
    EXPECT_EQ(process.open("/data/new", O_WRONLY | O_CREAT), -EROFS);
    EXPECT_NE(log.find("open: \"/data/new\" is not writable\n"), log.npos) << log;
    for (int i = 0; i < 1000; ++i) process.open("/secret/" + std::to_string(i), O_RDONLY);
    EXPECT_EQ(std::count(log.begin(), log.end(), '\n'), 65);
    EXPECT_TRUE(log.ends_with("more paths are refused, and not logged\n")) << log;
}

}  // namespace
}  // namespace tinykvm

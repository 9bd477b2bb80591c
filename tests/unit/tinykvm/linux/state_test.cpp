// The process state is a value: setting a process back by assignment leaves nothing of what it did.
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>
#include <string>

#include "tests/unit/linux_process.hpp"
#include "tinykvm/os/address_sanitizer.hpp"

namespace tinykvm {
namespace {

using test::Folder;
using test::LinuxProcess;
constexpr GuestAddr arena = LinuxProcess::arena;

class StateTest : public testing::Test {
  protected:
    StateTest() : guest(options()) {
        folder.write("file", "0123456789");
        // What the main VM has when it is frozen.
        file = static_cast<std::uint64_t>(guest.open("/data/file", O_RDONLY));
        guest.call(SYS_read, {file, arena, 2});
        directory = static_cast<std::uint64_t>(guest.open("/data", O_RDONLY | O_DIRECTORY));
        guest.call(SYS_pipe2, {arena, O_NONBLOCK});
        reader = static_cast<std::uint64_t>(guest.get<int>(arena)),
        writer = static_cast<std::uint64_t>(guest.get<int>(arena + 4));
        guest.call(SYS_write, {writer, guest.put("left"), 4});
        event = static_cast<std::uint64_t>(guest.call(SYS_eventfd2, {5, EFD_NONBLOCK}));
        action(SIGUSR1, 0x1111);
        guest.call(SYS_chdir, {guest.put("/data/sub")});
        guest.call(SYS_brk, {LinuxProcess::heap + 0x5000});
        guest.fill(arena, 0x1000);
        snapshot = guest.process.state();
    }

    Options options() {
        std::filesystem::create_directory(folder / "sub");
        std::filesystem::create_directory(folder / "other");
        Options options;
        options.allowed_paths = {{.virtual_path = "/data", .real_path = folder.path, .writable = true}};
        return options;
    }
    void action(int signal, std::uint64_t handler) {
        const linux_abi::SignalAction wanted{handler, SA_SIGINFO, 0, 0};
        guest.call(SYS_rt_sigaction, {static_cast<std::uint64_t>(signal), guest.put_value(wanted), 0, 8});
    }

    // Everything a program can ask about itself, as one text. Undoes what asking changes.
    std::string look() {
        std::string seen;
        const auto note = [&](const char* what, std::int64_t value) {
            seen += std::string(what) + " " + std::to_string(value) + "\n";
        };
        const linux_abi::ProcessState before = guest.process.state();
        for (std::uint64_t signal = 1; signal <= 64; ++signal) {
            guest.call(SYS_rt_sigaction, {signal, 0, arena, 8});
            seen += guest.bytes(arena, 32);
        }
        for (std::uint64_t fd = 0; fd < 260; ++fd) {
            note("flags", guest.call(SYS_fcntl, {fd, F_GETFL}));
            note("close-on-exec", guest.call(SYS_fcntl, {fd, F_GETFD}));
            note("position", guest.call(SYS_lseek, {fd, 0, SEEK_CUR}));
            if (guest.call(SYS_fstat, {fd, arena}) == 0) note("mode", guest.get<struct stat>(arena).st_mode);
        }
        note("next", guest.call(SYS_dup, {0}));
        note("pipe", guest.call(SYS_read, {reader, arena, 100}));
        note("empty pipe", guest.call(SYS_read, {reader, arena, 100}));
        note("event", guest.call(SYS_read, {event, arena, 8}));
        seen += guest.call(SYS_getcwd, {arena, 4096}) > 0 ? guest.memory.read_string(arena, 4096).value() : "none";
        note("relative", guest.open("../file", O_RDONLY));
        note("break", guest.call(SYS_brk, {0}));
        note("umask", guest.call(SYS_umask, {022}));
        for (std::uint64_t limit = 0; limit < 16; ++limit) {
            guest.call(SYS_prlimit64, {0, limit, 0, arena});
            seen += guest.bytes(arena, 16);
        }
        guest.call(SYS_rt_sigprocmask, {SIG_BLOCK, 0, arena, 8});
        seen += guest.bytes(arena, 8);
        guest.call(SYS_rt_sigpending, {arena, 8});
        seen += guest.bytes(arena, 8);
        guest.call(SYS_sigaltstack, {0, arena});
        seen += guest.bytes(arena, 24);
        guest.call(SYS_prctl, {PR_GET_NAME, arena});
        seen += guest.bytes(arena, 16);
        note("dumpable", guest.call(SYS_prctl, {PR_GET_DUMPABLE}));
        note("no new privileges", guest.call(SYS_prctl, {PR_GET_NO_NEW_PRIVS}));
        guest.call(SYS_get_robust_list, {0, arena, arena + 8});
        seen += guest.bytes(arena, 16);
        note("tid", guest.call(SYS_gettid));
        guest.process.state() = before;
        guest.fill(arena, 0x1000);
        return seen;
    }

    // A request that leaves nothing as it was.
    void mess_up() {
        for (int signal = 1; signal <= 64; ++signal) action(signal, 0x666);
        const linux_abi::SignalSet all = ~linux_abi::SignalSet{0};
        guest.call(SYS_rt_sigprocmask, {SIG_SETMASK, guest.put_value(all), 0, 8});
        guest.call(SYS_kill, {linux_abi::first_process_id, SIGUSR2});
        for (std::uint64_t fd : {file, directory, reader, writer, event})
            guest.call(SYS_fcntl, {fd, F_SETFL, O_APPEND});
        guest.call(SYS_lseek, {file, 7, SEEK_SET});
        guest.call(SYS_getdents64, {directory, arena, 100});
        guest.call(SYS_write, {writer, arena, 1000});
        guest.call(SYS_fcntl, {writer, F_SETFL, 0});
        guest.call(SYS_write, {event, guest.put_value(std::uint64_t{77}), 8});
        guest.call(SYS_dup2, {file, 1});
        guest.call(SYS_close, {2});
        guest.call(SYS_fcntl, {file, F_SETFD, FD_CLOEXEC});
        guest.open("/data/file", O_RDWR);
        guest.call(SYS_chdir, {guest.put("/data/other")});
        guest.call(SYS_brk, {LinuxProcess::heap + 0x9000});
        guest.call(SYS_umask, {0});
        const linux_abi::ResourceLimit small{3, 3};
        guest.call(SYS_prlimit64, {0, RLIMIT_NOFILE, guest.put_value(small), 0});
        guest.call(SYS_prlimit64, {0, RLIMIT_STACK, guest.put_value(small), 0});
        const struct {
            std::uint64_t begin;
            std::uint64_t flags, size;
        } stack{arena, 0, 8192};
        guest.call(SYS_sigaltstack, {guest.put_value(stack), 0});
        guest.call(SYS_prctl, {PR_SET_NAME, guest.put("evil")});
        guest.call(SYS_prctl, {PR_SET_DUMPABLE, 0});
        guest.call(SYS_prctl, {PR_SET_NO_NEW_PRIVS, 1});
        guest.call(SYS_set_robust_list, {0x1234, 24});
        guest.call(SYS_set_tid_address, {0x5678});
    }

    Folder folder;
    LinuxProcess guest;
    std::uint64_t file = 0, directory = 0, reader = 0, writer = 0, event = 0;
    linux_abi::ProcessState snapshot;
};

TEST_F(StateTest, AssignmentSetsEverythingBack) {
    const std::string first = look();
    ASSERT_EQ(look(), first) << "looking changes something";
    for (int round = 0; round < 50; ++round) {
        mess_up();
        ASSERT_NE(look(), first);
        guest.process.state() = snapshot;
        ASSERT_EQ(look(), first) << "round " << round;
    }
}

// The master and siblings see nothing of it either.
// A guest can close its side of a connection that waits to be accepted, and make more without a file of its own.
TEST_F(StateTest, ConnectionsThatWaitAreLimited) {
    std::uint64_t waiting = 0;
    std::int64_t result = 0;
    for (char name = 'a'; name < 'e'; ++name) {
        const char bytes[] = {AF_UNIX, 0, 0, name};
        const GuestAddr address = guest.put(std::string(bytes, sizeof bytes));
        const auto server = static_cast<std::uint64_t>(guest.call(SYS_socket, {AF_UNIX, SOCK_STREAM, 0}));
        EXPECT_EQ(guest.call(SYS_bind, {server, address, sizeof bytes}), 0);
        EXPECT_EQ(guest.call(SYS_listen, {server, 4096}), 0);
        do {
            const auto client =
                static_cast<std::uint64_t>(guest.call(SYS_socket, {AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0}));
            result = guest.call(SYS_connect, {client, address, sizeof bytes});
            guest.call(SYS_close, {client});
            waiting += result == 0;
        } while (result == 0);
        EXPECT_EQ(result, -EAGAIN);
    }
    EXPECT_LE(waiting, 4096 + guest.process.state().files.limit());
}

TEST_F(StateTest, CopiesAreIndependent) {
    linux_abi::ProcessState sibling = snapshot;
    mess_up();
    EXPECT_EQ(sibling.files.find(static_cast<int>(file))->offset, 2u);
    EXPECT_EQ(snapshot.files.find(static_cast<int>(file))->offset, 2u);
    EXPECT_EQ(sibling.files.incoming(*sibling.files.find(static_cast<int>(reader))).bytes, "left");
    EXPECT_EQ(snapshot.files.find(static_cast<int>(event))->counter, 5u);
    EXPECT_EQ(sibling.working_directory, "/data/sub");
    EXPECT_EQ(sibling.actions[SIGUSR1].handler, 0x1111u);
    EXPECT_EQ(sibling.files.limit(), 1024u);
}

TEST_F(StateTest, ANonBlockingPipeStaysOneAfterAThousandResets) {
    guest.patience = std::chrono::milliseconds(500);
    for (int i = 0; i < 1000; ++i) {
        guest.call(SYS_fcntl, {reader, F_SETFL, 0});
        guest.call(SYS_read, {reader, arena, 4});
        guest.process.state() = snapshot;
        ASSERT_EQ(guest.call(SYS_read, {reader, arena, 100}), 4);
        ASSERT_EQ(guest.call(SYS_read, {reader, arena, 100}), -EAGAIN);
        guest.process.state() = snapshot;
    }
}

// Host descriptors live as long as the last state that refers to them, and no longer.
TEST_F(StateTest, HostDescriptorsComeBack) {
    const std::size_t before = test::host_descriptors();
    for (int i = 0; i < 1000; ++i) {
        for (int j = 0; j < 20; ++j) ASSERT_GE(guest.open("/data/file", O_RDONLY), 0);
        guest.process.state() = snapshot;
    }
    EXPECT_EQ(test::host_descriptors(), before);
    {
        linux_abi::ProcessState copy = snapshot;
        guest.call(SYS_close, {file});
        snapshot.files.close(static_cast<int>(file));
        EXPECT_EQ(test::host_descriptors(), before) << "the copy still has it";
    }
    EXPECT_EQ(test::host_descriptors(), before - 1);
}

// Copying and assigning make no system call (but for memory).
TEST_F(StateTest, CopyingMakesNoSystemCall) {
#ifdef TINYKVM_ADDRESS_SANITIZER
    GTEST_SKIP() << "the sanitizer's allocator makes system calls of its own";
#endif
    const pid_t child = ::fork();
    if (child == 0) {
        sock_filter program[] = {
            BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 3, 0),
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_brk, 2, 0),
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 1, 0),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        const sock_fprog filter{std::size(program), program};
        ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) ::_exit(2);
        for (int i = 0; i < 100; ++i) {
            linux_abi::ProcessState copy = snapshot;
            guest.process.state() = copy;
        }
        ::_exit(guest.process.state().files.open_descriptors() == snapshot.files.open_descriptors() ? 0 : 1);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_TRUE(WIFEXITED(status)) << "killed by " << WTERMSIG(status);
    EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST_F(StateTest, CopyingIsCheap) {
    const auto begin = Clock::now();
    constexpr int rounds = 10000;
    for (int i = 0; i < rounds; ++i) guest.process.state() = snapshot;
    const double each = std::chrono::duration<double, std::micro>(Clock::now() - begin).count() / rounds;
    RecordProperty("microseconds", std::to_string(each));
    EXPECT_LT(each, 100) << "microseconds";
}

// The folder of the first-ever request, deleted meanwhile.
TEST_F(StateTest, ADeletedWorkingDirectoryIsGoneForEverybodyAlike) {
    folder.write("sub/here", "");
    folder.write("other/here", "");
    EXPECT_GE(guest.open("here", O_RDONLY), 0);
    std::filesystem::remove_all(folder / "sub");
    EXPECT_EQ(guest.open("here", O_RDONLY), -ENOENT);
    guest.call(SYS_chdir, {guest.put("/data/other")});
    EXPECT_GE(guest.open("here", O_RDONLY), 0);
    guest.process.state() = snapshot;
    EXPECT_EQ(guest.open("here", O_RDONLY), -ENOENT);
    EXPECT_GT(guest.call(SYS_getcwd, {arena, 100}), 0);
    EXPECT_EQ(guest.memory.read_string(arena, 100).value(), "/data/sub");
}

}  // namespace
}  // namespace tinykvm

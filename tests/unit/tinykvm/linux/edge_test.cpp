// Hostile arguments: no system call may do anything but return, throw one of our errors, or end the
// guest.
#include <fcntl.h>
#include <sched.h>
#include <sys/socket.h>

#include <random>

#include "tests/unit/linux_process.hpp"
#include "tinykvm/linux/syscall_table.hpp"

namespace tinykvm {
namespace {

using test::Folder;
using test::LinuxProcess;

constexpr std::uint64_t unmapped = 0x50000000;
const std::uint64_t pointers[] = {~std::uint64_t{0},
                                  ~std::uint64_t{0} - 4095,
                                  unmapped,
                                  LinuxProcess::arena + LinuxProcess::arena_size - 1,
                                  LinuxProcess::arena + LinuxProcess::arena_size,
                                  0,
                                  0x8000000000000000,
                                  0x0000800000000000,
                                  x86::shim,
                                  x86::system_end - 1,
                                  x86::user_end - 1,
                                  LinuxProcess::arena + 3};
const std::uint64_t lengths[] = {0, 1, 4095, 4096, std::uint64_t{1} << 31, std::uint64_t{1} << 63, ~std::uint64_t{0}};

// The time in which calls must end by themselves.
constexpr auto enough = std::chrono::seconds(20);

// Ends at once what would block, and makes every kind of descriptor available.
class EdgeTest : public testing::Test {
  protected:
    EdgeTest() : guest(options()) {
        folder_.write("file", std::string(10000, 'f'));
        guest.patience = std::chrono::milliseconds(30);
        reset();
    }

    Options options() {
        Options options;
        options.allowed_paths = {{.virtual_path = "/data", .real_path = folder_.path, .writable = true}};
        options.output = [](int, std::string_view) {};
        return options;
    }

    void reset() {
        if (!start_) start_ = guest.process.state();
        guest.process.state() = *start_;
        guest.open("/data/file", O_RDWR);                                                            // 3
        guest.open("/data", O_RDONLY | O_DIRECTORY);                                                 // 4
        guest.call(SYS_pipe2, {LinuxProcess::arena, O_NONBLOCK});                                    // 5, 6
        guest.call(SYS_eventfd2, {1, O_NONBLOCK});                                                   // 7
        guest.open("/dev/zero", O_RDWR);                                                             // 8
        guest.open("/proc/self/maps", O_RDONLY);                                                     // 9
        guest.open("/data/file", O_PATH);                                                            // 10
        guest.open("/dev/urandom", O_RDONLY);                                                        // 11
        guest.open("/dev/null", O_RDWR);                                                             // 12
        guest.open("/dev/full", O_RDWR);                                                             // 13
        guest.call(SYS_socketpair, {AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, LinuxProcess::arena});  // 14, 15
        guest.call(SYS_epoll_create1, {0});                                                          // 16
        guest.registers.rsp = LinuxProcess::stack - 0x10000;
        guest.registers.rip = 0x400000;
    }
    static constexpr int descriptors = 18;

    // Makes the call; anything but a result or an error of ours fails the test.
    std::int64_t attempt(std::uint64_t number, const std::vector<std::uint64_t>& arguments) {
        try {
            const std::int64_t result = guest.call(number, arguments);
            if (guest.outcome.next != linux_abi::Outcome::Next::resume) reset();
            return result;
        } catch (const Timeout&) {
            return -ETIMEDOUT;
        } catch (const OutOfMemory&) {
            return -ENOMEM;
        }
    }

    Folder folder_;
    LinuxProcess guest;
    std::optional<linux_abi::ProcessState> start_;
};

// Which argument of a call is a pointer and which a length, as far as the table tells.
TEST_F(EdgeTest, EveryPointerWithEveryLength) {
    for (std::uint64_t number = 0; number < linux_abi::system_call_numbers; ++number) {
        const linux_abi::SystemCall* entry = linux_abi::find_system_call(number);
        if (!entry || !entry->handler) continue;
        const std::string format = entry->arguments;
        const bool sleeps = number == SYS_nanosleep || number == SYS_clock_nanosleep || number == SYS_pause ||
                            number == SYS_select || number == SYS_pselect6 || number == SYS_poll ||
                            number == SYS_ppoll || number == SYS_futex || number == SYS_rt_sigtimedwait ||
                            number == SYS_rt_sigsuspend;
        guest.patience = std::chrono::milliseconds(sleeps ? 1 : 100);
        const int last_descriptor = format.starts_with("d") ? descriptors : 0;
        for (int fd = 0; fd <= last_descriptor; ++fd) {
            for (std::uint64_t pointer : pointers) {
                for (std::uint64_t length : lengths) {
                    std::vector<std::uint64_t> arguments;
                    for (std::size_t i = 0; i < format.size(); ++i) {
                        switch (format[i]) {
                            case 'a':
                            case 's': arguments.push_back(pointer); break;
                            case 'u':
                            case 'l': arguments.push_back(length); break;
                            case 'd': arguments.push_back(static_cast<std::uint64_t>(i == 0 ? fd : 0)); break;
                            default: arguments.push_back(0);
                        }
                    }
                    const auto begin = Clock::now();
                    attempt(number, arguments);
                    // Work is bounded by the deadline, with room for a busy machine.
                    ASSERT_LT(Clock::now() - begin, std::chrono::seconds(60))
                        << entry->name << " " << fd << " " << std::hex << pointer << " " << length;
                    if (!guest.process.state().files.find(3) || number == SYS_brk) reset();
                }
            }
        }
        reset();
    }
}

TEST_F(EdgeTest, EveryNumberWithRandomArguments) {
    std::mt19937_64 random(2026);
    guest.patience = std::chrono::milliseconds(2);
    const auto argument = [&]() -> std::uint64_t {
        switch (random() % 8) {
            case 0: return random();
            case 1: return random() % descriptors;
            case 2: return std::uint64_t{1} << random() % 64;
            case 3: return LinuxProcess::arena + random() % LinuxProcess::arena_size;
            case 4: return pointers[random() % std::size(pointers)];
            case 5: return lengths[random() % std::size(lengths)];
            case 6: return ~std::uint64_t{0} << random() % 64;
            default: return random() % 0x1000;
        }
    };
    for (std::uint64_t number = 0; number < 1024; ++number) {
        for (int round = 0; round < 60; ++round) {
            std::vector<std::uint64_t> arguments(6);
            for (auto& value : arguments) value = argument();
            SCOPED_TRACE(number);
            ASSERT_NO_FATAL_FAILURE(attempt(number, arguments));
            // Mappings the call took away are the test's own.
            if (!guest.memory.is_writable(LinuxProcess::arena, LinuxProcess::arena_size)) {
                ASSERT_EQ(guest.memory.map(LinuxProcess::arena, LinuxProcess::arena_size, {true, true, false}), 0);
                guest.fill(LinuxProcess::arena, LinuxProcess::arena_size);
            }
        }
        constexpr GuestAddr stack = LinuxProcess::stack - LinuxProcess::stack_size;
        if (!guest.memory.is_writable(stack, LinuxProcess::stack_size)) {
            ASSERT_EQ(guest.memory.map(stack, LinuxProcess::stack_size, {true, true, false}), 0);
        }
        reset();
    }
}

// Every futex operation, also the private and the realtime ones.
TEST_F(EdgeTest, EveryFutexOperation) {
    guest.patience = std::chrono::milliseconds(1);
    for (std::uint64_t operation = 0; operation < 512; ++operation)
        for (std::uint64_t pointer : pointers) attempt(SYS_futex, {pointer, operation, 1, pointer, pointer, 1});
}

// The number is the whole register; garbage above it is no call.
TEST_F(EdgeTest, NumbersBeyondTheTableDoNotExist) {
    for (std::uint64_t high : {std::uint64_t{1} << 16, std::uint64_t{1} << 32, std::uint64_t{1} << 63})
        EXPECT_EQ(attempt(SYS_getpid | high, {}), -ENOSYS);
    EXPECT_EQ(attempt(~std::uint64_t{0}, {}), -ENOSYS);
}

TEST_F(EdgeTest, ReadsAndWritesGiveEfaultAndNothingElse) {
    for (std::uint64_t pointer : {~std::uint64_t{0}, unmapped, std::uint64_t{0}, std::uint64_t{x86::shim}}) {
        EXPECT_EQ(attempt(SYS_read, {3, pointer, 10}), -EFAULT);
        EXPECT_EQ(attempt(SYS_pread64, {3, pointer, 10, 0}), -EFAULT);
        EXPECT_EQ(attempt(SYS_write, {1, pointer, 10}), -EFAULT);
        EXPECT_EQ(attempt(SYS_write, {6, pointer, 10}), -EFAULT);
        EXPECT_EQ(attempt(SYS_fstat, {3, pointer}), -EFAULT);
        EXPECT_EQ(attempt(SYS_getcwd, {pointer, 100}), -EFAULT);
        EXPECT_EQ(attempt(SYS_getrandom, {pointer, 100, 0}), -EFAULT);
        EXPECT_EQ(attempt(SYS_open, {pointer, 0, 0}), -EFAULT);
        EXPECT_EQ(attempt(SYS_uname, {pointer}), -EFAULT);
        EXPECT_EQ(attempt(SYS_sysinfo, {pointer}), -EFAULT);
    }
    // The offset of the file did not move for what could not be delivered.
    EXPECT_EQ(attempt(SYS_lseek, {3, 0, SEEK_CUR}), 0);
}

// Linux delivers what it could before the hole.
TEST_F(EdgeTest, TransfersStopAtAHole) {
    const GuestAddr end = LinuxProcess::arena + LinuxProcess::arena_size;
    EXPECT_EQ(attempt(SYS_read, {3, end - 100, 4096}), 100);
    EXPECT_EQ(attempt(SYS_lseek, {3, 0, SEEK_CUR}), 100);
    EXPECT_EQ(attempt(SYS_write, {6, end - 7, 100}), 7);
}

TEST_F(EdgeTest, NoLengthAndEnormousLength) {
    struct Vector {
        std::uint64_t address, size;
    };
    const std::uint64_t at = guest.put_value(Vector{0, 0});
    for (std::uint64_t fd = 0; fd < descriptors; ++fd) {
        for (std::uint64_t number : {SYS_read, SYS_write, SYS_readv, SYS_writev, SYS_getdents64}) {
            attempt(number, {fd, LinuxProcess::arena, 0});
            attempt(number, {fd, at, 1});
        }
    }
    guest.patience = enough;
    EXPECT_EQ(attempt(SYS_getrandom, {LinuxProcess::arena, std::uint64_t{1} << 40, 0}),
              static_cast<std::int64_t>(LinuxProcess::arena_size));
    EXPECT_EQ(attempt(SYS_write, {1, LinuxProcess::arena, std::uint64_t{1} << 40}),
              static_cast<std::int64_t>(LinuxProcess::arena_size));
}

TEST_F(EdgeTest, VectorCounts) {
    guest.patience = enough;
    for (std::uint64_t count :
         {std::uint64_t{1025}, std::uint64_t{1} << 20, std::uint64_t{0x7fffffff}, ~std::uint64_t{0}})
        for (std::uint64_t number : {SYS_readv, SYS_writev, SYS_preadv, SYS_pwritev})
            EXPECT_EQ(attempt(number, {3, LinuxProcess::arena, count, 0}), -EINVAL);
    std::vector<std::uint64_t> vector(2048);
    for (std::size_t i = 0; i < 1024; ++i) vector[2 * i] = LinuxProcess::arena + 0x20000 + i, vector[2 * i + 1] = 1;
    ASSERT_TRUE(guest.memory.write(LinuxProcess::arena, vector.data(), vector.size() * 8));
    EXPECT_EQ(attempt(SYS_readv, {3, LinuxProcess::arena, 1024}), 1024);
    EXPECT_EQ(guest.bytes(LinuxProcess::arena + 0x20000, 1024), std::string(1024, 'f'));
    vector[1] = std::uint64_t{1} << 63;
    ASSERT_TRUE(guest.memory.write(LinuxProcess::arena, vector.data(), 16));
    EXPECT_EQ(attempt(SYS_readv, {3, LinuxProcess::arena, 2}), -EINVAL);
}

TEST_F(EdgeTest, PollCounts) {
    guest.patience = enough;
    constexpr int first = descriptors - 1, count = 1024 - first;  // those that are not open yet
    for (int i = first; i < 1024; ++i) ASSERT_EQ(attempt(SYS_dup, {1}), i);
    std::vector<std::uint64_t> entries(1024);
    for (std::size_t i = 0; i < entries.size(); ++i) entries[i] = i | std::uint64_t{4} << 32;  // POLLOUT
    ASSERT_TRUE(guest.memory.write(LinuxProcess::arena, entries.data(), entries.size() * 8));
    EXPECT_EQ(attempt(SYS_poll, {LinuxProcess::arena, 0, 0}), 0);
    EXPECT_EQ(attempt(SYS_poll, {LinuxProcess::arena + 8, 1, 0}), 1);
    EXPECT_EQ(attempt(SYS_poll, {LinuxProcess::arena + first * 8, count, 0}), count);
    EXPECT_GT(attempt(SYS_poll, {LinuxProcess::arena, 1024, 0}), count);
    EXPECT_EQ(attempt(SYS_poll, {LinuxProcess::arena, 1025, 0}), -EINVAL);
    EXPECT_EQ(attempt(SYS_poll, {LinuxProcess::arena, 65535, 0}), -EINVAL);
}

TEST_F(EdgeTest, AffinityHonoursTheBufferSize) {
    guest.patience = enough;
    for (std::uint64_t size : {0, 1, 7, 9, 12}) {
        EXPECT_EQ(attempt(SYS_sched_getaffinity, {0, size, LinuxProcess::arena + 64}), -EINVAL) << size;
        EXPECT_TRUE(guest.untouched(LinuxProcess::arena + 64, 128));
    }
    for (std::uint64_t size : {8, 128}) {
        guest.fill(LinuxProcess::arena + 64, 256);
        EXPECT_EQ(attempt(SYS_sched_getaffinity, {0, size, LinuxProcess::arena + 64}), 8);
        EXPECT_EQ(guest.get<std::uint64_t>(LinuxProcess::arena + 64), 1u);
        EXPECT_TRUE(guest.untouched(LinuxProcess::arena + 72, 128));
    }
}

// pthread_create with explicit attributes asks for the policy that threads have anyway.
TEST_F(EdgeTest, TheOneSchedulingPolicyIsGranted) {
    guest.patience = enough;
    const GuestAddr zero = guest.put_value(std::int32_t{0}),
                    one = guest.put_value(std::int32_t{1}, LinuxProcess::arena);
    for (std::uint64_t policy : {SCHED_OTHER, SCHED_BATCH, SCHED_IDLE}) {
        EXPECT_EQ(attempt(SYS_sched_setscheduler, {0, policy, zero}), 0);
        EXPECT_EQ(attempt(SYS_sched_setscheduler, {0, policy, one}), -EINVAL);
    }
    EXPECT_EQ(attempt(SYS_sched_setscheduler, {0, SCHED_FIFO, one}), -EPERM);
    EXPECT_EQ(attempt(SYS_sched_setscheduler, {0, SCHED_FIFO, zero}), -EINVAL);
    EXPECT_EQ(attempt(SYS_sched_setscheduler, {0, 99, zero}), -EINVAL);
    EXPECT_EQ(attempt(SYS_sched_setscheduler, {0, SCHED_OTHER, 0}), -EINVAL);
    EXPECT_EQ(attempt(SYS_sched_setscheduler, {0, SCHED_OTHER, 8}), -EFAULT);
    EXPECT_EQ(attempt(SYS_sched_setscheduler, {99, SCHED_OTHER, zero}), -ESRCH);
    EXPECT_EQ(attempt(SYS_sched_setparam, {0, zero}), 0);
    EXPECT_EQ(attempt(SYS_sched_setparam, {0, one}), -EINVAL);
}

}  // namespace
}  // namespace tinykvm

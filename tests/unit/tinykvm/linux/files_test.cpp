// Descriptors and the files they refer to: a model, wrong kinds, positions, pipes, writing.
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <map>
#include <random>
#include <set>

#include "tests/unit/linux_process.hpp"

namespace tinykvm {
namespace {

using test::Folder;
using test::LinuxProcess;
constexpr GuestAddr arena = LinuxProcess::arena;

class FilesTest : public testing::Test {
  protected:
    FilesTest() : guest(options()) {}

    Options options() {
        folder.write("file", "0123456789");
        std::filesystem::create_directory(folder / "sub");
        Options options;
        options.allowed_paths = {{.virtual_path = "/data", .real_path = folder.path, .writable = true}};
        options.output = [this](int fd, std::string_view text) { output[fd] += text; };
        return options;
    }
    std::string read(std::int64_t fd, std::size_t size) {
        const std::int64_t got = guest.call(SYS_read, {static_cast<std::uint64_t>(fd), arena, size});
        return got >= 0 ? guest.bytes(arena, static_cast<std::size_t>(got)) : "error " + std::to_string(got);
    }
    std::int64_t write(std::int64_t fd, const std::string& text) {
        return guest.call(SYS_write, {static_cast<std::uint64_t>(fd), guest.put(text), text.size()});
    }

    Folder folder;
    std::map<int, std::string> output;
    LinuxProcess guest;
};

TEST_F(FilesTest, OutputGoesWhereItShould) {
    EXPECT_EQ(write(1, "to one"), 6);
    EXPECT_EQ(write(2, "to two"), 6);
    guest.call(SYS_dup2, {2, 1});
    write(1, "!");
    EXPECT_EQ(output[1], "to one");
    EXPECT_EQ(output[2], "to two!");
    EXPECT_EQ(write(0, "x"), -EBADF);
    EXPECT_EQ(read(1, 1), "error -9");
    EXPECT_EQ(read(0, 10), "");  // standard input is at its end
}

// Devices have a position, but it never moves, and there is no file of the host whose size could be asked for.
TEST_F(FilesTest, DevicesAreAlwaysAtPositionZero) {
    for (const char* path : {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"}) {
        const auto fd = static_cast<std::uint64_t>(guest.open(path, O_RDWR));
        for (std::uint64_t whence : {SEEK_SET, SEEK_CUR, SEEK_END, SEEK_DATA, SEEK_HOLE})
            EXPECT_EQ(guest.call(SYS_lseek, {fd, 5, whence}), 0) << path << " " << whence;
        EXPECT_EQ(guest.call(SYS_lseek, {fd, 0, SEEK_HOLE + 1}), -EINVAL) << path;
    }
}

// What is scattered arrives in one piece.
TEST_F(FilesTest, AMegabyteOfScatteredPages) {
    std::string expected;
    std::vector<std::uint64_t> vector;
    for (std::uint64_t i = 0; i < 256; ++i) {
        const GuestAddr page = 0x20000000 + (i * 7919 % 256) * 3 * page_size;
        ASSERT_EQ(guest.memory.map(page, page_size, {true, true, false}), 0);
        const std::string text(page_size, static_cast<char>(i));
        ASSERT_TRUE(guest.memory.write(page, text.data(), text.size()));
        expected += text;
        vector.insert(vector.end(), {page, page_size});
    }
    ASSERT_TRUE(guest.memory.write(arena, vector.data(), vector.size() * 8));
    EXPECT_EQ(guest.call(SYS_writev, {1, arena, 256}), 1 << 20);
    EXPECT_EQ(output[1], expected);
}

TEST_F(FilesTest, PositionsBelongToDescriptions) {
    const auto a = guest.open("/data/file", O_RDONLY), b = guest.open("/data/file", O_RDONLY);
    const auto c = guest.call(SYS_dup, {static_cast<std::uint64_t>(a)});
    EXPECT_EQ(read(a, 3), "012");
    EXPECT_EQ(read(c, 3), "345");
    EXPECT_EQ(read(b, 3), "012");
    EXPECT_EQ(guest.call(SYS_pread64, {static_cast<std::uint64_t>(a), arena, 2, 8}), 2);
    EXPECT_EQ(read(a, 10), "6789");
    EXPECT_EQ(read(a, 10), "");
}

TEST_F(FilesTest, WritingAppendingTruncating) {
    const auto fd = guest.open("/data/new", O_RDWR | O_CREAT | O_EXCL, 0640);
    ASSERT_EQ(fd, 3);
    EXPECT_EQ(write(fd, "hello"), 5);
    EXPECT_EQ(guest.call(SYS_pwrite64, {3, guest.put("J"), 1, 0}), 1);
    EXPECT_EQ(folder.read("new"), "Jello");
    struct stat status {};
    ASSERT_EQ(::stat((folder / "new").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0640u);
    const auto appending = guest.open("/data/new", O_WRONLY | O_APPEND);
    EXPECT_EQ(write(appending, " you"), 4);
    EXPECT_EQ(write(fd, "!"), 1);
    EXPECT_EQ(folder.read("new"), "Jello!you");
    // O_APPEND can be turned on and off by fcntl, for the guest's description alone.
    EXPECT_EQ(guest.call(SYS_fcntl, {static_cast<std::uint64_t>(appending), F_SETFL, 0}), 0);
    EXPECT_EQ(guest.call(SYS_lseek, {static_cast<std::uint64_t>(appending), 0, SEEK_SET}), 0);
    EXPECT_EQ(write(appending, "Y"), 1);
    EXPECT_EQ(folder.read("new"), "Yello!you");
    EXPECT_EQ(guest.call(SYS_ftruncate, {3, 2}), 0);
    EXPECT_EQ(folder.read("new"), "Ye");
    EXPECT_EQ(guest.open("/data/new", O_WRONLY | O_TRUNC), 5);
    EXPECT_EQ(folder.read("new"), "");
    EXPECT_EQ(guest.call(SYS_pwrite64, {3, arena, 1, std::uint64_t{1} << 63}), -EINVAL);
    EXPECT_EQ(guest.open("/data/new", O_RDWR | O_CREAT | O_EXCL), -EEXIST);
}

// Every descriptor call on every kind; where it does not fit, an error and no byte of the buffer changed.
TEST_F(FilesTest, WrongKindsLeaveBuffersAlone) {
    const auto file = guest.open("/data/file", O_RDONLY), directory = guest.open("/data", O_RDONLY | O_DIRECTORY);
    ASSERT_EQ(guest.call(SYS_pipe2, {arena, O_NONBLOCK}), 0);
    const auto event = guest.call(SYS_eventfd2, {0, EFD_NONBLOCK});
    const auto path = guest.open("/data/file", O_PATH);
    const auto written = guest.open("/data/new", O_WRONLY | O_CREAT);
    const std::int64_t closed = 77;
    const struct {
        std::uint64_t number;
        std::map<std::int64_t, std::int64_t> expected;
    } table[] = {
        {SYS_getdents64,
         {{file, -ENOTDIR},
          {5, -ENOTDIR},
          {6, -ENOTDIR},
          {event, -ENOTDIR},
          {path, -EBADF},
          {0, -ENOTDIR},
          {1, -ENOTDIR},
          {closed, -EBADF}}},
        {SYS_read,
         {{directory, -EISDIR},
          {5, -EAGAIN},
          {6, -EBADF},
          {event, -EAGAIN},
          {path, -EBADF},
          {1, -EBADF},
          {written, -EBADF},
          {closed, -EBADF}}},
        {SYS_pread64,
         {{directory, -EISDIR},
          {5, -ESPIPE},
          {6, -ESPIPE},
          {event, -ESPIPE},
          {path, -EBADF},
          {0, -ESPIPE},
          {1, -ESPIPE},
          {written, -EBADF},
          {closed, -EBADF}}},
        {SYS_write, {{file, -EBADF}, {directory, -EBADF}, {5, -EBADF}, {path, -EBADF}, {0, -EBADF}, {closed, -EBADF}}},
        {SYS_pwrite64, {{file, -EBADF}, {6, -ESPIPE}, {1, -ESPIPE}, {closed, -EBADF}}},
        {SYS_lseek,
         {{5, -ESPIPE}, {6, -ESPIPE}, {event, -ESPIPE}, {path, -EBADF}, {0, -ESPIPE}, {1, -ESPIPE}, {closed, -EBADF}}},
        {SYS_ftruncate, {{file, -EINVAL}, {directory, -EINVAL}, {5, -EINVAL}, {path, -EBADF}, {closed, -EBADF}}},
        {SYS_fsync, {{5, -EINVAL}, {event, -EINVAL}, {path, -EBADF}, {closed, -EBADF}}},
        {SYS_fchdir, {{file, -ENOTDIR}, {5, -ENOTDIR}, {closed, -EBADF}}},
        {SYS_fstat, {{closed, -EBADF}}},
        {SYS_fallocate, {{file, -EBADF}, {closed, -EBADF}}},
    };
    for (const auto& row : table) {
        for (const auto& [fd, expected] : row.expected) {
            guest.fill(arena, 8192);
            const std::uint64_t third = row.number == SYS_lseek ? SEEK_SET : row.number == SYS_fallocate ? 0 : 1000;
            EXPECT_EQ(guest.call(row.number, {static_cast<std::uint64_t>(fd), row.number == SYS_fallocate ? 0 : arena,
                                              third, row.number == SYS_fallocate ? 10u : 0}),
                      expected)
                << "system call " << row.number << ", descriptor " << fd;
            EXPECT_TRUE(guest.untouched(arena, 8192)) << row.number << " " << fd;
        }
    }
}

// Failing path calls change nothing; succeeding ones define every byte.
TEST_F(FilesTest, PathCallsLeaveBuffersAlone) {
    for (const char* path : {"/data/missing", "/nothing", "/data/file/below", ""}) {
        guest.fill(arena, 8192);
        EXPECT_LT(guest.call(SYS_readlink, {guest.put(path), arena, 4096}), 0);
        EXPECT_LT(guest.call(SYS_stat, {guest.put(path), arena}), 0);
        EXPECT_LT(guest.call(SYS_lstat, {guest.put(path), arena}), 0);
        EXPECT_LT(guest.call(SYS_statx, {static_cast<std::uint64_t>(AT_FDCWD), guest.put(path), 0, 0xfff, arena}), 0);
        EXPECT_TRUE(guest.untouched(arena, 8192)) << path;
    }
    EXPECT_EQ(guest.call(SYS_readlink, {guest.put("/proc/self/exe"), arena, 5}), 5);
    EXPECT_EQ(guest.bytes(arena, 5), "/bin/");
    EXPECT_TRUE(guest.untouched(arena + 5, 100));
    EXPECT_EQ(guest.call(SYS_readlink, {guest.put("/proc/self/exe"), arena, 0}), -EINVAL);
}

TEST_F(FilesTest, ListingsAreCompleteAtEverySize) {
    std::set<std::string> expected{".", "..", "file", "sub"};
    for (int i = 0; i < 500; ++i) {
        const std::string name = "entry-" + std::string(static_cast<std::size_t>(i % 60), 'x') + std::to_string(i);
        folder.write(name, "");
        expected.insert(name);
    }
    for (std::uint64_t size : {100, 300, 1000, 65536}) {
        const auto fd = static_cast<std::uint64_t>(guest.open("/data", O_RDONLY | O_DIRECTORY));
        std::set<std::string> names;
        std::size_t count = 0;
        std::int64_t got = 0;
        while ((got = guest.call(SYS_getdents64, {fd, arena, size})) > 0) {
            ASSERT_LE(got, static_cast<std::int64_t>(size));
            for (std::int64_t at = 0; at < got;) {
                const auto length = guest.get<std::uint16_t>(arena + static_cast<std::uint64_t>(at) + 16);
                names.insert(guest.memory.read_string(arena + static_cast<std::uint64_t>(at) + 19, 300).value());
                ++count;
                at += length;
            }
        }
        EXPECT_EQ(got, 0);
        EXPECT_EQ(names, expected);
        EXPECT_EQ(count, expected.size());
        EXPECT_EQ(guest.call(SYS_getdents64, {fd, arena, size}), 0) << "the end stays the end";
        EXPECT_EQ(guest.call(SYS_lseek, {fd, 0, SEEK_SET}), 0);
        EXPECT_GT(guest.call(SYS_getdents64, {fd, arena, size}), 0);
        guest.call(SYS_close, {fd});
    }
    const auto fd = static_cast<std::uint64_t>(guest.open("/data", O_RDONLY | O_DIRECTORY));
    EXPECT_EQ(guest.call(SYS_getdents64, {fd, arena, 3}), -EINVAL);
}

[[gnu::noinline]] void soil_the_stack() {
    volatile unsigned char bytes[65536];
    for (volatile unsigned char& byte : bytes) byte = 0xEE;
}

// The kernel leaves the bytes between a name and the next entry as they are.
TEST_F(FilesTest, ListingsHoldNothingOfTheHost) {
    const auto fd = static_cast<std::uint64_t>(guest.open("/data", O_RDONLY | O_DIRECTORY));
    soil_the_stack();
    const std::int64_t got = guest.call(SYS_getdents64, {fd, arena, 4096});
    ASSERT_GT(got, 0);
    std::string listing = guest.bytes(arena, static_cast<std::size_t>(got));
    for (std::size_t at = 0; at < listing.size();) {
        std::uint16_t size = 0;
        std::memcpy(&size, listing.data() + at + 16, sizeof size);
        const std::string name = listing.data() + at + 19;
        const std::string behind = listing.substr(at + 19 + name.size(), size - 19 - name.size());
        EXPECT_EQ(behind, std::string(behind.size(), '\0')) << name;
        at += size;
    }
}

TEST_F(FilesTest, PipesEnd) {
    ASSERT_EQ(guest.call(SYS_pipe2, {arena, 0}), 0);
    EXPECT_EQ(write(4, "abc"), 3);
    EXPECT_EQ(read(3, 2), "ab");
    EXPECT_EQ(guest.call(SYS_close, {4}), 0);
    EXPECT_EQ(read(3, 2), "c");
    EXPECT_EQ(read(3, 2), "");
    ASSERT_EQ(guest.call(SYS_pipe2, {arena, 0}), 0);
    EXPECT_EQ(guest.get<int>(arena), 4);
    EXPECT_EQ(guest.call(SYS_close, {4}), 0);
    EXPECT_EQ(write(5, "x"), -EPIPE);
    EXPECT_EQ(guest.outcome.next, linux_abi::Outcome::Next::killed);
    EXPECT_EQ(guest.outcome.signal, SIGPIPE);
}

// A loop that waits for the epoll of another loop must not find it ready when it has nothing to report.
TEST_F(FilesTest, AnEpollIsReadyWhenItReports) {
    const auto set = static_cast<std::uint64_t>(guest.call(SYS_epoll_create1, {0}));
    const auto event = static_cast<std::uint64_t>(guest.call(SYS_eventfd2, {1, EFD_NONBLOCK}));
    const epoll_event edge{EPOLLIN | EPOLLET, {.u64 = 7}};
    ASSERT_EQ(guest.call(SYS_epoll_ctl, {set, EPOLL_CTL_ADD, event, guest.put_value(edge)}), 0);
    const auto is_ready = [&] {
        return guest.call(SYS_poll, {guest.put_value(pollfd{static_cast<int>(set), POLLIN, 0}, arena), 1, 0});
    };
    EXPECT_EQ(is_ready(), 1);
    EXPECT_EQ(guest.call(SYS_epoll_wait, {set, arena + 64, 1, 0}), 1);
    EXPECT_EQ(guest.call(SYS_epoll_wait, {set, arena + 64, 1, 0}), 0);
    EXPECT_EQ(is_ready(), 0);
    EXPECT_EQ(guest.call(SYS_write, {event, guest.put_value(std::uint64_t{1}), 8}), 8);
    EXPECT_EQ(is_ready(), 1);
}

TEST_F(FilesTest, AnEdgeOfTheHostsInputIsSeenEachTime) {
    int pipe[2];
    ASSERT_EQ(::pipe(pipe), 0);
    const int before = ::dup(STDIN_FILENO);
    ::dup2(pipe[0], STDIN_FILENO);
    Options options;
    options.host_stdin = true;
    LinuxProcess reader(options);
    const auto set = static_cast<std::uint64_t>(reader.call(SYS_epoll_create1, {0}));
    const epoll_event edge{EPOLLIN | EPOLLET, {.u64 = 7}};
    ASSERT_EQ(reader.call(SYS_epoll_ctl, {set, EPOLL_CTL_ADD, 0, reader.put_value(edge)}), 0);
    for (int i = 0; i < 2; ++i) {
        EXPECT_EQ(::write(pipe[1], "x", 1), 1);
        EXPECT_EQ(reader.call(SYS_epoll_wait, {set, arena, 1, 0}), 1) << i;
        EXPECT_EQ(reader.call(SYS_read, {0, arena, 10}), 1) << i;
        EXPECT_EQ(reader.call(SYS_epoll_wait, {set, arena, 1, 0}), 0) << i;
    }
    ::dup2(before, STDIN_FILENO);
    for (int fd : {before, pipe[0], pipe[1]}) ::close(fd);
}

// A random sequence of calls against a model of descriptions; all descriptors of the host are closed in the end.
TEST_F(FilesTest, DescriptorsFollowAModel) {
    const std::size_t host_before = test::host_descriptors();
    {
        std::map<int, int> model;  // descriptor -> description
        for (int fd : {0, 1, 2}) model[fd] = fd;
        int next = 3;
        const auto lowest = [&](int from) {
            while (model.count(from)) ++from;
            return from;
        };
        std::mt19937 random(7);
        for (int step = 0; step < 20000; ++step) {
            const int a = static_cast<int>(random() % 40), b = static_cast<int>(random() % 40);
            const auto ua = static_cast<std::uint64_t>(a), ub = static_cast<std::uint64_t>(b);
            switch (random() % 8) {
                case 0:
                    ASSERT_EQ(guest.open("/data/file", O_RDONLY), lowest(0));
                    model[lowest(0)] = next++;
                    break;
                case 1:
                    ASSERT_EQ(guest.call(SYS_close, {ua}), model.count(a) ? 0 : -EBADF);
                    model.erase(a);
                    break;
                case 2:
                    if (model.count(a)) {
                        ASSERT_EQ(guest.call(SYS_dup, {ua}), lowest(0));
                        model[lowest(0)] = model[a];
                    } else {
                        ASSERT_EQ(guest.call(SYS_dup, {ua}), -EBADF);
                    }
                    break;
                case 3:
                    ASSERT_EQ(guest.call(SYS_dup2, {ua, ub}), model.count(a) ? b : -EBADF);
                    if (model.count(a)) model[b] = model[a];
                    break;
                case 4: {
                    const bool works = a != b && model.count(a);
                    ASSERT_EQ(guest.call(SYS_dup3, {ua, ub, O_CLOEXEC}), a == b ? -EINVAL : works ? b : -EBADF);
                    if (works) model[b] = model[a];
                    break;
                }
                case 5: {
                    if (random() % 2)
                        ASSERT_EQ(guest.call(SYS_pipe2, {arena, O_NONBLOCK}), 0);
                    else
                        ASSERT_EQ(guest.call(SYS_socketpair, {AF_UNIX, SOCK_STREAM, 0, arena}), 0);
                    const int reader = lowest(0);
                    model[reader] = next++;
                    const int writer = lowest(0);
                    model[writer] = next++;
                    ASSERT_EQ(guest.get<int>(arena), reader);
                    ASSERT_EQ(guest.get<int>(arena + 4), writer);
                    break;
                }
                case 6:
                    if (model.count(a)) {
                        ASSERT_EQ(guest.call(SYS_fcntl, {ua, F_DUPFD, ub}), lowest(b));
                        model[lowest(b)] = model[a];
                    }
                    break;
                case 7:
                    if (random() % 20 == 0) {
                        const int from = std::min(a, b), to = std::max(a, b);
                        ASSERT_EQ(
                            guest.call(SYS_close_range, {static_cast<unsigned>(from), static_cast<unsigned>(to), 0}),
                            0);
                        model.erase(model.lower_bound(from), model.upper_bound(to));
                    }
                    break;
            }
            if (model.size() > 200) {
                ASSERT_EQ(guest.call(SYS_close_range, {10, ~0u, 0}), 0);
                model.erase(model.lower_bound(10), model.end());
            }
            const linux_abi::FileTable& files = guest.process.state().files;
            ASSERT_EQ(files.open_descriptors(), model.size());
            for (const auto& [fd, description] : model) {
                ASSERT_NE(files.find(fd), nullptr);
                ASSERT_EQ(files.same_description(fd, a), model.count(a) && model[a] == description);
            }
        }
    }
    ASSERT_EQ(guest.call(SYS_close_range, {0, ~0u, 0}), 0);
    EXPECT_EQ(test::host_descriptors(), host_before);
}

TEST_F(FilesTest, DescriptorsAreLimitedAndReusable) {
    for (int i = 3; i < 1024; ++i) ASSERT_EQ(guest.open("/data/file", O_RDONLY), i);
    EXPECT_EQ(guest.open("/data/file", O_RDONLY), -EMFILE);
    EXPECT_EQ(guest.open("/data/not-created", O_RDWR | O_CREAT), -EMFILE);
    EXPECT_FALSE(std::filesystem::exists(folder / "not-created"));
    EXPECT_EQ(guest.call(SYS_pipe2, {arena, 0}), -EMFILE);
    EXPECT_EQ(guest.call(SYS_dup, {1}), -EMFILE);
    EXPECT_EQ(guest.call(SYS_dup2, {1, 1024}), -EBADF);
    EXPECT_EQ(guest.call(SYS_fcntl, {1, F_DUPFD, 1024}), -EINVAL);
    guest.call(SYS_close, {1023});
    EXPECT_EQ(guest.call(SYS_pipe2, {arena, 0}), -EMFILE);
    for (int i = 0; i < 100000; ++i) {
        ASSERT_EQ(guest.open("/dev/null", O_RDONLY), 1023);
        ASSERT_EQ(guest.call(SYS_close, {1023}), 0);
    }
}

// Flags belong to the guest's description; the host's never change.
TEST_F(FilesTest, StatusFlagsNeverReachTheHost) {
    const auto fd = guest.open("/data/file", O_RDWR);
    const int host = guest.process.state().files.find(static_cast<int>(fd))->host->fd();
    const int before = ::fcntl(host, F_GETFL);
    linux_abi::ProcessState sibling = guest.process.state();
    EXPECT_EQ(guest.call(SYS_fcntl, {static_cast<std::uint64_t>(fd), F_SETFL, O_APPEND | O_NONBLOCK}), 0);
    EXPECT_EQ(::fcntl(host, F_GETFL), before);
    EXPECT_EQ(guest.call(SYS_fcntl, {static_cast<std::uint64_t>(fd), F_GETFL}) & (O_APPEND | O_NONBLOCK),
              O_APPEND | O_NONBLOCK);
    EXPECT_EQ(sibling.files.find(static_cast<int>(fd))->flags & (O_APPEND | O_NONBLOCK), 0);
}

// Two guests with one writable file: what one locks, the other finds locked; reset gives it back.
TEST_F(FilesTest, LocksHoldBetweenGuestsAndEndWithTheState) {
    LinuxProcess other(guest.options);
    const auto lock = [](LinuxProcess& process, short type, std::int64_t command = F_SETLK) {
        struct flock wanted {};
        wanted.l_type = type;
        return process.call(SYS_fcntl, {3, static_cast<std::uint64_t>(command), process.put_value(wanted)});
    };
    ASSERT_EQ(guest.open("/data/file", O_RDWR), 3);
    ASSERT_EQ(other.open("/data/file", O_RDWR), 3);
    const linux_abi::ProcessState snapshot = guest.process.state();
    EXPECT_EQ(lock(guest, F_WRLCK), 0);
    EXPECT_EQ(lock(guest, F_WRLCK), 0) << "again by the owner";
    EXPECT_EQ(lock(other, F_WRLCK), -EAGAIN);
    EXPECT_EQ(lock(other, F_RDLCK), -EAGAIN);
    EXPECT_EQ(lock(other, F_RDLCK, F_GETLK), 0);
    EXPECT_EQ(other.get<struct flock>(arena + 0x3E000).l_type, F_WRLCK);
    other.deadline = Clock::now() + std::chrono::milliseconds(30);
    EXPECT_THROW(lock(other, F_WRLCK, F_SETLKW), Timeout);
    other.deadline.reset();
    guest.process.state() = snapshot;  // reset
    EXPECT_EQ(lock(other, F_WRLCK), 0);
    EXPECT_EQ(lock(guest, F_WRLCK), -EAGAIN);
    EXPECT_EQ(guest.call(SYS_flock, {3, 2 | 4}), 0) << "another kind of lock";
    EXPECT_EQ(other.call(SYS_flock, {3, 2 | 4}), -EAGAIN);
    // What the snapshot holds a fork cannot release.
    const linux_abi::ProcessState locked = other.process.state();
    EXPECT_EQ(lock(other, F_UNLCK), 0);
    EXPECT_EQ(lock(guest, F_WRLCK), -EAGAIN);
    EXPECT_EQ(guest.call(SYS_close, {3}), 0);
}

TEST_F(FilesTest, LocksOfReadOnlyFilesAreGranted) {
    guest.options.allowed_paths[0].writable = false;
    LinuxProcess reader(guest.options);
    ASSERT_EQ(reader.open("/data/file", O_RDONLY), 3);
    struct flock wanted {};
    wanted.l_type = F_RDLCK;
    EXPECT_EQ(reader.call(SYS_fcntl, {3, F_SETLK, reader.put_value(wanted)}), 0);
    wanted.l_type = F_WRLCK;
    EXPECT_EQ(reader.call(SYS_fcntl, {3, F_SETLK, reader.put_value(wanted)}), -EBADF);
    EXPECT_EQ(reader.call(SYS_flock, {3, 1}), 0);
}

TEST_F(FilesTest, StandardStreamsHaveNames) {
    EXPECT_EQ(guest.open("/dev/stdout", O_WRONLY | O_CREAT | O_TRUNC), 3);
    EXPECT_EQ(write(3, "by name"), 7);
    EXPECT_EQ(output[1], "by name");
    EXPECT_EQ(guest.open("/dev/stdout", O_RDONLY), -EACCES);
    EXPECT_EQ(guest.open("/dev/fd/77", O_RDONLY), -ENOENT);
    EXPECT_EQ(guest.open("/proc/self/fd/x", O_RDONLY), -ENOENT);
    const auto file = guest.open("/data/file", O_RDONLY);
    read(file, 4);
    const auto again = guest.open("/proc/self/fd/" + std::to_string(file), O_RDONLY);
    EXPECT_EQ(read(again, 4), "0123") << "opened anew, by its name";
    EXPECT_EQ(guest.call(SYS_readlink, {guest.put("/proc/self/fd/4"), arena, 100}), 10);
    EXPECT_EQ(guest.bytes(arena, 10), "/data/file");
}

// What a guest can cause without end is not logged without end, and cannot forge lines.
TEST_F(FilesTest, TheLogIsBoundedAndClean) {
    std::vector<std::string> lines;
    guest.options.log = [&](std::string_view line) { lines.emplace_back(line); };
    guest.options.allowed_paths[0].writable = false;
    LinuxProcess noisy(guest.options);
    for (int i = 0; i < 1000; ++i) noisy.open("/data/a\nb\x1b[31m", O_WRONLY);
    for (std::uint64_t number = 400; number < 1100; ++number) noisy.call(number);
    EXPECT_LE(lines.size(), 102u);
    ASSERT_FALSE(lines.empty());
    EXPECT_EQ(lines[0], "open: \"/data/a\\x0ab\\x1b[31m\" is not writable");
    EXPECT_EQ(lines.back(), "more of this is not logged");
}

TEST_F(FilesTest, SystemCallsAreLoggedOnDemand) {
    std::vector<std::string> lines;
    guest.options.log = [&](std::string_view line) { lines.emplace_back(line); };
    guest.options.log_system_calls = true;
    LinuxProcess traced(guest.options);
    traced.open("/data/file", O_RDONLY);
    traced.call(SYS_close, {99});
    traced.call(450, {});
    ASSERT_EQ(lines.size(), 4u);
    EXPECT_EQ(lines[0], "open(\"/data/file\", O_RDONLY, 0644) = 3");
    EXPECT_EQ(lines[1], "close(99) = -1 EBADF (Bad file descriptor)");
    EXPECT_EQ(lines[2], "system call 450 is not supported");
    EXPECT_EQ(lines[3], "system call 450 = -1 ENOSYS (Function not implemented)");
}

// Only the documented operations.
TEST_F(FilesTest, FcntlAndIoctlAreAShortList) {
    const auto fd = static_cast<std::uint64_t>(guest.open("/data/file", O_RDONLY));
    const std::set<int> known{F_DUPFD,      F_GETFD,      F_SETFD,     F_GETFL,      F_SETFL,
                              F_GETLK,      F_SETLK,      F_SETLKW,    F_GETOWN,     F_DUPFD_CLOEXEC,
                              F_SETPIPE_SZ, F_GETPIPE_SZ, F_SETOWN,    F_GETOWN_EX,  F_SETOWN_EX,
                              F_GETSIG,     F_OFD_GETLK,  F_OFD_SETLK, F_OFD_SETLKW, F_GETLEASE};
    for (int command = 0; command < 2048; ++command) {
        const std::int64_t result = guest.call(SYS_fcntl, {fd, static_cast<std::uint64_t>(command), 0x50000000});
        if (!known.count(command)) {
            EXPECT_EQ(result, -EINVAL) << command;
        }
        if (result > 3) guest.call(SYS_close, {static_cast<std::uint64_t>(result)});
    }
    const std::set<int> requests{0x5421, 0x541B, 0x5450, 0x5451};
    for (int request = 0x5400; request < 0x5500; ++request) {
        if (!requests.count(request)) {
            EXPECT_EQ(guest.call(SYS_ioctl, {fd, static_cast<std::uint64_t>(request), arena}), -ENOTTY);
        }
    }
}

}  // namespace
}  // namespace tinykvm

// Files that requests map.
#include "tinykvm/memory/file_copies.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

#include "tests/unit/booted_guest.hpp"
#include "tests/unit/eventually.hpp"

namespace tinykvm {
namespace {

using test::BootedGuest;
using test::patience;

constexpr std::size_t MiB = std::size_t{1} << 20;

std::string contents(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

class MappedFile : public testing::Test {
  protected:
    MappedFile() {
        options_.allowed_paths.push_back({.virtual_path = "/data", .real_path = directory_.string()});
        options_.max_request_memory = MiB;
        options_.share_mapped_files = true;
        // Only a file that is older than a few seconds is shared.
        const std::string wanted(3 * MiB + 1000, 'a');
        if (contents(path()) != wanted) write(wanted.size(), 'a');
    }
    static void SetUpTestSuite() {
        directory_ = std::filesystem::temp_directory_path() / ("tinykvm-mapped-" + std::to_string(::getpid()));
        std::filesystem::create_directories(directory_);
    }
    static void TearDownTestSuite() { std::filesystem::remove_all(directory_); }

    std::string path() const { return (directory_ / "file").string(); }
    void write(std::size_t size, char letter) {
        std::ofstream(path(), std::ios::binary | std::ios::trunc) << std::string(size, letter);
    }

    std::int64_t linux_call(Fork& fork, std::vector<std::uint64_t> arguments) {
        return static_cast<std::int64_t>(guest_->call(fork, "linux_call", std::move(arguments)));
    }
    // Maps `size` bytes of the file, readable and writable; where, or a negative errno.
    std::int64_t map(Fork& fork, std::size_t size) {
        const std::string name = "/data/file";
        const GuestAddr at = fork.request_area().begin;
        EXPECT_TRUE(fork.memory().write(at, name.c_str(), name.size() + 1));
        const std::int64_t fd = linux_call(fork, {SYS_open, at, O_RDONLY});
        EXPECT_GE(fd, 0);
        return linux_call(fork,
                          {SYS_mmap, 0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, static_cast<std::uint64_t>(fd)});
    }
    // Maps the file for a request that must share the copy: it tries again until the file was not changed for a while.
    GuestAddr map_shared(Fork& fork, std::size_t size = 3 * MiB + 1000) {
        const Deadline deadline = patience();
        for (;;) {
            const std::int64_t at = map(fork, size);
            if (at > 0) return static_cast<GuestAddr>(at);
            EXPECT_EQ(at, -ENOMEM);
            if (Clock::now() > deadline) throw std::runtime_error("the file is never shared");
            fork.reset();
            std::this_thread::sleep_for(std::chrono::milliseconds(50));
        }
    }
    void boot() { guest_.emplace("worker", options_); }

    static inline std::filesystem::path directory_;
    Options options_;
    std::optional<BootedGuest> guest_;
};

TEST_F(MappedFile, TakesNoMemoryOfTheRequestUntilItIsWritten) {
    boot();
    Fork fork(guest_->snapshot);
    const GuestAddr at = map_shared(fork);
    EXPECT_LT(fork.memory().changed_bytes(), MiB / 2);
    EXPECT_EQ(fork.memory().read_bytes(at, 3 * MiB + 1000), std::string(3 * MiB + 1000, 'a'));
    EXPECT_EQ(guest_->call(fork, "read_from", {at + 3 * MiB + 1024}), 0u) << "after its end";
    const std::size_t before = fork.memory().changed_bytes();
    for (int page = 0; page < 10; ++page) guest_->call(fork, "write_to", {at + page * page_size, 1});
    EXPECT_GE(fork.memory().changed_bytes(), before + 10 * page_size);
    fork.reset();
    EXPECT_EQ(fork.statistics().rebuilds, 0u);
}

// What requests map cannot grow beyond max_memory, however many files there are.
TEST_F(MappedFile, IsCopiedForTheRequestWhenCopiesInUseTakeAllRoom) {
    options_.max_memory = 8 * MiB;
    boot();
    Fork fork(guest_->snapshot);
    map_shared(fork);
    const std::string first = path();
    for (const char* name : {"file2", "file3"}) std::filesystem::copy_file(first, directory_ / name);
    const auto rename_to_file = [&](const char* name) { std::filesystem::rename(directory_ / name, first); };
    Fork other(guest_->snapshot);
    rename_to_file("file2");
    map_shared(other);
    rename_to_file("file3");
    std::this_thread::sleep_for(std::chrono::seconds(4));  // until it would be copied if there were room
    EXPECT_EQ(map(other, 3 * MiB), -ENOMEM);
    fork.reset();
    EXPECT_GT(map(other, 3 * MiB), 0) << "the first copy is not in use any more";
}

TEST_F(MappedFile, IsCopiedForTheRequestWhenNotShared) {
    options_.share_mapped_files = false;
    boot();
    Fork fork(guest_->snapshot);
    EXPECT_EQ(map(fork, 3 * MiB), -ENOMEM);
    const std::size_t before = fork.memory().changed_bytes();
    EXPECT_GT(map(fork, MiB / 4), 0);
    EXPECT_GE(fork.memory().changed_bytes(), before + MiB / 4);
}

TEST_F(MappedFile, BelongsToTheRequestThatWrites) {
    boot();
    Fork one(guest_->snapshot), two(guest_->snapshot);
    const GuestAddr at = map_shared(one);
    ASSERT_EQ(map_shared(two), at);
    guest_->call(one, "write_to", {at, 7});
    EXPECT_EQ(guest_->call(one, "read_from", {at}), 7u);
    EXPECT_EQ(guest_->call(two, "read_from", {at}), 0x6161616161616161u);
    one.reset();
    ASSERT_EQ(map_shared(one), at);
    EXPECT_EQ(guest_->call(one, "read_from", {at}), 0x6161616161616161u);
    EXPECT_EQ(contents(path()), std::string(3 * MiB + 1000, 'a'));
    one.reset();
    EXPECT_FALSE(one.memory().is_readable(at, 1));
}

// Changing, truncating or removing the file changes nothing for a request, and does no harm.
TEST_F(MappedFile, IsAsItWasWhenItWasMapped) {
    boot();
    Fork fork(guest_->snapshot);
    const GuestAddr at = map_shared(fork);
    write(100, 'b');
    EXPECT_EQ(guest_->call(fork, "read_from", {at + 2 * MiB}), 0x6161616161616161u);
    EXPECT_EQ(fork.memory().read_bytes(at, 3 * MiB), std::string(3 * MiB, 'a'));
    std::filesystem::resize_file(path(), 0);
    EXPECT_EQ(guest_->call(fork, "read_from", {at + MiB}), 0x6161616161616161u);
    guest_->call(fork, "write_to", {at + MiB, 5});
    EXPECT_EQ(guest_->call(fork, "read_from", {at + MiB + 8}), 0x6161616161616161u);
    fork.reset();

    write(3 * MiB + 1000, 'c');
    EXPECT_EQ(guest_->call(fork, "read_from", {map_shared(fork)}), 0x6363636363636363u);
}

TEST_F(MappedFile, PagesMadeZeroStayZeroWhenMemoryIsShort) {
    options_.max_request_memory = 4 * MiB;
    write(5 * MiB, 'a');
    boot();
    Fork fork(guest_->snapshot);
    const GuestAddr at = map_shared(fork, 5 * MiB);
    for (GuestAddr word = at; word < at + page_size; word += 8) guest_->call(fork, "write_to", {word, 0});
    // Up to the limit, where pages that are as they were are looked for.
    const std::uint64_t arguments[] = {100, 2000};
    EXPECT_THROW(fork.call(guest_->calls.functions.at("touch"), arguments, guest_->calls, patience()), OutOfMemory);
    std::uint64_t word = 1;
    ASSERT_TRUE(fork.memory().read(at, word));
    EXPECT_EQ(word, 0u);
    fork.reset();
    EXPECT_EQ(guest_->call(fork, "count"), 101u);
}

TEST_F(MappedFile, DiscardedPagesShowTheFileAgain) {
    boot();
    Fork fork(guest_->snapshot);
    const GuestAddr at = map_shared(fork);
    guest_->call(fork, "write_to", {at, 7});
    EXPECT_EQ(linux_call(fork, {SYS_madvise, at, page_size, MADV_DONTNEED}), 0);
    EXPECT_EQ(guest_->call(fork, "read_from", {at}), 0x6161616161616161u);
    EXPECT_EQ(linux_call(fork, {SYS_madvise, at, page_size, MADV_FREE}), -EINVAL);
}

TEST_F(MappedFile, ShowsTheFileWhenItBecomesReadable) {
    write(100000, 'a');
    boot();
    Fork fork(guest_->snapshot);
    const std::string name = "/data/file";
    const GuestAddr at = fork.request_area().begin;
    ASSERT_TRUE(fork.memory().write(at, name.c_str(), name.size() + 1));
    const auto fd = static_cast<std::uint64_t>(linux_call(fork, {SYS_open, at, O_RDONLY}));
    const auto mapped = linux_call(fork, {SYS_mmap, 0, 100000, PROT_NONE, MAP_PRIVATE, fd});
    ASSERT_GT(mapped, 0);
    EXPECT_EQ(linux_call(fork, {SYS_mprotect, static_cast<std::uint64_t>(mapped), 100000, PROT_READ}), 0);
    EXPECT_EQ(guest_->call(fork, "read_from", {static_cast<GuestAddr>(mapped)}), 0x6161616161616161u);
}

TEST_F(MappedFile, CanBeProtectedMovedAndUnmapped) {
    boot();
    Fork fork(guest_->snapshot);
    const GuestAddr at = map_shared(fork);
    EXPECT_EQ(linux_call(fork, {SYS_mprotect, at, page_size, PROT_NONE}), 0);
    EXPECT_EQ(linux_call(fork, {SYS_mprotect, at, page_size, PROT_READ}), 0);
    EXPECT_EQ(guest_->call(fork, "read_from", {at}), 0x6161616161616161u);
    EXPECT_EQ(linux_call(fork, {SYS_munmap, at + page_size, page_size}), 0);
    const std::int64_t moved = linux_call(
        fork, {SYS_mremap, at + 2 * page_size, page_size, page_size, MREMAP_MAYMOVE | MREMAP_FIXED, at + 64 * MiB});
    ASSERT_EQ(moved, static_cast<std::int64_t>(at + 64 * MiB));
    EXPECT_EQ(guest_->call(fork, "read_from", {at + 64 * MiB}), 0x6161616161616161u);
    fork.reset();
    EXPECT_EQ(guest_->call(fork, "count"), 101u);
}

TEST(FileCopies, KeepsWhatWasUsedLastWithinItsBounds) {
    const std::string directory =
        (std::filesystem::temp_directory_path() / ("tinykvm-copies-" + std::to_string(::getpid()))).string();
    std::filesystem::create_directories(directory);
    FileCopies copies(2 * MiB);
    std::vector<FileDescriptor> files;
    for (const std::size_t size : {MiB, MiB, MiB, 2 * MiB + 1, std::size_t{0}}) {
        const std::string path = directory + "/" + std::to_string(files.size());
        std::ofstream(path, std::ios::binary) << std::string(size, 'x');
        files.emplace_back(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    }
    const auto get = [&](std::size_t i) { return copies.get(files[i].get(), [] {}); };
    EXPECT_EQ(get(0), nullptr) << "it has just been changed";
    eventually("the file that was written last is settled", [&] { return get(2) != nullptr; });
    const auto first = get(0);
    ASSERT_TRUE(first);
    EXPECT_TRUE(get(1)) << "the third had to go";
    EXPECT_EQ(get(0), first);
    const auto third = get(2);
    ASSERT_TRUE(third);
    EXPECT_EQ(get(1), nullptr) << "both others are in use";
    EXPECT_EQ(get(0), first);
    EXPECT_EQ(get(2), third);
    EXPECT_EQ(first->size(), MiB);
    EXPECT_EQ(get(3), nullptr) << "too large";
    EXPECT_EQ(get(4), nullptr) << "empty";
    EXPECT_NE(::fcntl(first->fd(), F_GET_SEALS) & F_SEAL_WRITE, 0);

    FileCopies stopped(MiB);
    EXPECT_THROW(stopped.get(files[0].get(), [] { throw Timeout("enough"); }), Timeout);
    EXPECT_TRUE(stopped.get(files[1].get(), [] {})) << "the room it took is free again";
    std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace tinykvm

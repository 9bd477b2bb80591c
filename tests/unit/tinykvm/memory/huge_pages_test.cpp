// Guest memory in huge pages of the host: contents, and what happens when there are none, one, or a few.
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "tests/unit/booted_guest.hpp"
#include "tests/unit/huge_page_pool.hpp"
#include "tinykvm/kvm/vm.hpp"
#include "tinykvm/memory/guest_memory.hpp"
#include "tinykvm/memory/image.hpp"

namespace tinykvm {
namespace {

using test::BootedGuest;
using test::error_of;

constexpr Protection rw{.read = true, .write = true}, ro{.read = true}, none{};
constexpr GuestAddr base = 0x10000000;
constexpr std::size_t MiB = std::size_t{1} << 20;

class ReservedPages : public testing::Test {
  protected:
    void SetUp() override {
        if (const std::string why = pool_.take(); !why.empty()) GTEST_SKIP() << why;
    }
    bool set(long pages) { return pool_.set(pages); }
    static long unused() { return test::HugePagePool::unused(); }

    static GuestMemory::Limits limits(std::size_t bytes = 64 * MiB) { return {bytes, "max_memory", 512 * MiB}; }
    HugePages required(std::size_t size) { return {false, size, "hugepage_arena_size", true, {}}; }
    HugePages wished(std::size_t size) {
        return {false, size, "request_hugepage_arena_size", false,
                [this](std::string_view line) { lines_.emplace_back(line); }};
    }
    static std::shared_ptr<const MemoryImage> image() {
        kvm::Vm vm;
        GuestMemory booted(vm, limits());
        EXPECT_EQ(booted.map(base, 8 * MiB, rw), 0);
        EXPECT_TRUE(booted.write(base + 100, "image", 5));
        return booted.make_image();
    }

    std::vector<std::string> lines_;

  private:
    test::HugePagePool pool_;
};

TEST_F(ReservedPages, TooFewForMainMemoryAreAnErrorThatNamesTheKey) {
    for (const long there : {0, 1, 3}) {
        if (!set(there)) GTEST_SKIP() << "the host has no room for " << there << " huge pages";
        kvm::Vm vm;
        GuestMemory memory(vm, limits(), required(64 * MiB));
        const std::string error = error_of<MachineError>([&] { (void)memory.map(base, 8 * MiB, rw); });
        EXPECT_NE(error.find("hugepage_arena_size"), std::string::npos) << error;
        EXPECT_NE(error.find("/proc/sys/vm/nr_hugepages"), std::string::npos) << error;
        EXPECT_EQ(unused(), there);
    }
}

TEST_F(ReservedPages, TooFewForAForkAreSmallPagesAndALine) {
    const auto snapshot = image();
    for (const long there : {0, 1, 2}) {
        if (!set(there)) GTEST_SKIP() << "the host has no room for " << there << " huge pages";
        kvm::Vm vm;
        lines_.clear();
        GuestMemory fork(vm, snapshot, limits(), wished(64 * MiB));
        ASSERT_EQ(lines_.size(), 1u);
        EXPECT_EQ(lines_[0].find("request_hugepage_arena_size: "), 0u) << lines_[0];
        EXPECT_EQ(fork.reserved_huge(), 0u);
        for (std::size_t at = 0; at < 8 * MiB; at += page_size) ASSERT_TRUE(fork.write(base + at, "x", 1));
        fork.reset();
        EXPECT_EQ(fork.read_bytes(base + 100, 5), "image");
        EXPECT_EQ(fork.map(base + 16 * MiB, 8 * MiB, rw), 0);
        EXPECT_EQ(lines_.size(), 1u);
        EXPECT_EQ(unused(), there);
    }
}

TEST_F(ReservedPages, AreUsedUpToTheArenaAndGivenBack) {
    if (!set(8)) GTEST_SKIP() << "the host has no room for " << 8 << " huge pages";
    {
        kvm::Vm vm;
        GuestMemory memory(vm, limits(), required(6 * MiB));
        ASSERT_EQ(memory.map(base + 5 * page_size, 5 * MiB, rw), 0);  // one whole block
        EXPECT_EQ(memory.reserved_huge(), 2 * MiB);
        ASSERT_EQ(memory.map(base + 16 * MiB, 8 * MiB, rw), 0);
        EXPECT_EQ(memory.reserved_huge(), 3 * 2 * MiB);
        EXPECT_EQ(unused(), 5);
        EXPECT_TRUE(memory.write(base + 20 * MiB, "x", 1));
        EXPECT_EQ(memory.changed_bytes(), page_size);
        ASSERT_EQ(memory.unmap(base, 8 * MiB), 0);
        EXPECT_EQ(unused(), 6);
    }
    EXPECT_EQ(unused(), 8);
}

TEST_F(ReservedPages, PartsOfThemCanBeProtectedUnmappedAndDiscarded) {
    if (!set(8)) GTEST_SKIP() << "the host has no room for " << 8 << " huge pages";
    kvm::Vm vm;
    GuestMemory memory(vm, limits(), required(8 * MiB));
    ASSERT_EQ(memory.map(base, 8 * MiB, rw), 0);
    for (std::size_t at = 0; at < 8 * MiB; at += 64 * page_size) ASSERT_TRUE(memory.write(base + at, "data", 4));
    EXPECT_EQ(memory.reserved_huge(), 8 * MiB);
    ASSERT_EQ(memory.discard(base + 64 * page_size, page_size), 0);  // stays huge
    EXPECT_EQ(memory.read_bytes(base + 64 * page_size, 4), std::string(4, '\0'));
    EXPECT_EQ(memory.reserved_huge(), 8 * MiB);
    ASSERT_EQ(memory.protect(base, 2 * MiB, ro), 0);  // a whole one, too
    EXPECT_EQ(memory.reserved_huge(), 8 * MiB);
    ASSERT_EQ(memory.discard(base + 128 * page_size, page_size), 0);
    EXPECT_FALSE(memory.write(base + 128 * page_size, "x", 1));
    EXPECT_EQ(memory.read_bytes(base + 128 * page_size, 4), std::string(4, '\0'));
    ASSERT_EQ(memory.protect(base + 64 * page_size, page_size, none), 0);
    ASSERT_EQ(memory.unmap(base + 4 * MiB + page_size, page_size), 0);
    EXPECT_EQ(memory.reserved_huge(), 4 * MiB);
    EXPECT_EQ(unused(), 6);
    for (std::size_t at = 192 * page_size; at < 8 * MiB; at += 64 * page_size)
        ASSERT_EQ(memory.read_bytes(base + at, 4), "data") << at;
    EXPECT_FALSE(memory.is_readable(base + 64 * page_size, 1));
    EXPECT_FALSE(memory.is_readable(base + 4 * MiB + page_size, 1));
}

TEST_F(ReservedPages, AForkInThemIsResetAndLimitedLikeAnyOther) {
    const auto snapshot = image();
    if (!set(3)) GTEST_SKIP() << "the host has no room for " << 3 << " huge pages";
    for (const std::size_t kept : {limits().kept, std::size_t{0}}) {
        kvm::Vm vm;
        GuestMemory::Limits small = limits(16 * page_size);
        small.kept = kept;
        GuestMemory fork(vm, snapshot, small, wished(6 * MiB));
        EXPECT_EQ(fork.reserved_huge(), 6 * MiB);
        for (int round = 0; round < 100; ++round) {
            const GuestAddr begin = base + (2 + round % 5) * MiB;
            for (int i = 0; i < 16; ++i) ASSERT_TRUE(fork.write(begin + i * page_size, "other", 5));
            EXPECT_THROW((void)fork.write(begin + 16 * page_size, "x", 1), OutOfMemory);
            fork.reset();
            for (int i = 0; i < 17; ++i)
                ASSERT_EQ(fork.read_bytes(begin + i * page_size, 5), std::string(5, '\0')) << round;
        }
        ASSERT_EQ(fork.map(base, 8 * MiB, rw), 0);
        fork.reset();
        EXPECT_EQ(fork.reserved_huge(), 6 * MiB);
        EXPECT_EQ(fork.read_bytes(base + 100, 5), "image");
        EXPECT_TRUE(lines_.empty());
    }
}

// A real guest: boots in huge pages, writes through KVM into huge pages, and the dirty ring names each small page.
TEST_F(ReservedPages, AGuestRunsInThem) {
    if (!set(40)) GTEST_SKIP() << "the host has no room for " << 40 << " huge pages";
    Options options;
    options.huge_page_arena = 80 * MiB;
    options.request_huge_page_arena = 80 * MiB;
    options.max_request_memory = 16 * MiB;
    std::vector<std::string> lines;
    options.warn = [&](std::string_view line) { lines.emplace_back(line); };
    BootedGuest guest("worker", options);
    EXPECT_EQ(unused(), 40) << "boot memory was not given back";
    {
        Fork fork(guest.snapshot);
        EXPECT_GT(fork.memory().reserved_huge(), 16 * MiB);
        for (int i = 0; i < 3; ++i) {
            EXPECT_EQ(guest.call(fork, "touch", {0, 3000}), 3000u);
            EXPECT_EQ(guest.call(fork, "sum", {0, 4000}), 3000u);
            fork.reset();
            EXPECT_EQ(guest.call(fork, "sum", {0, 4000}), 128u);
            fork.reset();
            EXPECT_THROW(guest.call(fork, "touch", {0, 5000}), OutOfMemory);
            fork.reset();
            EXPECT_THROW(guest.call(fork, "touch", {2000, 5000}), OutOfMemory);
            fork.reset();
        }
        EXPECT_EQ(fork.statistics().rebuilds, 0u);
        EXPECT_TRUE(lines.empty());
        Fork another(guest.snapshot);  // the pool is empty by now
        EXPECT_EQ(lines.size(), 1u);
        EXPECT_EQ(guest.call(another, "touch", {0, 3000}), 3000u);
    }
    EXPECT_EQ(unused(), 40);
    ASSERT_TRUE(set(2));
    const std::string error = error_of<MachineError>([&] { BootedGuest refused("worker", options); });
    EXPECT_NE(error.find("hugepage_arena_size"), std::string::npos) << error;
    Fork small(guest.snapshot);
    EXPECT_EQ(guest.call(small, "touch", {0, 3000}), 3000u);
}

TEST(TransparentHugePages, AGuestRunsInThem) {
    Options options;
    options.transparent_huge_pages = true;
    BootedGuest guest("worker", options);
    Fork fork(guest.snapshot);
    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(guest.call(fork, "touch", {0, 8000}), 8000u);
        fork.reset();
        EXPECT_EQ(guest.call(fork, "sum", {0, 8000}), 128u);
        fork.reset();
    }
    EXPECT_EQ(fork.statistics().rebuilds, 0u);
}

}  // namespace
}  // namespace tinykvm

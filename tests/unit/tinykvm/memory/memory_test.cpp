// GuestMemory without a running guest: bytes, mappings, limits, image and reset.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <random>
#include <vector>

#include "tinykvm/errors.hpp"
#include "tinykvm/kvm/vm.hpp"
#include "tinykvm/memory/guest_memory.hpp"
#include "tinykvm/memory/guest_physical_memory.hpp"
#include "tinykvm/memory/image.hpp"
#include "tinykvm/memory/page_tables.hpp"
#include "tinykvm/x86/layout.hpp"

namespace tinykvm {
namespace {

constexpr Protection rw{.read = true, .write = true}, ro{.read = true}, none{};
constexpr GuestAddr base = 0x10000000;
constexpr std::size_t MiB = std::size_t{1} << 20;

GuestMemory::Limits limits(std::size_t bytes = 64 * MiB, std::string name = "max_memory") {
    return {bytes, std::move(name), 512 * MiB};
}

TEST(Memory, BytesWrittenAreReadBack) {
    kvm::Vm vm;
    GuestMemory memory(vm, limits());
    ASSERT_EQ(memory.map(base, 4 * page_size, rw), 0);
    const std::string text = "across a page boundary";
    ASSERT_TRUE(memory.write(base + page_size - 5, text.data(), text.size()));
    EXPECT_EQ(memory.read_bytes(base + page_size - 5, text.size()), text);
    EXPECT_EQ(memory.changed_bytes(), 2 * page_size);
}

TEST(Memory, ReadsAndWritesOutsideMappingsFailAndChangeNothing) {
    kvm::Vm vm;
    GuestMemory memory(vm, limits());
    ASSERT_EQ(memory.map(base, page_size, rw), 0);
    std::vector<char> buffer(2 * page_size, 'x');
    EXPECT_FALSE(memory.write(base + 1, buffer.data(), page_size));
    EXPECT_EQ(memory.changed_bytes(), 0u);
    for (GuestAddr address :
         {GuestAddr{0}, base - 1, base + page_size, ~GuestAddr{0}, ~GuestAddr{0} - 4095, x86::user_end,
          GuestAddr{1} << 63, x86::doorbell, x86::system_begin + x86::descriptors_offset})
        for (std::size_t size : {std::size_t{1}, std::size_t{4095}, std::size_t{4096}}) {
            EXPECT_FALSE(memory.read(address, buffer.data(), size)) << std::hex << address;
            EXPECT_FALSE(memory.write(address, buffer.data(), size)) << std::hex << address;
            EXPECT_EQ(memory.read_bytes(address, size), std::nullopt);
        }
    for (std::size_t size : {std::size_t{1} << 31, std::size_t{1} << 63, ~std::size_t{0}}) {
        EXPECT_EQ(memory.read_bytes(base, size), std::nullopt);
        EXPECT_FALSE(memory.is_writable(base, size));
        EXPECT_EQ(memory.readable(base, size).size(), page_size);
    }
}

TEST(Memory, StringsEndAtTheirNulOrNotAtAll) {
    kvm::Vm vm;
    GuestMemory memory(vm, limits());
    ASSERT_EQ(memory.map(base, page_size, rw), 0);
    ASSERT_TRUE(memory.write(base + page_size - 3, "ab", 3));
    EXPECT_EQ(memory.read_string(base + page_size - 3, 100), "ab");
    EXPECT_EQ(memory.read_string(base + page_size - 3, 2), std::nullopt);
    ASSERT_TRUE(memory.write(base + page_size - 3, "abc", 3));
    EXPECT_EQ(memory.read_string(base + page_size - 3, 100), std::nullopt);
}

TEST(Memory, ReadOnlyPagesRefuseWrites) {
    kvm::Vm vm;
    GuestMemory memory(vm, limits());
    ASSERT_EQ(memory.map(base, 2 * page_size, rw), 0);
    ASSERT_EQ(memory.protect(base + page_size, page_size, ro), 0);
    char two[2] = {1, 2};
    EXPECT_FALSE(memory.write(base + page_size - 1, two, 2));
    EXPECT_TRUE(memory.read(base + page_size - 1, two, 2));
    ASSERT_EQ(memory.protect(base, page_size, none), 0);
    EXPECT_FALSE(memory.read(base, two, 1));
}

TEST(Memory, MappingRulesOutWhatIsNotTheProgramsOwn) {
    kvm::Vm vm;
    GuestMemory memory(vm, limits());
    EXPECT_EQ(memory.map(0, page_size, rw), -EINVAL);
    EXPECT_EQ(memory.map(x86::system_begin, page_size, rw), -EINVAL);
    EXPECT_EQ(memory.map(x86::system_begin - page_size, 2 * page_size, rw), -EINVAL);
    EXPECT_EQ(memory.map(x86::user_end, page_size, rw), -EINVAL);
    EXPECT_EQ(memory.map(x86::user_end - page_size, 2 * page_size, rw), -EINVAL);
    EXPECT_EQ(memory.map(base, ~std::size_t{0} & ~(page_size - 1), rw), -EINVAL);
    EXPECT_EQ(memory.map(base + 1, page_size, rw), -EINVAL);
    EXPECT_EQ(memory.unmap(x86::vdso, page_size), -EINVAL);
    EXPECT_EQ(memory.protect(x86::clock_page, page_size, rw), -EINVAL);
    EXPECT_EQ(memory.protect(base, page_size, rw), -ENOMEM);
}

TEST(Memory, ReservationsCostNothingAndAccessibleAddressesAreLimited) {
    kvm::Vm vm;
    GuestMemory memory(vm, limits());
    EXPECT_EQ(memory.map(base, std::size_t{1} << 38, none), 0);
    EXPECT_EQ(memory.protect(base, std::size_t{1} << 37, rw), -ENOMEM);
    EXPECT_EQ(memory.protect(base, 16 * MiB, rw), 0);
    EXPECT_TRUE(memory.write(base + 16 * MiB - 1, "x", 1));
}

TEST(Memory, RemappedPagesAreZero) {
    kvm::Vm vm;
    GuestMemory memory(vm, limits());
    ASSERT_EQ(memory.map(base, page_size, rw), 0);
    ASSERT_TRUE(memory.write(base, "secret", 6));
    ASSERT_EQ(memory.unmap(base, page_size), 0);
    ASSERT_EQ(memory.map(base, page_size, rw), 0);
    std::uint64_t word = 1;
    ASSERT_TRUE(memory.read(base, word));
    EXPECT_EQ(word, 0u);
    ASSERT_TRUE(memory.write(base, "secret", 6));
    ASSERT_EQ(memory.discard(base, page_size), 0);
    ASSERT_TRUE(memory.read(base, word));
    EXPECT_EQ(word, 0u);
}

TEST(Memory, LimitIsExact) {
    kvm::Vm vm;
    GuestMemory memory(vm, limits(16 * page_size));
    ASSERT_EQ(memory.map(base, MiB, rw), 0);
    for (int i = 0; i < 16; ++i) ASSERT_TRUE(memory.write(base + i * page_size, "x", 1));
    ASSERT_TRUE(memory.write(base + 3, "x", 1));  // one that counts already
    try {
        (void)memory.write(base + 16 * page_size, "x", 1);
        FAIL() << "the seventeenth page";
    } catch (const OutOfMemory& error) {
        EXPECT_EQ(error.limit(), "max_memory");
        EXPECT_NE(std::string(error.what()).find("max_memory"), std::string::npos);
    }
    // Giving one back makes room for another.
    ASSERT_EQ(memory.discard(base, page_size), 0);
    EXPECT_TRUE(memory.write(base + 16 * page_size, "x", 1));
}

TEST(Memory, ForkSeesTheImageAndChangesNeitherItNorSiblings) {
    kvm::Vm vm, vm1, vm2;
    GuestMemory booted(vm, limits());
    ASSERT_EQ(booted.map(base, MiB, rw), 0);
    ASSERT_TRUE(booted.write(base + 100, "original", 8));
    auto image = booted.make_image();
    GuestMemory a(vm1, image, limits()), b(vm2, image, limits());
    EXPECT_EQ(a.read_bytes(base + 100, 8), "original");
    ASSERT_TRUE(a.write(base + 100, "changed!", 8));
    EXPECT_EQ(b.read_bytes(base + 100, 8), "original");
    EXPECT_EQ(a.reset(), 1u);
    EXPECT_EQ(a.read_bytes(base + 100, 8), "original");
}

TEST(Memory, DataUnderInaccessiblePagesSurvivesTheSnapshot) {
    kvm::Vm vm, vm1;
    GuestMemory booted(vm, limits());
    ASSERT_EQ(booted.map(base, 4 * page_size, rw), 0);
    ASSERT_TRUE(booted.write(base + page_size, "hidden", 6));
    ASSERT_EQ(booted.protect(base, 4 * page_size, none), 0);
    GuestMemory fork(vm1, booted.make_image(), limits());
    EXPECT_EQ(fork.read_bytes(base + page_size, 6), std::nullopt);
    ASSERT_EQ(fork.protect(base, 4 * page_size, ro), 0);
    EXPECT_EQ(fork.read_bytes(base + page_size, 6), "hidden");
}

TEST(Memory, DiscardInAForkMakesZeroNotTheImage) {
    kvm::Vm vm, vm1;
    GuestMemory booted(vm, limits());
    ASSERT_EQ(booted.map(base, 4 * page_size, rw), 0);
    ASSERT_TRUE(booted.write(base, "image", 5));
    GuestMemory fork(vm1, booted.make_image(), limits());
    ASSERT_EQ(fork.discard(base, page_size), 0);
    EXPECT_EQ(fork.read_bytes(base, 5), std::string(5, '\0'));
    fork.reset();
    EXPECT_EQ(fork.read_bytes(base, 5), "image");
}

// A page that was written with what it held, or kept from an earlier request, does not count; one that differs does,
// whatever mappings were changed meanwhile.
TEST(Memory, LimitOfAForkCountsWhatDiffers) {
    kvm::Vm vm, vm1;
    GuestMemory booted(vm, limits());
    ASSERT_EQ(booted.map(base, MiB, rw), 0);
    for (int i = 0; i < 32; ++i) ASSERT_TRUE(booted.write(base + i * page_size, "image", 5));
    GuestMemory fork(vm1, booted.make_image(), limits(8 * page_size, "max_request_memory"));
    for (int i = 0; i < 32; ++i) ASSERT_TRUE(fork.write(base + i * page_size, "image", 5));  // no change
    for (int i = 0; i < 8; ++i) ASSERT_TRUE(fork.write(base + i * page_size, "other", 5));
    EXPECT_THROW((void)fork.write(base + 8 * page_size, "other", 5), OutOfMemory);
    fork.reset();
    for (int i = 16; i < 24; ++i) ASSERT_TRUE(fork.write(base + i * page_size, "third", 5));  // others than before
    EXPECT_THROW((void)fork.write(base + 30 * page_size, "third", 5), OutOfMemory);
    fork.reset();
    // Zeroes written over the image after its protection was changed are a change and must stay.
    const std::vector<char> zero(page_size);
    ASSERT_EQ(fork.protect(base, page_size, ro), 0);
    ASSERT_EQ(fork.protect(base, page_size, rw), 0);
    ASSERT_TRUE(fork.write(base, zero.data(), zero.size()));
    for (int i = 1; i < 8; ++i) ASSERT_TRUE(fork.write(base + i * page_size, "other", 5));
    EXPECT_THROW((void)fork.write(base + 9 * page_size, "other", 5), OutOfMemory);
    EXPECT_EQ(fork.read_bytes(base, 5), std::string(5, '\0'));
}

// Pages of guest memory the host has private copies of: neither the image's nor the zero page.
std::size_t resident(GuestMemory& memory, GuestAddr begin, std::size_t pages) {
    const auto at = reinterpret_cast<std::uintptr_t>(memory.readable(begin, pages * page_size).data());
    std::vector<std::uint64_t> entries(pages);
    const int fd = ::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    EXPECT_EQ(::pread(fd, entries.data(), pages * 8, static_cast<off_t>(at / page_size * 8)),
              static_cast<ssize_t>(pages * 8));
    ::close(fd);
    // Mapped here alone, and not a file's.
    return static_cast<std::size_t>(
        std::count_if(entries.begin(), entries.end(), [](std::uint64_t e) { return (e >> 56 & 1) && !(e >> 61 & 1); }));
}

// An image with 32 pages of data and then zero, a fork that has changed both, reset.
class MemoryWorkingSet : public testing::Test {
  protected:
    static constexpr int data = 32, all = 96;

    GuestMemory::Limits keeping(std::size_t pages) {
        GuestMemory::Limits l = limits();
        l.kept = pages * page_size;
        return l;
    }
    std::shared_ptr<const MemoryImage> image() {
        kvm::Vm vm;
        GuestMemory booted(vm, limits());
        EXPECT_EQ(booted.map(base, all * page_size, rw), 0);
        for (int i = 0; i < data; ++i) EXPECT_TRUE(booted.write(base + i * page_size, "image", 5));
        return booted.make_image();
    }
    static void dirty(GuestMemory& fork, int first, int last) {
        for (int i = first; i < last; ++i) ASSERT_TRUE(fork.write(base + i * page_size + 1, "other", 5));
    }
    static void expect_image(GuestMemory& fork) {
        for (int i = 0; i < all; ++i)
            ASSERT_EQ(fork.read_bytes(base + i * page_size, 7),
                      i < data ? std::string("image\0\0", 7) : std::string(7, '\0'))
                << i;
    }
};

TEST_F(MemoryWorkingSet, StaysResidentAndEqual) {
    kvm::Vm vm;
    GuestMemory fork(vm, image(), limits());
    for (int round = 0; round < 3; ++round) {
        dirty(fork, 0, all);
        EXPECT_EQ(fork.reset(), std::size_t{all});
        EXPECT_EQ(resident(fork, base, all), std::size_t{all});
        expect_image(fork);
    }
}

TEST_F(MemoryWorkingSet, BeyondTheLimitIsGivenBack) {
    for (const std::size_t limit : {0, 1, 20, 40, 95}) {
        kvm::Vm vm;
        GuestMemory fork(vm, image(), keeping(limit));
        for (int round = 0; round < 3; ++round) {
            dirty(fork, 0, all);
            EXPECT_EQ(fork.reset(), std::size_t{all});
            EXPECT_EQ(resident(fork, base, all), limit);
            EXPECT_EQ(fork.own_bytes(), limit * page_size);
            expect_image(fork);
        }
    }
}

TEST_F(MemoryWorkingSet, PagesNoRequestChangesAnyMoreAreGivenBack) {
    kvm::Vm vm;
    GuestMemory fork(vm, image(), limits());
    dirty(fork, 0, all);
    EXPECT_EQ(fork.reset(), std::size_t{all});
    for (int round = 0; round < 200; ++round) {
        // In turns, so that each is idle for a while.
        dirty(fork, round % 2 ? 0 : 40, round % 2 ? 10 : 50);
        EXPECT_EQ(fork.reset(), 10u);
        expect_image(fork);
        EXPECT_EQ(resident(fork, base, 10), 10u) << round;
    }
    EXPECT_EQ(resident(fork, base, all), 20u);
}

struct TablesInWindow {
    kvm::Vm vm;
    GuestPhysicalMemory window;
    x86::PageTables tables{window};

    TablesInWindow(std::size_t size, std::size_t allocated) : window(vm, size) {
        EXPECT_TRUE(window.allocate(allocated));
        window.protect(0, allocated, rw);
        tables.create();
    }
};

// Tables for a range are there or nothing of it is granted: a right given by half would be a hole where the host's
// mapping allows more than the guest may.
TEST(PageTables, GrantAllOrNothing) {
    TablesInWindow in(4 * MiB, 2 * MiB);
    x86::PageTables& tables = in.tables;
    constexpr GuestAddr apart = GuestAddr{1} << 39;  // nothing in common but the root: three more tables
    std::uint64_t n = 0;
    GuestAddr last = 0;
    for (; n < 1000; ++n) {
        last = 2 * MiB * n + apart * (n % 200 + 1) - page_size;  // two pages, in two places
        if (!tables.grant(last, x86::window_base, 2 * page_size, rw)) break;
        ASSERT_TRUE(tables.any_writable(last, page_size));
        ASSERT_TRUE(tables.any_writable(last + page_size, page_size));
    }
    EXPECT_GT(n, 100u);
    EXPECT_LT(n, 1000u);
    EXPECT_FALSE(tables.any_writable(last, 2 * page_size));
    // What needs no more tables goes on.
    EXPECT_TRUE(tables.grant(apart - 2 * page_size, x86::window_base, page_size, rw));
}

TEST(PageTables, NarrowedOnesGrantNoMore) {
    TablesInWindow in(8 * MiB, 8 * MiB);
    x86::PageTables& tables = in.tables;
    ASSERT_TRUE(tables.grant(base, x86::window_base + 2 * MiB, 6 * MiB, rw));  // three large ones
    ASSERT_TRUE(tables.narrow(base, 2 * MiB, ro));
    ASSERT_TRUE(tables.narrow(base + 2 * MiB + 7 * page_size, page_size, none));
    ASSERT_TRUE(tables.narrow(base + 64 * MiB, 6 * MiB, none));  // never granted
    EXPECT_FALSE(tables.any_writable(base, 2 * MiB));
    EXPECT_TRUE(tables.any_writable(base + 2 * MiB, 7 * page_size));
    EXPECT_FALSE(tables.any_writable(base + 2 * MiB + 7 * page_size, page_size));
    EXPECT_TRUE(tables.any_writable(base + 2 * MiB + 8 * page_size, page_size));
    EXPECT_TRUE(tables.any_writable(base + 4 * MiB, page_size));
}

// Data scattered all over must not cost every fork thousands of mappings of the host.
TEST(Memory, ScatteredDataMakesAnImageOfFewPieces) {
    kvm::Vm vm, vm1;
    GuestMemory booted(vm, limits());
    ASSERT_EQ(booted.map(base, 256 * MiB, rw), 0);
    for (std::uint64_t i = 0; i < 2000; ++i) ASSERT_TRUE(booted.write(base + i * 31 * page_size, i + 1));
    auto image = booted.make_image();
    EXPECT_LE(image->pieces.size(), 600u);
    GuestMemory fork(vm1, image, limits());
    for (std::uint64_t i = 0; i < 2000; ++i) {
        std::uint64_t value = 0;
        ASSERT_TRUE(fork.read(base + i * 31 * page_size, value));
        ASSERT_EQ(value, i + 1);
    }
}

TEST(Memory, RegionsARequestMayAddAreLimited) {
    kvm::Vm vm, vm1;
    GuestMemory booted(vm, limits());
    ASSERT_EQ(booted.map(base, 16 * MiB, rw), 0);
    GuestMemory fork(vm1, booted.make_image(), limits());
    int error = 0, n = 0;
    for (; n < 4000 && error == 0; ++n) error = fork.protect(base + 2 * n * page_size, page_size, ro);
    EXPECT_EQ(error, -ENOMEM);
    EXPECT_LT(n, 200);
    EXPECT_EQ(fork.unmap(base + 3 * page_size, page_size), 0);  // the rest of a region: no more of them
    EXPECT_EQ(fork.unmap(base + 8 * MiB, page_size), -ENOMEM);  // a hole
    fork.reset();
    EXPECT_EQ(fork.protect(base, page_size, ro), 0);
}

// Many small changes of mappings are undone together; when they are all over the place, a new VM is cheaper.
TEST(Memory, ManyScatteredMappingsAskForARebuild) {
    kvm::Vm vm, vm1, vm2;
    GuestMemory booted(vm, limits());
    ASSERT_EQ(booted.map(base, 4 * MiB, rw), 0);
    ASSERT_TRUE(booted.write(base + 5 * page_size, "image", 5));
    auto image = booted.make_image();
    GuestMemory near(vm1, image, limits()), far(vm2, image, limits());
    ASSERT_TRUE(near.write(base + 5 * page_size, "other", 5));
    for (std::uint64_t i = 0; i < 60; ++i) ASSERT_EQ(near.protect(base + 8 * i * page_size, page_size, ro), 0);
    EXPECT_FALSE(near.needs_rebuild());
    EXPECT_EQ(near.reset(), 1u);
    EXPECT_EQ(near.read_bytes(base + 5 * page_size, 5), "image");
    EXPECT_TRUE(near.is_writable(base, 4 * MiB));

    for (std::uint64_t i = 0; i < 100; ++i) {
        const GuestAddr begin = base + i * 4 * page_size;
        ASSERT_EQ(far.needs_rebuild(), i > 64) << i;
        ASSERT_TRUE(far.write(begin, "a page worth keeping", 20));
        ASSERT_EQ(far.unmap(begin + page_size, page_size), 0);
    }
}

// Everything a fork does to bytes and mappings, at random, against a model; then reset, and all is as in the image.
struct HistoryMode {
    std::size_t kept;
    HugePages huge_pages;
};
class MemoryHistory : public testing::TestWithParam<HistoryMode> {};
INSTANTIATE_TEST_SUITE_P(Modes, MemoryHistory,
                         testing::Values(HistoryMode{limits().kept, {}}, HistoryMode{100 * page_size, {}},
                                         HistoryMode{0, {}}, HistoryMode{limits().kept, {.transparent = true}},
                                         // Small pages where the host has none reserved.
                                         HistoryMode{limits().kept, {.reserved = 6 * MiB}},
                                         HistoryMode{100 * page_size, {.reserved = 6 * MiB}}));

TEST_P(MemoryHistory, EndsWithTheImage) {
    std::mt19937_64 random(7);
    kvm::Vm vm, vm1;
    GuestMemory booted(vm, limits());
    constexpr int pages = 1200;  // more than two blocks
    for (int i = 0; i < pages; i += 100) {
        ASSERT_EQ(booted.map(base + i * page_size, 60 * page_size, rw, i % 200 ? "a" : ""), 0);
        for (int p = 0; p < 60; p += 1 + static_cast<int>(random() % 9))
            ASSERT_TRUE(booted.write(base + (i + p) * page_size + 8, random()));
        if (i % 300 == 0) {
            ASSERT_EQ(booted.protect(base + i * page_size, 7 * page_size, ro), 0);
        }
        if (i % 400 == 0) {
            ASSERT_EQ(booted.protect(base + (i + 20) * page_size, 5 * page_size, none), 0);
        }
    }
    ASSERT_EQ(booted.map(base + pages * page_size, 4 * MiB, rw), 0);
    auto image = booted.make_image();
    GuestMemory::Limits with_kept = limits();
    with_kept.kept = GetParam().kept;
    GuestMemory fork(vm1, image, with_kept, GetParam().huge_pages);
    constexpr int last = pages + 1024;
    auto contents = [&] {
        std::map<int, std::string> all;
        for (int p = 0; p < last + 50; ++p)
            if (auto bytes = fork.read_bytes(base + p * page_size, page_size)) all[p] = *bytes;
        return all;
    };
    const auto original = contents();
    const Regions regions = fork.regions();
    for (int round = 0; round < 60; ++round) {
        std::map<int, std::string> model = contents();
        for (int step = 0; step < 80; ++step) {
            const int first = static_cast<int>(random() % last), count = 1 + static_cast<int>(random() % 40);
            const GuestAddr begin = base + first * page_size;
            const std::size_t size = count * page_size;
            switch (random() % 6) {
                case 0:
                    ASSERT_EQ(fork.map(begin, size, rw), 0);
                    for (int p = 0; p < count; ++p) model[first + p].assign(page_size, '\0');
                    break;
                case 1:
                    ASSERT_EQ(fork.unmap(begin, size), 0);
                    for (int p = 0; p < count; ++p) model.erase(first + p);
                    break;
                case 2: {
                    const Protection to = random() % 2 ? ro : rw;
                    bool hidden = false;  // pages below PROT_NONE are not in the model
                    for (int p = 0; p < count; ++p) hidden = hidden || !model.count(first + p);
                    if (!hidden) {
                        ASSERT_EQ(fork.protect(begin, size, to), 0);
                    }
                    break;
                }
                case 3:
                    if (fork.regions().covered(begin, begin + size)) {
                        ASSERT_EQ(fork.discard(begin, size), 0);
                        for (int p = 0; p < count; ++p)
                            if (model.count(first + p)) model[first + p].assign(page_size, '\0');
                    }
                    break;
                default: {
                    const std::uint64_t value = random();
                    if (fork.write(begin + 16, value)) std::memcpy(model[first].data() + 16, &value, sizeof value);
                }
            }
        }
        ASSERT_TRUE(contents() == model) << "round " << round;
        fork.reset();
        ASSERT_TRUE(fork.regions() == regions) << "round " << round;
        ASSERT_TRUE(contents() == original) << "round " << round;
        ASSERT_EQ(fork.own_bytes() <= limits().bytes, true);
    }
}

}  // namespace
}  // namespace tinykvm

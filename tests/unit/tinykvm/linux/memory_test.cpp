// The mmap family against a model with content checks, and its bounds.
#include <fcntl.h>
#include <sys/mman.h>

#include <map>
#include <random>

#include "tests/unit/linux_process.hpp"

namespace tinykvm {
namespace {

using test::Folder;
using test::LinuxProcess;
constexpr GuestAddr arena = LinuxProcess::arena;
constexpr std::uint64_t anonymous = MAP_PRIVATE | MAP_ANONYMOUS;
constexpr std::uint64_t rw = PROT_READ | PROT_WRITE;

class MemoryCallsTest : public testing::Test {
  protected:
    std::int64_t mmap(GuestAddr at, std::uint64_t size, std::uint64_t protection, std::uint64_t flags = anonymous,
                      std::int64_t fd = -1, std::uint64_t offset = 0) {
        return guest.call(SYS_mmap, {at, size, protection, flags, static_cast<std::uint64_t>(fd), offset});
    }
    LinuxProcess guest;
};

TEST_F(MemoryCallsTest, RandomSequencesFollowAModel) {
    // Pages of a small area: what each must contain (nothing: not mapped) and whether it may be written.
    struct Page {
        std::uint64_t content;
        std::uint64_t protection;
    };
    constexpr GuestAddr base = 0x60000000;
    constexpr std::uint64_t pages = 64;
    std::map<std::uint64_t, Page> model;
    std::mt19937_64 random(99);
    const auto page_at = [&](std::uint64_t index) { return base + index * page_size; };
    for (int step = 0; step < 6000; ++step) {
        const std::uint64_t first = random() % pages, count = 1 + random() % std::min<std::uint64_t>(12, pages - first);
        constexpr std::uint64_t protections[] = {PROT_NONE, PROT_READ, rw, rw, rw};
        const std::uint64_t protection = protections[random() % std::size(protections)];
        bool covered = true;
        for (std::uint64_t i = first; i < first + count; ++i) covered &= model.count(i) != 0;
        switch (random() % 7) {
            case 0:
            case 1:
                ASSERT_EQ(mmap(page_at(first), count * page_size, protection, anonymous | MAP_FIXED),
                          static_cast<std::int64_t>(page_at(first)));
                for (std::uint64_t i = first; i < first + count; ++i) model[i] = {0, protection};
                break;
            case 2:
                ASSERT_EQ(guest.call(SYS_munmap, {page_at(first), count * page_size}), 0);
                for (std::uint64_t i = first; i < first + count; ++i) model.erase(i);
                break;
            case 3: {
                const std::int64_t result = guest.call(SYS_mprotect, {page_at(first), count * page_size, protection});
                ASSERT_EQ(result, covered ? 0 : -ENOMEM);
                // Up to the first hole it is done, as in Linux.
                for (std::uint64_t i = first; i < first + count && model.count(i); ++i)
                    model[i].protection = protection;
                break;
            }
            case 4: {
                const std::int64_t result = guest.call(SYS_madvise, {page_at(first), count * page_size, MADV_DONTNEED});
                ASSERT_EQ(result, covered ? 0 : -ENOMEM);
                for (std::uint64_t i = first; i < first + count; ++i)
                    if (model.count(i)) model[i].content = 0;
                break;
            }
            case 5: {  // to a place of the system's choice and back, if it is one mapping
                const std::int64_t moved =
                    guest.call(SYS_mremap, {page_at(first), count * page_size, count * page_size * 2, MREMAP_MAYMOVE});
                if (moved < 0) {
                    ASSERT_TRUE(moved == -EFAULT) << moved;
                    break;
                }
                ASSERT_TRUE(covered);
                const auto target = static_cast<GuestAddr>(moved);
                if (target == page_at(first)) {  // grew in place
                    for (std::uint64_t i = first + count; i < first + 2 * count && i < pages; ++i)
                        model[i] = {0, model[first].protection};
                    ASSERT_EQ(guest.call(SYS_munmap, {page_at(pages), count * page_size}), 0);
                    break;
                }
                const std::uint64_t kept = model[first].protection;
                ASSERT_EQ(guest.call(SYS_mremap, {target, 2 * count * page_size, count * page_size,
                                                  MREMAP_MAYMOVE | MREMAP_FIXED, page_at(first)}),
                          static_cast<std::int64_t>(page_at(first)));
                for (std::uint64_t i = first; i < first + count; ++i) ASSERT_EQ(model[i].protection, kept);
                ASSERT_FALSE(guest.memory.regions().overlaps(target, target + 2 * count * page_size));
                break;
            }
            case 6:
                for (std::uint64_t i = first; i < first + count; ++i) {
                    if (!model.count(i) || model[i].protection != rw) continue;
                    model[i].content = random();
                    ASSERT_TRUE(guest.memory.write(page_at(i) + 8 * (i % 500), model[i].content));
                }
                break;
        }
        const std::uint64_t i = random() % pages;
        const bool readable = model.count(i) && model[i].protection != PROT_NONE;
        ASSERT_EQ(guest.memory.is_readable(page_at(i), page_size), readable) << "step " << step << " page " << i;
        ASSERT_EQ(guest.memory.is_writable(page_at(i), page_size), model.count(i) && model[i].protection == rw);
        if (readable) {
            ASSERT_EQ(guest.get<std::uint64_t>(page_at(i) + 8 * (i % 500)), model[i].content)
                << "step " << step << " page " << i;
        }
    }
}

TEST_F(MemoryCallsTest, TheHeapGrowsAndShrinksCleanly) {
    constexpr GuestAddr start = LinuxProcess::heap;
    EXPECT_EQ(guest.call(SYS_brk, {0}), static_cast<std::int64_t>(start));
    std::mt19937_64 random(3);
    GuestAddr end = start;
    for (int step = 0; step < 500; ++step) {
        const GuestAddr wanted = start + random() % 0x100000;
        ASSERT_EQ(guest.call(SYS_brk, {wanted}), static_cast<std::int64_t>(wanted));
        // Whole new pages are zero, and writable to the last byte.
        for (GuestAddr at = page_ceil(end); at < page_ceil(wanted); at += page_size)
            ASSERT_EQ(guest.get<std::uint64_t>(at + 40), 0u) << step;
        if (wanted > start) {
            ASSERT_TRUE(guest.memory.is_writable(start, wanted - start));
            guest.fill(start, wanted - start);
        }
        ASSERT_FALSE(guest.memory.regions().overlaps(page_ceil(wanted), page_ceil(wanted) + page_size));
        end = wanted;
    }
    // A heap grows neither into another mapping nor beyond its limit.
    const auto now = static_cast<std::int64_t>(end);
    ASSERT_EQ(mmap(start + 0x200000, page_size, rw, anonymous | MAP_FIXED),
              static_cast<std::int64_t>(start + 0x200000));
    EXPECT_EQ(guest.call(SYS_brk, {start + 0x300000}), now);
    for (GuestAddr wild : {~std::uint64_t{0}, std::uint64_t{1} << 63, std::uint64_t{x86::user_end},
                           std::uint64_t{x86::system_begin} + 5, start - 1})
        EXPECT_EQ(guest.call(SYS_brk, {wild}), now);
}

TEST_F(MemoryCallsTest, TheSystemBlockIsOutOfReach) {
    for (GuestAddr at : {GuestAddr{x86::system_begin}, GuestAddr{x86::system_begin - page_size}, GuestAddr{x86::shim},
                         GuestAddr{x86::system_end - page_size}}) {
        for (std::uint64_t size : {std::uint64_t{2} * page_size, std::uint64_t{4} << 20}) {
            EXPECT_LT(mmap(at, size, rw, anonymous | MAP_FIXED), 0);
            EXPECT_LT(mmap(at, size, rw, anonymous | MAP_FIXED_NOREPLACE), 0);
            EXPECT_NE(guest.call(SYS_munmap, {at, size}), 0);
            EXPECT_NE(guest.call(SYS_mprotect, {at, size, rw}), 0);
            EXPECT_NE(guest.call(SYS_madvise, {at, size, MADV_DONTNEED}), 0);
            EXPECT_LT(guest.call(SYS_mremap, {at, size, size * 2, MREMAP_MAYMOVE}), 0);
            EXPECT_LT(guest.call(SYS_mremap, {arena, page_size, size, MREMAP_MAYMOVE | MREMAP_FIXED, at}), 0);
        }
        const std::int64_t elsewhere = mmap(at, page_size, rw);
        EXPECT_GT(elsewhere, 0) << "as a hint it is only a hint";
        EXPECT_TRUE(static_cast<GuestAddr>(elsewhere) < x86::system_begin ||
                    static_cast<GuestAddr>(elsewhere) >= x86::system_end);
    }
    EXPECT_LT(mmap(0, page_size, rw, anonymous | MAP_FIXED), 0);
    EXPECT_LT(mmap(x86::user_end, page_size, rw, anonymous | MAP_FIXED), 0);
    EXPECT_LT(mmap(x86::user_end - page_size, 2 * page_size, rw, anonymous | MAP_FIXED), 0);
    EXPECT_GT(mmap(x86::system_end, page_size, rw, anonymous | MAP_FIXED), 0);
}

// LuaJIT and others keep pointers in 32 bits, and believe the kernel.
TEST_F(MemoryCallsTest, AddressesFitInto32BitsWhereAskedFor) {
    constexpr std::uint64_t limit = std::uint64_t{1} << 31, quarter = std::uint64_t{256} << 20;
    EXPECT_LT(mmap(0x200000000, page_size, rw, anonymous | MAP_32BIT), static_cast<std::int64_t>(limit));
    EXPECT_EQ(mmap(0x200000000, page_size, rw, anonymous | MAP_32BIT | MAP_FIXED), 0x200000000);
    std::int64_t at = 0;
    int made = 0;
    while (made < 8 && (at = mmap(0, quarter, PROT_NONE, anonymous | MAP_32BIT)) > 0) {
        EXPECT_LE(static_cast<std::uint64_t>(at) + quarter, limit);
        ++made;
    }
    EXPECT_EQ(at, -ENOMEM) << "rather than an address that is cut off";
    EXPECT_GE(made, 3);
}

TEST_F(MemoryCallsTest, SizesThatWrapAreRefused) {
    for (std::uint64_t size :
         {~std::uint64_t{0}, ~std::uint64_t{0} - 4095, std::uint64_t{1} << 63, std::uint64_t{x86::user_end} + 1}) {
        EXPECT_EQ(mmap(0, size, rw), -ENOMEM);
        EXPECT_EQ(mmap(arena, size, rw, anonymous | MAP_FIXED), -ENOMEM);
        EXPECT_EQ(guest.call(SYS_munmap, {arena, size}), -EINVAL);
        EXPECT_EQ(guest.call(SYS_mprotect, {arena, size, rw}), -ENOMEM);
        EXPECT_LT(guest.call(SYS_mremap, {arena, size, page_size, MREMAP_MAYMOVE}), 0);
        EXPECT_LT(guest.call(SYS_mremap, {arena, page_size, size, MREMAP_MAYMOVE}), 0);
        EXPECT_LT(guest.call(SYS_madvise, {arena, size, MADV_DONTNEED}), 0);
    }
}

// The largest accepted ranges take no time.
TEST_F(MemoryCallsTest, EnormousRangesAreCheap) {
    const std::uint64_t huge = std::uint64_t{1} << 46;
    const auto begin = Clock::now();
    const std::int64_t at = mmap(0, huge, PROT_NONE, anonymous | MAP_NORESERVE);
    ASSERT_GT(at, 0);
    const auto where = static_cast<GuestAddr>(at);
    EXPECT_EQ(guest.call(SYS_madvise, {where, huge, MADV_DONTNEED}), 0);
    EXPECT_EQ(guest.call(SYS_mprotect, {where, huge, PROT_NONE}), 0);
    EXPECT_EQ(guest.call(SYS_mprotect, {where, huge, rw}), -ENOMEM) << "more than there may be";
    EXPECT_EQ(guest.call(SYS_munmap, {where, huge}), 0);
    EXPECT_EQ(guest.call(SYS_munmap, {0x80000000, std::uint64_t{1} << 37}), 0) << "nothing there";
    EXPECT_LT(Clock::now() - begin, std::chrono::milliseconds(200));
}

TEST_F(MemoryCallsTest, MappingsAreLimitedInNumber) {
    const auto area = static_cast<GuestAddr>(mmap(0, std::uint64_t{64} << 20, PROT_NONE));
    std::int64_t result = 0;
    int made = 0;
    for (; made < 20000 && result >= 0; ++made)
        result =
            guest.call(SYS_mprotect, {area + static_cast<std::uint64_t>(made) * 2 * page_size, page_size, PROT_READ});
    EXPECT_EQ(result, -ENOMEM);
    EXPECT_LT(made, 5000);
    EXPECT_EQ(mmap(0, page_size, rw), -ENOMEM);
}

class FileMappingsTest : public testing::Test {
  protected:
    FileMappingsTest() : guest(options()) {}
    Options options() {
        std::string text;
        for (int i = 0; i < 3000; ++i) text += static_cast<char>('a' + i % 26);
        folder.write("short", text);
        std::string longer;
        for (int i = 0; i < 300000; ++i) longer += static_cast<char>(i * 31 >> 3);
        folder.write("long", longer);
        std::ofstream(folder / "enormous").close();
        std::filesystem::resize_file(folder / "enormous", std::uint64_t{1} << 40);
        Options options;
        options.allowed_paths = {{.virtual_path = "/data", .real_path = folder.path, .writable = true}};
        return options;
    }
    std::int64_t map(const std::string& name, std::uint64_t size, std::uint64_t protection,
                     std::uint64_t flags = MAP_PRIVATE, std::uint64_t offset = 0, int open_flags = O_RDONLY) {
        const std::int64_t fd = guest.open("/data/" + name, open_flags);
        const std::int64_t result =
            guest.call(SYS_mmap, {0, size, protection, flags, static_cast<std::uint64_t>(fd), offset});
        guest.call(SYS_close, {static_cast<std::uint64_t>(fd)});
        return result;
    }
    Folder folder;
    LinuxProcess guest;
};

TEST_F(FileMappingsTest, ShowTheFileAndZeroesBehindIt) {
    const auto at = static_cast<GuestAddr>(map("short", 3 * page_size, PROT_READ));
    EXPECT_EQ(guest.bytes(at, 3000), folder.read("short"));
    EXPECT_EQ(guest.bytes(at + 3000, 3 * page_size - 3000), std::string(3 * page_size - 3000, '\0'));
    EXPECT_FALSE(guest.memory.is_writable(at, 1));
    EXPECT_EQ(guest.memory.regions().find(at)->name, "/data/short");
    const auto part = static_cast<GuestAddr>(map("long", 100000, PROT_READ | PROT_WRITE, MAP_PRIVATE, 65536));
    EXPECT_EQ(guest.bytes(part, 100000), folder.read("long").substr(65536, 100000));
    guest.fill(part, 1000);
    EXPECT_NE(folder.read("long")[65536], static_cast<char>(LinuxProcess::pattern)) << "private";
    EXPECT_GT(map("short", page_size, PROT_READ, MAP_PRIVATE, 1 << 20), 0) << "wholly after the end";
}

TEST_F(FileMappingsTest, SharedOnesAreForReading) {
    EXPECT_GT(map("short", page_size, PROT_READ, MAP_SHARED), 0);
    EXPECT_EQ(map("short", page_size, rw, MAP_SHARED), -EACCES);
    EXPECT_EQ(map("short", page_size, rw, MAP_SHARED, 0, O_RDWR), -ENODEV);
    EXPECT_EQ(map("short", page_size, PROT_READ, MAP_PRIVATE, 0, O_WRONLY), -EACCES);
    EXPECT_EQ(map("short", page_size, PROT_READ, MAP_PRIVATE, 5), -EINVAL);
    EXPECT_EQ(map("short", page_size, PROT_READ, MAP_PRIVATE, 0, O_PATH), -EBADF);
    EXPECT_EQ(guest.call(SYS_mmap, {0, page_size, PROT_READ, MAP_PRIVATE, 1, 0}), -EACCES);
    EXPECT_EQ(guest.call(SYS_mmap, {0, page_size, PROT_READ, MAP_PRIVATE, 0, 0}), -ENODEV);
    EXPECT_EQ(guest.call(SYS_mmap, {0, page_size, PROT_READ, MAP_PRIVATE, 99, 0}), -EBADF);
}

// Copies count as memory; what does not fit is refused before anything happened.
TEST_F(FileMappingsTest, AreLimited) {
    const std::size_t before = guest.memory.changed_bytes();
    EXPECT_EQ(map("enormous", std::uint64_t{1} << 30, PROT_READ), -ENOMEM);
    EXPECT_EQ(map("enormous", std::uint64_t{1} << 40, PROT_READ), -ENOMEM);
    EXPECT_EQ(guest.memory.changed_bytes(), before);
    int made = 0;
    while (made < 1000 && map("long", 300000, PROT_READ) > 0) ++made;
    EXPECT_LT(made, 300);
    EXPECT_GT(made, 100);
}

// What comes after the part that was mapped is not in the copy: SQLite, for one, then maps the file anew.
TEST_F(FileMappingsTest, CannotGrow) {
    const auto at = static_cast<GuestAddr>(map("long", page_size, PROT_READ));
    EXPECT_EQ(guest.call(SYS_mremap, {at, page_size, 2 * page_size, MREMAP_MAYMOVE}), -ENOMEM);
    EXPECT_EQ(guest.call(SYS_mremap, {at, page_size, 2 * page_size, 0}), -ENOMEM);
    EXPECT_EQ(guest.call(SYS_mremap, {at, page_size, 2 * page_size, MREMAP_MAYMOVE | MREMAP_FIXED, arena}), -ENOMEM);
    EXPECT_TRUE(guest.untouched(arena, 2 * page_size));
    EXPECT_EQ(guest.bytes(at, page_size), folder.read("long").substr(0, page_size));
    EXPECT_EQ(guest.call(SYS_mremap, {at, page_size, page_size, MREMAP_MAYMOVE | MREMAP_FIXED, arena}), arena);
    EXPECT_EQ(guest.bytes(arena, page_size), folder.read("long").substr(0, page_size));
}

TEST_F(FileMappingsTest, ShowTheFileAgainWhenTheyAreDiscarded) {
    const auto at = static_cast<GuestAddr>(map("short", page_size, PROT_READ));
    EXPECT_EQ(guest.call(SYS_madvise, {at, page_size, MADV_DONTNEED}), 0);
    EXPECT_EQ(guest.bytes(at, 3000), folder.read("short"));
    EXPECT_EQ(guest.call(SYS_madvise, {at, page_size, MADV_FREE}), -EINVAL);
    EXPECT_EQ(guest.call(SYS_mprotect, {at, page_size, PROT_READ | PROT_WRITE}), 0);
    EXPECT_EQ(guest.call(SYS_madvise, {at, page_size, MADV_DONTNEED}), -EINVAL) << "rather than lose the file's bytes";
}

TEST_F(FileMappingsTest, CannotBecomeWritableWhenTheyAreShared) {
    const auto fd = static_cast<std::uint64_t>(guest.open("/data/short", O_RDONLY));
    const auto at = static_cast<GuestAddr>(guest.call(SYS_mmap, {0, page_size, PROT_READ, MAP_SHARED, fd, 0}));
    EXPECT_EQ(guest.call(SYS_mprotect, {at, page_size, PROT_READ | PROT_WRITE}), -EACCES);
    EXPECT_EQ(guest.call(SYS_mprotect, {at, page_size, PROT_NONE}), 0);
    EXPECT_EQ(guest.call(SYS_mprotect, {at, page_size, PROT_READ}), 0);
}

TEST(AdviceTest, WhatForksFindZeroIsRemembered) {
    LinuxProcess guest;
    const auto at = static_cast<GuestAddr>(
        guest.call(SYS_mmap, {0, 8 * page_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, ~0ull, 0}));
    const auto advise = [&](GuestAddr from, std::uint64_t pages, int advice) {
        return guest.call(SYS_madvise, {from, pages * page_size, static_cast<std::uint64_t>(advice)});
    };
    const auto is_wiped = [&](GuestAddr page) { return guest.memory.regions().find(page)->traits.zero_in_forks; };
    EXPECT_EQ(advise(at + page_size, 6, MADV_WIPEONFORK), 0);
    EXPECT_EQ(advise(at + 2 * page_size, 1, MADV_KEEPONFORK), 0);
    for (std::uint64_t page = 0; page < 8; ++page)
        EXPECT_EQ(is_wiped(at + page * page_size), page == 1 || (page >= 3 && page < 7)) << page;
    // It stays with its memory, whatever becomes of that.
    EXPECT_EQ(guest.call(SYS_mprotect, {at + 3 * page_size, page_size, PROT_NONE}), 0);
    EXPECT_TRUE(is_wiped(at + 3 * page_size));
    const auto moved = guest.call(SYS_mremap, {at + 4 * page_size, 3 * page_size, 64 * page_size, MREMAP_MAYMOVE});
    EXPECT_TRUE(is_wiped(static_cast<GuestAddr>(moved)));
    EXPECT_TRUE(is_wiped(static_cast<GuestAddr>(moved) + 63 * page_size));

    guest.fill(at, page_size);
    guest.fill(at + page_size, page_size);
    guest.memory.wipe_for_forks();
    EXPECT_TRUE(guest.untouched(at, page_size));
    EXPECT_EQ(guest.bytes(at + page_size, page_size), std::string(page_size, 0));

    const auto shared =
        static_cast<GuestAddr>(guest.call(SYS_mmap, {0, page_size, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, ~0ull, 0}));
    EXPECT_EQ(advise(shared, 1, MADV_WIPEONFORK), -EINVAL);
    EXPECT_EQ(advise(shared, 1, MADV_KEEPONFORK), 0);
    EXPECT_EQ(advise(0x30000000, 1, MADV_WIPEONFORK), -ENOMEM);
}

}  // namespace
}  // namespace tinykvm

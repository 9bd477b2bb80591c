// What guests are told of the processor.
#include "tinykvm/platform/platform.hpp"

#include <unistd.h>

#include <algorithm>

#include "tests/unit/booted_guest.hpp"

namespace tinykvm {
namespace {

using kvm::CpuidEntry;

const CpuidEntry* leaf(std::uint32_t function, std::uint32_t index = 0) {
    for (const CpuidEntry& e : x86::Platform::instance().cpuid())
        if (e.function == function && (e.index == index || !(e.flags & CpuidEntry::index_is_significant))) return &e;
    return nullptr;
}

TEST(Platform, TheLastLeafOfCpuidSaysSomething) {
    for (const std::uint32_t base : {0u, 0x80000000u}) {
        ASSERT_NE(leaf(base), nullptr);
        const std::uint32_t last = leaf(base)->eax;
        std::uint32_t content = 0;
        for (const CpuidEntry& e : x86::Platform::instance().cpuid()) {
            if ((e.function & 0xF0000000) != base) continue;
            EXPECT_LE(e.function, last);
            if (e.function == last) content |= e.eax | e.ebx | e.ecx | e.edx;
        }
        EXPECT_NE(content, 0u) << std::hex << last;
    }
    EXPECT_GE(leaf(0)->eax, 7u);
}

// glibc asks leaf 2, and leaf 4 for what that does not say: both together must say what leaf 4 alone does.
TEST(Platform, GlibcFindsTheCachesInAGuest) {
    const CpuidEntry* vendor = leaf(0);
    ASSERT_NE(vendor, nullptr);
    if (vendor->ecx != 0x6C65746E) GTEST_SKIP() << "not a CPU of Intel: glibc asks other leaves";
    if (!leaf(2) || (leaf(2)->eax & 0xFF) != 1) GTEST_SKIP() << "there is no leaf 2";
    struct Cache {
        std::uint32_t kind;
        int size, ways, line;
    };
    constexpr Cache caches[] = {
        {0x22, _SC_LEVEL1_ICACHE_SIZE, -1, _SC_LEVEL1_ICACHE_LINESIZE},
        {0x21, _SC_LEVEL1_DCACHE_SIZE, _SC_LEVEL1_DCACHE_ASSOC, _SC_LEVEL1_DCACHE_LINESIZE},
        {0x43, _SC_LEVEL2_CACHE_SIZE, _SC_LEVEL2_CACHE_ASSOC, _SC_LEVEL2_CACHE_LINESIZE},
        {0x63, _SC_LEVEL3_CACHE_SIZE, _SC_LEVEL3_CACHE_ASSOC, _SC_LEVEL3_CACHE_LINESIZE},
    };
    test::BootedGuest guest("worker");
    Fork fork(guest.snapshot);
    for (const CpuidEntry& e : x86::Platform::instance().cpuid()) {
        const auto* cache = std::find_if(std::begin(caches), std::end(caches),
                                         [&](const Cache& c) { return e.function == 4 && c.kind == (e.eax & 0xFF); });
        if (cache == std::end(caches)) continue;
        const std::uint64_t ways = (e.ebx >> 22) + 1, line = (e.ebx & 0xFFF) + 1;
        const std::uint64_t size = ways * line * ((e.ebx >> 12 & 0x3FF) + 1) * (std::uint64_t{e.ecx} + 1);
        EXPECT_EQ(guest.call(fork, "configuration", {static_cast<std::uint64_t>(cache->size)}), size) << cache->kind;
        EXPECT_EQ(guest.call(fork, "configuration", {static_cast<std::uint64_t>(cache->line)}), line) << cache->kind;
        if (cache->ways >= 0) {
            EXPECT_EQ(guest.call(fork, "configuration", {static_cast<std::uint64_t>(cache->ways)}), ways)
                << cache->kind;
        }
    }
}

}  // namespace
}  // namespace tinykvm

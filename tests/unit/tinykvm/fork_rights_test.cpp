// What a guest may do with its memory, in forks: what its program could when it waited, and what its requests decide.
#include <sys/mman.h>
#include <sys/syscall.h>

#include <cerrno>
#include <ctime>
#include <string>
#include <vector>

#include "tests/unit/booted_guest.hpp"
#include "tinykvm/x86/layout.hpp"

namespace tinykvm {
namespace {

using test::BootedGuest;
using test::error_of;

// No fork has rights that the program had given up before it waited: its page tables see to that, or the host's
// mappings, when a request has changed something there.
TEST(ForkMemory, HasTheRightsItHadWhenTheProgramWaited) {
    constexpr std::uint64_t mprotect = 10, mmap = 9, munmap = 11, block = std::uint64_t{2} << 20;
    constexpr std::uint64_t data = 0xC3C3C3C3C3C3C3C3;
    BootedGuest guest("worker");
    Fork fork(guest.snapshot);
    const GuestAddr mixed = guest.call(fork, "mixed_memory");
    const GuestAddr writable = mixed, read_only = mixed + page_size, hidden = mixed + 2 * page_size,
                    gone = mixed + 3 * page_size, code = mixed + 4 * page_size,
                    in_block = mixed + 2 * block + 8 * page_size;
    const auto refused = [&](const char* function, GuestAddr address) {
        const std::string error = error_of<GuestFault>([&] { guest.call(fork, function, {address, 5}); });
        EXPECT_NE(error, "") << function << " " << (address - mixed) / page_size;
        fork.reset();
        return error;
    };
    const auto change = [&](std::uint64_t number, GuestAddr address, std::uint64_t size, std::uint64_t protection) {
        guest.call(fork, "linux_call", {number, address, size, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED});
    };
    fork.reset();
    for (int round = 0; round < 3; ++round) {
        for (const GuestAddr address : {read_only, hidden, gone, code, in_block}) {
            // As in a new fork, also where the mappings of another request were: the fault has an address.
            const std::string error = refused("write_to", address);
            EXPECT_NE(error.find("page fault at 0x"), std::string::npos) << error;
        }
        refused("read_from", hidden);
        refused("read_from", gone);
        refused("execute", code);
        EXPECT_EQ(guest.call(fork, "read_from", {read_only}), data);
        EXPECT_EQ(guest.call(fork, "read_from", {code}), data);
        EXPECT_EQ(guest.call(fork, "read_from", {in_block}), 1u);
        for (const GuestAddr address : {writable, mixed + 5 * page_size, in_block - page_size, in_block + page_size})
            EXPECT_EQ(guest.call(fork, "write_to", {address, 5}), 1u);
        fork.reset();

        for (const GuestAddr address : {read_only, hidden, in_block}) change(mprotect, address, page_size, 3);
        change(mmap, gone, page_size, 3);
        EXPECT_EQ(guest.call(fork, "read_from", {hidden}), data);
        EXPECT_EQ(guest.call(fork, "read_from", {gone}), 0u);
        for (const GuestAddr address : {read_only, hidden, gone, in_block})
            EXPECT_EQ(guest.call(fork, "write_to", {address, 5}), 1u);
        fork.reset();
        change(munmap, mixed, 3 * block, 0);
        fork.reset();
    }
    EXPECT_EQ(fork.statistics().rebuilds, 0u);
}

// A system call that would answer in memory, with the place of that address among its arguments.
struct Answering {
    std::uint64_t number;
    std::vector<std::uint64_t> arguments;
    std::size_t address_at;
};

// The host may write where a program may only read, and must not for it.
class ForkRights : public testing::Test {
  protected:
    static Options options() {
        Options options;
        options.executable_heap = true;
        options.relocate_fixed_mappings = true;
        options.closed_addresses = {{closed, closed + 8 * page_size}};
        options.shared_memory = std::size_t{1} << 20;
        return options;
    }
    std::int64_t linux_call(std::uint64_t number, std::vector<std::uint64_t> arguments) {
        arguments.insert(arguments.begin(), number);
        return static_cast<std::int64_t>(guest.call(fork, "linux_call", arguments));
    }
    // Every kind of system call that writes, and the host's own way; `may`: not forbidden.
    void expect_answers(GuestAddr address, bool may, const std::string& what) {
        const Answering calls[] = {
            {SYS_getrandom, {0, 8, 0}, 0},
            {SYS_clock_gettime, {CLOCK_MONOTONIC, 0}, 1},
            {SYS_uname, {0}, 0},
            {SYS_getcwd, {0, 100}, 0},
            {SYS_gettimeofday, {0, 0}, 0},
            {SYS_sysinfo, {0}, 0},
            {SYS_sigaltstack, {0, 0}, 1},
            {SYS_rt_sigprocmask, {0, 0, 0, 8}, 2},
            {SYS_times, {0}, 0},
            {SYS_prlimit64, {0, 3, 0, 0}, 3},
            {SYS_mincore, {page(5), 4096, 0}, 2},
            {SYS_pipe2, {0, 0}, 0},
            {SYS_getrusage, {0, 0}, 1},
            {SYS_arch_prctl, {0x1003, 0}, 1},
        };
        const auto before = fork.memory().read_bytes(page_floor(address), page_size);
        int answered = 0;
        for (Answering call : calls) {
            call.arguments[call.address_at] = address;
            const std::int64_t result = linux_call(call.number, call.arguments);
            answered += result >= 0;
            if (!may) {
                EXPECT_LT(result, 0) << what << ", system call " << call.number;
                EXPECT_TRUE(result == -EFAULT || result == -ENOSYS) << what << ", " << call.number << ": " << result;
            }
        }
        EXPECT_EQ(fork.memory().write(address, std::uint64_t{1}), may) << what;
        EXPECT_EQ(fork.memory().writable(address, 8).empty(), !may) << what;
        if (may) {
            EXPECT_GE(answered, 12) << what;
        } else if (page_floor(address) != x86::clock_page) {  // which the host refreshes now and then
            EXPECT_TRUE(fork.memory().read_bytes(page_floor(address), page_size) == before) << what;
        }
    }
    void expect_refused(const char* function, GuestAddr address, const std::string& what) {
        EXPECT_NE(error_of<GuestFault>([&] { guest.call(fork, function, {address, 5}); }), "") << what;
        fork.reset();
    }
    GuestAddr map(GuestAddr at, std::size_t size, int protection, int flags = 0) {
        return static_cast<GuestAddr>(
            linux_call(SYS_mmap, {at, size, static_cast<std::uint64_t>(protection),
                                  static_cast<std::uint64_t>(MAP_PRIVATE | MAP_ANONYMOUS | flags), ~std::uint64_t{0}}));
    }
    std::int64_t protect(GuestAddr at, std::size_t size, int protection) {
        return linux_call(SYS_mprotect, {at, size, static_cast<std::uint64_t>(protection)});
    }
    // The address of a page of worker's mixed_memory.
    GuestAddr page(int n) const { return mixed + static_cast<GuestAddr>(n) * page_size; }

    static constexpr GuestAddr closed = 0x5000001000;
    BootedGuest guest{"worker", options()};
    Fork fork{guest.snapshot};
    GuestAddr mixed = guest.call(fork, "mixed_memory");
};

TEST_F(ForkRights, NothingIsWrittenWhereAProgramMayOnlyRead) {
    const GuestAddr in_block = page(2 * 512 + 8), code = guest.calls.functions.at("write_to");
    fork.reset();
    for (int round = 0; round < 3; ++round) {
        const std::string when = "round " + std::to_string(round);
        expect_answers(page(0), true, when + ", writable");
        for (const GuestAddr address : {page(1), page(2), page(3), page(4), in_block, code})
            expect_answers(address, false, when + ", page " + std::to_string((address - mixed) / page_size));
        expect_answers(x86::vdso, false, when + ", vDSO");
        expect_answers(x86::clock_page, false, when + ", clock page");
        fork.reset();
        // The next round finds page tables that grant more.
        for (const GuestAddr address : {page(1), page(2), in_block}) EXPECT_EQ(protect(address, page_size, 3), 0);
        expect_answers(page(1), true, when + ", made writable");
        fork.reset();
    }
    EXPECT_EQ(fork.statistics().rebuilds, 0u);
}

TEST_F(ForkRights, WhatARequestForbidsIsForbidden) {
    const GuestAddr writable = page(0), large = page(512);  // a small page, and a block in one entry
    fork.reset();
    const auto forbid = [&](GuestAddr address) { EXPECT_EQ(protect(address, page_size, PROT_READ), 0); };
    for (int round = 0; round < 2; ++round) {
        for (const GuestAddr address : {writable, large, large + 100 * page_size}) {
            guest.call(fork, "write_to", {address + 8, 6});  // its entry has been used for writing
            forbid(address);
            expect_answers(address, false, "forbidden");
            expect_refused("write_to", address, "forbidden");
            EXPECT_EQ(guest.call(fork, "write_to", {address, 5}), 1u);
            EXPECT_EQ(protect(address, page_size, PROT_NONE), 0);
            expect_answers(address, false, "hidden");
            expect_refused("read_from", address, "hidden");
        }
        // Never writable so far.
        EXPECT_EQ(protect(page(1), page_size, PROT_NONE), 0);
        expect_answers(page(1), false, "read only, hidden");
        EXPECT_EQ(protect(page(1), page_size, PROT_READ), 0);
        expect_answers(page(1), false, "read only, hidden and shown");
        expect_refused("write_to", page(1), "read only, hidden and shown");
        EXPECT_EQ(protect(page(1), page_size, PROT_READ | PROT_WRITE), 0);
        EXPECT_EQ(guest.call(fork, "write_to", {page(1), 5}), 1u);
        forbid(page(1));
        expect_answers(page(1), false, "writable for a while");
        expect_refused("write_to", page(1), "writable for a while");
        EXPECT_EQ(linux_call(SYS_munmap, {writable, 2 * page_size}), 0);
        expect_answers(writable, false, "gone");
        expect_refused("write_to", page(1), "gone");
    }
    EXPECT_EQ(fork.statistics().rebuilds, 0u);
}

TEST_F(ForkRights, MappingsOfARequestHaveTheirs) {
    const auto expect_read_only = [&](GuestAddr address, const std::string& what) {
        EXPECT_EQ(guest.call(fork, "read_from", {address}), 0u) << what;
        expect_answers(address, false, what);
        EXPECT_EQ(protect(address, page_size, PROT_READ | PROT_WRITE), 0) << what;
        EXPECT_EQ(guest.call(fork, "write_to", {address, 5}), 1u) << what;
        EXPECT_EQ(protect(address, page_size, PROT_READ), 0) << what;
        expect_answers(address, false, what + ", after it was writable");
        EXPECT_EQ(guest.call(fork, "read_from", {address}), 5u) << what;
        expect_refused("write_to", address, what);
    };
    for (int round = 0; round < 2; ++round) {
        expect_read_only(map(0, 3 * page_size, PROT_READ) + page_size, "small");
        expect_read_only(map(0, std::size_t{6} << 20, PROT_READ) + (std::size_t{4} << 20), "large");
        // A mapping takes the place of a writable page.
        EXPECT_EQ(map(page(0), page_size, PROT_READ, MAP_FIXED), page(0));
        expect_read_only(page(0), "replaced");
        // Nothing can be mapped there, so the mapping is placed elsewhere.
        const GuestAddr moved = map(closed, 8 * page_size, PROT_READ, MAP_FIXED);
        EXPECT_NE(moved, closed);
        expect_read_only(moved, "moved");
        // Around the closed addresses, in the same block.
        EXPECT_EQ(map(closed - page_size, page_size, PROT_READ | PROT_WRITE, MAP_FIXED), closed - page_size);
        EXPECT_EQ(map(closed + 8 * page_size, page_size, PROT_READ, MAP_FIXED), closed + 8 * page_size);
        expect_answers(closed, false, "closed");
        EXPECT_EQ(protect(closed, page_size, PROT_READ | PROT_WRITE), -ENOMEM);
        expect_refused("write_to", closed, "closed");
        // After shared memory that does not end with its block.
        const GuestAddr shared_end = fork.memory().shared().end;
        expect_answers(shared_end, false, "after shared memory");
        expect_refused("read_from", shared_end, "after shared memory");
        EXPECT_EQ(guest.call(fork, "write_to", {shared_end - 8, 5}), 1u);
        fork.reset();
        // mremap takes its source's rights along.
        const GuestAddr from = map(0, page_size, PROT_READ);
        const auto to =
            static_cast<GuestAddr>(linux_call(SYS_mremap, {from, page_size, 2 * page_size, MREMAP_MAYMOVE}));
        expect_read_only(to + page_size, "grown");
    }
    EXPECT_EQ(fork.statistics().rebuilds, 0u);
}

// A heap that may be executed needs a new VM after each request that grows it.
TEST_F(ForkRights, AnExecutableHeapIsProtectedLikeOtherMemory) {
    for (int round = 0; round < 2; ++round) {
        const auto begin = static_cast<GuestAddr>(linux_call(SYS_brk, {0}));
        const GuestAddr heap = page_ceil(begin) + page_size;
        EXPECT_EQ(linux_call(SYS_brk, {begin + 16 * page_size}), static_cast<std::int64_t>(begin + 16 * page_size));
        EXPECT_EQ(guest.call(fork, "write_to", {heap, 0xC3}), 1u);
        EXPECT_EQ(protect(heap, page_size, PROT_READ | PROT_EXEC), 0);
        expect_answers(heap, false, "heap");
        EXPECT_EQ(guest.call(fork, "read_from", {heap}), 0xC3u);
        expect_refused("write_to", heap, "heap");
    }
    EXPECT_EQ(fork.statistics().rebuilds, 2u);
}

}  // namespace
}  // namespace tinykvm

// What a guest may do with its memory is what its page tables and the host's mapping of a page allow together. It must
// be what Regions says, whatever was mapped, protected and undone.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "tinykvm/errors.hpp"
#include "tinykvm/kvm/vm.hpp"
#include "tinykvm/memory/guest_memory.hpp"
#include "tinykvm/memory/image.hpp"
#include "tinykvm/x86/layout.hpp"

namespace tinykvm {
namespace {

constexpr Protection rw{.read = true, .write = true}, ro{.read = true}, none{};
constexpr GuestAddr base = 0x10000000;
constexpr std::size_t MiB = std::size_t{1} << 20;

GuestMemory::Limits limits(std::size_t address_space = 512 * MiB) { return {64 * MiB, "max_memory", address_space}; }

std::string to_string(Protection p) {
    return std::string(p.read ? "r" : "-") + (p.write ? "w" : "-") + (p.execute ? "x" : "-");
}

enum class Of { tables_and_host, tables };

class Rights {
  public:
    explicit Rights(const GuestMemory& memory, Of whose = Of::tables_and_host) : memory_(memory), whose_(whose) {
        read_host_mappings();
    }

    // What user mode can really do at an address.
    Protection at(GuestAddr address) const {
        constexpr std::uint64_t present = 1, writable = 2, user = 4, large = 0x80, execute_disable = 1ull << 63;
        constexpr std::uint64_t address_bits = 0x000FFFFFFFFFF000;
        std::uint64_t table = memory_.page_table_root(), entry = 0, page = 0;
        bool write = true;
        for (int level = 4; level > 0 && page == 0; --level) {
            const int shift = 12 + 9 * (level - 1);
            std::memcpy(&entry, host(table) + 8 * (address >> shift & 511), sizeof entry);
            if (!(entry & present) || !(entry & user)) return {};
            write = write && (entry & writable);
            table = entry & address_bits;
            if (level == 1 || (entry & large)) page = table + (address & ((1ull << shift) - 1));
        }
        const Protection behind = whose_ == Of::tables ? rw : of_host(reinterpret_cast<std::uintptr_t>(host(page)));
        const bool executable = behind.read && !(entry & execute_disable);
        return {.read = behind.read, .write = write && behind.write, .execute = executable};
    }

    // Is that what Regions says, for each page of a range? Rights to execute only grow while a VM lives.
    void expect_to_be_those_of_regions(GuestAddr begin, GuestAddr end, bool exact_execute, const std::string& when) {
        for (GuestAddr address = begin; address < end; address += page_size) {
            const Region* region = memory_.regions().find(address);
            Protection wanted = region ? region->protection : none;
            wanted.read = wanted.accessible();
            Protection real = at(address);
            if (!exact_execute) wanted.execute = real.execute = wanted.execute && real.execute;
            ASSERT_EQ(to_string(real), to_string(wanted)) << when << ", page " << (address - begin) / page_size;
        }
    }

  private:
    struct HostMapping {
        std::uintptr_t begin, end;
        Protection protection;
    };

    const std::byte* host(std::uint64_t physical) const {
        return memory_.system_block() + (physical - x86::window_base);  // the window's beginning
    }
    void read_host_mappings() {
        std::FILE* file = std::fopen("/proc/self/maps", "re");
        ASSERT_NE(file, nullptr);
        for (char line[512]; std::fgets(line, sizeof line, file);) {
            unsigned long begin = 0, end = 0;
            char rights[5] = "";
            if (std::sscanf(line, "%lx-%lx %4s", &begin, &end, rights) == 3)
                mappings_.push_back({begin, end, {rights[0] == 'r', rights[1] == 'w', rights[2] == 'x'}});
        }
        std::fclose(file);
    }
    Protection of_host(std::uintptr_t address) const {
        const auto mapping = std::lower_bound(mappings_.begin(), mappings_.end(), address,
                                              [](const HostMapping& m, std::uintptr_t a) { return m.end <= a; });
        return mapping != mappings_.end() && mapping->begin <= address ? mapping->protection : none;
    }

    const GuestMemory& memory_;
    const Of whose_;
    std::vector<HostMapping> mappings_;  // ascending
};

void expect_rights(const GuestMemory& memory, GuestAddr begin, GuestAddr end, bool exact_execute,
                   const std::string& when, Of whose = Of::tables_and_host) {
    Rights(memory, whose).expect_to_be_those_of_regions(begin, end, exact_execute, when);
}

// A program that has mapped, protected, executed and unmapped memory, with shared memory and closed addresses.
class MemoryRights : public testing::TestWithParam<bool> {
  protected:
    static constexpr int pages = 1200, last = pages + 1024;  // blocks of small pages, and large ones after them
    static constexpr GuestAddr end = base + (last + 600) * page_size;
    static constexpr GuestAddr closed_begin = base + (pages + 300) * page_size,
                               closed_end = closed_begin + 3 * page_size;

    static GuestMemory::Limits closing() {
        GuestMemory::Limits l = limits();
        l.closed = {{closed_begin, closed_end}};
        return l;
    }

    std::shared_ptr<const MemoryImage> image() {
        constexpr Protection code{.read = true, .execute = true}, all{.read = true, .write = true, .execute = true};
        std::mt19937_64 random(11);
        kvm::Vm vm;
        GuestMemory booted(vm, closing());
        for (int i = 0; i < pages; i += 100) {
            EXPECT_EQ(booted.map(base + i * page_size, 60 * page_size, i % 200 ? rw : all, i % 200 ? "a" : ""), 0);
            for (int p = 0; p < 60; p += 1 + static_cast<int>(random() % 9))
                EXPECT_TRUE(booted.write(base + (i + p) * page_size + 8, random()));
            EXPECT_EQ(booted.protect(base + i * page_size, 7 * page_size, i % 300 ? code : ro), 0);
            EXPECT_EQ(booted.protect(base + (i + 20) * page_size, 5 * page_size, none), 0);
            EXPECT_EQ(booted.unmap(base + (i + 30) * page_size, 2 * page_size), 0);
        }
        EXPECT_EQ(booted.map(base + pages * page_size, 300 * page_size, rw), 0);
        EXPECT_EQ(booted.map(closed_end, (last - pages - 303) * page_size, rw), 0);
        EXPECT_EQ(booted.map(closed_begin, page_size, rw), -ENOMEM);
        EXPECT_EQ(booted.protect(base + (pages + 700) * page_size, page_size, ro), 0);
        EXPECT_TRUE(booted.share(std::make_shared<const SharedMemory>(3 * MiB)));
        shared_ = booted.shared();
        expect_rights(booted, base, end, false, "while it boots");
        expect_shared(booted, "while it boots");
        booted.finish();
        return booted.make_image();
    }
    // Shared memory is followed by addresses of the same block that must not be accessible.
    void expect_shared(const GuestMemory& memory, const std::string& when) const {
        expect_rights(memory, shared_.begin - 2 * page_size, shared_.end + 2 * page_size, true, when + ", shared");
    }

    SharedArea shared_;
};
INSTANTIATE_TEST_SUITE_P(Pages, MemoryRights, testing::Values(false, true),
                         [](const auto& info) { return info.param ? "transparentHugePages" : "small"; });

TEST_P(MemoryRights, AreThoseOfRegions) {
    std::mt19937_64 random(13);
    kvm::Vm vm;
    GuestMemory fork(vm, image(), closing(), {.transparent = GetParam()});
    const Regions original = fork.regions();
    constexpr std::size_t file_size = 50 * page_size + 100;
    FileDescriptor memfd(::memfd_create("file", MFD_CLOEXEC));
    ASSERT_EQ(::ftruncate(memfd.get(), file_size), 0);
    const auto file = std::make_shared<const FileCopy>(std::move(memfd), file_size);
    expect_rights(fork, base, end, true, "new");
    expect_shared(fork, "new");
    const auto writes_only_where_allowed = [&](GuestAddr address) {
        const Region* region = fork.regions().find(address);
        const bool allowed = region && region->protection.write;
        ASSERT_EQ(fork.writable(address, 8).size(), allowed ? 8u : 0u);
        ASSERT_EQ(fork.write(address, std::uint64_t{77}), allowed);
    };
    for (int round = 0; round < 40; ++round) {
        for (int step = 0; step < 40; ++step) {
            const GuestAddr begin = base + random() % (last + 100) * page_size;
            const std::size_t size = (1 + random() % (random() % 8 ? 40 : 600)) * page_size;
            const Protection to = std::vector{rw, ro, none}[random() % 3];
            switch (random() % 7) {
                case 0: (void)fork.map(begin, size, to); break;  // not over closed addresses
                case 1: ASSERT_EQ(fork.unmap(begin, size), 0); break;
                case 2:
                case 3: (void)fork.protect(begin, size, to); break;  // not over holes
                case 4: (void)fork.discard(begin, size); break;
                case 5: (void)fork.map_file(begin, size, to, "file", file, page_size); break;
                default: (void)fork.fill(begin, std::vector<std::byte>(3 * page_size, std::byte{5}));
            }
            ASSERT_NO_FATAL_FAILURE(writes_only_where_allowed(begin));
            if (step % 8 == 7) expect_rights(fork, base, end, false, "round " + std::to_string(round));
        }
        expect_shared(fork, "round " + std::to_string(round));
        fork.reset();
        ASSERT_TRUE(fork.regions() == original);
        expect_rights(fork, base, end, false, "reset after round " + std::to_string(round));
        // Page tables alone have to be right as well: what only the host held back would be a trace of the last
        // request.
        expect_rights(fork, base, end, false, "tables reset after round " + std::to_string(round), Of::tables);
        if (HasFailure()) return;
    }
}

// Mappings that have no place in the window are mappings, too.
TEST(MemoryReset, TakesBackMappingsWithoutAccess) {
    constexpr GuestAddr far = GuestAddr{1} << 34;
    kvm::Vm vm, vm1;
    GuestMemory booted(vm, limits());
    ASSERT_EQ(booted.map(base, 4 * page_size, rw), 0);
    ASSERT_EQ(booted.map(far, 4 * page_size, none, "guard"), 0);
    booted.finish();
    GuestMemory fork(vm1, booted.make_image(), limits());
    const Regions original = fork.regions();
    for (int round = 0; round < 300; ++round) {
        ASSERT_EQ(fork.map(2 * far + round * MiB, page_size, none, "trace"), 0);
        ASSERT_EQ(fork.protect(far, page_size, none), 0);
        ASSERT_EQ(fork.unmap(far + page_size, page_size), 0);
        ASSERT_FALSE(fork.resets_quickly());
        ASSERT_FALSE(fork.needs_rebuild());
        fork.reset();
        ASSERT_TRUE(fork.regions() == original);
        ASSERT_TRUE(fork.resets_quickly());
    }
}

// Addresses keep their place in a VM, but the room that is left does not tell what earlier requests had mapped.
TEST(MemoryReset, LeavesRoomAsInAFreshVm) {
    constexpr GuestAddr far = GuestAddr{1} << 34, distance = std::size_t{1} << 30, block = 2 * MiB;
    kvm::Vm vm;
    GuestMemory booted(vm, limits(96 * MiB));
    ASSERT_EQ(booted.map(base, 8 * MiB, rw), 0);
    booted.finish();
    const auto image = booted.make_image();
    // Blocks far from each other, so that each takes page tables.
    const auto map_blocks = [&](GuestMemory& fork, GuestAddr from, std::size_t most) {
        std::size_t blocks = 0;
        while (blocks < most && fork.map(from + blocks * distance, 2 * page_size, rw) == 0) ++blocks;
        return blocks;
    };
    const std::vector<std::function<void(GuestMemory&)>> histories{
        [](GuestMemory&) {},
        [](GuestMemory& fork) { EXPECT_EQ(fork.map(2 * far, 40 * MiB, rw), 0); },
        [](GuestMemory& fork) { EXPECT_EQ(fork.map(far + block, 40 * MiB, ro), 0); },
        [&](GuestMemory& fork) { EXPECT_EQ(map_blocks(fork, far, 20), 20u); },
        [&](GuestMemory& fork) { EXPECT_EQ(map_blocks(fork, 8 * far, 21), 21u); },
    };
    const std::size_t room = (96 - 8 - 2) * MiB / block;
    const std::vector<std::function<void(GuestMemory&)>> requests{
        [&](GuestMemory& fork) { EXPECT_EQ(map_blocks(fork, far, 1000), room); },
        // One large range of which a part is there already: nothing of it is taken.
        [&](GuestMemory& fork) {
            EXPECT_EQ(fork.map(far + 80 * MiB, block, rw), 0);
            EXPECT_EQ(fork.map(far, 100 * MiB, rw), -ENOMEM);
            EXPECT_EQ(map_blocks(fork, 4 * far, 1000), room - 1);
        },
        // Mappings without any access, where an earlier request had access.
        [&, fresh = 0](GuestMemory& fork) mutable {
            int changes = 0;
            while (changes < 1000 && fork.map(far + 2 * changes * page_size, page_size, none) == 0 &&
                   fork.unmap(far + 2 * changes * page_size, page_size) == 0)
                ++changes;
            EXPECT_GT(changes, 250);
            if (fresh == 0) fresh = changes;
            EXPECT_EQ(changes, fresh);
        },
    };
    for (std::size_t request = 0; request < requests.size(); ++request)
        for (std::size_t history = 0; history < histories.size(); ++history) {
            SCOPED_TRACE("request " + std::to_string(request) + ", history " + std::to_string(history));
            kvm::Vm other;
            GuestMemory fork(other, image, limits(96 * MiB));
            histories[history](fork);
            EXPECT_FALSE(fork.needs_rebuild());
            fork.reset();
            requests[request](fork);
        }
}

// Pages that stay resident do not count as a later request's, whatever it does with the mappings around them.
TEST(MemoryReset, KeptPagesAreNotTheNextRequests) {
    constexpr std::size_t pages = 200;
    GuestMemory::Limits small = limits();
    small.bytes = small.kept = (pages + 50) * page_size;
    kvm::Vm vm;
    GuestMemory booted(vm, limits());
    ASSERT_EQ(booted.map(base, 2 * pages * page_size, rw), 0);
    for (std::uint64_t i = 0; i < pages; i += 2) ASSERT_TRUE(booted.write(base + i * page_size, i + 1));
    booted.finish();
    const auto image = booted.make_image();
    for (const Protection protection : {none, ro}) {
        kvm::Vm other;
        GuestMemory fork(other, image, small);
        for (std::size_t i = 0; i < pages; ++i) ASSERT_TRUE(fork.write(base + i * page_size, std::uint64_t{7}));
        fork.reset();
        ASSERT_EQ(fork.own_bytes(), pages * page_size);
        ASSERT_EQ(fork.changed_bytes(), 0u);
        ASSERT_EQ(fork.protect(base + page_size, (pages - 2) * page_size, protection), 0);
        for (std::size_t i = pages; i < 2 * pages; ++i)
            ASSERT_NO_THROW((void)fork.write(base + i * page_size, std::uint64_t{7})) << i;
        ASSERT_EQ(fork.changed_bytes(), pages * page_size);
        ASSERT_EQ(fork.protect(base, pages * page_size, rw), 0);
        for (std::uint64_t i = 0, value = 7; i < pages; ++i) {
            ASSERT_TRUE(fork.read(base + i * page_size, value));
            ASSERT_EQ(value, i % 2 ? 0 : i + 1);
        }
    }
}

// Each mapping that is given back is mappings of the host more: they are limited, though giving back frees memory.
TEST(MemoryLimits, MappingsOfTheHostThatARequestMakes) {
    constexpr int regions = 1800;
    kvm::Vm vm, vm1;
    GuestMemory booted(vm, limits());
    for (int i = 0; i < regions; ++i) ASSERT_EQ(booted.map(base + i * page_size, page_size, i % 2 ? rw : ro), 0);
    booted.finish();
    GuestMemory fork(vm1, booted.make_image(), limits());
    int given_back = 0;
    while (given_back < regions / 2 && fork.unmap(base + 2 * given_back * page_size, page_size) == 0) ++given_back;
    EXPECT_GT(given_back, 250);
    EXPECT_LT(given_back, 600);
    EXPECT_EQ(fork.map(base + 2000 * page_size, page_size, rw), -ENOMEM);
    fork.reset();
    EXPECT_EQ(fork.unmap(base, page_size), 0);
}

TEST(MemoryRights, RangesOfThePageTablesAreToldAsTheyAre) {
    kvm::Vm vm;
    GuestMemory memory(vm, limits());
    constexpr std::size_t block = 2 * MiB;
    ASSERT_EQ(memory.map(base, 3 * page_size, rw), 0);
    ASSERT_EQ(memory.map(base + 3 * page_size, page_size, {.read = true, .execute = true}), 0);
    ASSERT_EQ(memory.map(base + 5 * page_size, page_size, ro), 0);
    ASSERT_EQ(memory.map(base + block, 2 * block, rw), 0);
    std::string told;
    for (const x86::MappedRange& range : memory.mapped_ranges()) {
        if (range.access == x86::Access::user && range.begin >= base && range.end <= base + 3 * block) {
            told += std::to_string((range.begin - base) / page_size) + "-" +
                    std::to_string((range.end - base) / page_size) + to_string(range.rights) +
                    (range.is_large ? " large; " : "; ");
        }
    }
    EXPECT_EQ(told, "0-3rw-; 3-4r-x; 5-6r--; 512-1536rw- large; ");
}

// A change that the host refuses half-way: what is mapped then is not known, so the VM is not used any more.
TEST(MemoryReset, IsForANewVmWhenTheHostFailedInAChange) {
    constexpr std::size_t pages = 64;
    kvm::Vm vm, vm1;
    GuestMemory booted(vm, limits());
    ASSERT_EQ(booted.map(base, pages * page_size, rw), 0);
    booted.finish();
    GuestMemory fork(vm1, booted.make_image(), limits());
    for (std::size_t page = 0; page < pages; ++page) ASSERT_TRUE(fork.write(base + page * page_size, std::uint64_t{7}));
    ASSERT_FALSE(fork.needs_rebuild());
    // Mappings of this process until it may have no more.
    constexpr std::size_t most = std::size_t{1} << 20;
    const auto filler = static_cast<std::byte*>(
        ::mmap(nullptr, most * page_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    ASSERT_NE(static_cast<void*>(filler), MAP_FAILED);
    std::size_t used = 1;
    while (used < most && ::mprotect(filler + used * page_size, page_size, PROT_READ) == 0) used += 2;
    if (used < most) {
        EXPECT_THROW((void)fork.protect(base + 20 * page_size, 10 * page_size, ro), MachineError);
    }
    ::munmap(filler, most * page_size);
    if (used >= most) GTEST_SKIP() << "a process may have any number of mappings here";
    EXPECT_TRUE(fork.needs_rebuild());
    EXPECT_FALSE(fork.resets_quickly());
}

// GuestPhysicalMemory and page tables are used up in the middle of a range whose addresses are in two places of the
// window: then nothing of it may have been granted, since the host's mapping does not hold it back.
TEST(MemoryRightsAtTheEnd, ARightIsGivenForAWholeRangeOrNotAtAll) {
    constexpr std::size_t space = 1024 * MiB, block = 2 * MiB;
    constexpr GuestAddr far = GuestAddr{1} << 33;
    // The program's memory, and one page of `changes` large ones made writable, which takes a table each.
    const auto use_up = [&](GuestMemory& memory, int changes) {
        EXPECT_EQ(memory.map(base + block, block, ro), 0);
        EXPECT_EQ(memory.map(base, block, ro), 0);  // before, but later in the window
        int blocks = 0;
        while (memory.map(far + blocks * block, block, ro) == 0) ++blocks;
        EXPECT_EQ(blocks, static_cast<int>(space / block) - 3);  // and the system block
        int done = 0;
        while (done < std::min(blocks, changes) && memory.protect(far + done * block, page_size, rw) == 0) ++done;
        return done;
    };
    kvm::Vm vm, vm1;
    GuestMemory full(vm, limits(space)), nearly_full(vm1, limits(space));
    const int most = use_up(full, 1000);
    ASSERT_GT(most, 100);
    ASSERT_LT(most, 500);
    EXPECT_EQ(full.protect(base, page_size, rw), -ENOMEM);
    expect_rights(full, base, base + 2 * block, true, "full");

    EXPECT_EQ(use_up(nearly_full, most - 1), most - 1);
    EXPECT_EQ(nearly_full.protect(base + block - page_size, 2 * page_size, rw), -ENOMEM);
    EXPECT_EQ(nearly_full.map(base + block - page_size, 2 * page_size, rw), -ENOMEM);
    expect_rights(nearly_full, base, base + 2 * block, true, "nearly full");
    EXPECT_EQ(nearly_full.protect(base, page_size, rw), 0);  // what there is room for
    expect_rights(nearly_full, base, base + 2 * block, true, "nearly full, and changed");
}

}  // namespace
}  // namespace tinykvm

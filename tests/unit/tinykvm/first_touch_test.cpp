// A guest that touches pages before its first request makes KVM know them, and changes nothing.
#include "tinykvm/guest/first_touch.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "tinykvm/guest/write_limit.hpp"
#include "tinykvm/kvm/vcpu.hpp"
#include "tinykvm/kvm/vm.hpp"
#include "tinykvm/memory/guest_memory.hpp"
#include "tinykvm/platform/platform.hpp"
#include "tinykvm/x86/layout.hpp"

namespace tinykvm {
namespace {

constexpr GuestAddr base = 0x400000;
constexpr std::size_t all = 1400;
constexpr Protection rw{.read = true, .write = true}, ro{.read = true};

class FirstTouch : public testing::Test {
  protected:
    FirstTouch() {
        EXPECT_EQ(memory_.map(base, all * page_size, rw), 0);
        for (std::size_t page = 0; page < all; ++page)
            EXPECT_TRUE(memory_.write(base + page * page_size, contents(page).data(), contents(page).size()));
        x86::Platform::instance().prepare(vcpu_, memory_.page_table_root());
    }
    static std::string contents(std::size_t page) { return "page " + std::to_string(page); }
    static GuestRange pages(std::size_t first, std::size_t last) {
        return {base + first * page_size, base + last * page_size};
    }

    // Which of the pages are in the dirty ring, and so in KVM's tables.
    std::vector<bool> known() {
        std::vector<std::uint64_t> written;
        vcpu_.collect_dirty_pages(written);
        std::vector<bool> which(all);
        const std::byte* const begin = memory_.system_block();
        for (std::size_t page = 0; page < all; ++page) {
            const std::byte* const at = memory_.readable(base + page * page_size, page_size).data();
            const auto number = static_cast<std::uint64_t>(at - begin) / page_size;
            which[page] = std::find(written.begin(), written.end(), number) != written.end();
        }
        return which;
    }
    void expect_unchanged() {
        for (std::size_t page = 0; page < all; ++page)
            ASSERT_EQ(memory_.read_string(base + page * page_size, page_size), contents(page));
        for (std::size_t i = 0; i < page_size; ++i)
            ASSERT_EQ(memory_.system_block()[x86::mailbox_offset + i], std::byte{0}) << "a list is left at " << i;
    }

    kvm::Vm vm_;
    kvm::Vcpu vcpu_{vm_, x86::Platform::instance().cpuid()};
    GuestMemory memory_{vm_, {.bytes = std::size_t{64} << 20, .name = "test", .address_space = std::size_t{1} << 30}};
    WriteLimit writes_{vcpu_, memory_};
};

// More ranges than fit into the mailbox at once, of one page and of several.
TEST_F(FirstTouch, KvmKnowsThePagesAfterwardsAndNoneHasChanged) {
    std::vector<GuestRange> ranges;
    std::vector<bool> expected(all);
    for (std::size_t page = 0; page < 600; page += 2) ranges.push_back(pages(page, page + 1));
    for (std::size_t page = 700; page < 1300; page += 100) ranges.push_back(pages(page, page + 90));
    for (const GuestRange& range : ranges)
        for (GuestAddr at = range.begin; at < range.end; at += page_size) expected[(at - base) / page_size] = true;
    ASSERT_GT(ranges.size(), page_size / sizeof(GuestRange));
    EXPECT_TRUE(touch_pages(vcpu_, memory_, writes_, ranges));
    EXPECT_EQ(known(), expected);
    expect_unchanged();
}

TEST_F(FirstTouch, NothingToTouchEntersNoGuest) {
    EXPECT_TRUE(touch_pages(vcpu_, memory_, writes_, {}));
    EXPECT_EQ(known(), std::vector<bool>(all));
}

// What was touched already does not matter, and the vCPU can be used as if nothing had been touched.
TEST_F(FirstTouch, APageThatTheGuestMayNotWriteEndsIt) {
    ASSERT_EQ(memory_.protect(base + page_size, page_size, ro), 0);
    const GuestRange three[] = {pages(0, 3)};
    EXPECT_FALSE(touch_pages(vcpu_, memory_, writes_, three));
    EXPECT_TRUE(vcpu_.clear_pending());
    expect_unchanged();
    ASSERT_EQ(memory_.protect(base + page_size, page_size, rw), 0);
    EXPECT_TRUE(touch_pages(vcpu_, memory_, writes_, three));
}

// A list so long that the ring is full before its end.
TEST_F(FirstTouch, AFullRingIsEmptiedOnTheWay) {
    constexpr std::size_t many = 5000;
    ASSERT_EQ(memory_.map(base + all * page_size, many * page_size, rw), 0);
    ASSERT_GT(many, vm_.dirty_ring_entries());
    const GuestRange more[] = {pages(0, all + many)};
    EXPECT_TRUE(touch_pages(vcpu_, memory_, writes_, more));
    EXPECT_GE(memory_.changes().own().size(), many / 2);
    expect_unchanged();
}

}  // namespace
}  // namespace tinykvm

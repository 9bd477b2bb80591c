// Text of guests in logs.
#include "src/base/guest_text.hpp"

#include <gtest/gtest.h>

namespace tinykvm::host {
namespace {

TEST(GuestText, NumbersInHexadecimal) {
    EXPECT_EQ(hex(0), "0x0");
    EXPECT_EQ(hex(0xFFFFFFFFFFFFFFFF), "0xFFFFFFFFFFFFFFFF");
}

}  // namespace
}  // namespace tinykvm::host

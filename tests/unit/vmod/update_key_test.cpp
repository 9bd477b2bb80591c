#include "src/vmod/update_key.hpp"

#include <gtest/gtest.h>

#include <string>

namespace tinykvm::host {
namespace {

TEST(UpdateKey, OnlyTheConfiguredOneFits) {
    EXPECT_TRUE(is_update_key("key", "key"));
    EXPECT_FALSE(is_update_key("key", "Key"));
    EXPECT_FALSE(is_update_key("key", "kez"));
    EXPECT_FALSE(is_update_key("key", "ke"));
    EXPECT_FALSE(is_update_key("key", ""));
    EXPECT_FALSE(is_update_key("key", "keykey"));
    EXPECT_FALSE(is_update_key("key", std::string("key\0", 4)));
    EXPECT_FALSE(is_update_key("aa", "aaaa"));
    EXPECT_TRUE(is_update_key(std::string(250, 'x'), std::string(250, 'x')));
}

TEST(UpdateKey, WithoutOneNothingFits) {
    EXPECT_FALSE(is_update_key("", ""));
    EXPECT_FALSE(is_update_key("", "x"));
}

}  // namespace
}  // namespace tinykvm::host

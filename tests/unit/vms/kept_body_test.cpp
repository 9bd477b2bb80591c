// A body that is kept for a second chance. A value: this needs no KVM.
#include "src/vms/kept_body.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace tinykvm::host {
namespace {

std::span<const std::byte> bytes(std::string_view text) { return std::as_bytes(std::span(text.data(), text.size())); }

std::string text(const KeptBody& body) {
    return {reinterpret_cast<const char*>(body.bytes().data()), body.bytes().size()};
}

TEST(KeptBodyTest, HasWhatCame) {
    KeptBody body(10, {});
    EXPECT_TRUE(body.empty());
    EXPECT_TRUE(body.append(bytes("01234")));
    EXPECT_TRUE(body.append(bytes("")));
    EXPECT_TRUE(body.append(bytes("56789")));
    EXPECT_EQ(text(body), "0123456789");
}

TEST(KeptBodyTest, OneThatIsTooLongIsNotKeptAndSaidOnce) {
    KeptBody body(10, {});
    EXPECT_TRUE(body.append(bytes("01234")));
    EXPECT_FALSE(body.append(bytes("567890")));
    EXPECT_TRUE(body.empty());
    EXPECT_TRUE(body.append(bytes("x")));
    EXPECT_TRUE(body.empty());
}

TEST(KeptBodyTest, KeepsNothingWithoutALimit) {
    KeptBody body(0, {});
    EXPECT_TRUE(body.append(bytes("01234")));
    EXPECT_TRUE(body.empty());
}

TEST(KeptBodyTest, BufferServesTheNextRequestAndTellsItNothing) {
    KeptBody body(1000, {});
    EXPECT_TRUE(body.append(bytes("secret")));
    const std::byte* memory = body.bytes().data();
    KeptBody next(1000, body.take_buffer());
    EXPECT_TRUE(body.empty());
    EXPECT_TRUE(next.empty());
    EXPECT_TRUE(next.append(bytes("other")));
    EXPECT_EQ(text(next), "other");
    EXPECT_EQ(next.bytes().data(), memory);
}

TEST(KeptBodyTest, LargeBufferIsNotKept) {
    KeptBody body(std::size_t{4} << 20, {});
    EXPECT_TRUE(body.append(bytes(std::string(std::size_t{2} << 20, 'x'))));
    EXPECT_EQ(body.take_buffer().capacity(), 0U);
}

}  // namespace
}  // namespace tinykvm::host

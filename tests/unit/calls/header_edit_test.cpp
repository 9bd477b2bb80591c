// What a program sees of the headers it changes, and what is reported.
#include "src/calls/header_edit.hpp"

#include <gtest/gtest.h>

#include <cerrno>

#include "src/base/http_field.hpp"

namespace tinykvm::host {
namespace {

TEST(HeaderEdit, SeesChangesAndReportsThem) {
    const std::string_view lines[] = {"Host: a", "X-One:1", "x-one: 2", "Odd"};
    HeaderEdit edit;
    edit.begin(lines);
    EXPECT_EQ(edit.find("x-ONE"), "X-One:1");
    EXPECT_EQ(edit.find("Host"), "Host: a");
    EXPECT_EQ(edit.find("Hos"), std::nullopt);
    EXPECT_EQ(edit.set("X-One: 3"), 3);
    EXPECT_EQ(edit.find("X-One"), "X-One: 3");
    EXPECT_EQ(edit.append("X-Two: 4"), 4);
    EXPECT_EQ(edit.append("x-two: 5"), 5);
    EXPECT_EQ(edit.find("X-Two"), "X-Two: 4");
    EXPECT_EQ(edit.set("host"), 1);
    EXPECT_EQ(edit.set("host"), 0);
    EXPECT_EQ(edit.find("Host"), std::nullopt);
    EXPECT_EQ(edit.set("Content-Length"), -EINVAL);
    EXPECT_EQ(edit.append("Transfer-Encoding: chunked"), -EINVAL);
    EXPECT_EQ(edit.append("no colon"), -EINVAL);
    EXPECT_EQ(edit.set("X A"), -EINVAL);
    const auto changes = edit.take_changes();
    ASSERT_EQ(changes.size(), 5U);
    EXPECT_EQ(changes[0].kind, HeaderChange::Kind::set);
    EXPECT_EQ(changes[3].kind, HeaderChange::Kind::unset);
    EXPECT_EQ(changes[3].line, "host");
}

TEST(HeaderEdit, IsBounded) {
    HeaderEdit edit;
    edit.begin({});
    long result = 0;
    std::size_t count = 0;
    while ((result = edit.append("X: y")) > 0 && count < 10000) {
        count++;
    }
    EXPECT_EQ(result, -ENOSPC);
    EXPECT_EQ(count, max_fields);
    edit.begin({});
    count = 0;
    while ((result = edit.append("X: " + std::string(8000, 'y'))) > 0) {
        count++;
    }
    EXPECT_EQ(result, -ENOSPC);
    EXPECT_LE(count * 8000, max_fields_bytes);
}

}  // namespace
}  // namespace tinykvm::host

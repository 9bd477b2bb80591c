// The table of host calls has the numbers of guest-api/kvm_api.h.
#include "src/calls/call_table.hpp"

#include <gtest/gtest.h>

#include <utility>

namespace tinykvm::host {
namespace {

TEST(CallTable, NumbersAreThoseOfTheInterface) {
    const std::pair<std::uint32_t, const char*> calls[] = {
        {0x10000, "register_func"},
        {0x10001, "wait_for_requests"},
        {0x10002, "wait_for_requests_paused"},
        {0x10005, "sys_set_cacheable"},
        {0x10010, "sys_backend_response"},
        {0x10020, "sys_http_append"},
        {0x10021, "sys_http_set"},
        {0x10022, "sys_http_find"},
        {0x10023, "sys_http_method"},
        {0x10030, "sys_regex_compile"},
        {0x10031, "sys_regex_free"},
        {0x10032, "sys_regex_match"},
        {0x10033, "sys_regex_subst"},
        {0x10035, "sys_regex_copyto"},
        {0x10706, "sys_is_storage"},
        {0x10710, "multiprocess"},
        {0x10711, "multiprocess_array"},
        {0x10712, "multiprocess_clone"},
        {0x10713, "multiprocess_wait"},
        {0x10A00, "get_meminfo"},
        {0x7F000, "sys_log"},
        {0x7F7F7, "sys_breakpoint"},
        {0x7FDEB, "sys_is_debug"},
        {0x20000, "sys_fetch"},
        {0x20001, "sys_request"},
        {0x10012, "begin_streaming_response"},
    };
    for (const auto& [number, name] : calls) {
        const CallTable::Entry* entry = CallTable::find(number);
        ASSERT_NE(entry, nullptr) << name;
        EXPECT_STREQ(entry->name, name);
        EXPECT_NE(entry->handler, nullptr) << name;
    }
    // One of the ecosystem's that this version does not have.
    ASSERT_NE(CallTable::find(0x10500), nullptr);
    EXPECT_EQ(CallTable::find(0x10500)->handler, nullptr);
    for (const std::uint32_t number : {0U, 0xFFFFU, 0x10003U, 0x7FDECU, 0xFFFFFFFFU}) {
        EXPECT_EQ(CallTable::find(number), nullptr) << number;
    }
}

}  // namespace
}  // namespace tinykvm::host

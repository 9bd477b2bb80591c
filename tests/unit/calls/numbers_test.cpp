// Numbers of calls: those of the interface, of the guest header and of the host's table are the same ones.
#include <gtest/gtest.h>

#include <cstddef>
#include <string_view>

#include "guest-api/kvm_api.h"
#include "src/calls/call_table.hpp"

namespace tinykvm::host {
namespace {

struct Known {
    std::uint32_t number;  // as programs built elsewhere raise it
    kvm_api_call header;
    const char* name;
    bool available;
};

// Fetching and streaming have tests of their own.
constexpr Known calls[] = {
    {0x10000, KVM_REGISTER_FUNC, "register_func", true},
    {0x10001, KVM_WAIT_FOR_REQUESTS, "wait_for_requests", true},
    {0x10002, KVM_WAIT_FOR_REQUESTS_PAUSED, "wait_for_requests_paused", true},
    {0x10005, KVM_SET_CACHEABLE, "sys_set_cacheable", true},
    {0x10010, KVM_BACKEND_RESPONSE, "sys_backend_response", true},
    {0x10011, KVM_STORAGE_RETURN, "storage_return", true},
    {0x10013, KVM_STORAGE_NORETURN, "storage_noreturn", true},
    {0x10020, KVM_HTTP_APPEND, "sys_http_append", true},
    {0x10021, KVM_HTTP_SET, "sys_http_set", true},
    {0x10022, KVM_HTTP_FIND, "sys_http_find", true},
    {0x10023, KVM_HTTP_METHOD, "sys_http_method", true},
    {0x10030, KVM_REGEX_COMPILE, "sys_regex_compile", true},
    {0x10031, KVM_REGEX_FREE, "sys_regex_free", true},
    {0x10032, KVM_REGEX_MATCH, "sys_regex_match", true},
    {0x10033, KVM_REGEX_SUBST, "sys_regex_subst", true},
    {0x10035, KVM_REGEX_COPYTO, "sys_regex_copyto", true},
    {0x10500, KVM_SOCKETS_WRITE, "sys_sockets_write", false},
    {0x10700, KVM_SHARED_MEMORY_AREA, "shared_memory_area", true},
    {0x10703, KVM_MAKE_EPHEMERAL, "sys_make_ephemeral", true},
    {0x10706, KVM_IS_STORAGE, "sys_is_storage", true},
    {0x10707, KVM_STORAGE_ALLOW, "sys_storage_allow", true},
    {0x10708, KVM_STORAGE_CALLV, "storage_callv", true},
    {0x10709, KVM_STORAGE_TASK, "sys_storage_task", true},
    {0x1070A, KVM_STOP_STORAGE_TASK, "stop_storage_task", true},
    {0x10710, KVM_MULTIPROCESS, "multiprocess", true},
    {0x10711, KVM_MULTIPROCESS_ARRAY, "multiprocess_array", true},
    {0x10712, KVM_MULTIPROCESS_CLONE, "multiprocess_clone", true},
    {0x10713, KVM_MULTIPROCESS_WAIT, "multiprocess_wait", true},
    {0x10A00, KVM_MEMINFO, "get_meminfo", true},
    {0x7F000, KVM_LOG, "sys_log", true},
    {0x7F7F7, KVM_BREAKPOINT, "sys_breakpoint", true},
    {0x7FDEB, KVM_IS_DEBUG, "sys_is_debug", true},
};

constexpr bool header_has_the_numbers() {
    for (const Known& call : calls) {
        if (static_cast<std::uint32_t>(call.header) != call.number) {
            return false;
        }
    }
    return true;
}
static_assert(header_has_the_numbers());
static_assert(BEREQ == 0 && BERESP == 1);
static_assert(sizeof(virtbuffer) == 16 && offsetof(virtbuffer, len) == 8);
static_assert(sizeof(shared_memory_info) == 16 && offsetof(shared_memory_info, end) == 8);
static_assert(sizeof(meminfo) == 32 && offsetof(meminfo, reqmem_current) == 24);

TEST(Numbers, AreTheSameEverywhere) {
    for (const Known& call : calls) {
        const CallTable::Entry* entry = CallTable::find(call.number);
        ASSERT_NE(entry, nullptr) << call.name;
        EXPECT_EQ(entry->name, std::string_view(call.name));
        EXPECT_EQ(entry->handler != nullptr, call.available) << call.name;
    }
    for (const std::uint32_t number : {0U, 0xFFFFU, 0x10003U, 0x7FDECU, 0xFFFFFFFFU}) {
        EXPECT_EQ(CallTable::find(number), nullptr) << number;
    }
}

}  // namespace
}  // namespace tinykvm::host

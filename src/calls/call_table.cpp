#include "src/calls/call_table.hpp"

#include <algorithm>
#include <iterator>

namespace tinykvm::host {

const CallTable::Entry* CallTable::find(std::uint32_t number) {
    // In the order of the numbers.
    static constexpr Entry entries[] = {
        {0x10000, "register_func", &GuestCalls::register_func, boot},
        {0x10001, "wait_for_requests", &GuestCalls::wait_for_requests, always},
        {0x10002, "wait_for_requests_paused", &GuestCalls::wait_for_requests_paused, always},
        {0x10005, "sys_set_cacheable", &GuestCalls::set_cacheable, request},
        {0x10010, "sys_backend_response", &GuestCalls::backend_response, request},
        {0x10011, "storage_return", &GuestCalls::storage_return, always},
        {0x10012, "begin_streaming_response", &GuestCalls::begin_streaming_response, request},
        {0x10013, "storage_noreturn", &GuestCalls::storage_noreturn, always},
        {0x10020, "sys_http_append", &GuestCalls::http_append, request},
        {0x10021, "sys_http_set", &GuestCalls::http_set, request},
        {0x10022, "sys_http_find", &GuestCalls::http_find, request},
        {0x10023, "sys_http_method", &GuestCalls::http_method, request},
        {0x10030, "sys_regex_compile", &GuestCalls::regex_compile, always},
        {0x10031, "sys_regex_free", &GuestCalls::regex_free, always},
        {0x10032, "sys_regex_match", &GuestCalls::regex_match, always},
        {0x10033, "sys_regex_subst", &GuestCalls::regex_subst, always},
        {0x10035, "sys_regex_copyto", &GuestCalls::regex_copyto, request},
        {0x10500, "sys_sockets_write", nullptr, always},
        {0x10700, "shared_memory_area", &GuestCalls::shared_memory_area, always},
        {0x10703, "sys_make_ephemeral", &GuestCalls::make_ephemeral, boot | request},
        {0x10706, "sys_is_storage", &GuestCalls::is_storage, always},
        {0x10707, "sys_storage_allow", &GuestCalls::storage_allow, always},
        {0x10708, "storage_callv", &GuestCalls::storage_callv, always, true},
        {0x10709, "sys_storage_task", &GuestCalls::storage_task, always},
        {0x1070A, "stop_storage_task", &GuestCalls::stop_storage_task, always},
        {0x10710, "multiprocess", &GuestCalls::multiprocess, always, true},
        {0x10711, "multiprocess_array", &GuestCalls::multiprocess_array, always, true},
        {0x10712, "multiprocess_clone", &GuestCalls::multiprocess_clone, always, true},
        {0x10713, "multiprocess_wait", &GuestCalls::multiprocess_wait, always, true},
        {0x10A00, "get_meminfo", &GuestCalls::get_meminfo, always},
        {0x20000, "sys_fetch", &GuestCalls::fetch, always, true},
        {0x20001, "sys_request", &GuestCalls::self_request, always, true},
        {0x7F000, "sys_log", &GuestCalls::log, always},
        {0x7F7F7, "sys_breakpoint", &GuestCalls::breakpoint, always},
        {0x7FDEB, "sys_is_debug", &GuestCalls::is_debug, always},
    };
    static_assert(std::is_sorted(std::begin(entries), std::end(entries),
                                 [](const Entry& a, const Entry& b) { return a.number < b.number; }));
    const auto* at = std::lower_bound(std::begin(entries), std::end(entries), number,
                                      [](const Entry& entry, std::uint32_t n) { return entry.number < n; });
    return at != std::end(entries) && at->number == number ? at : nullptr;
}

}  // namespace tinykvm::host

// The numbers and layouts guests are built with (guest-api/kvm_api.h), as the host sees them. Programs built
// elsewhere depend on every one of them: they never change. Pointers are guest addresses.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tinykvm/types.hpp"

namespace tinykvm::host::abi {

// First argument of register_func.
enum class Callback : std::uint32_t {
    get = 1,                 // f(url, arg)
    post = 2,                // f(url, arg, content type, data, length)
    request = 3,             // f(const kvm_request*)
    stream_post = 4,         // f(url, arg, content type, data, length, offset); length 0 ends the body
    on_error = 5,            // f(url, arg, what happened, const kvm_request*)
    live_update = 6,         // f(), gives its state to storage_return
    live_restore = 7,        // f(length), has it written to a buffer by storage_return
    prepare_for_pause = 12,  // not in this version
};
inline constexpr std::uint32_t callback_limit = 16;

// First argument of the sys_http_ calls.
enum class Message : std::uint32_t {
    request = 0,
    response = 1,
    older_request = 4,  // the same, as programs were built with some years ago
    older_response = 5,
};

struct RequestHeader {
    GuestAddr field = 0;  // "Name: value", zero-terminated
    std::uint32_t field_colon = 0;
    std::uint32_t field_len = 0;
};
static_assert(sizeof(RequestHeader) == 16);

inline constexpr std::uint16_t info_warmup = 1;

struct Request {
    GuestAddr method = 0, url = 0, arg = 0, content_type = 0;  // zero-terminated
    std::uint16_t method_len = 0, url_len = 0, arg_len = 0, content_type_len = 0;
    GuestAddr content = 0;  // 0 without a body
    std::uint64_t content_len = 0;
    GuestAddr headers = 0;
    std::uint16_t num_headers = 0;
    std::uint16_t info_flags = 0;
    std::uint32_t reserved0 = 0;
    std::uint64_t prng[2] = {};
    std::uint64_t reserved1[2] = {};
};
static_assert(sizeof(Request) == 104);
static_assert(offsetof(Request, method_len) == 32);
static_assert(offsetof(Request, content) == 40);
static_assert(offsetof(Request, headers) == 56);
static_assert(offsetof(Request, num_headers) == 64);
static_assert(offsetof(Request, prng) == 72);

// An argument of storage_callv.
struct Buffer {
    GuestAddr data = 0;
    std::uint64_t length = 0;
};
static_assert(sizeof(Buffer) == 16);

struct ResponseHeader {
    GuestAddr field = 0;
    std::uint64_t field_len = 0;
};
static_assert(sizeof(ResponseHeader) == 16);

struct ResponseExtra {
    GuestAddr headers = 0;
    std::uint16_t num_headers = 0;
    std::uint8_t cached = 0;  // a bool, but the guest may store anything
    std::uint8_t unused = 0;
    float ttl = 0, grace = 0, keep = 0;  // seconds
    std::uint64_t reserved[4] = {};
};
static_assert(sizeof(ResponseExtra) == 56);
static_assert(offsetof(ResponseExtra, ttl) == 12);

// sys_fetch and sys_request: what to fetch on the way in, what came back on the way out.
struct FetchOperation {
    std::uint32_t status = 0;
    std::uint32_t post_buflen = 0;
    GuestAddr post_buffer = 0;
    GuestAddr headers = 0;  // on the way in: not 0, or a length: headers are not wanted
    std::uint32_t headers_length = 0;
    std::uint32_t unused = 0;
    GuestAddr content = 0;
    std::uint32_t content_length = 0;
    std::uint32_t ctlen = 0;
    char ctype[128] = {};
};
static_assert(sizeof(FetchOperation) == 176);
static_assert(offsetof(FetchOperation, post_buffer) == 8);
static_assert(offsetof(FetchOperation, headers) == 16);
static_assert(offsetof(FetchOperation, content) == 32);
static_assert(offsetof(FetchOperation, ctype) == 48);

inline constexpr std::size_t fetch_field_count = 12;

struct FetchFields {
    GuestAddr ptr[fetch_field_count] = {};  // "Name: value"; 0: none
    std::uint16_t len[fetch_field_count] = {};
};
static_assert(sizeof(FetchFields) == 120);
static_assert(offsetof(FetchFields, len) == 96);

// Flags are any value but 0.
struct FetchOptions {
    GuestAddr interface = 0;  // zero-terminated
    GuestAddr unused0 = 0;
    std::int8_t follow_location = 0, dummy_fetch = 0, tcp_fast_open = 0, dont_verify_host = 0;
    std::uint32_t unused1 = 0;
};
static_assert(sizeof(FetchOptions) == 24);
static_assert(offsetof(FetchOptions, follow_location) == 16);
static_assert(offsetof(FetchOptions, unused1) == 20);

struct MemoryInfo {
    std::uint64_t max_memory = 0, max_reqmem = 0, reqmem_upper = 0, reqmem_current = 0;  // bytes
};
static_assert(sizeof(MemoryInfo) == 32);

}  // namespace tinykvm::host::abi

/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The interface of a program that serves requests in a tinykvm sandbox, for C (C11) and C++.
 *
 * A program is an ordinary Linux program. Its main() prepares what requests need, registers one or more
 * callbacks and waits. From then on every request runs in its own copy of the waiting program; whatever a
 * request changes is gone when it ends, and what main() prepared is still there.
 *
 *     static void on_get(const char *url, const char *arg)
 *     {
 *         backend_response_str(200, "text/plain", "Hello");
 *     }
 *     int main(void)
 *     {
 *         set_backend_get(on_get);
 *         wait_for_requests();
 *     }
 *
 * There is nothing to link with. Each call to the host is a jump to an address that only exists in the
 * sandbox, so on plain Linux it ends in SIGSEGV: a program that should run there too asks IS_LINUX_MAIN()
 * first.
 *
 * Calls that can fail return a negative errno value (-EINVAL, -EFAULT, ...). A call that cannot go on at all
 * ends the request; the log then says which call, which argument and why. Strings passed to calls are read
 * during the call and may be freed after it. A call costs at most one exit from the virtual machine; what
 * the request consists of is in memory and costs none.
 */
#ifndef TINYKVM_KVM_API_H
#define TINYKVM_KVM_API_H

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Requests and responses in memory ----------------------------------------------------------------- */

/* One header of a request: "Name: value" and a terminating zero. */
struct kvm_request_header {
    const char* field;
    uint32_t field_colon; /* offset of the ':' in `field`; field_len when there is none */
    uint32_t field_len;   /* length of `field` without the terminating zero */
};

/* A request. The strings end with a zero that their lengths do not count, and are never NULL; without content
 * type or argument they are empty. Everything is ordinary memory of the program and may be changed in place.
 */
struct kvm_request {
    const char* method;
    const char* url;
    const char* arg;
    const char* content_type;
    uint16_t method_len;
    uint16_t url_len;
    uint16_t arg_len;
    uint16_t content_type_len;
    const uint8_t* content; /* may be NULL; nothing follows the last byte */
    size_t content_len;
    struct kvm_request_header* headers;
    uint16_t num_headers;
    uint16_t info_flags; /* 1: a warm-up request, made before the program is frozen */
    uint32_t reserved0;
    uint64_t prng[2]; /* fresh random bits for every request */
    uint64_t reserved1[2];
};
#define backend_request kvm_request /* its name in older sources */

/* A header to be added to a response: "Name: value", a name of at most 126 bytes, no CR, LF or zero in it. */
struct ResponseHeader {
    const char* field;
    size_t field_len;
};

/* What a response may have beyond status, content type and body. Its headers take the place of those of the same name
 * that sys_http_append() and sys_http_set() made. Unused members are zero. */
struct BackendResponseExtra {
    const struct ResponseHeader* headers;
    uint16_t num_headers;
    bool cached; /* may Varnish store the response? If so for how long, in seconds: */
    float ttl, grace, keep;
    uint64_t reserved[4];
};

/* One of several pieces of memory that a call is given. */
struct virtbuffer {
    const void* data;
    size_t len;
};

/* What sys_fetch() and sys_request() are to fetch, and what came back.
 *
 * Headers and content go to new memory when their pointer is NULL and their length 0. A pointer and a length are a buffer
 * to fill: the length becomes that of what came, which may be all of the buffer, so that no zero is after it; when it does
 * not fit, the call fails with -EMSGSIZE and both stay. Without a pointer a headers_length of 64 or more asks for new
 * memory, too. With only one of the two set to anything else there are no headers, and both stay as they are. Clear a
 * struct before it is used again: what came is a buffer to fill otherwise. */
struct curl_op {
    uint32_t status; /* of the response; 0 after a failure */
    uint32_t post_buflen;
    const void* post_buffer; /* a body of one byte or more: the request is a POST */
    char* headers;           /* status line and fields as text, without the zero after it in headers_length; see above */
    uint32_t headers_length;
    uint32_t unused1;
    void* content;           /* the body, with a zero after it; see above */
    uint32_t content_length; /* without that zero */
    uint32_t ctlen;          /* of the content type without its zero, 0 when there is none */
    char ctype[128];         /* content type; cut at 127 bytes */
};

/* Up to 12 header fields "Name: value" of the request. Those that belong to the connection are left out. A Host is sent
 * instead of the URL's; where to connect to, and whether that is allowed, goes by the URL. */
#define CURL_FIELDS_COUNT 12u
struct curl_fields {
    const char* ptr[CURL_FIELDS_COUNT]; /* NULL: none */
    uint16_t len[CURL_FIELDS_COUNT];
};
/* Makes the zero-terminated string `value` field `idx` of the struct `f`. */
#define CURL_SETFIELD(f, idx, value)                 \
    do {                                             \
        const char* curl_value_ = (value);           \
        (f).ptr[idx] = curl_value_;                  \
        (f).len[idx] = (uint16_t)strlen(curl_value_); \
    } while (0)

struct curl_options {
    const char* interface;   /* network interface or address to fetch from; NULL: any */
    const char* unused;
    int8_t follow_location;  /* follow redirects, at most 10 */
    int8_t dummy_fetch;      /* only status, content type and headers: a HEAD request, unless there is a body to POST */
    int8_t tcp_fast_open;
    int8_t dont_verify_host; /* of https: certificates for other names will do, where allowed_hosts allows that */
    uint32_t unused_opt5;
};

#ifdef __cplusplus
#define KVM_API_ASSERT static_assert
#else
#define KVM_API_ASSERT _Static_assert
#endif
KVM_API_ASSERT(sizeof(struct kvm_request_header) == 16, "a request header is 16 bytes");
KVM_API_ASSERT(sizeof(struct kvm_request) == 104, "a request is 104 bytes");
KVM_API_ASSERT(offsetof(struct kvm_request, content) == 40, "layout of a request");
KVM_API_ASSERT(offsetof(struct kvm_request, prng) == 72, "layout of a request");
KVM_API_ASSERT(sizeof(struct ResponseHeader) == 16, "a response header is 16 bytes");
KVM_API_ASSERT(sizeof(struct BackendResponseExtra) == 56, "the extra part of a response is 56 bytes");
KVM_API_ASSERT(sizeof(struct virtbuffer) == 16, "a buffer is 16 bytes");
KVM_API_ASSERT(sizeof(struct curl_op) == 176, "a fetch is 176 bytes");
KVM_API_ASSERT(offsetof(struct curl_op, content) == 32, "layout of a fetch");
KVM_API_ASSERT(offsetof(struct curl_op, ctype) == 48, "layout of a fetch");
KVM_API_ASSERT(sizeof(struct curl_fields) == 120, "fields of a fetch are 120 bytes");
KVM_API_ASSERT(sizeof(struct curl_options) == 24, "options of a fetch are 24 bytes");
KVM_API_ASSERT(offsetof(struct curl_options, follow_location) == 16, "layout of options of a fetch");
#undef KVM_API_ASSERT

/* ---- Calling the host --------------------------------------------------------------------------------- */

enum kvm_api_call {
    KVM_REGISTER_FUNC = 0x10000,
    KVM_WAIT_FOR_REQUESTS = 0x10001,
    KVM_WAIT_FOR_REQUESTS_PAUSED = 0x10002,
    KVM_SET_CACHEABLE = 0x10005,
    KVM_BACKEND_RESPONSE = 0x10010,
    KVM_STORAGE_RETURN = 0x10011,
    KVM_BEGIN_STREAMING_RESPONSE = 0x10012,
    KVM_STORAGE_NORETURN = 0x10013,
    KVM_HTTP_APPEND = 0x10020,
    KVM_HTTP_SET = 0x10021,
    KVM_HTTP_FIND = 0x10022,
    KVM_HTTP_METHOD = 0x10023,
    KVM_REGEX_COMPILE = 0x10030,
    KVM_REGEX_FREE = 0x10031,
    KVM_REGEX_MATCH = 0x10032,
    KVM_REGEX_SUBST = 0x10033,
    KVM_REGEX_COPYTO = 0x10035,
    KVM_SOCKETS_WRITE = 0x10500,
    KVM_SHARED_MEMORY_AREA = 0x10700,
    KVM_MAKE_EPHEMERAL = 0x10703,
    KVM_IS_STORAGE = 0x10706,
    KVM_STORAGE_ALLOW = 0x10707,
    KVM_STORAGE_CALLV = 0x10708,
    KVM_STORAGE_TASK = 0x10709,
    KVM_STOP_STORAGE_TASK = 0x1070A,
    KVM_MULTIPROCESS = 0x10710,
    KVM_MULTIPROCESS_ARRAY = 0x10711,
    KVM_MULTIPROCESS_CLONE = 0x10712,
    KVM_MULTIPROCESS_WAIT = 0x10713,
    KVM_MEMINFO = 0x10A00,
    KVM_FETCH = 0x20000,
    KVM_REQUEST = 0x20001,
    KVM_LOG = 0x7F000,
    KVM_BREAKPOINT = 0x7F7F7,
    KVM_IS_DEBUG = 0x7FDEB
};

/* Raises call `number`: jumps to where every sandbox has the way to its host, with the address to come back to in
 * r11. All registers but rax, r10 and r11 keep their values; the host may read and write any memory. */
static inline long kvm_call(unsigned number, long a, long b, long c, long d, long e, long f) {
    register long fifth __asm__("r8") = e;
    register long sixth __asm__("r9") = f;
    register long host __asm__("r10") = 0x7FFFE04800L;
    long result = (long)number;
    __asm__ volatile("leaq 1f(%%rip), %%r11\n\tjmp *%[host]\n1:"
                     : "+a"(result), [host] "+r"(host)
                     : "D"(a), "S"(b), "d"(c), "c"(d), "r"(fifth), "r"(sixth)
                     : "r11", "cc", "memory");
    return result;
}

/* ---- Where am I? -------------------------------------------------------------------------------------- */

/* Is the environment variable `name` set to `value`? */
static inline bool kvm_environment_is(const char* name, const char* value) {
    const char* text = getenv(name);
    return text != NULL && strcmp(text, value) == 0;
}

/* In the sandbox, or an ordinary Linux process? One binary can be both. */
#define IS_SANDBOXED_MAIN() (getenv("KVM_NAME") != NULL)
#define IS_LINUX_MAIN() (getenv("KVM_NAME") == NULL)
/* In the VMs that serve requests, or in the program's storage VM? False on plain Linux. */
#define IS_REQUEST() kvm_environment_is("KVM_TYPE", "request")
#define IS_STORAGE() kvm_environment_is("KVM_TYPE", "storage")
/* Was the program started for debugging? False on plain Linux. */
#define IS_DEBUG() kvm_environment_is("KVM_DEBUG", "1")
/* Is this request one of those made to warm the program up? Its response goes nowhere. */
#define IS_WARMUP_REQUEST(request) (((request)->info_flags & 1) != 0)

/* The same questions put to the host instead of to the environment, which a program can change. */
static inline bool sys_is_storage(void) {
    return kvm_call(KVM_IS_STORAGE, 0, 0, 0, 0, 0, 0) != 0;
}
static inline bool sys_is_debug(void) {
    return kvm_call(KVM_IS_DEBUG, 0, 0, 0, 0, 0, 0) != 0;
}

/* ---- Registration: in main() -------------------------------------------------------------------------- */

/* Makes a function, the one further argument, the callback for `which` (1 GET, 2 POST, 3 any request, 4 POST in pieces,
 * 5 error, 6 live update, 7 live restore, 12 pause). The set_...() functions below do the same with the type checked. 0,
 * or -EINVAL for an unknown `which`; -ENOSYS for 12, which is not available in this version. */
static inline long register_func(int which, ...) {
    va_list arguments;
    va_start(arguments, which);
    const long function = (long)va_arg(arguments, void*);
    va_end(arguments);
    return kvm_call(KVM_REGISTER_FUNC, which, function, 0, 0, 0, 0);
}
/* Turns any pointer, also one to a function or to something constant, into a void*. */
#define TRUST_ME(pointer) ((void*)(uintptr_t)(pointer))

/* `f` answers requests without a body. `url` and `arg` are what VCL passed; empty when it passed nothing. */
static inline void set_backend_get(void (*f)(const char* url, const char* arg)) {
    register_func(1, (void (*)(void))f);
}

/* `f` answers requests with a body, and those of methods that may have one: `data` of `len` bytes, not zero-terminated,
 * writable, and never NULL unless set_backend_stream_post has a callback, too. */
static inline void set_backend_post(void (*f)(const char* url, const char* arg, const char* content_type,
                                              const uint8_t* data, size_t len)) {
    register_func(2, (void (*)(void))f);
}

/* `f` gets the body in pieces while it arrives, each with the number of bytes before it, and returns after each. Pieces
 * are up to 256 KiB and take each other's place, so that a body of any length needs no more memory. It may answer at any
 * time.
 *
 * With set_backend_post `f` returns how many bytes of the piece it took, at least one, and gets the rest again when those
 * are not all; a negative number fails the request. After the last piece the callback of set_backend_post is called once
 * and answers: its `data` is NULL then, and its `len` is that of the whole body.
 *
 * Without it what `f` returns means nothing, and after the last piece it is called with `len` 0 and answers itself.
 *
 * Not used when set_backend_request has a callback. */
static inline void set_backend_stream_post(long (*f)(const char* url, const char* arg,
                                                     const char* content_type, const uint8_t* data,
                                                     size_t len, size_t off)) {
    register_func(4, (void (*)(void))f);
}

/* `f` answers requests of every method and is called instead of those above. The request lives until it ends.
 */
static inline void set_backend_request(void (*f)(const struct kvm_request* request)) {
    register_func(3, (void (*)(void))f);
}

/* `f` gets a second chance when another callback crashed, ran out of time or memory, or did not answer. It
 * runs in a fresh copy of the program, has one second, and `exception` says what happened. What it sends as a
 * response is delivered; when it fails too, or there is none, the client gets a 500 without details. */
static inline void set_on_error(void (*f)(const char* url, const char* arg, const char* exception)) {
    register_func(5, (void (*)(void))f);
}

/* The same for a handler that wants the whole request as a fourth argument: with its body as it came, or none when that
 * came in pieces and was too long to be kept. The host always passes it: one of the two is registered, whichever was
 * called last. */
static inline void set_on_error_request(void (*f)(const char* url, const char* arg, const char* exception,
                                                  const struct kvm_request* request)) {
    register_func(5, (void (*)(void))f);
}

/* For a program that is replaced while it serves, by a live update. `f` of the old one gives what it knows to
 * storage_return(), which copies it; `f` of the new one is told how many bytes that was and fetches them with
 * live_restore_data(). A program with storage does both there, in max_storage_time each; one without has the first called in
 * a fresh VM, in max_request_time, and the second after its main(), before it is frozen. If either fails, or does not
 * return, the old program stays. */
static inline void set_on_live_update(void (*f)(void)) {
    register_func(6, f);
}
static inline void set_on_live_restore(void (*f)(size_t len)) {
    register_func(7, (void (*)(void))f);
}
/* In `f` of the new one: copies what was handed over to `to`, as much as there is room for, and returns how much it is.
 * (storage_return(to, len) does the same there.) */
static inline long live_restore_data(void* to, size_t len) {
    return kvm_call(KVM_STORAGE_RETURN, (long)to, (long)len, 0, 0, 0, 0);
}

/* Not available in this version: the host never calls `f`, which is for a program that waits paused, to be told before. */
static inline void set_socket_prepare_for_pause(void (*f)(int thread)) {
    register_func(12, (void (*)(void))f);
}

/* The end of main(): the program is complete and frozen here. Each request calls a callback on a fresh stack, and is a
 * 501 when there is none for it. */
__attribute__((noreturn)) static inline void wait_for_requests(void) {
    for (;;) {
        kvm_call(KVM_WAIT_FOR_REQUESTS, 0, 0, 0, 0, 0, 0);
    }
}

/* For programs with a loop of their own: returns once per request, which it describes in `*request`.
 * Callbacks but set_on_error() are not used then. After the response the loop comes here again for the next
 * request (and the memory is as it was the first time, unless the program is not ephemeral). */
static inline void wait_for_requests_paused(struct kvm_request* request) {
    kvm_call(KVM_WAIT_FOR_REQUESTS_PAUSED, (long)request, 0, 0, 0, 0, 0);
}

/* Is the VM to be made equal to what main() left, after each request (1), or not (0)? In main(): every VM of the
 * program. In a request: the VM that serves it, beginning with the end of this request and until it is made equal
 * again, which also happens when a request fails; then it is as main() said. -EPERM unless the program is configured
 * with "control_ephemeral": true. */
static inline int sys_make_ephemeral(int ephemeral) {
    return (int)kvm_call(KVM_MAKE_EPHEMERAL, ephemeral, 0, 0, 0, 0, 0);
}

/* ---- The request in memory: no exits ------------------------------------------------------------------ */

/* The value of the first header called `name` (any case), without spaces around it; NULL when there is none.
 * `*value_len` is its length: the zero comes only at the end of the field. */
static inline const char* kvm_request_header_value(const struct kvm_request* request, const char* name,
                                                   size_t* value_len) {
    const size_t name_len = strlen(name);
    for (unsigned i = 0; i < request->num_headers; i++) {
        const struct kvm_request_header* header = &request->headers[i];
        size_t same = 0;
        if (header->field_colon != name_len || header->field_colon >= header->field_len) {
            continue;
        }
        while (same < name_len) {
            unsigned char a = (unsigned char)header->field[same], b = (unsigned char)name[same];
            a = (a >= 'A' && a <= 'Z') ? (unsigned char)(a | 0x20) : a;
            b = (b >= 'A' && b <= 'Z') ? (unsigned char)(b | 0x20) : b;
            if (a != b) {
                break;
            }
            same++;
        }
        if (same == name_len) {
            size_t begin = name_len + 1, end = header->field_len;
            while (begin < end && (header->field[begin] == ' ' || header->field[begin] == '\t')) {
                begin++;
            }
            while (end > begin && (header->field[end - 1] == ' ' || header->field[end - 1] == '\t')) {
                end--;
            }
            *value_len = end - begin;
            return header->field + begin;
        }
    }
    *value_len = 0;
    return NULL;
}

/* Is the request's method `method`? Methods are case-sensitive. */
static inline bool kvm_request_method_is(const struct kvm_request* request, const char* method) {
    return strcmp(request->method, method) == 0;
}

/* ---- The response ------------------------------------------------------------------------------------- */

/* Answers the request and ends it: `status` 200 to 599, a content type of at most 4095 bytes (0: none) that ends at its
 * first zero, a body of any size. The body is read where it is, later: leave it alone. `extra` may be NULL; it has at
 * most 64 headers of at most 8192 bytes, 32768 in all; those that belong to the connection (Content-Length, ...) are left
 * out. Comes back only in programs that wait with wait_for_requests_paused() and are not ephemeral. A bad status,
 * pointer, length or header fails the request. */
static inline void sys_backend_response(int16_t status, const void* content_type, size_t content_type_len,
                                        const void* content, size_t content_len,
                                        const struct BackendResponseExtra* extra) {
    kvm_call(KVM_BACKEND_RESPONSE, status, (long)content_type, (long)content_type_len, (long)content,
             (long)content_len, (long)extra);
}
static inline void backend_response_extra(int16_t status, const void* content_type, size_t content_type_len,
                                          const void* content, size_t content_len,
                                          const struct BackendResponseExtra* extra) {
    sys_backend_response(status, content_type, content_type_len, content, content_len, extra);
}

static inline void backend_response(int16_t status, const void* content_type, size_t content_type_len,
                                    const void* content, size_t content_len) {
    backend_response_extra(status, content_type, content_type_len, content, content_len, NULL);
}

/* The same for zero-terminated strings. */
static inline void backend_response_str(int16_t status, const char* content_type, const char* content) {
    backend_response_extra(status, content_type, strlen(content_type), content, strlen(content), NULL);
}

/* One piece of a body that is made while it is delivered. */
struct streaming_content {
    const void* data;
    size_t len;
};
/* Gives the next piece: at least one byte and at most `max`, after `written` bytes of `total`. It is read before the
 * function is called again. Only log, memory, regex and fetch calls may be made from it. */
typedef struct streaming_content (*content_stream_func)(void* arg, size_t max, size_t written, size_t total);
#define STREAMING_UNKNOWN_LENGTH ((size_t)-1)

/* Answers the request with a body of `content_length` bytes, or of unknown length (STREAMING_UNKNOWN_LENGTH), that
 * `content` gives piece by piece while Varnish takes them. All memory stays as it is meanwhile, the caller's stack
 * included. What runs there counts as time of the request. A piece that is too long, not readable, or empty before the
 * end ends the response early; with an unknown length an empty piece is the end. Headers and caching are set before
 * (sys_http_append, sys_set_cacheable). Comes back when backend_response_extra does.
 *
 * Does a client notice that a response ended early (so or because the program crashed)? With a length it does, as it gets
 * fewer bytes than Content-Length says. Without one it does over HTTP/1.1, where the last chunk is missing, but not over
 * HTTP/1.0 and not over HTTP/2, where Varnish (7.1 to 7.7 at least) ends the stream as if all had been there. VCL that has
 * `set beresp.do_stream = false;` gives each of them a 503 instead, as Varnish then waits for the whole body. */
static inline void begin_streaming_response(int16_t status, const void* content_type, size_t content_type_len,
                                            size_t content_length, content_stream_func content, const void* arg) {
    kvm_call(KVM_BEGIN_STREAMING_RESPONSE, status, (long)content_type, (long)content_type_len, (long)content_length,
             (long)content, (long)arg);
}

/* May Varnish cache the coming response, and for how many seconds? One exit; BackendResponseExtra needs none.
 */
static inline long sys_set_cacheable(bool cached, uint64_t ttl_ms, uint64_t grace_ms, uint64_t keep_ms) {
    return kvm_call(KVM_SET_CACHEABLE, cached, (long)ttl_ms, (long)grace_ms, (long)keep_ms, 0, 0);
}
/* Seconds as the call takes them: a negative number becomes 0, and one that is too large the largest. */
static inline uint64_t kvm_milliseconds(float seconds) {
    return !(seconds > 0) ? 0 : seconds < 1e15f ? (uint64_t)(seconds * 1000.0f) : UINT64_C(1000000000000000000);
}
static inline long set_cacheable(bool cached, float ttl, float grace, float keep) {
    return sys_set_cacheable(cached, kvm_milliseconds(ttl), kvm_milliseconds(grace), kvm_milliseconds(keep));
}

/* ---- Header fields in Varnish: one exit each ---------------------------------------------------------- */

/* `where`: the request to the program (BEREQ) or its response (BERESP); the other names are the same two in older
 * sources. They are of type int in both languages. */
#ifdef __cplusplus
static const int BEREQ = 0, BERESP = 1, REQ = BEREQ, REQUEST = BEREQ, RESP = BERESP, RESPONSE = BERESP;
#else
enum { BEREQ = 0, BERESP = 1, REQ = BEREQ, REQUEST = BEREQ, RESP = BERESP, RESPONSE = BERESP };
#endif
#define HTTP_FMT_SIZE 4096u /* room for a field that http_appendf() and http_setf() format, with its zero */

/* Adds a field "Name: value". Its index in the message, above 0; or -EINVAL (`where`, no name or one of more than 126
 * bytes, a CR, LF or zero in it, a Content-Range that is no range of bytes, a name of more than 126 bytes in Vary),
 * -EFAULT, -ENOSPC. */
static inline long sys_http_append(int where, const char* field, size_t len) {
    return kvm_call(KVM_HTTP_APPEND, where, (long)field, (long)len, 0, 0, 0);
}
static inline long http_append(int where, const char* field, size_t len) {
    return sys_http_append(where, field, len);
}
static inline long http_append_str(int where, const char* field) {
    return sys_http_append(where, field, strlen(field));
}

/* Sets a field "Name: value" in place of all of that name. A bare "Name" removes them: the value is the index of the
 * first one then, 0 when there was none. Else as above. */
static inline long sys_http_set(int where, const char* field, size_t len) {
    return kvm_call(KVM_HTTP_SET, where, (long)field, (long)len, 0, 0, 0);
}
static inline long http_set(int where, const char* field, size_t len) {
    return sys_http_set(where, field, len);
}
static inline long http_set_str(int where, const char* field) {
    return sys_http_set(where, field, strlen(field));
}
static inline long http_unset(int where, const char* name, size_t len) {
    return sys_http_set(where, name, len);
}
static inline long http_unset_str(int where, const char* name) {
    return sys_http_set(where, name, strlen(name));
}

/* KVM_HTTP_APPEND or KVM_HTTP_SET of a field that is formatted. */
static inline long kvm_http_vf(unsigned call, int where, const char* format, va_list arguments) {
    char field[HTTP_FMT_SIZE];
    const int length = vsnprintf(field, sizeof(field), format, arguments);
    if (length < 0 || (size_t)length >= sizeof(field)) {
        return -ENOSPC;
    }
    return kvm_call(call, where, (long)field, length, 0, 0, 0);
}

/* The same with printf's formatting; -ENOSPC when the field would be longer than 4095 bytes. */
__attribute__((format(printf, 2, 3))) static inline long http_appendf(int where, const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    const long result = kvm_http_vf(KVM_HTTP_APPEND, where, format, arguments);
    va_end(arguments);
    return result;
}
__attribute__((format(printf, 2, 3))) static inline long http_setf(int where, const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    const long result = kvm_http_vf(KVM_HTTP_SET, where, format, arguments);
    va_end(arguments);
    return result;
}

/* Copies the first field called `key` (any case), "Name: value", to `out` and returns its length: 0 when there is
 * no such field or it does not fit in `outlen` bytes. With `out` NULL: the length alone. No zero is added. */
static inline long sys_http_find(int where, const char* key, size_t keylen, char* out, size_t outlen) {
    return kvm_call(KVM_HTTP_FIND, where, (long)key, (long)keylen, (long)out, (long)outlen, 0);
}
static inline long http_find_str(int where, const char* key, char* out, size_t outlen) {
    return sys_http_find(where, key, strlen(key), out, outlen);
}
static inline long http_find_strlen(int where, const char* key) {
    return sys_http_find(where, key, strlen(key), NULL, 0);
}

/* The same for its value, without name and surrounding spaces; of a field of at most 8192 bytes. */
static inline long http_find_value(int where, const char* key, char* out, size_t outlen) {
    char field[8192];
    const size_t key_len = strlen(key);
    const long length = sys_http_find(where, key, key_len, field, sizeof(field));
    size_t begin = key_len + 1, end = length > 0 ? (size_t)length : 0;
    if (length <= 0) {
        return length;
    }
    while (begin < end && (field[begin] == ' ' || field[begin] == '\t')) {
        begin++;
    }
    while (end > begin && (field[end - 1] == ' ' || field[end - 1] == '\t')) {
        end--;
    }
    if (end <= begin || (out != NULL && end - begin > outlen)) {
        return 0;
    }
    if (out != NULL) {
        memcpy(out, field + begin, end - begin);
    }
    return (long)(end - begin);
}

/* Copies the request's method to `out`, without a zero, and returns its length; 0 when it does not fit. */
static inline long sys_http_method(char* out, size_t outlen) {
    return kvm_call(KVM_HTTP_METHOD, (long)out, (long)outlen, 0, 0, 0, 0);
}
static inline long http_method(char* out, size_t outlen) {
    return sys_http_method(out, outlen);
}

/* The first field called `name`, "Name: value", and the method, as zero-terminated text of malloc(): two exits each.
 * Empty when there is no such field, NULL without memory. HAS_BUILTIN_MALLOC says that there are these two. */
#define HAS_BUILTIN_MALLOC
static inline char* http_alloc_find(int where, const char* name) {
    const long length = http_find_strlen(where, name);
    const size_t size = length > 0 ? (size_t)length : 0;
    char* field = (char*)calloc(size + 1, 1);
    if (field != NULL && size > 0) {
        http_find_str(where, name, field, size);
    }
    return field;
}
static inline char* http_alloc_method(void) {
    const long length = sys_http_method(NULL, 0);
    const size_t size = length > 0 ? (size_t)length : 0;
    char* method = (char*)calloc(size + 1, 1);
    if (method != NULL && size > 0) {
        sys_http_method(method, size);
    }
    return method;
}

/* ---- Regular expressions: one exit each -------------------------------------------------------------------
 *
 * Those of PCRE2, on bytes, matched by the host. What main() compiles can be used by all requests and costs them
 * nothing; what a request compiles ends with it, freed or not, unless the program is not ephemeral. A program has at
 * most 128 at a time.
 * Matching that takes too much time is -ETIMEDOUT, too much memory -ENOMEM; -EBADF: there is no such expression. */

/* Compiles a pattern of at most 4096 bytes and 128 opening parentheses and returns its handle, 0 or more; the same for
 * the same pattern. -EINVAL: the log says what is wrong with it; -ENOSPC: there are too many. */
static inline int sys_regex_compile(const char* pattern, size_t len) {
    return (int)kvm_call(KVM_REGEX_COMPILE, (long)pattern, (long)len, 0, 0, 0, 0);
}
static inline long sys_regex_free(int regex) {
    return kvm_call(KVM_REGEX_FREE, regex, 0, 0, 0, 0, 0);
}

/* Where in `text`, at most 1 MiB, the first match begins; -1 when there is none. */
static inline long sys_regex_match(int regex, const char* text, size_t len) {
    return kvm_call(KVM_REGEX_MATCH, regex, (long)text, (long)len, 0, 0, 0);
}

/* Copies `text` to `out` with the first match, or with flag 1 all of them, replaced: \0 stands for the match, \1 to
 * \9 for its groups. All three strings end with a zero. Returns the bytes written, the zero included; -ENOSPC when
 * they do not fit. */
enum { KVM_REGEX_ALL = 1 };
static inline long sys_regex_subst(int regex, const char* text, const char* replacement, char* out, size_t outlen,
                                   int flags) {
    return kvm_call(KVM_REGEX_SUBST, regex, (long)text, (long)replacement, (long)out, (long)outlen, flags);
}

/* Adds the header fields of `from` that match ("Name: value") to `to`, and returns how many. Those that belong to the
 * connection are left out. */
static inline long sys_regex_copyto(int regex, int from, int to) {
    return kvm_call(KVM_REGEX_COPYTO, regex, from, to, 0, 0, 0);
}

/* ---- Fetching: other servers, and Varnish itself ------------------------------------------------------ */

/* Fetches `url` and waits for the response, whatever its status is. A URL that begins with '/' is one of Varnish
 * itself, a self-request, which VCL must have allowed with init_self_requests(); other hosts must be in the program's
 * allowed_hosts. http and https, GET, or POST with a body. `fields` and `options` may be NULL; without options
 * redirects are followed.
 *
 * 0: a response is in `*op`. Its headers and content are new memory: of the request, so that they go with it; in
 * main(), or when there is little of it, free them with fetch_free().
 *
 * Otherwise there is no response, `op->status` is 0, the log says why, and the value is -EACCES (the host or its
 * address is not allowed), -EHOSTUNREACH (there is no such host), -ECONNREFUSED (no connection), -ETIMEDOUT (a fetch
 * may take seven eighths of the time that is left), -EMSGSIZE (it does not fit in the memory that is left), -ELOOP
 * (too many redirects, or self-requests inside of each other), -EAGAIN (too many self-requests at a time),
 * -ENOTCONN (self-requests are not allowed), -EPROTO (not HTTP, or TLS failed), -EINVAL, -EFAULT, -ENOMEM. */
static inline long sys_fetch(const char* url, size_t url_len, struct curl_op* op, struct curl_fields* fields,
                             struct curl_options* options) {
    return kvm_call(KVM_FETCH, (long)url, (long)url_len, (long)op, (long)fields, (long)options, 0);
}
/* The same for Varnish itself only: `path` begins with '/'. */
static inline long sys_request(const char* path, size_t path_len, struct curl_op* op, struct curl_fields* fields,
                               struct curl_options* options) {
    return kvm_call(KVM_REQUEST, (long)path, (long)path_len, (long)op, (long)fields, (long)options, 0);
}

/* Makes `*op`, which need not be initialised, a GET; or a POST of `data`, with a content type that is cut at 127 bytes.
 * -EINVAL: the data is too long. */
static inline void kvm_prepare_get(struct curl_op* op) {
    memset(op, 0, sizeof(*op));
}
static inline long kvm_prepare_post(struct curl_op* op, const char* content_type, size_t content_type_len,
                                    const void* data, size_t len) {
    kvm_prepare_get(op);
    if (len > UINT32_MAX) {
        return -EINVAL;
    }
    op->post_buffer = data;
    op->post_buflen = (uint32_t)len;
    op->ctlen = (uint32_t)(content_type_len < sizeof(op->ctype) ? content_type_len : sizeof(op->ctype) - 1);
    if (op->ctlen != 0) {
        memcpy(op->ctype, content_type, op->ctlen);
    }
    return 0;
}

/* A GET of a zero-terminated URL, and a POST, which without data is a GET. `*op` need not be initialised. */
static inline long fetch_get(const char* url, struct curl_op* op) {
    kvm_prepare_get(op);
    return sys_fetch(url, strlen(url), op, NULL, NULL);
}
static inline long fetch_post(const char* url, const char* content_type, const void* data, size_t len,
                             struct curl_op* op) {
    const long wrong = kvm_prepare_post(op, content_type, strlen(content_type), data, len);
    return wrong != 0 ? wrong : sys_fetch(url, strlen(url), op, NULL, NULL);
}

/* Frees the memory of a response: not for buffers that the program had prepared. */
static inline void fetch_free(struct curl_op* op) {
    if (op->headers != NULL && op->headers_length != 0) {
        munmap(op->headers, (size_t)op->headers_length + 1);
    }
    if (op->content != NULL) {
        munmap(op->content, (size_t)op->content_length + 1);
    }
    op->headers = NULL;
    op->content = NULL;
    op->headers_length = op->content_length = 0;
}

/* ---- The log, and what is left ------------------------------------------------------------------------ */

/* Writes one line to the log of the request, or of the program while it boots. Of a line KVM_LOG_SIZE bytes are logged,
 * of a request 64 lines. */
#define KVM_LOG_SIZE 2048u
static inline long sys_log(const char* text, size_t len) {
    return kvm_call(KVM_LOG, (long)text, (long)len, 0, 0, 0, 0);
}
static inline void kvm_log(const char* text) {
    sys_log(text, strlen(text));
}

/* The same with printf's formatting; cut at 2047 bytes. */
__attribute__((format(printf, 1, 2))) static inline void vlogf(const char* format, ...) {
    char line[KVM_LOG_SIZE];
    va_list arguments;
    int length;
    va_start(arguments, format);
    length = vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    if (length > 0) {
        sys_log(line, (size_t)length < sizeof(line) ? (size_t)length : sizeof(line) - 1);
    }
}

/* Memory limits and use, in bytes. */
struct meminfo {
    uint64_t max_memory;     /* most the program may have while it boots */
    uint64_t max_reqmem;     /* most a request may change or add */
    uint64_t reqmem_upper;   /* the most this VM's requests changed or added so far */
    uint64_t reqmem_current; /* what this request changed or added */
};
static inline long get_meminfo(struct meminfo* info) {
    return kvm_call(KVM_MEMINFO, (long)info, 0, 0, 0, 0, 0);
}

/* ---- Memory that all VMs of the program share -------------------------------------------------------- */

/* What the configuration key `shared_memory` gives the program: readable and writable, zero when main() starts, the
 * same in all VMs, never reset. Every VM may write to it while another reads: use atomic operations, and do not believe
 * what was checked before it was copied. It cannot be unmapped, protected or executed. A VM can wait for another one
 * there only by reading again and again. */
struct shared_memory_info {
    uint64_t ptr;
    uint64_t end; /* both 0: there is none */
};
static inline struct shared_memory_info shared_memory_area(void) {
    struct shared_memory_info area;
    register long host __asm__("r10") = 0x7FFFE04800L;
    long begin = KVM_SHARED_MEMORY_AREA, end = 0;
    __asm__ volatile("leaq 1f(%%rip), %%r11\n\tjmp *%[host]\n1:"
                     : "+a"(begin), "+d"(end), [host] "+r"(host)
                     :
                     : "r11", "cc", "memory");
    area.ptr = (uint64_t)begin;
    area.end = (uint64_t)end;
    return area;
}

/* Allocates pieces of it, one after the other, which are never freed; NULL when it is used up. To be used in main(), so
 * that all requests know of the pieces, and in one source file only, because each source file counts for itself.
 *     static uint64_t* counter;
 *     counter = SHM_ALLOC_TYPE(uint64_t);     a type
 *     counter = SHM_ALLOC(*counter);          what an expression has for a type
 *     table = SHM_ALLOC_BYTES(65536);         void*, aligned to 16 bytes */
static inline void* kvm_shared_alloc(size_t size, size_t alignment) {
    static struct shared_memory_info rest;
    uint64_t begin;
    if (rest.ptr == 0) {
        rest = shared_memory_area();
    }
    begin = (rest.ptr + (alignment - 1)) & ~(uint64_t)(alignment - 1);
    if (rest.ptr == 0 || begin > rest.end || size > rest.end - begin) {
        return NULL;
    }
    rest.ptr = begin + size;
    return (void*)begin;
}
#define SHM_ALLOC_BYTES(size) kvm_shared_alloc(size, 16)
#ifdef __cplusplus
#define SHM_ALLOC_TYPE(type) ((type*)kvm_shared_alloc(sizeof(type), alignof(type)))
#define SHM_ALLOC(value) SHM_ALLOC_TYPE(__typeof__(value))
#else
#define SHM_ALLOC_TYPE(type) ((type*)kvm_shared_alloc(sizeof(type), _Alignof(type)))
#define SHM_ALLOC(value) SHM_ALLOC_TYPE(__typeof__(value))
#endif

/* Waits for a debugger and stops for it, in a program whose configuration has "allow_debug": true. Otherwise it does
 * nothing. */
static inline void sys_breakpoint(void) {
    kvm_call(KVM_BREAKPOINT, 0, 0, 0, 0, 0, 0);
}

/* ---- Storage: a VM that outlives requests --------------------------------------------------------------
 *
 * With "storage" in its configuration the program, or another one, runs once more, in a VM that all requests share and
 * that is never reset. Its main() sees IS_STORAGE(), says what may be called, and waits for requests like any other;
 * requests then call its functions, one at a time. Both are the same program with the same addresses, or the program of
 * the requests knows those of the other one from its linker (-Wl,--just-symbols=FILE).
 *
 * What the calls return that is negative: -ENOSYS without a storage; -EPERM: `f` is not allowed; -EFAULT: a bad pointer;
 * -E2BIG: more than 64 buffers, or more bytes than a request may take; -ENOMEM: the storage has no more memory; -EIO: the
 * function crashed, or ended the program; -ETIMEDOUT: it took more than max_storage_time, or the request's time is over;
 * -EDEADLK: the storage waits for this request; -EAGAIN: too many calls or tasks are there already. */

typedef void (*storage_func)(size_t n, struct virtbuffer buffers[], size_t res);
typedef void (*storage_task_func)(void* data, size_t len);

/* In storage, in main(): requests may call `f`. Without any such call they may call every function. */
static inline long sys_storage_allow(void (*f)(void)) {
    return kvm_call(KVM_STORAGE_ALLOW, (long)f, 0, 0, 0, 0, 0);
}
#define STORAGE_ALLOW(f) sys_storage_allow((void (*)(void))(f))

/* Calls `f` in storage with copies of `n` buffers, which last as long as the call. What it returns is copied to `dst`, as
 * much as there is room for; `f` is told how much that is. Returns the whole length; 0 when it returns nothing. When it
 * fails, what it had changed by then stays changed. */
static inline long storage_callv(storage_func f, size_t n, const struct virtbuffer buffers[], void* dst, size_t len) {
    return kvm_call(KVM_STORAGE_CALLV, (long)f, (long)n, (long)buffers, (long)dst, (long)len, 0);
}
static inline long storage_call(storage_func f, const void* data, size_t data_len, void* dst, size_t len) {
    struct virtbuffer buffer;
    buffer.data = data;
    buffer.len = data_len;
    return storage_callv(f, 1, &buffer, dst, len);
}

/* Calls `f` in storage later, with a copy of the data (1 MiB at most): when it is free, or after `start_ms`, and then every
 * `period_ms`, if that is not 0. Requests may call it, storage itself, and its main(). One that is late runs once for all
 * the times it has missed; what it returns with storage_return() nobody gets. Returns a number for stop_storage_task(). */
static inline long sys_storage_task(storage_task_func f, const void* data, size_t len, uint64_t start_ms,
                                    uint64_t period_ms) {
    return kvm_call(KVM_STORAGE_TASK, (long)f, (long)data, (long)len, (long)start_ms, (long)period_ms, 0);
}
static inline long storage_task(storage_task_func f, const void* data, size_t len) {
    return sys_storage_task(f, data, len, 0, 0);
}
static inline long schedule_storage_task(storage_task_func f, const void* data, size_t len, float start, float period) {
    return sys_storage_task(f, data, len, kvm_milliseconds(start), kvm_milliseconds(period));
}
/* -ENOENT: there is no such task, or it has run. */
static inline long stop_storage_task(long task) {
    return kvm_call(KVM_STOP_STORAGE_TASK, task, 0, 0, 0, 0, 0);
}

/* In a function that storage runs: what its caller gets; the last one counts. The function goes on, and returns. */
static inline long storage_return(const void* data, size_t len) {
    return kvm_call(KVM_STORAGE_RETURN, (long)data, (long)len, 0, 0, 0, 0);
}
static inline long storage_return_nothing(void) {
    return storage_return(NULL, 0);
}
/* The same, and the function ends here. */
__attribute__((noreturn)) static inline void storage_noreturn(const void* data, size_t len) {
    kvm_call(KVM_STORAGE_NORETURN, (long)data, (long)len, 0, 0, 0, 0);
    __builtin_trap();
}

/* ---- Several CPUs for one request -------------------------------------------------------------------------
 *
 * With the setting `smp` a VM has that many CPUs. What runs is the first one, number 0; it gives the others something
 * to do, does its own part, and waits for them:
 *
 *     multiprocess(n, part, &work);      (CPUs 1 to n - 1 call part(&work))
 *     part(&work);                       (vcpuid() says which one this is)
 *     multiprocess_wait();
 *
 * The others compute: they have the same memory, the caller's thread-local variables, and stacks of their own of 6 MiB.
 * They cannot make calls of this header or of Linux, and so not use malloc(), files or locks that wait: a request in
 * which one does, or crashes, fails. Atomic variables are what they tell each other with. While CPU 0 is in such a
 * call, the others stand still. All of them have the time and the memory of their request; what has not ended when it
 * answers is ended.
 *
 * Without `smp` these return -ENOSYS: do all of the work then. */

/* How many CPUs there are; 1 without `smp`. */
static inline long multiprocess_cpus(void) {
    const long cpus = kvm_call(KVM_MULTIPROCESS, 0, 0, 0, 0, 0, 0);
    return cpus > 0 ? cpus : 1;
}
/* CPUs 1 to `n` - 1 call f(argument) from now on; returns at once. 0, or -EINVAL when there are fewer than `n`, -EBUSY
 * when they have something to do already, -EFAULT when `f` cannot be a function. */
typedef void (*multiprocess_t)(void* argument);
static inline long multiprocess(size_t n, multiprocess_t f, void* argument) {
    return kvm_call(KVM_MULTIPROCESS, (long)n, (long)f, (long)argument, 0, 0, 0);
}
/* The same; they call f(number of the CPU, array, element_size). */
typedef void (*multiprocess_array_t)(int cpu, void* array, size_t element_size);
static inline long multiprocess_array(size_t n, multiprocess_array_t f, void* array, size_t element_size) {
    return kvm_call(KVM_MULTIPROCESS_ARRAY, (long)n, (long)f, (long)array, (long)element_size, 0, 0);
}
/* They go on here, too: the value is the number of the CPU. Each has a part of `stacks`, which has room for `n` of
 * `stack_size` bytes (at least 4096), and begins with a copy of the top of the caller's stack: of 64 KiB or half of its
 * own, whichever is less. So the function that calls this has variables of its own on each CPU, and returns on each.
 * The others end with multiprocess_exit(). vcpuid() is 0 on such stacks. */
static inline long multiprocess_clone(size_t n, void* stacks, size_t stack_size) {
    return kvm_call(KVM_MULTIPROCESS_CLONE, (long)n, (long)stacks, (long)stack_size, 0, 0, 0);
}
/* Ends what a CPU but the first was given to do, as does the return of its function. */
__attribute__((noreturn)) static inline void multiprocess_exit(void) {
    kvm_call(0xFFFFFFFF, 0, 0, 0, 0, 0, 0);
    __builtin_trap();
}
/* Returns 0 when the others have done what they were given to do. */
static inline long multiprocess_wait(void) {
    return kvm_call(KVM_MULTIPROCESS_WAIT, 0, 0, 0, 0, 0, 0);
}
/* Which CPU runs this function, which multiprocess() or multiprocess_array() has begun: known by its stack. */
static inline int vcpuid(void) {
    const unsigned long place = (unsigned long)__builtin_frame_address(0) - 0x8000000000UL;
    return place < 8UL << 23 ? (int)(place >> 23) : 0;
}
/* Which of the program's VMs serves this request: 0, as requests are not told. */
static inline int vcpureqid(void) {
    return 0;
}

/* ---- Sockets: not available in this version --------------------------------------------------------------
 *
 * These declarations let servers written for it compile. The callback of set_socket_prepare_for_pause(), in which such
 * servers wait, is never called, and each call returns -ENOSYS. */

enum SocketEvent { SOCKET_CONNECT = 0, SOCKET_READ = 1, SOCKET_WRITABLE = 2, SOCKET_DISCONNECT = 3 };

/* What happened to a connection of Varnish's, or what is to be written to it. */
struct kvm_socket_event {
    int fd;
    enum SocketEvent event;
    const char* remote; /* of SOCKET_CONNECT: the peer's address, and the argument it comes with */
    const char* arg;
    const uint8_t* data; /* of SOCKET_READ; or to be written */
    size_t data_len;
};

/* Waits paused for up to `max` events and returns how many there are. */
static inline int wait_for_socket_events_paused(struct kvm_socket_event events[], size_t max) {
    (void)events;
    (void)max;
    return -ENOSYS;
}
static inline int wait_for_socket_event_paused(struct kvm_socket_event* event) {
    return wait_for_socket_events_paused(event, 1);
}

/* Writes the data of each of `n` events to its connection. */
static inline long sys_sockets_write(const struct kvm_socket_event events[], size_t n) {
    return kvm_call(KVM_SOCKETS_WRITE, (long)events, (long)n, 0, 0, 0, 0);
}

/* ---- Files inside the binary -------------------------------------------------------------------------- */

/* EMBED_BINARY(logo, "logo.png") at file scope: the file's bytes are `logo[0 ... logo_size - 1]`, followed by
 * a zero, variables like others. In C++ outside of namespaces and extern "C" blocks. The path is relative to where the
 * compiler runs. A semicolon after it may be left out. */
#ifdef __cplusplus
#define KVM_API_EXTERN extern "C"
#else
#define KVM_API_EXTERN extern
#endif
/* clang-format off */
#define EMBED_BINARY(name, file) KVM_API_EMBED(name, file) /* `file` may be a macro */
#define KVM_API_EMBED(name, file)                                     \
    __asm__(".pushsection .data\n"                                    \
            ".balign 16\n"                                            \
            ".globl " #name "\n"                                      \
            #name ": .incbin " #file "\n"                             \
            ".L" #name "_end: .byte 0\n"                              \
            ".balign 4\n"                                             \
            ".globl " #name "_size\n"                                 \
            #name "_size: .long .L" #name "_end - " #name "\n"        \
            ".popsection\n");                                         \
    KVM_API_EXTERN char name[];                                       \
    KVM_API_EXTERN unsigned name##_size;
/* clang-format on */

#ifdef __cplusplus
}
#endif

#endif

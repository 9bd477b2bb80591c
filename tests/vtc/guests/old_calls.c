/* SPDX-License-Identifier: BSD-2-Clause
 * A program as they were built before: it uses no header of ours, raises every call of the interface as OUT in user mode,
 * lays its structures out by hand, and compares what it finds with what the interface says. What differs is in the
 * answer. Its argument is how it waits: "callbacks", "request" or "paused". */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char wrong[8192];
static int checked;

static void check(const char *what, long found, long expected)
{
    checked++;
    if (found != expected && strlen(wrong) < sizeof wrong - 200)
        sprintf(wrong + strlen(wrong), "%s is %ld instead of %ld\n", what, found, expected);
}

/* The calls as functions: number to EAX, OUT, and back. Arguments are where the C ABI puts them. */
#define CALL(name, number)                                                                                             \
    __asm__(".pushsection .text\n.globl " #name "\n.type " #name ", @function\n" #name ": movl $" #number               \
            ", %eax\n\toutl %eax, $0\n\tret\n.popsection\n")
CALL(register_func, 0x10000);
CALL(wait_for_requests, 0x10001);
CALL(wait_for_requests_paused, 0x10002);
CALL(sys_set_cacheable, 0x10005);
CALL(sys_backend_response, 0x10010);
CALL(storage_return, 0x10011);
CALL(begin_streaming_response, 0x10012);
CALL(storage_noreturn, 0x10013);
CALL(sys_http_append, 0x10020);
CALL(sys_http_set, 0x10021);
CALL(sys_http_find, 0x10022);
CALL(sys_http_method, 0x10023);
CALL(sys_regex_compile, 0x10030);
CALL(sys_regex_free, 0x10031);
CALL(sys_regex_match, 0x10032);
CALL(sys_regex_subst, 0x10033);
CALL(sys_regex_copyto, 0x10035);
CALL(shared_memory_area, 0x10700);
CALL(sys_make_ephemeral, 0x10703);
CALL(sys_is_storage, 0x10706);
CALL(sys_storage_allow, 0x10707);
CALL(storage_callv, 0x10708);
CALL(sys_storage_task, 0x10709);
CALL(stop_storage_task, 0x1070A);
CALL(multiprocess, 0x10710);
CALL(multiprocess_array, 0x10711);
CALL(multiprocess_clone, 0x10712);
CALL(multiprocess_wait, 0x10713);
CALL(get_meminfo, 0x10A00);
CALL(sys_fetch, 0x20000);
CALL(sys_request, 0x20001);
CALL(sys_log, 0x7F000);
CALL(sys_breakpoint, 0x7F7F7);
CALL(sys_is_debug, 0x7FDEB);

extern void register_func(int, ...);
extern void wait_for_requests(void);
extern void wait_for_requests_paused(void *);
extern long sys_set_cacheable(_Bool, long, long, long);
extern void sys_backend_response(int16_t, const void *, size_t, const void *, size_t, const void *);
extern long storage_return(const void *, size_t);
struct piece {
    const void *data;
    size_t length;
};
extern void begin_streaming_response(int16_t, const void *, size_t, size_t,
                                     struct piece (*)(void *, size_t, size_t, size_t), void *);
extern long storage_noreturn(const void *, size_t);
extern long sys_http_append(int, const char *, size_t);
extern long sys_http_set(int, const char *, size_t);
extern unsigned sys_http_find(int, const char *, size_t, char *, size_t);
extern unsigned long sys_http_method(char *, size_t);
extern int sys_regex_compile(const char *, size_t);
extern void sys_regex_free(int);
extern int sys_regex_match(int, const char *, size_t);
extern long sys_regex_subst(int, const char *, const char *, char *, size_t, int);
extern int sys_regex_copyto(int, int, int);
struct pair {
    uint64_t begin, end;
};
extern struct pair shared_memory_area(void);
extern int sys_make_ephemeral(int);
extern int sys_is_storage(void);
extern long sys_storage_allow(void (*)(void));
extern long storage_callv(void *, size_t, const void *, void *, size_t);
extern long sys_storage_task(void *, const void *, size_t, uint64_t, uint64_t);
extern long stop_storage_task(long);
extern long multiprocess(size_t, void *, void *);
extern long multiprocess_array(size_t, void *, void *, size_t);
extern long multiprocess_clone(size_t, void *, size_t);
extern long multiprocess_wait(void);
extern void get_meminfo(void *);
extern long sys_fetch(const char *, size_t, void *, void *, void *);
extern long sys_request(const char *, size_t, void *, void *, void *);
extern void sys_log(const char *, size_t);
extern void sys_breakpoint(void);
extern int sys_is_debug(void);

static int digits;

static uint64_t word(const void *base, size_t offset)
{
    uint64_t value;
    memcpy(&value, (const char *)base + offset, sizeof value);
    return value;
}
static uint16_t half(const void *base, size_t offset)
{
    uint16_t value;
    memcpy(&value, (const char *)base + offset, sizeof value);
    return value;
}
static uint32_t quarter(const void *base, size_t offset)
{
    uint32_t value;
    memcpy(&value, (const char *)base + offset, sizeof value);
    return value;
}

/* Loads every register but rax and rsp from `before`, fills the red zone, raises sys_is_storage, and puts all it finds into
 * `after`. */
struct registers {
    uint64_t general[14], red_zone[2];
    unsigned char vector[16];
};
extern void call_with_registers(const struct registers *before, struct registers *after);
__asm__(".pushsection .text\n"
        ".type call_with_registers, @function\n"
        "call_with_registers:\n"
        "push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15; push %rsi\n"
        "mov %rdi, %r15\n"
        "mov (%r15), %rbx; mov 8(%r15), %rcx; mov 16(%r15), %rdx; mov 24(%r15), %rsi; mov 32(%r15), %rdi\n"
        "mov 40(%r15), %rbp; mov 48(%r15), %r8; mov 56(%r15), %r9; mov 64(%r15), %r10; mov 72(%r15), %r11\n"
        "mov 80(%r15), %r12; mov 88(%r15), %r13; mov 96(%r15), %r14\n"
        "mov 112(%r15), %rax; mov %rax, -8(%rsp); mov 120(%r15), %rax; mov %rax, -128(%rsp)\n"
        "movdqu 128(%r15), %xmm5; mov 104(%r15), %r15\n"
        "movl $0x10706, %eax; outl %eax, $0\n"
        "mov (%rsp), %rax\n"
        "mov %rbx, (%rax); mov %rcx, 8(%rax); mov %rdx, 16(%rax); mov %rsi, 24(%rax); mov %rdi, 32(%rax)\n"
        "mov %rbp, 40(%rax); mov %r8, 48(%rax); mov %r9, 56(%rax); mov %r10, 64(%rax); mov %r11, 72(%rax)\n"
        "mov %r12, 80(%rax); mov %r13, 88(%rax); mov %r14, 96(%rax); mov %r15, 104(%rax)\n"
        "mov -8(%rsp), %rcx; mov %rcx, 112(%rax); mov -128(%rsp), %rcx; mov %rcx, 120(%rax)\n"
        "movdqu %xmm5, 128(%rax)\n"
        "pop %rsi; pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx; ret\n"
        ".popsection\n");

static void registers(void)
{
    struct registers before, after;
    memset(&after, 0, sizeof after);
    for (size_t i = 0; i < sizeof before; i++)
        ((unsigned char *)&before)[i] = (unsigned char)(i * 7 + 1);
    call_with_registers(&before, &after);
    for (int i = 0; i < 14; i++)
        check("a register after a call", (long)after.general[i], (long)before.general[i]);
    check("the red zone", memcmp(after.red_zone, before.red_zone, sizeof after.red_zone), 0);
    check("a vector register", memcmp(after.vector, before.vector, sizeof after.vector), 0);
}

/* Those this version has not: they return -ENOSYS and do nothing. */
static void not_there(void)
{
    struct {
        const void *data;
        size_t len;
    } buffer = {"data", 4};
    char out[8] = "nothing";
    check("storage_return", storage_return("x", 1), -38);
    check("storage_noreturn", storage_noreturn("x", 1), -38);
    check("sys_storage_allow", sys_storage_allow(not_there), -38);
    check("storage_callv", storage_callv((void *)not_there, 1, &buffer, out, sizeof out), -38);
    check("sys_storage_task", sys_storage_task((void *)not_there, "data", 4, 1000, 0), -38);
    check("stop_storage_task", stop_storage_task(1), -38);
    check("multiprocess", multiprocess(2, (void *)not_there, NULL), -38);
    check("multiprocess_array", multiprocess_array(2, (void *)not_there, out, 1), -38);
    check("multiprocess_clone", multiprocess_clone(2, out, 4096), -38);
    check("multiprocess_wait", multiprocess_wait(), -38);
    check("memory of calls that are not there", strcmp(out, "nothing"), 0);
    sys_breakpoint();
}

static void everywhere(void)
{
    uint64_t info[5] = {1, 1, 1, 1, 12345};
    struct pair shared = shared_memory_area();
    registers();
    not_there();
    check("sys_is_storage", sys_is_storage(), 0);
    check("sys_is_debug", sys_is_debug(), 0);
    get_meminfo(info);
    check("max_memory", (long)info[0], 200 << 20);
    check("max_reqmem", (long)info[1], 32 << 20);
    check("what is after meminfo", (long)info[4], 12345);
    check("a limit that reqmem is above", info[3] > (32 << 20) || info[3] > info[2], 0);
    check("the size of shared memory", (long)(shared.end - shared.begin), 1 << 20);
    ((volatile char *)shared.begin)[0] = 1;
    ((volatile char *)shared.end)[-1] = 1;
    check("a match", sys_regex_match(digits, "abc123", 6), 3);
    check("no match", sys_regex_match(digits, "abc", 3), -1);
}

static void headers_and_regexes(void)
{
    char out[64];
    memset(out, '#', sizeof out);
    check("sys_http_find", sys_http_find(0, "x-value", 7, out, sizeof out), 10);
    check("the field", memcmp(out, "X-Value: 5#", 11), 0);
    check("the field's length", sys_http_find(0, "X-Value", 7, NULL, 0), 10);
    check("a buffer too small", sys_http_find(0, "X-Value", 7, out, 9), 0);
    check("no such field", sys_http_find(0, "X-Other", 7, out, sizeof out), 0);
    check("an older number of the request", sys_http_find(4, "X-Value", 7, NULL, 0), 10);
    check("sys_http_append", sys_http_append(1, "X-Appended: 6", 13) > 0, 1);
    check("an appended field", sys_http_find(1, "X-Appended", 10, NULL, 0), 13);
    check("an older number of the response", sys_http_find(5, "X-Appended", 10, NULL, 0), 13);
    check("sys_http_set", sys_http_set(1, "X-Set: 7", 8) > 0, 1);
    check("sys_http_set again", sys_http_set(1, "X-Set: 8", 8) > 0, 1);
    sys_http_append(1, "X-Unset: 9", 10);
    check("a bare key", sys_http_set(1, "X-Unset", 7) > 0, 1);
    check("a bare key of nothing", sys_http_set(1, "X-Unset", 7), 0);
    check("a field unset", sys_http_find(1, "X-Unset", 7, NULL, 0), 0);
    memset(out, 0, sizeof out);
    long length = (long)sys_http_method(out, sizeof out);
    check("sys_http_method", length, (long)strlen(out));
    check("the method's length", (long)sys_http_method(NULL, 0), length);
    check("a buffer too small for the method", (long)sys_http_method(out, 1), 0);

    int value = sys_regex_compile(": .*", 4);
    check("a compiled expression", value >= 0 && value != digits, 1);
    memset(out, 0, sizeof out);
    sys_http_find(0, "X-Value", 7, out, sizeof out);
    check("sys_regex_subst", sys_regex_subst(value, out, ": 666", out + 32, 32, 0), 13);
    check("what it wrote", strcmp(out + 32, "X-Value: 666"), 0);
    sys_regex_subst(digits, "1 2 3", "<\\0>", out, 32, 1);
    check("all of them", strcmp(out, "<1> <2> <3>"), 0);
    sys_regex_free(value);
    check("after it was freed", sys_regex_match(value, ": x", 3) < 0, 1);
    int copied = sys_regex_compile("^X-Copy", 7);
    check("sys_regex_copyto", sys_regex_copyto(copied, 0, 1), 2);
    check("sys_set_cacheable", sys_set_cacheable(1, 10000, 20000, 30000), 0);
    check("sys_make_ephemeral", sys_make_ephemeral(1), -1);
    sys_log("logged the old way", 18);
}

/* {status u32, body's length u32, body, headers, their length u32, u32, content, its length u32, type's length u32,
 * type[128]}; fields are {text[12], length u16[12]}; options {interface, unused, four bytes, u32}. */
static void fetches(void)
{
    static char operation[176 + 8];
    static const char field[] = "X-Field: 7";
    struct {
        const char *text[12];
        uint16_t length[12];
    } fields = {{NULL, field}, {0, sizeof field - 1}};
    struct {
        const char *interface, *unused;
        int8_t follows, only_headers, fast_open, any_name;
        uint32_t unused2;
    } options = {NULL, NULL, 1, 0, 0, 0, 0};
    memset(operation, 0, sizeof operation);
    memset(operation + 176, 0x55, 8);
    check("sys_request", sys_request("/fetched", 8, operation, &fields, &options), 0);
    check("the status", quarter(operation, 0), 202);
    check("the start of the headers", memcmp((const char *)word(operation, 16), "HTTP/1.1 202 ", 13), 0);
    check("the length of the headers", quarter(operation, 24), (long)strlen((const char *)word(operation, 16)));
    check("the content", strcmp((const char *)word(operation, 32), "GET 7"), 0);
    check("the content's length", quarter(operation, 40), 5);
    check("the type's length", quarter(operation, 44), 12);
    check("the type", strcmp(operation + 48, "text/fetched"), 0);
    check("what is after the fetch", (long)word(operation, 176), 0x5555555555555555);

    static const char body[] = "posted";
    const void *at = body;
    memset(operation, 0, 176);
    *(uint32_t *)(void *)(operation + 4) = 6;
    memcpy(operation + 8, &at, sizeof at);
    operation[24] = 1;
    memcpy(operation + 48, "text/plain", 10);
    *(uint32_t *)(void *)(operation + 44) = 10;
    check("sys_fetch", sys_fetch("/fetched", 8, operation, &fields, NULL), 0);
    check("the content of a POST", strcmp((const char *)word(operation, 32), "POST 7"), 0);
    check("headers that nobody wants", (long)word(operation, 16), 0);
    check("their length", quarter(operation, 24), 1);
    memset(operation, 0, 176);
    check("a host that is not allowed", sys_fetch("http://192.0.2.1/", 17, operation, NULL, NULL), -13);
    check("its status", quarter(operation, 0), 0);
}

static struct piece next_piece(void *state, size_t max, size_t written, size_t total)
{
    static char buffer[4];
    const size_t length = total - written < sizeof buffer ? total - written : sizeof buffer;
    check("the state", strcmp(state, "state"), 0);
    check("room for a piece", max >= length, 1);
    for (size_t i = 0; i < length; i++)
        buffer[i] = (char)((wrong[0] == 0 ? 'a' : 'A') + (written + i) % 26);
    return (struct piece){buffer, length};
}

/* With headers and for how long it may be stored: {headers, number u16, cached, ttl, grace, keep, reserved[4]}. */
static void respond(void)
{
    static char body[sizeof wrong + 64];
    struct {
        const char *field;
        size_t length;
    } headers[2] = {{"X-Extra: first", 14}, {"X-More: second", 14}};
    struct {
        const void *headers;
        uint16_t count;
        uint8_t cached;
        float ttl, grace, keep;
        uint64_t reserved[4];
    } extra = {headers, 2, 1, 42.0f, 43.0f, 44.0f, {0}};
    if (wrong[0] == 0)
        snprintf(body, sizeof body, "all as expected");
    else
        snprintf(body, sizeof body, "%s(%d checked)", wrong, checked);
    sys_backend_response(203, "text/old", 8, body, strlen(body), &extra);
}

static void answer(void)
{
    everywhere();
    headers_and_regexes();
    fetches();
    respond();
}

static void on_get(const char *url, const char *arg)
{
    if (strcmp(url, "/streamed") == 0)
        begin_streaming_response(200, "text/old", 8, 30, next_piece, "state");
    check("the URL", strcmp(url, "/old"), 0);
    check("the argument", strcmp(arg, "argument"), 0);
    answer();
}

static void on_post(const char *url, const char *arg, const char *type, const uint8_t *data, size_t len)
{
    check("the type", strcmp(type, "text/posted"), 0);
    check("the length", (long)len, 4);
    check("the data", memcmp(data, "body", 4), 0);
    on_get(url, arg);
}

/* {method, url, arg, type: pointers; their lengths: u16; content, length; headers, number: u16, flags: u16; u32;
 * random: u64[2]; reserved: u64[2]}; a header is {field, colon: u32, length: u32}. */
static void on_request(const void *request)
{
    const char *headers = (const char *)word(request, 56);
    int found = 0;
    check("the URL", strcmp((const char *)word(request, 8), "/old"), 0);
    check("the argument", strcmp((const char *)word(request, 16), "argument"), 0);
    check("the method's length", half(request, 32), (long)strlen((const char *)word(request, 0)));
    check("the URL's length", half(request, 34), 4);
    check("the argument's length", half(request, 36), 8);
    check("the type's length", half(request, 38), (long)strlen((const char *)word(request, 24)));
    if (strcmp((const char *)word(request, 0), "POST") == 0) {
        check("the type", strcmp((const char *)word(request, 24), "text/posted"), 0);
        check("the content", memcmp((const char *)word(request, 40), "body", 4), 0);
    }
    check("the content's length", (long)word(request, 48), strcmp((const char *)word(request, 0), "POST") == 0 ? 4 : 0);
    for (int i = 0; i < half(request, 64); i++) {
        const char *field = (const char *)word(headers, (size_t)i * 16);
        check("a field's length", quarter(headers, (size_t)i * 16 + 12), (long)strlen(field));
        check("a field's colon", field[quarter(headers, (size_t)i * 16 + 8)], ':');
        found += strcmp(field, "X-Value: 5") == 0;
    }
    check("how often the field is there", found, 1);
    check("the flags", half(request, 66), 0);
    check("random bits that are zero", word(request, 72) == 0 || word(request, 80) == 0, 0);
    answer();
}

static void on_error(const char *url, const char *arg, const char *exception)
{
    (void)url;
    (void)arg;
    sys_backend_response(503, "text/old", 8, exception, strlen(exception), NULL);
}

int main(int argc, char **argv)
{
    static char request[104 + 8];
    const char *how = argc > 1 ? argv[1] : "";
    check("a slash in argv[0]", strchr(argv[0], '/') != NULL, 0);
    digits = sys_regex_compile("[0-9]+", 6);
    check("the first handle", digits >= 0, 1);
    everywhere();
    sys_log("logged while booting", 20);
    check("sys_make_ephemeral", sys_make_ephemeral(0), -1);
    register_func(5, on_error);
    if (strcmp(how, "paused") == 0)
        for (;;) {
            memset(request, 0x55, sizeof request);
            wait_for_requests_paused(request);
            check("what is after the request", (long)word(request, 104), 0x5555555555555555);
            on_request(request);
        }
    register_func(1, on_get);
    register_func(2, on_post);
    if (strcmp(how, "request") == 0)
        register_func(3, on_request);
    wait_for_requests();
    return 1;
}

/* SPDX-License-Identifier: BSD-2-Clause
 * Fetches its URL as the argument says, and then answers with what it learned as text:
 *   get          status, content type, length, body
 *   headers      the header block
 *   pass_on      status, content type and body are those of this response
 *   post         POSTs its own body
 *   request      with sys_request
 *   dummy, follow, stay, unverified     options
 *   interface:X  from that interface
 *   field:X      with that header field
 *   twice        the same twice with one struct, freed between
 *   dummy_then_get  only says whether it fits
 *   into:C:H     into buffers of C and H bytes for content and headers, 0: none; says which memory, length, text, and
 *                what is after it, for both
 *   room:N       says whether there are headers when only their length is set, to N
 *   booted       what main() fetched, its argument
 *   lies         arguments that are none
 * A failure is "error N status S" with status 200. */
#include <errno.h>

#include "kvm_api.h"

static char text[8192];
static struct curl_op op;
static struct curl_fields fields;
static struct curl_options options;

static void answer(long error)
{
    if (error != 0) {
        snprintf(text, sizeof text, "error %ld status %u", -error, op.status);
    } else {
        snprintf(text, sizeof text, "%u [%.*s] %u %s", op.status, (int)op.ctlen, op.ctype, op.content_length,
                 op.content != NULL ? (const char *)op.content : "(null)");
    }
    backend_response_str(200, "text/plain", text);
}

static int describe(char *out, const char *buffer, const char *found, unsigned length, int shown)
{
    int after = found[length] == 0 ? '0' : found[length];
    if ((unsigned)shown > length)
        shown = (int)length;
    return sprintf(out, "%s %u %.*s %c; ", found == buffer ? "given" : "new", length, shown, found, after);
}

static void into(const char *url, const char *sizes)
{
    static char content[8192], headers[8192];
    unsigned content_size = 0, headers_size = 0;
    memset(content, '#', sizeof content);
    memset(headers, '#', sizeof headers);
    sscanf(sizes, "%u:%u", &content_size, &headers_size);
    op.content = content_size > 0 ? content : NULL;
    op.content_length = content_size;
    op.headers = headers_size > 0 ? headers : NULL;
    op.headers_length = headers_size;
    long error = sys_fetch(url, strlen(url), &op, NULL, NULL);
    if (error != 0) {
        int same = op.content_length == content_size && op.headers_length == headers_size &&
                   op.content == (content_size > 0 ? content : NULL) && content[content_size] == '#' &&
                   headers[headers_size] == '#';
        snprintf(text, sizeof text, "error %ld status %u %s", -error, op.status, same ? "kept" : "lost");
    } else {
        int used = describe(text, content, op.content, op.content_length, 20);
        describe(text + used, headers, op.headers, op.headers_length, 15);
    }
    backend_response_str(200, "text/plain", text);
}

static long lie(int which, const char *url, size_t len)
{
    static char *const nowhere = (char *)0x10;
    struct curl_op bad = op;
    switch (which) {
    case 0: return sys_fetch(nowhere, 10, &op, NULL, NULL);
    case 1: return sys_fetch(url, (size_t)-1, &op, NULL, NULL);
    case 2: return sys_fetch(url, 0, &op, NULL, NULL);
    case 3: return sys_fetch(url, len, (struct curl_op *)nowhere, NULL, NULL);
    case 4: return sys_fetch(url, len, &op, (struct curl_fields *)nowhere, NULL);
    case 5: return sys_fetch(url, len, &op, NULL, (struct curl_options *)nowhere);
    case 6: bad.post_buffer = nowhere, bad.post_buflen = 10; return sys_fetch(url, len, &bad, NULL, NULL);
    case 7: bad.post_buffer = text, bad.post_buflen = 0xFFFFFFFF; return sys_fetch(url, len, &bad, NULL, NULL);
    case 8: bad.post_buffer = text, bad.post_buflen = 1, bad.ctlen = 129; return sys_fetch(url, len, &bad, NULL, NULL);
    case 9: fields.ptr[11] = nowhere, fields.len[11] = 5; return sys_fetch(url, len, &op, &fields, NULL);
    case 10: fields.ptr[11] = "X: a\r\nY: b"; fields.len[11] = 10; return sys_fetch(url, len, &op, &fields, NULL);
    case 11: options.interface = nowhere; return sys_fetch(url, len, &op, NULL, &options);
    case 12: return sys_fetch("/a b", 4, &op, NULL, NULL);
    case 13: return sys_fetch("/a\0b", 4, &op, NULL, NULL);
    case 14: bad.content = nowhere, bad.content_length = 10; return sys_fetch(url, len, &bad, NULL, NULL);
    case 15: bad.headers = nowhere, bad.headers_length = 100; return sys_fetch(url, len, &bad, NULL, NULL);
    case 16: return sys_request("relative", 8, &op, NULL, NULL);
    }
    return 0;
}

static void lies(const char *url)
{
    char *at = text;
    for (int which = 0; which < 17; which++)
        at += sprintf(at, "%ld ", -lie(which, url, strlen(url)));
    backend_response_str(200, "text/plain", text);
}

static void on_request(const struct kvm_request *request)
{
    const char *arg = request->arg, *url = request->url;
    const size_t len = request->url_len;
    if (strcmp(arg, "booted") == 0)
        answer(0);
    memset(&op, 0, sizeof op); /* what main() fetched there would be a buffer to fill */
    if (strcmp(arg, "get") == 0) {
        answer(fetch_get(url, &op));
    } else if (strcmp(arg, "headers") == 0) {
        long error = fetch_get(url, &op);
        backend_response(200, "text/plain", 10, op.headers, error != 0 ? 0 : op.headers_length);
    } else if (strcmp(arg, "pass_on") == 0) {
        fetch_get(url, &op);
        backend_response((int16_t)op.status, op.ctype, op.ctlen, op.content, op.content_length);
    } else if (strcmp(arg, "post") == 0) {
        answer(fetch_post(url, request->content_type, request->content, request->content_len, &op));
    } else if (strcmp(arg, "request") == 0) {
        answer(sys_request(url, len, &op, NULL, NULL));
    } else if (strcmp(arg, "dummy") == 0) {
        options.dummy_fetch = 1;
        answer(sys_fetch(url, len, &op, NULL, &options));
    } else if (strcmp(arg, "follow") == 0) {
        options.follow_location = 1;
        answer(sys_fetch(url, len, &op, NULL, &options));
    } else if (strcmp(arg, "stay") == 0) {
        answer(sys_fetch(url, len, &op, NULL, &options));
    } else if (strcmp(arg, "unverified") == 0) {
        options.dont_verify_host = options.tcp_fast_open = 1;
        answer(sys_fetch(url, len, &op, NULL, &options));
    } else if (strncmp(arg, "interface:", 10) == 0) {
        options.interface = arg + 10;
        answer(sys_fetch(url, len, &op, NULL, &options));
    } else if (strncmp(arg, "field:", 6) == 0) {
        CURL_SETFIELD(fields, 3, arg + 6);
        CURL_SETFIELD(fields, 7, "X-Other: 7");
        answer(sys_fetch(url, len, &op, &fields, NULL));
    } else if (strncmp(arg, "into:", 5) == 0) {
        into(url, arg + 5);
    } else if (strncmp(arg, "room:", 5) == 0) {
        op.headers_length = (uint32_t)atoi(arg + 5);
        sys_fetch(url, len, &op, NULL, NULL);
        snprintf(text, sizeof text, "%.15s", op.headers != NULL ? op.headers : "none");
        backend_response_str(200, "text/plain", text);
    } else if (strcmp(arg, "twice") == 0) {
        struct meminfo before, after;
        fetch_get(url, &op);
        fetch_free(&op);
        get_meminfo(&before);
        for (int i = 0; i < 20; i++) {
            if (fetch_get(url, &op) != 0)
                break;
            fetch_free(&op);
        }
        get_meminfo(&after);
        snprintf(text, sizeof text, "%s", after.reqmem_current > before.reqmem_current + 65536 ? "more" : "same");
        backend_response_str(200, "text/plain", text);
    } else if (strcmp(arg, "dummy_then_get") == 0) {
        options.dummy_fetch = 1;
        sys_fetch(url, len, &op, NULL, &options);
        long error = fetch_get(url, &op);
        if (error != 0)
            answer(error);
        backend_response_str(200, "text/plain", "fits");
    } else if (strcmp(arg, "lies") == 0) {
        lies(url);
    }
    backend_response_str(500, "text/plain", "no such argument");
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        /* What was fetched when the program booted. */
        static struct curl_op booted;
        long error = fetch_get(argv[1], &booted);
        kvm_log(error == 0 ? booted.content : strerror((int)-error));
        op = booted;
    }
    set_backend_request(on_request);
    wait_for_requests();
}

/* SPDX-License-Identifier: BSD-2-Clause
 * Looks for, adds, replaces and removes header fields in both messages. */
#include "kvm_api.h"

/* The index of a field depends on what Varnish and the client say, too: 1 for any. */
static long known(long index)
{
    return index > 0 ? 1 : index;
}

/* Sets, unsets and adds fields with names of the length that Varnish can just look for, and of longer ones. */
static void long_names(void)
{
    static const size_t sizes[] = {126, 127, 250};
    char line[300], text[512] = "";
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t size = sizes[i];
        memset(line, 'n', size);
        memcpy(line + size, ": v", 3);
        snprintf(text + strlen(text), sizeof text - strlen(text), "%zu: %ld %ld %ld %ld\n", size,
                 sys_http_set(BERESP, line, size + 3), sys_http_set(BERESP, line, size),
                 sys_http_append(BERESP, line, size + 3), known(sys_http_set(BEREQ, line, size + 3)));
    }
    backend_response_str(200, "text/plain", text);
}

static void on_get(const char *url, const char *arg)
{
    char field[64], value[64], text[512];
    long length = http_find_str(BEREQ, "x-asked", field, sizeof field);
    long value_length = http_find_value(BEREQ, "x-asked", value, sizeof value);
    long alone = sys_http_find(BEREQ, "X-Asked", 7, NULL, 0);
    long small = sys_http_find(BEREQ, "X-Asked", 7, text, 1);
    long none = http_find_str(BEREQ, "X-None", text, sizeof text);
    (void)url;
    if (strcmp(arg, "long") == 0)
        long_names();
    if (strcmp(arg, "older names") == 0) {
        http_appendf(RESP, "X-Older: %s", "yes");
        snprintf(text, sizeof text, "%s [%s] [%s] [%s] [%s] %d", http_alloc_method(), http_alloc_find(REQ, "x-asked"),
                 http_alloc_find(REQUEST, "X-None"), http_alloc_find(RESP, "x-older"),
                 http_alloc_find(RESPONSE, "X-Older"), HTTP_FMT_SIZE);
        backend_response_str(200, "text/plain", text);
    }
    if (strcmp(arg, "extra last") == 0) {
        struct ResponseHeader fields[] = {{"X-Several: 1", 12}, {"X-One: mine", 11}, {"x-several: 2", 12},
                                          {"Content-Type: text/own", 22}};
        struct BackendResponseExtra last = {.headers = fields, .num_headers = 4};
        http_set_str(BERESP, "X-One: early");
        http_append_str(BERESP, "X-One: earlier");
        http_append_str(BERESP, "X-Several: 3");
        http_set_str(BERESP, "X-Kept: yes");
        backend_response_extra(200, "text/plain", 10, "", 0, &last);
    }
    if (strcmp(arg, "indexes") == 0) {
        char *at = text;
        at += sprintf(at, "%ld ", http_append_str(BERESP, "X-A: 1"));
        at += sprintf(at, "%ld ", http_append_str(BERESP, "X-B: 2"));
        at += sprintf(at, "%ld ", http_append_str(BERESP, "X-A: 3"));
        at += sprintf(at, "%ld ", http_set_str(BERESP, "X-A: 4"));
        at += sprintf(at, "%ld ", http_unset_str(BERESP, "X-B"));
        at += sprintf(at, "%ld ", http_unset_str(BERESP, "X-B"));
        at += sprintf(at, "%ld ", known(http_set_str(BEREQ, "X-Asked: more")));
        sprintf(at, "%ld", http_unset_str(BEREQ, "X-None"));
        backend_response_str(200, "text/plain", text);
    }
    if (strncmp(arg, "Content-Range", 13) == 0 || strcmp(arg, "Vary") == 0) {
        /* Nothing to see of the second one but its length. */
        snprintf(text, sizeof text, *arg == 'V' ? "%s: %0127d" : "%s", arg, 0);
        snprintf(text, sizeof text, "%ld", http_append_str(BERESP, text));
        backend_response_str(206, "text/plain", text);
    }

    http_append_str(BERESP, "X-Twice: one");
    http_appendf(BERESP, "X-Twice: %s", "two");
    http_append_str(BERESP, "X-Replaced: old");
    http_setf(BERESP, "X-Replaced: %.3s", "new and more");
    http_append_str(BERESP, "X-Removed: here");
    http_unset_str(BERESP, "x-removed");
    http_set_str(BEREQ, "X-Asked: changed");
    http_unset_str(BEREQ, "X-Unwanted");
    snprintf(text, sizeof text, "X-Errors: %ld %ld %ld %ld", http_append_str(BERESP, "Bad Name: x"),
             http_append_str(BERESP, "X-Bad: a\r\nX-Evil: b"), http_append_str(BERESP, "Content-Length: 5"),
             sys_http_append(BERESP, (const char *)0x10, 10));
    http_append_str(BERESP, text);
    snprintf(text, sizeof text, "[%.*s] %ld %ld %ld %ld [%.*s] %d", (int)length, field, length, alone, small, none,
             (int)value_length, value, (int)sys_http_find(5, "X-Replaced", 10, NULL, 0));

    struct ResponseHeader extra[2] = {{"X-Extra: yes", 12}, {"Transfer-Encoding: chunked", 26}};
    struct BackendResponseExtra more = {.headers = extra, .num_headers = 2};
    backend_response_extra(200, "text/plain", 10, text, strlen(text), &more);
}

int main(void)
{
    set_backend_get(on_get);
    wait_for_requests();
}

/* SPDX-License-Identifier: BSD-2-Clause
 * Says by its URL how long it may be cached. */
#include "kvm_api.h"

static void on_get(const char *url, const char *arg)
{
    struct BackendResponseExtra extra = {.cached = true, .ttl = 20.5f, .grace = 30, .keep = 40};
    struct ResponseHeader header = {"Cache-Control: max-age=77", 25};
    (void)arg;
    if (strcmp(url, "/call") == 0)
        sys_set_cacheable(true, 10000, 5000, 3000);
    else if (strcmp(url, "/seconds") == 0)
        set_cacheable(true, 12, 6.5f, 4);
    else if (strcmp(url, "/endless") == 0)
        set_cacheable(true, __builtin_inff(), -1, __builtin_nanf(""));
    else if (strcmp(url, "/forbidden") == 0) {
        set_cacheable(true, 12, 6.5f, 4);
        backend_response_str(403, "text/plain", "x");
    }
    else if (strcmp(url, "/extra") == 0)
        backend_response_extra(200, "text/plain", 10, "x", 1, &extra);
    else if (strcmp(url, "/empty") == 0)
        backend_response_extra(200, "text/plain", 10, "", 0, &extra);
    else if (strcmp(url, "/rubbish") == 0) {
        extra.ttl = -__builtin_inff();
        extra.grace = __builtin_nanf("");
        extra.keep = 1e30f;
        backend_response_extra(200, "text/plain", 10, "x", 1, &extra);
    } else if (strcmp(url, "/header") == 0) {
        extra = (struct BackendResponseExtra){.headers = &header, .num_headers = 1};
        backend_response_extra(200, "text/plain", 10, "x", 1, &extra);
    } else if (strcmp(url, "/no") == 0)
        sys_set_cacheable(false, 10000, 5000, 3000);
    backend_response_str(200, "text/plain", "x");
}

int main(void)
{
    set_backend_get(on_get);
    wait_for_requests();
}

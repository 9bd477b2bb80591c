/* SPDX-License-Identifier: BSD-2-Clause
 * A body in two pieces; the second is what its argument, a URL, answers. */
#include "kvm_api.h"

static struct streaming_content next_piece(void *arg, size_t max, size_t written, size_t length)
{
    static struct curl_op op;
    const char *url = arg;
    (void)max;
    (void)length;
    if (written == 0)
        return (struct streaming_content){"first ", 6};
    if (written > 6)
        return (struct streaming_content){NULL, 0};
    if (sys_fetch(url, strlen(url), &op, NULL, NULL) != 0)
        *(volatile int *)0 = 1;
    return (struct streaming_content){op.content, op.content_length};
}

static void on_get(const char *url, const char *arg)
{
    (void)url;
    begin_streaming_response(200, "text/plain", 10, STREAMING_UNKNOWN_LENGTH, next_piece, (void *)arg);
}

int main(void)
{
    set_backend_get(on_get);
    wait_for_requests();
}

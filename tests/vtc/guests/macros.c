/* SPDX-License-Identifier: BSD-2-Clause
 * What the macros of kvm_api.h say in a request, and how the fresh bits of a request look. */
#include "kvm_api.h"

static int in_main[5];

static void in_storage(size_t n, struct virtbuffer buffers[], size_t res)
{
    (void)n;
    (void)res;
    storage_return(buffers[0].data, buffers[0].len);
}

static void task(void *data, size_t len)
{
    (void)data;
    storage_noreturn(NULL, len);
}

static void on_live_update(void)
{
}

static void on_cpu(void *argument)
{
    (void)argument;
}

/* What is not available in this version says so. */
static void later(char *text, size_t size)
{
    char out[8];
    sys_breakpoint();
    snprintf(text, size, "%ld %ld %ld %ld %ld %ld", STORAGE_ALLOW(in_storage), storage_call(in_storage, "x", 1, out, 8),
             storage_task(task, "x", 1), schedule_storage_task(task, "x", 1, 0.5f, 0), stop_storage_task(1),
             multiprocess(2, on_cpu, NULL));
}

static void on_request(const struct kvm_request *request)
{
    char text[256];
    if (strcmp(request->url, "/random") == 0) {
        snprintf(text, sizeof text, "%016llx%016llx", (unsigned long long)request->prng[0],
                 (unsigned long long)request->prng[1]);
    } else if (strcmp(request->url, "/later") == 0) {
        later(text, sizeof text);
    } else {
        snprintf(text, sizeof text, "main %d %d %d %d %d request %d %d %d %d %d %d", in_main[0], in_main[1], in_main[2],
                 in_main[3], in_main[4], IS_SANDBOXED_MAIN(), IS_LINUX_MAIN(), IS_REQUEST(), IS_STORAGE(), IS_DEBUG(),
                 IS_WARMUP_REQUEST(request));
    }
    backend_response_str(200, "text/plain", text);
}

int main(void)
{
    in_main[0] = IS_SANDBOXED_MAIN();
    in_main[1] = IS_LINUX_MAIN();
    in_main[2] = IS_REQUEST();
    in_main[3] = IS_STORAGE();
    in_main[4] = IS_DEBUG();
    set_on_live_update(on_live_update);
    set_backend_request(on_request);
    wait_for_requests();
}

/* SPDX-License-Identifier: BSD-2-Clause
 * A GET callback and nothing else. */
#include "kvm_api.h"

static void on_get(const char *url, const char *arg)
{
    char text[1024];
    snprintf(text, sizeof text, "hello url=%s arg=%s", url, arg);
    backend_response_str(200, "text/plain", text);
}

int main(void)
{
    set_backend_get(on_get);
    wait_for_requests();
}

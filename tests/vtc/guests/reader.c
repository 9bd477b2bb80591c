/* SPDX-License-Identifier: BSD-2-Clause
 * Reads the file its argument names while it boots; the answer is its first line. */
#include "kvm_api.h"

static char line[256] = "no such file";

static void on_get(const char *url, const char *arg)
{
    (void)url;
    (void)arg;
    backend_response_str(200, "text/plain", line);
}

int main(int argc, char **argv)
{
    FILE *file = argc > 1 ? fopen(argv[1], "r") : NULL;
    if (file != NULL && fgets(line, sizeof line, file) == NULL)
        strcpy(line, "empty");
    set_backend_get(on_get);
    wait_for_requests();
}

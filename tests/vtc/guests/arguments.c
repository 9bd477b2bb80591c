/* SPDX-License-Identifier: BSD-2-Clause
 * Answers with the arguments of main() after the program's name, each in angle brackets. */
#include "kvm_api.h"

static char text[8192];

static void on_get(const char *url, const char *arg)
{
    (void)url;
    (void)arg;
    backend_response_str(200, "text/plain", text);
}

int main(int argc, char **argv)
{
    size_t length = 0;
    for (int i = 1; i < argc && length < sizeof text; i++)
        length += (size_t)snprintf(text + length, sizeof text - length, "<%s>", argv[i]);
    if (argc < 2)
        strcpy(text, "none");
    set_backend_get(on_get);
    wait_for_requests();
}

/* SPDX-License-Identifier: BSD-2-Clause
 * Does what `arg` says, to see what becomes of it: "crash", "loop", "memory" (takes all it can get), "stack"
 * (endless recursion), "exit", "silence" (no answer). Anything else is answered, with how many requests this
 * copy of the program has seen: always 1. */
#include <unistd.h>

#include "kvm_api.h"

static volatile int requests = 0;
static volatile int depth = 0;
static int* volatile nowhere = NULL;

static int recurse(int level) {
    volatile char frame[1024];
    frame[0] = (char)level;
    depth = level;
    return level < 0 ? 0 : recurse(level + 1) + frame[0]; /* deeper than any stack */
}

static void on_get(const char* url, const char* arg) {
    char text[64];
    (void)url;
    requests = requests + 1;
    if (strcmp(arg, "crash") == 0) {
        *nowhere = 1;
    } else if (strcmp(arg, "loop") == 0) {
        for (;;) {
            depth = depth + 1;
        }
    } else if (strcmp(arg, "memory") == 0) {
        for (;;) {
            const size_t size = 1 << 20;
            char* block = malloc(size);
            if (block == NULL) {
                break;
            }
            memset(block, 1, size);
        }
    } else if (strcmp(arg, "stack") == 0) {
        recurse(0);
    } else if (strcmp(arg, "exit") == 0) {
        _exit(3);
    } else if (strcmp(arg, "silence") == 0) {
        return;
    }
    snprintf(text, sizeof(text), "Request %d of this copy of the program\n", requests);
    backend_response_str(200, "text/plain", text);
}

int main(void) {
    if (IS_LINUX_MAIN()) {
        fputs("misbehave: does its work in a sandbox only\n", stderr);
        return 1;
    }
    set_backend_get(on_get);
    wait_for_requests();
}

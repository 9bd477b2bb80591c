/* SPDX-License-Identifier: BSD-2-Clause
 * Does what `arg` says, to see what becomes of it: "crash", "loop", "memory" (takes all it can get), "stack"
 * (endless recursion), "exit", "silence" (no answer). Anything else is answered, with how many requests this
 * copy of the program has seen: always 1. On Linux: misbehave ARG does the same to itself. */
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

static void misbehave(const char* how) {
    if (strcmp(how, "crash") == 0) {
        *nowhere = 1;
    } else if (strcmp(how, "loop") == 0) {
        for (;;) {
            depth = depth + 1;
        }
    } else if (strcmp(how, "memory") == 0) {
        const size_t size = 1 << 20;
        for (char* block = malloc(size); block != NULL; block = malloc(size)) {
            memset(block, 1, size);
        }
    } else if (strcmp(how, "stack") == 0) {
        recurse(0);
    } else if (strcmp(how, "exit") == 0) {
        _exit(3);
    }
}

static void on_get(const char* url, const char* arg) {
    char text[64];
    (void)url;
    requests = requests + 1;
    misbehave(arg);
    if (strcmp(arg, "silence") != 0) {
        snprintf(text, sizeof(text), "Request %d of this copy of the program\n", requests);
        backend_response_str(200, "text/plain", text);
    }
}

int main(int argc, char** argv) {
    if (IS_LINUX_MAIN()) {
        misbehave(argc > 1 ? argv[1] : "");
        return 0;
    }
    set_backend_get(on_get);
    wait_for_requests();
}

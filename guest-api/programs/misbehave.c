/* SPDX-License-Identifier: BSD-2-Clause
 * Does what `arg` says, to see what becomes of it: "crash", "loop", "memory" (takes all it can get), "stack"
 * (endless recursion), "exit", "silence" (no answer), "threads" and "addresses" (as many as it can get). Anything else
 * is answered, with how many requests this copy of the program has seen: always 1. On Linux: misbehave ARG does the
 * same to itself. */
#include <pthread.h>
#include <sys/mman.h>
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

static void* wait_for_ever(void* unused) {
    (void)unused;
    for (;;) {
        pause();
    }
    return NULL;
}

/* How many there are, with the first one. */
static int take_threads(int most) {
    int count = 1;
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 65536);
    while (count < most && pthread_create(&thread, &attributes, wait_for_ever, NULL) == 0) {
        count++;
    }
    return count;
}

/* Of 64 MiB each, which are not used. */
static int take_addresses(int most) {
    int count = 0;
    while (count < most && mmap(NULL, 64 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
                                0) != MAP_FAILED) {
        count++;
    }
    return count;
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
    } else if (strcmp(how, "threads") == 0) {
        fprintf(stderr, "%d threads\n", take_threads(10000));
    } else if (strcmp(how, "addresses") == 0) {
        fprintf(stderr, "%d mappings\n", take_addresses(10000));
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

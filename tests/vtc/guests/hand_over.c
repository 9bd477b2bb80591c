/* SPDX-License-Identifier: BSD-2-Clause
 * Counts what it is asked, in its storage if it has one, and hands the count over when it is replaced. hand_over_next.c
 * is the same program of another version. Both answer with their version and the count.
 *
 * The URLs /huge, /crash, /loop, /exit, /bad and /wait say what its on_live_update shall do next, once; the arguments
 * of main() of the same names what on_live_restore does, and "boot" that it does not come so far. */
#include <unistd.h>

#include "kvm_api.h"

#ifndef VERSION
#define VERSION 1
#endif

static long total;    /* of the storage, or of main() */
static char mode[16]; /* of on_live_update */
static const char* restore_mode = "";

static void misbehave(const char* how) {
    if (strcmp(how, "crash") == 0) __builtin_trap();
    if (strcmp(how, "loop") == 0)
        for (;;) __asm__ volatile("pause");
    if (strcmp(how, "exit") == 0) _exit(3);
    if (strcmp(how, "wait") == 0) wait_for_requests();
}

static void hand_over(void) {
    char now[16];
    memcpy(now, mode, sizeof now);
    mode[0] = 0;
    storage_return("first", 5); /* the last one counts */
    misbehave(now);
    if (strcmp(now, "bad") == 0 && storage_return((void*)0x10, 8) == -EFAULT) return; /* "first" is what it gives */
    if (strcmp(now, "huge") == 0) {
        static char much[12 << 20]; /* with max_memory 10 */
        if (storage_return(much, (size_t)1 << 40) == -EFAULT) storage_return(much, sizeof much);
        return;
    }
    storage_return(&total, sizeof total);
}

static void take_over(size_t length) {
    long taken = 0;
    misbehave(restore_mode);
    if (strcmp(restore_mode, "bad") == 0) {
        const long result = live_restore_data((void*)0x10, length);
        if (result != -EFAULT) __builtin_trap();
    }
    if (length != sizeof taken || live_restore_data(&taken, 3) != (long)length ||
        live_restore_data(&taken, 1000) != 8) {
        fprintf(stderr, "not a count\n");
        _exit(4);
    }
    total = taken;
}

static void add(size_t n, struct virtbuffer buffers[], size_t room) {
    (void)n, (void)room;
    total += *(const long*)buffers[0].data;
    storage_return(&total, sizeof total);
}
static void set_mode(size_t n, struct virtbuffer buffers[], size_t room) {
    (void)n, (void)room;
    memcpy(mode, buffers[0].data, buffers[0].len < sizeof mode ? buffers[0].len : sizeof mode - 1);
    storage_return("", 0);
}

static void on_get(const char* url, const char* arg) {
    char text[64];
    long one = strcmp(url, "/add") == 0, result = 0;
    (void)arg;
    if (strcmp(url, "/add") != 0 && strcmp(url, "/get") != 0) storage_call(set_mode, url + 1, strlen(url), NULL, 0);
    if (storage_call(add, &one, sizeof one, &result, sizeof result) == -ENOSYS) result = total;
    snprintf(text, sizeof text, "v%d %ld", VERSION, result);
    backend_response_str(200, "text/plain", text);
}

int main(int argc, char** argv) {
    if (IS_LINUX_MAIN()) return 0;
    if (argc > 1) restore_mode = argv[1];
    if (strcmp(restore_mode, "boot") == 0) return 5;
    total = VERSION * 1000;
    set_on_live_update(hand_over);
    if (strcmp(restore_mode, "none") != 0) set_on_live_restore(take_over);
    if (IS_STORAGE()) {
        STORAGE_ALLOW(add);
        STORAGE_ALLOW(set_mode);
        wait_for_requests();
    }
    set_backend_get(on_get);
    wait_for_requests();
}

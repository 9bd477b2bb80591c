/* SPDX-License-Identifier: BSD-2-Clause
 * A program with a storage: tests/vtc/storage.vtc says what it answers. The URL says which function it calls there. */
#include <sys/mman.h>
#include <unistd.h>

#include "kvm_api.h"

static long total;          /* of the storage's own */
static char large[1 << 20]; /* a result that is larger than its caller wants */
static char answer[200000];

static void give_total(void) { storage_return(&total, sizeof total); }

static void add(size_t n, struct virtbuffer buffers[], size_t room) {
    (void)room;
    for (size_t i = 0; i < n; i++) total += *(const long*)buffers[i].data;
    give_total();
}
static void join(size_t n, struct virtbuffer buffers[], size_t room) {
    size_t length = 0;
    for (size_t i = 0; i < n; i++) {
        memcpy(large + length, buffers[i].data, buffers[i].len);
        length += buffers[i].len;
    }
    large[length++] = '/';
    length += (size_t)sprintf(large + length, "%zu", room);
    storage_return(large, length);
}
static void go_on(size_t n, struct virtbuffer buffers[], size_t room) {
    (void)n, (void)buffers, (void)room;
    give_total();
    total += 1000; /* after the answer, before the next call */
}
static void end_at_once(size_t n, struct virtbuffer buffers[], size_t room) {
    (void)n, (void)buffers, (void)room;
    storage_noreturn("ended", 5);
}
static void say_nothing(size_t n, struct virtbuffer buffers[], size_t room) { (void)n, (void)buffers, (void)room; }
static void give_much(size_t n, struct virtbuffer buffers[], size_t room) {
    (void)n, (void)buffers, (void)room;
    storage_return(large, sizeof large);
}
static void half_and_crash(size_t n, struct virtbuffer buffers[], size_t room) {
    (void)n, (void)buffers, (void)room;
    total += 7;
    __builtin_trap();
}
static void half_and_loop(size_t n, struct virtbuffer buffers[], size_t room) {
    (void)n, (void)buffers, (void)room;
    total += 7;
    for (;;) __asm__ volatile("pause");
}
static void half_and_eat(size_t n, struct virtbuffer buffers[], size_t room) {
    (void)n, (void)buffers, (void)room;
    total += 7;
    for (;;) {
        char* more = mmap(NULL, sizeof large, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (more == MAP_FAILED) __builtin_trap();
        memset(more, 1, sizeof large);
    }
}
static void leave(size_t n, struct virtbuffer buffers[], size_t room) {
    (void)n, (void)buffers, (void)room;
    _exit(3);
}
static void call_itself(size_t n, struct virtbuffer buffers[], size_t room) {
    (void)n, (void)buffers, (void)room;
    long result = storage_call(add, &total, sizeof total, NULL, 0);
    storage_return(&result, sizeof result);
}
static void wait_for_itself(size_t n, struct virtbuffer buffers[], size_t room) {
    (void)n, (void)buffers, (void)room;
    wait_for_requests();
}
static void ask_varnish(size_t n, struct virtbuffer buffers[], size_t room) {
    (void)n, (void)buffers, (void)room;
    struct curl_op op;
    kvm_prepare_get(&op);
    long result = sys_request("/self/add", 9, &op, NULL, NULL);
    long told[2] = {result, op.status};
    storage_return(told, sizeof told);
}
static void hidden(size_t n, struct virtbuffer buffers[], size_t room) {
    (void)n, (void)buffers, (void)room;
    storage_return("seen", 4);
}
static void add_later(void* data, size_t length) {
    if (length == sizeof(long)) total += *(const long*)data;
}

static void add_at_boot(void* data, size_t length) { add_later(data, length); }

static struct {
    const char* name;
    storage_func function;
} functions[] = {{"/add", add},
                 {"/join", join},
                 {"/go_on", go_on},
                 {"/end", end_at_once},
                 {"/nothing", say_nothing},
                 {"/much", give_much},
                 {"/crash", half_and_crash},
                 {"/loop", half_and_loop},
                 {"/eat", half_and_eat},
                 {"/leave", leave},
                 {"/recurse", call_itself},
                 {"/wait", wait_for_itself},
                 {"/self", ask_varnish},
                 {"/hidden", hidden}};

static void say(long result, const void* data, size_t length) {
    int size = snprintf(answer, sizeof answer, "%ld", result);
    if (result == (long)sizeof(long)) {
        long value;
        memcpy(&value, data, sizeof value);
        size = snprintf(answer, sizeof answer, "= %ld", value);
    } else if (result == 2 * (long)sizeof(long)) {
        long values[2];
        memcpy(values, data, sizeof values);
        size = snprintf(answer, sizeof answer, "%ld %ld", values[0], values[1]);
    } else if (result > 0 && (size_t)result <= length) {
        size = snprintf(answer, sizeof answer, "%ld: %.*s", result, (int)result, (const char*)data);
    }
    backend_response(200, "text/plain", 10, answer, (size_t)size);
}

static void on_request(const struct kvm_request* request) {
    static char result[64];
    const struct virtbuffer* volatile nowhere = (struct virtbuffer*)0x10;
    long one = 1;
    if (strcmp(request->url, "/self/add") == 0) {
        say(storage_call(add, &one, sizeof one, result, sizeof result), result, sizeof result);
    }
    if (strcmp(request->url, "/pointers") == 0) {
        struct virtbuffer wrong = {nowhere, 8}, huge = {large, SIZE_MAX};
        say(storage_callv(add, 1, &wrong, result, 8) * 10000 + storage_callv(add, 1, &huge, result, 8) * 100 +
                storage_callv(add, 1, nowhere, result, 8),
            NULL, 0);
    }
    if (strcmp(request->url, "/edge") == 0) {
        say(storage_callv(add, 0, NULL, (void*)nowhere, 8) * 10000 + storage_callv(add, 65, NULL, NULL, 0) * 100 +
                storage_callv((storage_func)((char*)add + 1), 0, NULL, NULL, 0),
            NULL, 0);
    }
    if (strcmp(request->url, "/join") == 0) {
        struct virtbuffer three[] = {{"one", 3}, {"", 0}, {"three", 5}};
        say(storage_callv(join, 3, three, result, sizeof result), result, sizeof result);
    }
    if (strncmp(request->url, "/task/", 6) == 0) {
        long ten = 10;
        long task = strcmp(request->url, "/task/now") == 0
                        ? storage_task(add_later, &ten, sizeof ten)
                        : schedule_storage_task(add_later, &ten, sizeof ten, 3600, 1);
        if (strcmp(request->url, "/task/hidden") == 0) {
            say(storage_task(add_at_boot, &ten, sizeof ten), NULL, 0);
        }
        if (strcmp(request->url, "/task/stop") == 0) {
            say(stop_storage_task(task) * 100 + stop_storage_task(task), NULL, 0);
        }
        say(task > 0, NULL, 0);
    }
    if (strcmp(request->url, "/tasks") == 0) {
        long last = 0;
        for (int i = 0; i < 2000 && last >= 0; i++) {
            last = schedule_storage_task(add_later, NULL, 0, 3600, 0);
        }
        say(last, NULL, 0);
    }
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        if (strcmp(request->url, functions[i].name) == 0) {
            say(storage_call(functions[i].function, &one, sizeof one, result, sizeof result), result, sizeof result);
        }
    }
    backend_response_str(404, "text/plain", "no such function");
}

int main(int argc, char** argv) {
    (void)argc;
    if (IS_LINUX_MAIN()) return 0;
    if (IS_STORAGE()) {
        for (size_t i = 0; i + 1 < sizeof functions / sizeof *functions; i++) STORAGE_ALLOW(functions[i].function);
        STORAGE_ALLOW(add_later);
        if (argv[1] != NULL) {
            long hundred = 100;
            schedule_storage_task(add_at_boot, &hundred, sizeof hundred, 0, 0);
        }
        total = 1;
        wait_for_requests();
    }
    set_backend_request(on_request);
    wait_for_requests();
}

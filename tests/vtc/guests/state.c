/* SPDX-License-Identifier: BSD-2-Clause
 * A storage with a state_file: tests/vtc/storage_state.vtc says what it answers. The URL says which function is called
 * in the storage; what follows a second '/' is its argument. Each answers with a number, 0 or an errno, and a text. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "kvm_api.h"

static char at_boot[64]; /* what the file had when main() ran */
static char text[256];

static void answer(int error, const char* more) {
    const int length = snprintf(text, sizeof text, "%d %s", error, more);
    storage_return(text, (size_t)length);
}
static int open_file(const char* suffix, int flags) {
    char path[256];
    snprintf(path, sizeof path, "%s%s", getenv("KVM_STATE"), suffix);
    return open(path, flags, 0600);
}
static int put(int fd, const struct virtbuffer* from) {
    return fd >= 0 && write(fd, from->data, from->len) == (ssize_t)from->len;
}
static void read_file(char* to, size_t size) {
    const int fd = open_file("", O_RDONLY);
    const ssize_t length = fd < 0 ? 0 : read(fd, to, size - 1);
    to[length > 0 ? length : 0] = 0;
    if (fd >= 0) close(fd);
}

static void get(size_t n, struct virtbuffer buffers[], size_t room) {
    char now[64];
    (void)n, (void)buffers, (void)room;
    read_file(now, sizeof now);
    answer(0, now);
}
static void boot(size_t n, struct virtbuffer buffers[], size_t room) {
    (void)n, (void)buffers, (void)room;
    answer(0, at_boot);
}
static void set(size_t n, struct virtbuffer buffers[], size_t room) {
    const int fd = open_file("", O_WRONLY | O_CREAT | O_TRUNC);
    (void)n, (void)room;
    if (!put(fd, buffers))
        answer(errno, "write");
    else
        answer(close(fd) == 0 ? 0 : errno, "close");
}
/* As careful programs do it. */
static void replace(size_t n, struct virtbuffer buffers[], size_t room) {
    char new_path[256];
    const int fd = open_file("~", O_WRONLY | O_CREAT | O_TRUNC);
    (void)n, (void)room;
    snprintf(new_path, sizeof new_path, "%s~", getenv("KVM_STATE"));
    if (!put(fd, buffers) || fsync(fd) != 0 || close(fd) != 0)
        answer(errno, "write");
    else
        answer(rename(new_path, getenv("KVM_STATE")) == 0 ? 0 : errno, "rename");
}
static void append_and_sync(size_t n, struct virtbuffer buffers[], size_t room) {
    static int fd = -1; /* stays open */
    (void)n, (void)room;
    if (fd < 0) fd = open_file("", O_WRONLY | O_CREAT | O_APPEND);
    if (!put(fd, buffers))
        answer(errno, "write");
    else
        answer(fsync(fd) == 0 ? 0 : errno, "fsync");
}
static void half(size_t n, struct virtbuffer buffers[], size_t room) {
    (void)n, (void)room;
    put(open_file("", O_WRONLY | O_CREAT | O_TRUNC), buffers);
    __builtin_trap();
}
static void large(size_t n, struct virtbuffer buffers[], size_t room) {
    const int fd = open_file("", O_WRONLY | O_CREAT | O_TRUNC);
    (void)n, (void)buffers, (void)room;
    if (ftruncate(fd, (1 << 20) + 1) != 0)
        answer(errno, "ftruncate");
    else
        answer(close(fd) == 0 ? 0 : errno, "close");
}
static void mapped(size_t n, struct virtbuffer buffers[], size_t room) {
    const int fd = open_file("", O_RDWR | O_CREAT | O_TRUNC);
    char* bytes;
    (void)n, (void)room;
    if (ftruncate(fd, (off_t)buffers[0].len) != 0) return answer(errno, "ftruncate");
    bytes = mmap(NULL, buffers[0].len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (bytes == MAP_FAILED) return answer(errno, "mmap");
    memcpy(bytes, buffers[0].data, buffers[0].len);
    answer(msync(bytes, buffers[0].len, MS_SYNC) == 0 ? 0 : errno, "msync");
    munmap(bytes, buffers[0].len);
    close(fd);
}
static void leave(size_t n, struct virtbuffer buffers[], size_t room) {
    (void)n, (void)buffers, (void)room;
    _exit(3);
}

static const struct {
    const char* name;
    storage_func function;
} functions[] = {
    {"get", get},   {"boot", boot},   {"set", set},       {"replace", replace}, {"append", append_and_sync},
    {"half", half}, {"large", large}, {"mapped", mapped}, {"leave", leave}};

static void on_request(const struct kvm_request* request) {
    char result[256], name[32] = "";
    const char* argument = strchr(request->url + 1, '/');
    const size_t length = argument != NULL ? (size_t)(argument - request->url - 1) : strlen(request->url + 1);
    snprintf(name, sizeof name, "%.*s", (int)length, request->url + 1);
    argument = argument != NULL ? argument + 1 : "";
    if (strcmp(name, "request") == 0) {
        snprintf(result, sizeof result, "\"%s\" %d", getenv("KVM_STATE"), open("/var/lib/tinykvm/state", O_RDONLY));
        backend_response_str(200, "text/plain", result);
    }
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        if (strcmp(name, functions[i].name) == 0) {
            const long size = storage_call(functions[i].function, argument, strlen(argument), result, sizeof result);
            if (size < 0) snprintf(result, sizeof result, "%ld", size);
            backend_response(200, "text/plain", 10, result, size < 0 ? strlen(result) : (size_t)size);
        }
    }
    backend_response_str(404, "text/plain", "no such function");
}

int main(int argc, char** argv) {
    if (IS_LINUX_MAIN()) return 0;
    if (IS_STORAGE()) {
        for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) STORAGE_ALLOW(functions[i].function);
        read_file(at_boot, sizeof at_boot);
        if (argc > 1) { /* a main() that writes, and does not come to wait with a second argument */
            struct virtbuffer from = {argv[1], strlen(argv[1])};
            const int fd = open_file("", O_WRONLY | O_CREAT | O_TRUNC);
            if (!put(fd, &from) || fsync(fd) != 0 || close(fd) != 0) return 4;
            if (argc > 2) return 5;
        }
        wait_for_requests();
    }
    set_backend_request(on_request);
    wait_for_requests();
}

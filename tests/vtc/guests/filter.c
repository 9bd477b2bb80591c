// A filter as people have them: it knows nothing of kvm_api.h. The first argument says what it does.
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

static unsigned char buffer[1 << 16];
static int runs = 0;

static void put(const void* bytes, size_t size) {
    for (const char* at = bytes; size > 0;) {
        const ssize_t written = write(1, at, size);
        if (written <= 0) _exit(9);
        at += written;
        size -= (size_t)written;
    }
}

static void upper(void) {
    for (ssize_t got; (got = read(0, buffer, sizeof buffer)) > 0;) {
        for (ssize_t i = 0; i < got; i++) buffer[i] = (unsigned char)toupper(buffer[i]);
        put(buffer, (size_t)got);
    }
}

static void* upper_thread(void* nothing) {
    upper();
    return nothing;
}

// Every way of waiting, with O_NONBLOCK.
static void copy_when_ready(int use_epoll) {
    fcntl(0, F_SETFL, O_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN | (use_epoll == 2 ? EPOLLET : 0)};
    const int set = epoll_create1(0);
    epoll_ctl(set, EPOLL_CTL_ADD, 0, &event);
    for (;;) {
        struct pollfd input = {0, POLLIN, 0};
        const int ready = use_epoll ? epoll_wait(set, &event, 1, -1) : poll(&input, 1, -1);
        if (ready != 1) _exit(8);
        ssize_t got;
        while ((got = read(0, buffer, sizeof buffer)) > 0) put(buffer, (size_t)got);
        if (got == 0) return;
        if (errno != EAGAIN) _exit(7);
    }
}

int main(int argc, char** argv) {
    const char* mode = argc > 1 ? argv[1] : "";
    if (!strcmp(mode, "upper")) {
        upper();
    } else if (!strcmp(mode, "thread")) {
        pthread_t thread;
        pthread_create(&thread, NULL, upper_thread, NULL);
        pthread_join(thread, NULL);
    } else if (!strcmp(mode, "poll")) {
        copy_when_ready(0);
    } else if (!strcmp(mode, "epoll")) {
        copy_when_ready(1);
    } else if (!strcmp(mode, "edge")) {
        copy_when_ready(2);
    } else if (!strcmp(mode, "count")) {  // what it is asked shows in no later request
        (void)read(0, buffer, 1);
        printf("%d %c\n", ++runs, buffer[0]);
    } else if (!strcmp(mode, "early")) {  // written before anything is read
        put("before:", 7);
        upper();
    } else if (!strcmp(mode, "first")) {  // does not want the rest
        if (read(0, buffer, 1) == 1) put(buffer, 1);
    } else if (!strcmp(mode, "status")) {  // the status is what it reads
        const ssize_t got = read(0, buffer, sizeof buffer - 1);
        if (buffer[0] != '4') fprintf(stderr, "a warning\nit ends with %.*s\n", (int)got, (char*)buffer);
        put("partial", 7);
        exit(atoi((char*)buffer));
    } else if (!strcmp(mode, "crash")) {
        upper();
        raise(SIGSEGV);
    } else if (!strcmp(mode, "loop")) {
        upper();
        for (;;) pause();
    } else if (!strcmp(mode, "flood")) {
        for (upper();;) put(buffer, sizeof buffer);
    } else if (!strcmp(mode, "closed")) {
        upper();
        close(1);
        if (write(1, "x", 1) != -1 || errno != EBADF) return 6;
    } else if (!strcmp(mode, "nothing")) {
        puts("no input wanted");
    } else if (!strcmp(mode, "bad")) {
        fputs("bad option\n", stderr);
        return 3;
    } else if (!strcmp(mode, "arguments")) {
        for (int i = 2; i < argc; i++) printf("<%s>", argv[i]);
    } else if (!strcmp(mode, "fork")) {
        upper();
        if (fork() < 0) perror("fork");
        return 5;
    }
    return 0;
}

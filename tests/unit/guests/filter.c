// A program that reads its standard input, in a way that its argument names.
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static volatile int others_done;

static void* another(void* nothing) {
    for (int i = 0; i < 1000; i++) usleep(10);
    others_done = 1;
    return nothing;
}

int main(int argc, char** argv) {
    char buffer[64];
    pthread_t thread;
    const char* mode = argc > 1 ? argv[1] : "";
    if (!strcmp(mode, "look")) {  // what can be seen before and after there is something
        struct pollfd input = {0, POLLIN, 0};
        int count = -1;
        const int before = poll(&input, 1, 0);
        ioctl(0, FIONREAD, &count);
        printf("%d %d,", before, count);
        poll(&input, 1, -1);
        ioctl(0, FIONREAD, &count);
        printf("%x %d,", input.revents, count);
        while (read(0, buffer, 1) == 1) putchar(buffer[0]);
        poll(&input, 1, -1);
        printf(",%x", input.revents);
    } else if (!strcmp(mode, "threads")) {  // another thread sleeps now and then
        pthread_create(&thread, NULL, another, NULL);
        const ssize_t got = read(0, buffer, sizeof buffer);
        printf("%d:%.*s", others_done, (int)got, buffer);
    } else {
        for (int i = 1; i < argc; i++) printf("<%s>", argv[i]);
        ssize_t got;
        while ((got = read(0, buffer, sizeof buffer)) > 0) printf("[%.*s]", (int)got, buffer);
    }
    return 7;
}

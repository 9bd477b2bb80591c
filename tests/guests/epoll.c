// epoll: levels and edges, one shot, what is refused, and a thread that waits while another one writes.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

static int set, ends[2], counter;

static void say(const char *what, long result) {
    printf("%s: %ld%s%s\n", what, result, result < 0 ? " " : "", result < 0 ? strerror(errno) : "");
}
static int control(int operation, int fd, uint32_t events, uint64_t data) {
    struct epoll_event event = {events, {.u64 = data}};
    return epoll_ctl(set, operation, fd, &event);
}
static void look(const char *when, int timeout) {
    struct epoll_event found[8];
    const int count = epoll_wait(set, found, 8, timeout);
    printf("%s: %d", when, count);
    for (int i = 0; i < count; ++i) printf(" [%x %lu]", found[i].events, (unsigned long)found[i].data.u64);
    puts("");
}
static void *write_later(void *unused) {
    usleep(2000);
    if (write(ends[1], "late", 4) != 4) puts("not written");
    return unused;
}
static void note(int signal) { (void)signal; }

int main(void) {
    setvbuf(stdout, 0, _IONBF, 0);
    set = epoll_create1(EPOLL_CLOEXEC);
    char bytes[64];
    if (pipe2(ends, O_NONBLOCK) != 0) return 1;
    counter = eventfd(0, EFD_NONBLOCK);
    say("add", control(EPOLL_CTL_ADD, ends[0], EPOLLIN, 1));
    say("add again", control(EPOLL_CTL_ADD, ends[0], EPOLLIN, 1));
    say("change what is not there", control(EPOLL_CTL_MOD, counter, EPOLLIN, 1));
    say("remove what is not there", control(EPOLL_CTL_DEL, counter, 0, 0));
    say("add itself", control(EPOLL_CTL_ADD, set, EPOLLIN, 1));
    say("add nothing", control(EPOLL_CTL_ADD, 99, EPOLLIN, 1));
    say("add to no set", epoll_ctl(ends[0], EPOLL_CTL_ADD, ends[1], &(struct epoll_event){0}));
    say("no memory", epoll_ctl(set, EPOLL_CTL_ADD, ends[1], (void *)8));
    say("add null", control(EPOLL_CTL_ADD, open("/dev/null", O_RDONLY), EPOLLIN, 1) < 0 ? 0 : 1);
    say("room for none", epoll_wait(set, (struct epoll_event[1]){}, 0, 0));
    say("no set", epoll_wait(ends[0], (struct epoll_event[1]){}, 1, 0));
    say("no set", epoll_wait(99, (struct epoll_event[1]){}, 1, 0));
    say("read", read(set, bytes, 1));
    look("nothing", 0);
    look("nothing", 3);
    say("write", write(ends[1], "abc", 3));
    look("level", -1);
    look("level again", 0);
    struct pollfd entry = {set, POLLIN, 0};
    say("poll of the set", poll(&entry, 1, 0));
    say("change", control(EPOLL_CTL_MOD, ends[0], EPOLLIN | EPOLLET, 2));
    look("edge", 0);
    look("no new edge", 0);
    say("write", write(ends[1], "d", 1));
    look("edge", 0);
    say("read", read(ends[0], bytes, sizeof bytes));
    look("empty", 0);
    say("change", control(EPOLL_CTL_MOD, ends[0], EPOLLIN | EPOLLONESHOT, 3));
    say("write", write(ends[1], "e", 1));
    look("one shot", 0);
    look("shot", 0);
    say("change", control(EPOLL_CTL_MOD, ends[0], EPOLLIN, 4));
    look("again", 0);
    say("add", control(EPOLL_CTL_ADD, counter, EPOLLIN | EPOLLOUT, 5));
    say("read", read(ends[0], bytes, sizeof bytes));
    look("counter", 0);
    say("change", control(EPOLL_CTL_MOD, counter, EPOLLIN, 6));
    pthread_t thread;
    pthread_create(&thread, 0, write_later, 0);
    look("another thread", 60000);
    pthread_join(thread, 0);
    say("read", read(ends[0], bytes, sizeof bytes));
    close(counter);
    counter = eventfd(7, 0);
    look("the descriptor is something else now", 0);
    close(ends[1]);
    look("hung up", -1);
    signal(SIGUSR1, note);
    sigset_t all, none;
    sigfillset(&all);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &all, 0);
    raise(SIGUSR1);
    close(ends[0]);
    say("interrupted", epoll_pwait(set, (struct epoll_event[1]){}, 1, -1, &none));
    sigprocmask(SIG_SETMASK, 0, &none);
    printf("blocked again: %d\n", sigismember(&none, SIGUSR1));
    return 0;
}

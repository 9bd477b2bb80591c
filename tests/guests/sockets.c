// Pairs of sockets, as event loops wake themselves with: both ways, ends, flags, what is refused, and a thread that waits.
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
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static int ends[2];

static void say(const char *what, long result) {
    printf("%s: %ld%s%s\n", what, result, result < 0 ? " " : "", result < 0 ? strerror(errno) : "");
}
static void look(const char *when, int fd) {
    struct pollfd entry = {fd, POLLIN | POLLOUT | POLLRDHUP, 0};
    const int count = poll(&entry, 1, 0);
    printf("%s: %d %x\n", when, count, entry.revents);
}
static void *send_later(void *unused) {
    usleep(2000);
    if (send(ends[1], "late", 4, 0) != 4) puts("not sent");
    return unused;
}
static void note(int signal) { printf("signal %d\n", signal); }

int main(void) {
    setvbuf(stdout, 0, _IONBF, 0);
    char bytes[64] = "";
    say("none of the internet", socketpair(AF_INET, SOCK_STREAM, 0, ends) < 0 ? 0 : 1);
    say("no such flag", socketpair(AF_UNIX, 77, 0, ends));
    say("no such type", socketpair(AF_UNIX, 7, 0, ends));
    say("no such protocol", socketpair(AF_UNIX, SOCK_STREAM, 77, ends));
    say("no memory", syscall(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, 8));
    say("pair", socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends));
    printf("%d, %o %o\n", ends[1] - ends[0], fcntl(ends[0], F_GETFL), fcntl(ends[1], F_GETFD));
    struct stat status;
    say("stat", fstat(ends[0], &status));
    printf("%o\n", status.st_mode);
    struct sockaddr_storage name;
    for (socklen_t room = 0; room < 4; ++room) {
        socklen_t size = room;
        say("name", getsockname(ends[0], (struct sockaddr *)&name, &size));
        printf("%u\n", size);
    }
    socklen_t size = sizeof name;
    say("name of the other", getpeername(ends[1], (struct sockaddr *)&name, &size));
    printf("%u %u\n", size, name.ss_family);
    say("name of none", getsockname(0, (struct sockaddr *)&name, &size));
    say("position", lseek(ends[0], 0, SEEK_SET));
    say("at a position", pread(ends[0], bytes, 1, 0));
    look("fresh", ends[0]);
    say("nothing there", recv(ends[0], bytes, 1, 0));
    say("write", write(ends[0], "to one", 6));
    say("send", send(ends[1], "to zero", 7, MSG_NOSIGNAL));
    int waiting = 0;
    say("ioctl", ioctl(ends[0], FIONREAD, &waiting));
    printf("%d\n", waiting);
    look("full", ends[0]);
    say("read", read(ends[0], bytes, 3));
    size = sizeof name;
    say("receive", recvfrom(ends[0], bytes + 3, 60, 0, (struct sockaddr *)&name, &size));
    printf("%s, %u\n", bytes, size);
    say("the other way", read(ends[1], bytes, 60));
    printf("%.6s\n", bytes);
    say("from memory that is not there", send(ends[0], (void *)8, 4, 0));
    struct iovec parts[] = {{"ab", 2}, {"cd", 2}};
    say("in parts", writev(ends[0], parts, 2));
    say("duplicate", dup2(ends[0], 20));
    close(ends[0]);
    look("one end is left of two", ends[1]);
    say("read", recv(ends[1], bytes, 60, MSG_DONTWAIT));
    say("no more", recv(ends[1], bytes, 60, MSG_DONTWAIT));
    ends[0] = 20;
    const int set = epoll_create1(0);
    struct epoll_event event = {EPOLLIN | EPOLLET | EPOLLRDHUP, {.u64 = 5}};
    say("add", epoll_ctl(set, EPOLL_CTL_ADD, ends[0], &event));
    say("events", epoll_wait(set, &event, 1, 0));
    say("send", send(ends[1], "!", 1, 0));
    say("events", epoll_wait(set, &event, 1, 0));
    say("events", epoll_wait(set, &event, 1, 0));
    say("read", read(ends[0], bytes, 60));

    fcntl(ends[0], F_SETFL, 0);
    pthread_t thread;
    pthread_create(&thread, 0, send_later, 0);
    say("waited", recv(ends[0], bytes, 60, 0));
    pthread_join(thread, 0);

    say("of no socket", send(0, bytes, 1, 0));
    say("of nothing", recv(99, bytes, 1, 0));
    signal(SIGPIPE, note);
    close(ends[1]);
    look("alone", ends[0]);
    say("events", epoll_wait(set, &event, 1, 0));
    printf("%x\n", event.events);
    say("end", recv(ends[0], bytes, 60, 0));
    say("to nobody, quietly", send(ends[0], bytes, 1, MSG_NOSIGNAL));
    say("to nobody", write(ends[0], bytes, 1));
    return 0;
}

// Timers: signals that interrupt computing and end waits, files that count, and what calls say of wrong arguments.
// Nothing that is printed depends on how fast the machine is.
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define TRY(call)                                                                    \
    do {                                                                             \
        errno = 0;                                                                   \
        const long result_ = (long)(call);                                           \
        printf("%s = %ld, errno %d\n", #call, result_, errno);                        \
    } while (0)

static volatile sig_atomic_t came[65], code, overrun, first_overrun, value, own_thread;

static void handler(int signal, siginfo_t *info, void *context) {
    (void)context;
    came[signal]++;
    code = info->si_code;
    if (info->si_code == SI_TIMER) overrun = info->si_overrun, value = info->si_value.sival_int;
    if (came[signal] == 1) first_overrun = overrun;
    own_thread = (int)syscall(SYS_gettid);
}

static void handle(int signal) {
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    sigaction(signal, &action, NULL);
}

static struct itimerval interval(long milliseconds, long every) {
    return (struct itimerval){{every / 1000, every % 1000 * 1000}, {milliseconds / 1000, milliseconds % 1000 * 1000}};
}
static struct itimerspec spec(long milliseconds, long every) {
    return (struct itimerspec){{every / 1000, every % 1000 * 1000000},
                               {milliseconds / 1000, milliseconds % 1000 * 1000000}};
}
static double now(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void computing_is_interrupted(void) {
    const int kinds[] = {ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF}, signals[] = {SIGALRM, SIGVTALRM, SIGPROF};
    for (int i = 0; i < 3; i++) {
        struct itimerval wanted = interval(300, 0), left;
        handle(signals[i]);
        TRY(setitimer(kinds[i], &wanted, NULL));
        TRY(getitimer(kinds[i], &left));
        printf("left: %d\n", left.it_value.tv_sec == 0 && left.it_value.tv_usec > 0 && left.it_value.tv_usec <= 320000);
        while (!came[signals[i]]) {}
        printf("signal %d, code %d\n", signals[i], code == SI_KERNEL);
        TRY(getitimer(kinds[i], &left));
        printf("left: %ld %ld\n", (long)left.it_value.tv_sec, (long)left.it_value.tv_usec);
    }
    struct itimerval often = interval(50, 50), never = {{0, 0}, {0, 0}};
    came[SIGALRM] = 0;
    setitimer(ITIMER_REAL, &often, NULL);
    while (came[SIGALRM] < 5) {}
    TRY(setitimer(ITIMER_REAL, &never, &often));
    printf("every %ld us\n", (long)often.it_interval.tv_usec);
}

static void waits_end(void) {
    struct itimerval wanted = interval(20, 0);
    struct timespec time = {100, 0}, rest = {0, 0};
    int pipes[2];
    char byte;
    came[SIGALRM] = 0;
    setitimer(ITIMER_REAL, &wanted, NULL);
    TRY(nanosleep(&time, &rest));
    printf("rest: %d\n", rest.tv_sec == 99);
    setitimer(ITIMER_REAL, &wanted, NULL);
    TRY(poll(NULL, 0, -1));
    setitimer(ITIMER_REAL, &wanted, NULL);
    TRY(pause());
    if (pipe(pipes)) return;
    setitimer(ITIMER_REAL, &wanted, NULL);
    TRY(read(pipes[0], &byte, 1));
    printf("%d signals\n", (int)came[SIGALRM]);
    close(pipes[0]);
    close(pipes[1]);
    TRY(alarm(100));
    TRY(alarm(50));
    TRY(alarm(0));
    TRY(alarm(0));
    wanted = interval(300, 0);
    setitimer(ITIMER_REAL, &wanted, NULL);
    TRY(alarm(0));
}

static void wrong_arguments(void) {
    struct itimerval wrong = {{0, 0}, {0, 1000000}}, fine = {{0, 0}, {0, 0}};
    TRY(syscall(SYS_setitimer, 3, &fine, NULL));
    TRY(syscall(SYS_setitimer, ITIMER_REAL, &wrong, NULL));
    TRY(syscall(SYS_setitimer, ITIMER_REAL, 1, NULL));
    TRY(syscall(SYS_setitimer, 3, 1, NULL));
    TRY(syscall(SYS_getitimer, -1, &fine));
    TRY(syscall(SYS_getitimer, 0, 1));
    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = 0};
    TRY(syscall(SYS_timer_create, 77, NULL, &timer));
    TRY(syscall(SYS_timer_create, CLOCK_MONOTONIC_COARSE, NULL, &timer));
    TRY(syscall(SYS_timer_create, CLOCK_MONOTONIC_RAW, NULL, &timer));
    TRY(syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer));
    TRY(syscall(SYS_timer_create, CLOCK_MONOTONIC, 1, &timer));
    event.sigev_notify = 9;
    TRY(syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer));
    TRY(syscall(SYS_timer_create, CLOCK_MONOTONIC, NULL, 1));
    struct itimerspec bad = {{0, 0}, {0, 1000000000}}, none = {{0, 0}, {0, 0}};
    TRY(syscall(SYS_timer_settime, 99, 0, &none, NULL));
    TRY(syscall(SYS_timer_settime, 99, 0, NULL, NULL));
    TRY(syscall(SYS_timer_settime, 99, 0, &bad, NULL));
    TRY(syscall(SYS_timer_gettime, 99, &none));
    TRY(syscall(SYS_timer_getoverrun, 99));
    TRY(syscall(SYS_timer_delete, 99));
    TRY(timerfd_create(CLOCK_PROCESS_CPUTIME_ID, 0));
    TRY(timerfd_create(CLOCK_MONOTONIC, 1));
    TRY(timerfd_settime(0, 0, &none, NULL));
    TRY(timerfd_settime(-1, 0, &none, NULL));
    TRY(timerfd_settime(-1, 0, &bad, NULL));
    TRY(timerfd_settime(-1, 8, &none, NULL));
    TRY(syscall(SYS_timerfd_settime, -1, 0, 1, NULL));
    TRY(timerfd_gettime(0, &none));
    sigset_t set;
    sigemptyset(&set);
    TRY(syscall(SYS_signalfd4, -1, &set, 4, 0));
    TRY(syscall(SYS_signalfd4, -1, 1, 8, 0));
    TRY(syscall(SYS_signalfd4, -1, &set, 8, 1));
    TRY(syscall(SYS_signalfd4, 0, &set, 8, 0));
    TRY(syscall(SYS_signalfd4, 99, &set, 8, 0));
}

static void created_timers(void) {
    timer_t timer, silent, processor;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN, .sigev_value.sival_int = 42};
    struct itimerspec wanted = spec(10, 0), left;
    handle(SIGRTMIN);
    TRY(timer_create(CLOCK_MONOTONIC, &event, &timer));
    TRY(timer_gettime(timer, &left));
    printf("left: %ld %ld\n", (long)left.it_value.tv_sec, (long)left.it_value.tv_nsec);
    TRY(timer_settime(timer, 0, &wanted, NULL));
    while (!came[SIGRTMIN]) {}
    printf("code %d value %d overrun %d\n", code == SI_TIMER, (int)value, (int)overrun);
    // A signal that is blocked stands for all expirations until it is delivered.
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    sigprocmask(SIG_BLOCK, &set, NULL);
    came[SIGRTMIN] = 0;
    wanted = spec(1, 1);
    TRY(timer_settime(timer, 0, &wanted, NULL));
    usleep(30000);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    printf("signal %d, overrun %d\n", came[SIGRTMIN] >= 1, first_overrun > 5);
    wanted = spec(0, 0);
    TRY(timer_settime(timer, 0, &wanted, &left));
    printf("every %ld\n", (long)left.it_interval.tv_nsec);
    TRY(timer_delete(timer));
    // A moment that has passed comes at once.
    event.sigev_signo = SIGUSR2;
    handle(SIGUSR2);
    TRY(timer_create(CLOCK_REALTIME, &event, &timer));
    wanted = (struct itimerspec){{0, 0}, {1, 0}};
    TRY(timer_settime(timer, TIMER_ABSTIME, &wanted, NULL));
    while (!came[SIGUSR2]) {}
    TRY(timer_delete(timer));
    event.sigev_notify = SIGEV_NONE;
    TRY(timer_create(CLOCK_MONOTONIC, &event, &silent));
    wanted = spec(5, 0);
    TRY(timer_settime(silent, 0, &wanted, NULL));
    usleep(20000);
    TRY(timer_gettime(silent, &left));
    printf("left: %ld %ld\n", (long)left.it_value.tv_sec, (long)left.it_value.tv_nsec);
    TRY(timer_delete(silent));
    event = (struct sigevent){.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    handle(SIGUSR1);
    TRY(timer_create(CLOCK_PROCESS_CPUTIME_ID, &event, &processor));
    wanted = spec(20, 0);
    const double before = now(CLOCK_PROCESS_CPUTIME_ID);
    TRY(timer_settime(processor, 0, &wanted, NULL));
    while (!came[SIGUSR1]) {}
    printf("CPU time: %d\n", now(CLOCK_PROCESS_CPUTIME_ID) - before >= 0.02);
    TRY(timer_delete(processor));
}

static volatile int notified;
static void notify(union sigval of) { notified = of.sival_int; }

static void *other_thread(void *nothing) {
    (void)nothing;
    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1};
#ifdef sigev_notify_thread_id
    event.sigev_notify_thread_id = (int)syscall(SYS_gettid);
#else
    event._sigev_un._tid = (int)syscall(SYS_gettid);
#endif
    struct itimerspec wanted = spec(10, 0);
    came[SIGUSR1] = 0;
    timer_create(CLOCK_MONOTONIC, &event, &timer);
    timer_settime(timer, 0, &wanted, NULL);
    while (!came[SIGUSR1]) {}
    printf("in its thread: %d\n", own_thread == syscall(SYS_gettid));
    timer_delete(timer);
    return NULL;
}

static void threads(void) {
    pthread_t thread;
    timer_t timer;
    pthread_create(&thread, NULL, other_thread, NULL);
    pthread_join(thread, NULL);
    struct sigevent event = {.sigev_notify = SIGEV_THREAD, .sigev_notify_function = notify, .sigev_value.sival_int = 7};
    struct itimerspec wanted = spec(10, 0);
    TRY(timer_create(CLOCK_MONOTONIC, &event, &timer));
    TRY(timer_settime(timer, 0, &wanted, NULL));
    while (!notified) usleep(1000);
    printf("notified: %d\n", notified);
    TRY(timer_delete(timer));
}

static void files(void) {
    uint64_t count = 0;
    struct itimerspec wanted = spec(100, 100), left;
    const int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    TRY(read(timer, &count, 8));
    TRY(read(timer, &count, 7));
    TRY(write(timer, &count, 8));
    TRY(timerfd_settime(timer, 0, &wanted, NULL));
    struct pollfd entry = {timer, POLLIN | POLLOUT, 0};
    TRY(poll(&entry, 1, -1));
    printf("events %d\n", entry.revents);
    TRY(read(timer, &count, 8));
    printf("count %d\n", count >= 1);
    usleep(500000);
    TRY(read(timer, &count, sizeof count));
    printf("count %d\n", count >= 4);
    TRY(timerfd_gettime(timer, &left));
    printf("every %ld, left %d\n", (long)left.it_interval.tv_nsec, left.it_value.tv_nsec > 0);
    const int set = epoll_create1(0);
    struct epoll_event event = {EPOLLIN | EPOLLET, {.u32 = 5}};
    TRY(epoll_ctl(set, EPOLL_CTL_ADD, timer, &event));
    for (int i = 0; i < 3; i++) {  // the first expiration after the file was read is news, further ones are not
        TRY(epoll_wait(set, &event, 1, -1));
        TRY(epoll_wait(set, &event, 1, 250));
        TRY(read(timer, &count, 8));
    }
    wanted = spec(0, 0);
    TRY(timerfd_settime(timer, 0, &wanted, NULL));
    TRY(epoll_wait(set, &event, 1, 250));
    TRY(read(timer, &count, 8));
    const int blocking = timerfd_create(CLOCK_REALTIME, 0);
    wanted = (struct itimerspec){{0, 0}, {5, 0}};  // long ago
    TRY(timerfd_settime(blocking, TFD_TIMER_ABSTIME, &wanted, NULL));
    TRY(read(blocking, &count, 8));
    printf("count %lu\n", (unsigned long)count);

    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGUSR1);
    sigaddset(&signals, SIGALRM);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    const int file = signalfd(-1, &signals, SFD_NONBLOCK);
    struct signalfd_siginfo info[3];
    TRY(read(file, info, sizeof info));
    TRY(read(file, info, 100));
    kill(getpid(), SIGUSR1);
    entry = (struct pollfd){file, POLLIN, 0};
    TRY(poll(&entry, 1, 0));
    TRY(read(file, info, sizeof info));
    printf("signal %u from itself %d code %d\n", info[0].ssi_signo, info[0].ssi_pid == (uint32_t)getpid(),
           info[0].ssi_code);
    struct itimerval soon = interval(20, 0);
    setitimer(ITIMER_REAL, &soon, NULL);
    TRY(poll(&entry, 1, -1));
    TRY(read(file, info, sizeof info));
    printf("signal %u\n", info[0].ssi_signo);
    sigdelset(&signals, SIGUSR1);
    TRY(signalfd(file, &signals, 0) == file);
    kill(getpid(), SIGUSR1);
    TRY(poll(&entry, 1, 0));
}

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    computing_is_interrupted();
    waits_end();
    wrong_arguments();
    created_timers();
    threads();
    files();
    return 0;
}

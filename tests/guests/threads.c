// Threads: what they share, what each has of its own, and everything they can wait for.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void start(pthread_t *thread, void *(*run)(void *), void *argument) {
    const int error = pthread_create(thread, 0, run, argument);
    if (error) {
        printf("pthread_create: %s\n", strerror(error));
        exit(1);
    }
}

static void each(int count, void *(*run)(void *)) {
    pthread_t threads[64];
    for (intptr_t i = 0; i < count; ++i) start(&threads[i], run, (void *)i);
    for (int i = 0; i < count; ++i) pthread_join(threads[i], 0);
}

static struct timespec in_milliseconds(clockid_t clock, long milliseconds) {
    struct timespec time;
    clock_gettime(clock, &time);
    time.tv_nsec += milliseconds % 1000 * 1000000;
    time.tv_sec += milliseconds / 1000 + time.tv_nsec / 1000000000;
    time.tv_nsec %= 1000000000;
    return time;
}

// --- locks

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t barrier;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static sem_t semaphore;
static volatile long counter, readers_saw_half;
static int turn_of, turns;

static void *count(void *unused) {
    for (int i = 0; i < 20; ++i) {
        pthread_mutex_lock(&mutex);
        const long value = counter;
        if (i % 10 == 0) sched_yield();
        counter = value + 1;
        pthread_mutex_unlock(&mutex);
    }
    return unused;
}

static int ring, rounds;
static void *in_turn(void *argument) {
    for (int i = 0; i < rounds; ++i) {
        pthread_mutex_lock(&mutex);
        while (turn_of != (intptr_t)argument) pthread_cond_wait(&condition, &mutex);
        turn_of = (turn_of + 1) % ring;
        ++turns;
        pthread_cond_broadcast(&condition);
        pthread_mutex_unlock(&mutex);
    }
    return 0;
}

static void *meet(void *unused) {
    for (int i = 0; i < 3; ++i)
        if (pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD) ++counter;
    return unused;
}

static volatile long first_half, second_half;
static void *read_or_write(void *argument) {
    for (int i = 0; i < 5; ++i) {
        if ((intptr_t)argument % 4 == 0) {
            pthread_rwlock_wrlock(&rwlock);
            ++first_half;
            sched_yield();
            ++second_half;
            pthread_rwlock_unlock(&rwlock);
        } else {
            pthread_rwlock_rdlock(&rwlock);
            if (first_half != second_half) ++readers_saw_half;
            sched_yield();
            pthread_rwlock_unlock(&rwlock);
        }
    }
    return 0;
}

static void locks(int threads) {
    counter = turns = turn_of = 0;
    first_half = second_half = readers_saw_half = 0;
    each(threads, count);
    ring = threads;
    rounds = threads < 8 ? 5 : 1;
    each(threads, in_turn);
    printf("%d threads: counted %ld, %d turns", threads, counter, turns);
    counter = 0;
    pthread_barrier_init(&barrier, 0, (unsigned)threads);
    each(threads, meet);
    pthread_barrier_destroy(&barrier);
    each(threads, read_or_write);
    printf(", met %ld times, wrote %ld, torn %ld\n", counter, second_half, readers_saw_half);
}

static void *post_later(void *unused) {
    usleep(2000);
    sem_post(&semaphore);
    return unused;
}

static void timed_waits(void) {
    struct timespec until = in_milliseconds(CLOCK_REALTIME, 5);
    pthread_mutex_lock(&mutex);
    printf("condition: %s\n", strerror(pthread_cond_timedwait(&condition, &mutex, &until)));
    pthread_t thread;
    sem_init(&semaphore, 0, 0);
    start(&thread, post_later, 0);
    until = in_milliseconds(CLOCK_REALTIME, 60000);
    printf("semaphore: %d\n", sem_timedwait(&semaphore, &until));
    pthread_join(thread, 0);
    until = in_milliseconds(CLOCK_REALTIME, 5);
    printf("mutex: %s\n", strerror(pthread_mutex_timedlock(&mutex, &until)));
    pthread_mutex_unlock(&mutex);
}

// --- spinning

static volatile int produced;
static void *spin(void *unused) {
    while (!produced) __asm__ volatile("pause");
    return unused;
}
static void *produce(void *unused) {
    usleep(1000);
    produced = 1;
    return unused;
}

// --- what each thread has of its own

static __thread int own = 5;
static volatile int damaged;
static void *registers(void *argument) {
    const int tag = (int)(intptr_t)argument + 1;
    own = tag;
    errno = tag;
    double vectors[16];
    for (int i = 0; i < 16; ++i) vectors[i] = tag * 100 + i;
    // Long enough to be interrupted; all vector registers and some general ones hold what is only this thread's.
    for (int round = 0; round < 3; ++round) {
        const uint64_t seed = (uint64_t)tag * 0x0101010101010101u;
        uint64_t sum = seed, bad = 0;
        __asm__ volatile("movupd (%2), %%xmm0\n movupd 16(%2), %%xmm3\n movupd 32(%2), %%xmm9\n movupd 48(%2), %%xmm15\n"
                         "fldl 64(%2)\n"
                         "movq $20000000, %%rcx\n"
                         "1: decq %%rcx\n jnz 1b\n"
                         "movupd (%2), %%xmm1\n pxor %%xmm0, %%xmm1\n movupd 16(%2), %%xmm2\n pxor %%xmm3, %%xmm2\n por %%xmm2, %%xmm1\n"
                         "movupd 32(%2), %%xmm2\n pxor %%xmm9, %%xmm2\n por %%xmm2, %%xmm1\n"
                         "movupd 48(%2), %%xmm2\n pxor %%xmm15, %%xmm2\n por %%xmm2, %%xmm1\n"
                         "movq %%xmm1, %1\n"
                         "fstpl 72(%2)\n"
                         : "+r"(sum), "=r"(bad)
                         : "r"(vectors)
                         : "rcx", "xmm0", "xmm1", "xmm2", "xmm3", "xmm9", "xmm15", "memory", "cc", "st");
        if (sum != seed || bad || vectors[9] != vectors[8] || own != tag || errno != tag) ++damaged;
        if (round == 0) sched_yield();
    }
    return 0;
}

// --- pipes and counters

static int pipe_ends[2], counter_fd;
enum { much = 200000 };
static void *write_much(void *unused) {
    char *bytes = malloc(much);
    for (int i = 0; i < much; ++i) bytes[i] = (char)(i * 7);
    printf("wrote %zd\n", write(pipe_ends[1], bytes, much));
    close(pipe_ends[1]);
    free(bytes);
    return unused;
}
static void *count_up(void *unused) {
    const uint64_t value = 3;
    usleep(1000);
    return write(counter_fd, &value, sizeof value) == sizeof value ? unused : 0;
}

static void files(void) {
    pthread_t thread;
    if (pipe(pipe_ends) != 0) return;
    start(&thread, write_much, 0);
    long total = 0, wrong = 0;
    unsigned char piece[777];
    for (ssize_t got; (got = read(pipe_ends[0], piece, sizeof piece)) > 0;)
        for (ssize_t i = 0; i < got; ++i) wrong += piece[i] != (unsigned char)(total++ * 7);
    pthread_join(thread, 0);
    printf("read %ld, wrong %ld\n", total, wrong);
    close(pipe_ends[0]);

    counter_fd = eventfd(0, 0);
    uint64_t value = 0;
    start(&thread, count_up, 0);
    printf("read %zd", read(counter_fd, &value, sizeof value));
    printf(": %lu\n", (unsigned long)value);
    pthread_join(thread, 0);
    struct pollfd entry = {counter_fd, POLLIN, 0};
    printf("poll: %d\n", poll(&entry, 1, 3));
    start(&thread, count_up, 0);
    printf("poll: %d", poll(&entry, 1, -1));
    printf(" %x\n", entry.revents);
    pthread_join(thread, 0);
    fd_set set;
    FD_ZERO(&set);
    FD_SET(counter_fd, &set);
    printf("select: %d\n", select(counter_fd + 1, &set, 0, 0, 0));
    close(counter_fd);
}

// --- signals

static volatile pid_t handled_by;
static volatile int handled;
static void note(int signal) {
    handled_by = gettid();
    handled = signal;
}

static volatile pid_t target;
static void *wait_for_signal(void *unused) {
    target = gettid();
    struct timespec long_time = {1000, 0};
    const int result = nanosleep(&long_time, &long_time);
    printf("sleep: %d %s, left %d\n", result, strerror(errno), long_time.tv_sec >= 990);
    return unused;
}
static void *read_through_signal(void *unused) {
    target = gettid();
    char byte = 0;
    printf("read: %zd", read(pipe_ends[0], &byte, 1));
    printf(" %c\n", byte);
    return unused;
}
static void *suspended(void *unused) {
    sigset_t all, none;
    sigfillset(&all);
    sigemptyset(&none);
    pthread_sigmask(SIG_SETMASK, &all, 0);
    target = gettid();
    const int result = sigsuspend(&none);
    printf("sigsuspend: %d %s\n", result, strerror(errno));
    pthread_sigmask(SIG_SETMASK, 0, &none);
    printf("blocked again: %d\n", sigismember(&none, SIGUSR1));
    return unused;
}
static void *take_signals(void *unused) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    int signal = 0;
    printf("sigwait: %d", sigwait(&set, &signal));
    printf(" %d\n", signal == SIGUSR2);
    return unused;
}
static void *fault(void *unused) {
    stack_t stack = {.ss_sp = malloc(65536), .ss_size = 65536};
    sigaltstack(&stack, 0);
    target = gettid();
    static volatile int *volatile nowhere;
    *nowhere = 1;
    return unused;
}
static void on_fault(int signal) {
    (void)signal;
    int here;
    stack_t stack;
    sigaltstack(0, &stack);
    printf("fault: own thread %d, own stack %d\n", gettid() == target, stack.ss_flags == SS_ONSTACK && (char *)&here > (char *)stack.ss_sp);
    pthread_exit(0);
}

static void signals(void) {
    struct sigaction action = {.sa_handler = note};
    sigaction(SIGUSR1, &action, 0);
    pthread_t thread;
    void *(*const waits[])(void *) = {wait_for_signal, read_through_signal, suspended};
    if (pipe(pipe_ends) != 0) return;
    for (int i = 0; i < 3; ++i) {
        if (i == 1) {
            action.sa_flags = SA_RESTART;
            sigaction(SIGUSR1, &action, 0);
        }
        target = handled = 0;
        start(&thread, waits[i], 0);
        while (!target) sched_yield();
        usleep(3000);
        pthread_kill(thread, SIGUSR1);
        while (!handled) usleep(100);
        if (i == 1 && write(pipe_ends[1], "x", 1) != 1) return;
        pthread_join(thread, 0);
        printf("handled by it: %d\n", handled_by == target);
    }
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &set, 0);
    start(&thread, take_signals, 0);
    kill(getpid(), SIGUSR2);
    pthread_join(thread, 0);

    struct sigaction fatal = {.sa_handler = on_fault, .sa_flags = SA_ONSTACK | SA_NODEFER};
    sigaction(SIGSEGV, &fatal, 0);
    start(&thread, fault, 0);
    pthread_join(thread, 0);
    const long nobody = syscall(SYS_tgkill, getpid(), 999999, SIGUSR1);
    printf("tgkill of nobody: %ld %s\n", nobody, strerror(errno));
}

// --- ends

static pthread_mutex_t robust;
static void *die_with_it(void *unused) {
    pthread_mutex_lock(&robust);
    return unused;
}
static void *last(void *unused) {
    usleep(2000);
    puts("the last one");
    return unused;
}

int main(void) {
    setvbuf(stdout, 0, _IONBF, 0);
    locks(4);
    locks(16);
    locks(60);
    timed_waits();
    pthread_t one, two;
    start(&one, spin, 0);
    start(&two, produce, 0);
    while (!produced) __asm__ volatile("pause");
    pthread_join(one, 0);
    pthread_join(two, 0);
    puts("produced");
    each(4, registers);
    printf("main's own: %d, damaged: %d\n", own, damaged);
    files();
    signals();
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&robust, &attributes);
    start(&one, die_with_it, 0);
    pthread_join(one, 0);
    printf("robust: %d\n", pthread_mutex_lock(&robust) == EOWNERDEAD);
    start(&one, last, 0);
    pthread_exit(0);
}

// A guest with threads that wait when it is frozen: a pool on a condition, one in pause() and one in read().
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "host_call.h"

enum { pool_size = 3 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t work = PTHREAD_COND_INITIALIZER, done = PTHREAD_COND_INITIALIZER;
static void (*job)(int);
static int started, finished, generation;
static uint64_t results[pool_size];
static __thread uint64_t own = 7;
static volatile uint64_t progress;
static int pipe_ends[2];

static void *worker(void *argument) {
    const int index = (int)(intptr_t)argument;
    pthread_mutex_lock(&mutex);
    own = 100 + (uint64_t)index;
    ++started;
    pthread_cond_signal(&done);
    for (int seen = generation;;) {
        while (seen == generation) pthread_cond_wait(&work, &mutex);
        seen = generation;
        void (*run)(int) = job;
        pthread_mutex_unlock(&mutex);
        run(index);
        pthread_mutex_lock(&mutex);
        ++finished;
        pthread_cond_signal(&done);
    }
    return 0;
}
static void begin(void (*run)(int)) {
    pthread_mutex_lock(&mutex);
    job = run;
    finished = 0;
    ++generation;
    pthread_cond_broadcast(&work);
    pthread_mutex_unlock(&mutex);
}
static void all(void (*run)(int)) {
    begin(run);
    pthread_mutex_lock(&mutex);
    while (finished < pool_size) pthread_cond_wait(&done, &mutex);
    pthread_mutex_unlock(&mutex);
}

static void look(int index) {
    sigset_t blocked;
    stack_t stack;
    pthread_sigmask(SIG_SETMASK, 0, &blocked);
    sigaltstack(0, &stack);
    uint64_t mask = 0;
    memcpy(&mask, &blocked, sizeof mask);
    results[index] = (uint64_t)gettid() << 48 ^ own << 32 ^ mask << 8 ^ (uint64_t)stack.ss_size << 1 ^ (uint64_t)errno;
}
static void *tell_id(void *id) {
    *(uint64_t *)id = (uint64_t)gettid();
    return 0;
}
static uint64_t new_thread(void) {
    uint64_t id = 0;
    pthread_t thread;
    if (pthread_create(&thread, 0, tell_id, &id) != 0) return 0;
    pthread_join(thread, 0);
    return id;
}

/* All there is to know about the threads of this process. */
static void inspect(void) {
    all(look);
    for (int i = 0; i < pool_size; ++i) host_call(CALL_NOTE, results[i], 0);
    host_call(CALL_NOTE, own, (uint64_t)gettid());
    host_call(CALL_NOTE, new_thread(), progress);
    uint64_t alive = 0;
    for (int id = 1; id < 200; ++id) alive += syscall(SYS_tgkill, getpid(), id, 0) == 0;
    host_call(CALL_NOTE, alive, 0);
    answer(1);
}

static void spoil(int index) {
    own = 1;
    errno = 77;
    sigset_t set;
    sigfillset(&set);
    pthread_sigmask(SIG_SETMASK, &set, 0);
    static char stacks[pool_size][65536];
    stack_t stack = {.ss_sp = stacks[index], .ss_size = sizeof stacks[index]};
    sigaltstack(&stack, 0);
    tgkill(getpid(), gettid(), SIGUSR1);
}
static void leave(int index) {
    if (index > 0) pthread_exit(0);
}
static void spin_for_ever(int index) {
    if (index != 0) return;
    for (;; ++progress) __asm__ volatile("pause");
}
static void crash(int index) {
    static volatile int *volatile nowhere;
    if (index == 0) *nowhere = 1; /* the thread that is there also after leave() */
    pause();
}
static void answer_from(int index) {
    if (index != 2) return;
    own += 1;
    answer(own);
}
static void *sleep_for_ever(void *unused) {
    for (;;) pause();
    return unused;
}
static uint64_t start_many(uint64_t most) {
    uint64_t count = 0;
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 16384);
    for (pthread_t thread; count < most; ++count)
        if (pthread_create(&thread, &small, sleep_for_ever, 0) != 0) break;
    return count;
}

static void bomb(void) { answer(start_many(10000)); }
/* `how`: bits of what to do; 16 ends with a crash, 32 with a thread that runs on, 64 with a wait for ever. */
static void dirty(uint64_t how) {
    if (how & 1) all(spoil);
    if (how & 2) start_many(5);
    if (how & 4) progress = how;
    if (how & 8) begin(leave);
    if (how & 16) begin(crash), pause();
    if (how & 32) begin(spin_for_ever);
    if (how & 64) {
        pthread_mutex_lock(&mutex);
        pthread_mutex_lock(&mutex);
    }
    answer(how);
}
static void answer_from_pool(void) {
    begin(answer_from);
    for (;;) pause();
}
/* Both make progress: one that spins and one that sleeps and is waited for. */
static void spin_beside(void) {
    begin(spin_for_ever);
    const uint64_t before = progress;
    while (progress == before) {
    }
    struct timespec time = {0, 1000000};
    nanosleep(&time, 0);
    answer(progress > before);
}
static void own_value(void) { answer(own++); }
static void deadlock(void) { dirty(64); }
static void spin_all(void) {
    begin(spin_for_ever);
    for (;;) {
    }
}
static void *poll_pipe(void *unused) {
    for (char byte; read(pipe_ends[0], &byte, 1) == 1;)
        if (write(pipe_ends[1], "y", 1) != 1) break;
    return unused;
}
static void many_notes(uint64_t count) {
    begin(spin_for_ever);
    for (uint64_t i = 0; i < count; ++i) {
        for (volatile int work_ = 0; work_ < 20000; ++work_) {
        }
        host_call(CALL_NOTE, i, 0);
    }
    answer(count);
}

int main(void) {
    if (pipe(pipe_ends) != 0) return 1;
    pthread_t thread;
    for (intptr_t i = 0; i < pool_size; ++i) pthread_create(&thread, 0, worker, (void *)i);
    pthread_create(&thread, 0, sleep_for_ever, 0);
    pthread_create(&thread, 0, poll_pipe, 0);
    pthread_mutex_lock(&mutex);
    while (started < pool_size) pthread_cond_wait(&done, &mutex);
    pthread_mutex_unlock(&mutex);
#define OFFER(f) offer(#f, f)
    OFFER(inspect); OFFER(bomb); OFFER(dirty); OFFER(answer_from_pool); OFFER(spin_beside); OFFER(own_value);
    OFFER(deadlock); OFFER(spin_all); OFFER(many_notes);
    host_call(CALL_WAIT, 0, 0);
    return 0;
}

// Two threads, or four of OpenMP, that hand over to each other: hand_overs CASE ROUNDS prints microseconds for each.
#define _GNU_SOURCE
#include <linux/futex.h>
#include <omp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int rounds;

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1e6 + time.tv_nsec * 1e-3;
}

static _Atomic uint32_t words[2] = {1, 0};
static void futex_once(int me) {
    while (atomic_load(&words[me]) == 0) syscall(SYS_futex, &words[me], FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
    atomic_store(&words[me], 0);
    atomic_store(&words[!me], 1);
    syscall(SYS_futex, &words[!me], FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static int turn;
static void condition_once(int me) {
    pthread_mutex_lock(&mutex);
    while (turn != me) pthread_cond_wait(&condition, &mutex);
    turn = !me;
    pthread_cond_signal(&condition);
    pthread_mutex_unlock(&mutex);
}

static _Atomic int yield_turn;
static void yield_once(int me) {
    while (atomic_load(&yield_turn) != me) sched_yield();
    atomic_store(&yield_turn, !me);
}

static int pipes[2][2];
static void pipe_once(int me) {
    char byte;
    if (read(pipes[me][0], &byte, 1) != 1 || write(pipes[!me][1], &byte, 1) != 1) abort();
}

static _Atomic int arrived[2];
static pthread_t ids[2];
static void on_signal(int number) {
    (void)number;
    atomic_store(&arrived[pthread_equal(pthread_self(), ids[1])], 1);
}
static void signal_once(int me) {
    sigset_t none;
    sigemptyset(&none);
    while (!atomic_load(&arrived[me])) sigsuspend(&none);
    atomic_store(&arrived[me], 0);
    pthread_kill(ids[!me], SIGUSR1);
}

static void (*once)(int);
static void* play(void* argument) {
    for (int i = 0; i < rounds; ++i) once((int)(intptr_t)argument);
    return NULL;
}

static double openmp(void) {
    static double values[4096];
    omp_set_num_threads(4);
    const double begin = now();
    for (int round = 0; round < rounds; ++round) {
#pragma omp parallel for
        for (int i = 0; i < 4096; ++i) values[i] = values[i] * 0.5 + i;
    }
    return (now() - begin) / rounds;
}

int main(int argc, char** argv) {
    if (argc != 3) return 2;
    const char* name = argv[1];
    rounds = atoi(argv[2]);
    if (!strcmp(name, "openmp")) return printf("%.4f\n", openmp()) < 0;
    if (!strcmp(name, "futex")) once = futex_once;
    if (!strcmp(name, "condition")) once = condition_once;
    if (!strcmp(name, "yield")) once = yield_once;
    if (!strcmp(name, "pipe")) once = pipe_once;
    if (!strcmp(name, "signal")) once = signal_once;
    if (!once || pipe(pipes[0]) != 0 || pipe(pipes[1]) != 0 || write(pipes[0][1], "", 1) != 1) return 2;
    sigset_t usr1;
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &usr1, NULL);
    signal(SIGUSR1, on_signal);
    ids[0] = pthread_self();
    atomic_store(&arrived[0], 1);
    const double begin = now();
    if (pthread_create(&ids[1], NULL, play, (void*)1) != 0) return 1;
    play(NULL);
    pthread_join(ids[1], NULL);
    printf("%.4f\n", (now() - begin) / rounds / 2);
    return 0;
}

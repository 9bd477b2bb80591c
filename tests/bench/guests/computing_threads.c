// So many threads, each of which does a part of the same work. Prints the microseconds they took together.
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { most = 64 };

static long steps_of_each;
static volatile uint64_t results[most];

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

static void* compute(void* place) {
    uint64_t value = 1;
    for (long i = 0; i < steps_of_each; ++i) value = value * 6364136223846793005u + 1442695040888963407u;
    *(volatile uint64_t*)place = value;
    return NULL;
}

int main(int argc, char** argv) {
    if (argc != 3) return 2;
    const int threads = atoi(argv[1]);
    if (threads < 1 || threads > most) return 2;
    steps_of_each = atol(argv[2]) / threads;
    pthread_t started[most];
    const double begin = now();
    for (int i = 1; i < threads; ++i)
        if (pthread_create(&started[i], NULL, compute, (void*)&results[i]) != 0) return 1;
    compute((void*)&results[0]);
    for (int i = 1; i < threads; ++i) pthread_join(started[i], NULL);
    printf("%.0f\n", now() - begin);
    return 0;
}

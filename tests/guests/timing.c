// Clocks: the library's (vDSO) and the system calls' agree, go forward, and sleeping takes as long as it
// should.
#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/times.h>
#include <time.h>
#include <unistd.h>

static int64_t nanoseconds(struct timespec time) { return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec; }

static int64_t by_library(clockid_t clock) {
    struct timespec time;
    return clock_gettime(clock, &time) == 0 ? nanoseconds(time) : -1;
}
static int64_t by_call(clockid_t clock) {
    struct timespec time;
    return syscall(SYS_clock_gettime, clock, &time) == 0 ? nanoseconds(time) : -1;
}

int main(void) {
    const struct {
        const char* name;
        clockid_t clock;
    } clocks[] = {{"realtime", CLOCK_REALTIME},
                  {"monotonic", CLOCK_MONOTONIC},
                  {"boottime", CLOCK_BOOTTIME},
                  {"tai", 11},
                  {"realtime coarse", CLOCK_REALTIME_COARSE},
                  {"monotonic coarse", CLOCK_MONOTONIC_COARSE},
                  {"monotonic raw", CLOCK_MONOTONIC_RAW},
                  {"process", CLOCK_PROCESS_CPUTIME_ID},
                  {"thread", CLOCK_THREAD_CPUTIME_ID}};
    for (unsigned i = 0; i < sizeof clocks / sizeof *clocks; i++) {
        const int64_t before = by_call(clocks[i].clock), middle = by_library(clocks[i].clock);
        const int64_t after = by_call(clocks[i].clock);
        // 20 ms cover coarse clocks and a slow machine between two readings.
        const int good = before >= 0 && middle >= before - 20000000 && after >= middle - 20000000;
        printf("%s: %s\n", clocks[i].name, good ? "agrees" : "differs");
        if (!good) printf("  %lld %lld %lld\n", (long long)before, (long long)middle, (long long)after);
    }
    int64_t last = 0, steps = 0;
    for (int i = 0; i < 200000; i++) {
        const int64_t now = by_library(CLOCK_MONOTONIC);
        if (now < last) {
            printf("went back by %lld\n", (long long)(last - now));
            break;
        }
        steps += now > last;
        last = now;
    }
    printf("monotonic goes on: %d\n", steps > 1000);

    struct timeval day;
    const int64_t before = by_call(CLOCK_REALTIME);
    gettimeofday(&day, NULL);
    const int64_t middle = (int64_t)day.tv_sec * 1000000000 + day.tv_usec * 1000;
    const time_t seconds = time(NULL);
    const int64_t after = by_call(CLOCK_REALTIME);
    printf("gettimeofday agrees: %d\n", middle >= before - 20000000 && after >= middle - 20000000);
    printf("time agrees: %d\n", seconds >= day.tv_sec - 1 && seconds <= after / 1000000000 + 1);

    const int64_t begin = by_library(CLOCK_MONOTONIC);
    const struct timespec wait = {0, 20000000};
    printf("nanosleep %d\n", nanosleep(&wait, NULL));
    const int64_t slept = by_library(CLOCK_MONOTONIC) - begin;
    printf("slept long enough: %d, not too long: %d\n", slept >= 20000000, slept < 2000000000);
    struct timespec until = {0, 0};
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += 10000000;
    if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
    printf("clock_nanosleep %d, ", clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL));
    printf("in time: %d\n", by_library(CLOCK_MONOTONIC) >= nanoseconds(until));
    until.tv_sec = 0;
    printf("the past: %d\n", clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &until, NULL));

    struct timespec wrong[] = {{-1, 0}, {0, -1}, {0, 1000000000}};
    for (int i = 0; i < 3; i++)
        printf("wrong time: %s\n", nanosleep(&wrong[i], NULL) < 0 ? strerror(errno) : "?");
    struct timespec time;
    printf("wrong clock: %s\n", clock_gettime(99, &time) < 0 ? strerror(errno) : "?");
    printf("negative clock: %s\n", syscall(SYS_clock_gettime, -1, &time) < 0 ? strerror(errno) : "?");
    printf("resolution: %d ", clock_getres(CLOCK_MONOTONIC, &time));
    printf("%ld\n", time.tv_nsec);
    const clock_t used = clock();
    for (volatile int i = 0; i < 20000000; i++) {
    }
    printf("CPU time grows: %d\n", clock() > used);
    struct tms spent;
    printf("times: %d\n", times(&spent) != (clock_t)-1);
    return 0;
}

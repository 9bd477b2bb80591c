// A program that arms timers before it waits for calls.
#include <signal.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "host_call.h"

static volatile sig_atomic_t alarms, ticks;
static timer_t often;
static int file;

static void count_alarm(int signal) {
    (void)signal;
    ++alarms;
}
static void count_tick(int signal) {
    (void)signal;
    ++ticks;
}

// Computes until the alarm that was set before the freeze comes.
static void compute(void) {
    while (!alarms) {
    }
    answer((uint64_t)alarms);
}
static void compute_until_tick(void) {
    while (!ticks) {
    }
    answer((uint64_t)ticks);
}
static void alarms_now(void) { answer((uint64_t)alarms); }
static void left_of_hour(void) {
    struct itimerspec left;
    timer_gettime(often, &left);
    answer((uint64_t)left.it_value.tv_sec);
}
static void expirations(void) {
    uint64_t count = 0;
    answer(read(file, &count, sizeof count) == sizeof count ? count : 0);
}

// Intervals are long enough for emulated machines, where the delivery of one signal takes longer than a millisecond: a
// program whose timer is faster than its handler does nothing else.
int main(void) {
    signal(SIGALRM, count_alarm);
    signal(SIGVTALRM, count_tick);
    struct itimerval soon = {{0, 0}, {0, 20000}}, processor = {{0, 50000}, {0, 50000}};
    struct itimerspec hour = {{3600, 0}, {3600, 0}}, moments = {{0, 1000000}, {0, 0}};
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    offer("compute", compute);
    offer("compute_until_tick", compute_until_tick);
    offer("alarms_now", alarms_now);
    offer("left_of_hour", left_of_hour);
    offer("expirations", expirations);
    timer_create(CLOCK_MONOTONIC, &event, &often);
    timer_settime(often, 0, &hour, NULL);
    file = timerfd_create(CLOCK_REALTIME, 0);
    clock_gettime(CLOCK_REALTIME, &moments.it_value);
    timerfd_settime(file, TFD_TIMER_ABSTIME, &moments, NULL);
    setitimer(ITIMER_VIRTUAL, &processor, NULL);
    setitimer(ITIMER_REAL, &soon, NULL);
    host_call(CALL_WAIT, 0, 0);
    return 1;
}

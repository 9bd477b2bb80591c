// Handlers, masks, stacks, faults, jumps out of handlers.
#define _GNU_SOURCE
#include <errno.h>
#include <fenv.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

static volatile sig_atomic_t count;
static volatile int last_code, last_signal;
static void* volatile last_address;
static volatile int on_other_stack;
static char other_stack[65536];
static sigjmp_buf back;

static void plain(int signal) {
    count++;
    last_signal = signal;
}

static void detailed(int signal, siginfo_t* info, void* context) {
    const ucontext_t* c = context;
    count++;
    last_signal = signal;
    last_code = info->si_code;
    last_address = info->si_addr;
    char here;
    on_other_stack = &here >= other_stack && &here < other_stack + sizeof other_stack;
    if (c->uc_mcontext.gregs[REG_RIP] == 0 || info->si_signo != signal) _exit(99);
}

// Changes all vector registers: they must come back.
static void disturb(int signal) {
    plain(signal);
    __asm__ volatile("pxor %%xmm0, %%xmm0; pxor %%xmm7, %%xmm7; pcmpeqd %%xmm15, %%xmm15" ::
                         : "xmm0", "xmm7", "xmm15");
}

static void jump_out(int signal, siginfo_t* info, void* context) {
    detailed(signal, info, context);
    siglongjmp(back, signal);
}

// Lets the program go on after the two bytes of `ud2`.
static void skip(int signal, siginfo_t* info, void* context) {
    detailed(signal, info, context);
    ((ucontext_t*)context)->uc_mcontext.gregs[REG_RIP] += 2;
}

static void install(int signal, void* handler, int flags) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    if (flags & SA_SIGINFO)
        action.sa_sigaction = (void (*)(int, siginfo_t*, void*))handler;
    else
        action.sa_handler = (void (*)(int))handler;
    action.sa_flags = flags;
    sigaction(signal, &action, NULL);
}

static void raising(void) {
    install(SIGUSR1, plain, 0);
    printf("raise %d, ", raise(SIGUSR1));
    printf("handled %d times\n", (int)count);
    install(SIGUSR2, detailed, SA_SIGINFO);
    kill(getpid(), SIGUSR2);
    printf("kill: signal %d, code %d\n", last_signal, last_code);
    union sigval value = {.sival_int = 42};
    sigqueue(getpid(), SIGUSR2, value);
    printf("sigqueue: code %d\n", last_code);

    register double x = 1.5;
    __asm__ volatile("" : "+x"(x));
    install(SIGUSR1, disturb, 0);
    double sum = 0;
    for (int i = 0; i < 100; i++) {
        sum += x * i;
        if (i % 10 == 0) raise(SIGUSR1);
    }
    printf("vector registers survive: %g\n", sum);
    printf("ignored: ");
    signal(SIGUSR1, SIG_IGN);
    printf("%d\n", raise(SIGUSR1));
    int refused = kill(getpid(), 65);
    printf("wrong number: %d %s\n", refused, strerror(errno));
    refused = kill(12345678, SIGTERM);
    printf("wrong process: %d %s\n", refused, strerror(errno));
    printf("nothing to send: %d\n", kill(getpid(), 0));
}

static void masks(void) {
    sigset_t set, before, waiting;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    install(SIGUSR1, plain, 0);
    count = 0;
    sigprocmask(SIG_BLOCK, &set, &before);
    raise(SIGUSR1);
    raise(SIGUSR1);
    sigpending(&waiting);
    printf("blocked: %d times, pending %d\n", (int)count, sigismember(&waiting, SIGUSR1));
    sigprocmask(SIG_SETMASK, &before, NULL);
    printf("unblocked: %d time\n", (int)count);

    const int real_time = SIGRTMIN + 1;
    sigaddset(&set, real_time);
    install(real_time, detailed, SA_SIGINFO);
    sigprocmask(SIG_BLOCK, &set, NULL);
    union sigval value = {0};
    count = 0;
    for (int i = 0; i < 3; i++) sigqueue(getpid(), real_time, value);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    printf("real-time signals queue: %d\n", (int)count);

    sigprocmask(SIG_BLOCK, &set, NULL);
    raise(SIGUSR1);
    count = 0;
    sigset_t none;
    sigemptyset(&none);
    const int result = sigsuspend(&none);
    sigprocmask(SIG_BLOCK, NULL, &before);
    printf("sigsuspend %d %s, %d time, blocked again %d\n", result, strerror(errno), (int)count,
           sigismember(&before, SIGUSR1));
    raise(SIGUSR1);
    siginfo_t info;
    const struct timespec now = {0, 0};
    printf("sigtimedwait %d", sigtimedwait(&set, &info, &now) == SIGUSR1);
    printf(", again %s\n", sigtimedwait(&set, &info, &now) < 0 ? strerror(errno) : "?");
    sigprocmask(SIG_UNBLOCK, &set, NULL);

    // The handler's own signal is blocked while it runs; SA_NODEFER says otherwise, SA_RESETHAND forgets.
    install(SIGUSR1, plain, SA_RESETHAND);
    raise(SIGUSR1);
    struct sigaction action;
    sigaction(SIGUSR1, NULL, &action);
    printf("reset: %d\n", action.sa_handler == SIG_DFL);
    const int refused = sigaction(SIGKILL, &action, NULL);
    printf("SIGKILL cannot be caught: %d %s\n", refused, strerror(errno));
}

static void stacks(void) {
    const stack_t stack = {.ss_sp = other_stack, .ss_size = sizeof other_stack};
    stack_t before;
    printf("sigaltstack %d\n", sigaltstack(&stack, &before));
    install(SIGUSR1, detailed, SA_SIGINFO | SA_ONSTACK);
    raise(SIGUSR1);
    printf("on it: %d\n", on_other_stack);
    install(SIGUSR1, detailed, SA_SIGINFO);
    raise(SIGUSR1);
    printf("not asked for: %d\n", on_other_stack);
    const stack_t small = {.ss_sp = other_stack, .ss_size = 100};
    const int refused = sigaltstack(&small, NULL);
    printf("too small: %d %s\n", refused, strerror(errno));
}

static void faults(void) {
    static void* volatile nowhere;
    install(SIGSEGV, jump_out, SA_SIGINFO | SA_ONSTACK);
    if (sigsetjmp(back, 1) == 0) *(int*)nowhere = 1;
    printf("SIGSEGV: code %d, address %p, on the other stack %d\n", last_code, last_address, on_other_stack);
    char* page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (sigsetjmp(back, 1) == 0) *(volatile char*)(page + 5) = 1;
    printf("read-only page: code %d, address right: %d\n", last_code, last_address == page + 5);

    install(SIGFPE, jump_out, SA_SIGINFO);
    volatile int zero = 0;
    if (sigsetjmp(back, 1) == 0) printf("%d\n", 1 / zero);
    printf("SIGFPE: code %d\n", last_code);

    install(SIGILL, skip, SA_SIGINFO);
    __asm__ volatile("ud2");
    printf("SIGILL: signal %d, went on\n", last_signal);
    install(SIGTRAP, detailed, SA_SIGINFO);
    __asm__ volatile("int3");
    printf("SIGTRAP: signal %d\n", last_signal);
}

static volatile int deep_enough;  // never
static void out_of_stack(volatile char* above) {
    volatile char room[4096];
    room[0] = above ? above[0] : 1;
    if (!deep_enough) out_of_stack(room);
    room[1] = room[0];
}

int main(int argc, char** argv) {
    raising();
    masks();
    stacks();
    faults();
    if (argc > 1 && !strcmp(argv[1], "overflow")) {
        install(SIGSEGV, jump_out, SA_SIGINFO | SA_ONSTACK);
        if (sigsetjmp(back, 1) == 0) out_of_stack(NULL);
        printf("stack overflow caught on the other stack: %d\n", on_other_stack);
    }
    fflush(stdout);
    if (argc > 1 && !strcmp(argv[1], "abort")) abort();
    if (argc > 1 && !strcmp(argv[1], "term")) kill(getpid(), SIGTERM);
    signal(SIGSEGV, SIG_DFL);
    if (argc > 1 && !strcmp(argv[1], "crash")) *(volatile int*)NULL = 1;
    return 0;
}

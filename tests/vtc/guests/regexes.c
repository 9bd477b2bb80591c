/* SPDX-License-Identifier: BSD-2-Clause
 * Regular expressions: two compiled in main(), more by requests. The URL says what to do, the argument is the subject.
 * With the argument "paused" it has a loop of its own. */
#include "kvm_api.h"

static int digits, copied;
static char text[4096];

static void handles(void)
{
    int again = sys_regex_compile("[0-9]+", 6), mine = sys_regex_compile("mine", 4), mine_too = sys_regex_compile("mine", 4);
    long freed = sys_regex_free(mine), still = sys_regex_match(mine, "mine", 4);
    long freed_too = sys_regex_free(mine), gone = sys_regex_match(mine, "mine", 4), twice = sys_regex_free(mine);
    int left = sys_regex_compile("left behind", 11);
    sys_regex_free(digits);
    sys_regex_free(digits);
    snprintf(text, sizeof text, "%d %d %d %d / %ld %ld %ld %ld %ld / %d %ld", digits, again, mine, mine_too, freed, still,
             freed_too, gone, twice, left, sys_regex_match(digits, "1", 1));
}

static void errors(void)
{
    char small[4] = "...";
    static char large[(1 << 20) + 2];
    int b = sys_regex_compile("b", 1);
    memset(large, 'a', sizeof large - 1);
    snprintf(text, sizeof text, "%d %d %d / %ld %ld %ld / %ld %ld %ld %ld %ld %ld %s / %ld %ld %ld",
             sys_regex_compile("(", 1), sys_regex_compile((char *)16, 5), sys_regex_compile(large, 5000),
             sys_regex_match(99, "a", 1), sys_regex_match(b, (char *)16, 5), sys_regex_match(b, large, sizeof large),
             sys_regex_subst(-1, "b", "c", small, 4, 0), sys_regex_subst(b, (char *)16, "c", small, 4, 0),
             sys_regex_subst(b, "b", "cccc", small, 4, 0), sys_regex_subst(b, large, "c", small, 4, 0),
             sys_regex_subst(b, "b", "c", (char *)16, 4, 0), sys_regex_subst(b, "b", "c", small, 0, 0), small,
             sys_regex_copyto(99, BEREQ, BERESP), sys_regex_copyto(b, 7, BERESP), sys_regex_copyto(b, BEREQ, -1));
}

static void many(void)
{
    int count = 0, last = 0;
    for (; count < 1000 && last >= 0; count++) {
        int length = snprintf(text, sizeof text, "a%d", count);
        last = sys_regex_compile(text, (size_t)length);
    }
    snprintf(text, sizeof text, "%d %d", count - 1, last);
}

/* As deep as a pattern may be, which takes the host's compiler most stack. */
static void deep(void)
{
    size_t length = 0;
    for (int i = 0; i < 15; i++, length += 10)
        memcpy(text + length, "(?<=a|(?:b", 10);
    memset(text + length, ')', 30);
    length += 30;
    snprintf(text, sizeof text, "%d", sys_regex_compile(text, length));
}

static void replace(const char *arg)
{
    char one[64], all[64], none[64];
    long n = sys_regex_subst(digits, arg, "<\\0>", one, sizeof one, 0);
    long m = sys_regex_subst(digits, arg, "<\\0>", all, sizeof all, 1);
    long k = sys_regex_subst(digits, "none", "x", none, sizeof none, 1);
    snprintf(text, sizeof text, "%ld %s %ld %s %ld %s", n, one, m, all, k, none);
}

static void on_get(const char *url, const char *arg)
{
    if (strcmp(url, "/handles") == 0)
        handles();
    else if (strcmp(url, "/errors") == 0)
        errors();
    else if (strcmp(url, "/deep") == 0)
        deep();
    else if (strcmp(url, "/many") == 0)
        many();
    else if (strcmp(url, "/replace") == 0)
        replace(arg);
    else if (strcmp(url, "/copy") == 0) {
        long there = sys_regex_copyto(copied, BEREQ, BERESP), again = sys_regex_copyto(copied, BERESP, BERESP);
        snprintf(text, sizeof text, "%ld %ld", there, again);
    } else if (strcmp(url, "/bomb") == 0)
        snprintf(text, sizeof text, "%ld", sys_regex_match(sys_regex_compile("^(a+)+$", 7), arg, strlen(arg)));
    else if (strcmp(url, "/crash") == 0) {
        sys_regex_free(digits);
        sys_regex_compile("of a crash", 10);
        __builtin_trap();
    } else
        snprintf(text, sizeof text, "%ld", sys_regex_match(digits, arg, strlen(arg)));
    backend_response_str(200, "text/plain", text);
}

static void on_error(const char *url, const char *arg, const char *exception)
{
    (void)url;
    (void)exception;
    snprintf(text, sizeof text, "second %ld %d", sys_regex_match(digits, arg, strlen(arg)), sys_regex_compile("new", 3));
    backend_response_str(203, "text/plain", text);
}

int main(int argc, char **argv)
{
    struct kvm_request request;
    digits = sys_regex_compile("[0-9]+", 6);
    copied = sys_regex_compile("^(X-Copy|Connection)", 20);
    set_on_error(on_error);
    if (argc > 1 && strcmp(argv[1], "paused") == 0)
        for (;;) {
            wait_for_requests_paused(&request);
            on_get(request.url, request.arg);
        }
    set_backend_get(on_get);
    wait_for_requests();
}

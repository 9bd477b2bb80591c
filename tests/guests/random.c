// Random bytes are there, and are not the same twice.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/random.h>

int main(void) {
    static unsigned char a[100000], b[100000];
    printf("getrandom %zd %zd\n", getrandom(a, sizeof a, 0), getrandom(b, sizeof b, GRND_NONBLOCK));
    printf("different: %d\n", memcmp(a, b, sizeof a) != 0);
    unsigned seen[256] = {0};
    for (size_t i = 0; i < sizeof a; i++) seen[a[i]]++;
    int rare = 0;
    for (int i = 0; i < 256; i++) rare += seen[i] < 200;
    printf("all values: %d\n", rare == 0);
    printf("nothing: %zd\n", getrandom(a, 0, 0));
    printf("wrong flags: %s\n", getrandom(a, 1, 0x100) < 0 ? strerror(errno) : "?");
    printf("seed differs: %d\n", memcmp((const void*)getauxval(AT_RANDOM), a, 16) != 0);
    return 0;
}

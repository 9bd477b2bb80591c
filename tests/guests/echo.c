// Copies standard input to standard output, then says how much it was.
#include <stdio.h>
#include <unistd.h>

int main(void) {
    char block[1000];
    size_t total = 0;
    ssize_t n;
    while ((n = read(0, block, sizeof block)) > 0) {
        fwrite(block, 1, (size_t)n, stdout);
        total += (size_t)n;
    }
    printf("%zu bytes, then %zd\n", total, n);
    return 0;
}

#include <stdio.h>

int main(void) {
    puts("Hello, World!");
    fputs("and to those who read errors\n", stderr);
    return 0;
}

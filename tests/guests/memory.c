// The heap, mappings, protections and moving, each with a look at the bytes.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static uint32_t state = 12345;
static uint32_t next(void) { return state = state * 1664525 + 1013904223; }

// A pattern that tells blocks from one another.
static void fill(unsigned char* block, size_t size, uint32_t seed) {
    for (size_t i = 0; i < size; i++) block[i] = (unsigned char)(seed + i * 7);
}
static int holds(const unsigned char* block, size_t size, uint32_t seed) {
    for (size_t i = 0; i < size; i++)
        if (block[i] != (unsigned char)(seed + i * 7)) return 0;
    return 1;
}
static int is_zero(const unsigned char* block, size_t size) {
    for (size_t i = 0; i < size; i++)
        if (block[i]) return 0;
    return 1;
}

static void heap(void) {
    enum { blocks = 200 };
    static unsigned char* block[blocks];
    static size_t size[blocks];
    static uint32_t seed[blocks];
    int bad = 0;
    for (int round = 0; round < 4000; round++) {
        const int i = next() % blocks;
        if (block[i] && !holds(block[i], size[i], seed[i])) bad++;
        const size_t wanted = next() % 16 == 0 ? next() % 600000 : next() % 3000 + 1;
        if (next() % 3 == 0) {
            free(block[i]);
            block[i] = NULL;
            continue;
        }
        const size_t kept = block[i] && size[i] < wanted ? size[i] : block[i] ? wanted : 0;
        unsigned char* moved = realloc(block[i], wanted + 1);
        if (!moved) return (void)puts("no memory");
        if (kept && !holds(moved, kept, seed[i])) bad++;
        block[i] = moved;
        size[i] = wanted;
        seed[i] = next();
        fill(block[i], wanted, seed[i]);
    }
    for (int i = 0; i < blocks; i++) free(block[i]);
    printf("heap: %d bad blocks\n", bad);

    char* top = sbrk(0);
    printf("sbrk: %d", sbrk(3 * 4096) == top);
    printf(", zero %d", is_zero((unsigned char*)top, 3 * 4096));
    memset(top, 1, 3 * 4096);
    sbrk(-3 * 4096);
    sbrk(3 * 4096);
    printf(", zero again from the next page: %d\n",
           is_zero((unsigned char*)(((uintptr_t)top + 4095) & ~4095ul), 2 * 4096));
}

static void mappings(void) {
    const size_t size = 1 << 20;
    unsigned char* a = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    printf("fresh memory is zero: %d\n", is_zero(a, size));
    fill(a, size, 9);
    printf("unmap the middle: %d\n", munmap(a + size / 4, size / 4));
    printf("the rest stays: %d %d\n", holds(a, size / 4, 9), holds(a + size / 2, size / 2, 9 + size / 2 * 7));
    unsigned char* b =
        mmap(a + size / 4, size / 4, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    printf("fixed: %d, zero %d\n", b == a + size / 4, is_zero(b, size / 4));
    printf("taken: %s\n",
           mmap(a, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == MAP_FAILED
               ? strerror(errno)
               : "?");
    printf("protect: %d, ", mprotect(a, 8192, PROT_READ));
    printf("readable %d\n", a[1] == 16);
    printf("and back: %d, ", mprotect(a, 8192, PROT_READ | PROT_WRITE));
    a[0] = 77;
    printf("%d\n", a[0]);
    printf("discard: %d, ", madvise(a, 8192, MADV_DONTNEED));
    printf("zero %d\n", is_zero(a, 8192));

    printf("no size: %s\n", mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED
                                ? strerror(errno)
                                : "?");
    printf("neither shared nor private: %s\n",
           mmap(NULL, 4096, PROT_READ, MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? strerror(errno) : "?");
    printf("everything: %s\n",
           mmap(NULL, (size_t)-4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED
               ? strerror(errno)
               : "?");
    printf("odd address: %s\n", munmap(a + 1, 4096) < 0 ? strerror(errno) : "?");
    printf("protect nothing: %s\n",
           munmap(a, 4096) || mprotect(a, 4096, PROT_READ) == 0 ? "?" : strerror(errno));

    unsigned char* reserved =
        mmap(NULL, (size_t)64 << 30, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    printf("reserve 64 GiB: %d, ", reserved != MAP_FAILED);
    unsigned char* used = reserved + ((size_t)33 << 30);
    printf("use a piece: %d, ", mprotect(used, 65536, PROT_READ | PROT_WRITE));
    fill(used, 65536, 3);
    printf("%d\n", holds(used, 65536, 3));
    munmap(reserved, (size_t)64 << 30);

    unsigned char* code = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memcpy(code, "\xb8\x2a\x00\x00\x00\xc3", 6);  // mov $42, %eax; ret
    mprotect(code, 4096, PROT_READ | PROT_EXEC);
    printf("own code: %d\n", ((int (*)(void))(uintptr_t)code)());
    mprotect(code, 4096, PROT_READ | PROT_WRITE);
    code[1] = 43;
    mprotect(code, 4096, PROT_READ | PROT_EXEC);
    printf("changed code: %d\n", ((int (*)(void))(uintptr_t)code)());
    munmap(code, 4096);
}

static void moving(void) {
    unsigned char* a = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    fill(a, 65536, 5);
    unsigned char* barrier = mmap(a + 65536, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    printf("no room in place: %s\n", mremap(a, 65536, 131072, 0) == MAP_FAILED ? strerror(errno) : "?");
    unsigned char* b = mremap(a, 65536, 131072, MREMAP_MAYMOVE);
    printf("moved: %d, holds %d, more is zero %d\n", b != a, holds(b, 65536, 5), is_zero(b + 65536, 65536));
    unsigned char* c = mremap(b, 131072, 4096, MREMAP_MAYMOVE);
    printf("shrunk in place: %d, holds %d\n", c == b, holds(c, 4096, 5));
    unsigned char* d = mremap(c, 4096, 8192, MREMAP_MAYMOVE);
    printf("grown: holds %d, more is zero %d\n", holds(d, 4096, 5), is_zero(d + 4096, 4096));
    printf("nothing there: %s\n",
           munmap(barrier, 4096) || mremap(barrier, 4096, 8192, MREMAP_MAYMOVE) != MAP_FAILED
               ? "?"
               : strerror(errno));
    munmap(d, 8192);
    size_t size = 200000;
    unsigned char* big = malloc(size);
    fill(big, size, 1);
    for (int i = 0; i < 6; i++) {
        big = realloc(big, size * 2);
        if (!holds(big, size, 1)) puts("realloc lost bytes");
        size *= 2;
        fill(big, size, 1);
    }
    printf("realloc to %zu\n", size);
    free(big);
}

static void files(const char* path) {
    int fd = open(path, O_RDONLY);
    if (fd < 0) return (void)puts("no file");
    char* text = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE, fd, 0);
    printf("file: %.10s, zero behind %d\n", text, is_zero((unsigned char*)text + 100, 3996));
    char* changed = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    changed[0] = 'F';
    printf("own copy: %.10s, other: %.10s\n", changed, text);
    char* shared = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
    printf("shared: %.10s\n", shared);
    printf("shared for writing: %s\n",
           mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED ? strerror(errno) : "?");
    printf("odd offset: %s\n",
           mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 100) == MAP_FAILED ? strerror(errno) : "?");
    printf("closed file: %s\n", close(fd) || mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0) != MAP_FAILED
                                    ? "?"
                                    : strerror(errno));
    munmap(text, 8192);
}

int main(int argc, char** argv) {
    heap();
    mappings();
    moving();
    if (argc > 1) files(argv[1]);
    return 0;
}

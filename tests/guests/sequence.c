// Thousands of system calls in an order that only looks random, with what each returned. Arguments: the
// folder `data`, the seed. Whatever differs between here and there is a difference to Linux.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static uint32_t state;
static uint32_t next(uint32_t below) {
    state = state * 1664525 + 1013904223;
    return (state >> 8) % below;
}

static const char* const names[] = {
    "text",     "folder",  "link",           "folder_link",    "folder_link/inner", "circle",
    "dangling", "missing", "text/x",         "folder/../text", "folder/",           ".",
    "..",       "./link",  "folder_link/..", "folder/inner",   "/dev/null",         "/dev/zero",
    "",         "link/"};
static const char* name(void) { return names[next(sizeof names / sizeof *names)]; }

static unsigned char block[8192];
static unsigned checksum(long size) {
    unsigned sum = 0;
    for (long i = 0; i < size; i++) sum = sum * 31 + block[i];
    return sum;
}

static void files(void) {
    // Descriptors 3 to 14 are in play.
    const int a = 3 + (int)next(12), b = 3 + (int)next(12);
    struct stat status;
    long result = 0, more = 0;
    errno = 0;
    const int which = (int)next(22);
    switch (which) {
        case 0:
        case 1: {
            const int flags[] = {O_RDONLY, O_RDONLY | O_DIRECTORY, O_RDONLY | O_NOFOLLOW, O_PATH,
                                 O_RDONLY | O_CLOEXEC};
            result = open(name(), flags[next(5)]);
            if (result > 14) close((int)result);
            break;
        }
        case 2: result = close(a); break;
        case 3:
            result = dup(a);
            if (result > 14) close((int)result);
            break;
        case 4: result = dup2(a, b); break;
        case 5: result = dup3(a, b, next(2) ? O_CLOEXEC : 0); break;
        case 6: {
            // Not of directories: their order is the file system's.
            result = read(a, block, next(40));
            if (result > 0) more = checksum(result);
            break;
        }
        case 7:
            result = pread(a, block, next(5000), (off_t)next(60) - 5);
            if (result > 0) more = checksum(result);
            break;
        case 8:
            if (fstat(a, &status) == 0 && S_ISDIR(status.st_mode)) break;
            result = lseek(a, (off_t)next(60) - 10, (int)next(5));
            break;
        case 9: result = fcntl(a, F_GETFD); break;
        case 10: result = fcntl(a, F_SETFD, next(2)); break;
        case 11:
            result = fcntl(a, F_GETFL);
            if (result >= 0) result &= O_ACCMODE | O_NONBLOCK | O_APPEND | O_PATH | O_DIRECTORY;
            break;
        case 12: result = fcntl(a, F_SETFL, next(2) ? O_NONBLOCK : 0); break;
        case 13: {
            int ends[2] = {0, 0};
            result = pipe2(ends, O_NONBLOCK | (next(2) ? O_CLOEXEC : 0));
            more = ends[0] * 100 + ends[1];
            if (ends[0] > 14) close(ends[0]);
            if (ends[1] > 14) close(ends[1]);
            break;
        }
        case 14: {
            // Only pipes and devices can be written to here; regular files are open for reading.
            memset(block, (int)next(256), sizeof block);
            result = write(a, block, next(3000));
            break;
        }
        case 15:
            result = stat(name(), &status);
            if (result == 0) more = status.st_mode >> 12;
            break;
        case 16:
            result = lstat(name(), &status);
            if (result == 0) more = status.st_mode >> 12;
            break;
        case 17:
            result = readlink(name(), (char*)block, next(10));
            if (result > 0) more = checksum(result);
            break;
        case 18:
            result = fstat(a, &status);
            if (result == 0) more = status.st_mode >> 12;
            break;
        case 19: {
            struct iovec parts[3] = {{block, next(9)}, {block + 100, next(9)}, {block + 200, next(9)}};
            memset(block, 0, 300);
            result = readv(a, parts, (int)next(4));
            more = checksum(300);
            break;
        }
        case 20: {
            struct pollfd entries[2] = {{a, POLLIN | POLLOUT, 0}, {b, POLLIN, 0}};
            result = poll(entries, 2, 0);
            more = entries[0].revents * 1000 + entries[1].revents;
            break;
        }
        case 21: result = access(name(), next(2) ? R_OK : F_OK); break;
    }
    printf("%d(%d,%d) = %ld %s %ld\n", which, a, b, result, result < 0 ? strerror(errno) : "", more);
}

// Mappings in an area of their own, with the bytes in them.
static void mappings(void) {
    enum { pages = 32 };
    char* const area = (char*)0x200000000;
    char* const at = area + 4096 * next(pages);
    const size_t size = 4096 * (1 + next(6)) - next(2) * 100;
    const int protections[] = {PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE, PROT_READ | PROT_WRITE};
    const int protection = protections[next(4)];
    long result = 0;
    errno = 0;
    const int which = (int)next(8);
    switch (which) {
        case 0:
        case 1: {
            char* place = mmap(at, size, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
            result = place == MAP_FAILED ? -1 : place - area;
            break;
        }
        case 2: result = munmap(at, size); break;
        case 3: result = mprotect(at, size, protection); break;
        case 4: result = madvise(at, size, MADV_DONTNEED); break;
        case 5: {
            // One page: kernels differ in what they do to several mappings at once.
            char* place = mremap(at, 4096, 4096 * (1 + next(6)), next(2) ? MREMAP_MAYMOVE | MREMAP_FIXED : 0,
                                 area + 4096 * next(pages));
            result = place == MAP_FAILED ? -1 : place - area;
            errno = 0;  // which of two reasons is given differs too
            break;
        }
        case 6: {
            char* place =
                mmap(at, size, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
            result = place == MAP_FAILED ? -1 : place - area;
            break;
        }
        case 7: result = msync(at, size, MS_ASYNC); break;
    }
    printf("%d(%ld,%zu) = %ld %s", which, (long)(at - area) / 4096, size, result,
           result < 0 ? strerror(errno) : "");
    // Writes through the system, which says what can be read and written instead of faulting.
    static int ends[2];
    if (!ends[1] && pipe2(ends, O_NONBLOCK) < 0) exit(1);
    unsigned sum = 0;
    for (int page = 0; page < pages; page++) {
        char* here = area + 4096 * page + 8 * page;
        unsigned char byte = 0;
        const int readable = write(ends[1], here, 1) == 1 && read(ends[0], &byte, 1) == 1;
        const unsigned char fresh = (unsigned char)(byte + 1 + page);
        int writable = 0;
        if (readable && write(ends[1], &fresh, 1) == 1) {
            writable = read(ends[0], here, 1) == 1;
            unsigned char left;
            while (read(ends[0], &left, 1) > 0) {
            }
        }
        sum = sum * 31 + byte + (readable ? 1000 : 0) + (writable ? 5000 : 0);
    }
    printf(" %u\n", sum);
}

int main(int argc, char** argv) {
    syscall(SYS_close_range, 3, ~0u, 0);
    if (argc < 3 || chdir(argv[1]) != 0) return 1;
    state = (uint32_t)atoi(argv[2]);
    signal(SIGPIPE, SIG_IGN);
    for (int i = 0; i < 4000; i++) files();
    syscall(SYS_close_range, 3, ~0u, 0);
    for (int i = 0; i < 250; i++) mappings();
    return 0;
}

// Files in memory: names, links, holes, limits of what a file can be. Runs in a directory of its own in /dev/shm, which
// is a tmpfs natively, too.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

// musl does not have these.
enum { no_replace = 1, exchange = 2 };
static long rename_with(const char* from, const char* to, unsigned flags) {
    return syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, flags);
}

static const char* error(long result) { return result < 0 ? strerror(errno) : "fine"; }
#define TRY(call) printf("%s: %s\n", #call, error(call))
#define VALUE(call) printf("%s = %ld\n", #call, (long)(call))

static void make(const char* name, const char* text) {
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
        printf("make %s: %s\n", name, strerror(errno));
    close(fd);
}

static void show(const char* name) {
    char text[64] = "";
    int fd = open(name, O_RDONLY);
    if (fd < 0) {
        printf("show %s: %s\n", name, strerror(errno));
        return;
    }
    ssize_t size = read(fd, text, sizeof text - 1);
    struct stat status;
    fstat(fd, &status);
    printf("show %s: %zd \"%s\", mode %o, %ld links, %ld bytes, %ld blocks\n", name, size, text, status.st_mode,
           (long)status.st_nlink, (long)status.st_size, (long)status.st_blocks);
    close(fd);
}

static int by_name(const void* a, const void* b) { return strcmp(*(char* const*)a, *(char* const*)b); }

static void list(const char* path) {
    DIR* directory = opendir(path);
    if (!directory) {
        printf("opendir %s: %s\n", path, strerror(errno));
        return;
    }
    char* names[64];
    int count = 0;
    struct dirent* entry;
    while ((entry = readdir(directory)) && count < 64)
        if (asprintf(&names[count], "%s/%d", entry->d_name, entry->d_type) > 0) ++count;
    closedir(directory);
    qsort(names, count, sizeof names[0], by_name);
    printf("list %s:", path);
    for (int i = 0; i < count; i++) printf(" %s", names[i]);
    printf("\n");
}

static void names(void) {
    make("a", "first");
    show("a");
    TRY(open("a", O_CREAT | O_EXCL | O_RDWR, 0600));
    TRY(open("none", O_RDONLY));
    TRY(open("none/x", O_CREAT | O_RDWR, 0600));
    TRY(open("a/x", O_CREAT | O_RDWR, 0600));
    TRY(open("a/", O_RDONLY));
    TRY(open("new/", O_CREAT | O_RDWR, 0600));
    TRY(mkdir("d", 0755));
    TRY(mkdir("d", 0755));
    TRY(mkdir("d/e/", 0700));
    TRY(open("d", O_RDWR));
    TRY(open("d", O_RDONLY | O_CREAT, 0600));
    TRY(link("a", "d/b"));
    TRY(link("a", "d/b"));
    TRY(link("d", "f"));
    TRY(link("none", "f"));
    show("d/b");
    TRY(symlink("d/b", "l"));
    TRY(symlink("", "l2"));
    TRY(symlink("round", "round"));
    TRY(open("round", O_RDONLY));
    TRY(open("round", O_RDONLY | O_CREAT, 0600));
    TRY(open("l", O_RDONLY | O_NOFOLLOW));
    show("l");
    char target[16];
    ssize_t size = readlink("l", target, sizeof target);
    printf("readlink %zd %.*s\n", size, (int)size, target);
    VALUE(readlink("a", target, sizeof target));
    TRY(symlink("nowhere", "dangling"));
    TRY(open("dangling", O_RDONLY));
    make("dangling", "through a link");
    show("nowhere");
    TRY(open("dangling", O_CREAT | O_EXCL | O_RDWR, 0600));
    TRY(symlink("d", "ld"));
    list("ld");
    TRY(rmdir("ld"));
    TRY(rmdir("ld/"));
    TRY(unlink("ld/"));
    TRY(unlink("d"));
    TRY(rmdir("a"));
    TRY(rmdir("d"));
    TRY(rmdir("d/e/."));
    TRY(rmdir("d/e/.."));
    TRY(rmdir("d/e"));
    TRY(unlink("none"));
    TRY(mknod("node", S_IFREG | 0640, 0));
    show("node");
    TRY(mknod("node", S_IFREG | 0640, 0));
    list(".");
    list("d");
    struct stat status;
    stat("d", &status);
    printf("d: mode %o, %ld links, %ld bytes\n", status.st_mode, (long)status.st_nlink, (long)status.st_size);
    char longest[257];
    memset(longest, 'n', sizeof longest);
    longest[255] = 0;
    make(longest, "long");
    TRY(unlink(longest));
    longest[255] = 'n';
    longest[256] = 0;
    TRY(open(longest, O_CREAT | O_RDWR, 0600));
    TRY(mkdir(longest, 0700));
    char path[PATH_MAX + 8];
    memset(path, '/', sizeof path);
    path[0] = '.';
    path[PATH_MAX - 2] = 'a';
    path[PATH_MAX - 1] = 0;
    TRY(access(path, R_OK));
    path[PATH_MAX - 1] = 'a';
    path[PATH_MAX] = 0;
    TRY(access(path, R_OK));
}

static void renames(void) {
    make("x", "x");
    make("y", "y");
    TRY(rename("x", "y"));
    show("y");
    TRY(rename("x", "y"));
    TRY(rename("y", "y"));
    make("x", "x");
    TRY(rename_with("x", "y", no_replace));
    TRY(rename_with("x", "z", no_replace));
    TRY(rename_with("y", "z", exchange));
    show("y");
    show("z");
    TRY(rename_with("y", "none", exchange));
    TRY(mkdir("p", 0755));
    TRY(mkdir("p/q", 0755));
    TRY(mkdir("r", 0755));
    TRY(rename("p", "p/q/r"));
    TRY(rename("p/q", "p"));
    TRY(rename("p", "y"));
    TRY(rename("y", "p"));
    TRY(rename("p", "r"));
    TRY(rename("r/.", "s"));
    TRY(rename("y", "t/"));
    list("r");
    TRY(link("y", "y2"));
    TRY(rename("y", "y2"));
    list(".");
    // What is open goes with its name.
    int directory = open("r", O_RDONLY | O_DIRECTORY);
    TRY(rename("r", "moved"));
    int fd = openat(directory, "inside", O_CREAT | O_RDWR, 0600);
    printf("in a moved directory: %s\n", error(fd));
    list("moved");
    TRY(chdir("moved"));
    TRY(rename("../moved", "../again"));
    char* here = getcwd(NULL, 0);
    printf("here: %s\n", here ? strrchr(here, '/') : strerror(errno));
    make("inside2", "");
    TRY(chdir(".."));
    list("again");
    char name[64], target[PATH_MAX];
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(name, target, sizeof target);
    printf("descriptor: %.*s\n", 13, target + size - 13);
    unlink("again/inside");
    size = readlink(name, target, sizeof target);
    printf("descriptor: %.*s\n", 23, target + size - 23);
    struct stat status;
    fstat(fd, &status);
    printf("links %ld\n", (long)status.st_nlink);
    VALUE(write(fd, "still", 5));
    int second = open(name, O_RDONLY);
    char text[8] = "";
    VALUE(read(second, text, sizeof text));
    printf("again: %s\n", text);
    close(second);
    close(fd);
    unlink("again/inside2");
    rmdir("again/q");
    TRY(rmdir("again"));
    TRY(openat(directory, "x", O_CREAT | O_RDWR, 0600));
    close(directory);
}

static void data(void) {
    int fd = open("data", O_CREAT | O_RDWR | O_TRUNC, 0600);
    VALUE(pwrite(fd, "far", 3, 1000000));
    struct stat status;
    fstat(fd, &status);
    printf("size %ld, blocks %ld\n", (long)status.st_size, (long)status.st_blocks);
    VALUE(lseek(fd, 0, SEEK_DATA));
    VALUE(lseek(fd, 0, SEEK_HOLE));
    VALUE(lseek(fd, 1000001, SEEK_HOLE));
    VALUE(lseek(fd, 1000003, SEEK_DATA));
    VALUE(lseek(fd, -1, SEEK_DATA));
    char text[16] = "xxxxxxxxxxxxxxx";
    VALUE(pread(fd, text, 8, 999998));
    printf("%d %d %.3s\n", text[0], text[1], text + 2);
    VALUE(ftruncate(fd, 1000001));
    VALUE(ftruncate(fd, 1000010));
    VALUE(pread(fd, text, 16, 999999));
    printf("%d %c %d %d\n", text[0], text[1], text[2], text[3]);
    VALUE(pwrite(fd, "x", 1, LONG_MAX));
    VALUE(pwrite(fd, "xx", 2, LONG_MAX - 1));
    VALUE(pwrite(fd, "x", 1, LONG_MAX - 4096));
    fstat(fd, &status);
    printf("size %ld, blocks %ld\n", (long)status.st_size, (long)status.st_blocks);
    VALUE(lseek(fd, 2000000, SEEK_DATA));
    VALUE(ftruncate(fd, LONG_MAX));
    VALUE(lseek(fd, 0, SEEK_END));
    VALUE(lseek(fd, 1, SEEK_END));
    VALUE(ftruncate(fd, -1));
    VALUE(ftruncate(fd, 8192));
    VALUE(pwrite(fd, "0123456789", 10, 4090));
    VALUE(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4092, 6));
    memset(text, 'x', sizeof text);
    VALUE(pread(fd, text, 10, 4090));
    for (int i = 0; i < 10; i++) printf("%d ", text[i]);
    printf("\n");
    VALUE(fallocate(fd, 0, 8192, 10000));
    fstat(fd, &status);
    printf("size %ld, blocks %ld\n", (long)status.st_size, (long)status.st_blocks);
    VALUE(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 40960));
    fstat(fd, &status);
    printf("size %ld, blocks %ld\n", (long)status.st_size, (long)status.st_blocks);
    VALUE(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 10));
    VALUE(fallocate(fd, 0, LONG_MAX, 10));
    VALUE(fallocate(fd, 0, -1, 10));
    VALUE(ftruncate(fd, 0));
    fstat(fd, &status);
    printf("size %ld, blocks %ld\n", (long)status.st_size, (long)status.st_blocks);
    close(fd);

    fd = open("data", O_WRONLY | O_APPEND);
    int other = open("data", O_RDWR);
    VALUE(write(fd, "one", 3));
    VALUE(write(other, "X", 1));
    VALUE(write(fd, "two", 3));
    VALUE(pwrite(fd, "three", 5, 0));
    VALUE(read(fd, text, 1));
    VALUE(lseek(fd, 0, SEEK_CUR));
    show("data");
    close(other);
    other = open("data", O_RDONLY);
    VALUE(write(other, "x", 1));
    VALUE(ftruncate(other, 1));
    VALUE(write(fd, "", 0));
    close(other);
    close(fd);
    TRY(truncate("data", 2));
    TRY(truncate("none", 2));
    TRY(truncate(".", 2));
    show("data");

    // A big one, in pieces that are not pages.
    static char block[10000];
    fd = open("big", O_CREAT | O_RDWR, 0600);
    for (int i = 0; i < 300; i++) {
        memset(block, 'a' + i % 26, sizeof block);
        if (write(fd, block, sizeof block) != sizeof block) printf("write %d: %s\n", i, strerror(errno));
    }
    int wrong = 0;
    for (int i = 0; i < 300; i++) {
        char c = 0;
        if (pread(fd, &c, 1, i * 10000 + 9999) != 1 || c != 'a' + i % 26) ++wrong;
    }
    printf("%d wrong\n", wrong);
    fstat(fd, &status);
    printf("size %ld, blocks %ld\n", (long)status.st_size, (long)status.st_blocks);
    close(fd);
    TRY(unlink("big"));
}

static void attributes(void) {
    make("m", "");
    umask(0);
    TRY(chmod("m", 01640));
    struct stat status;
    stat("m", &status);
    printf("mode %o\n", status.st_mode);
    struct timespec times[2] = {{100, 5}, {200, 7}};
    TRY(utimensat(AT_FDCWD, "m", times, 0));
    stat("m", &status);
    printf("%ld.%ld %ld.%ld\n", (long)status.st_atim.tv_sec, status.st_atim.tv_nsec, (long)status.st_mtim.tv_sec,
           status.st_mtim.tv_nsec);
    times[0].tv_nsec = UTIME_OMIT;
    times[1].tv_sec = 300;
    int fd = open("m", O_RDWR);
    TRY(futimens(fd, times));
    TRY(fchmod(fd, 0600));
    fstat(fd, &status);
    printf("%ld %ld %o\n", (long)status.st_atim.tv_sec, (long)status.st_mtim.tv_sec, status.st_mode);
    VALUE(write(fd, "x", 1));
    fstat(fd, &status);
    printf("modified: %d\n", status.st_mtim.tv_sec > 1000);
    TRY(fchown(fd, -1, -1));
    TRY(fsync(fd));
    TRY(fdatasync(fd));
    close(fd);
    umask(022);
    mkdir("sticky", 01777);
    stat("sticky", &status);
    printf("mode %o\n", status.st_mode);
    TRY(symlink("nothing", "to nothing"));
    int link = open("to nothing", O_PATH | O_NOFOLLOW);
    char target[16] = "";
    struct stat of_link;
    VALUE(readlinkat(link, "", target, sizeof target));
    puts(target);
    VALUE(fstat(link, &of_link) == 0 && S_ISLNK(of_link.st_mode));
    TRY(open("to nothing", O_NOFOLLOW | O_RDONLY));
    TRY(fchmodat(AT_FDCWD, "to nothing", 0600, AT_SYMLINK_NOFOLLOW));
    TRY(unlink("to nothing"));
    TRY(close(link));
    int here = open(".", O_PATH);
    TRY(faccessat(here, "m", R_OK | W_OK, 0));
    TRY(faccessat(here, "n", F_OK, 0));
    fd = openat(here, "m", O_PATH);
    VALUE(read(fd, &status, 1));
    fstat(fd, &status);
    printf("size %ld\n", (long)status.st_size);
    struct statvfs system;
    statvfs(".", &system);
    printf("block %ld, longest name %ld, free %d\n", (long)system.f_bsize, (long)system.f_namemax,
           system.f_bavail > 0 && system.f_bfree <= system.f_blocks);
}

static void unnamed(void) {
    int fd = open(".", O_TMPFILE | O_RDWR, 0600);
    VALUE(write(fd, "unnamed", 7));
    struct stat status;
    fstat(fd, &status);
    printf("links %ld\n", (long)status.st_nlink);
    char name[64];
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    TRY(linkat(AT_FDCWD, name, AT_FDCWD, "named", AT_SYMLINK_FOLLOW));
    show("named");
    close(fd);
    show("named");
    fd = open(".", O_TMPFILE | O_RDWR | O_EXCL, 0600);
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    TRY(linkat(AT_FDCWD, name, AT_FDCWD, "named2", AT_SYMLINK_FOLLOW));
    close(fd);
    TRY(open("named", O_TMPFILE | O_RDWR, 0600));
    TRY(open(".", O_TMPFILE | O_RDONLY, 0600));

    fd = memfd_create("some name", MFD_ALLOW_SEALING | MFD_CLOEXEC);
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    char target[64];
    ssize_t size = readlink(name, target, sizeof target);
    printf("%.*s, flags %x %x\n", (int)size, target, fcntl(fd, F_GETFD), fcntl(fd, F_GETFL));
    VALUE(fcntl(fd, F_GET_SEALS));
    VALUE(write(fd, "0123456789", 10));
    TRY(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK));
    TRY(ftruncate(fd, 5));
    TRY(ftruncate(fd, 20));
    TRY(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW));
    TRY(ftruncate(fd, 21));
    VALUE(pwrite(fd, "xxxx", 4, 18));
    VALUE(pwrite(fd, "xxxx", 4, 20));
    void* map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    TRY(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
    munmap(map, 4096);
    TRY(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SEAL));
    VALUE(pwrite(fd, "x", 1, 0));
    TRY((long)mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == -1 ? -1 : 0);
    TRY(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
    VALUE(fcntl(fd, F_GET_SEALS));
    fstat(fd, &status);
    printf("mode %o, size %ld\n", status.st_mode, (long)status.st_size);
    close(fd);
    fd = memfd_create("x", 0);
    VALUE(fcntl(fd, F_GET_SEALS));
    TRY(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW));
    close(fd);
    TRY(memfd_create("x", 0x1000));
    int pipes[2];
    if (pipe(pipes) == 0) TRY(fcntl(pipes[0], F_GET_SEALS));
}

static void locks(void) {
    make("lock", "0123456789");
    int a = open("lock", O_RDWR), b = open("lock", O_RDWR), r = open("lock", O_RDONLY);
    TRY(flock(a, LOCK_EX | LOCK_NB));
    TRY(flock(b, LOCK_EX | LOCK_NB));
    TRY(flock(r, LOCK_SH | LOCK_NB));
    TRY(flock(a, LOCK_SH | LOCK_NB));
    TRY(flock(r, LOCK_SH | LOCK_NB));
    TRY(flock(a, LOCK_EX | LOCK_NB));
    TRY(flock(r, LOCK_UN));
    TRY(flock(a, LOCK_EX | LOCK_NB));
    int c = dup(a);
    close(a);
    TRY(flock(b, LOCK_SH | LOCK_NB));
    close(c);
    TRY(flock(b, LOCK_SH | LOCK_NB));
    a = open("lock", O_RDWR);
    struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 2, .l_len = 4};
    TRY(fcntl(a, F_SETLK, &range));
    TRY(fcntl(b, F_SETLK, &range));
    TRY(fcntl(r, F_SETLK, &range));
    range.l_type = F_UNLCK;
    TRY(fcntl(b, F_SETLK, &range));
    range.l_type = F_WRLCK;
    TRY(fcntl(a, F_OFD_SETLK, &range));
    TRY(fcntl(b, F_OFD_SETLK, &range));
    range.l_start = 5;
    range.l_len = 0;
    TRY(fcntl(b, F_OFD_GETLK, &range));
    printf("%d %d %ld %ld %d\n", range.l_type, range.l_whence, (long)range.l_start, (long)range.l_len, range.l_pid);
    range = (struct flock){.l_type = F_UNLCK, .l_whence = SEEK_SET, .l_start = 3, .l_len = 1};
    TRY(fcntl(a, F_OFD_SETLK, &range));
    range.l_type = F_WRLCK;
    TRY(fcntl(b, F_OFD_SETLK, &range));
    range.l_len = 2;
    TRY(fcntl(b, F_OFD_SETLK, &range));
    close(a);
    TRY(fcntl(b, F_OFD_SETLK, &range));
}

static void* filled(int fd, size_t size, int protection) {
    void* map = mmap(NULL, size, protection, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED) printf("mmap: %s\n", strerror(errno));
    return map;
}

static void mappings(void) {
    int fd = open("map", O_CREAT | O_RDWR | O_TRUNC, 0600);
    ftruncate(fd, 5 * 4096);
    char* first = filled(fd, 5 * 4096, PROT_READ | PROT_WRITE);
    char* second = filled(fd, 5 * 4096, PROT_READ);
    strcpy(first + 4096, "through a mapping");
    printf("%s\n", second + 4096);
    char text[32] = "";
    VALUE(pread(fd, text, 17, 4096));
    printf("%s\n", text);
    VALUE(pwrite(fd, "THROUGH", 7, 4096));
    printf("%s %s\n", first + 4096, second + 4096);
    VALUE(pread(fd, first + 8192, 17, 4096));  // into a page that nobody has touched
    printf("%s\n", second + 8192);
    VALUE(pwrite(fd, first + 4096, 17, 12288));
    printf("%s\n", second + 12288);
    TRY(mprotect(first, 4096, PROT_READ));
    TRY(mprotect(first, 4096, PROT_READ | PROT_WRITE));
    first[0] = 'f';
    printf("%c\n", second[0]);
    char* private_map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 4096);
    private_map[0] = 't';
    printf("%.7s %.7s\n", private_map, second + 4096);
    TRY(munmap(first + 4096, 4096));
    printf("%s\n", second + 4096);
    TRY(msync(second, 5 * 4096, MS_SYNC));
    close(fd);
    char* moved = mremap(second, 5 * 4096, 8 * 4096, MREMAP_MAYMOVE);
    printf("moved: %s\n", moved == MAP_FAILED ? strerror(errno) : moved + 12288);
    first[2 * 4096] = 'F';
    printf("%s\n", moved + 8192);
    char* twice = mremap(moved, 0, 4096, MREMAP_MAYMOVE);
    printf("twice: %c\n", twice == MAP_FAILED ? '?' : twice[0]);
    TRY(unlink("map"));
    printf("%s\n", moved + 8192);
    TRY(madvise(moved, 4 * 4096, MADV_DONTNEED));
    printf("%s\n", moved + 8192);
    // A hole is zero, and can be written.
    fd = open("hole", O_CREAT | O_RDWR | O_TRUNC, 0600);
    ftruncate(fd, 1 << 20);
    first = filled(fd, 1 << 20, PROT_READ | PROT_WRITE);
    long sum = 0;
    for (int i = 0; i < 1 << 20; i += 4096) sum += first[i];
    first[(1 << 20) - 1] = 'e';
    VALUE(pread(fd, text, 1, (1 << 20) - 1));
    printf("%ld %c\n", sum, text[0]);
    struct stat status;
    fstat(fd, &status);
    printf("blocks %ld\n", (long)status.st_blocks);
    // Shrinking and growing again gives zeros.
    memset(first, 'x', 8192);
    ftruncate(fd, 100);
    ftruncate(fd, 8192);
    printf("%c %d %d\n", first[99], first[100], first[4096]);
    int read_only = open("hole", O_RDONLY);
    TRY((long)mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, read_only, 0) == -1 ? -1 : 0);
    TRY((long)mmap(NULL, 4096, PROT_READ, MAP_SHARED, read_only, 0) == -1 ? -1 : 0);
    int write_only = open("hole", O_WRONLY);
    TRY((long)mmap(NULL, 4096, PROT_READ, MAP_SHARED, write_only, 0) == -1 ? -1 : 0);
    // Over what was there.
    char* place = mmap(NULL, 16384, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char* ring = mmap(place, 8192, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
    char* same = mmap(place + 8192, 8192, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
    ring[5] = 'r';
    same[4097] = 's';
    printf("%d %d %c %c\n", ring == place, same == place + 8192, same[5], ring[4097]);
    char* over = mmap(place, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    printf("%d %c\n", over[5], same[5]);
    over[5] = 'o';
    printf("%c %c\n", over[5], same[5]);
}

int main(void) {
    char directory[] = "/dev/shm/tinykvm-test-XXXXXX";
    if (!mkdtemp(directory) || chdir(directory) != 0) {
        perror(directory);
        return 1;
    }
    umask(022);
    setvbuf(stdout, NULL, _IONBF, 0);
    void (*parts[])(void) = {names, renames, data, attributes, unnamed, locks, mappings};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        printf("--- %zu\n", i);
        parts[i]();
    }
    char command[64];
    chdir("/");
    snprintf(command, sizeof command, "rm -rf %s", directory);
    return getpid() == 2 ? 0 : system(command);  // in a sandbox there are no other programs, and nothing stays
}

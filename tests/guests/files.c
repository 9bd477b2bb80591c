// Reading files, descriptors, directories, pipes, waiting. Argument: the folder `data`.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static const char* error(long result) { return result < 0 ? strerror(errno) : "fine"; }

static int by_name(const void* a, const void* b) { return strcmp(*(char* const*)a, *(char* const*)b); }

static void list(const char* path) {
    DIR* directory = opendir(path);
    if (!directory) {
        printf("opendir %s: %s\n", strrchr(path, '/'), strerror(errno));
        return;
    }
    char* names[64];
    int count = 0;
    struct dirent* entry;
    while ((entry = readdir(directory)) && count < 64) names[count++] = strdup(entry->d_name);
    rewinddir(directory);
    int again = 0;
    while (readdir(directory)) again++;
    closedir(directory);
    qsort(names, count, sizeof names[0], by_name);
    printf("%d entries, %d again:", count, again);
    for (int i = 0; i < count; i++) printf(" %s", names[i]);
    printf("\n");
}

static void descriptors(void) {
    char text[32];
    int fd = open("text", O_RDONLY);
    printf("open: %d\n", fd);
    printf("read %zd\n", read(fd, text, 6));
    int copy = dup(fd);
    printf("dup shares: %ld\n", (long)lseek(copy, 0, SEEK_CUR));
    lseek(copy, 2, SEEK_SET);
    printf("and back: %ld\n", (long)lseek(fd, 0, SEEK_CUR));
    int second = open("text", O_RDONLY);
    printf("open does not: %ld\n", (long)lseek(second, 0, SEEK_CUR));
    printf("end %ld, before: %s\n", (long)lseek(fd, 0, SEEK_END), error(lseek(fd, -1, SEEK_SET)));
    printf("at the end: %zd\n", read(fd, text, sizeof text));
    printf("pread: %zd ", pread(fd, text, 5, 6));
    printf("%.5s\n", text);
    struct iovec parts[3] = {{text, 3}, {text + 3, 0}, {text + 3, 4}};
    lseek(fd, 0, SEEK_SET);
    printf("readv: %zd ", readv(fd, parts, 3));
    printf("%.7s\n", text);
    printf("write: %s\n", error(write(fd, "x", 1)));
    printf("flags %o, ", fcntl(fd, F_GETFL) & (O_ACCMODE | O_APPEND | O_NONBLOCK));
    fcntl(fd, F_SETFL, O_NONBLOCK | O_WRONLY);
    printf("shared %o, ", fcntl(copy, F_GETFL) & (O_ACCMODE | O_APPEND | O_NONBLOCK));
    printf("own %o\n", fcntl(second, F_GETFL) & (O_ACCMODE | O_APPEND | O_NONBLOCK));
    printf("F_DUPFD %d, ", fcntl(fd, F_DUPFD_CLOEXEC, 20));
    printf("close-on-exec %d\n", fcntl(20, F_GETFD));
    printf("dup2 %d, to itself %d, wrong %s\n", dup2(fd, 30), dup2(fd, fd), error(dup2(99, 3)));
    printf("dup3 to itself: %s\n", error(dup3(fd, fd, 0)));
    close(fd);
    printf("still open: %zd\n", pread(30, text, 5, 0));
    printf("closed: %s\n", error(read(fd, text, 1)));
    printf("lowest is reused: %d\n", open("folder/inner", O_RDONLY));
    int more = 0;
    ioctl(fd, FIONREAD, &more);
    printf("FIONREAD %d, TCGETS %s\n", more, error(ioctl(fd, TCGETS, text)));
    printf("close_range: %s\n", error(syscall(SYS_close_range, 3, ~0u, 0)));
    printf("all closed: %d\n", open("text", O_RDONLY));
    close(3);
    printf("close: %s\n", error(close(3)));
}

static void paths(const char* data) {
    char text[PATH_MAX];
    struct stat status;
    const char* names[] = {"text",
                           "folder",
                           "link",
                           "folder_link/inner",
                           "nothing",
                           "text/below",
                           "circle",
                           "dangling",
                           "folder/../text",
                           "./folder//inner",
                           "folder_link/../text",
                           "folder/",
                           "text/"};
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        printf("%s:", names[i]);
        if (stat(names[i], &status) < 0) {
            printf(" stat %s", strerror(errno));
        } else {
            printf(" type %o", status.st_mode >> 12);
            if (S_ISREG(status.st_mode)) printf(", %ld bytes", (long)status.st_size);
        }
        printf("; lstat %s", error(lstat(names[i], &status)));
        printf("; access %s", error(access(names[i], R_OK)));
        ssize_t length = readlink(names[i], text, sizeof text);
        if (length < 0)
            printf("; readlink %s", strerror(errno));
        else
            printf("; readlink %.*s", (int)length, text);
        int fd = open(names[i], O_RDONLY | O_NOFOLLOW);
        printf("; nofollow %s", error(fd));
        if (fd >= 0) close(fd);
        printf("\n");
    }
    printf("realpath: %s\n", error(realpath("folder_link/inner", text) ? 0 : -1));
    printf("of a link: %s\n", !strncmp(text, data, strlen(data)) ? text + strlen(data) : text);
    printf("empty: %s\n", error(stat("", &status)));
    printf("empty with flag: %s, ", error(fstatat(AT_FDCWD, "", &status, AT_EMPTY_PATH)));
    printf("folder %d\n", S_ISDIR(status.st_mode));
    printf("file as folder: %s\n", error(open("text", O_RDONLY | O_DIRECTORY)));
    char longer[PATH_MAX + 10];
    memset(longer, 'a', sizeof longer - 1);
    longer[sizeof longer - 1] = 0;
    printf("too long: %s\n", error(open(longer, O_RDONLY)));

    int folder = open("folder", O_RDONLY | O_DIRECTORY);
    int inner = openat(folder, "inner", O_RDONLY);
    printf("openat: %zd bytes\n", read(inner, text, sizeof text));
    printf("read a folder: %s\n", error(read(folder, text, 1)));
    printf("openat a file: %s\n", error(openat(inner, "x", O_RDONLY)));
    printf("list a file: %s\n", error(syscall(SYS_getdents64, inner, text, sizeof text)));
    printf("fchdir: %s, ", error(fchdir(folder)));
    printf("%d, ", open("inner", O_RDONLY) >= 0);
    printf("%s\n", strrchr(getcwd(text, sizeof text), '/'));
    printf("getcwd of 3: %s\n", error(getcwd(text, 3) ? 0 : -1));
    printf("chdir ..: %s\n", error(chdir("..")));
    printf("chdir to a file: %s\n", error(chdir("text")));
    printf("O_PATH: %s\n", error(read(open("text", O_PATH), text, 1)));
    syscall(SYS_close_range, 3, ~0u, 0);

    FILE* file = fopen("text", "r");
    while (fgets(text, sizeof text, file)) fputs(text, stdout);
    fseek(file, 6, SEEK_SET);
    printf("%c%c\n", getc(file), getc(file));
    fclose(file);
}

static int poll_one(int fd, short events) {
    struct pollfd entry = {fd, events, 0};
    int ready = poll(&entry, 1, 0);
    return ready < 0 ? -errno : ready * 1000 + entry.revents;
}

static void pipes(void) {
    int ends[2], count = 0;
    char text[64];
    printf("pipe2: %s\n", error(pipe2(ends, O_NONBLOCK)));
    printf("empty: %s\n", error(read(ends[0], text, 1)));
    printf("poll %d %d\n", poll_one(ends[0], POLLIN), poll_one(ends[1], POLLOUT));
    printf("write %zd, ", write(ends[1], "abcdef", 6));
    printf("read %zd, ", read(ends[0], text, 4));
    ioctl(ends[0], FIONREAD, &count);
    printf("left %d\n", count);
    fd_set set;
    FD_ZERO(&set);
    FD_SET(ends[0], &set);
    struct timeval now = {0, 0};
    printf("select %d\n", select(ends[0] + 1, &set, NULL, NULL, &now));
    long total = 0;
    static char block[4096];
    ssize_t n;
    while ((n = write(ends[1], block, sizeof block)) > 0) total += n;
    printf("full after %ld: %s, poll %d\n", total / 4096, error(n), poll_one(ends[1], POLLOUT));
    printf("seek: %s\n", error(lseek(ends[0], 0, SEEK_SET)));
    printf("wrong end: %s %s\n", error(read(ends[1], text, 1)), error(write(ends[0], text, 1)));
    struct stat status;
    fstat(ends[0], &status);
    printf("is a pipe: %d\n", S_ISFIFO(status.st_mode));
    close(ends[1]);
    while ((n = read(ends[0], block, sizeof block)) > 0) total -= n;
    printf("drained to %ld, end %zd, poll %d\n", total, n, poll_one(ends[0], POLLIN));
    close(ends[0]);

    signal(SIGPIPE, SIG_IGN);
    printf("pipe: %s\n", error(pipe(ends)));
    close(ends[0]);
    printf("nobody reads: %s, poll %d\n", error(write(ends[1], "x", 1)), poll_one(ends[1], POLLOUT));
    close(ends[1]);
    printf("bad descriptor: %d\n", poll_one(77, POLLIN));

    unsigned long long value = 5;
    int event = eventfd(3, EFD_NONBLOCK);
    printf("event write %zd, ", write(event, &value, sizeof value));
    printf("read %zd: ", read(event, &value, sizeof value));
    printf("%llu, ", value);
    printf("empty: %s\n", error(read(event, &value, sizeof value)));
    printf("too short: %s\n", error(read(event, &value, 4)));
    close(event);
}

static void devices(void) {
    char text[16];
    memset(text, 'x', sizeof text);
    int fd = open("/dev/zero", O_RDWR);
    printf("zero: read %zd, ", read(fd, text, 8));
    printf("write %zd, sum %d\n", write(fd, text, 8), text[0] | text[7]);
    close(fd);
    fd = open("/dev/null", O_WRONLY | O_CREAT | O_TRUNC, 0666);
    struct stat status;
    fstat(fd, &status);
    printf("null: write %zd, device %d\n", write(fd, text, 8), S_ISCHR(status.st_mode));
    close(fd);
    fd = open("/dev/urandom", O_RDONLY);
    memset(text, 0, sizeof text);
    ssize_t got = read(fd, text, sizeof text);
    int sum = 0;
    for (unsigned i = 0; i < sizeof text; i++) sum |= text[i];
    printf("urandom: %zd, something: %d\n", got, sum != 0);
    close(fd);
}

int main(int argc, char** argv) {
    syscall(SYS_close_range, 3, ~0u, 0);  // what a test driver may have left open
    if (argc < 2 || chdir(argv[1]) != 0) {
        puts("no data");
        return 1;
    }
    descriptors();
    paths(argv[1]);
    list(argv[1]);
    list("/nothing/here");
    pipes();
    devices();
    return 0;
}

// Data from file to file without a buffer of the program: sendfile, splice, tee, vmsplice and copy_file_range, and what
// they say of wrong arguments. The argument is a file of some length.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define TRY(call)                                                              \
    do {                                                                       \
        errno = 0;                                                             \
        const long result_ = (long)(call);                                     \
        printf("%s = %ld, errno %d\n", #call, result_, errno);                 \
    } while (0)

static unsigned checksum(const unsigned char *bytes, long size) {
    unsigned sum = 17;
    for (long i = 0; i < size; i++) sum = sum * 31 + bytes[i];
    return sum;
}

// Reads all there is and prints what it was.
static void drain(int fd) {
    static unsigned char bytes[1 << 20];
    long size = 0, got;
    while ((got = read(fd, bytes + size, sizeof bytes - (size_t)size)) > 0) size += got;
    printf("  %ld bytes, sum %x\n", size, checksum(bytes, size));
}

static void *slow_reader(void *of) {
    usleep(20000);
    drain(*(int *)of);
    return NULL;
}

int main(int argc, char **argv) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGPIPE, SIG_IGN);
    const int file = open(argc > 1 ? argv[1] : argv[0], O_RDONLY), folder = open("/proc", O_RDONLY | O_DIRECTORY);
    const int null = open("/dev/null", O_WRONLY), name = open("/proc", O_PATH);
    int a[2], b[2], s[2], d[2];
    if (file < 0 || folder < 0 || null < 0 || pipe2(a, O_NONBLOCK) || pipe2(b, O_NONBLOCK) ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s) || socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, d))
        return 1;
    off_t offset = 5;

    puts("sendfile");
    TRY(sendfile(a[1], file, NULL, 10));
    TRY(lseek(file, 0, SEEK_CUR));
    TRY(sendfile(a[1], file, &offset, 7));
    printf("  offset %ld, position %ld\n", (long)offset, (long)lseek(file, 0, SEEK_CUR));
    drain(a[0]);
    TRY(sendfile(s[0], file, NULL, 100));
    drain(s[1]);
    TRY(sendfile(null, file, &offset, 1000));
    offset = 1 << 30;
    TRY(sendfile(a[1], file, &offset, 100));
    TRY(sendfile(a[1], file, NULL, 0));
    TRY(sendfile(-1, file, NULL, 10));
    TRY(sendfile(a[1], -1, NULL, 10));
    TRY(sendfile(a[0], file, NULL, 10));
    TRY(sendfile(a[1], a[1], NULL, 10));
    TRY(sendfile(file, file, NULL, 10));
    TRY(sendfile(null, a[0], NULL, 10));
    TRY(sendfile(a[1], folder, NULL, 10));
    TRY(sendfile(a[1], name, NULL, 10));
    TRY(sendfile(a[1], s[0], NULL, 10));
    TRY(syscall(SYS_sendfile, a[1], file, 1, 10));
    TRY(sendfile(a[1], a[0], &offset, 10));
    offset = -1;
    TRY(sendfile(a[1], file, &offset, 10));

    puts("splice");
    offset = 3;
    TRY(splice(file, &offset, a[1], NULL, 20, 0));
    printf("  offset %ld\n", (long)offset);
    TRY(splice(a[0], NULL, b[1], NULL, 8, 0));
    drain(b[0]);
    TRY(splice(a[0], NULL, s[0], NULL, 100, 0));
    drain(s[1]);
    TRY(splice(a[0], NULL, b[1], NULL, 8, 0));
    TRY(splice(a[0], NULL, null, NULL, 8, SPLICE_F_NONBLOCK));
    TRY(write(s[0], "socket", 6));
    TRY(splice(s[1], NULL, a[1], NULL, 100, 0));
    drain(a[0]);
    TRY(splice(file, &offset, s[0], NULL, 10, 0));
    TRY(splice(a[0], &offset, b[1], NULL, 10, 0));
    TRY(splice(file, NULL, a[1], &offset, 10, 0));
    TRY(splice(a[0], NULL, a[1], NULL, 10, 0));
    TRY(splice(-1, NULL, a[1], NULL, 10, 0));
    TRY(splice(-1, NULL, a[1], NULL, 0, 0));
    TRY(splice(file, NULL, a[1], NULL, 10, 0x100));
    TRY(splice(folder, NULL, a[1], NULL, 10, 0));
    TRY(splice(a[1], NULL, b[1], NULL, 10, 0));
    TRY(syscall(SYS_splice, file, 1, a[1], NULL, 10, 0));

    puts("tee");
    TRY(write(a[1], "abcdefgh", 8));
    TRY(tee(a[0], b[1], 5, 0));
    drain(b[0]);
    TRY(tee(a[0], b[1], 100, 0));
    drain(a[0]);
    drain(b[0]);
    TRY(tee(a[0], b[1], 100, 0));
    TRY(tee(a[0], a[1], 100, 0));
    TRY(tee(file, a[1], 100, 0));
    TRY(tee(-1, a[1], 0, 0));
    TRY(tee(a[0], b[1], 5, 0x100));

    puts("vmsplice");
    char text[16] = "some bytes";
    struct iovec range = {text, 10};
    TRY(vmsplice(a[1], &range, 1, 0));
    char taken[16] = "";
    range.iov_base = taken;
    TRY(vmsplice(a[0], &range, 1, 0));
    printf("  %s\n", taken);
    TRY(vmsplice(file, &range, 1, 0));
    TRY(vmsplice(a[1], &range, 1, 0x100));

    puts("copy_file_range");
    TRY(copy_file_range(file, NULL, a[1], NULL, 10, 0));
    TRY(copy_file_range(a[0], NULL, a[1], NULL, 10, 0));
    TRY(copy_file_range(folder, NULL, null, NULL, 10, 0));
    TRY(copy_file_range(-1, NULL, null, NULL, 10, 0));
    TRY(copy_file_range(file, NULL, file, NULL, 10, 1));
    TRY(copy_file_range(file, NULL, file, NULL, 10, 0));

    puts("readahead");
    TRY(readahead(file, 0, 100));
    TRY(readahead(a[0], 0, 100));
    TRY(readahead(a[1], 0, 100));
    TRY(readahead(-1, 0, 100));

    puts("pipes");
    TRY(fcntl(a[0], F_GETPIPE_SZ));
    TRY(fcntl(a[0], F_SETPIPE_SZ, 4000));
    TRY(fcntl(a[1], F_SETPIPE_SZ, 5000));
    TRY(write(a[1], "x", 1));
    TRY(fcntl(a[1], F_SETPIPE_SZ, 0));
    TRY(fcntl(a[1], F_SETPIPE_SZ, 0x80000001u));
    TRY(fcntl(file, F_SETPIPE_SZ, 4096));
    TRY(fcntl(file, F_GETOWN));
    TRY(fcntl(a[0], F_SETOWN, getpid()));
    TRY(fcntl(a[0], F_GETOWN) == getpid());
    TRY(fcntl(a[0], F_SETOWN, 3999999));
    drain(a[0]);

    puts("waiting");
    int w[2];
    pthread_t thread;
    if (pipe(w)) return 1;
    pthread_create(&thread, NULL, slow_reader, &w[0]);
    offset = 0;
    long sent = 0, more;
    while (sent < 500000 && (more = sendfile(w[1], file, &offset, 500000 - (size_t)sent)) > 0) sent += more;
    close(w[1]);
    pthread_join(thread, NULL);
    printf("  sent %ld\n", sent);
    close(a[0]);
    offset = 0;
    TRY(sendfile(a[1], file, &offset, 10));
    close(b[1]);
    TRY(splice(b[0], NULL, null, NULL, 10, 0));
    return 0;
}

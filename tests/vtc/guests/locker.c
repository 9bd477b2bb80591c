/* Takes a lock of /data/file, and answers with what was locked before: "free", or "locked". The argument says how:
 *   record, whole   answers at once, with the lock (fcntl, flock)
 *   stream          the same, in two pieces
 *   crash           does not answer
 *   look            takes none */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "kvm_api.h"

static struct streaming_content piece(void *answer, size_t max, size_t written, size_t total)
{
    (void)max;
    (void)total;
    return (struct streaming_content){(char *)answer + written, 2};
}

static void on_get(const char *url, const char *arg)
{
    (void)url;
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    const int fd = open("/data/file", O_RDWR);
    if (fd < 0 || fcntl(fd, F_GETLK, &lock) != 0)
        backend_response_str(500, "text/plain", "no lock to be had");
    const char *answer = lock.l_type == F_UNLCK ? "free" : "locked";
    if (flock(fd, LOCK_EX | LOCK_NB) != 0)
        answer = "locked";
    else
        flock(fd, LOCK_UN);
    lock.l_type = F_WRLCK;
    if (strcmp(arg, "whole") == 0)
        flock(fd, LOCK_EX);
    else if (strcmp(arg, "look") != 0)
        fcntl(fd, F_SETLK, &lock);
    if (strcmp(arg, "crash") == 0)
        *(volatile int *)0 = 1;
    if (strcmp(arg, "stream") == 0)
        begin_streaming_response(200, "text/plain", 10, 4, piece, answer);
    backend_response_str(200, "text/plain", answer);
}

int main(void)
{
    set_backend_get(on_get);
    wait_for_requests();
}

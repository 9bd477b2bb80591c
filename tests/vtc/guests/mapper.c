/* SPDX-License-Identifier: BSD-2-Clause
 * Maps /file: while it boots, and again in each request, in which it also writes to it. Answers with its size, its first
 * bytes as mapped in main() and as mapped now, or with "error N". */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kvm_api.h"

static char *early;

static char *map(size_t *size)
{
    struct stat status;
    const int fd = open("/file", O_RDONLY);
    if (fd < 0 || fstat(fd, &status) != 0)
        return MAP_FAILED;
    *size = (size_t)status.st_size;
    char *p = mmap(NULL, *size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    close(fd);
    return p;
}

static void on_get(const char *url, const char *arg)
{
    char text[128];
    size_t size = 0;
    unsigned long sum = 0;
    (void)url;
    (void)arg;
    char *late = map(&size);
    if (late == MAP_FAILED) {
        snprintf(text, sizeof text, "error %d", errno);
    } else {
        for (size_t i = 0; i < size; i += 4096)
            sum += (unsigned char)late[i];
        snprintf(text, sizeof text, "%zu %.3s %.3s %lu", size, early, late, sum);
        late[0] = early[1] = 'X';
    }
    backend_response_str(200, "text/plain", text);
}

int main(void)
{
    size_t size;
    early = map(&size);
    if (early == MAP_FAILED)
        return 1;
    set_backend_get(on_get);
    wait_for_requests();
}

// A program that has files in memory when it is frozen, and does to them what requests do.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "host_call.h"

enum { page = 4096, pages = 8 };

static int kept, orphan;
static char* map;  // shared, of /dev/shm/shared; its last page is a hole
static char block[1 << 16];

static uint64_t mix(uint64_t hash, const void* bytes, size_t size) {
    const unsigned char* at = bytes;
    while (size--) hash = (hash ^ *at++) * 0x100000001b3;
    return hash;
}

static uint64_t mix_file(uint64_t hash, int fd) {
    struct stat status;
    if (fstat(fd, &status) != 0) return hash ^ 1;
    hash = mix(hash, &status.st_size, sizeof status.st_size);
    hash = mix(hash, &status.st_mode, sizeof status.st_mode);
    hash = mix(hash, &status.st_nlink, sizeof status.st_nlink);
    hash = mix(hash, &status.st_mtim, sizeof status.st_mtim);
    hash = mix(hash, &status.st_blocks, sizeof status.st_blocks);
    ssize_t got;
    for (off_t at = 0; (got = pread(fd, block, sizeof block, at)) > 0; at += got) hash = mix(hash, block, (size_t)got);
    return hash;
}

static uint64_t mix_directory(uint64_t hash, const char* path) {
    DIR* directory = opendir(path);
    if (!directory) return hash ^ 2;
    for (struct dirent* entry; (entry = readdir(directory));) {
        hash = mix(hash, entry->d_name, strlen(entry->d_name));
        if (entry->d_type != DT_REG) continue;
        int fd = openat(dirfd(directory), entry->d_name, O_RDONLY);
        hash = mix_file(hash, fd);
        close(fd);
    }
    closedir(directory);
    return hash;
}

// Everything that a program can see of its files.
static void digest(void) {
    uint64_t hash = mix_directory(mix_directory(mix_directory(1, "/tmp"), "/tmp/folder"), "/dev/shm");
    off_t position = lseek(kept, 0, SEEK_CUR);
    hash = mix(hash, &position, sizeof position);
    hash = mix_file(mix_file(hash, kept), orphan);
    answer(mix(hash, map, (pages - 1) * page));
}

static void spoil(uint64_t how) {
    int fd = open("/tmp/new", O_CREAT | O_RDWR, 0600);
    memset(block, 'n', sizeof block);
    switch (how) {
        case 0: pwrite(kept, "spoilt", 6, 100); break;
        case 1: ftruncate(kept, 10); break;
        case 2:
            unlink("/tmp/kept");
            write(fd, block, sizeof block);
            break;
        case 3: rename("/tmp/folder/inside", "/tmp/kept"); break;
        case 4: memset(map, 's', pages * page); break;
        case 5: munmap(map, pages * page); break;
        case 6: ftruncate(open("/dev/shm/shared", O_RDWR), page); break;
        case 7:
            mmap(map, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED
                ? (void)0
                : (void)memset(map, 'a', page);
            break;
        case 8: mprotect(map, pages * page, PROT_READ); break;
        case 9:
            close(orphan);
            pwrite(fd, block, sizeof block, 0);
            break;
        case 10: {
            char* other = mmap(NULL, 16 * page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
            ftruncate(fd, 16 * page);
            memset(other, 'o', 16 * page);
            break;
        }
        case 11:
            fallocate(kept, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, page, page);
            flock(kept, LOCK_EX);
            break;
        case 12:
            unlink("/dev/shm/shared");
            munmap(map, pages * page);
            write(fd, block, sizeof block);
            break;
        case 13: symlink("x", "/tmp/link"), mkdir("/tmp/more", 0700), link("/tmp/kept", "/tmp/more/linked"); break;
    }
    answer(fd >= 0);
}

// Writes until there is no room; the bytes, or the error that was not ENOSPC.
static void fill(void) {
    int fd = open("/tmp/full", O_CREAT | O_WRONLY, 0600);
    uint64_t all = 0;
    memset(block, 'f', sizeof block);
    for (ssize_t got; (got = write(fd, block, sizeof block)) > 0;) all += (uint64_t)got;
    answer(errno == ENOSPC ? all : (uint64_t)errno);
}

static void available(void) {
    struct statvfs system;
    answer(statvfs("/tmp", &system) == 0 ? system.f_bavail * system.f_frsize : 1);
}

// Makes so many empty files; how many there was room for.
static void many(uint64_t count) {
    uint64_t made = 0;
    for (char name[32]; made < count; made++) {
        snprintf(name, sizeof name, "/tmp/%lu", (unsigned long)made);
        int fd = open(name, O_CREAT | O_WRONLY, 0600);
        if (fd < 0) break;
        close(fd);
    }
    answer(made);
}

// Is what a request finds in pages that it has not written zero?
static void zeros(void) {
    int fd = open("/tmp/zeros", O_CREAT | O_RDWR, 0600);
    uint64_t wrong = 0;
    ftruncate(fd, 4 << 20);
    char* all = mmap(NULL, 4 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    for (size_t i = 0; i < 4 << 20; i += 64) wrong += all[i] != 0;
    answer(wrong);
}

int main(void) {
    memset(block, 'k', sizeof block);
    kept = open("/tmp/kept", O_CREAT | O_RDWR, 0644);
    write(kept, block, 3 * page + 5);
    lseek(kept, 17, SEEK_SET);
    mkdir("/tmp/folder", 0755);
    int inside = open("/tmp/folder/inside", O_CREAT | O_RDWR, 0600);
    write(inside, "inside", 6);
    close(inside);
    orphan = open("/tmp", O_TMPFILE | O_RDWR, 0600);
    write(orphan, block, 2 * page);
    int shared = open("/dev/shm/shared", O_CREAT | O_RDWR, 0600);
    ftruncate(shared, pages * page);
    map = mmap(NULL, pages * page, PROT_READ | PROT_WRITE, MAP_SHARED, shared, 0);
    close(shared);
    memset(map, 'm', (pages - 1) * page);
    offer("digest", digest);
    offer("spoil", spoil);
    offer("fill", fill);
    offer("available", available);
    offer("many", many);
    offer("zeros", zeros);
    for (;;) host_call(CALL_WAIT, 0, 0);
}

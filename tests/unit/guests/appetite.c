#define _GNU_SOURCE
// A guest that takes memory and gives it back in every way there is: what the tests of memory limits need.
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "host_call.h"

enum { page = 4096, heap_pages = 32768, most_mappings = 16 };

// Zero when the program is frozen: requests that write to it change pages of the program.
static char *heap;

struct mapping {
    char *begin;
    uint64_t pages;
};
static struct mapping mappings[most_mappings];
static int mapping_count;

static void fill(char *at, uint64_t pages, char value) {
    for (uint64_t i = 0; i < pages; ++i) *(volatile char *)(at + i * page) = value;
}
static char *map(char *at, uint64_t pages) {
    return mmap(at, pages * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | (at ? MAP_FIXED : 0), -1, 0);
}

// One step of a request; false when the system refuses it.
static int step(uint64_t kind, uint64_t pages) {
    struct mapping *last = &mappings[mapping_count > 0 ? mapping_count - 1 : 0];
    char *const end = last->begin + last->pages * page, *const from = end - pages * page;
    switch (kind) {
    case 1:  // takes a new mapping
        last = &mappings[mapping_count++];
        *last = (struct mapping){map(0, pages), pages};
        if (last->begin == MAP_FAILED) return 0;
        fill(last->begin, pages, 1);
        return 1;
    case 2:  // gives back the end of the last one
        last->pages -= pages;
        return munmap(from, pages * page) == 0;
    case 3: return madvise(from, pages * page, MADV_DONTNEED) == 0;
    case 4: return map(from, pages) == from;
    case 5:
        last->pages -= pages;
        return mremap(last->begin, (last->pages + pages) * page, last->pages * page, 0) == last->begin;
    case 6: {  // the heap of the C library's kind
        char *const at = sbrk((intptr_t)(pages * page));
        if (at == (void *)-1) return 0;
        fill(at, pages, 1);
        return 1;
    }
    case 7: return sbrk(-(intptr_t)(pages * page)) != (void *)-1;
    case 8: fill(heap, pages, 1); return 1;
    case 9: fill(heap, pages, 0); return 1;                          // as it was, without a system call
    case 10: fill(heap + (heap_pages - pages) * page, pages, 1); return 1;  // other pages than 8
    case 11: return madvise(heap, pages * page, MADV_DONTNEED) == 0;
    case 12: {  // moves the last one
        char *const moved = mremap(last->begin, last->pages * page, (last->pages + pages) * page, MREMAP_MAYMOVE);
        if (moved == MAP_FAILED) return 0;
        *last = (struct mapping){moved, last->pages + pages};
        return 1;
    }
    default: return 0;
    }
}

// Each argument is a step: its kind, and from bit 32 on how many pages. Answers how many went well.
static void eat(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f) {
    const uint64_t steps[] = {a, b, c, d, e, f};
    uint64_t done = 0;
    while (done < 6 && steps[done] != 0 && step(steps[done] & 0xFFFFFFFF, steps[done] >> 32)) ++done;
    answer(done);
}

// Writes, without a call, to what there is and more.
static void gorge(uint64_t begin, uint64_t pages) {
    if (begin == 0) begin = (uint64_t)map(0, pages);
    fill((char *)begin, pages, 1);
    answer(pages);
}
static void gorge_in_heap(void) {
    fill(heap, heap_pages, 1);
    answer(heap_pages);
}
// Writes more than the limit for a moment, without leaving the guest.
static void gorge_and_wipe(uint64_t pages) {
    fill(heap, pages, 1);
    fill(heap, pages, 0);
    answer(pages);
}

int main(void) {
#define OFFER(function) offer(#function, function)
    OFFER(eat);
    OFFER(gorge);
    OFFER(gorge_in_heap);
    OFFER(gorge_and_wipe);
    heap = map(0, heap_pages);
    fill(heap, 64, 0);
    host_call(CALL_WAIT, 0, 0);
    answer(0);
    return 0;
}

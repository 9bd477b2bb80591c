// The program `tinykvm bench` measures: waits for requests, answers each with a constant, and on request touches
// memory first. Needs no C library.
#include "kvm_api.h"

enum { page = 4096, most_pages = 1024 };
static char memory[most_pages * page] __attribute__((aligned(4096)));
static const char type[] = "text/plain", body[] = "Hello";

// In the place of the URL is the number of pages to write to.
static void on_get(const char* pages, const char* unused) {
    (void)unused;
    for (unsigned long i = 0; i < (unsigned long)pages && i < most_pages; i++) {
        ((volatile char*)memory)[i * page]++;
    }
    backend_response(200, type, sizeof(type) - 1, body, sizeof(body) - 1);
}

__attribute__((used, noreturn)) static void begin(void) {
    set_backend_get(on_get);
    wait_for_requests();
}

// The stack pointer is a multiple of 16 here, and C wants it so before a call.
__asm__(".globl _start\n_start: call begin\n");

// SPDX-License-Identifier: BSD-2-Clause
// What libtesseract, compiled by GCC, calls of OpenMP's runtime library to run a piece of work on several threads. A
// request has one CPU. On one thread the runtime library's own functions make a system call for each of thousands of
// pieces, to wake threads that there are none of; these, which the dynamic linker finds first, make none.

namespace {

// Of the sections of a piece of work: the next one, counted from 1, and how many there are.
unsigned next_section = 0, sections = 0;

}  // namespace

extern "C" {

void GOMP_parallel(void (*work)(void*), void* data, unsigned, unsigned) { work(data); }

void GOMP_parallel_sections(void (*work)(void*), void* data, unsigned, unsigned count, unsigned) {
    const unsigned outer_next = next_section, outer_sections = sections;
    next_section = 1;
    sections = count;
    work(data);
    next_section = outer_next;
    sections = outer_sections;
}

unsigned GOMP_sections_next() { return next_section <= sections ? next_section++ : 0; }

void GOMP_sections_end_nowait() {}
}

// SPDX-License-Identifier: BSD-2-Clause
// What the programs of the gallery do about their memory before they are frozen.
#pragma once

#include <malloc.h>

#include <climits>
#include <cstddef>
#include <cstdlib>

// Makes malloc() of glibc take its memory from the heap only, and the heap so large that requests need no more. What a
// request maps or adds to the heap is new to its VM each time, and each page of it costs a fault; what is in the heap
// when the program is frozen stays in the VM, made equal again. Nothing is touched here, so it takes no memory.
inline void keep_heap(std::size_t size = std::size_t{64} << 20) {
    mallopt(M_MMAP_MAX, 0);
    mallopt(M_TRIM_THRESHOLD, INT_MAX);
    // Else the compiler leaves both calls out.
    void* volatile room = std::malloc(size);
    std::free(room);
}

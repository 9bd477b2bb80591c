/* SPDX-License-Identifier: BSD-2-Clause
 * One bare KVM_RUN from the threads of Varnish: the least that a guest can add to a request, whoever runs it. */
#pragma once

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Enters a guest that leaves at once. There are as many guests as are entered at a time at most; any thread may call.
 * 0; or -1 and the reason in `why`, which has room for `size` bytes. */
int answered_enter_bare_guest(char* why, size_t size);

#ifdef __cplusplus
}
#endif

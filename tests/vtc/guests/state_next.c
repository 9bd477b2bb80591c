/* SPDX-License-Identifier: BSD-2-Clause
 * The next version of state.c. */
#include "state.c"
/* So that it is another file. */
const char version_of_state[] __attribute__((used)) = "next";

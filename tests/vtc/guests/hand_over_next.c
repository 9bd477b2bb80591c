/* SPDX-License-Identifier: BSD-2-Clause
 * The next version of hand_over.c. */
#define VERSION 2
#include "hand_over.c"

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* pool.h - the threads of the process that work is spread over */
#ifndef PL_POOL_H
#define PL_POOL_H

#include <stdbool.h>
#include <stddef.h>

/* Processors this process may run on. */
unsigned pl_nr_processors(void);

/*
 * Run fn(closure, 0) ... fn(closure, n - 1) on the calling thread and on idle pool
 * threads, and return when all are done.  A call from inside a pool thread runs
 * everything on that thread, so nesting neither deadlocks nor multiplies threads.
 */
void pl_parallel(size_t n, void (*fn)(void *closure, size_t index), void *closure);

/* True on a thread that already works for somebody: more threads would not help it. */
bool pl_on_worker(void);

/* Mark the calling thread as one, until it is marked as none. */
void pl_set_on_worker(bool on);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* per-thread.h - what each thread keeps between calls, freed when the thread ends */
#ifndef PL_PER_THREAD_H
#define PL_PER_THREAD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/* One kind of it.  A static variable, filled in with PL_PER_THREAD_INIT(). */
struct pl_per_thread {
	size_t size;
	void (*free)(void *kept); /* what it holds, and itself with free() */
	pthread_mutex_t lock;     /* of making the key */
	pthread_key_t key;
	atomic_bool has_key;
};
#define PL_PER_THREAD_INIT(type, free_fn)                                                  \
	{                                                                                  \
		.size = sizeof(type), .free = (free_fn), .lock = PTHREAD_MUTEX_INITIALIZER \
	}

/* The calling thread's own, zeroed when it is new; NULL when memory is out. */
void *pl_per_thread_get(struct pl_per_thread *kind);

#endif

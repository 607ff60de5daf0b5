/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "per-thread.h"

#include <stdlib.h>

static bool
make_key(struct pl_per_thread *kind)
{
	bool made;

	pthread_mutex_lock(&kind->lock);
	made = atomic_load(&kind->has_key) || pthread_key_create(&kind->key, kind->free) == 0;
	atomic_store(&kind->has_key, made);
	pthread_mutex_unlock(&kind->lock);
	return made;
}

void *
pl_per_thread_get(struct pl_per_thread *kind)
{
	void *kept;

	if (!atomic_load_explicit(&kind->has_key, memory_order_acquire) && !make_key(kind))
		return NULL;
	kept = pthread_getspecific(kind->key);
	if (kept)
		return kept;
	kept = calloc(1, kind->size);
	if (kept && pthread_setspecific(kind->key, kept)) {
		free(kept);
		return NULL;
	}
	return kept;
}

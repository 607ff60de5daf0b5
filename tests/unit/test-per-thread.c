/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test-per-thread.c - what each thread keeps between calls */
#include <stdlib.h>

#include "bytes.h"
#include "per-thread.h"
#include "test.h"

struct kept {
	int used;
};

static atomic_uint freed;

static void
free_kept(void *kept)
{
	atomic_fetch_add(&freed, 1);
	free(kept);
}

static struct pl_per_thread kind = PL_PER_THREAD_INIT(struct kept, free_kept);
static pthread_barrier_t all_have_one;

static void *
use_it(void *closure)
{
	struct kept *kept = pl_per_thread_get(&kind), **ret = closure;

	*ret = kept && !kept->used++ && pl_per_thread_get(&kind) == kept ? kept : NULL;
	pthread_barrier_wait(&all_have_one);
	return NULL;
}

TEST(each_thread_has_one_of_its_own_until_it_ends)
{
	struct kept *kept[8];
	pthread_t threads[8];

	pthread_barrier_init(&all_have_one, NULL, ARRAY_SIZE(threads));
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		EXPECT_EQ(pthread_create(&threads[i], NULL, use_it, &kept[i]), 0);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
		EXPECT(kept[i]);
		for (size_t j = 0; j < i; j++)
			EXPECT(kept[i] != kept[j]);
	}
	EXPECT_EQ(atomic_load(&freed), ARRAY_SIZE(threads));
	pthread_barrier_destroy(&all_have_one);
}

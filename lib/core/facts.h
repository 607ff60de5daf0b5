/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * facts.h - how a driver tells its particulars
 *
 * A driver's describe() adds facts in the order people should read them.  Memory for
 * everything comes from the arena `a`, so a description is freed in one go.
 */
#ifndef PL_FACTS_H
#define PL_FACTS_H

#include <platter/describe.h>

#include "error.h"

/* Memory that is freed all at once.  Start from {0}. */
struct pl_arena {
	struct pl_arena_block *blocks;
	bool failed; /* an allocation failed: the result is not whole */
};
void *pl_arena_alloc(struct pl_arena *a, size_t n); /* zeroed; NULL sets a->failed */
char *pl_arena_strdup(struct pl_arena *a, const char *text);
char *pl_arena_format(struct pl_arena *a, const char *format, ...) PL_PRINTF(2, 3);
/* A copy of `text` in the arena, and free(text); NULL becomes "". */
char *pl_arena_take(struct pl_arena *a, char *text);
void pl_arena_done(struct pl_arena *a);

struct pl_facts {
	struct pl_arena *arena;
	struct platter_facts list;
	size_t facts_capacity, warnings_capacity;
};

/* `key` and `label` must outlive the description: string literals. */
void pl_fact_text(struct pl_facts *f, const char *key, const char *label, const char *format, ...)
	PL_PRINTF(4, 5);
void pl_fact_number(struct pl_facts *f, const char *key, const char *label, uint64_t number);
void pl_fact_size(struct pl_facts *f, const char *key, const char *label, uint64_t bytes);
void pl_fact_flag(struct pl_facts *f, const char *key, const char *label, bool flag);
void pl_fact_time(struct pl_facts *f, const char *key, const char *label, int64_t unix_seconds);
void pl_warn(struct pl_facts *f, const char *format, ...) PL_PRINTF(2, 3);

#endif

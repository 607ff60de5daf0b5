/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "facts.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "text.h"

struct pl_arena_block {
	struct pl_arena_block *link;
	alignas(16) uint8_t bytes[];
};

void *
pl_arena_alloc(struct pl_arena *a, size_t n)
{
	struct pl_arena_block *b = NULL;

	if (n <= SIZE_MAX / 2)
		b = calloc(1, sizeof *b + n);
	if (!b) {
		a->failed = true;
		return NULL;
	}
	b->link = a->blocks;
	a->blocks = b;
	return b->bytes;
}

char *
pl_arena_strdup(struct pl_arena *a, const char *text)
{
	size_t n = strlen(text) + 1;
	char *copy = pl_arena_alloc(a, n);

	if (copy)
		memcpy(copy, text, n);
	return copy;
}

char *
pl_arena_take(struct pl_arena *a, char *text)
{
	char *copy = pl_arena_strdup(a, text ? text : "");

	free(text);
	return copy;
}

char *
pl_arena_format(struct pl_arena *a, const char *format, ...)
{
	struct pl_str s = { 0 };
	va_list args;

	va_start(args, format);
	pl_str_vaddf(&s, format, args);
	va_end(args);
	return pl_arena_take(a, s.text);
}

void
pl_arena_done(struct pl_arena *a)
{
	while (a->blocks) {
		struct pl_arena_block *b = a->blocks;

		a->blocks = b->link;
		free(b);
	}
}

/* Room for one more element of `size` bytes in an array of the arena, or NULL. */
static void *
grow(struct pl_arena *a, const void *array, size_t nr, size_t *capacity, size_t size)
{
	void *bigger;

	if (nr < *capacity)
		return (void *)(uintptr_t)array;
	bigger = pl_arena_alloc(a, (nr + 8) * 2 * size);
	if (!bigger)
		return NULL;
	if (nr)
		memcpy(bigger, array, nr * size);
	*capacity = (nr + 8) * 2;
	return bigger;
}

static void
add_fact(struct pl_facts *f, const struct platter_fact *fact)
{
	struct platter_fact *array =
		grow(f->arena, f->list.facts, f->list.nr_facts, &f->facts_capacity, sizeof *array);

	if (!array)
		return;
	array[f->list.nr_facts++] = *fact;
	f->list.facts = array;
}

void
pl_fact_text(struct pl_facts *f, const char *key, const char *label, const char *format, ...)
{
	struct pl_str s = { 0 };
	va_list args;
	char *text;

	va_start(args, format);
	pl_str_vaddf(&s, format, args);
	va_end(args);
	text = pl_text_from_bytes(s.text ? s.text : "", s.length);
	pl_str_done(&s);
	add_fact(f, &(struct platter_fact){ .key = key,
					    .label = label,
					    .type = PLATTER_FACT_TEXT,
					    .text = pl_arena_take(f->arena, text) });
}

static void
add_number(struct pl_facts *f, const char *key, const char *label, enum platter_fact_type type,
	   uint64_t number)
{
	add_fact(f,
		 &(struct platter_fact){
			 .key = key, .label = label, .type = type, .text = "", .number = number });
}

void
pl_fact_number(struct pl_facts *f, const char *key, const char *label, uint64_t number)
{
	add_number(f, key, label, PLATTER_FACT_NUMBER, number);
}

void
pl_fact_size(struct pl_facts *f, const char *key, const char *label, uint64_t bytes)
{
	add_number(f, key, label, PLATTER_FACT_SIZE, bytes);
}

void
pl_fact_flag(struct pl_facts *f, const char *key, const char *label, bool flag)
{
	add_number(f, key, label, PLATTER_FACT_FLAG, flag);
}

void
pl_fact_time(struct pl_facts *f, const char *key, const char *label, int64_t unix_seconds)
{
	add_number(f, key, label, PLATTER_FACT_TIME, (uint64_t)unix_seconds);
}

void
pl_warn(struct pl_facts *f, const char *format, ...)
{
	const char **array;
	struct pl_str s = { 0 };
	va_list args;

	va_start(args, format);
	pl_str_vaddf(&s, format, args);
	va_end(args);
	array = grow(f->arena, f->list.warnings, f->list.nr_warnings, &f->warnings_capacity,
		     sizeof *array);
	if (!array) {
		pl_str_done(&s);
		return;
	}
	array[f->list.nr_warnings++] = pl_arena_take(f->arena, s.text);
	f->list.warnings = array;
}

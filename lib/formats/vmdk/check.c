/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * check.c - is what the sparse extents of a VMDK disk say of themselves consistent?
 *
 * Every grain table is read, compared with its copy, and its grains are looked for in the
 * file.  Nothing may lie on anything else there.
 */
#include <stdarg.h>
#include <stdio.h>

#include "vmdk.h"

/* 256 MiB of memory; 1 TiB stored in grains of 64 KiB. */
#define MAX_SPANS (UINT64_C(1) << 24)

/* Bytes of the file that something takes. */
struct span {
	uint64_t start, length;
	bool grain; /* else metadata */
};

struct check {
	struct vmdk *image;
	struct vmdk_sparse *s;
	struct pl_findings *findings;
	struct span *spans;
	size_t nr_spans, room;
	bool incomplete; /* there were too many for all of them */
};

static void PL_PRINTF(4, 5)
	found(struct check *c, enum platter_severity severity, uint64_t at, const char *format, ...)
{
	char message[400];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof message, format, args);
	va_end(args);
	if (c->image->nr_files > 1)
		pl_found(c->findings, severity, at, "'%s': %s", c->s->file->name, message);
	else
		pl_found(c->findings, severity, at, "%s", message);
}

static void
damage_from(struct check *c, const struct platter_error *err)
{
	found(c, PLATTER_DAMAGE, err->offset, "%s", err->message);
}

static int
add_span(struct check *c, uint64_t start, uint64_t length, bool grain, struct platter_error *err)
{
	if (!length || c->incomplete)
		return 0;
	if (c->nr_spans == MAX_SPANS) {
		c->incomplete = true;
		return 0;
	}
	if (c->nr_spans == c->room) {
		size_t room = c->room ? c->room * 2 : 64;
		struct span *spans = pl_realloc_array(c->spans, room, sizeof *spans);

		if (!spans)
			return pl_no_memory(err);
		c->spans = spans;
		c->room = room;
	}
	c->spans[c->nr_spans++] = (struct span){ start, length, grain };
	return 0;
}

static int
compare_spans(const void *a, const void *b)
{
	const struct span *x = a, *y = b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return x->grain - y->grain;
}

static void
check_overlaps(struct check *c)
{
	size_t last = 0;

	if (c->incomplete) {
		found(c, PLATTER_NOTE, PLATTER_NO_OFFSET,
		      "it has too many grains to look for those that lie on each other");
		return;
	}
	if (c->nr_spans)
		qsort(c->spans, c->nr_spans, sizeof *c->spans, compare_spans);
	for (size_t i = 1; i < c->nr_spans; i++) {
		/* The one of those before that reaches furthest. */
		const struct span *a = &c->spans[last], *b = &c->spans[i];

		if (b->start - a->start < a->length)
			found(c, PLATTER_DAMAGE, b->start,
			      "a %s at byte %" PRIu64 " lies on the %s at byte %" PRIu64,
			      b->grain ? "grain" : "table", b->start,
			      a->grain ? "grain" : "metadata", a->start);
		if (b->start + b->length > a->start + a->length)
			last = i;
	}
}

/* An entry of a grain table. */
static int
check_grain(struct check *c, const uint8_t *table, uint64_t table_at, uint32_t index,
	    uint64_t first, struct platter_error *err)
{
	struct platter_error damage = PLATTER_ERROR_INIT;
	struct vmdk_sparse *s = c->s;
	struct vmdk_grain g;
	uint64_t at, n;
	int r = pl_vmdk_grain_decode(s, table, table_at, index, first, &g, &damage);

	if (r == 0 && g.kind != VMDK_GRAIN_DATA)
		return 0;
	if (r == 0 && s->flags & HOSTED_FLAG_COMPRESSED) {
		r = pl_vmdk_grain_stored(s, first + index, g.at, &at, &n, &damage);
		/* Without markers nobody knows where it ends. */
		n = r == 0 && s->flags & HOSTED_FLAG_MARKERS ? at + n - g.at : 1;
	} else {
		n = s->grain;
	}
	if (r < 0) {
		damage_from(c, &damage);
		return 0;
	}
	return add_span(c, g.at, n, true, err);
}

/* A table and its copy must say the same. */
static void
compare_copy(struct check *c, size_t number, const uint8_t *table)
{
	struct platter_error damage = PLATTER_ERROR_INIT;
	struct vmdk_sparse *s = c->s;
	uint64_t at = s->redundant_tables_at[number];
	uint8_t copy[VMDK_MAX_TABLE];
	uint32_t first = 0, nr = 0;

	if (at == s->tables_at[number])
		return;
	if (!pl_in_range(at, s->table_bytes, s->file->size) || !at) {
		found(c, PLATTER_DAMAGE, s->redundant_at + (uint64_t)number * s->entry_size,
		      "the copy of grain table %zu at byte %" PRIu64
		      " is outside of the file (%" PRIu64 " bytes)",
		      number, at, s->file->size);
		return;
	}
	if (pl_vmdk_table_read(s, at, copy, &damage) < 0) {
		damage_from(c, &damage);
		return;
	}
	for (uint32_t i = s->gt_entries; i--;)
		if (memcmp(table + i * s->entry_size, copy + i * s->entry_size, s->entry_size) !=
		    0) {
			first = i;
			nr++;
		}
	if (nr)
		found(c, PLATTER_DAMAGE, s->tables_at[number] + (uint64_t)first * s->entry_size,
		      "grain table %zu and its copy at byte %" PRIu64 " differ in %" PRIu32
		      " entries from %" PRIu32 " on",
		      number, at, nr, first);
}

static int
check_table(struct check *c, size_t number, struct platter_error *err)
{
	struct platter_error damage = PLATTER_ERROR_INIT;
	struct vmdk_sparse *s = c->s;
	uint64_t at = s->tables_at[number], first = (uint64_t)number * s->gt_entries;
	uint64_t grains = pl_div_round_up(s->capacity, s->grain);
	uint8_t table[VMDK_MAX_TABLE];
	int r;

	if (!pl_in_range(at, s->table_bytes, s->file->size)) {
		found(c, PLATTER_DAMAGE, s->directory_at + (uint64_t)number * s->entry_size,
		      "grain table %zu at byte %" PRIu64 " passes the end of the file (%" PRIu64
		      " bytes)",
		      number, at, s->file->size);
		return 0;
	}
	if (pl_vmdk_table_read(s, at, table, &damage) < 0) {
		damage_from(c, &damage);
		return 0;
	}
	r = add_span(c, at, s->table_bytes, false, err);
	for (uint32_t i = 0; r == 0 && i < s->gt_entries && first + i < grains; i++)
		r = check_grain(c, table, at, i, first, err);
	if (r == 0 && s->redundant_tables_at)
		compare_copy(c, number, table);
	return r;
}

static void
check_state(struct check *c)
{
	const struct vmdk_sparse *s = c->s;

	if (s->unclean)
		found(c, PLATTER_NOTE, HOSTED_UNCLEAN, "the extent was not closed");
	if (s->lost_directory)
		found(c, PLATTER_DAMAGE, s->directory_field,
		      "the grain directory is damaged; its copy is used");
	if (s->nr_replaced)
		found(c, PLATTER_DAMAGE, s->directory_at,
		      "entries of the grain directory are damaged (%zu); those of its copy are "
		      "used",
		      s->nr_replaced);
	if (s->salvaged)
		found(c, PLATTER_DAMAGE, s->directory_field,
		      s->whole ? "the grain directory is missing; %zu grains were found by markers"
			       : "the file is cut short; %zu grains were found by markers",
		      s->nr_found);
}

static int
check_sparse(struct check *c, struct platter_error *err)
{
	struct vmdk_sparse *s = c->s;
	uint64_t directory_bytes = (uint64_t)s->nr_tables * s->entry_size;
	int r;

	check_state(c);
	if (s->salvaged || !s->capacity)
		return 0;
	r = add_span(c, 0, VMDK_SECTOR, false, err);
	if (r == 0)
		r = add_span(c, s->descriptor_at, s->descriptor_bytes, false, err);
	if (r == 0 && !s->lost_directory)
		r = add_span(c, s->directory_at, directory_bytes, false, err);
	if (r == 0 && s->redundant_tables_at)
		r = add_span(c, s->redundant_at, directory_bytes, false, err);
	for (size_t i = 0; r == 0 && i < s->nr_tables; i++) {
		if (s->tables_at[i])
			r = check_table(c, i, err);
		if (r == 0 && s->redundant_tables_at &&
		    s->redundant_tables_at[i] != s->tables_at[i])
			r = add_span(c, s->redundant_tables_at[i],
				     s->redundant_tables_at[i] ? s->table_bytes : 0, false, err);
	}
	if (r == 0)
		check_overlaps(c);
	return r;
}

int
pl_vmdk_check(struct pl_disk *disk, struct pl_findings *findings, struct platter_error *err)
{
	struct vmdk *v = vmdk_of(disk);
	int r = 0;

	for (size_t i = 0; r == 0 && i < v->nr_extents; i++) {
		struct check c = { .image = v, .s = v->extents[i].sparse, .findings = findings };

		if (!c.s)
			continue;
		r = check_sparse(&c, err);
		free(c.spans);
	}
	return r;
}

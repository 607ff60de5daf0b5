/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * lost.c - partitions that the table of a disk does not have
 *
 * Where the table has nothing, or nothing that is known, every sector is searched for traces of
 * file systems.  What is inside of one whose files can be listed is passed over: it is what is
 * stored in it.  Of several that claim the same room the one with the most evidence is right.
 */
#include "lost.h"

#include "content.h"
#include "pool.h"
#include "progress.h"
#include "ranges.h"
#include "scheme.h"
#include "traces.h"
#include "walk.h"

#define PIECE     MIB(1)
#define NR_PIECES 32
#define SECTOR    512
#define ALIGNMENT MIB(1)
/* What is found in one piece, and in all; more are the traces of one another. */
#define MAX_HITS  64
#define MAX_FOUND 1024
#define MAX_LOOKS 8192
/* Gaps between aligned partitions hold none. */
#define SMALLEST_GAP KIB(64)

struct hit {
	uint64_t at;
	const struct pl_trace_kind *kind;
};

struct piece {
	uint64_t offset;
	size_t length;
	struct hit hits[MAX_HITS];
	size_t nr_hits;
};

struct found {
	struct pl_traced traced;
	uint64_t offset, length;
	const char *type;
	bool fits;
};

struct lost {
	struct platter_lost result;
	struct pl_arena arena;
};

struct finder {
	struct lost *lost;
	struct pl_disk *disk;
	struct pl_meter meter;
	struct pl_ranges present; /* partitions of the table, and the table */
	struct pl_ranges search;
	struct piece pieces[NR_PIECES];
	size_t nr_pieces;
	atomic_size_t next;
	uint8_t *buffers;
	struct found *found;
	size_t nr_found, nr_looks;
	uint64_t passed; /* end of the last one that was found whole */
};

/* ---- searching, on any thread ---- */

static void
search_piece(struct finder *f, struct piece *p, uint8_t *buf)
{
	size_t n = p->length + PL_TRACE_LOOK;

	p->nr_hits = 0;
	if (pl_read_padded(f->disk, buf, n, p->offset, NULL, NULL) < 0) {
		/* Around what cannot be read. */
		for (size_t at = 0; at < n; at += PL_TRACE_LOOK)
			if (pl_read_padded(f->disk, buf + at, PL_TRACE_LOOK, p->offset + at, NULL,
					   NULL) < 0)
				memset(buf + at, 0, PL_TRACE_LOOK);
	}
	for (size_t at = 0; at + SECTOR <= p->length && p->nr_hits < MAX_HITS; at += SECTOR) {
		const struct pl_trace_kind *kind;

		if (at % KIB(4) == 0 && p->length - at >= KIB(4) && pl_is_zero(buf + at, KIB(4))) {
			at += KIB(4) - SECTOR;
			continue;
		}
		kind = pl_trace_find(buf + at);
		if (kind)
			p->hits[p->nr_hits++] = (struct hit){ p->offset + at, kind };
	}
}

static void
work(void *closure, size_t index)
{
	struct finder *f = closure;
	uint8_t *buf = f->buffers + index * (PIECE + PL_TRACE_LOOK);
	size_t i;

	while ((i = atomic_fetch_add(&f->next, 1)) < f->nr_pieces) {
		if (pl_meter_cancelled(&f->meter))
			return;
		search_piece(f, &f->pieces[i], buf);
		pl_meter_add(&f->meter, f->pieces[i].length, f->pieces[i].length);
	}
}

/* ---- what was found ---- */

/* What a partition was for, as a table is told. */
static const char *
type_of(struct pl_disk *disk, const struct pl_traced *t)
{
	static const struct {
		const char *content, *type;
	} types[] = {
		{ "ntfs", "msdata" },     { "exfat", "msdata" },
		{ "ReFS", "msdata" },     { "BitLocker", "msdata" },
		{ "swap", "swap" },       { "swsuspend", "swap" },
		{ "LVM2_member", "lvm" }, { "linux_raid_member", "raid" },
		{ "hfsplus", "hfs+" },    { "hfs", "hfs+" },
		{ "apfs", "apfs" },
	};
	const struct platter_structure *s = &t->structure;

	if (!strcmp(s->name, "vfat")) {
		PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
		PL_AUTOUNREF struct pl_disk *slice = NULL;
		struct pl_node_id id;

		if (pl_slice_new(disk, (uint64_t)s->offset, disk->size - (uint64_t)s->offset,
				 disk->name, &slice, NULL) == 0 &&
		    pl_volume_open(slice, NULL, NULL, 0, &v, NULL) == 0 &&
		    pl_volume_lookup(v, v->root, "EFI", 3, &id, NULL) == 0)
			return "efi";
		return "fat";
	}
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (!strcmp(types[i].content, s->name))
			return types[i].type;
	return "linux";
}

static bool
is_known(const struct finder *f, const struct platter_structure *s)
{
	for (size_t i = 0; i < f->nr_found; i++) {
		const struct platter_structure *have = &f->found[i].traced.structure;

		if (have->offset == s->offset && !strcmp(have->name, s->name) &&
		    (have->opens || have->backup <= s->backup))
			return true;
	}
	return false;
}

static void
take_hit(struct finder *f, const struct hit *h)
{
	struct pl_traced t;
	const struct pl_range *range;
	uint64_t end;

	if (h->at < f->passed || f->nr_found == MAX_FOUND || f->nr_looks++ >= MAX_LOOKS ||
	    !pl_trace_look(f->disk, h->kind, h->at, &f->lost->arena, &t) ||
	    t.structure.type != PLATTER_STRUCTURE_FILESYSTEM || is_known(f, &t.structure))
		return;
	/* The last sectors of a partition that is there tell of that one. */
	range = pl_ranges_find(&f->search, (uint64_t)t.structure.offset);
	if (!range || range->start > (uint64_t)t.structure.offset)
		return;
	/* What begins the disk is no partition. */
	if (t.structure.offset)
		f->found[f->nr_found++] = (struct found){ .traced = t };
	/* Under one without files older ones may be. */
	end = (uint64_t)t.structure.offset + t.structure.length;
	if (t.structure.opens && t.entries && end > f->passed && end > (uint64_t)t.structure.offset)
		f->passed = end;
}

static int
run_pieces(struct finder *f, struct platter_error *err)
{
	size_t nr = f->nr_pieces;

	atomic_store(&f->next, 0);
	pl_parallel(pl_nr_processors(), work, f);
	f->nr_pieces = 0;
	if (pl_meter_cancelled(&f->meter))
		return pl_fail(err, -ECANCELED, "the search was cancelled");
	for (size_t i = 0; i < nr; i++)
		for (size_t k = 0; k < f->pieces[i].nr_hits; k++)
			take_hit(f, &f->pieces[i].hits[k]);
	return f->lost->arena.failed ? pl_no_memory(err) : 0;
}

static int
search_range(struct finder *f, struct pl_walk *walk, uint64_t offset, uint64_t end,
	     struct platter_error *err)
{
	int r = 0;

	while (offset < end && r == 0) {
		enum platter_kind kind = PLATTER_DATA;
		uint64_t n, skip = PL_MIN(f->passed, end);

		if (skip > offset) {
			pl_meter_add(&f->meter, skip - offset, 0);
			offset = skip;
			continue;
		}
		if (pl_walk_at(walk, offset, end - offset, &kind, &n, NULL) < 0)
			n = PL_MIN(PIECE, end - offset);
		if (kind == PLATTER_DATA) {
			struct piece *p = &f->pieces[f->nr_pieces++];

			n = PL_MIN(n, PIECE - offset % PIECE);
			p->offset = offset;
			p->length = (size_t)n;
			f->lost->result.searched += n;
		} else {
			pl_meter_add(&f->meter, n, 0);
		}
		offset += n;
		if (f->nr_pieces == NR_PIECES || offset == end)
			r = run_pieces(f, err);
	}
	return r;
}

/* ---- where to search ---- */

static bool
holds_something(struct pl_disk *disk, const struct platter_partition *p)
{
	PL_AUTOUNREF struct pl_disk *slice = NULL;
	struct pl_content *found;
	struct pl_arena arena = { 0 };
	bool holds = false;
	size_t nr;

	if (pl_in_range(p->offset, p->length, disk->size) &&
	    pl_slice_new(disk, p->offset, p->length, disk->name, &slice, NULL) == 0 &&
	    pl_contents_find(slice, &arena, &found, &nr, NULL) == 0)
		holds = nr && !found[0].leftover;
	pl_arena_done(&arena);
	return holds;
}

static bool
is_damaged(const struct platter_table *t)
{
	for (size_t i = 0; i < t->facts.nr_facts; i++)
		if (!strcmp(t->facts.facts[i].key, "damaged"))
			return true;
	return false;
}

static int
plan(struct finder *f, const struct pl_place *place, struct platter_error *err)
{
	struct platter_lost *result = &f->lost->result;
	const struct platter_table *tables;
	struct pl_arena arena = { 0 };
	struct pl_ranges taken = { 0 };
	size_t nr = 0;
	int r = 0;

	result->table = "";
	result->sector_size = PL_MAX(f->disk->sector_size, (uint32_t)SECTOR);
	if (pl_tables_read(f->disk, place->flags, &arena, &tables, &nr, NULL, NULL) < 0)
		nr = 0;
	if (nr) {
		result->table = pl_arena_strdup(&f->lost->arena, tables[0].name);
		result->sector_size = PL_MAX(tables[0].sector_size, (uint32_t)SECTOR);
		result->damaged = is_damaged(&tables[0]);
	}
	for (size_t i = 0; nr && i < tables[0].nr_partitions && r == 0; i++) {
		const struct platter_partition *p = &tables[0].partitions[i];

		if (p->role != PLATTER_PARTITION && p->role != PLATTER_PARTITION_LOGICAL)
			continue;
		result->nr_present++;
		r = pl_ranges_add(&f->present, p->offset, p->length, err);
		if (r == 0 && holds_something(f->disk, p))
			r = pl_ranges_add(&taken, p->offset, p->length, err);
	}
	pl_arena_done(&arena);
	pl_ranges_finish(&f->present, f->disk->size);
	pl_ranges_finish(&taken, f->disk->size);
	if (r == 0)
		r = pl_ranges_invert(&taken, f->disk->size, &f->search, err);
	pl_ranges_done(&taken);
	return r;
}

/* ---- what partitions these were ---- */

static int
by_evidence(const void *a, const void *b)
{
	const struct found *x = a, *y = b;
	const struct platter_structure *s = &x->traced.structure, *t = &y->traced.structure;

	if (s->opens != t->opens)
		return s->opens ? -1 : 1;
	if (s->backup != t->backup)
		return t->backup ? -1 : 1;
	if (x->traced.evidence != y->traced.evidence)
		return x->traced.evidence > y->traced.evidence ? -1 : 1;
	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static int
by_offset(const void *a, const void *b)
{
	const struct found *x = a, *y = b;

	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static bool
overlaps(const struct found *a, uint64_t offset, uint64_t length)
{
	return a->offset < offset + length && offset < a->offset + a->length;
}

/* Does [offset, offset + length) lie where the disk has room, beside what was taken before? */
static bool
has_room(const struct finder *f, size_t nr, uint64_t offset, uint64_t length)
{
	const struct pl_range *r;

	/* The first and the last sectors belong to the table. */
	if (!length || offset % f->lost->result.sector_size || offset < 34 * UINT64_C(512) ||
	    !pl_in_range(offset, length, f->disk->size - 33 * UINT64_C(512)))
		return false;
	r = pl_ranges_find(&f->present, offset);
	if (r && r->start < offset + length)
		return false;
	for (size_t i = 0; i < nr; i++)
		if (f->found[i].fits && overlaps(&f->found[i], offset, length))
			return false;
	return true;
}

/* Partitions are a little longer than file systems, by less than what they are aligned to. */
static void
round_up(struct finder *f, size_t index)
{
	struct found *p = &f->found[index];
	uint64_t sector = f->lost->result.sector_size;
	/* NTFS leaves out the last sector, where the copy of its boot sector is. */
	uint64_t least =
		pl_round_up(p->length + (strcmp(p->traced.structure.name, "ntfs") ? 0 : sector),
			    sector);
	uint64_t aligned = p->offset % ALIGNMENT ? least : pl_round_up(least, ALIGNMENT);

	p->fits = false;
	if (has_room(f, f->nr_found, p->offset, aligned))
		p->length = aligned;
	else if (has_room(f, f->nr_found, p->offset, least))
		p->length = least;
	p->fits = true;
}

/* What does not say how long it is may take up all the room up to what comes next. */
static uint64_t
room_at(const struct finder *f, uint64_t offset)
{
	uint64_t end = pl_round_down(f->disk->size - PL_MIN(f->disk->size, 33 * UINT64_C(512)),
				     f->lost->result.sector_size);
	const struct pl_range *r = pl_ranges_find(&f->present, offset);

	if (offset % ALIGNMENT == 0)
		end = pl_round_down(end, ALIGNMENT);
	if (r)
		end = PL_MIN(end, r->start);
	for (size_t i = 0; i < f->nr_found; i++)
		if (f->found[i].fits && f->found[i].offset > offset)
			end = PL_MIN(end, f->found[i].offset);
	return end > offset ? end - offset : 0;
}

/* A superblock that a journal or a file keeps a copy of, where a better one has its identifier. */
static bool
is_shadowed(const struct finder *f, size_t index)
{
	const struct platter_structure *s = &f->found[index].traced.structure;

	for (size_t i = 0; i < index; i++) {
		const struct platter_structure *better = &f->found[i].traced.structure;

		if (!s->opens && f->found[i].fits && !strcmp(better->name, s->name) && *s->uuid &&
		    !strcmp(better->uuid, s->uuid))
			return true;
	}
	return false;
}

static int
settle(struct finder *f, struct platter_error *err)
{
	struct platter_lost_partition *list =
		pl_arena_alloc(&f->lost->arena, (f->nr_found + 1) * sizeof *list);
	struct platter_lost *result = &f->lost->result;

	if (!list)
		return pl_no_memory(err);
	for (size_t i = 0; i < f->nr_found; i++) {
		f->found[i].offset = (uint64_t)f->found[i].traced.structure.offset;
		f->found[i].length = f->found[i].traced.structure.length;
	}
	if (f->nr_found)
		qsort(f->found, f->nr_found, sizeof *f->found, by_evidence);
	for (size_t i = 0; i < f->nr_found; i++)
		f->found[i].fits = !is_shadowed(f, i) &&
				   has_room(f, i, f->found[i].offset, f->found[i].length);
	for (size_t i = 0; i < f->nr_found; i++)
		if (f->found[i].fits)
			round_up(f, i);
	for (size_t i = 0; i < f->nr_found; i++)
		if (!f->found[i].length && !is_shadowed(f, i)) {
			f->found[i].length = room_at(f, f->found[i].offset);
			f->found[i].fits =
				has_room(f, f->nr_found, f->found[i].offset, f->found[i].length);
		}
	/* Of what has no room only that is worth telling which is no copy of the rest. */
	for (size_t i = 0; i < f->nr_found; i++)
		if (!f->found[i].fits && is_shadowed(f, i))
			f->found[i].length = 0;
	if (f->nr_found)
		qsort(f->found, f->nr_found, sizeof *f->found, by_offset);
	for (size_t i = 0; i < f->nr_found; i++) {
		const struct found *found = &f->found[i];

		if (found->length)
			list[result->nr_partitions++] = (struct platter_lost_partition){
				.structure = found->traced.structure,
				.offset = found->offset,
				.length = found->length,
				.type = type_of(f->disk, &found->traced),
				.fits = found->fits,
			};
	}
	result->partitions = list;
	return f->lost->arena.failed ? pl_no_memory(err) : 0;
}

static int
find(struct finder *f, struct pl_place *place, struct platter_progress *progress,
     struct platter_error *err)
{
	struct pl_walk walk = { .disk = f->disk };
	int r = plan(f, place, err);

	if (r < 0)
		return r;
	pl_meter_start(&f->meter, progress, "searching", pl_ranges_bytes(&f->search));
	for (size_t i = 0; i < f->search.nr && r == 0; i++)
		if (f->search.range[i].end - f->search.range[i].start >= SMALLEST_GAP)
			r = search_range(f, &walk, f->search.range[i].start, f->search.range[i].end,
					 err);
	pl_meter_finish(&f->meter);
	f->lost->result.seconds = pl_meter_seconds(&f->meter);
	return r == 0 ? settle(f, err) : r;
}

int
pl_find_lost(struct pl_place *place, struct platter_progress *progress, struct platter_lost **ret,
	     struct platter_error *err)
{
	struct lost *lost = calloc(1, sizeof *lost);
	PL_AUTOFREE struct finder *f = calloc(1, sizeof *f);
	PL_AUTOFREE struct found *found = calloc(MAX_FOUND, sizeof *found);
	PL_AUTOFREE uint8_t *buffers =
		pl_alloc_aligned((PIECE + PL_TRACE_LOOK) * pl_nr_processors());
	int r;

	if (!lost || !f || !found || !buffers) {
		free(lost);
		return pl_no_memory(err);
	}
	f->lost = lost;
	f->disk = place->disk;
	f->found = found;
	f->buffers = buffers;
	lost->result.size = place->disk->size;
	if (place->disk->sequential || place->disk->size == UINT64_MAX) {
		r = pl_unsupported(err, PLATTER_NO_OFFSET, "a stream cannot be searched");
		pl_hint(err, "save the stream as a file first");
	} else {
		r = find(f, place, progress, err);
	}
	pl_ranges_done(&f->present);
	pl_ranges_done(&f->search);
	if (r < 0)
		pl_lost_free(&lost->result);
	else
		*ret = &lost->result;
	return r;
}

void
pl_lost_free(struct platter_lost *result)
{
	struct lost *lost;

	if (!result)
		return;
	lost = pl_container_of(result, struct lost, result);
	pl_arena_done(&lost->arena);
	free(lost);
}

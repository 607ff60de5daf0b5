/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * lvm2/group.c - the logical volumes that the metadata text of a volume group tells of
 *
 *	GROUP {
 *		id, seqno, extent_size (sectors), ...
 *		physical_volumes { pv0 { id, pe_start (sectors), pe_count, ... } ... }
 *		logical_volumes { NAME { id, status, segment_count, segment1 { ... } ... } ... }
 *	}
 *
 * A segment is start_extent, extent_count, a type, and what that type needs: for "striped",
 * which with one stripe is linear, stripes = [ "pv0", its first extent, ... ].
 */
#include "lvm2.h"
#include "text.h"

/* A thousand times what people have. */
#define MAX_VOLUMES 16384

/* LVM makes no more. */
#define MAX_STRIPES 128

/* Extents of this disk that a logical volume has. */
struct use {
	uint64_t start, length; /* bytes of the disk */
};

struct volume {
	size_t first_segment, nr_segments;
	size_t first_use, nr_uses;
	struct lvm_span name, body; /* only while the text is read */
};

struct lvm_group {
	struct pl_group group;
	uint64_t seqno, extent_size, pe_start, pe_count; /* bytes; pe_count in extents */
	uint64_t nr_disks;
	struct volume *volume;
	struct lvm_segment *segment;
	size_t nr_segments, segment_capacity;
	uint64_t *stripe;
	size_t nr_stripes, stripe_capacity;
	struct use *use;
	size_t nr_uses, use_capacity;
	const char *warning[LVM_MAX_AREAS];
	size_t nr_warnings;
	const char *uncertain; /* why what is in use is not certain, or NULL */
	struct lvm_span self;  /* what the text calls this disk; only while it is read */
	size_t volume_capacity;
};

static struct lvm_group *
group_of(struct pl_group *g)
{
	return pl_container_of(g, struct lvm_group, group);
}

/* Room for one more element of an array. */
static int
grow(void *array, size_t nr, size_t *capacity, size_t size, struct platter_error *err)
{
	void **p = array, *larger;
	size_t n = PL_MAX(16, *capacity * 2);

	if (nr < *capacity)
		return 0;
	larger = pl_realloc_array(*p, n, size);
	if (!larger)
		return pl_no_memory(err);
	*p = larger;
	*capacity = n;
	return 0;
}

/* ---- a segment ---- */

struct segment_text {
	uint64_t start_extent, extent_count, stripe_count, stripe_size; /* UINT64_MAX: not said */
	struct lvm_span type, stripes;
};

static int
read_segment(struct lvm_span body, struct segment_text *ret, struct platter_error *err)
{
	struct lvm_item item;
	struct lvm_value value;
	int r;

	*ret = (struct segment_text){ UINT64_MAX, UINT64_MAX,     UINT64_MAX,
				      UINT64_MAX, { "", "", "" }, { "", "", "" } };
	ret->type.end = ret->type.at;
	ret->stripes.end = ret->stripes.at;
	while ((r = pl_lvm_next(&body, &item, err)) == 1) {
		if (item.is_section)
			continue;
		if (pl_lvm_is(item.name, "start_extent"))
			ret->start_extent = pl_lvm_number(&item);
		else if (pl_lvm_is(item.name, "extent_count"))
			ret->extent_count = pl_lvm_number(&item);
		else if (pl_lvm_is(item.name, "stripe_count"))
			ret->stripe_count = pl_lvm_number(&item);
		else if (pl_lvm_is(item.name, "stripe_size"))
			ret->stripe_size = pl_lvm_number(&item);
		else if (pl_lvm_is(item.name, "stripes"))
			ret->stripes = item.body;
		else if (pl_lvm_is(item.name, "type") &&
			 pl_lvm_value(&item.body, &value, NULL) == 1 && value.is_string)
			ret->type = value.string;
	}
	/* Flags that older versions need not know follow a '+'. */
	for (const char *p = ret->type.at; p < ret->type.end; p++)
		if (*p == '+')
			ret->type.end = p;
	return r;
}

/* The first reason counts. */
static void
cannot_open(struct pl_logical *l, int code, const char *why)
{
	if (l->code)
		return;
	l->code = code;
	l->why = why;
}

static void
damaged(struct lvm_group *g, struct pl_logical *l, const char *why)
{
	cannot_open(l, -EUCLEAN, why);
	if (!g->uncertain)
		g->uncertain =
			pl_arena_format(&g->group.arena, "logical volume '%s': %s", l->name, why);
}

static int
add_use(struct lvm_group *g, struct volume *v, uint64_t extent, uint64_t nr,
	struct platter_error *err)
{
	int r = grow(&g->use, g->nr_uses, &g->use_capacity, sizeof *g->use, err);

	if (r < 0)
		return r;
	g->use[g->nr_uses++] =
		(struct use){ g->pe_start + extent * g->extent_size, nr * g->extent_size };
	v->nr_uses++;
	return 0;
}

static bool
is_self(const struct lvm_group *g, const struct lvm_value *value)
{
	size_t n = (size_t)(g->self.end - g->self.at);

	return value->is_string && (size_t)(value->string.end - value->string.at) == n &&
	       !memcmp(value->string.at, g->self.at, n);
}

/*
 * What a segment of a type that is not read has of this disk: its name is followed by the
 * first extent, and no more extents can be meant than the segment has.
 */
static int
note_uses(struct lvm_group *g, struct volume *v, struct pl_logical *l, struct lvm_span body,
	  uint64_t extents, struct platter_error *err)
{
	struct lvm_item item;
	int r;

	while ((r = pl_lvm_next(&body, &item, err)) == 1) {
		struct lvm_value value;
		bool named = false;

		while (!item.is_section && (r = pl_lvm_value(&item.body, &value, err)) == 1) {
			if (named && value.number < g->pe_count)
				r = add_use(g, v, value.number,
					    PL_MIN(extents, g->pe_count - value.number), err);
			else if (named)
				damaged(g, l, "it has extents that this disk has not");
			if (r < 0)
				return r;
			named = is_self(g, &value);
		}
		if (r < 0)
			return r;
		if (named)
			damaged(g, l, "where it is on this disk is not said");
	}
	return r;
}

static const char *
why_not_read(struct lvm_group *g, const char *type)
{
	static const struct {
		const char *type, *why;
	} known[] = {
		{ "thin", "it is a thin volume, whose data is in a pool" },
		{ "thin-pool", "it is the pool of thin volumes" },
		{ "snapshot", "it is a snapshot, which is made of two other volumes" },
		{ "cache", "a cache may hold newer data than the volume behind it" },
		{ "cache-pool", "it is a pool for caches" },
		{ "writecache", "a cache may hold newer data than the volume behind it" },
		{ "mirror", "it is a mirror, made of other volumes" },
		{ "vdo", "it is a deduplicated volume, whose data is in a pool" },
		{ "vdo-pool", "it is the pool of deduplicated volumes" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (!strcmp(type, known[i].type))
			return known[i].why;
	if (!strncmp(type, "raid", 4))
		return pl_arena_format(&g->group.arena, "it is of type %s, made of other volumes",
				       type);
	return pl_arena_format(&g->group.arena, "segments of type '%s' are not read", type);
}

/* The stripes of a segment; those that are not on this disk make it one that cannot be opened. */
static int
add_stripes(struct lvm_group *g, struct volume *v, struct pl_logical *l,
	    const struct segment_text *text, uint64_t extents, struct platter_error *err)
{
	struct lvm_span rest = text->stripes;
	uint64_t nr = 0;

	for (;;) {
		struct lvm_value where, first;
		int r = pl_lvm_value(&rest, &where, err);

		if (r == 1 && nr < text->stripe_count)
			r = pl_lvm_value(&rest, &first, err);
		if (r < 0)
			return r;
		if (r == 0 || nr == text->stripe_count)
			break;
		nr++;
		if (!is_self(g, &where)) {
			const char *other =
				where.is_string ? pl_lvm_string(&g->group.arena, where.string) : "";

			if (!l->code)
				cannot_open(l, -ENOTSUP,
					    pl_arena_format(&g->group.arena,
							    "part of it is on '%s', not on this "
							    "physical volume",
							    other));
			continue;
		}
		if (!pl_in_range(first.number, extents, g->pe_count)) {
			damaged(g, l, "it has extents that this disk has not");
			continue;
		}
		r = add_use(g, v, first.number, extents, err);
		if (r == 0)
			r = grow(&g->stripe, g->nr_stripes, &g->stripe_capacity, sizeof *g->stripe,
				 err);
		if (r < 0)
			return r;
		g->stripe[g->nr_stripes++] = g->pe_start + first.number * g->extent_size;
	}
	if (nr != text->stripe_count)
		damaged(g, l, "the number of its stripes is wrong");
	return 0;
}

static int
striped(struct lvm_group *g, struct volume *v, struct pl_logical *l, struct segment_text *text,
	struct lvm_segment *s, struct platter_error *err)
{
	uint64_t extents;

	if (text->stripe_count == UINT64_MAX)
		text->stripe_count = 1;
	if (!text->stripe_count || text->stripe_count > MAX_STRIPES ||
	    text->extent_count % text->stripe_count) {
		damaged(g, l, "its extents cannot be divided by its stripes");
		return 0;
	}
	extents = text->extent_count / text->stripe_count;
	s->kind = PLATTER_DATA;
	s->nr_stripes = (uint32_t)text->stripe_count;
	s->first_stripe = g->nr_stripes;
	s->stripe_size = extents * g->extent_size;
	if (s->nr_stripes > 1) {
		uint64_t size = text->stripe_size;

		if (!size || size > s->stripe_size / LVM_SECTOR ||
		    s->stripe_size % (size * LVM_SECTOR)) {
			damaged(g, l, "its size is no multiple of that of its stripes");
			return 0;
		}
		s->stripe_size = size * LVM_SECTOR;
	}
	return add_stripes(g, v, l, text, extents, err);
}

/* What people call the type of a segment. */
static const char *
type_of(struct lvm_group *g, const struct segment_text *text)
{
	if (pl_lvm_is(text->type, "linear") ||
	    (pl_lvm_is(text->type, "striped") &&
	     (text->stripe_count == 1 || text->stripe_count == UINT64_MAX)))
		return "linear";
	return pl_lvm_string(&g->group.arena, text->type);
}

static int
add_segment(struct lvm_group *g, size_t index, struct lvm_span body, struct platter_error *err)
{
	struct pl_logical *l = &g->group.volume[index];
	struct volume *v = &g->volume[index];
	struct segment_text text;
	struct lvm_segment s = { .start = l->size, .kind = PLATTER_ZERO };
	const char *type;
	int r = read_segment(body, &text, err);

	if (r < 0)
		return r;
	type = type_of(g, &text);
	if (!type)
		return pl_no_memory(err);
	if (!v->nr_segments)
		l->type = type;
	else if (strcmp(l->type, type))
		l->type = "mixed";
	v->nr_segments++;
	if (!text.extent_count || text.extent_count > UINT32_MAX ||
	    text.start_extent != l->size / g->extent_size ||
	    __builtin_mul_overflow(text.extent_count, g->extent_size, &s.length) ||
	    s.length > INT64_MAX - l->size) {
		damaged(g, l, "its segments do not follow each other");
		return 0;
	}
	l->size += s.length;
	if (!strcmp(type, "linear") || !strcmp(type, "striped")) {
		r = striped(g, v, l, &text, &s, err);
	} else if (!strcmp(type, "error")) {
		s.kind = PLATTER_BAD;
	} else if (strcmp(type, "zero") != 0) {
		cannot_open(l, -ENOTSUP, why_not_read(g, type));
		r = note_uses(g, v, l, body, text.extent_count, err);
	}
	if (r == 0)
		r = grow(&g->segment, g->nr_segments, &g->segment_capacity, sizeof *g->segment,
			 err);
	if (r == 0)
		g->segment[g->nr_segments++] = s;
	return r;
}

/* ---- a logical volume ---- */

static bool
has_word(struct lvm_span value, const char *word)
{
	struct lvm_value v;

	while (pl_lvm_value(&value, &v, NULL) == 1)
		if (v.is_string && pl_lvm_is(v.string, word))
			return true;
	return false;
}

static bool
is_segment(const struct lvm_item *item)
{
	return item->is_section && item->name.end - item->name.at > 7 &&
	       !memcmp(item->name.at, "segment", 7);
}

static int
add_volume(struct lvm_group *g, const struct lvm_item *section, struct platter_error *err)
{
	size_t index = g->group.nr;
	size_t capacity = g->volume_capacity;
	struct lvm_span body = section->body;
	struct lvm_item item;
	uint64_t nr_segments = UINT64_MAX;
	struct pl_logical *l;
	int r;

	if (index == MAX_VOLUMES)
		return pl_over_limit(err, PLATTER_NO_OFFSET,
				     "volume group of more than %d logical volumes", MAX_VOLUMES);
	r = grow(&g->volume, index, &capacity, sizeof *g->volume, err);
	if (r == 0)
		r = grow(&g->group.volume, index, &g->volume_capacity, sizeof *l, err);
	if (r < 0)
		return r;
	l = &g->group.volume[index];
	*l = (struct pl_logical){ .name = pl_lvm_string(&g->group.arena, section->name),
				  .uuid = "",
				  .type = "",
				  .hidden = true };
	g->volume[index] = (struct volume){ .first_segment = g->nr_segments,
					    .first_use = g->nr_uses,
					    .name = section->name,
					    .body = body };
	g->group.nr++;
	while ((r = pl_lvm_next(&body, &item, err)) == 1) {
		struct lvm_value value;

		if (is_segment(&item))
			r = add_segment(g, index, item.body, err);
		else if (pl_lvm_is(item.name, "segment_count"))
			nr_segments = pl_lvm_number(&item);
		else if (pl_lvm_is(item.name, "status") && has_word(item.body, "VISIBLE"))
			l->hidden = false;
		else if (pl_lvm_is(item.name, "id") &&
			 pl_lvm_value(&item.body, &value, NULL) == 1 && value.is_string)
			l->uuid = pl_lvm_string(&g->group.arena, value.string);
		if (r < 0)
			return r;
	}
	if (r == 0 && g->volume[index].nr_segments != nr_segments)
		damaged(g, l, "the number of its segments is wrong");
	return r;
}

/* ---- which logical volumes are made of others ---- */

struct sorted {
	struct lvm_span name;
	size_t index;
};

static int
compare_spans(const void *a, const void *b)
{
	const struct lvm_span *p = a, *q = b;
	size_t n = (size_t)(p->end - p->at), m = (size_t)(q->end - q->at);
	int order = memcmp(p->at, q->at, PL_MIN(n, m));

	return order ? order : (n > m) - (n < m);
}

/*
 * A volume that others name in their segments is a part of them: of a snapshot its origin and
 * what it keeps, of a RAID its legs.  Its file system does not know which of its blocks they
 * need.  What a snapshot keeps looks like any hidden volume from its own segments, but has the
 * name by which people know the snapshot.
 */
static int
mark_parts(struct lvm_group *g, const struct sorted *sorted, struct lvm_span segment,
	   struct platter_error *err)
{
	struct lvm_item item;
	struct lvm_value value;
	struct pl_logical *origin = NULL;
	bool merging = false;
	int r;

	while ((r = pl_lvm_next(&segment, &item, err)) == 1) {
		bool stores = pl_lvm_is(item.name, "cow_store");
		bool merges = pl_lvm_is(item.name, "merging_store");

		/* A volume may be called "striped". */
		if (pl_lvm_is(item.name, "type"))
			continue;
		while (!item.is_section && (r = pl_lvm_value(&item.body, &value, err)) == 1) {
			const struct sorted *s =
				value.is_string ? bsearch(&value.string, sorted, g->group.nr,
							  sizeof *sorted, compare_spans)
						: NULL;
			struct pl_logical *l = s ? &g->group.volume[s->index] : NULL;

			if (!l)
				continue;
			l->shared = true;
			if (stores || merges) {
				l->type = "snapshot";
				l->hidden = false;
				cannot_open(l, -ENOTSUP,
					    "it is a snapshot, which keeps only what its origin "
					    "had before it changed");
			}
			if (pl_lvm_is(item.name, "origin"))
				origin = l;
			merging |= merges;
		}
		if (r < 0)
			return r;
	}
	if (origin && merging)
		cannot_open(origin, -ENOTSUP, "it is being set back to a snapshot");
	return r;
}

static int
mark_all_parts(struct lvm_group *g, struct platter_error *err)
{
	PL_AUTOFREE struct sorted *sorted = calloc(g->group.nr + 1, sizeof *sorted);
	int r = 0;

	if (!sorted)
		return pl_no_memory(err);
	for (size_t i = 0; i < g->group.nr; i++)
		sorted[i] = (struct sorted){ g->volume[i].name, i };
	qsort(sorted, g->group.nr, sizeof *sorted, compare_spans);
	for (size_t i = 0; i < g->group.nr && r >= 0; i++) {
		struct lvm_span body = g->volume[i].body;
		struct lvm_item item;

		while ((r = pl_lvm_next(&body, &item, err)) == 1)
			if (is_segment(&item) && (r = mark_parts(g, sorted, item.body, err)) < 0)
				break;
	}
	return r;
}

/* ---- the group ---- */

/* The section of the group, behind what is said of the text. */
static int
find_group(const struct lvm_text *text, struct lvm_item *ret, struct platter_error *err)
{
	struct lvm_span whole = pl_lvm_whole(text);
	int r;

	while ((r = pl_lvm_next(&whole, ret, err)) == 1)
		if (ret->is_section)
			return 0;
	return r < 0 ? r : pl_corrupt(err, PLATTER_NO_OFFSET, "metadata text without a group");
}

static int
find_seqno(const struct lvm_text *text, uint64_t *ret, struct platter_error *err)
{
	struct lvm_item group, item;
	int r = find_group(text, &group, err);

	if (r < 0)
		return r;
	while ((r = pl_lvm_next(&group.body, &item, err)) == 1)
		if (pl_lvm_is(item.name, "seqno")) {
			*ret = pl_lvm_number(&item);
			if (*ret != UINT64_MAX)
				return 0;
		}
	return r < 0 ? r : pl_corrupt(err, PLATTER_NO_OFFSET, "metadata text without a number");
}

/* This disk among the physical volumes, by its UUID. */
static int
find_self(struct lvm_group *g, struct lvm_span disks, const char *uuid, struct platter_error *err)
{
	struct lvm_item disk, item;
	uint64_t start = UINT64_MAX, count = UINT64_MAX, size;
	bool found = false;
	int r;

	while ((r = pl_lvm_next(&disks, &disk, err)) == 1) {
		uint64_t s = UINT64_MAX, n = UINT64_MAX;
		bool self = false;

		g->nr_disks += disk.is_section;
		while (disk.is_section && (r = pl_lvm_next(&disk.body, &item, err)) == 1) {
			struct lvm_value value;

			if (pl_lvm_is(item.name, "pe_start"))
				s = pl_lvm_number(&item);
			else if (pl_lvm_is(item.name, "pe_count"))
				n = pl_lvm_number(&item);
			else if (pl_lvm_is(item.name, "id") &&
				 pl_lvm_value(&item.body, &value, NULL) == 1)
				self = value.is_string && pl_lvm_is(value.string, uuid);
		}
		if (r < 0)
			return r;
		if (!self || found)
			continue;
		found = true;
		g->self = disk.name;
		start = s;
		count = n;
	}
	if (r < 0)
		return r;
	if (!found)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "the metadata of the volume group does not list this physical "
				  "volume");
	if (start > INT64_MAX / LVM_SECTOR || count > UINT32_MAX ||
	    __builtin_mul_overflow(count, g->extent_size, &size) ||
	    size > INT64_MAX - start * LVM_SECTOR)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "physical volume of %" PRIu64 " extents from sector %" PRIu64,
				  count, start);
	g->pe_start = start * LVM_SECTOR;
	g->pe_count = count;
	return 0;
}

static int
add_volumes(struct lvm_group *g, struct lvm_span volumes, struct platter_error *err)
{
	struct lvm_item item;
	int r;

	while ((r = pl_lvm_next(&volumes, &item, err)) == 1)
		if (item.is_section && (r = add_volume(g, &item, err)) < 0)
			break;
	return r;
}

static int
read_group(struct lvm_group *g, const struct lvm_text *text, const char *uuid,
	   struct platter_error *err)
{
	struct lvm_span disks = { "", "", "" }, volumes = disks;
	struct lvm_item group, item;
	uint64_t extent_size = 0;
	int r = find_group(text, &group, err);

	disks.end = disks.at;
	volumes.end = volumes.at;
	if (r < 0)
		return r;
	g->group.name = pl_lvm_string(&g->group.arena, group.name);
	while ((r = pl_lvm_next(&group.body, &item, err)) == 1) {
		if (pl_lvm_is(item.name, "extent_size"))
			extent_size = pl_lvm_number(&item);
		else if (pl_lvm_is(item.name, "seqno"))
			g->seqno = pl_lvm_number(&item);
		else if (item.is_section && pl_lvm_is(item.name, "physical_volumes"))
			disks = item.body;
		else if (item.is_section && pl_lvm_is(item.name, "logical_volumes"))
			volumes = item.body;
	}
	if (r < 0)
		return r;
	if (!extent_size || extent_size > UINT32_MAX)
		return pl_corrupt(err, PLATTER_NO_OFFSET, "extents of %" PRIu64 " sectors",
				  extent_size);
	g->extent_size = extent_size * LVM_SECTOR;
	r = find_self(g, disks, uuid, err);
	if (r == 0)
		r = add_volumes(g, volumes, err);
	if (r == 0)
		r = mark_all_parts(g, err);
	return r == 0 && g->group.arena.failed ? pl_no_memory(err) : r;
}

static int
count_free(struct lvm_group *g, struct platter_error *err)
{
	struct pl_ranges taken = { 0 };
	uint64_t size = g->pe_count * g->extent_size;
	int r = 0;

	for (size_t i = 0; i < g->nr_uses && r == 0; i++)
		r = pl_ranges_add(&taken, g->use[i].start, g->use[i].length, err);
	pl_ranges_finish(&taken, UINT64_MAX);
	g->group.free = size - PL_MIN(size, pl_ranges_bytes(&taken));
	pl_ranges_done(&taken);
	return r;
}

static void
warn(struct lvm_group *g, const struct lvm_area *area, const char *what)
{
	g->warning[g->nr_warnings++] =
		pl_arena_format(&g->group.arena, "metadata area at byte %" PRIu64 ": %s",
				area->offset, what);
}

/*
 * The newest text of all areas.  What one that is damaged would have said may be newer still:
 * then what is in use is not certain.
 */
static int
choose_text(struct lvm_group *g, const struct lvm_label *label, bool ignore_checksums,
	    struct lvm_text *ret, struct platter_error *err)
{
	uint64_t newest = 0;
	int first = -ENOENT;

	for (size_t i = 0; i < label->nr_areas; i++) {
		struct platter_error why = PLATTER_ERROR_INIT;
		struct lvm_text text = { 0 };
		uint64_t seqno = 0;
		int r = pl_lvm_text_read(g->group.disk, &label->area[i], ignore_checksums, &text,
					 &why);

		if (r == 0)
			r = find_seqno(&text, &seqno, &why);
		if (r == -ENOMEM)
			return pl_no_memory(err);
		if (r < 0 && r != -ENOENT) {
			if (first == -ENOENT) {
				first = r;
				if (err)
					*err = why;
			}
			warn(g, &label->area[i], why.message);
			g->uncertain =
				"a metadata area is damaged, and may have been the newer one";
		}
		if (r < 0 || (ret->text && seqno <= newest)) {
			free(text.text);
			continue;
		}
		free(ret->text);
		*ret = text;
		newest = seqno;
	}
	if (ret->text)
		return 0;
	if (first != -ENOENT)
		return first;
	return pl_unsupported(err, PLATTER_NO_OFFSET,
			      "the physical volume belongs to no volume group, or its metadata is "
			      "on others of the group");
}

/* ---- operations ---- */

static int
lvm_open(struct pl_group *group, size_t index, const char *name, struct pl_disk **ret,
	 struct platter_error *err)
{
	struct lvm_group *g = group_of(group);
	const struct volume *v = &g->volume[index];

	return pl_lvm_logical_new(group, &group->volume[index], g->segment + v->first_segment,
				  v->nr_segments, g->stripe, name, ret, err);
}

static int
lvm_used(struct pl_group *group, struct pl_ranges *used, struct platter_error *err)
{
	struct lvm_group *g = group_of(group);
	uint64_t end = g->pe_start + g->pe_count * g->extent_size;
	int r;

	if (g->uncertain)
		return pl_corrupt(err, PLATTER_NO_OFFSET, "%s", g->uncertain);
	r = pl_ranges_add(used, 0, g->pe_start, err);
	if (r == 0 && end < group->disk->size)
		r = pl_ranges_add(used, end, group->disk->size - end, err);
	for (size_t i = 0; i < group->nr && r == 0; i++) {
		const struct volume *v = &g->volume[i];

		if (pl_logical_stands_alone(&group->volume[i]))
			continue;
		for (size_t k = v->first_use; k < v->first_use + v->nr_uses && r == 0; k++)
			r = pl_ranges_add(used, g->use[k].start, g->use[k].length, err);
	}
	return r;
}

static void
lvm_describe(struct pl_group *group, struct pl_facts *facts)
{
	struct lvm_group *g = group_of(group);

	pl_fact_number(facts, "physical_volumes", "physical volumes", g->nr_disks);
	pl_fact_size(facts, "extent_size", "extent size", g->extent_size);
	pl_fact_number(facts, "extents", "extents", g->pe_count);
	pl_fact_number(facts, "sequence", "sequence number", g->seqno);
	for (size_t i = 0; i < g->nr_warnings; i++)
		pl_warn(facts, "%s", g->warning[i]);
	if (!pl_in_range(g->pe_start, g->pe_count * g->extent_size, group->disk->size))
		pl_warn(facts,
			"the extents end at byte %" PRIu64 ", past the end of the disk (%" PRIu64
			" bytes)",
			g->pe_start + g->pe_count * g->extent_size, group->disk->size);
}

static void
lvm_free(struct pl_group *group)
{
	struct lvm_group *g = group_of(group);

	free(g->volume);
	free(g->segment);
	free(g->stripe);
	free(g->use);
	free(group->volume);
	pl_group_done(group);
	free(g);
}

static const struct pl_group_ops lvm_ops = {
	.open = lvm_open,
	.used = lvm_used,
	.describe = lvm_describe,
	.free = lvm_free,
};

int
pl_lvm_group_open(struct pl_disk *disk, unsigned flags, struct pl_group **ret,
		  struct platter_error *err)
{
	bool ignore_checksums = flags & PLATTER_OPEN_IGNORE_CHECKSUMS;
	struct lvm_group *g = calloc(1, sizeof *g);
	uint8_t head[LVM_LABEL_BYTES];
	struct lvm_label label;
	struct lvm_text text = { 0 };
	int r;

	if (!g)
		return pl_no_memory(err);
	g->group.ops = &lvm_ops;
	g->group.disk = pl_disk_ref(disk);
	g->group.name = "";
	r = pl_read_padded(disk, head, sizeof head, 0, NULL, err);
	if (r == 0 && !pl_lvm_label_find(head, &label))
		r = pl_corrupt(err, PLATTER_NO_OFFSET, "no label of a physical volume");
	if (r == 0 && !label.checksum_matches && !ignore_checksums)
		r = pl_corrupt(err, PLATTER_NO_OFFSET,
			       "checksum of the physical volume's label does not match");
	if (r == 0)
		r = choose_text(g, &label, ignore_checksums, &text, err);
	if (r == 0)
		r = read_group(g, &text, label.uuid, err);
	if (r == 0)
		r = count_free(g, err);
	free(text.text);
	if (r < 0)
		lvm_free(&g->group);
	else
		*ret = &g->group;
	return r;
}

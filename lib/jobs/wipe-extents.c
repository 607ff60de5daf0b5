/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * wipe-extents.c - what of a target is to be overwritten
 *
 * Where files are to stay, a byte is overwritten only if the file system says that nothing uses
 * it: what it does not say, or is not to be trusted in, is refused.
 */
#include <stdio.h>

#include "checksums.h"
#include "content.h"
#include "scheme.h"
#include "storage.h"
#include "text.h"
#include "tree.h"
#include "used.h"
#include "wipe.h"

/* 256 MiB of extents; a file system of 64 TiB with free blocks in every 4 MiB has as many. */
#define MAX_EXTENTS (16u << 20)

/* What "Apple, fastest" overwrites at each end. */
#define HEAD MIB(4)

/* Where LUKS ends its headers and key slots unless it was told otherwise. */
#define LUKS_AREA MIB(16)

int
pl_extents_add(struct pl_extents *x, uint64_t start, uint64_t end, struct platter_error *err)
{
	if (start >= end)
		return 0;
	if (x->nr && x->range[x->nr - 1].end == start) {
		x->range[x->nr - 1].end = end;
		x->bytes += end - start;
		return 0;
	}
	if (x->nr == x->capacity) {
		size_t capacity = PL_MAX(64, x->capacity * 2);
		struct pl_range *more;

		if (x->nr >= MAX_EXTENTS)
			return pl_over_limit(err, PLATTER_NO_OFFSET,
					     "more than %u ranges to be overwritten", MAX_EXTENTS);
		more = pl_realloc_array(x->range, capacity, sizeof *more);
		if (!more)
			return pl_no_memory(err);
		x->range = more;
		x->capacity = capacity;
	}
	x->range[x->nr++] = (struct pl_range){ start, end };
	x->bytes += end - start;
	return 0;
}

void
pl_extents_done(struct pl_extents *x)
{
	free(x->range);
	*x = (struct pl_extents){ 0 };
}

uint32_t
pl_extents_crc(const struct pl_extents *x)
{
	uint32_t crc = 0;

	for (size_t i = 0; i < x->nr; i++) {
		uint8_t both[16];

		put_be64(both, x->range[i].start);
		put_be64(both + 8, x->range[i].end);
		crc = pl_crc32(crc, both, sizeof both);
	}
	return crc;
}

/* Extents from a set, in which ranges of any kind may have been joined. */
static int
add_set(struct pl_wipe *w, struct pl_ranges *set, struct platter_error *err)
{
	int r = 0;

	pl_ranges_finish(set, w->size);
	for (size_t i = 0; i < set->nr && r == 0; i++)
		r = pl_extents_add(&w->extents, set->range[i].start, set->range[i].end, err);
	return r;
}

static int
add_ends(struct pl_ranges *set, uint64_t offset, uint64_t length, struct platter_error *err)
{
	uint64_t n = PL_MIN(HEAD, length);
	int r = pl_ranges_add(set, offset, n, err);

	return r < 0 ? r : pl_ranges_add(set, offset + length - n, n, err);
}

/* The beginning and end of the target and of each of its partitions. */
static int
find_heads(struct pl_wipe *w, struct pl_disk *disk, struct platter_error *err)
{
	const struct platter_table *tables;
	struct pl_arena arena = { 0 };
	struct pl_ranges set = { 0 };
	size_t nr = 0;
	int r = add_ends(&set, 0, w->size, err);

	if (pl_tables_read(disk, 0, &arena, &tables, &nr, NULL, NULL) < 0)
		nr = 0;
	for (size_t i = 0; i < nr; i++)
		for (size_t k = 0; k < tables[i].nr_partitions && r == 0; k++) {
			const struct platter_partition *p = &tables[i].partitions[k];

			if (pl_in_range(p->offset, p->length, w->size))
				r = add_ends(&set, p->offset, p->length, err);
		}
	if (r == 0)
		r = add_set(w, &set, err);
	pl_arena_done(&arena);
	pl_ranges_done(&set);
	return r;
}

/* Digits in quotation marks behind `key`, at `p`; false: it is not there. */
static bool
json_number_at(const char *p, const char *key, uint64_t *ret)
{
	size_t n = strlen(key);
	uint64_t value = 0;

	if (strncmp(p, key, n) != 0)
		return false;
	p += n;
	p += strspn(p, " \t:\n\r");
	if (*p++ != '"' || *p < '0' || *p > '9')
		return false;
	for (; *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(value, UINT64_C(10), &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value))
			return false;
	*ret = value;
	return *p == '"';
}

/*
 * The areas of key slots: in the object "keyslots", each "offset" and the "size" behind it.
 * Braces are counted; LUKS2 has none in its strings there.
 */
static int
add_luks2_slots(const char *json, struct pl_ranges *set, struct platter_error *err)
{
	const char *p = strstr(json, "\"keyslots\"");
	uint64_t offset = 0, size;
	unsigned depth = 0;
	int r = 0;

	for (; p && *p && r == 0; p++) {
		if (*p == '{')
			depth++;
		if (*p == '}' && --depth == 0)
			break;
		if (*p != '"')
			continue;
		if (json_number_at(p, "\"offset\"", &offset))
			continue;
		if (json_number_at(p, "\"size\"", &size) && offset)
			r = pl_ranges_add(set, offset, size, err);
	}
	return r;
}

/* "LUKS2 On-Disk Format Specification", 1.1: two headers, each with its JSON, then key slots. */
static int
add_luks2(struct pl_disk *disk, const uint8_t *head, struct pl_ranges *set,
	  struct platter_error *err)
{
	uint64_t size = get_be64(head + 8);
	int r = pl_ranges_add(set, 0, LUKS_AREA, err);

	if (r < 0 || size < KIB(16) || size > MIB(4) || !pl_is_power_of_two(size))
		return r;
	for (uint64_t at = 0; at <= size && r == 0; at += size) {
		PL_AUTOFREE uint8_t *json = malloc((size_t)(size - 4096 + 1));

		if (!json)
			return pl_no_memory(err);
		if (!pl_in_range(at, size, disk->size) ||
		    pl_read(disk, json, (size_t)size - 4096, at + 4096, NULL) < 0)
			continue;
		json[size - 4096] = '\0';
		r = add_luks2_slots((const char *)json, set, err);
	}
	return r;
}

/* LUKS1 1.2.3: the header of 592 bytes, then the key material, up to the payload. */
static int
add_luks1(const uint8_t *head, struct pl_ranges *set, struct platter_error *err)
{
	uint64_t key = get_be32(head + 108);
	int r = pl_ranges_add(set, 0, PL_MAX(LUKS_AREA, get_be32(head + 104) * UINT64_C(512)), err);

	for (unsigned i = 0; i < 8 && r == 0; i++) {
		const uint8_t *slot = head + 208 + 48 * i;
		uint64_t at = get_be32(slot + 40) * UINT64_C(512);

		r = pl_ranges_add(set, at, key * get_be32(slot + 44), err);
	}
	return r;
}

static int
find_luks(struct pl_wipe *w, struct pl_disk *disk, struct platter_error *err)
{
	struct pl_content *contents = NULL;
	struct pl_arena arena = { 0 };
	struct pl_ranges set = { 0 };
	uint8_t head[1024];
	size_t nr = 0;
	bool is_luks;
	int r = pl_contents_find(disk, &arena, &contents, &nr, err);

	is_luks = r == 0 && nr && !strcmp(contents[0].driver->info.name, "crypto_LUKS");
	pl_arena_done(&arena);
	if (r < 0)
		return r;
	if (!is_luks) {
		r = pl_fail(err, -ENOTSUP, "'%s' is not encrypted with LUKS", w->target);
		pl_hint(err, "name the partition or device that holds the LUKS header");
		return r;
	}
	r = pl_read_padded(disk, head, sizeof head, 0, NULL, err);
	/* Where the first header is gone, the copy was found: all is where LUKS2 has it. */
	if (r == 0 && !memcmp(head, "LUKS\xba\xbe\0\1", 8))
		r = add_luks1(head, &set, err);
	else if (r == 0)
		r = add_luks2(disk, head, &set, err);
	if (r == 0)
		r = add_set(w, &set, err);
	pl_ranges_done(&set);
	return r;
}

struct survey {
	struct pl_wipe *w;
	unsigned volumes, whole;
	char why[256];  /* of the first that is kept whole */
	char risk[256]; /* what one of them must not be trusted for */
};

/* Changes wait in its journal: when they are carried out, other blocks may turn out to be free. */
static bool
has_changes_waiting(const struct pl_wipe *w, const struct platter_used_volume *v)
{
	PL_AUTOUNREF_VOLUME struct pl_volume *volume = NULL;
	PL_AUTOUNREF struct pl_disk *disk = NULL;

	if (v->logical || v->whole ||
	    pl_slice_new(w->storage, w->offset + v->offset, v->size, w->target, &disk, NULL) < 0 ||
	    pl_volume_open(disk, NULL, NULL, 0, &volume, NULL) < 0)
		return false;
	return volume->state == PLATTER_STATE_RECOVERED;
}

static void
each_volume(const struct platter_used_volume *v, void *closure)
{
	struct survey *s = closure;

	s->volumes++;
	if (v->warning && !s->risk[0])
		snprintf(s->risk, sizeof s->risk, "%s: %s", v->content, v->warning);
	if (!s->risk[0] && has_changes_waiting(s->w, v))
		snprintf(s->risk, sizeof s->risk, "%s: changes wait in its journal", v->content);
	if (!v->whole)
		return;
	s->whole++;
	if (!s->why[0])
		snprintf(s->why, sizeof s->why, "%s", v->whole);
}

/* Holes of the disk of what is used, in whole sectors. */
static int
add_holes(struct pl_wipe *w, struct pl_disk *used, struct platter_error *err)
{
	uint32_t sector = w->sector_size;
	uint64_t at = 0;
	int r = 0;

	while (at < used->size && r == 0) {
		struct pl_extent e;

		r = pl_map(used, at, used->size - at, &e, err);
		if (r < 0)
			break;
		if (e.kind == PLATTER_HOLE)
			r = pl_extents_add(&w->extents, pl_round_up(at, sector),
					   pl_round_down(at + e.length, sector), err);
		at += e.length;
	}
	return r;
}

static int
find_free(struct pl_wipe *w, struct pl_place *place, struct platter_error *err)
{
	struct survey s = { .w = w };
	struct pl_place *used = NULL;
	uint64_t unused;
	int r = pl_place_used(place, each_volume, &s, &used, &unused, err);

	if (r < 0)
		return r;
	if (s.risk[0]) {
		r = pl_fail(err, -ENOTSUP, "what is free on '%s' is not certain (%s)", w->target,
			    s.risk);
		pl_hint(err, "check the file system first (fsck), or mount and unmount it");
	} else if (s.whole && s.whole == s.volumes) {
		r = pl_fail(err, -ENOTSUP, "what is free on '%s' is not known: %s", w->target,
			    s.why);
		pl_hint(err, "mount it, and name the folder instead");
	} else {
		r = add_holes(w, used->disk, err);
	}
	pl_place_close(used);
	return r;
}

/*
 * File systems that have whole clusters to a file, and no checksum over what is behind its end.
 * (Btrfs, ZFS, APFS and others check it, share blocks between files, or pack ends together.)
 */
static const char *const with_slack[] = {
	"ext4", "vfat", "exfat", "ntfs", "xfs", "hfs", "hfsplus"
};

struct slack {
	struct pl_wipe *w;
	struct pl_volume *v;
	struct pl_ranges data;   /* bytes of files; may only grow */
	struct pl_extents found; /* as the files come */
};

/* Where the bytes of a file are, and what is behind the last one in its cluster. */
static int
add_file(struct slack *s, struct pl_disk *file, struct platter_error *err)
{
	uint64_t at = 0, last = file->size - 1;
	uint32_t cluster = s->v->block_size;
	int r = 0;

	while (at < file->size) {
		struct pl_extent e;
		uint64_t stored;

		r = pl_map(file, at, file->size - at, &e, err);
		if (r < 0)
			return r;
		if (e.kind == PLATTER_DATA && e.below == s->v->disk) {
			/* What is encoded ends somewhere in its clusters: all of it is data. */
			r = pl_ranges_add(&s->data, e.stored_offset,
					  e.decoder ? pl_round_up(e.stored_length, cluster)
						    : e.length,
					  err);
			stored = e.stored_offset + (last - at);
			if (r == 0 && !e.decoder && last - at < e.length)
				r = pl_extents_add(&s->found, stored + 1,
						   stored + (cluster - last % cluster), err);
		}
		if (r < 0)
			return r;
		at += e.length;
	}
	return 0;
}

static int
add_stream(struct slack *s, struct pl_node_id id, const char *stream, struct platter_error *err)
{
	PL_AUTOUNREF struct pl_disk *file = NULL;
	int r = pl_volume_open_file(s->v, id, stream, "file", &file, err);

	/* Encrypted, or stored in a way that is not known: it has none that we could find. */
	if (r == -ENOTSUP || r == -ENOENT || r == -ENOKEY)
		return 0;
	return r < 0 || !file->size ? r : add_file(s, file, err);
}

struct streams {
	struct slack *s;
	struct pl_node_id id;
};

static int
each_stream(void *closure, const struct pl_attribute *a, struct platter_error *err)
{
	struct streams *streams = closure;

	return add_stream(streams->s, streams->id, a->name, err);
}

static int
visit(void *closure, const struct pl_visited *v, struct platter_error *err)
{
	struct slack *s = closure;
	struct streams streams = { s, v->id };
	int r;

	if (v->what == PL_VISIT_ERROR) {
		r = pl_fail(err, -EUCLEAN, "'%s' cannot be read: %s", v->path, v->error->message);
		pl_hint(err, "where files are must be known in full; check the file system (fsck)");
		return r;
	}
	if (v->what != PL_VISIT_FILE || v->file->type != PLATTER_FILE_REGULAR)
		return 0;
	r = add_stream(s, v->id, NULL, err);
	if (r == 0 && s->v->ops->streams)
		r = s->v->ops->streams(s->v, v->id, each_stream, &streams, err);
	return r;
}

static int
by_start(const void *a, const void *b)
{
	const struct pl_range *x = a, *y = b;

	return (x->start > y->start) - (x->start < y->start);
}

/* Add what of [start, end) holds no byte of a file. */
static int
add_without_data(struct slack *s, uint64_t start, uint64_t end, struct platter_error *err)
{
	const struct pl_extents *x = &s->w->extents;
	int r = 0;

	/* Two names of one file have the same slack. */
	if (x->nr)
		start = PL_MAX(start, x->range[x->nr - 1].end);
	while (start < end && r == 0) {
		const struct pl_range *data = pl_ranges_find(&s->data, start);
		uint64_t until = data ? PL_MIN(end, PL_MAX(data->start, start)) : end;

		r = pl_extents_add(&s->w->extents, start, until, err);
		start = data && data->start < end ? data->end : end;
	}
	return r;
}

static int
collect_slack(struct slack *s, struct platter_error *err)
{
	int r = pl_walk_tree(s->v, s->v->root, 0, visit, s, err);

	pl_ranges_finish(&s->data, s->w->size);
	if (s->found.nr)
		qsort(s->found.range, s->found.nr, sizeof *s->found.range, by_start);
	for (size_t i = 0; i < s->found.nr && r == 0; i++)
		r = add_without_data(s, s->found.range[i].start,
				     PL_MIN(s->found.range[i].end, s->v->size), err);
	return r;
}

static int
find_slack(struct pl_wipe *w, struct pl_disk *disk, struct platter_error *err)
{
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
	struct slack s = { .w = w };
	bool known = false;
	int r = pl_volume_open(disk, NULL, NULL, 0, &v, err);

	if (r < 0)
		return r;
	s.v = v;
	for (size_t i = 0; i < ARRAY_SIZE(with_slack); i++)
		known |= !strcmp(with_slack[i], v->driver->info.name);
	if (!known || !pl_is_power_of_two(v->block_size)) {
		r = pl_unsupported(err, PLATTER_NO_OFFSET,
				   "slack of %s is not overwritten: it may be checksummed, or "
				   "belong to other files",
				   v->driver->info.longname);
		pl_hint(err, "copy the files to a new file system instead, and wipe this one");
		return r;
	}
	if (v->state != PLATTER_STATE_CLEAN && v->state != PLATTER_STATE_UNKNOWN) {
		r = pl_fail(err, -ENOTSUP, "'%s' was not unmounted: where files are is not certain",
			    w->target);
		pl_hint(err, "check the file system first (fsck), or mount and unmount it");
		return r;
	}
	r = collect_slack(&s, err);
	pl_ranges_done(&s.data);
	pl_extents_done(&s.found);
	return r;
}

int
pl_wipe_find_extents(struct pl_wipe *w, struct platter_error *err)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	struct pl_place *place = NULL;
	int r;

	pl_extents_done(&w->extents);
	if (w->report.part == PLATTER_WIPE_WHOLE && w->method->how != PL_WIPE_HEADS &&
	    w->method->how != PL_WIPE_LUKS)
		return pl_extents_add(&w->extents, 0, w->size, err);
	r = pl_slice_new(w->storage, w->offset, w->size, w->target, &disk, err);
	if (r == 0 && w->report.part == PLATTER_WIPE_FREE_SPACE) {
		r = pl_place_of_leaf(disk, &place, err);
		if (r < 0)
			return r;
		pl_disk_ref(disk);
		r = find_free(w, place, err);
		pl_place_close(place);
	} else if (r == 0 && w->report.part == PLATTER_WIPE_SLACK) {
		r = find_slack(w, disk, err);
	} else if (r == 0 && w->method->how == PL_WIPE_LUKS) {
		r = find_luks(w, disk, err);
	} else if (r == 0) {
		r = find_heads(w, disk, err);
	}
	return r;
}

/* Sections of a sample: in each, two places apart from each other are read. */
#define SECTIONS  1000
#define SAMPLE_IO KIB(4)

/* Where in the extents the last call stopped: positions only go up. */
struct reached {
	size_t extent;
	uint64_t before; /* bytes of the extents before it */
};

/* Add [from, to), which count bytes of the extents. */
static int
add_positions(struct pl_wipe *w, struct reached *at, uint64_t from, uint64_t to,
	      struct platter_error *err)
{
	int r = 0;

	while (at->extent < w->extents.nr && at->before < to && r == 0) {
		const struct pl_range *e = &w->extents.range[at->extent];
		uint64_t n = e->end - e->start;
		uint64_t a = PL_MAX(from, at->before), b = PL_MIN(to, at->before + n);

		if (a < b)
			r = pl_extents_add(&w->sample, e->start + (a - at->before),
					   e->start + (b - at->before), err);
		if (to < at->before + n)
			break;
		at->before += n;
		at->extent++;
	}
	return r;
}

/*
 * NIST SP 800-88 Rev. 1, 4.7.2: at least 1000 sections, of each at least two places that do not
 * overlap, together at least a tenth; and the first and the last addressable location.
 */
int
pl_wipe_find_sample(struct pl_wipe *w, double share, struct platter_error *err)
{
	uint64_t half = w->extents.bytes / SECTIONS / 2, n, done = SAMPLE_IO;
	struct reached reached = { 0 };
	uint8_t dice[16 * SECTIONS];
	int r;

	half = pl_round_down(half, SAMPLE_IO);
	n = pl_round_up((uint64_t)(share * (double)half) + 1, SAMPLE_IO);
	/* Too small to be sampled: all of it is read. */
	if (half < 2 * SAMPLE_IO || n >= half)
		return 0;
	r = pl_wipe_bytes((struct pl_wipe_pattern){ 0 }, UINT32_MAX - 1, w->state.seed, 0, dice,
			  sizeof dice, err);
	if (r == 0)
		r = add_positions(w, &reached, 0, SAMPLE_IO, err);
	for (size_t i = 0; i < 2 * SECTIONS && r == 0; i++) {
		uint64_t places = (half - n) / SAMPLE_IO + 1;
		uint64_t at = half * i + get_be64(dice + 8 * i) % places * SAMPLE_IO;

		r = add_positions(w, &reached, PL_MAX(at, done), at + n, err);
		done = PL_MAX(done, at + n);
	}
	if (r == 0)
		r = add_positions(w, &reached, PL_MAX(done, w->extents.bytes - SAMPLE_IO),
				  w->extents.bytes, err);
	return r;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ntfs/runs.c - mapping pairs: which clusters of the volume an attribute is in
 *
 * Each run is a byte with the lengths of two numbers, the count of clusters (low 4 bits) and
 * the distance from the last run's first cluster (high 4 bits; 0: not stored), and these; a
 * zero byte ends them.
 */
#include "file.h"
#include "ntfs.h"

void
pl_ntfs_runs_done(struct ntfs_runs *runs)
{
	free(runs->run);
	*runs = (struct ntfs_runs){ 0 };
}

static int
add_run(struct ntfs_runs *runs, uint64_t vcn, uint64_t length, uint64_t lcn,
	struct platter_error *err)
{
	struct ntfs_run *last = runs->nr ? &runs->run[runs->nr - 1] : NULL;
	bool stored = lcn != NTFS_NOT_STORED;

	if (last && (last->lcn != NTFS_NOT_STORED) == stored &&
	    (!stored || last->lcn + last->length == lcn)) {
		last->length += length;
		return 0;
	}
	if (runs->nr == runs->capacity) {
		size_t capacity = PL_MAX(4, runs->capacity * 2);
		struct ntfs_run *p;

		if (runs->nr >= PL_MAX_RUNS)
			return pl_over_limit(err, PLATTER_NO_OFFSET,
					     "attribute in more than %u pieces", PL_MAX_RUNS);
		p = pl_realloc_array(runs->run, capacity, sizeof *p);
		if (!p)
			return pl_no_memory(err);
		runs->run = p;
		runs->capacity = capacity;
	}
	runs->run[runs->nr++] = (struct ntfs_run){ vcn, length, lcn };
	return 0;
}

/* A little-endian number of n bytes (n <= 8) with a sign. */
static int64_t
get_signed(const uint8_t *p, unsigned n)
{
	uint64_t v = 0;

	for (unsigned i = n; i-- > 0;)
		v = v << 8 | p[i];
	if (n && n < 8 && p[n - 1] & 0x80)
		v |= UINT64_MAX << (8 * n);
	return (int64_t)v;
}

int
pl_ntfs_runs_decode(struct ntfs_fs *fs, const struct ntfs_attribute *a, struct ntfs_runs *runs,
		    uint64_t *ret_end, struct platter_error *err)
{
	struct pl_cursor c = { a->value, a->value + a->length };
	uint64_t vcn = a->vcn, lcn = 0, at;
	int r = 0;

	while (r == 0) {
		const uint8_t *p = pl_take(&c, 1), *number;
		unsigned lengths, distances;
		int64_t length;

		at = p ? a->at + (uint64_t)(p - a->value) : a->at;
		if (!p || !*p)
			break;
		lengths = *p & 15;
		distances = *p >> 4;
		number = pl_take(&c, lengths + distances);
		if (!number || !lengths || lengths > 8 || distances > 8)
			return pl_corrupt(err, at, "mapping pair with header 0x%02x", *p);
		length = get_signed(number, lengths);
		/* No attribute has more than 2^63 bytes. */
		if (length <= 0 || (uint64_t)length > INT64_MAX / fs->boot.cluster_size ||
		    vcn > INT64_MAX / fs->boot.cluster_size - (uint64_t)length)
			return pl_corrupt(err, at, "run of %" PRId64 " clusters", length);
		if (distances) {
			lcn += (uint64_t)get_signed(number + lengths, distances);
			/* Before Windows 2000, -1 was what a sparse run has. */
			if (lcn != NTFS_NOT_STORED &&
			    !pl_in_range(lcn, (uint64_t)length, fs->nr_clusters))
				return pl_corrupt(err, at,
						  "run of %" PRId64 " clusters at cluster %" PRIu64
						  ", the volume has %" PRIu64,
						  length, lcn, fs->nr_clusters);
		}
		r = add_run(runs, vcn, (uint64_t)length, distances ? lcn : NTFS_NOT_STORED, err);
		vcn += (uint64_t)length;
	}
	*ret_end = vcn;
	return r;
}

static int
compare_pieces(const void *a, const void *b)
{
	const struct ntfs_attribute *const *x = a, *const *y = b;

	return (*x)->vcn < (*y)->vcn ? -1 : (*x)->vcn > (*y)->vcn;
}

static bool
same_attribute(const struct ntfs_attribute *a, const struct ntfs_attribute *b)
{
	return a->type == b->type && a->name_units == b->name_units && !b->resident &&
	       !memcmp(a->name, b->name, a->name_units * 2u);
}

/* The pieces that an attribute list dealt out, in order. */
static int
load_pieces(struct ntfs_fs *fs, const struct ntfs_node *n, const struct ntfs_attribute *a,
	    size_t nr, struct ntfs_runs *ret, uint64_t *ret_end, struct platter_error *err)
{
	PL_AUTOFREE const struct ntfs_attribute **piece = calloc(nr, sizeof *piece);
	size_t k = 0;
	int r = 0;

	if (!piece)
		return pl_no_memory(err);
	for (size_t i = 0; i < n->nr; i++)
		if (same_attribute(a, &n->attribute[i]))
			piece[k++] = &n->attribute[i];
	qsort(piece, nr, sizeof(const struct ntfs_attribute *), compare_pieces);
	for (size_t i = 0; i < nr && r == 0; i++) {
		if (piece[i]->vcn != *ret_end)
			break;
		r = pl_ntfs_runs_decode(fs, piece[i], ret, ret_end, err);
	}
	return r;
}

int
pl_ntfs_runs_load_some(struct ntfs_fs *fs, const struct ntfs_node *n,
		       const struct ntfs_attribute *a, struct ntfs_runs *ret, uint64_t *ret_end,
		       struct platter_error *err)
{
	size_t nr = 0;
	int r;

	*ret = (struct ntfs_runs){ 0 };
	*ret_end = 0;
	for (size_t i = 0; i < n->nr; i++)
		nr += same_attribute(a, &n->attribute[i]);
	r = nr < 2 ? pl_ntfs_runs_decode(fs, a, ret, ret_end, err)
		   : load_pieces(fs, n, a, nr, ret, ret_end, err);
	if (r < 0)
		pl_ntfs_runs_done(ret);
	return r;
}

int
pl_ntfs_runs_load(struct ntfs_fs *fs, const struct ntfs_node *n, const struct ntfs_attribute *a,
		  struct ntfs_runs *ret, struct platter_error *err)
{
	uint64_t end, clusters = pl_div_round_up(a->size, fs->boot.cluster_size);
	int r = pl_ntfs_runs_load_some(fs, n, a, ret, &end, err);

	if (r < 0 || end >= clusters)
		return r;
	pl_ntfs_runs_done(ret);
	if (n->damage && err)
		*err = n->why;
	return n->damage ? n->damage
			 : pl_corrupt(err, a->at,
				      "attribute 0x%" PRIx32 " of MFT record %" PRIu64
				      " has %" PRIu64 " bytes, and clusters for %" PRIu64,
				      a->type, n->number, a->size, end * fs->boot.cluster_size);
}

const struct ntfs_run *
pl_ntfs_runs_find(const struct ntfs_runs *runs, uint64_t vcn)
{
	size_t low = 0, high = runs->nr;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (runs->run[mid].vcn + runs->run[mid].length <= vcn)
			low = mid + 1;
		else
			high = mid;
	}
	return low < runs->nr && runs->run[low].vcn <= vcn ? &runs->run[low] : NULL;
}

int
pl_ntfs_stream_load(struct ntfs_fs *fs, const struct ntfs_node *n, const struct ntfs_attribute *a,
		    struct ntfs_stream *ret, struct platter_error *err)
{
	*ret = (struct ntfs_stream){ .size = a->size, .initialized = a->initialized };
	if (a->resident) {
		ret->value = malloc(PL_MAX(a->length, 1u));
		if (!ret->value)
			return pl_no_memory(err);
		memcpy(ret->value, a->value, a->length);
		return 0;
	}
	if (a->flags & (NTFS_COMPRESSION | NTFS_ENCRYPTED) && a->type == NTFS_DATA)
		return pl_unsupported(err, a->at, "MFT record %" PRIu64 " is metadata, but %s",
				      n->number,
				      a->flags & NTFS_ENCRYPTED ? "encrypted" : "compressed");
	return pl_ntfs_runs_load(fs, n, a, &ret->runs, err);
}

void
pl_ntfs_stream_done(struct ntfs_stream *s)
{
	free(s->value);
	pl_ntfs_runs_done(&s->runs);
	*s = (struct ntfs_stream){ 0 };
}

int
pl_ntfs_stream_read(struct ntfs_fs *fs, const struct ntfs_stream *s, void *buf, size_t n,
		    uint64_t offset, struct platter_error *err)
{
	uint32_t cluster_size = fs->boot.cluster_size;
	uint8_t *p = buf;
	int r = 0;

	if (!pl_in_range(offset, n, s->size))
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "%zu bytes at byte %" PRIu64 " of metadata of %" PRIu64, n,
				  offset, s->size);
	if (s->value) {
		memcpy(p, s->value + offset, n);
		return 0;
	}
	while (n && r == 0) {
		const struct ntfs_run *run = pl_ntfs_runs_find(&s->runs, offset / cluster_size);
		uint64_t into, left;
		size_t part;

		if (!run)
			return pl_corrupt(err, PLATTER_NO_OFFSET,
					  "byte %" PRIu64 " of metadata is nowhere", offset);
		into = offset - run->vcn * cluster_size;
		left = offset < s->initialized ? s->initialized - offset : n;
		part = (size_t)PL_MIN(n, PL_MIN(left, run->length * cluster_size - into));
		if (run->lcn == NTFS_NOT_STORED || offset >= s->initialized)
			memset(p, 0, part);
		else
			r = pl_meta_read(fs->volume.meta, p, part, run->lcn * cluster_size + into,
					 err);
		p += part;
		offset += part;
		n -= part;
	}
	return r;
}

int
pl_ntfs_value_load(struct ntfs_fs *fs, const struct ntfs_node *n, const struct ntfs_attribute *a,
		   size_t limit, uint8_t **ret, size_t *ret_n, struct platter_error *err)
{
	struct ntfs_stream s;
	int r;

	if (a->size > limit)
		return pl_corrupt(err, a->at,
				  "attribute 0x%" PRIx32 " of %" PRIu64 " bytes, limit is %zu",
				  a->type, a->size, limit);
	r = pl_ntfs_stream_load(fs, n, a, &s, err);
	if (r == 0 && !s.value) {
		s.value = malloc((size_t)s.size + 1);
		if (!s.value) {
			r = pl_no_memory(err);
		} else {
			struct ntfs_stream stored = { .runs = s.runs,
						      .size = s.size,
						      .initialized = s.initialized };

			r = pl_ntfs_stream_read(fs, &stored, s.value, (size_t)s.size, 0, err);
		}
	}
	if (r == 0) {
		*ret_n = (size_t)s.size;
		*ret = PL_STEAL(s.value);
	}
	pl_ntfs_stream_done(&s);
	return r;
}

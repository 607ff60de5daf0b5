/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ntfs/contents.c - files and streams as disks
 *
 * LZNT1 (the attribute's own compression): the clusters of an attribute are dealt with in units of
 * 16. A unit with all its clusters is stored as it is; one with none is zeros; of any other the
 * clusters that are there, which come first, hold it compressed.
 *
 * System compression (since Windows 10): the unnamed stream has a size and no clusters. The
 * stream "WofCompressedData" has a table of where each chunk but the first begins, counted from
 * the table's end, in 4 bytes (8 if the file has 4 GiB or more), and the chunks. One that is as
 * long as what it stands for is stored as it is.
 */
#include "codec.h"
#include "file.h"
#include "ntfs.h"
#include "text.h"

#define COMPRESSION_LZNT1 1

/* Read at once of a table of chunks. */
#define TABLE_PART KIB(64)

/* What was never written, and what is behind the last initialized byte, reads as zeros. */
static int
plain_runs(struct ntfs_fs *fs, const struct ntfs_attribute *a, const struct ntfs_runs *from,
	   struct pl_runs *ret, struct platter_error *err)
{
	uint64_t cluster_size = fs->boot.cluster_size;
	int r = 0;

	for (size_t i = 0; i < from->nr && r == 0; i++) {
		const struct ntfs_run *run = &from->run[i];
		uint64_t offset = run->vcn * cluster_size, length = run->length * cluster_size;

		if (offset >= a->initialized)
			break;
		if (run->lcn != NTFS_NOT_STORED)
			r = pl_runs_add_data(ret, offset, PL_MIN(length, a->initialized - offset),
					     run->lcn * cluster_size, err);
	}
	if (r == 0)
		r = pl_runs_add_zero(ret, a->initialized, a->size - a->initialized, err);
	return r;
}

static int
open_plain(struct ntfs_fs *fs, const struct ntfs_attribute *a, const struct ntfs_runs *from,
	   const char *name, struct pl_disk **ret, struct platter_error *err)
{
	struct pl_runs runs = { 0 };
	int r = plain_runs(fs, a, from, &runs, err);

	if (r < 0) {
		pl_runs_done(&runs);
		return r;
	}
	return pl_file_new(fs->volume.disk, &runs, a->size, name, ret, err);
}

/* The clusters as they are stored, at the offsets that they stand for. */
static int
open_stored(struct ntfs_fs *fs, const struct ntfs_runs *from, const char *name,
	    struct pl_disk **ret, struct platter_error *err)
{
	const struct ntfs_run *last = from->nr ? &from->run[from->nr - 1] : NULL;
	struct ntfs_attribute all = { 0 };

	if (last)
		all.size = all.initialized = (last->vcn + last->length) * fs->boot.cluster_size;
	return open_plain(fs, &all, from, name, ret, err);
}

/* Clusters of a unit that are stored; -EUCLEAN: not the first ones. */
static int
count_stored(const struct ntfs_runs *from, size_t *run, uint64_t vcn, uint64_t unit,
	     uint64_t *ret_stored, uint64_t at, struct platter_error *err)
{
	uint64_t stored = 0, end = vcn + unit;

	for (; *run < from->nr; ++*run) {
		const struct ntfs_run *p = &from->run[*run];
		uint64_t start = PL_MAX(p->vcn, vcn), stop = PL_MIN(p->vcn + p->length, end);

		if (start >= end)
			break;
		if (p->lcn != NTFS_NOT_STORED && start < stop) {
			if (start - vcn != stored)
				return pl_corrupt(err, at,
						  "compression unit at cluster %" PRIu64
						  " begins with a hole",
						  vcn);
			stored += stop - start;
		}
		if (p->vcn + p->length > end)
			break;
	}
	*ret_stored = stored;
	return 0;
}

/* Clusters from `vcn` on that are in one run and make whole units; *run is on the way there. */
static uint64_t
whole_units(const struct ntfs_runs *from, size_t *run, uint64_t vcn, uint64_t unit)
{
	while (*run < from->nr && from->run[*run].vcn + from->run[*run].length <= vcn)
		++*run;
	if (*run == from->nr || from->run[*run].vcn > vcn)
		return 0;
	return pl_round_down(from->run[*run].vcn + from->run[*run].length - vcn, unit);
}

static int
lznt1_runs(struct ntfs_fs *fs, const struct ntfs_attribute *a, const struct ntfs_runs *from,
	   struct pl_runs *ret, struct platter_error *err)
{
	uint64_t cluster_size = fs->boot.cluster_size, unit = 1ull << a->unit_shift;
	uint64_t unit_bytes = unit * cluster_size, stored, whole;
	size_t run = 0;
	int r = 0;

	for (uint64_t vcn = 0; r == 0 && vcn * cluster_size < a->initialized; vcn += unit) {
		uint64_t offset = vcn * cluster_size;
		struct pl_run out = {
			.offset = offset,
			.length = PL_MIN(unit_bytes, a->initialized - offset),
			.stored = offset,
			.kind = PLATTER_DATA,
		};

		/* Whole units of one run at once, be they stored or not. */
		whole = whole_units(from, &run, vcn, unit);
		if (whole) {
			out.length = PL_MIN(whole * cluster_size, a->initialized - offset);
			if (from->run[run].lcn != NTFS_NOT_STORED)
				r = pl_runs_add(ret, &out, err);
			vcn += whole - unit;
			continue;
		}
		r = count_stored(from, &run, vcn, unit, &stored, a->at, err);
		if (r < 0 || !stored)
			continue;
		if (stored < unit) {
			out.decoder = &pl_decoder_lznt1;
			out.stored_length = (uint32_t)(stored * cluster_size);
			out.chunk_length = (uint32_t)unit_bytes;
		}
		r = pl_runs_add(ret, &out, err);
	}
	if (r == 0)
		r = pl_runs_add_zero(ret, a->initialized, a->size - a->initialized, err);
	return r;
}

static int
open_lznt1(struct ntfs_fs *fs, const struct ntfs_attribute *a, const struct ntfs_runs *from,
	   const char *name, struct pl_disk **ret, struct platter_error *err)
{
	PL_AUTOUNREF struct pl_disk *stored = NULL;
	struct pl_runs runs = { 0 };
	int r;

	if ((a->flags & NTFS_COMPRESSION) != COMPRESSION_LZNT1)
		return pl_unsupported(err, a->at, "'%s' is compressed by method %u", name,
				      a->flags & NTFS_COMPRESSION);
	if (!a->unit_shift || (uint64_t)fs->boot.cluster_size << a->unit_shift > PL_MAX_CHUNK)
		return pl_corrupt(err, a->at, "'%s' is compressed in units of 2^%u clusters", name,
				  a->unit_shift);
	r = open_stored(fs, from, name, &stored, err);
	if (r == 0)
		r = lznt1_runs(fs, a, from, &runs, err);
	if (r < 0) {
		pl_runs_done(&runs);
		return r;
	}
	return pl_file_new(stored, &runs, a->size, name, ret, err);
}

int
pl_ntfs_open_attribute(struct ntfs_fs *fs, const struct ntfs_node *n,
		       const struct ntfs_attribute *a, const char *name, struct pl_disk **ret,
		       struct platter_error *err)
{
	struct ntfs_runs runs;
	int r;

	if (a->flags & NTFS_ENCRYPTED) {
		r = pl_unsupported(err, a->at, "'%s' is encrypted by Windows (EFS)", name);
		pl_hint(err, "the key is in its owner's profile; open it in that Windows");
		return r;
	}
	if (a->resident)
		return pl_file_of_bytes(a->value, a->length, name, ret, err);
	r = pl_ntfs_runs_load(fs, n, a, &runs, err);
	if (r < 0)
		return r;
	if (a->flags & NTFS_COMPRESSION)
		r = open_lznt1(fs, a, &runs, name, ret, err);
	else
		r = open_plain(fs, a, &runs, name, ret, err);
	pl_ntfs_runs_done(&runs);
	return r;
}

static const struct {
	uint32_t chunk;
	const struct pl_decoder *decoder;
} wof_codecs[] = {
	[NTFS_WOF_XPRESS4K] = { KIB(4), &pl_decoder_xpress },
	[NTFS_WOF_LZX32K] = { KIB(32), &pl_decoder_lzx },
	[NTFS_WOF_XPRESS8K] = { KIB(8), &pl_decoder_xpress },
	[NTFS_WOF_XPRESS16K] = { KIB(16), &pl_decoder_xpress },
};

struct chunks {
	struct pl_disk *stored;
	const struct pl_decoder *decoder;
	uint64_t size;   /* decoded */
	uint64_t table;  /* bytes of it */
	uint32_t length; /* of a decoded chunk */
	unsigned width;  /* of a table's entry */
	struct pl_runs runs;
};

/* Chunk `i`, from `start` to `end` behind the table. */
static int
add_chunk(struct chunks *c, uint64_t i, uint64_t start, uint64_t end, struct platter_error *err)
{
	uint64_t offset = i * c->length;
	struct pl_run run = {
		.offset = offset,
		.length = PL_MIN(c->length, c->size - offset),
		.kind = PLATTER_DATA,
		.stored = c->table + start,
	};

	if (end <= start || end - start > run.length || end > c->stored->size - c->table)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "compressed chunk %" PRIu64 " from byte %" PRIu64 " to %" PRIu64
				  " of %" PRIu64,
				  i, start, end, c->stored->size - c->table);
	if (end - start < run.length) {
		run.decoder = c->decoder;
		run.stored_length = (uint32_t)(end - start);
		run.chunk_length = (uint32_t)run.length;
	}
	return pl_runs_add(&c->runs, &run, err);
}

static int
add_chunks(struct chunks *c, struct platter_error *err)
{
	uint64_t nr = pl_div_round_up(c->size, c->length), start = 0, i = 0;
	PL_AUTOFREE uint8_t *part = malloc(TABLE_PART);
	int r = 0;

	if (!part)
		return pl_no_memory(err);
	c->table = (nr - 1) * c->width;
	if (nr > PL_MAX_RUNS)
		return pl_over_limit(err, PLATTER_NO_OFFSET, "%" PRIu64 " chunks, limit is %u", nr,
				     PL_MAX_RUNS);
	if (c->table > c->stored->size)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "table of %" PRIu64 " bytes in a compressed stream of %" PRIu64,
				  c->table, c->stored->size);
	for (uint64_t at = 0; at < c->table && r == 0; at += TABLE_PART) {
		size_t n = (size_t)PL_MIN(TABLE_PART, c->table - at);

		r = pl_read(c->stored, part, n, at, err);
		for (size_t k = 0; k < n && r == 0; k += c->width) {
			uint64_t end = c->width == 8 ? get_le64(part + k) : get_le32(part + k);

			r = add_chunk(c, i++, start, end, err);
			start = end;
		}
	}
	return r ? r : add_chunk(c, i, start, c->stored->size - c->table, err);
}

static int
open_wof(struct ntfs_fs *fs, const struct ntfs_node *n, const struct ntfs_reparse *reparse,
	 const char *name, struct pl_disk **ret, struct platter_error *err)
{
	const struct ntfs_attribute *data = pl_ntfs_find(n, NTFS_DATA, NULL);
	const struct ntfs_attribute *packed = pl_ntfs_find(n, NTFS_DATA, NTFS_WOF_STREAM);
	PL_AUTOUNREF struct pl_disk *stored = NULL;
	enum ntfs_wof_algorithm algorithm;
	struct chunks c = { 0 };
	int r = pl_ntfs_wof_algorithm(n, reparse, &algorithm, err);

	if (r < 0)
		return r;
	if (!data || !packed)
		return pl_corrupt(err, n->at, "'%s' lacks its %s contents", name,
				  data ? "compressed" : "uncompressed");
	if (!data->size)
		return pl_file_of_bytes("", 0, name, ret, err);
	r = pl_ntfs_open_attribute(fs, n, packed, name, &stored, err);
	if (r < 0)
		return r;
	c.stored = stored;
	c.size = data->size;
	c.width = c.size > UINT32_MAX ? 8 : 4;
	c.length = wof_codecs[algorithm].chunk;
	c.decoder = wof_codecs[algorithm].decoder;
	r = add_chunks(&c, err);
	if (r < 0) {
		pl_context(err, "'%s'", name);
		pl_runs_done(&c.runs);
		return r;
	}
	return pl_file_new(stored, &c.runs, c.size, name, ret, err);
}

/* *ret_is_wof, or an error if the contents are not in the unnamed stream. */
static int
check_reparse(const struct ntfs_node *n, const struct ntfs_reparse *reparse, const char *name,
	      bool *ret_is_wof, struct platter_error *err)
{
	const struct ntfs_attribute *data = pl_ntfs_find(n, NTFS_DATA, NULL);

	*ret_is_wof = reparse->tag == NTFS_TAG_WOF;
	if (*ret_is_wof)
		return 0;
	if (reparse->type != PLATTER_FILE_UNKNOWN)
		return pl_invalid(err, "'%s' is no regular file", name);
	/* Resident, or every cluster there, it is whole whatever somebody else wanted with it. */
	if (!data || !data->size || data->resident || !(data->flags & NTFS_SPARSE))
		return 0;
	if (reparse->tag == NTFS_TAG_DEDUP || !data->allocated ||
	    pl_ntfs_file_flags(n) & (NTFS_FILE_OFFLINE | NTFS_FILE_RECALL_ON_DATA))
		return pl_unsupported(err, n->at,
				      "the contents of '%s' are not in the file: %s (reparse point "
				      "0x%08" PRIx32 ")",
				      name, reparse->note, reparse->tag);
	return 0;
}

static bool
is_interix(const struct ntfs_fs *fs, const struct ntfs_node *n)
{
	struct platter_file file = { 0 };

	return pl_ntfs_file_flags(n) & NTFS_FILE_SYSTEM &&
	       pl_ntfs_stat_node((struct ntfs_fs *)(uintptr_t)fs, n, &file, NULL) == 0 &&
	       file.type != PLATTER_FILE_REGULAR;
}

static int
open_contents(struct ntfs_fs *fs, const struct ntfs_node *n, const char *name, struct pl_disk **ret,
	      struct platter_error *err)
{
	const struct ntfs_attribute *data;
	struct ntfs_reparse reparse;
	bool is_wof = false;
	int r;

	if (n->flags & NTFS_IS_FOLDER)
		return pl_fail_at(err, -EISDIR, n->at, "'%s' is a folder", name);
	r = pl_ntfs_reparse_load(fs, n, &reparse, err);
	if (r == 0)
		r = check_reparse(n, &reparse, name, &is_wof, err);
	if (r == 0 && is_wof)
		r = open_wof(fs, n, &reparse, name, ret, err);
	pl_ntfs_reparse_done(&reparse);
	if (is_wof || (r < 0 && r != -ENOENT))
		return r;
	if (is_interix(fs, n))
		return pl_invalid(err, "'%s' is no regular file", name);
	data = pl_ntfs_find(n, NTFS_DATA, NULL);
	if (data)
		return pl_ntfs_open_attribute(fs, n, data, name, ret, err);
	if (!n->damage)
		return pl_file_of_bytes("", 0, name, ret, err);
	if (err)
		*err = n->why;
	return n->damage;
}

static int
open_stream(struct ntfs_fs *fs, const struct ntfs_node *n, const char *stream, const char *name,
	    struct pl_disk **ret, struct platter_error *err)
{
	const struct ntfs_attribute *found = NULL;
	char text[3 * UINT8_MAX + 1];

	for (size_t i = 0; i < n->nr; i++) {
		const struct ntfs_attribute *a = &n->attribute[i];
		size_t length;

		if (a->type != NTFS_DATA || !a->name_units || a->vcn)
			continue;
		length = pl_name_from_utf16le(a->name, a->name_units, text);
		if (!strcmp(text, stream)) {
			found = a;
			break;
		}
		if (!found && pl_names_equal_folded(text, length, stream, strlen(stream)))
			found = a;
	}
	if (!found)
		return pl_fail(err, -ENOENT, "'%s' has no stream '%s'", name, stream);
	return pl_ntfs_open_attribute(fs, n, found, name, ret, err);
}

int
pl_ntfs_open_file(struct pl_volume *v, struct pl_node_id id, const char *stream, const char *name,
		  struct pl_disk **ret, struct platter_error *err)
{
	struct ntfs_fs *fs = pl_ntfs_of(v);
	struct ntfs_node n;
	int r = pl_ntfs_node_load(fs, id.inode, NTFS_WHOLE, &n, err);

	if (r == 0)
		r = stream ? open_stream(fs, &n, stream, name, ret, err)
			   : open_contents(fs, &n, name, ret, err);
	pl_ntfs_node_done(&n);
	return r;
}

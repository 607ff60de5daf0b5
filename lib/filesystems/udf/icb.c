/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * udf/icb.c - file entries of UDF, and the extents of files (ECMA-167 4/14.9 to 14.17)
 *
 *	offset  size  file entry	extended
 *	    16    20  ICB tag: strategy at 4, type at 11, flags at 18
 *	    36     4  uid, then gid, permissions
 *	    48     2  links
 *	    56     8  size
 *	    64     8  blocks		72 (64: size of all streams)
 *	    72    12  accessed		80
 *	    84    12  modified		92
 *	              created		104
 *	    96    12  attributes changed	116
 *	              stream folder	152
 *	   160     8  unique id		200
 *	   168     4  bytes of attributes	208
 *	   172     4  bytes of extents	212
 *	   176        attributes, extents	216
 *
 * Extents are of 8, 16 or 20 bytes, or are not there: then the contents are in their place.
 */
#include "udf.h"

enum {
	FE_STRATEGY = 20,
	FE_TYPE = 27,
	FE_FLAGS = 34,
	FE_UID = 36,
	FE_GID = 40,
	FE_PERMISSIONS = 44,
	FE_LINKS = 48,
	FE_SIZE = 56,
	FE_HEADER = 176,
	EFE_CREATED = 104,
	EFE_STREAMS = 152,
	EFE_HEADER = 216,
	INDIRECT_ICB = 36,
};
enum {
	EXTENTS_SHORT,
	EXTENTS_LONG,
	EXTENTS_EXTENDED,
	EXTENTS_NONE, /* the contents are here */
	EXTENTS_MASK = 7
};
enum {
	EXTENT_RECORDED,
	EXTENT_ALLOCATED,     /* and not recorded: zeros */
	EXTENT_NOT_ALLOCATED, /* zeros too */
	EXTENT_CONTINUATION,  /* more extents are there */
};
enum {
	AED_LENGTH = 20,
	AED_EXTENTS = 24
};
enum {
	ATTRIBUTES_HEADER = 24,
	ATTRIBUTE_LENGTH = 8,
	ATTRIBUTE_TIMES = 5,
	ATTRIBUTE_DEVICE = 12
};

#define STRATEGY_CHAIN 4096

/* Versions of an entry on media written once; blocks of extents: 256 GiB in pieces of a block. */
#define MAX_VERSIONS      1024
#define MAX_CONTINUATIONS (1u << 20)

static int
read_entry(const struct udf *fs, unsigned map, uint32_t block, bool mirror, struct udf_icb *ret,
	   struct platter_error *err)
{
	uint64_t length;
	unsigned tag;
	int r = pl_udf_translate(fs, map, block, mirror, &ret->at, &length, err);

	if (r == 0)
		r = pl_meta_read(fs->volume.meta, ret->bytes, fs->block_size, ret->at, err);
	if (r < 0)
		return r;
	tag = get_le16(ret->bytes);
	return pl_udf_check_tag(fs, ret->bytes, fs->block_size,
				tag == TAG_EXTENDED_FILE ? TAG_EXTENDED_FILE : TAG_FILE, block,
				ret->at, err);
}

static int
read_entry_or_copy(const struct udf *fs, unsigned map, uint32_t block, struct udf_icb *ret,
		   struct platter_error *err)
{
	int r = read_entry(fs, map, block, false, ret, err);

	if (r < 0 && map < fs->nr_maps && fs->map[map].kind == MAP_METADATA &&
	    fs->map[map].mirror.nr && read_entry(fs, map, block, true, ret, NULL) == 0)
		return 0;
	return r;
}

/*
 * Strategy 4096: an entry that must stay as it is is followed by the address of its next
 * version.  Where none was written the block is empty.
 */
static void
find_last_version(const struct udf *fs, uint32_t block, struct udf_icb *icb)
{
	uint8_t *last = icb->bytes, *next = malloc(fs->block_size);

	for (unsigned i = 0;
	     next && i < MAX_VERSIONS && get_le16(last + FE_STRATEGY) == STRATEGY_CHAIN; i++) {
		struct udf_icb newer = { .bytes = next };
		struct udf_address a;
		uint64_t at, length;

		if (block == UINT32_MAX ||
		    pl_udf_translate(fs, icb->map, block + 1, false, &at, &length, NULL) < 0 ||
		    pl_meta_read(fs->volume.meta, next, fs->block_size, at, NULL) < 0 ||
		    pl_udf_check_tag(fs, next, fs->block_size, TAG_INDIRECT, block + 1, at, NULL) <
			    0)
			break;
		a = udf_address_at(next + INDIRECT_ICB);
		if (!a.length || read_entry_or_copy(fs, a.map, a.block, &newer, NULL) < 0)
			break;
		icb->at = newer.at;
		icb->map = a.map;
		block = a.block;
		/* What was read becomes the last; the older buffer is free for the next. */
		next = last;
		last = icb->bytes = newer.bytes;
	}
	free(next);
}

static void
take_times(struct udf_icb *icb, const uint8_t *e, bool extended)
{
	icb->accessed = pl_udf_time(e + (extended ? 80 : 72));
	icb->modified = pl_udf_time(e + (extended ? 92 : 84));
	icb->changed = pl_udf_time(e + (extended ? 116 : 96));
	icb->created = (struct platter_time){ .seconds = PLATTER_NO_TIME };
	if (extended)
		icb->created = pl_udf_time(e + EFE_CREATED);
}

/* Of the attributes in the entry: when it was made, and which device it is. */
static void
take_attributes(struct udf_icb *icb, const uint8_t *p, size_t n)
{
	size_t at = ATTRIBUTES_HEADER;

	if (n < ATTRIBUTES_HEADER || get_le16(p) != TAG_ATTRIBUTES)
		return;
	while (at + 12 <= n) {
		const uint8_t *a = p + at;
		uint32_t length = get_le32(a + ATTRIBUTE_LENGTH);

		if (length < 12 || length > n - at)
			return;
		if (get_le32(a) == ATTRIBUTE_TIMES && length >= 32 && get_le32(a + 16) & 1)
			icb->created = pl_udf_time(a + 20);
		if (get_le32(a) == ATTRIBUTE_DEVICE && length >= 24) {
			icb->major = get_le32(a + 16);
			icb->minor = get_le32(a + 20);
		}
		at += length;
	}
}

static int
decode_entry(const struct udf *fs, struct udf_icb *icb, struct platter_error *err)
{
	const uint8_t *e = icb->bytes;
	bool extended = get_le16(e) == TAG_EXTENDED_FILE;
	uint32_t header = extended ? EFE_HEADER : FE_HEADER;
	uint32_t attributes = get_le32(e + header - 8), extents = get_le32(e + header - 4);

	if (attributes > fs->block_size - header || extents > fs->block_size - header - attributes)
		return pl_corrupt(err, icb->at + header - 8,
				  "file entry with %" PRIu32 " bytes of attributes and %" PRIu32
				  " of extents in a block of %" PRIu32,
				  attributes, extents, fs->block_size);
	icb->type = e[FE_TYPE];
	icb->flags = get_le16(e + FE_FLAGS);
	icb->uid = get_le32(e + FE_UID);
	icb->gid = get_le32(e + FE_GID);
	icb->permissions = get_le32(e + FE_PERMISSIONS);
	icb->links = get_le16(e + FE_LINKS);
	icb->size = get_le64(e + FE_SIZE);
	icb->nr_blocks = get_le64(e + (extended ? 72 : 64));
	icb->unique = get_le64(e + (extended ? 200 : 160));
	icb->streams = extended ? udf_address_at(e + EFE_STREAMS) : (struct udf_address){ 0 };
	icb->ads = header + attributes;
	icb->ads_length = extents;
	take_times(icb, e, extended);
	take_attributes(icb, e + header, attributes);
	return 0;
}

int
pl_udf_read_icb(const struct udf *fs, unsigned map, uint32_t block, struct udf_icb *ret,
		struct platter_error *err)
{
	int r;

	*ret = (struct udf_icb){ .map = map, .bytes = malloc(fs->block_size) };
	if (!ret->bytes)
		return pl_no_memory(err);
	r = read_entry_or_copy(fs, map, block, ret, err);
	if (r == 0 && get_le16(ret->bytes + FE_STRATEGY) == STRATEGY_CHAIN)
		find_last_version(fs, block, ret);
	if (r == 0)
		r = decode_entry(fs, ret, err);
	if (r < 0)
		pl_udf_icb_done(ret);
	return r;
}

void
pl_udf_icb_done(struct udf_icb *icb)
{
	free(icb->bytes);
	icb->bytes = NULL;
}

/* Goes through the extents of a file, those elsewhere too. */
struct extents {
	const struct udf *fs;
	unsigned kind, map, nr_continuations;
	struct pl_cursor c;
	uint8_t *block; /* of extents; NULL: still those in the entry */
};

struct extent {
	unsigned type;
	uint64_t at; /* offset of its descriptor, unknown: 0 */
	struct udf_address address;
};

static int
read_continuation(struct extents *x, struct udf_address a, struct platter_error *err)
{
	const struct udf *fs = x->fs;
	uint64_t at, length;
	uint32_t n;
	int r;

	/* More than the disk has blocks are a circle. */
	if (++x->nr_continuations > MAX_CONTINUATIONS ||
	    x->nr_continuations > pl_disk_size(fs->volume.disk) / fs->block_size)
		return pl_over_limit(err, PLATTER_NO_OFFSET, "extents in more than %u blocks",
				     x->nr_continuations - 1);
	if (!x->block)
		x->block = malloc(fs->block_size);
	if (!x->block)
		return pl_no_memory(err);
	r = pl_udf_translate(fs, a.map, a.block, false, &at, &length, err);
	if (r == 0)
		r = pl_meta_read(fs->volume.meta, x->block, fs->block_size, at, err);
	if (r == 0)
		r = pl_udf_check_tag(fs, x->block, fs->block_size, TAG_ALLOCATION_EXTENT, a.block,
				     at, err);
	if (r < 0)
		return r;
	n = get_le32(x->block + AED_LENGTH);
	if (n > fs->block_size - AED_EXTENTS)
		return pl_corrupt(err, at + AED_LENGTH,
				  "%" PRIu32 " bytes of extents in a block of %" PRIu32, n,
				  fs->block_size);
	x->map = a.map;
	x->c = (struct pl_cursor){ x->block + AED_EXTENTS, x->block + AED_EXTENTS + n };
	return 0;
}

/* 1: there is one; 0: there are no more. */
static int
next_extent(struct extents *x, struct extent *ret, struct platter_error *err)
{
	static const uint8_t sizes[] = { 8, 16, 20 };

	for (;;) {
		const uint8_t *p = pl_take(&x->c, sizes[x->kind]);
		struct udf_address a;
		int r;

		if (!p)
			return 0;
		a = udf_address_at(p);
		if (x->kind == EXTENTS_SHORT)
			a.map = (uint16_t)x->map;
		else if (x->kind == EXTENTS_EXTENDED)
			a = (struct udf_address){ get_le32(p), get_le32(p + 12), get_le16(p + 16) };
		ret->type = a.length >> 30;
		a.length &= 0x3fffffff;
		ret->address = a;
		if (!a.length)
			return 0;
		if (ret->type != EXTENT_CONTINUATION)
			return 1;
		r = read_continuation(x, a, err);
		if (r < 0)
			return r;
	}
}

/* A recorded extent, in as many runs as it takes. */
static int
add_recorded(const struct udf *fs, struct udf_address a, uint64_t offset, struct pl_runs *runs,
	     struct platter_error *err)
{
	uint64_t left = a.length;
	uint32_t block = a.block;
	int r = 0;

	while (left && r == 0) {
		uint64_t at, length;

		r = pl_udf_translate(fs, a.map, block, false, &at, &length, err);
		if (r < 0)
			break;
		length = PL_MIN(length, left);
		r = pl_runs_add_data(runs, offset, length, at, err);
		offset += length;
		left -= length;
		block += (uint32_t)(length / fs->block_size);
	}
	return r;
}

/* What the extents do not cover of a file cannot be read. */
static int
add_missing(uint64_t offset, uint64_t length, struct pl_runs *runs, struct platter_error *err)
{
	const struct pl_run run = { .offset = offset, .length = length, .kind = PLATTER_BAD };

	return pl_runs_add(runs, &run, err);
}

static int
add_extents(const struct udf *fs, const struct udf_icb *icb, struct pl_runs *runs,
	    struct platter_error *err)
{
	struct extents x = {
		.fs = fs,
		.kind = icb->flags & EXTENTS_MASK,
		.map = icb->map,
		.c = { icb->bytes + icb->ads, icb->bytes + icb->ads + icb->ads_length },
	};
	uint64_t offset = 0;
	struct extent e;
	int r = 1;

	while (offset < icb->size && (r = next_extent(&x, &e, err)) > 0) {
		int added = 0;

		if (e.type == EXTENT_RECORDED)
			added = add_recorded(fs, e.address, offset, runs, err);
		else if (e.type == EXTENT_ALLOCATED)
			added = pl_runs_add_zero(runs, offset, e.address.length, err);
		if (added < 0) {
			r = added;
			break;
		}
		offset += e.address.length;
	}
	free(x.block);
	if (r >= 0 && offset < icb->size)
		r = add_missing(offset, icb->size - offset, runs, err);
	return PL_MIN(r, 0);
}

int
pl_udf_runs(const struct udf *fs, const struct udf_icb *icb, struct pl_runs *ret,
	    struct platter_error *err)
{
	unsigned kind = icb->flags & EXTENTS_MASK;
	int r;

	if (icb->size > INT64_MAX)
		return pl_corrupt(err, icb->at + FE_SIZE, "file of %" PRIu64 " bytes", icb->size);
	if (kind < EXTENTS_NONE) {
		r = add_extents(fs, icb, ret, err);
	} else if (kind == EXTENTS_NONE) {
		uint64_t here = PL_MIN(icb->size, icb->ads_length);

		r = pl_runs_add_data(ret, 0, here, icb->at + icb->ads, err);
		if (r == 0)
			r = add_missing(here, icb->size - here, ret, err);
	} else {
		r = pl_unsupported(err, icb->at + FE_FLAGS, "file with extents of kind %u", kind);
	}
	if (r < 0)
		pl_runs_done(ret);
	return r;
}

int
pl_udf_read(const struct udf *fs, const struct pl_runs *runs, void *buf, size_t n, uint64_t offset,
	    struct platter_error *err)
{
	size_t low = 0, high = runs->nr;
	uint8_t *p = buf;
	int r = 0;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (runs->run[mid].offset + runs->run[mid].length <= offset)
			low = mid + 1;
		else
			high = mid;
	}
	while (n && r == 0) {
		const struct pl_run *run = low < runs->nr ? &runs->run[low] : NULL;
		size_t part;

		if (!run || run->offset > offset) {
			part = run ? (size_t)PL_MIN(n, run->offset - offset) : n;
			memset(p, 0, part);
		} else {
			uint64_t into = offset - run->offset;

			part = (size_t)PL_MIN(n, run->length - into);
			if (run->kind == PLATTER_DATA)
				r = pl_meta_read(fs->volume.meta, p, part, run->stored + into, err);
			else if (run->kind == PLATTER_BAD)
				r = pl_corrupt(err, PLATTER_NO_OFFSET,
					       "the extents end at byte %" PRIu64, run->offset);
			else
				memset(p, 0, part);
			low++;
		}
		p += part;
		offset += part;
		n -= part;
	}
	return r;
}

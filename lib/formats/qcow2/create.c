/* SPDX-License-Identifier: GPL-3.0-or-later */
/* create.c - the options of a new QCOW2 image, and its header */
#include <limits.h>
#include <stdio.h>

#include "create.h"
#include "text.h"

/*
 * A header extension of platter's own, only in images that are not finished: which of them
 * hold what.  Readers must ignore extensions that they do not know.
 *
 *	offset  size  field
 *	     0     8  bytes of the disk that are in the file
 *	     8     1  codec: 0 none, 1 deflate, 2 zstd
 *	     9     7  zero
 */
#define EXT_CHECKPOINT   0x706c7470u
#define CHECKPOINT_SIZE  16u
#define MAX_BACKING_NAME 1023u

/* header_length of version 3: up to the compression type, padded to a multiple of 8. */
#define V3_LENGTH 112u

const struct platter_option_info pl_qcow2_options[] = {
	{ "cluster_size", "512..2M", "unit of allocation and compression, a power of two; 64K" },
	{ "compat", "0.10|1.1", "version 2 or 3 of the format; 1.1" },
	{ "compression_type", "zlib|zstd",
	  "what compressed clusters hold; zstd, zlib for compat=0.10" },
	{ "refcount_bits", "1..64", "width of a reference count, a power of two; 16" },
	{ "lazy_refcounts", "on|off", "let programs put off updates of reference counts; off" },
	{ "backing_file", "PATH", "image that holds what this one does not; none" },
	{ "backing_fmt", "FORMAT", "format of the backing file; what it is now" },
	{ "extended_l2", "off", "subclusters are not written" },
	{ "preallocation", "off", "clusters are allocated when they are written" },
	{ 0 },
};

/* Options as given; NULL: not given. */
struct texts {
	const char *cluster_size, *compat, *compression_type, *refcount_bits, *lazy_refcounts;
	const char *backing_file, *backing_fmt, *extended_l2, *preallocation;
};

static int
bad_value(const char *key, const char *value, const char *allowed, struct platter_error *err)
{
	return pl_invalid(err, "option %s=%s: allowed is %s", key, value, allowed);
}

static int
collect(const struct pl_create_request *request, struct texts *t, struct platter_error *err)
{
	const struct {
		const char *key, **value;
	} known[] = {
		{ "cluster_size", &t->cluster_size },
		{ "compat", &t->compat },
		{ "compression_type", &t->compression_type },
		{ "refcount_bits", &t->refcount_bits },
		{ "lazy_refcounts", &t->lazy_refcounts },
		{ "backing_file", &t->backing_file },
		{ "backing_fmt", &t->backing_fmt },
		{ "extended_l2", &t->extended_l2 },
		{ "preallocation", &t->preallocation },
	};

	for (size_t i = 0; i < request->nr_options; i++) {
		const struct platter_key_value *o = &request->options[i];
		size_t k = 0;

		while (k < ARRAY_SIZE(known) && strcmp(o->key, known[k].key) != 0)
			k++;
		if (k == ARRAY_SIZE(known))
			return pl_invalid(err, "qcow2 has no option '%s'", o->key);
		*known[k].value = o->value;
	}
	return 0;
}

/* A power of two in [min, max], as its logarithm. */
static int
read_power(const char *key, const char *text, uint64_t min, uint64_t max, const char *allowed,
	   uint32_t *ret, struct platter_error *err)
{
	uint64_t n;

	if (!text)
		return 0;
	if (pl_parse_size(text, &n) < 0 || n < min || n > max || !pl_is_power_of_two(n))
		return bad_value(key, text, allowed, err);
	*ret = (uint32_t)__builtin_ctzll(n);
	return 0;
}

static int
read_switch(const char *key, const char *text, bool *ret, struct platter_error *err)
{
	if (!text)
		return 0;
	if (strcmp(text, "on") != 0 && strcmp(text, "off") != 0)
		return bad_value(key, text, "on or off", err);
	*ret = text[1] == 'n';
	return 0;
}

static int
read_version(const struct texts *t, struct qcow2_params *p, struct platter_error *err)
{
	p->version = 3;
	if (!t->compat || !strcmp(t->compat, "1.1") || !strcmp(t->compat, "v3"))
		return 0;
	if (strcmp(t->compat, "0.10") != 0 && strcmp(t->compat, "v2") != 0)
		return bad_value("compat", t->compat, "0.10 or 1.1", err);
	p->version = 2;
	if (p->refcount_order != 4)
		return pl_invalid(err, "option refcount_bits=%s: compat=0.10 allows only 16",
				  t->refcount_bits);
	if (p->lazy_refcounts)
		return pl_invalid(err, "option lazy_refcounts=on: compat=0.10 allows only off");
	return 0;
}

/* "zlib" or "zstd" -> compression_type. */
static int
read_type(const char *what, const char *name, const struct qcow2_params *p, uint8_t *ret,
	  struct platter_error *err)
{
	if (!strcmp(name, "zlib") || !strcmp(name, "deflate")) {
		*ret = 0;
		return 0;
	}
	if (strcmp(name, "zstd") != 0)
		return pl_invalid(err, "%s '%s': qcow2 has zlib and zstd", what, name);
	if (p->version == 2)
		return pl_invalid(err, "%s '%s': compat=0.10 allows only zlib", what, name);
	*ret = 1;
	return 0;
}

static int
read_compression(const struct pl_create_request *request, const struct texts *t,
		 struct qcow2_params *p, struct platter_error *err)
{
	const char *codec = request->codec;
	uint8_t type;
	int r;

	/* An image without compressed clusters says zlib: that needs no feature bit. */
	p->compression_type = codec && p->version > 2;
	if (t->compression_type) {
		r = read_type("compression_type", t->compression_type, p, &p->compression_type,
			      err);
		if (r < 0)
			return r;
	}
	if (!codec)
		return 0;
	if (*codec) {
		r = read_type("compression", codec, p, &type, err);
		if (r < 0)
			return r;
		if (t->compression_type && type != p->compression_type)
			return pl_invalid(
				err,
				"compression with %s and option compression_type=%s contradict"
				" each other",
				codec, t->compression_type);
		p->compression_type = type;
	}
	p->codec = p->compression_type ? &pl_codec_zstd : &pl_codec_deflate;
	p->level = request->level == INT_MIN ? p->codec->default_level : request->level;
	if (p->level < p->codec->min_level || p->level > p->codec->max_level)
		return pl_invalid(err, "compression level %d: %s has %d to %d", p->level,
				  p->compression_type ? "zstd" : "zlib", p->codec->min_level,
				  p->codec->max_level);
	return 0;
}

static int
read_backing(const struct pl_create_request *request, const struct texts *t, struct qcow2_params *p,
	     struct platter_error *err)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	const struct pl_format *format;
	int r;

	if (!t->backing_file || !*t->backing_file) {
		if (t->backing_fmt)
			return pl_invalid(err, "option backing_fmt=%s without backing_file",
					  t->backing_fmt);
		return 0;
	}
	if (strlen(t->backing_file) > MAX_BACKING_NAME)
		return pl_invalid(err, "option backing_file: a name of %zu bytes, limit is %u",
				  strlen(t->backing_file), MAX_BACKING_NAME);
	if (!request->related)
		return pl_invalid(
			err, "option backing_file=%s: this target has no folder to find it from",
			t->backing_file);
	r = request->related->open(request->related, t->backing_file, t->backing_fmt, false, &disk,
				   err);
	if (r < 0) {
		pl_context(err, "backing file '%s'", t->backing_file);
		return r;
	}
	/* Recorded, so that nobody has to guess it from what the disk holds by then. */
	format = t->backing_fmt ? NULL : pl_format_of(disk);
	p->backing_format = t->backing_fmt ? t->backing_fmt : format ? format->info.name : "raw";
	p->backing_file = t->backing_file;
	p->backing_size = disk->size;
	return 0;
}

int
pl_qcow2_params_read(const struct pl_create_request *request, struct qcow2_params *ret,
		     struct platter_error *err)
{
	struct qcow2_params p = { .cluster_bits = 16, .refcount_order = 4 };
	struct texts t = { 0 };
	int r = collect(request, &t, err);

	if (r == 0)
		r = read_power("cluster_size", t.cluster_size, 1u << QCOW2_MIN_CLUSTER_BITS,
			       1u << QCOW2_MAX_CLUSTER_BITS, "a power of two from 512 to 2M",
			       &p.cluster_bits, err);
	if (r == 0)
		r = read_power("refcount_bits", t.refcount_bits, 1, 64, "1, 2, 4, 8, 16, 32 or 64",
			       &p.refcount_order, err);
	if (r == 0)
		r = read_switch("lazy_refcounts", t.lazy_refcounts, &p.lazy_refcounts, err);
	if (r == 0)
		r = read_version(&t, &p, err);
	if (r == 0)
		r = read_compression(request, &t, &p, err);
	if (r == 0 && t.extended_l2 && strcmp(t.extended_l2, "off") != 0)
		r = bad_value("extended_l2", t.extended_l2, "off: subclusters are not written",
			      err);
	if (r == 0 && t.preallocation && strcmp(t.preallocation, "off") != 0)
		r = bad_value("preallocation", t.preallocation, "off", err);
	if (r == 0)
		r = read_backing(request, &t, &p, err);
	if (r == 0)
		*ret = p;
	return r;
}

/* What programs may call a feature bit that they do not know. */
static const struct {
	uint8_t type, bit; /* type 0 incompatible, 1 compatible, 2 autoclear */
	const char *name;
} features[] = {
	{ 0, 0, "dirty bit" },
	{ 0, 1, "corrupt bit" },
	{ 0, 2, "external data file" },
	{ 0, 3, "compression type" },
	{ 0, 4, "extended L2 entries" },
	{ 1, 0, "lazy refcounts" },
	{ 2, 0, "bitmaps" },
	{ 2, 1, "raw external data" },
};
#define FEATURE_SIZE 48u

/* Start an extension of n bytes at *at; returns where its data goes. */
static uint8_t *
add_extension(uint8_t *header, size_t *at, uint32_t type, size_t n)
{
	uint8_t *p = header + *at;

	put_be32(p, type);
	put_be32(p + 4, (uint32_t)n);
	*at += 8 + pl_round_up(n, 8);
	return p + 8;
}

static void
add_feature_names(uint8_t *header, size_t *at)
{
	uint8_t *p = add_extension(header, at, QCOW2_EXT_FEATURE_NAMES,
				   ARRAY_SIZE(features) * FEATURE_SIZE);

	for (size_t i = 0; i < ARRAY_SIZE(features); i++, p += FEATURE_SIZE) {
		p[0] = features[i].type;
		p[1] = features[i].bit;
		memcpy(p + 2, features[i].name, strlen(features[i].name));
	}
}

static size_t
base_length(const struct qcow2_params *p)
{
	return p->version == 2 ? QCOW2_V2_HEADER_SIZE : V3_LENGTH;
}

size_t
pl_qcow2_checkpoint_at(const struct qcow2_params *params)
{
	return base_length(params) + 8;
}

static void
put_v3_fields(const struct qcow2_params *p, bool finished, uint8_t *b)
{
	uint64_t incompatible = 0;

	if (!finished)
		incompatible |= QCOW2_INCOMPAT_DIRTY;
	if (p->compression_type)
		incompatible |= QCOW2_INCOMPAT_COMPRESSION;
	put_be64(b + QCOW2_INCOMPATIBLE, incompatible);
	put_be64(b + QCOW2_COMPATIBLE, p->lazy_refcounts ? QCOW2_COMPAT_LAZY_REFCOUNTS : 0);
	put_be32(b + QCOW2_REFCOUNT_ORDER, p->refcount_order);
	put_be32(b + QCOW2_HEADER_LENGTH, V3_LENGTH);
	b[QCOW2_COMPRESSION_TYPE] = p->compression_type;
}

int
pl_qcow2_header_build(const struct qcow2_params *p, const struct qcow2_layout *layout,
		      uint8_t ret[static QCOW2_HEADER_AREA], struct platter_error *err)
{
	size_t room = PL_MIN((size_t)1 << p->cluster_bits, QCOW2_HEADER_AREA);
	size_t name_size = p->backing_file ? strlen(p->backing_file) : 0;
	size_t format_size = p->backing_format ? strlen(p->backing_format) : 0;
	size_t names_size = 8 + ARRAY_SIZE(features) * FEATURE_SIZE;
	size_t at = base_length(p), need;
	bool finished = layout->refcount_table_offset != 0;
	uint8_t *b = ret, *ext;

	/* The same for both, so that what can be begun can be finished. */
	need = at + 8 + CHECKPOINT_SIZE + 8 + name_size;
	if (format_size)
		need += 8 + pl_round_up(format_size, 8);
	if (need > room)
		return pl_over_limit(
			err, PLATTER_NO_OFFSET,
			"the name of the backing file, %zu bytes, does not fit into a cluster of"
			" %zu bytes",
			name_size, room);
	memset(b, 0, QCOW2_HEADER_AREA);
	put_be32(b, QCOW2_MAGIC);
	put_be32(b + QCOW2_VERSION, p->version);
	put_be32(b + QCOW2_CLUSTER_BITS, p->cluster_bits);
	put_be64(b + QCOW2_SIZE, layout->size);
	put_be32(b + QCOW2_L1_SIZE, layout->l1_size);
	put_be64(b + QCOW2_L1_OFFSET, layout->l1_offset);
	put_be64(b + QCOW2_REFCOUNT_TABLE_OFFSET, layout->refcount_table_offset);
	put_be32(b + QCOW2_REFCOUNT_TABLE_CLUSTERS, layout->refcount_table_clusters);
	if (p->version >= 3)
		put_v3_fields(p, finished, b);

	if (!finished) {
		ext = add_extension(b, &at, EXT_CHECKPOINT, CHECKPOINT_SIZE);
		put_be64(ext, layout->checkpoint);
		ext[8] = p->codec ? p->compression_type + 1 : 0;
	}
	if (format_size) {
		ext = add_extension(b, &at, QCOW2_EXT_BACKING_FORMAT, format_size);
		memcpy(ext, p->backing_format, format_size);
	}
	/* Only a convenience: a small cluster may have no room for it. */
	if (p->version >= 3 && need + names_size <= room)
		add_feature_names(b, &at);
	(void)add_extension(b, &at, QCOW2_EXT_END, 0);
	if (name_size) {
		put_be64(b + QCOW2_BACKING_OFFSET, at);
		put_be32(b + QCOW2_BACKING_SIZE, (uint32_t)name_size);
		memcpy(b + at, p->backing_file, name_size);
	}
	return 0;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* header.c - the QCOW2 header and its extensions: decoding and checks */
#include "image.h"
#include "text.h"

/* 1023 bytes and 15: what the format allows, and room for the longest driver name. */
#define MAX_BACKING_NAME   1023
#define MAX_BACKING_FORMAT 64

#define MAX_SNAPSHOTS     65536
#define MAX_BITMAPS       65535
#define FEATURE_NAME_SIZE 48

static void
decode(const uint8_t *b, struct qcow2_header *h)
{
	*h = (struct qcow2_header){
		.version = get_be32(b + QCOW2_VERSION),
		.backing_offset = get_be64(b + QCOW2_BACKING_OFFSET),
		.backing_size = get_be32(b + QCOW2_BACKING_SIZE),
		.cluster_bits = get_be32(b + QCOW2_CLUSTER_BITS),
		.size = get_be64(b + QCOW2_SIZE),
		.crypt_method = get_be32(b + QCOW2_CRYPT_METHOD),
		.l1_size = get_be32(b + QCOW2_L1_SIZE),
		.l1_offset = get_be64(b + QCOW2_L1_OFFSET),
		.refcount_table_offset = get_be64(b + QCOW2_REFCOUNT_TABLE_OFFSET),
		.refcount_table_clusters = get_be32(b + QCOW2_REFCOUNT_TABLE_CLUSTERS),
		.nr_snapshots = get_be32(b + QCOW2_NR_SNAPSHOTS),
		.snapshots_offset = get_be64(b + QCOW2_SNAPSHOTS_OFFSET),
		.refcount_order = 4,
		.header_length = QCOW2_V2_HEADER_SIZE,
	};
	if (h->version < 3)
		return;
	h->incompatible = get_be64(b + QCOW2_INCOMPATIBLE);
	h->compatible = get_be64(b + QCOW2_COMPATIBLE);
	h->autoclear = get_be64(b + QCOW2_AUTOCLEAR);
	h->refcount_order = get_be32(b + QCOW2_REFCOUNT_ORDER);
	h->header_length = get_be32(b + QCOW2_HEADER_LENGTH);
	if (h->header_length > QCOW2_COMPRESSION_TYPE)
		h->compression_type = b[QCOW2_COMPRESSION_TYPE];
}

/* Bytes of the image used as a name: no NUL may hide a part of it. */
static int
take_name(const uint8_t *bytes, size_t n, uint64_t at, const char *what, char **ret,
	  struct platter_error *err)
{
	char *name;

	if (!n || memchr(bytes, '\0', n))
		return pl_corrupt(err, at, "%s is empty or holds a zero byte", what);
	name = strndup((const char *)bytes, n);
	if (!name)
		return pl_no_memory(err);
	free(*ret);
	*ret = name;
	return 0;
}

/* Names of feature bits: {type u8, bit u8, name[46]}.  They only make messages readable. */
static int
take_feature_names(const uint8_t *bytes, size_t n, struct qcow2_header *h,
		   struct platter_error *err)
{
	for (; n >= FEATURE_NAME_SIZE; bytes += FEATURE_NAME_SIZE, n -= FEATURE_NAME_SIZE) {
		char **name;

		if (bytes[0] >= ARRAY_SIZE(h->feature_names) || bytes[1] >= 64)
			continue;
		name = &h->feature_names[bytes[0]][bytes[1]];
		free(*name);
		*name = pl_text_from_bytes(bytes + 2, FEATURE_NAME_SIZE - 2);
		if (!*name)
			return pl_no_memory(err);
	}
	return 0;
}

static int
take_extension(uint32_t type, const uint8_t *p, uint32_t n, uint64_t at, struct qcow2_header *h,
	       struct platter_error *err)
{
	switch (type) {
	case QCOW2_EXT_BACKING_FORMAT:
		if (n > MAX_BACKING_FORMAT)
			return pl_corrupt(err, at,
					  "backing format name of %" PRIu32 " bytes, limit is %d",
					  n, MAX_BACKING_FORMAT);
		return n ? take_name(p, n, at, "backing format name", &h->backing_format, err) : 0;
	case QCOW2_EXT_DATA_FILE:
		if (n > MAX_BACKING_NAME)
			return pl_corrupt(err, at,
					  "data file name of %" PRIu32 " bytes, limit is %d", n,
					  MAX_BACKING_NAME);
		return take_name(p, n, at, "data file name", &h->data_name, err);
	case QCOW2_EXT_FEATURE_NAMES: return take_feature_names(p, n, h, err);
	case QCOW2_EXT_BITMAPS:
		if (n < 24)
			return pl_corrupt(err, at,
					  "bitmaps extension of %" PRIu32 " bytes, needs 24", n);
		h->nr_bitmaps = get_be32(p);
		h->bitmaps_size = get_be64(p + 8);
		h->bitmaps_offset = get_be64(p + 16);
		if (!h->nr_bitmaps || h->nr_bitmaps > MAX_BITMAPS)
			return pl_corrupt(err, at, "%" PRIu32 " bitmaps, limit is 1 to %d",
					  h->nr_bitmaps, MAX_BITMAPS);
		return 0;
	case QCOW2_EXT_LUKS:
		if (n < 16)
			return pl_corrupt(err, at, "LUKS extension of %" PRIu32 " bytes, needs 16",
					  n);
		h->luks_offset = get_be64(p);
		h->luks_length = get_be64(p + 8);
		return 0;
	default: return 0;
	}
}

/* {type u32, length u32, data, padding to 8} from the header's end to the backing name. */
static int
take_extensions(const uint8_t *buf, size_t size, struct qcow2_header *h, struct platter_error *err)
{
	size_t at = h->header_length;
	size_t end = h->backing_offset ? (size_t)PL_MIN(size, h->backing_offset) : size;

	while (at < end && end - at >= 8) {
		uint32_t type = get_be32(buf + at), n = get_be32(buf + at + 4);
		int r;

		if (type == QCOW2_EXT_END)
			return 0;
		if (n > end - at - 8)
			return pl_corrupt(err, at,
					  "header extension 0x%08" PRIx32 " of %" PRIu32
					  " bytes passes the end of the header at byte %zu",
					  type, n, end);
		r = take_extension(type, buf + at + 8, n, at + 8, h, err);
		if (r < 0)
			return r;
		at += 8 + (size_t)PL_MIN(pl_round_up(n, 8), end - at - 8);
	}
	return 0;
}

int
pl_qcow2_check_table(const struct pl_disk *file, uint64_t cluster_size, uint64_t offset, uint64_t n,
		     uint64_t at, const char *what, struct platter_error *err)
{
	int r;

	if (offset & (cluster_size - 1))
		return pl_corrupt(err, at,
				  "%s at byte %" PRIu64 " does not begin a cluster of %" PRIu64
				  " bytes",
				  what, offset, cluster_size);
	if (n && offset < cluster_size)
		return pl_corrupt(err, at, "%s lies over the header", what);
	if (pl_in_range(offset, n, file->size))
		return 0;
	r = pl_corrupt(err, at,
		       "%s of %" PRIu64 " bytes at byte %" PRIu64
		       " passes the end of the file (%" PRIu64 " bytes)",
		       what, n, offset, file->size);
	pl_hint(err, "the file is cut short: compare its size with the original");
	return r;
}

/* What the fields say about how to read the image. */
static int
check_features(struct qcow2_header *h, struct platter_error *err)
{
	uint64_t unknown = h->incompatible & ~(uint64_t)QCOW2_INCOMPAT_KNOWN;
	bool typed = h->incompatible & QCOW2_INCOMPAT_COMPRESSION;

	if (unknown) {
		int bit = __builtin_ctzll(unknown);
		const char *name = h->feature_names[0][bit];

		return pl_unsupported(
			err, QCOW2_INCOMPATIBLE,
			"image needs feature '%s' (incompatible bit %d), which is not known",
			name && *name ? name : "unnamed", bit);
	}
	if (h->refcount_order > 6)
		return pl_corrupt(err, QCOW2_REFCOUNT_ORDER,
				  "refcount order %" PRIu32 ", limit is 6", h->refcount_order);
	if (typed != (h->compression_type != 0))
		return pl_corrupt(err, QCOW2_COMPRESSION_TYPE,
				  "compression type %u contradicts the compression feature bit",
				  h->compression_type);
	if (h->compression_type > 1)
		return pl_unsupported(err, QCOW2_COMPRESSION_TYPE,
				      "compression type %u is not known", h->compression_type);
	if (h->crypt_method > 2)
		return pl_unsupported(err, QCOW2_CRYPT_METHOD,
				      "encryption method %" PRIu32 " is not known",
				      h->crypt_method);
	if ((h->incompatible & QCOW2_INCOMPAT_EXTENDED_L2) && h->cluster_bits < 14)
		return pl_corrupt(err, QCOW2_CLUSTER_BITS,
				  "cluster bits %" PRIu32
				  " are too few for subclusters, which need 14",
				  h->cluster_bits);
	if ((h->incompatible & QCOW2_INCOMPAT_DATA_FILE) && !h->data_name)
		return pl_corrupt(err, QCOW2_INCOMPATIBLE,
				  "data is stored in another file, whose name is not there");
	return 0;
}

static int
check_refcount_table(const struct pl_disk *file, const struct qcow2_header *h,
		     struct platter_error *err)
{
	uint64_t table_bytes = (uint64_t)h->refcount_table_clusters << h->cluster_bits;

	if (table_bytes > QCOW2_MAX_REFCOUNT_TABLE_BYTES && h->refcount_table_clusters > 1)
		return pl_over_limit(err, QCOW2_REFCOUNT_TABLE_CLUSTERS,
				     "refcount table of %" PRIu64 " bytes, limit is %" PRIu64,
				     table_bytes, (uint64_t)QCOW2_MAX_REFCOUNT_TABLE_BYTES);
	return pl_qcow2_check_table(file, 1ull << h->cluster_bits, h->refcount_table_offset,
				    table_bytes, QCOW2_REFCOUNT_TABLE_OFFSET, "refcount table",
				    err);
}

static int
check_tables(const struct pl_disk *file, bool for_repair, struct qcow2_header *h,
	     struct platter_error *err)
{
	uint64_t cluster_size = 1ull << h->cluster_bits;
	uint32_t l2_bits =
		h->cluster_bits - ((h->incompatible & QCOW2_INCOMPAT_EXTENDED_L2) ? 4 : 3);
	uint64_t needed, l1_bytes = (uint64_t)h->l1_size * 8;
	int r;

	if (h->size > INT64_MAX)
		return pl_over_limit(err, QCOW2_SIZE,
				     "disk of %" PRIu64 " bytes, limit is %" PRId64, h->size,
				     INT64_MAX);
	if (l1_bytes > QCOW2_MAX_L1_BYTES)
		return pl_over_limit(err, QCOW2_L1_SIZE,
				     "L1 table of %" PRIu64 " bytes, limit is %" PRIu64, l1_bytes,
				     (uint64_t)QCOW2_MAX_L1_BYTES);
	needed = qcow2_l1_needed(h->size, h->cluster_bits, l2_bits);
	if (h->l1_size < needed)
		return pl_corrupt(err, QCOW2_L1_SIZE,
				  "L1 table has %" PRIu32 " entries, a disk of %" PRIu64
				  " bytes needs %" PRIu64,
				  h->l1_size, h->size, needed);
	r = pl_qcow2_check_table(file, cluster_size, h->l1_offset, l1_bytes, QCOW2_L1_OFFSET,
				 "L1 table", err);
	if (r < 0)
		return r;
	r = check_refcount_table(file, h, for_repair ? NULL : err);
	if (r < 0 && !for_repair)
		return r;
	if (r < 0)
		h->refcount_table_offset = h->refcount_table_clusters = 0;
	if (h->nr_snapshots > MAX_SNAPSHOTS)
		return pl_over_limit(err, QCOW2_NR_SNAPSHOTS, "%" PRIu32 " snapshots, limit is %d",
				     h->nr_snapshots, MAX_SNAPSHOTS);
	/* An entry is 40 bytes at least. */
	return pl_qcow2_check_table(file, cluster_size, h->nr_snapshots ? h->snapshots_offset : 0,
				    (uint64_t)h->nr_snapshots * 40, QCOW2_SNAPSHOTS_OFFSET,
				    "snapshot table", err);
}

static int
take_backing_name(const struct pl_disk *file, const uint8_t *buf, size_t size,
		  struct qcow2_header *h, struct platter_error *err)
{
	if (!h->backing_offset || !h->backing_size) {
		h->backing_offset = 0;
		return 0;
	}
	if (h->backing_size > MAX_BACKING_NAME)
		return pl_corrupt(err, QCOW2_BACKING_SIZE,
				  "backing file name of %" PRIu32 " bytes, limit is %d",
				  h->backing_size, MAX_BACKING_NAME);
	if (!pl_in_range(h->backing_offset, h->backing_size, size))
		return pl_corrupt(err, QCOW2_BACKING_OFFSET,
				  "backing file name at byte %" PRIu64
				  " is not within the first cluster of '%s'",
				  h->backing_offset, file->name);
	return take_name(buf + h->backing_offset, h->backing_size, h->backing_offset,
			 "backing file name", &h->backing_name, err);
}

static int
read_checked(struct pl_disk *file, bool for_repair, struct qcow2_header *h,
	     struct platter_error *err)
{
	uint8_t start[QCOW2_COMPRESSION_TYPE + 1];
	PL_AUTOFREE uint8_t *cluster = NULL;
	size_t have, size;
	int r;

	r = pl_read_padded(file, start, sizeof start, 0, &have, err);
	if (r < 0)
		return r;
	if (have < QCOW2_V2_HEADER_SIZE)
		return pl_corrupt(err, 0, "file of %zu bytes is too short for a QCOW2 header",
				  have);
	if (get_be32(start) != QCOW2_MAGIC)
		return pl_corrupt(err, 0, "no QCOW2 magic");
	h->version = get_be32(start + QCOW2_VERSION);
	if (h->version == 1)
		return pl_unsupported(err, QCOW2_VERSION,
				      "QCOW version 1 is the format qcow, not qcow2");
	if (h->version != 2 && h->version != 3)
		return pl_unsupported(err, QCOW2_VERSION, "QCOW2 version %" PRIu32 " is not known",
				      h->version);
	if (h->version == 3 && have < QCOW2_V3_HEADER_SIZE)
		return pl_corrupt(err, 0, "file of %zu bytes is too short for a version 3 header",
				  have);
	decode(start, h);
	if (h->cluster_bits < QCOW2_MIN_CLUSTER_BITS || h->cluster_bits > QCOW2_MAX_CLUSTER_BITS)
		return pl_corrupt(err, QCOW2_CLUSTER_BITS,
				  "cluster bits %" PRIu32 ", limits are %d to %d", h->cluster_bits,
				  QCOW2_MIN_CLUSTER_BITS, QCOW2_MAX_CLUSTER_BITS);
	size = (size_t)PL_MIN(1ull << h->cluster_bits, file->size);
	if (h->version == 3 && (h->header_length < QCOW2_V3_HEADER_SIZE || h->header_length > size))
		return pl_corrupt(err, QCOW2_HEADER_LENGTH,
				  "header of %" PRIu32 " bytes, limits are %d and %zu",
				  h->header_length, QCOW2_V3_HEADER_SIZE, size);
	r = pl_read_alloc(file, size, 0, &cluster, err);
	if (r == 0)
		r = take_backing_name(file, cluster, size, h, err);
	if (r == 0)
		r = take_extensions(cluster, size, h, err);
	if (r == 0)
		r = check_features(h, err);
	if (r == 0)
		r = check_tables(file, for_repair, h, err);
	return r;
}

int
pl_qcow2_header_read(struct pl_disk *file, bool for_repair, struct qcow2_header *ret,
		     struct platter_error *err)
{
	struct qcow2_header h = { 0 };
	int r = read_checked(file, for_repair, &h, err);

	if (r < 0) {
		pl_error_place(err, file->name);
		pl_qcow2_header_done(&h);
		return r;
	}
	*ret = h;
	return 0;
}

void
pl_qcow2_header_done(struct qcow2_header *h)
{
	free(h->backing_name);
	free(h->backing_format);
	free(h->data_name);
	for (size_t i = 0; i < ARRAY_SIZE(h->feature_names); i++)
		for (size_t bit = 0; bit < 64; bit++)
			free(h->feature_names[i][bit]);
}

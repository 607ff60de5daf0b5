/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * qcow.c - QEMU's first copy-on-write images, QCOW version 1, read only
 *
 * Made by QEMU until 2006 and by Xen.  Two levels of tables map clusters, which are plain,
 * compressed with raw deflate, or left to a backing file.  All integers are big-endian.
 *
 *	offset  size  header field
 *	     0     4  magic, "QFI\xfb"
 *	     4     4  version, 1
 *	     8     8  backing file name: offset, 0 none
 *	    16     4  backing file name: bytes, <= 1023
 *	    20     4  time of the backing file's last change
 *	    24     8  size of the disk
 *	    32     1  cluster_bits, 9..16
 *	    33     1  l2_bits: log2 of the entries of an L2 table, 6..13
 *	    34     2  zero
 *	    36     4  crypt_method: 0 none, 1 AES
 *	    40     8  L1 table: offset
 *
 * An L2 entry with bit 63 is compressed: cluster_bits bits below it count the stored bytes,
 * and the bits below those are their offset.
 */
#include "codec.h"
#include "levels.h"
#include "text.h"

#define HEADER_SIZE      48
#define MAGIC            0x514649fbu
#define MAX_BACKING_NAME 1023
#define COMPRESSED       (1ull << 63)

enum {
	VERSION = 4,
	BACKING_OFFSET = 8,
	BACKING_SIZE = 16,
	MODIFIED = 20,
	SIZE = 24,
	CLUSTER_BITS = 32,
	L2_BITS = 33,
	CRYPT_METHOD = 36,
	L1_OFFSET = 40,
};

struct qcow {
	struct pl_disk disk;
	struct pl_disk *file; /* a reference */
	struct pl_levels levels;
	uint32_t crypt_method;
	uint32_t backing_modified;
	char *backing_name; /* NULL: none */
};

static struct qcow *
qcow_of(struct pl_disk *disk)
{
	return pl_container_of(disk, struct qcow, disk);
}

static int
qcow_probe(const struct pl_probe *probe)
{
	if (probe->size < HEADER_SIZE || get_be32(probe->head) != MAGIC ||
	    get_be32(probe->head + VERSION) != 1)
		return 0;
	return 64;
}

static int
outside(const struct pl_levels *l, const struct pl_level_entry *entry, const char *what,
	uint64_t offset, struct platter_error *err)
{
	int r = pl_corrupt(err, entry->at,
			   "L2 entry: %s at byte %" PRIu64 " is outside of the file (%" PRIu64
			   " bytes)",
			   what, offset, l->file->size);

	pl_hint(err, "the file is cut short: compare its size with the original");
	return r;
}

/* A whole cluster; chunk_offset is left to the caller. */
static int
decode_entry(struct pl_levels *l, const struct pl_level_entry *entry, struct pl_extent *ret,
	     struct platter_error *err)
{
	uint64_t size = 1ull << l->cluster_bits, host = entry->value, stored;

	*ret = (struct pl_extent){ .length = size, .kind = PLATTER_HOLE };
	if (!host)
		return 0;
	ret->kind = PLATTER_DATA;
	ret->below = l->file;
	if (!(host & COMPRESSED)) {
		if (host < HEADER_SIZE || host >= l->file->size)
			return outside(l, entry, "data", host, err);
		ret->stored_offset = host;
		return 0;
	}
	stored = host >> (63 - l->cluster_bits) & (size - 1);
	host &= (1ull << (63 - l->cluster_bits)) - 1;
	if (!stored)
		return pl_corrupt(err, entry->at, "L2 entry: compressed data of 0 bytes");
	if (host < HEADER_SIZE || !pl_in_range(host, stored, l->file->size))
		return outside(l, entry, "compressed data", host, err);
	ret->stored_offset = host;
	ret->stored_length = stored;
	ret->decoder = pl_codec_deflate.decoder;
	ret->chunk_length = (uint32_t)size;
	return 0;
}

static int
cluster_run(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
	    struct platter_error *err)
{
	struct qcow *q = qcow_of(disk);
	struct pl_levels *l = &q->levels;
	uint64_t in_cluster = offset & ((1ull << l->cluster_bits) - 1);
	struct pl_level_entry entry;
	int r = pl_levels_get(l, offset, length, &entry, err);

	if (r < 0)
		return r;
	if (entry.absent) {
		*ret = (struct pl_extent){ .length = entry.absent, .kind = PLATTER_HOLE };
		return 0;
	}
	r = decode_entry(l, &entry, ret, err);
	if (r < 0)
		return r;
	if (ret->kind == PLATTER_DATA && q->crypt_method)
		return pl_unsupported(err, ret->stored_offset,
				      "data is encrypted with AES, which is not readable yet");
	if (ret->kind != PLATTER_DATA)
		ret->length = entry.same << l->cluster_bits;
	ret->length -= in_cluster;
	if (ret->kind != PLATTER_DATA)
		return 0;
	if (ret->decoder) {
		ret->chunk_offset = offset - in_cluster;
		return 0;
	}
	/* The file may end inside of its last cluster: what was never written there is zero. */
	ret->stored_offset += in_cluster;
	if (ret->stored_offset >= q->file->size)
		*ret = (struct pl_extent){ .length = ret->length, .kind = PLATTER_ZERO };
	else
		ret->length = PL_MIN(ret->length, q->file->size - ret->stored_offset);
	return 0;
}

static int
qcow_map(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
	 struct platter_error *err)
{
	int r = pl_blocks_map(disk, cluster_run, offset, length, ret, err);

	if (r < 0)
		pl_error_place(err, qcow_of(disk)->file->name);
	return r;
}

static struct pl_disk *
qcow_below(struct pl_disk *disk, size_t index)
{
	return index == 0 ? qcow_of(disk)->file : NULL;
}

static void
qcow_describe(struct pl_disk *disk, struct pl_facts *facts)
{
	struct qcow *q = qcow_of(disk);
	PL_AUTOFREE char *name =
		q->backing_name ? pl_text_from_bytes(q->backing_name, strlen(q->backing_name))
				: NULL;

	pl_fact_size(facts, "cluster_size", "Cluster size", 1ull << q->levels.cluster_bits);
	if (name)
		pl_fact_text(facts, "backing_file", "Backing file", "%s", name);
	if (name && q->backing_modified)
		pl_fact_time(facts, "backing_modified", "Backing file last changed",
			     q->backing_modified);
	if (q->crypt_method) {
		pl_fact_text(facts, "encryption", "Encryption", "AES");
		pl_warn(facts, "its data is encrypted with AES, which is not readable yet");
	}
}

static void
qcow_free(struct pl_disk *disk)
{
	struct qcow *q = qcow_of(disk);

	pl_levels_done(&q->levels);
	free(q->backing_name);
	pl_disk_unref(q->file);
	pl_disk_done(disk);
	free(q);
}

static const struct pl_disk_ops qcow_ops = {
	.name = "qcow",
	.map = qcow_map,
	.below = qcow_below,
	.describe = qcow_describe,
	.free = qcow_free,
};

static int
check_fields(const uint8_t *h, size_t have, struct platter_error *err)
{
	if (have < HEADER_SIZE)
		return pl_corrupt(err, 0, "file of %zu bytes is too short for a QCOW header", have);
	if (get_be32(h) != MAGIC)
		return pl_corrupt(err, 0, "no QCOW magic");
	if (get_be32(h + VERSION) != 1)
		return pl_unsupported(err, VERSION, "QCOW version %" PRIu32 " is not version 1",
				      get_be32(h + VERSION));
	if (h[CLUSTER_BITS] < 9 || h[CLUSTER_BITS] > 16)
		return pl_corrupt(err, CLUSTER_BITS, "cluster bits %u, limits are 9 to 16",
				  h[CLUSTER_BITS]);
	if (h[L2_BITS] < 6 || h[L2_BITS] > 13)
		return pl_corrupt(err, L2_BITS, "L2 bits %u, limits are 6 to 13", h[L2_BITS]);
	if (get_be32(h + CRYPT_METHOD) > 1)
		return pl_unsupported(err, CRYPT_METHOD,
				      "encryption method %" PRIu32 " is not known",
				      get_be32(h + CRYPT_METHOD));
	if (get_be64(h + SIZE) > INT64_MAX)
		return pl_over_limit(err, SIZE, "disk of %" PRIu64 " bytes, limit is %" PRId64,
				     get_be64(h + SIZE), INT64_MAX);
	return 0;
}

static int
take_backing_name(struct qcow *q, const uint8_t *h, struct platter_error *err)
{
	uint64_t offset = get_be64(h + BACKING_OFFSET);
	uint32_t n = get_be32(h + BACKING_SIZE);

	if (!offset || !n)
		return 0;
	if (n > MAX_BACKING_NAME)
		return pl_corrupt(err, BACKING_SIZE,
				  "backing file name of %" PRIu32 " bytes, limit is %d", n,
				  MAX_BACKING_NAME);
	if (!pl_in_range(offset, n, q->file->size))
		return pl_corrupt(err, BACKING_OFFSET,
				  "backing file name at byte %" PRIu64
				  " is outside of the file (%" PRIu64 " bytes)",
				  offset, q->file->size);
	q->backing_name = calloc(1, (size_t)n + 1);
	if (!q->backing_name)
		return pl_no_memory(err);
	return pl_read(q->file, q->backing_name, n, offset, err);
}

static int
read_header(struct qcow *q, struct platter_error *err)
{
	uint8_t h[HEADER_SIZE];
	size_t have;
	int r = pl_read_padded(q->file, h, sizeof h, 0, &have, err);

	if (r == 0)
		r = check_fields(h, have, err);
	if (r == 0)
		r = take_backing_name(q, h, err);
	if (r < 0)
		return r;
	q->disk.size = get_be64(h + SIZE);
	q->crypt_method = get_be32(h + CRYPT_METHOD);
	q->backing_modified = get_be32(h + MODIFIED);
	q->levels.file = q->file;
	q->levels.cluster_bits = h[CLUSTER_BITS];
	q->levels.l2_bits = h[L2_BITS];
	q->levels.align = 1;
	q->levels.big_endian = true;
	return pl_levels_init(&q->levels, get_be64(h + L1_OFFSET), q->disk.size, err);
}

static int
open_parts(struct qcow *q, const struct pl_open_request *request, struct platter_error *err)
{
	int r = pl_disk_stack(&q->disk, q->file, err);

	if (r == 0)
		r = read_header(q, err);
	if (r == 0 && request->snapshot)
		r = pl_fail(err, -ENOENT,
			    "'%s' is a QCOW image of version 1, which has no snapshots",
			    q->file->name);
	if (r == 0)
		r = pl_open_backing(&q->disk, request, q->backing_name, NULL, err);
	return r;
}

static int
qcow_open(const struct pl_open_request *request, struct pl_disk **ret, struct platter_error *err)
{
	struct qcow *q = calloc(1, sizeof *q);
	int r;

	if (!q)
		return pl_no_memory(err);
	r = pl_disk_init(&q->disk, &qcow_ops, request->file->name, err);
	if (r < 0) {
		free(q);
		return r;
	}
	q->file = pl_disk_ref(request->file);
	r = open_parts(q, request, err);
	if (r < 0) {
		pl_error_place(err, q->file->name);
		qcow_free(&q->disk);
		return r;
	}
	*ret = &q->disk;
	return 0;
}

static int
qcow_check(struct pl_disk *disk, struct pl_findings *findings, struct platter_error *err)
{
	struct qcow *q = qcow_of(disk);
	uint64_t header = HEADER_SIZE;

	/* The L1 table stands behind the name, in the clusters of the header; QEMU pads it. */
	if (q->levels.l1.offset < 1ull << q->levels.cluster_bits)
		header = PL_MAX(header, q->levels.l1.offset + pl_round_up(q->levels.l1.bytes, 512));
	return pl_levels_check(&q->levels, header, decode_entry, findings, err);
}

static const char *const extensions[] = { "qcow", NULL };
static const struct platter_option_info options[] = { { 0 } };

const struct pl_format pl_format_qcow = {
	.info = {
		.name = "qcow",
		.longname = "QEMU copy-on-write image, version 1",
		.extensions = extensions,
		.abilities = PLATTER_CAN_READ | PLATTER_CAN_BACK | PLATTER_CAN_CHECK,
		.options = options,
	},
	.probe = qcow_probe,
	.open = qcow_open,
	.check = qcow_check,
	.disk_ops = &qcow_ops,
};

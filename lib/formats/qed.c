/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * qed.c - QEMU's enhanced disk images, read only
 *
 * Two levels of tables map clusters, which are stored, zero, or left to a backing file.
 * Spec: QEMU, docs/interop/qed_spec.txt.  All integers are little-endian.
 *
 *	offset  size  header field
 *	     0     4  magic, "QED\0"
 *	     4     4  bytes of a cluster, 4 KiB to 64 MiB
 *	     8     4  clusters of a table, 1 to 16
 *	    12     4  clusters of the header
 *	    16     8  features: 1 has a backing file, 2 was not closed, 4 backing file is raw
 *	    24     8  compatible features
 *	    32     8  autoclear features
 *	    40     8  L1 table: offset
 *	    48     8  size of the disk
 *	    56     4  backing file name: offset
 *	    60     4  backing file name: bytes
 */
#include "levels.h"
#include "text.h"

#define HEADER_SIZE      64
#define MAGIC            0x00444551u
#define MAX_BACKING_NAME 4095

#define FEATURE_BACKING     1u
#define FEATURE_NEED_CHECK  2u
#define FEATURE_BACKING_RAW 4u
#define FEATURES_KNOWN      7u

/* In an L2 entry: the cluster is zero. */
#define ZERO_CLUSTER 1

enum {
	CLUSTER_SIZE = 4,
	TABLE_SIZE = 8,
	HEADER_CLUSTERS = 12,
	FEATURES = 16,
	L1_OFFSET = 40,
	SIZE = 48,
	BACKING_OFFSET = 56,
	BACKING_SIZE = 60,
};

struct qed {
	struct pl_disk disk;
	struct pl_disk *file; /* a reference */
	struct pl_levels levels;
	uint64_t features;
	uint64_t header_bytes;
	char *backing_name; /* NULL: none */
};

static struct qed *
qed_of(struct pl_disk *disk)
{
	return pl_container_of(disk, struct qed, disk);
}

static int
qed_probe(const struct pl_probe *probe)
{
	uint32_t cluster_size = get_le32(probe->head + CLUSTER_SIZE);

	if (probe->size < HEADER_SIZE || get_le32(probe->head) != MAGIC)
		return 0;
	return pl_is_power_of_two(cluster_size) ? 56 : 32;
}

/* A whole cluster. */
static int
decode_entry(struct pl_levels *l, const struct pl_level_entry *entry, struct pl_extent *ret,
	     struct platter_error *err)
{
	uint64_t size = 1ull << l->cluster_bits, host = entry->value;

	*ret = (struct pl_extent){ .length = size, .kind = PLATTER_HOLE };
	if (!host)
		return 0;
	if (host == ZERO_CLUSTER) {
		ret->kind = PLATTER_ZERO;
		return 0;
	}
	if (host & (size - 1))
		return pl_corrupt(err, entry->at,
				  "L2 entry: data at byte %" PRIu64
				  " is not at a multiple of %" PRIu64 " bytes",
				  host, size);
	if (host >= l->file->size) {
		int r = pl_corrupt(err, entry->at,
				   "L2 entry: data at byte %" PRIu64
				   " is outside of the file (%" PRIu64 " bytes)",
				   host, l->file->size);

		pl_hint(err, "the file is cut short: compare its size with the original");
		return r;
	}
	ret->kind = PLATTER_DATA;
	ret->below = l->file;
	ret->stored_offset = host;
	return 0;
}

static int
cluster_run(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
	    struct platter_error *err)
{
	struct qed *q = qed_of(disk);
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
	if (ret->kind != PLATTER_DATA)
		ret->length = entry.same << l->cluster_bits;
	ret->length -= in_cluster;
	if (ret->kind != PLATTER_DATA)
		return 0;
	/* The file may end inside of its last cluster: what was never written there is zero. */
	ret->stored_offset += in_cluster;
	if (ret->stored_offset >= q->file->size)
		*ret = (struct pl_extent){ .length = ret->length, .kind = PLATTER_ZERO };
	else
		ret->length = PL_MIN(ret->length, q->file->size - ret->stored_offset);
	return 0;
}

static int
qed_map(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
	struct platter_error *err)
{
	int r = pl_blocks_map(disk, cluster_run, offset, length, ret, err);

	if (r < 0)
		pl_error_place(err, qed_of(disk)->file->name);
	return r;
}

static struct pl_disk *
qed_below(struct pl_disk *disk, size_t index)
{
	return index == 0 ? qed_of(disk)->file : NULL;
}

static void
qed_describe(struct pl_disk *disk, struct pl_facts *facts)
{
	struct qed *q = qed_of(disk);
	PL_AUTOFREE char *name =
		q->backing_name ? pl_text_from_bytes(q->backing_name, strlen(q->backing_name))
				: NULL;

	pl_fact_size(facts, "cluster_size", "Cluster size", 1ull << q->levels.cluster_bits);
	pl_fact_size(facts, "table_size", "Table size", 8ull << q->levels.l2_bits);
	if (name) {
		pl_fact_text(facts, "backing_file", "Backing file", "%s", name);
		if (q->features & FEATURE_BACKING_RAW)
			pl_fact_text(facts, "backing_format", "Backing format", "raw");
		else
			pl_warn(facts,
				"the format of its backing file is not recorded; it was found by "
				"looking");
	}
	if (q->features & FEATURE_NEED_CHECK)
		pl_warn(facts, "it was not closed: clusters may be lost or used twice");
}

static void
qed_free(struct pl_disk *disk)
{
	struct qed *q = qed_of(disk);

	pl_levels_done(&q->levels);
	free(q->backing_name);
	pl_disk_unref(q->file);
	pl_disk_done(disk);
	free(q);
}

static const struct pl_disk_ops qed_ops = {
	.name = "qed",
	.map = qed_map,
	.below = qed_below,
	.describe = qed_describe,
	.free = qed_free,
};

static int
check_fields(const uint8_t *h, size_t have, uint64_t file_size, struct platter_error *err)
{
	uint32_t cluster_size = get_le32(h + CLUSTER_SIZE), table_size = get_le32(h + TABLE_SIZE);
	uint64_t features = get_le64(h + FEATURES), size = get_le64(h + SIZE);
	uint64_t header = (uint64_t)get_le32(h + HEADER_CLUSTERS) * cluster_size;

	if (have < HEADER_SIZE)
		return pl_corrupt(err, 0, "file of %zu bytes is too short for a QED header", have);
	if (get_le32(h) != MAGIC)
		return pl_corrupt(err, 0, "no QED magic");
	if (features & ~(uint64_t)FEATURES_KNOWN)
		return pl_unsupported(err, FEATURES, "features 0x%016" PRIx64 " are not known",
				      features & ~(uint64_t)FEATURES_KNOWN);
	if (!pl_is_power_of_two(cluster_size) || cluster_size < KIB(4) || cluster_size > MIB(64))
		return pl_corrupt(err, CLUSTER_SIZE,
				  "clusters of %" PRIu32
				  " bytes, must be a power of two from 4096 to 67108864",
				  cluster_size);
	if (!pl_is_power_of_two(table_size) || table_size > 16)
		return pl_corrupt(err, TABLE_SIZE,
				  "tables of %" PRIu32 " clusters, must be 1, 2, 4, 8 or 16",
				  table_size);
	if (!header || header > file_size)
		return pl_corrupt(err, HEADER_CLUSTERS,
				  "header of %" PRIu64 " bytes in a file of %" PRIu64 " bytes",
				  header, file_size);
	if (size > INT64_MAX)
		return pl_over_limit(err, SIZE, "disk of %" PRIu64 " bytes, limit is %" PRId64,
				     size, INT64_MAX);
	if (size % 512)
		return pl_corrupt(err, SIZE, "disk of %" PRIu64 " bytes is not made of sectors",
				  size);
	if (get_le64(h + L1_OFFSET) % cluster_size)
		return pl_corrupt(err, L1_OFFSET,
				  "L1 table at byte %" PRIu64 " does not begin a cluster",
				  get_le64(h + L1_OFFSET));
	return 0;
}

static int
take_backing_name(struct qed *q, const uint8_t *h, struct platter_error *err)
{
	uint32_t offset = get_le32(h + BACKING_OFFSET), n = get_le32(h + BACKING_SIZE);

	if (!(q->features & FEATURE_BACKING))
		return 0;
	if (!n || n > MAX_BACKING_NAME)
		return pl_corrupt(err, BACKING_SIZE,
				  "backing file name of %" PRIu32 " bytes, limits are 1 and %d", n,
				  MAX_BACKING_NAME);
	if (!pl_in_range(offset, n, q->header_bytes))
		return pl_corrupt(err, BACKING_OFFSET,
				  "backing file name at byte %" PRIu32
				  " is not within the header of %" PRIu64 " bytes",
				  offset, q->header_bytes);
	q->backing_name = calloc(1, (size_t)n + 1);
	if (!q->backing_name)
		return pl_no_memory(err);
	return pl_read(q->file, q->backing_name, n, offset, err);
}

static int
check_l1(const struct qed *q, const uint8_t *h, struct platter_error *err)
{
	uint32_t table_bits = q->levels.l2_bits;
	uint64_t nr = pl_div_round_up(q->disk.size, 1ull << (q->levels.cluster_bits + table_bits));

	if (nr > 1ull << table_bits)
		return pl_corrupt(err, SIZE,
				  "disk of %" PRIu64 " bytes needs an L1 table of %" PRIu64
				  " entries, and it has %llu",
				  q->disk.size, nr, 1ull << table_bits);
	if (!pl_in_range(get_le64(h + L1_OFFSET), 8ull << table_bits, q->file->size))
		return pl_corrupt(err, L1_OFFSET,
				  "L1 table at byte %" PRIu64
				  " passes the end of the file (%" PRIu64 " bytes)",
				  get_le64(h + L1_OFFSET), q->file->size);
	return 0;
}

static int
read_header(struct qed *q, struct platter_error *err)
{
	uint8_t h[HEADER_SIZE];
	uint32_t cluster_size;
	size_t have;
	int r = pl_read_padded(q->file, h, sizeof h, 0, &have, err);

	if (r == 0)
		r = check_fields(h, have, q->file->size, err);
	if (r < 0)
		return r;
	cluster_size = get_le32(h + CLUSTER_SIZE);
	q->disk.size = get_le64(h + SIZE);
	q->features = get_le64(h + FEATURES);
	q->header_bytes = (uint64_t)get_le32(h + HEADER_CLUSTERS) * cluster_size;
	q->levels.file = q->file;
	q->levels.cluster_bits = (uint32_t)__builtin_ctz(cluster_size);
	q->levels.l2_bits =
		q->levels.cluster_bits + (uint32_t)__builtin_ctz(get_le32(h + TABLE_SIZE)) - 3;
	q->levels.align = cluster_size;
	q->levels.l1_room = 8ull << q->levels.l2_bits;
	r = take_backing_name(q, h, err);
	if (r == 0)
		r = check_l1(q, h, err);
	if (r == 0)
		r = pl_levels_init(&q->levels, get_le64(h + L1_OFFSET), q->disk.size, err);
	return r;
}

static int
open_parts(struct qed *q, const struct pl_open_request *request, struct platter_error *err)
{
	int r = pl_disk_stack(&q->disk, q->file, err);

	if (r == 0)
		r = read_header(q, err);
	if (r == 0 && request->snapshot)
		r = pl_fail(err, -ENOENT, "'%s' is a QED image, which has no snapshots",
			    q->file->name);
	if (r == 0)
		r = pl_open_backing(&q->disk, request, q->backing_name,
				    q->features & FEATURE_BACKING_RAW ? "raw" : NULL, err);
	return r;
}

static int
qed_open(const struct pl_open_request *request, struct pl_disk **ret, struct platter_error *err)
{
	struct qed *q = calloc(1, sizeof *q);
	int r;

	if (!q)
		return pl_no_memory(err);
	r = pl_disk_init(&q->disk, &qed_ops, request->file->name, err);
	if (r < 0) {
		free(q);
		return r;
	}
	q->file = pl_disk_ref(request->file);
	r = open_parts(q, request, err);
	if (r < 0) {
		pl_error_place(err, q->file->name);
		qed_free(&q->disk);
		return r;
	}
	*ret = &q->disk;
	return 0;
}

static int
qed_check(struct pl_disk *disk, struct pl_findings *findings, struct platter_error *err)
{
	struct qed *q = qed_of(disk);

	if (q->features & FEATURE_NEED_CHECK)
		pl_found(findings, PLATTER_NOTE, FEATURES, "the image was not closed");
	return pl_levels_check(&q->levels, q->header_bytes, decode_entry, findings, err);
}

static const char *const extensions[] = { "qed", NULL };
static const struct platter_option_info options[] = { { 0 } };

const struct pl_format pl_format_qed = {
	.info = {
		.name = "qed",
		.longname = "QEMU enhanced disk image",
		.extensions = extensions,
		.abilities = PLATTER_CAN_READ | PLATTER_CAN_BACK | PLATTER_CAN_CHECK,
		.options = options,
	},
	.probe = qed_probe,
	.open = qed_open,
	.check = qed_check,
	.disk_ops = &qed_ops,
};

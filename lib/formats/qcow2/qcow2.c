/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * qcow2.c - QEMU's copy-on-write images, versions 2 and 3
 *
 * A two-level table (L1, L2) maps clusters of the disk to clusters of the file, which
 * are plain, compressed, zero, or left to a backing file.  Everything in the file is
 * counted in a table of refcounts.  Spec: QEMU, docs/interop/qcow2.rst.
 */
#include "image.h"
#include "codec.h"
#include "text.h"

static int
qcow2_probe(const struct pl_probe *probe)
{
	uint32_t version = get_be32(probe->head + QCOW2_VERSION);

	if (probe->size < QCOW2_V2_HEADER_SIZE || get_be32(probe->head) != QCOW2_MAGIC)
		return 0;
	/* Other versions are claimed too: the opener names them better than "raw" would. */
	return version == 2 || version == 3 ? 64 : 32;
}

static void
qcow2_free(struct pl_disk *disk)
{
	struct qcow2 *q = qcow2_of(disk);

	if (q->prepared)
		(void)pl_qcow2_flush(disk, NULL);
	pl_qcow2_tables_done(&q->tables);
	pl_qcow2_header_done(&q->header);
	free(q->l1);
	free(q->l1_dirty);
	free(q->refcount_table);
	free(q->refcount_table_dirty);
	free(q->unused);
	pl_disk_unref(q->data);
	pl_disk_unref(q->file);
	pthread_rwlock_destroy(&q->lock);
	pl_disk_done(disk);
	free(q);
}

static struct pl_disk *
qcow2_below(struct pl_disk *disk, size_t index)
{
	struct qcow2 *q = qcow2_of(disk);

	if (index == 0)
		return q->file;
	return index == 1 && q->external ? q->data : NULL;
}

static const struct pl_disk_ops qcow2_ops = {
	.name = "qcow2",
	.map = pl_qcow2_map,
	.write = pl_qcow2_write,
	.zero = pl_qcow2_zero,
	.discard = pl_qcow2_discard,
	.flush = pl_qcow2_flush,
	.resize = pl_qcow2_resize,
	.below = qcow2_below,
	.describe = pl_qcow2_describe,
	.free = qcow2_free,
};

static int
new_image(struct pl_disk *file, struct qcow2 **ret, struct platter_error *err)
{
	struct qcow2 *q = calloc(1, sizeof *q);
	int r;

	if (!q)
		return pl_no_memory(err);
	r = pl_disk_init(&q->disk, &qcow2_ops, file->name, err);
	if (r < 0) {
		free(q);
		return r;
	}
	pthread_rwlock_init(&q->lock, NULL);
	q->file = pl_disk_ref(file);
	*ret = q;
	return 0;
}

/* What follows from the header. */
static void
derive(struct qcow2 *q)
{
	const struct qcow2_header *h = &q->header;

	q->external = h->incompatible & QCOW2_INCOMPAT_DATA_FILE;
	q->extended = h->incompatible & QCOW2_INCOMPAT_EXTENDED_L2;
	q->encrypted = h->crypt_method != 0;
	q->cluster_size = 1ull << h->cluster_bits;
	q->subcluster_size = q->extended ? q->cluster_size / 32 : q->cluster_size;
	q->l2_entry_size = q->extended ? 16 : 8;
	q->l2_bits = h->cluster_bits - (q->extended ? 4 : 3);
	q->decoder = h->compression_type ? pl_codec_zstd.decoder : pl_codec_deflate.decoder;
	q->disk.size = h->size;
}

/* Which L1 table maps the disk that was asked for. */
/* Snapshots that a message lists before it only counts them. */
#define MAX_LISTED 16

static void
add_name(struct pl_str *names, const struct qcow2_snapshot *s)
{
	PL_AUTOFREE char *name = pl_text_from_bytes(s->name, s->name_size);

	pl_str_addf(names, "%s'%s'", names->length ? ", " : "", name ? name : "");
}

static void
hint_snapshots(const struct qcow2_snapshots *all, struct platter_error *err)
{
	struct pl_str names = { 0 };

	for (size_t i = 0; i < all->nr && i < MAX_LISTED; i++)
		add_name(&names, &all->list[i]);
	if (all->nr > MAX_LISTED)
		pl_str_addf(&names, " and %zu more", (size_t)all->nr - MAX_LISTED);
	pl_hint(err, "the snapshots are %s", names.text ? names.text : "none");
	pl_str_done(&names);
}

static int
choose_l1(struct qcow2 *q, const char *snapshot, struct platter_error *err)
{
	struct qcow2_snapshots all;
	const struct qcow2_snapshot *s;
	int r;

	q->l1_offset = q->header.l1_offset;
	q->nr_l1 = (uint32_t)qcow2_l1_needed(q->header.size, q->header.cluster_bits, q->l2_bits);
	if (!snapshot)
		return 0;
	r = pl_qcow2_snapshots_read(q->file, &q->header, &all, err);
	if (r < 0)
		return r;
	s = pl_qcow2_snapshot_find(&all, snapshot);
	if (!s) {
		r = pl_fail(err, -ENOENT, "'%s' has no snapshot '%s'", q->file->name, snapshot);
		hint_snapshots(&all, err);
	} else {
		r = pl_qcow2_snapshot_check(q, s, err);
	}
	if (r == 0) {
		q->l1_offset = s->l1_offset;
		q->nr_l1 = (uint32_t)qcow2_l1_needed(s->size, q->header.cluster_bits, q->l2_bits);
		q->disk.size = s->size;
	}
	pl_qcow2_snapshots_done(&all);
	return r;
}

static int
load_l1(struct qcow2 *q, struct platter_error *err)
{
	PL_AUTOFREE uint8_t *bytes = NULL;
	int r = pl_read_alloc(q->file, (size_t)q->nr_l1 * 8, q->nr_l1 ? q->l1_offset : 0, &bytes,
			      err);

	if (r < 0)
		return r;
	q->l1 = calloc((size_t)q->nr_l1 + 1, sizeof *q->l1);
	if (!q->l1)
		return pl_no_memory(err);
	for (uint32_t i = 0; i < q->nr_l1; i++)
		q->l1[i] = get_be64(bytes + (size_t)i * 8);
	return 0;
}

static int
open_data_file(struct qcow2 *q, const struct pl_open_request *request, struct platter_error *err)
{
	const char *name = q->header.data_name;
	int r;

	if (!q->external) {
		q->data = pl_disk_ref(q->file);
		return 0;
	}
	if (!request->related)
		return pl_fail(err, -ENOTSUP,
			       "data is stored in '%s', which cannot be reached from here", name);
	r = request->related->open(request->related, name, "raw",
				   request->flags & PLATTER_OPEN_WRITE, &q->data, err);
	if (r < 0) {
		pl_context(err, "data file of '%s'", q->file->name);
		return r;
	}
	return pl_disk_stack(&q->disk, q->data, err);
}

/* Refuse to write what writing would make worse, or lose data of. */
static int
check_writable(struct qcow2 *q, const struct pl_open_request *request, struct platter_error *err)
{
	const char *why = NULL;

	if (!(request->flags & PLATTER_OPEN_WRITE))
		return 0;
	if (!q->file->writable)
		return pl_fail(err, -EROFS, "'%s' is open for reading only", q->file->name);
	if (request->snapshot)
		return pl_fail(err, -EROFS, "a snapshot cannot be written");
	/* Tables are not encrypted, and nothing but them is written then. */
	if (request->flags & PLATTER_OPEN_IGNORE_CHECKSUMS) {
		q->needs_repair = q->disk.writable = true;
		return 0;
	}
	if (q->encrypted)
		return pl_unsupported(err, QCOW2_CRYPT_METHOD,
				      "encrypted images cannot be written");
	if (q->header.backing_name && request->flags & PLATTER_OPEN_NO_BACKING &&
	    !(request->flags & PL_OPEN_RELINK))
		return pl_fail(err, -ENOTSUP,
			       "an overlay cannot be written without its backing file '%s'",
			       q->header.backing_name);
	if (q->header.incompatible & QCOW2_INCOMPAT_CORRUPT)
		why = "is marked as corrupt";
	else if (q->header.incompatible & QCOW2_INCOMPAT_DIRTY)
		why = "was not closed, and its refcounts may be out of date";
	if (why) {
		(void)pl_corrupt(err, QCOW2_INCOMPATIBLE, "it cannot be written: the image %s",
				 why);
		pl_hint(err, "repair it with `platter repair` first");
		return -EUCLEAN;
	}
	q->disk.writable = true;
	return 0;
}

static int
open_parts(struct qcow2 *q, const struct pl_open_request *request, struct platter_error *err)
{
	int r = pl_disk_stack(&q->disk, q->file, err);

	if (r == 0)
		r = pl_qcow2_header_read(q->file, request->flags & PLATTER_OPEN_IGNORE_CHECKSUMS,
					 &q->header, err);
	if (r < 0)
		return r;
	derive(q);
	r = pl_qcow2_tables_init(&q->tables, q->cluster_size, err);
	if (r == 0)
		r = choose_l1(q, request->snapshot, err);
	if (r == 0)
		r = load_l1(q, err);
	if (r == 0)
		r = open_data_file(q, request, err);
	if (r == 0)
		r = pl_open_backing(&q->disk, request, q->header.backing_name,
				    q->header.backing_format, err);
	if (r == 0)
		r = check_writable(q, request, err);
	return r;
}

static int
qcow2_open(const struct pl_open_request *request, struct pl_disk **ret, struct platter_error *err)
{
	struct qcow2 *q;
	int r = new_image(request->file, &q, err);

	if (r < 0)
		return r;
	r = open_parts(q, request, err);
	if (r < 0) {
		pl_error_place(err, request->file->name);
		qcow2_free(&q->disk);
		return r;
	}
	*ret = &q->disk;
	return 0;
}

static const struct pl_change_ops qcow2_change = {
	.set_parent = pl_qcow2_set_parent,
	.snapshot_create = pl_qcow2_snapshot_create,
	.snapshot_apply = pl_qcow2_snapshot_apply,
	.snapshot_delete = pl_qcow2_snapshot_delete,
	.repair = pl_qcow2_repair,
	.compact = pl_qcow2_compact,
};

static const char *const extensions[] = { "qcow2", "qcow", NULL };

const struct pl_format pl_format_qcow2 = {
	.info = {
		.name = "qcow2",
		.longname = "QEMU copy-on-write image",
		.extensions = extensions,
		.abilities = PLATTER_CAN_READ | PLATTER_CAN_WRITE | PLATTER_CAN_CREATE | PLATTER_CAN_COMPRESS |
			     PLATTER_CAN_BACK | PLATTER_CAN_SNAPSHOT | PLATTER_CAN_CHECK,
		.options = pl_qcow2_options,
	},
	.probe = qcow2_probe,
	.open = qcow2_open,
	.create = pl_qcow2_create,
	.check = pl_qcow2_check,
	.snapshots = pl_qcow2_snapshots,
	.options_of = pl_qcow2_options_of,
	.change = &qcow2_change,
	.disk_ops = &qcow2_ops,
};

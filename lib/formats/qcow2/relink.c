/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relink.c - another backing file for a QCOW2 image
 *
 * The name goes to a free place of the first cluster, and is on stable storage before the
 * header points at it.  The header and the extension with the backing file's format follow in
 * one write; platter and QEMU keep both in the first sector, which a power cut leaves as it was
 * or as it is to be.
 */
#include "image.h"

#define MAX_BACKING_NAME 1023u

/* The new start of the image. */
struct start {
	uint8_t *bytes; /* of the first cluster as it was, then as it is to be */
	size_t size;
	size_t end;     /* of the header and its extensions */
	size_t name_at; /* 0: no name */
	size_t name_size;
};

/* Add an extension at `*at` of `to`, unless there is no room. */
static int
put_extension(uint8_t *to, size_t room, size_t *at, uint32_t type, const void *data, size_t n,
	      struct platter_error *err)
{
	size_t whole = 8 + (size_t)pl_round_up(n, 8);

	if (!pl_in_range(*at, whole, room))
		return pl_fail(err, -ENOSPC,
			       "the header and its extensions do not fit into the first cluster of"
			       " %zu bytes",
			       room);
	put_be32(to + *at, type);
	put_be32(to + *at + 4, (uint32_t)n);
	memset(to + *at + 8, 0, whole - 8);
	if (n)
		memcpy(to + *at + 8, data, n);
	*at += whole;
	return 0;
}

/* All extensions but the backing file's format, which goes first: into the header's sector. */
static int
put_extensions(const struct qcow2_header *h, struct start *s, const char *format,
	       struct platter_error *err)
{
	size_t from = h->header_length, to = h->header_length;
	size_t end = h->backing_offset ? (size_t)PL_MIN(s->size, h->backing_offset) : s->size;
	PL_AUTOFREE uint8_t *old = malloc(s->size);
	int r = 0;

	if (!old)
		return pl_no_memory(err);
	memcpy(old, s->bytes, s->size);
	if (format)
		r = put_extension(s->bytes, s->size, &to, QCOW2_EXT_BACKING_FORMAT, format,
				  strlen(format), err);
	while (r == 0 && from < end && end - from >= 8) {
		uint32_t type = get_be32(old + from), n = get_be32(old + from + 4);

		if (type == QCOW2_EXT_END || n > end - from - 8)
			break;
		if (type != QCOW2_EXT_BACKING_FORMAT)
			r = put_extension(s->bytes, s->size, &to, type, old + from + 8, n, err);
		from += 8 + (size_t)PL_MIN(pl_round_up(n, 8), end - from - 8);
	}
	if (r == 0)
		r = put_extension(s->bytes, s->size, &to, QCOW2_EXT_END, NULL, 0, err);
	s->end = to;
	return r;
}

/* Behind the extensions, and not where the old name is if there is room elsewhere. */
static int
place_name(const struct qcow2_header *h, struct start *s, const char *name,
	   struct platter_error *err)
{
	size_t old = (size_t)h->backing_offset, old_end = old + h->backing_size, n = strlen(name);

	s->name_size = n;
	s->name_at = s->end;
	if (old && s->name_at < old_end && old < s->name_at + n && pl_in_range(old_end, n, s->size))
		s->name_at = old_end;
	if (n <= MAX_BACKING_NAME && pl_in_range(s->name_at, n, s->size)) {
		memcpy(s->bytes + s->name_at, name, n);
		return 0;
	}
	return pl_fail(
		err, -ENOSPC,
		"the name of the backing file, %zu bytes, does not fit into the first cluster"
		" of %zu bytes",
		n, s->size);
}

static int
write_start(struct qcow2 *q, const struct start *s, struct platter_error *err)
{
	int r = 0;

	if (s->name_at)
		r = pl_write(q->file, s->bytes + s->name_at, s->name_size, s->name_at, err);
	if (r == 0)
		r = pl_flush(q->file, err);
	if (r == 0)
		r = pl_write(q->file, s->bytes, s->end, 0, err);
	return r == 0 ? pl_flush(q->file, err) : r;
}

static int
change_file(struct qcow2 *q, const char *name, const char *format, struct platter_error *err)
{
	struct start s = { .size = (size_t)PL_MIN(q->cluster_size, q->file->size) };
	int r = pl_read_alloc(q->file, s.size, 0, &s.bytes, err);

	if (r == 0)
		r = put_extensions(&q->header, &s, format, err);
	if (r == 0 && name)
		r = place_name(&q->header, &s, name, err);
	if (r == 0) {
		put_be64(s.bytes + QCOW2_BACKING_OFFSET, s.name_at);
		put_be32(s.bytes + QCOW2_BACKING_SIZE, (uint32_t)s.name_size);
		r = write_start(q, &s, err);
	}
	if (r == 0) {
		q->header.backing_offset = s.name_at;
		q->header.backing_size = (uint32_t)s.name_size;
	}
	free(s.bytes);
	return r;
}

int
pl_qcow2_set_parent(struct pl_disk *disk, struct pl_disk *parent, const char *name,
		    struct platter_error *err)
{
	struct qcow2 *q = qcow2_of(disk);
	const struct pl_format *of = parent ? pl_format_of(parent) : NULL;
	const char *format = of ? of->info.name : "raw";
	PL_AUTOFREE char *new_name = parent ? strdup(name) : NULL;
	PL_AUTOFREE char *new_format =
		parent ? strdup(strcmp(format, "vhd") ? format : "vpc") : NULL;
	int r;

	if (parent && (!new_name || !new_format))
		return pl_no_memory(err);
	if (parent && q->header.autoclear & QCOW2_AUTOCLEAR_DATA_FILE_RAW)
		return pl_fail(err, -ENOTSUP,
			       "'%s' keeps its data in a raw file, which stands on nothing",
			       disk->name);
	r = pl_disk_stack(disk, parent, err);
	if (r == 0)
		r = pl_flush(disk, err);
	if (r == 0)
		r = change_file(q, new_name, new_format, err);
	if (r < 0)
		return r;
	free(q->header.backing_name);
	free(q->header.backing_format);
	q->header.backing_name = PL_STEAL(new_name);
	q->header.backing_format = PL_STEAL(new_format);
	pl_disk_unref(disk->parent);
	disk->parent = parent ? pl_disk_ref(parent) : NULL;
	return 0;
}

void
pl_qcow2_options_of(struct pl_disk *disk, struct pl_option_list *ret)
{
	const struct qcow2_header *h = &qcow2_of(disk)->header;

	pl_option(ret, "cluster_size", "%" PRIu64, qcow2_of(disk)->cluster_size);
	pl_option(ret, "compat", "%s", h->version == 2 ? "0.10" : "1.1");
	if (h->version == 2)
		return;
	pl_option(ret, "refcount_bits", "%u", 1u << h->refcount_order);
	if (h->compatible & QCOW2_COMPAT_LAZY_REFCOUNTS)
		pl_option(ret, "lazy_refcounts", "on");
	if (h->compression_type)
		pl_option(ret, "compression_type", "zstd");
}

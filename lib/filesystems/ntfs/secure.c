/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ntfs/secure.c - security descriptors, which files since Windows 2000 share by number
 *
 * $Secure's index $SII has the number (4 bytes) as key and as data: hash (4), number (4), offset
 * in the stream $SDS (8), length there (4). In $SDS the same 20 bytes stand before the
 * descriptor; every 256 KiB are repeated in the next.
 */
#include "ntfs.h"

enum {
	SDS_NUMBER = 4,
	SDS_OFFSET = 8,
	SDS_LENGTH = 16,
	SDS_HEADER = 20,
};

#define SDS_COPY KIB(256)

struct ntfs_secure {
	struct ntfs_node node;
	struct ntfs_index index;
	struct ntfs_stream descriptors;
	bool loaded;
};

static int
load(struct ntfs_fs *fs, struct ntfs_secure *s, struct platter_error *err)
{
	const struct ntfs_attribute *sds;
	int r = pl_ntfs_node_load(fs, NTFS_RECORD_SECURE, NTFS_WHOLE, &s->node, err);

	if (r == 0)
		r = pl_ntfs_index_open(fs, &s->node, "$SII", &s->index, err);
	sds = r == 0 ? pl_ntfs_find(&s->node, NTFS_DATA, "$SDS") : NULL;
	if (sds)
		r = pl_ntfs_stream_load(fs, &s->node, sds, &s->descriptors, err);
	return r == 0 && !sds ? -ENOENT : r;
}

/* $Secure, for the rest of the volume's life; NULL: it cannot be read. */
static struct ntfs_secure *
get_secure(struct ntfs_fs *fs)
{
	struct ntfs_secure *s;

	pthread_mutex_lock(&fs->lock);
	if (!fs->tried_secure) {
		fs->tried_secure = true;
		fs->secure = calloc(1, sizeof *fs->secure);
		if (fs->secure)
			fs->secure->loaded = load(fs, fs->secure, NULL) == 0;
	}
	s = fs->secure && fs->secure->loaded ? fs->secure : NULL;
	pthread_mutex_unlock(&fs->lock);
	return s;
}

void
pl_ntfs_secure_free(struct ntfs_secure *s)
{
	if (!s)
		return;
	pl_ntfs_stream_done(&s->descriptors);
	pl_ntfs_index_done(&s->index);
	pl_ntfs_node_done(&s->node);
	free(s);
}

static int
compare_number(const void *sought, const struct ntfs_index_entry *e)
{
	uint32_t wanted = *(const uint32_t *)sought, is = e->key_length >= 4 ? get_le32(e->key) : 0;

	return wanted < is ? -1 : wanted > is;
}

struct place {
	uint64_t offset;
	uint32_t length;
};

static int
take_place(void *closure, const struct ntfs_index_entry *e, struct platter_error *err)
{
	struct place *p = closure;

	(void)err;
	if (e->key_length < 4 || e->data_length < SDS_HEADER)
		return 0;
	p->offset = get_le64(e->data + SDS_OFFSET);
	p->length = get_le32(e->data + SDS_LENGTH);
	return 1;
}

/* The descriptor at `offset`; -EUCLEAN: another one is there. */
static int
read_descriptor(struct ntfs_fs *fs, const struct ntfs_secure *s, uint32_t id, uint64_t offset,
		uint32_t length, uint8_t **ret, struct platter_error *err)
{
	PL_AUTOFREE uint8_t *bytes = malloc(length);
	int r;

	if (!bytes)
		return pl_no_memory(err);
	r = pl_ntfs_stream_read(fs, &s->descriptors, bytes, length, offset, err);
	if (r < 0)
		return r;
	if (get_le32(bytes + SDS_NUMBER) != id)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "security descriptor %" PRIu32 " is not at byte %" PRIu64
				  " of $SDS",
				  id, offset);
	memmove(bytes, bytes + SDS_HEADER, length - SDS_HEADER);
	*ret = PL_STEAL(bytes);
	return 0;
}

int
pl_ntfs_secure_find(struct ntfs_fs *fs, uint32_t id, uint8_t **ret, size_t *ret_n,
		    struct platter_error *err)
{
	struct ntfs_secure *s = get_secure(fs);
	struct place place = { 0 };
	int r;

	if (!s)
		return -ENOENT;
	r = pl_ntfs_index_search(&s->index, compare_number, &id, take_place, &place, err);
	if (r < 0)
		return r;
	if (r == 0)
		return -ENOENT;
	if (place.length <= SDS_HEADER || place.length > SDS_COPY || place.offset > INT64_MAX)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "security descriptor %" PRIu32 " of %" PRIu32 " bytes", id,
				  place.length);
	r = read_descriptor(fs, s, id, place.offset, place.length, ret, err);
	if (r == -EUCLEAN &&
	    read_descriptor(fs, s, id, place.offset + SDS_COPY, place.length, ret, NULL) == 0)
		r = 0;
	if (r == 0)
		*ret_n = place.length - SDS_HEADER;
	return r;
}

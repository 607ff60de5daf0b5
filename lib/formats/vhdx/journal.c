/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * journal.c - changes of a VHDX's metadata, through its log
 *
 * Each commit is an entry of its own, which replaces those before it: when it is written, all
 * that they say is in its place on stable storage.  Entries go to the two halves of the log in
 * turn, so that the last one stays whole until the next one is.  They never fill their half:
 * QEMU takes any entry that follows another for its continuation.
 */
#include "checksums.h"
#include "vhdx-image.h"
#include "parent.h"
#include "staged.h"
#include "vhdx-log.h"

/* The staged sectors, in the order in which they may be brought into the file. */
struct sectors {
	uint64_t *list;
	size_t nr, capacity;
};

static int
add_sector(struct sectors *s, uint64_t at, struct platter_error *err)
{
	if (s->nr == s->capacity) {
		size_t capacity = s->capacity ? s->capacity * 2 : 64;
		uint64_t *list = pl_realloc_array(s->list, capacity, sizeof *list);

		if (!list)
			return pl_no_memory(err);
		s->list = list;
		s->capacity = capacity;
	}
	s->list[s->nr++] = at;
	return 0;
}

static int
take_run(void *closure, uint64_t offset, const uint8_t *bytes, size_t n, struct platter_error *err)
{
	struct sectors *s = closure;
	int r = 0;

	(void)bytes;
	for (uint64_t at = pl_round_down(offset, LOG_SECTOR); at < offset + n && r == 0;
	     at += LOG_SECTOR)
		if (!s->nr || s->list[s->nr - 1] != at)
			r = add_sector(s, at, err);
	return r;
}

/*
 * More than one entry holds may be cut anywhere in this order: bitmaps are of no effect before
 * the table names them, and the table from its end on names a bitmap before the blocks that
 * need it.
 */
static void
put_table_last(struct sectors *s, const struct vhdx_region *bat)
{
	size_t first = 0;

	while (first < s->nr && s->list[first] < bat->offset)
		first++;
	/* What lies behind the table comes before it so, too. */
	for (size_t i = first, k = s->nr; i + 1 < k; i++) {
		uint64_t swap = s->list[--k];

		s->list[k] = s->list[i];
		s->list[i] = swap;
	}
}

/* Build the entry for nr sectors, which are read into it; returns its length. */
static int
build(struct vhdx *v, const uint64_t *sectors, uint32_t nr, uint32_t log_at, uint8_t *b,
      uint32_t *ret_length, struct platter_error *err)
{
	uint32_t length = LOG_SECTOR * (1 + nr);
	uint64_t sequence = v->log_sequence + 1;

	memset(b, 0, LOG_SECTOR);
	memcpy(b, "loge", 4);
	put_le32(b + LOG_ENTRY_LENGTH, length);
	put_le32(b + LOG_ENTRY_TAIL, log_at);
	put_le64(b + LOG_ENTRY_SEQUENCE, sequence);
	put_le32(b + LOG_ENTRY_NR, nr);
	memcpy(b + LOG_ENTRY_GUID, v->log_guid, 16);
	put_le64(b + LOG_ENTRY_FLUSHED, v->file->size);
	put_le64(b + LOG_ENTRY_LAST, v->file->size);
	for (uint32_t i = 0; i < nr; i++) {
		uint8_t *d = b + LOG_ENTRY_HEADER + (size_t)i * LOG_DESCRIPTOR;
		uint8_t *s = b + (size_t)(1 + i) * LOG_SECTOR;
		int r = pl_read_padded(v->store.staged, s, LOG_SECTOR, sectors[i], NULL, err);

		if (r < 0)
			return r;
		memcpy(d, "desc", 4);
		memcpy(d + 4, s + LOG_SECTOR - 4, 4);
		memcpy(d + 8, s, 8);
		put_le64(d + 16, sectors[i]);
		put_le64(d + 24, sequence);
		memcpy(s, "data", 4);
		put_le32(s + 4, (uint32_t)(sequence >> 32));
		put_le32(s + LOG_SECTOR - 4, (uint32_t)sequence);
	}
	put_le32(b + VHDX_CRC, pl_vhdx_crc(b, length));
	*ret_length = length;
	return 0;
}

/* Say in the header that the log is to be replayed; there is an entry. */
static int
open_log(struct vhdx *v, struct platter_error *err)
{
	struct vhdx_header *h = &v->info.header;
	int r;

	if (!vhdx_is_zero_guid(h->log_guid))
		return 0;
	memcpy(h->log_guid, v->log_guid, 16);
	r = pl_vhdx_header_update(v->file, h, 0, err);
	if (r < 0)
		memset(h->log_guid, 0, 16);
	return r;
}

/* Log nr sectors; when it returns they may be written in their places. */
static int
log_sectors(struct vhdx *v, const uint64_t *sectors, uint32_t nr, uint8_t *b,
	    struct platter_error *err)
{
	const struct vhdx_header *h = &v->info.header;
	uint32_t half = pl_round_down(h->log_length / 2, LOG_SECTOR), length;
	uint32_t log_at = v->log_sequence % 2 ? half : 0;
	int r = vhdx_is_zero_guid(v->log_guid) ? pl_new_guid(v->log_guid, err) : 0;

	if (r == 0)
		r = build(v, sectors, nr, log_at, b, &length, err);
	if (r == 0)
		r = pl_write(v->file, b, length, h->log_offset + log_at, err);
	if (r == 0)
		r = pl_flush(v->file, err);
	if (r < 0)
		return r;
	v->log_sequence++;
	return open_log(v, err);
}

/* Write sectors in their places. */
static int
apply(struct vhdx *v, const uint64_t *sectors, uint32_t nr, struct platter_error *err)
{
	uint8_t b[LOG_SECTOR];
	int r = 0;

	for (uint32_t i = 0; i < nr && r == 0; i++) {
		r = pl_read_padded(v->store.staged, b, sizeof b, sectors[i], NULL, err);
		if (r == 0)
			r = pl_write(v->file, b, sizeof b, sectors[i], err);
	}
	return r;
}

static int
commit(struct vhdx *v, const struct sectors *s, struct platter_error *err)
{
	/* The descriptors of so many fit into the first sector, and they into half of any log. */
	const uint32_t most = 126;
	PL_AUTOFREE uint8_t *b = malloc((size_t)LOG_SECTOR * (1 + most));
	int r = b ? 0 : pl_no_memory(err);

	for (size_t i = 0; i < s->nr && r == 0; i += most) {
		uint32_t nr = (uint32_t)PL_MIN(s->nr - i, most);

		r = log_sectors(v, s->list + i, nr, b, err);
		/* The last are brought in place together with all that waits. */
		if (r == 0 && s->nr - i > most)
			r = apply(v, s->list + i, nr, err);
	}
	return r == 0 ? pl_staged_commit(v->store.staged, err) : r;
}

int
pl_vhdx_commit(struct pl_store *store, struct platter_error *err)
{
	struct vhdx *v = pl_container_of(store, struct vhdx, store);
	struct sectors s = { 0 };
	int r = pl_staged_visit(store->staged, KIB(64), take_run, &s, err);

	put_table_last(&s, &v->info.bat);
	if (r == 0)
		r = commit(v, &s, err);
	free(s.list);
	return r == 0 && v->keep_log_empty ? pl_vhdx_close_log(v, err) : r;
}

int
pl_vhdx_close_log(struct vhdx *v, struct platter_error *err)
{
	struct vhdx_header *h = &v->info.header;
	uint8_t guid[16];
	int r;

	if (vhdx_is_zero_guid(h->log_guid))
		return 0;
	r = pl_flush(v->file, err);
	if (r < 0)
		return r;
	memcpy(guid, h->log_guid, 16);
	memset(h->log_guid, 0, 16);
	r = pl_vhdx_header_update(v->file, h, 0, err);
	if (r < 0)
		memcpy(h->log_guid, guid, 16);
	/* What was logged may never be replayed again. */
	memset(v->log_guid, 0, 16);
	return r;
}

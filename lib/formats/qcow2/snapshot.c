/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * snapshot.c - the snapshot table of a QCOW2 image
 *
 *	offset  size  entry, padded to 8 bytes
 *	     0     8  L1 table offset
 *	     8     4  L1 entries
 *	    12     2  id: bytes
 *	    14     2  name: bytes
 *	    16     4  time, seconds
 *	    20     4  and nanoseconds
 *	    24     8  clock of the guest
 *	    32     4  size of the machine's state
 *	    36     4  extra data: bytes
 *	    40        extra data: machine's state u64, disk size u64, ...; then id, name
 */
#include "image.h"

#define ENTRY_SIZE 40
/* An entry is at most 40 + 1024 + 2 * 65535 bytes; what tools write is below 200. */
#define MAX_EXTRA       1024
#define MAX_TABLE_BYTES MIB(64)

/* Make the buffer hold the table's first n bytes. */
static int
fill_to(struct pl_disk *file, const struct qcow2_header *h, struct qcow2_snapshots *s, size_t *have,
	size_t n, struct platter_error *err)
{
	uint64_t rest = file->size - h->snapshots_offset;
	size_t want;
	uint8_t *bigger;
	int r;

	if (n <= *have)
		return 0;
	if (n > MAX_TABLE_BYTES)
		return pl_over_limit(err, h->snapshots_offset,
				     "snapshot table of more than %" PRIu64 " bytes",
				     (uint64_t)MAX_TABLE_BYTES);
	if (n > rest)
		return pl_corrupt(err, h->snapshots_offset,
				  "snapshot table passes the end of the file (%" PRIu64 " bytes)",
				  file->size);
	want = (size_t)PL_MIN(rest, (uint64_t)n * 2);
	bigger = realloc(s->buffer, want);
	if (!bigger)
		return pl_no_memory(err);
	s->buffer = bigger;
	r = pl_read(file, s->buffer + *have, want - *have, h->snapshots_offset + *have, err);
	if (r == 0)
		*have = want;
	return r;
}

/* Offsets into the buffer, which moves while it grows. */
struct names {
	size_t id, name;
};

static int
take_entry(struct pl_disk *file, const struct qcow2_header *h, struct qcow2_snapshots *s,
	   size_t *have, size_t *at, struct qcow2_snapshot *ret, struct names *names,
	   struct platter_error *err)
{
	const uint8_t *p;
	uint32_t extra;
	size_t n;
	int r = fill_to(file, h, s, have, *at + ENTRY_SIZE, err);

	if (r < 0)
		return r;
	p = s->buffer + *at;
	*ret = (struct qcow2_snapshot){ .at = h->snapshots_offset + *at,
					.l1_offset = get_be64(p),
					.l1_size = get_be32(p + 8),
					.id_size = get_be16(p + 12),
					.name_size = get_be16(p + 14),
					.seconds = get_be32(p + 16),
					.vm_state_size = get_be32(p + 32),
					.size = h->size };
	extra = get_be32(p + 36);
	if (extra > MAX_EXTRA)
		return pl_over_limit(err, ret->at + 36,
				     "snapshot %zu has %" PRIu32
				     " bytes of extra data, limit is %d",
				     s->nr + 1, extra, MAX_EXTRA);
	n = ENTRY_SIZE + extra + ret->id_size + ret->name_size;
	r = fill_to(file, h, s, have, *at + n, err);
	if (r < 0)
		return r;
	p = s->buffer + *at + ENTRY_SIZE;
	if (extra >= 8)
		ret->vm_state_size = get_be64(p);
	if (extra >= 16)
		ret->size = get_be64(p + 8);
	ret->has_size = extra >= 16;
	names->id = *at + ENTRY_SIZE + extra;
	names->name = names->id + ret->id_size;
	/* QEMU does not write the padding of the last entry. */
	s->table_size = *at + n;
	*at += (size_t)pl_round_up(n, 8);
	return 0;
}

int
pl_qcow2_snapshots_read(struct pl_disk *file, const struct qcow2_header *h,
			struct qcow2_snapshots *ret, struct platter_error *err)
{
	struct qcow2_snapshots s = { 0 };
	PL_AUTOFREE struct names *names = NULL;
	size_t have = 0, at = 0;
	int r = 0;

	if (!h->nr_snapshots) {
		*ret = s;
		return 0;
	}
	/* The header's check made sure that the file is long enough for so many. */
	s.list = calloc(h->nr_snapshots, sizeof *s.list);
	names = calloc(h->nr_snapshots, sizeof *names);
	if (!s.list || !names)
		r = pl_no_memory(err);
	for (; r == 0 && s.nr < h->nr_snapshots; s.nr++)
		r = take_entry(file, h, &s, &have, &at, &s.list[s.nr], &names[s.nr], err);
	if (r < 0) {
		pl_error_place(err, file->name);
		pl_qcow2_snapshots_done(&s);
		return r;
	}
	for (size_t i = 0; i < s.nr; i++) {
		s.list[i].id = s.buffer + names[i].id;
		s.list[i].name = s.buffer + names[i].name;
	}
	*ret = s;
	return 0;
}

void
pl_qcow2_snapshots_done(struct qcow2_snapshots *s)
{
	free(s->buffer);
	free(s->list);
	*s = (struct qcow2_snapshots){ 0 };
}

/* Ids come before names: a snapshot may be named like another's id. */
const struct qcow2_snapshot *
pl_qcow2_snapshot_find(const struct qcow2_snapshots *s, const char *text)
{
	size_t n = strlen(text);

	for (size_t i = 0; i < s->nr; i++)
		if (s->list[i].id_size == n && memcmp(s->list[i].id, text, n) == 0)
			return &s->list[i];
	for (size_t i = 0; i < s->nr; i++)
		if (s->list[i].name_size == n && memcmp(s->list[i].name, text, n) == 0)
			return &s->list[i];
	return NULL;
}

int
pl_qcow2_snapshot_check(const struct qcow2 *q, const struct qcow2_snapshot *s,
			struct platter_error *err)
{
	uint64_t needed = s->size > INT64_MAX
				  ? UINT64_MAX
				  : qcow2_l1_needed(s->size, q->header.cluster_bits, q->l2_bits);

	if (needed > s->l1_size)
		return pl_corrupt(err, s->at + 8,
				  "snapshot '%.*s' of %" PRIu64 " bytes has an L1 table of %" PRIu32
				  " entries only",
				  (int)s->name_size, (const char *)s->name, s->size, s->l1_size);
	if ((uint64_t)s->l1_size * 8 > QCOW2_MAX_L1_BYTES)
		return pl_over_limit(err, s->at + 8,
				     "L1 table of %" PRIu64 " bytes, limit is %" PRIu64,
				     (uint64_t)s->l1_size * 8, (uint64_t)QCOW2_MAX_L1_BYTES);
	return pl_qcow2_check_table(q->file, q->cluster_size, s->l1_offset,
				    (uint64_t)s->l1_size * 8, s->at, "L1 table of the snapshot",
				    err);
}

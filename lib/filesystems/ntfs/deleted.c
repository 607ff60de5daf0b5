/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ntfs/deleted.c - files whose MFT record is not in use, and was not used again
 *
 * Windows clears the flag and counts the sequence number up, and leaves the rest of the record:
 * names, times, and where the contents were. What $Bitmap gave to other files since is lost.
 */
#include "ntfs.h"
#include "text.h"

/* Records read at once. */
#define PART KIB(256)

struct scan {
	struct ntfs_fs *fs;
	struct ntfs_stream bitmap;
	bool has_bitmap;
	pl_deleted_fn *fn;
	void *closure;
	uint64_t parent; /* of the file before, */
	char *folder;    /* and its path, with '/' at the end; NULL: none */
};

/* The name of a node that people gave it, or that for DOS; NULL: it has none. */
static const uint8_t *
name_of(const struct ntfs_node *n)
{
	const uint8_t *found = NULL;

	for (size_t i = 0; i < n->nr; i++) {
		const struct ntfs_attribute *a = &n->attribute[i];

		if (a->type == NTFS_FILE_NAME && pl_ntfs_is_file_name(a->value, a->length) &&
		    (!found || a->value[FILE_NAME_SPACE] != NTFS_DOS)) {
			found = a->value;
			if (a->value[FILE_NAME_SPACE] != NTFS_DOS)
				break;
		}
	}
	return found;
}

static size_t
name_text(const uint8_t *name, char text[static 3 * UINT8_MAX + 1])
{
	return pl_name_from_utf16le(name + FILE_NAME_NAME, name[FILE_NAME_LENGTH], text);
}

/* A folder by a reference from when it was there. */
static int
load_folder(struct ntfs_fs *fs, uint64_t reference, struct ntfs_node *n)
{
	uint64_t number = pl_ntfs_number(reference), sequence = reference >> NTFS_SEQUENCE_SHIFT;
	uint64_t next = (sequence == UINT16_MAX ? 1 : sequence + 1) << NTFS_SEQUENCE_SHIFT;
	const uint64_t tries[] = {
		reference & ~NTFS_DELETED,
		number | NTFS_DELETED | next,
		number | NTFS_DELETED | sequence << NTFS_SEQUENCE_SHIFT,
	};

	for (size_t i = 0; i < ARRAY_SIZE(tries); i++) {
		if (pl_ntfs_node_load(fs, tries[i], NTFS_BEGINNINGS, n, NULL) == 0 &&
		    n->flags & NTFS_IS_FOLDER)
			return 0;
		pl_ntfs_node_done(n);
	}
	return -ENOENT;
}

/* The path of a folder, as far up as it is known, with '/' at the end. */
static char *
path_of(struct ntfs_fs *fs, uint64_t reference)
{
	char *path = strdup("");
	uint64_t before = UINT64_MAX;

	/* Folders that are in each other: `before` is moved on at each power of two. */
	for (unsigned depth = 0; path && depth < PL_MAX_FOLDERS && reference != before; depth++) {
		char text[3 * UINT8_MAX + 1], *longer;
		const uint8_t *name;
		struct ntfs_node n;

		if (pl_ntfs_number(reference) == NTFS_RECORD_ROOT ||
		    load_folder(fs, reference, &n) < 0)
			break;
		name = name_of(&n);
		if (pl_is_power_of_two(depth))
			before = reference;
		if (name) {
			name_text(name, text);
			reference = get_le64(name + FILE_NAME_PARENT);
		}
		pl_ntfs_node_done(&n);
		if (!name)
			break;
		longer = pl_format("%s/%s", text, path);
		free(path);
		path = longer;
	}
	return path;
}

/* Clusters of a run that $Bitmap has as used, or that are past the disk's end. */
static int
count_used(struct scan *s, uint64_t lcn, uint64_t length, uint64_t *used)
{
	uint64_t there = s->fs->volume.size / s->fs->boot.cluster_size;
	uint8_t bits[KIB(4)];

	there = PL_MIN(length, there - PL_MIN(there, lcn));
	*used += length - there;
	length = there;

	while (length) {
		uint64_t first = lcn / 8, skip = lcn % 8;
		size_t n = (size_t)PL_MIN(sizeof bits, pl_div_round_up(skip + length, 8));
		uint64_t nr = PL_MIN(length, n * 8 - skip);
		int r = pl_ntfs_stream_read(s->fs, &s->bitmap, bits, n, first, NULL);

		if (r < 0)
			return r;
		for (uint64_t i = skip; i < skip + nr; i++)
			*used += bits[i / 8] >> i % 8 & 1;
		lcn += nr;
		length -= nr;
	}
	return 0;
}

static enum platter_recovery
judge(struct scan *s, const struct ntfs_node *n)
{
	const struct ntfs_attribute *a = pl_ntfs_find(n, NTFS_DATA, NTFS_WOF_STREAM);
	uint64_t used = 0, all = 0;
	struct ntfs_runs runs;
	int r = 0;

	if (!a)
		a = pl_ntfs_find(n, NTFS_DATA, NULL);
	if (!a)
		return n->damage ? PLATTER_RECOVERY_NOTHING : PLATTER_RECOVERY_WHOLE;
	if (a->resident || !a->size)
		return PLATTER_RECOVERY_WHOLE;
	if (pl_ntfs_runs_load(s->fs, n, a, &runs, NULL) < 0)
		return PLATTER_RECOVERY_NOTHING;
	for (size_t i = 0; i < runs.nr && r == 0; i++) {
		if (runs.run[i].lcn == NTFS_NOT_STORED)
			continue;
		all += runs.run[i].length;
		r = s->has_bitmap ? count_used(s, runs.run[i].lcn, runs.run[i].length, &used)
				  : -ENOENT;
	}
	pl_ntfs_runs_done(&runs);
	if (r < 0)
		return PLATTER_RECOVERY_PARTLY;
	if (!used)
		return PLATTER_RECOVERY_WHOLE;
	return used < all ? PLATTER_RECOVERY_PARTLY : PLATTER_RECOVERY_NOTHING;
}

static int
tell(struct scan *s, const struct ntfs_node *n, uint64_t id, struct platter_error *err)
{
	const uint8_t *name = name_of(n);
	PL_AUTOFREE char *path = NULL;
	char text[3 * UINT8_MAX + 1];
	struct pl_deleted d = { .id.inode = id };
	uint64_t parent;
	int r;

	if (!name)
		return 0;
	name_text(name, text);
	parent = get_le64(name + FILE_NAME_PARENT);
	if (!s->folder || s->parent != parent) {
		free(s->folder);
		s->folder = path_of(s->fs, parent);
		s->parent = parent;
	}
	path = s->folder ? pl_format("%s%s", s->folder, text) : NULL;
	if (!path)
		return pl_no_memory(err);
	r = pl_volume_stat(&s->fs->volume, d.id, &d.file, err);
	if (r < 0)
		return r == -ENOMEM ? r : 0;
	d.path = path;
	d.recovery = judge(s, n);
	return s->fn(s->closure, &d, err);
}

/* A record as it was read; nothing is said of what is no record, or of no deleted file. */
static int
look_at(struct scan *s, uint64_t number, uint8_t *record, struct platter_error *err)
{
	uint64_t sequence, id;
	struct ntfs_node n;
	int r = 0;

	if (memcmp(record, "FILE", 4) || get_le16(record + 22) & (NTFS_IN_USE | NTFS_IS_FOLDER) ||
	    get_le64(record + 32))
		return 0;
	sequence = get_le16(record + 16);
	id = number | NTFS_DELETED | sequence << NTFS_SEQUENCE_SHIFT;
	if (pl_ntfs_node_load(s->fs, id, NTFS_WHOLE, &n, NULL) == 0)
		r = tell(s, &n, id, err);
	pl_ntfs_node_done(&n);
	return r;
}

static int
look_at_all(struct scan *s, struct platter_error *err)
{
	uint32_t size = s->fs->boot.record_size;
	PL_AUTOFREE uint8_t *part = malloc(PART);
	uint64_t nr_records;
	int r = 0;

	if (!part)
		return pl_no_memory(err);
	/* More records than the volume has room for are not all of its own. */
	nr_records = PL_MIN(s->fs->nr_records, s->fs->volume.size / size);
	for (uint64_t first = 0; first < nr_records && r == 0; first += PART / size) {
		uint64_t nr = PL_MIN(PART / size, nr_records - first);

		/* Where not all of it can be read, one by one. */
		if (pl_ntfs_stream_read(s->fs, &s->fs->mft, part, (size_t)nr * size, first * size,
					NULL) < 0)
			for (uint64_t i = 0; i < nr; i++)
				if (pl_ntfs_stream_read(s->fs, &s->fs->mft, part + i * size, size,
							(first + i) * size, NULL) < 0)
					memset(part + i * size, 0, size);
		for (uint64_t i = 0; i < nr && r == 0; i++)
			r = look_at(s, first + i, part + i * size, err);
	}
	return r;
}

int
pl_ntfs_deleted(struct pl_volume *v, pl_deleted_fn *fn, void *closure, struct platter_error *err)
{
	struct scan s = { .fs = pl_ntfs_of(v), .fn = fn, .closure = closure };
	int r;

	s.has_bitmap = pl_ntfs_stream_of(s.fs, NTFS_RECORD_BITMAP, &s.bitmap, NULL) == 0;
	r = look_at_all(&s, err);
	pl_ntfs_stream_done(&s.bitmap);
	free(s.folder);
	return r;
}

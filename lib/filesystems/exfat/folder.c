/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * exfat/folder.c - the entries of a folder (sections 6 and 7)
 *
 * A file is a set of entries of 32 bytes: its file entry, a stream extension, and its name
 * in pieces of 15 UTF-16 units; others may follow, which are skipped.  A checksum covers
 * the set.  Deleting a file clears bit 7 of the type of each.
 *
 *	offset  size  file entry, type 85
 *	     1     1  entries that follow
 *	     2     2  checksum of the set
 *	     4     2  attributes
 *	     6     2  bit 15: encrypted by Windows 10 (not in the specification)
 *	     8    12  created, modified, accessed: time and date of DOS
 *	    20     2  hundredths of a second of the first two
 *	    22     3  their offsets from UTC in quarters of an hour, if bit 7 is set
 *
 *	offset  size  stream extension, type c0
 *	     1     1  flags; bit 1: the clusters follow each other, the FAT has no chain
 *	     3     1  UTF-16 units of the name
 *	     4     2  hash of the name
 *	     8     8  valid data length; behind that there are zeros
 *	    20     4  first cluster
 *	    24     8  data length
 */
#include "exfat.h"

/* Section 7.4: no folder is larger than 256 MiB. */
#define MAX_FOLDER MIB(256)

#define PIECE KIB(16)

struct scan {
	struct exfat *exfat;
	exfat_file_fn *fn;
	exfat_entry_fn *other;
	void *closure;
	bool with_deleted;
	unsigned id_flags; /* of what is found in it */
	/* A set that is being gathered: `have` of `need` entries. */
	unsigned have, need;
	uint64_t at;
	uint8_t set[MAX_SET_ENTRIES * EXFAT_ENTRY_SIZE];
	int first_error;
	struct platter_error *err;
};

static void
keep_error(struct scan *s, int r, const struct platter_error *why)
{
	if (s->first_error)
		return;
	s->first_error = r;
	if (s->err)
		*s->err = *why;
}

/* Over all bytes of the set but the checksum itself, as it was before the file was deleted. */
static uint16_t
set_checksum(const uint8_t *set, unsigned nr, bool deleted)
{
	uint16_t sum = 0;

	for (size_t i = 0; i < (size_t)nr * EXFAT_ENTRY_SIZE; i++) {
		uint8_t byte = set[i];

		if (i == FILE_SET_CHECKSUM || i == FILE_SET_CHECKSUM + 1)
			continue;
		if (deleted && i % EXFAT_ENTRY_SIZE == 0)
			byte |= TYPE_IN_USE;
		sum = (uint16_t)((sum << 15 | sum >> 1) + byte);
	}
	return sum;
}

/* What a whole set says; its id is that of the place where it was found. */
static int
decode_set(const struct exfat *x, const uint8_t *set, unsigned nr, struct pl_node_id id,
	   struct exfat_file *ret, struct platter_error *err)
{
	uint64_t at = id.inode & ~(uint64_t)EXFAT_ID_FLAGS;
	bool deleted = !(set[0] & TYPE_IN_USE);
	const uint8_t *stream = set + EXFAT_ENTRY_SIZE;
	size_t units = stream[STREAM_NAME_LENGTH], have = 0;

	if ((stream[0] & TYPE_KIND) != (ENTRY_STREAM & TYPE_KIND))
		return pl_corrupt(err, at + EXFAT_ENTRY_SIZE,
				  "exFAT file entry is followed by type %#x, not by a stream",
				  stream[0]);
	for (unsigned i = 2; i < nr && have < units; i++) {
		const uint8_t *e = set + (size_t)i * EXFAT_ENTRY_SIZE;
		size_t n = PL_MIN(units - have, (size_t)NAME_UNITS_PER_ENTRY);

		if ((e[0] & TYPE_KIND) != (ENTRY_NAME & TYPE_KIND))
			continue;
		memcpy(ret->units + 2 * have, e + 2, 2 * n);
		have += n;
	}
	if (!units || have < units)
		return pl_corrupt(err, at, "exFAT name of %zu characters, %zu are there", units,
				  have);
	ret->id = id;
	ret->nr_units = units;
	ret->deleted = deleted || id.inode & EXFAT_WAS_DELETED;
	ret->damaged = !x->volume.ignore_checksums &&
		       get_le16(set + FILE_SET_CHECKSUM) != set_checksum(set, nr, deleted);
	ret->primary = set;
	ret->attributes = get_le16(set + FILE_ATTRIBUTES);
	ret->contiguous = stream[STREAM_FLAGS] & STREAM_NO_FAT_CHAIN;
	ret->cluster = get_le32(stream + ENTRY_FIRST_CLUSTER);
	ret->size = get_le64(stream + ENTRY_DATA_LENGTH);
	ret->valid = get_le64(stream + STREAM_VALID_DATA_LENGTH);
	ret->encrypted = get_le16(set + FILE_RESERVED) & RESERVED_ENCRYPTED;
	/* Its keys come first, and are not counted. */
	if (ret->encrypted)
		ret->valid = PL_MAX(ret->valid, ENCRYPTED_HEADER);
	ret->valid = PL_MIN(ret->valid, ret->size);
	return 0;
}

static int
give_set(struct scan *s)
{
	bool deleted = !(s->set[0] & TYPE_IN_USE);
	struct pl_node_id id = { .inode = s->at | s->id_flags | (deleted ? EXFAT_WAS_DELETED : 0) };
	struct platter_error why = PLATTER_ERROR_INIT;
	struct exfat_file file = { .damaged = false };
	int r = decode_set(s->exfat, s->set, s->need, id, &file, &why);

	s->need = 0;
	if (r == 0 && file.damaged)
		r = pl_corrupt(&why, s->at + FILE_SET_CHECKSUM,
			       "checksum of an exFAT file's entries does not match");
	/* Of what was deleted, parts are overwritten by and by. */
	if (r < 0 && deleted)
		return 0;
	if (r < 0) {
		keep_error(s, r, &why);
		if (!file.damaged)
			return 0;
	}
	return s->fn ? s->fn(s->closure, &file, s->err) : 0;
}

static void
break_off(struct scan *s)
{
	struct platter_error why = PLATTER_ERROR_INIT;
	int r;

	if (s->need && s->set[0] & TYPE_IN_USE) {
		r = pl_corrupt(&why, s->at, "%u entries of an exFAT file, %u are there", s->need,
			       s->have);
		keep_error(s, r, &why);
	}
	s->need = 0;
}

/* The folder ends here. */
#define ENDS INT32_MIN

static int
take_entry(struct scan *s, const uint8_t *raw, uint64_t at)
{
	bool in_use = raw[0] & TYPE_IN_USE;

	if (s->need && raw[0] & TYPE_SECONDARY && in_use == !!(s->set[0] & TYPE_IN_USE)) {
		memcpy(s->set + (size_t)s->have++ * EXFAT_ENTRY_SIZE, raw, EXFAT_ENTRY_SIZE);
		return s->have < s->need ? 0 : give_set(s);
	}
	break_off(s);
	if (!raw[0])
		return ENDS;
	if ((raw[0] & TYPE_KIND) == (ENTRY_FILE & TYPE_KIND) && (in_use || s->with_deleted)) {
		memcpy(s->set, raw, EXFAT_ENTRY_SIZE);
		s->at = at;
		s->have = 1;
		s->need = raw[FILE_SECONDARY_COUNT] + 1u;
		if (s->need < 3)
			break_off(s);
		return 0;
	}
	return s->other && in_use ? s->other(s->closure, raw, s->err) : 0;
}

static int
scan_piece(struct scan *s, const uint8_t *piece, size_t n, uint64_t at)
{
	for (size_t i = 0; i + EXFAT_ENTRY_SIZE <= n; i += EXFAT_ENTRY_SIZE) {
		int r = take_entry(s, piece + i, at + i);

		if (r)
			return r;
	}
	return 0;
}

/* Sectors that cannot be read do not hide the others. */
static int
scan_damaged(struct scan *s, uint8_t *buf, size_t n, uint64_t at)
{
	for (size_t i = 0; i < n; i += 512) {
		struct platter_error why = PLATTER_ERROR_INIT;
		size_t part = PL_MIN(n - i, (size_t)512);
		int r = pl_meta_read(s->exfat->volume.meta, buf, part, at + i, &why);

		if (r < 0) {
			keep_error(s, r, &why);
			s->need = 0;
			continue;
		}
		r = scan_piece(s, buf, part, at + i);
		if (r)
			return r;
	}
	return 0;
}

static int
scan_runs(struct scan *s, const struct pl_runs *runs, uint8_t *buf)
{
	for (size_t i = 0; i < runs->nr; i++) {
		/* What the chain does not reach; the caller says so. */
		if (runs->run[i].decoder)
			break;
		for (uint64_t done = 0; done < runs->run[i].length; done += PIECE) {
			size_t n = (size_t)PL_MIN(PIECE, runs->run[i].length - done);
			uint64_t at = runs->run[i].stored + done;
			int r = pl_meta_read(s->exfat->volume.meta, buf, n, at, NULL);

			r = r < 0 ? scan_damaged(s, buf, n, at) : scan_piece(s, buf, n, at);
			if (r)
				return r;
		}
	}
	return 0;
}

/*
 * Freeing clusters need not touch the FAT.  True if the chain of a deleted file is still
 * there, as long as it must be, and none of its clusters is in use.
 */
static bool
chain_is_left(const struct exfat *x, const struct exfat_file *file, uint64_t nr,
	      struct pl_runs *runs)
{
	const struct pl_clusters *c = &x->clusters;
	struct pl_chain chain;

	if (pl_chain_follow(c, file->cluster, nr, runs, &chain, NULL) < 0 ||
	    chain.end != PL_CHAIN_FULL)
		return false;
	for (size_t i = 0; i < runs->nr; i++) {
		uint64_t first = (runs->run[i].stored - c->heap) / c->size + PL_FIRST_CLUSTER;

		if (pl_cluster_map_used(&x->map, (uint32_t)first, runs->run[i].length / c->size))
			return false;
	}
	return true;
}

static int
deleted_runs(struct exfat *x, const struct exfat_file *file, uint64_t size, struct pl_runs *runs,
	     struct platter_error *err)
{
	uint64_t nr = pl_div_round_up(size, x->clusters.size);

	if (!size)
		return 0;
	if (chain_is_left(x, file, nr, runs)) {
		runs->run[runs->nr - 1].length -= nr * x->clusters.size - size;
		return 0;
	}
	runs->nr = 0;
	return pl_cluster_map_runs(&x->map, &x->clusters, file->cluster, size, runs, err);
}

enum platter_recovery
pl_exfat_judge(const struct exfat *x, const struct exfat_file *file, uint64_t *budget)
{
	uint64_t nr = pl_div_round_up(file->size, x->clusters.size), used;
	struct pl_runs runs = { 0 };
	bool left;

	if (!nr)
		return PLATTER_RECOVERY_WHOLE;
	used = pl_cluster_map_used(&x->map, file->cluster, nr);
	if (!used && (file->contiguous || nr == 1))
		return PLATTER_RECOVERY_WHOLE;
	if (used == nr || (!file->contiguous && pl_cluster_map_used(&x->map, file->cluster, 1)))
		return PLATTER_RECOVERY_NOTHING;
	if (file->contiguous)
		return PLATTER_RECOVERY_PARTLY;
	left = nr <= *budget && chain_is_left(x, file, nr, &runs);
	*budget -= PL_MIN(nr, *budget);
	pl_runs_done(&runs);
	return left || !used ? PLATTER_RECOVERY_WHOLE : PLATTER_RECOVERY_PARTLY;
}

int
pl_exfat_runs(struct exfat *x, const struct exfat_file *file, uint64_t size, struct pl_runs *runs,
	      struct platter_error *err)
{
	const struct pl_clusters *c = &x->clusters;
	uint64_t room = 0;
	int r;

	if (!file->contiguous)
		return file->deleted ? deleted_runs(x, file, size, runs, err)
				     : pl_chain_runs(c, file->cluster, size, runs, err);
	if (pl_cluster_exists(c, file->cluster))
		room = (uint64_t)(c->nr - (file->cluster - PL_FIRST_CLUSTER)) * c->size;
	room = PL_MIN(room, size);
	r = room ? pl_runs_add_data(runs, 0, room, pl_cluster_at(c, file->cluster), err) : 0;
	return r < 0 ? r : pl_runs_add_lost(runs, room, size - room, PL_CHAIN_OUTSIDE, err);
}

/* What is known of a folder once its clusters are. */
struct folder {
	struct exfat_file file;
	struct pl_runs runs;
	struct pl_chain chain;
	unsigned id_flags; /* of what is in it */
	bool cut;          /* less than its size is there */
};

static int
find_folder(struct exfat *x, struct pl_node_id id, struct folder *ret, struct platter_error *err)
{
	struct exfat_file *file = &ret->file;
	PL_AUTOFREE uint8_t *set = NULL;
	uint64_t size;
	int r;

	ret->chain.end = PL_CHAIN_ENDS;
	if (id.inode == EXFAT_ROOT) {
		file->cluster = x->boot.root_cluster;
		return pl_chain_follow(&x->clusters, file->cluster,
				       MAX_FOLDER / x->clusters.size + 1, &ret->runs, &ret->chain,
				       err);
	}
	set = malloc((size_t)MAX_SET_ENTRIES * EXFAT_ENTRY_SIZE);
	if (!set)
		return pl_no_memory(err);
	r = pl_exfat_read_file(x, id, set, file, err);
	if (r < 0)
		return r;
	if (!(file->attributes & ATTRIBUTE_FOLDER))
		return pl_fail_at(err, -ENOTDIR, id.inode & ~(uint64_t)EXFAT_ID_FLAGS,
				  "exFAT entry is no folder");
	size = PL_MIN(file->size, MAX_FOLDER);
	if (file->contiguous || file->deleted) {
		ret->id_flags = EXFAT_CONTIGUOUS | (file->deleted ? EXFAT_WAS_DELETED : 0);
		r = file->deleted ? pl_exfat_map(x, err) : 0;
		if (r == 0)
			r = pl_exfat_runs(x, file, size, &ret->runs, err);
		ret->cut = ret->runs.nr && ret->runs.run[ret->runs.nr - 1].decoder;
	} else if (size) {
		r = pl_chain_follow(&x->clusters, file->cluster,
				    pl_div_round_up(size, x->clusters.size), &ret->runs,
				    &ret->chain, err);
		ret->cut = ret->chain.end == PL_CHAIN_ENDS;
		if (ret->chain.end == PL_CHAIN_FULL)
			ret->chain.end = PL_CHAIN_ENDS;
	}
	return r;
}

int
pl_exfat_scan(struct exfat *x, struct pl_node_id id, bool deleted, exfat_file_fn *fn,
	      exfat_entry_fn *other, void *closure, struct platter_error *err)
{
	PL_AUTOFREE struct scan *s = calloc(1, sizeof *s);
	PL_AUTOFREE struct folder *folder = calloc(1, sizeof *folder);
	PL_AUTOFREE uint8_t *buf = malloc(PIECE);
	int r;

	if (!s || !buf || !folder)
		return pl_no_memory(err);
	s->exfat = x;
	s->fn = fn;
	s->other = other;
	s->closure = closure;
	s->with_deleted = deleted;
	s->err = err;
	r = find_folder(x, id, folder, err);
	s->id_flags = folder->id_flags;
	if (r == 0)
		r = scan_runs(s, &folder->runs, buf);
	pl_runs_done(&folder->runs);
	if (r && r != ENDS)
		return r;
	if (!r)
		break_off(s);
	if (s->first_error)
		return s->first_error;
	if (r == ENDS)
		return 0;
	if (folder->cut)
		return pl_corrupt(err, id.inode & ~(uint64_t)EXFAT_ID_FLAGS,
				  "exFAT folder of %" PRIu64 " bytes, not all are there",
				  folder->file.size);
	return pl_chain_error(&x->clusters, folder->file.cluster, &folder->chain, err);
}

int
pl_exfat_read_file(struct exfat *x, struct pl_node_id id,
		   uint8_t set[static MAX_SET_ENTRIES * EXFAT_ENTRY_SIZE], struct exfat_file *ret,
		   struct platter_error *err)
{
	const struct pl_clusters *c = &x->clusters;
	uint64_t at = id.inode & ~(uint64_t)EXFAT_ID_FLAGS;
	uint64_t cluster = (at - c->heap) / c->size + PL_FIRST_CLUSTER;
	uint64_t end = pl_cluster_at(c, (uint32_t)cluster) + c->size;
	unsigned need = 1;
	int r;

	if (at < c->heap || cluster - PL_FIRST_CLUSTER >= c->nr)
		return pl_invalid(err, "no exFAT entry is at byte %" PRIu64, at);
	for (unsigned have = 0; have < need;) {
		unsigned n = (unsigned)PL_MIN((end - at) / EXFAT_ENTRY_SIZE, need - have);
		uint8_t *p = set + (size_t)have * EXFAT_ENTRY_SIZE;

		r = pl_meta_read(x->volume.meta, p, (size_t)n * EXFAT_ENTRY_SIZE, at, err);
		if (r < 0)
			return r;
		if (!have)
			need = set[FILE_SECONDARY_COUNT] + 1u;
		have += n;
		at += (uint64_t)n * EXFAT_ENTRY_SIZE;
		if (at == end && have < need) {
			struct pl_table_window w;
			uint32_t next = (uint32_t)cluster + 1;

			w.nr = w.first = 0;
			r = id.inode & EXFAT_CONTIGUOUS
				    ? 0
				    : pl_table_get(c, &w, (uint32_t)cluster, &next, err);
			if (r < 0)
				return r;
			if (!pl_cluster_exists(c, next))
				return pl_corrupt(err, at,
						  "exFAT folder ends among a file's entries");
			cluster = next;
			at = pl_cluster_at(c, next);
			end = at + c->size;
		}
	}
	if (need < 3 || (set[0] & TYPE_KIND) != (ENTRY_FILE & TYPE_KIND))
		return pl_corrupt(err, id.inode & ~(uint64_t)EXFAT_ID_FLAGS,
				  "no exFAT file entry is there");
	return decode_set(x, set, need, id, ret, err);
}

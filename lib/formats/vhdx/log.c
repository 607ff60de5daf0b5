/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * log.c - the log of a VHDX, replayed in memory, or in the file
 *
 * Changes of metadata are written to a circular log first.  What of it had not reached its
 * place when the file was last used is laid over the file here: a disk whose map leads to a
 * copy of the log's sectors where it has any, to zeros where it says so, else to the file.
 */
#include "vhdx-log.h"

#define SECTOR LOG_SECTOR
/* Logs of 1 MiB are usual; this many times as much still fits into memory. */
#define MAX_LOG MIB(64)

/* A sound entry of the log. */
struct entry {
	uint64_t sequence;
	uint32_t tail;       /* sector of the log */
	uint32_t nr_sectors; /* 0: no entry begins in this sector */
	uint32_t run, place; /* which unbroken sequence it is in, and where; run 0: not known yet */
};

struct log {
	uint8_t *bytes, *turned; /* as stored; room for an entry that passes the end */
	uint32_t nr_sectors;
	struct entry *entries; /* by the sector where they begin */
};

/* What replaces bytes of the file. */
struct patch {
	uint64_t offset, length;
	const uint8_t *sector; /* in an entry; NULL: zeros */
	const uint8_t *descriptor;
};

struct patches {
	struct patch *list; /* in the order of the log */
	size_t nr, capacity;
	uint64_t end; /* of the file, afterwards */
};

static const uint8_t *
log_sector(const struct log *log, uint64_t index)
{
	return log->bytes + index % log->nr_sectors * SECTOR;
}

static uint32_t
descriptor_sectors(uint32_t nr)
{
	return (uint32_t)pl_div_round_up(LOG_ENTRY_HEADER + (uint64_t)nr * LOG_DESCRIPTOR, SECTOR);
}

/*
 * Do the sectors after the first look like those of an entry?  None of them can be taken for
 * the first of another, so what is looked at more closely never overlaps, and the work is
 * bounded by the size of the log.
 */
static bool
has_shape(const struct log *log, uint32_t first, uint32_t nr_sectors, uint32_t nr_descriptors)
{
	uint32_t nr_first = descriptor_sectors(nr_descriptors);

	if (nr_first > nr_sectors)
		return false;
	for (uint32_t i = 1; i < nr_sectors; i++) {
		const uint8_t *s = log_sector(log, (uint64_t)first + i);

		if (i < nr_first ? memcmp(s, "desc", 4) != 0 && memcmp(s, "zero", 4) != 0
				 : memcmp(s, "data", 4) != 0)
			return false;
	}
	return true;
}

/* The bytes of the entry that begins in a sector, in one piece; `turned` is reused by the next. */
static const uint8_t *
entry_bytes(struct log *log, uint32_t first, uint32_t nr_sectors)
{
	uint32_t before = log->nr_sectors - first;

	if (nr_sectors <= before)
		return log->bytes + (size_t)first * SECTOR;
	memcpy(log->turned, log->bytes + (size_t)first * SECTOR, (size_t)before * SECTOR);
	memcpy(log->turned + (size_t)before * SECTOR, log->bytes,
	       (size_t)(nr_sectors - before) * SECTOR);
	return log->turned;
}

static bool
check_descriptors(const uint8_t *b, uint32_t nr, uint32_t nr_sectors, uint64_t sequence)
{
	uint32_t data = descriptor_sectors(nr);

	for (uint32_t i = 0; i < nr; i++) {
		const uint8_t *d = b + LOG_ENTRY_HEADER + (size_t)i * LOG_DESCRIPTOR;
		const uint8_t *s;

		if (get_le64(d + 24) != sequence || get_le64(d + 16) % SECTOR)
			return false;
		if (!memcmp(d, "zero", 4)) {
			if (get_le64(d + 8) % SECTOR || get_le64(d + 8) > INT64_MAX)
				return false;
			continue;
		}
		if (memcmp(d, "desc", 4) != 0 || data == nr_sectors)
			return false;
		s = b + (size_t)data++ * SECTOR;
		if (get_le32(s + 4) != sequence >> 32 ||
		    get_le32(s + SECTOR - 4) != (uint32_t)sequence)
			return false;
	}
	return data == nr_sectors;
}

/* Look whether an entry begins in a sector. */
static void
find_entry(struct log *log, const struct vhdx_header *h, uint32_t first)
{
	const uint8_t *b = log_sector(log, first);
	struct entry *e = &log->entries[first];
	uint64_t sequence = get_le64(b + LOG_ENTRY_SEQUENCE);
	uint32_t length = get_le32(b + LOG_ENTRY_LENGTH), tail = get_le32(b + LOG_ENTRY_TAIL);
	uint32_t nr = get_le32(b + LOG_ENTRY_NR), nr_sectors = length / SECTOR;

	if (memcmp(b, "loge", 4) != 0 || memcmp(b + LOG_ENTRY_GUID, h->log_guid, 16) != 0)
		return;
	if (length % SECTOR || !nr_sectors || nr_sectors > log->nr_sectors || tail % SECTOR ||
	    tail / SECTOR >= log->nr_sectors || !sequence || !has_shape(log, first, nr_sectors, nr))
		return;
	b = entry_bytes(log, first, nr_sectors);
	if (get_le32(b + VHDX_CRC) != pl_vhdx_crc(b, length) ||
	    !check_descriptors(b, nr, nr_sectors, sequence))
		return;
	*e = (struct entry){ .sequence = sequence,
			     .tail = tail / SECTOR,
			     .nr_sectors = nr_sectors };
}

/* Sector where the entry after the one at `first` would begin. */
static uint32_t
next_of(const struct log *log, uint32_t first)
{
	return (uint32_t)(((uint64_t)first + log->entries[first].nr_sectors) % log->nr_sectors);
}

/* Number the entries that follow each other without a gap. */
static void
number_runs(struct log *log)
{
	uint32_t run = 0;

	for (uint32_t i = 0; i < log->nr_sectors; i++) {
		uint32_t at = i, place = 0;

		if (!log->entries[i].nr_sectors || log->entries[i].run)
			continue;
		for (run++;; place++) {
			struct entry *e = &log->entries[at];
			uint32_t next = next_of(log, at);

			e->run = run;
			e->place = place;
			if (!log->entries[next].nr_sectors ||
			    log->entries[next].sequence != e->sequence + 1)
				break;
			/* A run that was begun in its middle is taken over by the one before it. */
			at = next;
		}
	}
}

/* The first and the last entry to replay; false: there is none. */
static bool
find_sequence(struct log *log, uint32_t *ret_tail, uint32_t *ret_head)
{
	const struct entry *best = NULL;

	number_runs(log);
	for (uint32_t i = 0; i < log->nr_sectors; i++) {
		const struct entry *e = &log->entries[i], *tail = &log->entries[e->tail];

		if (!e->nr_sectors || !tail->nr_sectors || tail->run != e->run ||
		    tail->place > e->place || (best && best->sequence >= e->sequence))
			continue;
		best = e;
		*ret_head = i;
		*ret_tail = e->tail;
	}
	return best != NULL;
}

static int
add_patch(struct patches *p, const struct patch *patch, struct platter_error *err)
{
	if (p->nr == p->capacity) {
		size_t capacity = p->capacity ? p->capacity * 2 : 64;
		struct patch *list = pl_realloc_array(p->list, capacity, sizeof *list);

		if (!list)
			return pl_no_memory(err);
		p->list = list;
		p->capacity = capacity;
	}
	p->list[p->nr++] = *patch;
	return 0;
}

/* Gather what one entry changes. */
static int
take_entry(const struct log *log, const struct pl_disk *file, const struct vhdx_header *h,
	   uint32_t first, struct patches *patches, struct platter_error *err)
{
	const uint8_t *b = log_sector(log, first);
	uint64_t at = h->log_offset + (uint64_t)first * SECTOR;
	uint64_t flushed = get_le64(b + LOG_ENTRY_FLUSHED), last = get_le64(b + LOG_ENTRY_LAST);
	uint32_t nr = get_le32(b + LOG_ENTRY_NR), data = descriptor_sectors(nr);
	int r;

	if (flushed > file->size) {
		r = pl_corrupt(err, at + LOG_ENTRY_FLUSHED,
			       "the file had %" PRIu64
			       " bytes when its log was written, and has %" PRIu64,
			       flushed, file->size);
		pl_hint(err, "the file is cut short: compare its size with the original");
		return r;
	}
	if (last > INT64_MAX)
		return pl_corrupt(err, at + LOG_ENTRY_LAST,
				  "log extends the file to %" PRIu64 " bytes", last);
	patches->end = PL_MAX(patches->end, last);
	for (uint32_t i = 0; i < nr; i++) {
		uint32_t in_entry = LOG_ENTRY_HEADER + i * LOG_DESCRIPTOR;
		const uint8_t *d =
			log_sector(log, (uint64_t)first + in_entry / SECTOR) + in_entry % SECTOR;
		struct patch patch = { .offset = get_le64(d + 16), .length = get_le64(d + 8) };

		if (!memcmp(d, "desc", 4)) {
			patch.descriptor = d;
			patch.sector = log_sector(log, (uint64_t)first + data++);
			patch.length = SECTOR;
		}
		if (patch.offset > INT64_MAX || patch.length > INT64_MAX - patch.offset)
			return pl_corrupt(err, at, "log writes to byte %" PRIu64, patch.offset);
		if (patch.length) {
			r = add_patch(patches, &patch, err);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

/* The file with the patches laid over it. */
struct overlay {
	uint64_t offset, length;
	uint64_t stored; /* in `sectors`, or: */
	bool zero;
};

struct replayed {
	struct pl_disk disk;
	struct pl_disk *file;     /* a reference */
	struct pl_disk *sectors;  /* in memory; owned */
	struct overlay *overlays; /* in the order of the file, none over another */
	size_t nr;
};

static struct replayed *
replayed_of(struct pl_disk *disk)
{
	return pl_container_of(disk, struct replayed, disk);
}

/* Index of the first overlay that ends after `offset`. */
static size_t
find_overlay(const struct replayed *rp, uint64_t offset)
{
	size_t low = 0, high = rp->nr;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (rp->overlays[mid].offset + rp->overlays[mid].length <= offset)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static int
replayed_map(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
	     struct platter_error *err)
{
	struct replayed *rp = replayed_of(disk);
	size_t i = find_overlay(rp, offset);
	const struct overlay *o = i < rp->nr ? &rp->overlays[i] : NULL;
	uint64_t end = disk->size;

	*ret = (struct pl_extent){ .kind = PLATTER_DATA };
	if (o && o->offset <= offset) {
		uint64_t in = offset - o->offset;

		ret->length = o->length - in;
		if (o->zero) {
			ret->kind = PLATTER_ZERO;
		} else {
			ret->below = rp->sectors;
			ret->stored_offset = o->stored + in;
		}
		return 0;
	}
	if (o)
		end = PL_MIN(end, o->offset);
	if (offset < rp->file->size) {
		end = PL_MIN(end, rp->file->size);
		ret->below = rp->file;
		ret->stored_offset = offset;
	} else {
		ret->kind = PLATTER_ZERO;
	}
	ret->length = end - offset;
	return 0;
}

static struct pl_disk *
replayed_below(struct pl_disk *disk, size_t index)
{
	struct replayed *rp = replayed_of(disk);

	return index == 0 ? rp->file : index == 1 ? rp->sectors : NULL;
}

static void
replayed_free(struct pl_disk *disk)
{
	struct replayed *rp = replayed_of(disk);

	free(rp->overlays);
	pl_disk_unref(rp->sectors);
	pl_disk_unref(rp->file);
	pl_disk_done(disk);
	free(rp);
}

static const struct pl_disk_ops replayed_ops = {
	.name = "vhdx-log",
	.map = replayed_map,
	.below = replayed_below,
	.free = replayed_free,
};

static int
by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Where patches begin and end, in ascending order, each once. */
static uint64_t *
sorted_bounds(const struct patches *p, size_t *ret_nr)
{
	uint64_t *bounds = pl_realloc_array(NULL, p->nr * 2, sizeof *bounds);
	size_t nr = 0;

	if (!bounds)
		return NULL;
	for (size_t i = 0; i < p->nr; i++) {
		bounds[2 * i] = p->list[i].offset;
		bounds[2 * i + 1] = p->list[i].offset + p->list[i].length;
	}
	qsort(bounds, p->nr * 2, sizeof *bounds, by_value);
	for (size_t i = 0; i < p->nr * 2; i++)
		if (!nr || bounds[nr - 1] != bounds[i])
			bounds[nr++] = bounds[i];
	*ret_nr = nr;
	return bounds;
}

static size_t
index_of(const uint64_t *bounds, size_t nr, uint64_t value)
{
	size_t low = 0;

	while (nr > 1) {
		size_t half = nr / 2;

		if (bounds[low + half] <= value)
			low += half;
		nr -= half;
	}
	return low;
}

/* The next cell from `i` on that has no owner yet; shortens the way for later. */
static size_t
next_free(size_t *next, size_t i)
{
	size_t end = i;

	while (next[end] != end)
		end = next[end];
	while (next[i] != end) {
		size_t n = next[i];

		next[i] = end;
		i = n;
	}
	return end;
}

/* Give each stretch between two bounds the newest patch that covers it (index + 1; 0: none). */
static int
assign(const struct patches *p, const uint64_t *bounds, size_t nr, size_t *owners,
       struct platter_error *err)
{
	size_t *next = pl_realloc_array(NULL, nr + 1, sizeof *next);

	if (!next)
		return pl_no_memory(err);
	for (size_t i = 0; i <= nr; i++)
		next[i] = i;
	for (size_t i = p->nr; i-- > 0;) {
		const struct patch *patch = &p->list[i];
		size_t last = index_of(bounds, nr, patch->offset + patch->length);

		for (size_t c = next_free(next, index_of(bounds, nr, patch->offset)); c < last;
		     c = next_free(next, c)) {
			owners[c] = i + 1;
			next[c] = c + 1;
		}
	}
	free(next);
	return 0;
}

/* The sector that a data descriptor restores. */
static void
restore_sector(const struct patch *patch, uint8_t *out)
{
	memcpy(out, patch->descriptor + 8, 8);
	memcpy(out + 8, patch->sector + 8, SECTOR - 12);
	memcpy(out + SECTOR - 4, patch->descriptor + 4, 4);
}

/* Turn patches into overlays and the sectors that they lead to. */
static int
lay_over(struct replayed *rp, const struct patches *p, struct platter_error *err)
{
	PL_AUTOFREE uint64_t *bounds = NULL;
	PL_AUTOFREE size_t *owners = NULL;
	PL_AUTOFREE uint8_t *bytes = NULL;
	size_t nr, stored = 0, used = 0;
	int r;

	bounds = sorted_bounds(p, &nr);
	owners = bounds ? calloc(nr + 1, sizeof *owners) : NULL;
	rp->overlays = owners ? calloc(nr + 1, sizeof *rp->overlays) : NULL;
	if (!rp->overlays)
		return pl_no_memory(err);
	r = assign(p, bounds, nr, owners, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i + 1 < nr; i++)
		used += owners[i] && p->list[owners[i] - 1].sector;
	bytes = malloc(used * SECTOR + 1);
	if (!bytes)
		return pl_no_memory(err);
	for (size_t i = 0; i + 1 < nr; i++) {
		const struct patch *patch = owners[i] ? &p->list[owners[i] - 1] : NULL;
		struct overlay *o = &rp->overlays[rp->nr];

		if (!patch)
			continue;
		/* All offsets and lengths are whole sectors, so data is never cut. */
		*o = (struct overlay){ .offset = bounds[i],
				       .length = bounds[i + 1] - bounds[i],
				       .stored = stored,
				       .zero = !patch->sector };
		rp->nr++;
		if (patch->sector) {
			restore_sector(patch, bytes + stored);
			stored += SECTOR;
		}
	}
	r = pl_memory_new(bytes, stored, rp->file->name, &rp->sectors, err);
	if (r == 0)
		rp->sectors->writable = false;
	return r;
}

static int
make_replayed(struct pl_disk *file, const struct patches *patches, struct pl_disk **ret,
	      struct platter_error *err)
{
	struct replayed *rp = calloc(1, sizeof *rp);
	int r;

	if (!rp)
		return pl_no_memory(err);
	r = pl_disk_init(&rp->disk, &replayed_ops, file->name, err);
	if (r < 0) {
		free(rp);
		return r;
	}
	rp->file = pl_disk_ref(file);
	rp->disk.size = PL_MAX(file->size, patches->end);
	r = pl_disk_stack(&rp->disk, file, err);
	if (r == 0)
		r = lay_over(rp, patches, err);
	if (r < 0) {
		replayed_free(&rp->disk);
		return r;
	}
	*ret = &rp->disk;
	return 0;
}

/* Zeros are there already where the file ends. */
static int
bring_in_place(struct replayed *rp, const struct overlay *o, struct platter_error *err)
{
	uint64_t size = rp->file->size, n = PL_MIN(o->length, size - PL_MIN(size, o->offset));
	uint8_t sector[SECTOR];
	int r = 0;

	if (o->zero)
		return n ? pl_zero(rp->file, o->offset, n, 0, err) : 0;
	for (uint64_t at = 0; at < n && r == 0; at += SECTOR) {
		r = pl_read(rp->sectors, sector, SECTOR, o->stored + at, err);
		if (r == 0)
			r = pl_write(rp->file, sector, (size_t)PL_MIN(SECTOR, n - at),
				     o->offset + at, err);
	}
	return r;
}

int
pl_vhdx_replay_in_place(struct pl_disk *stored, struct platter_error *err)
{
	struct replayed *rp = replayed_of(stored);
	int r = 0;

	if (stored->ops != &replayed_ops)
		return 0;
	if (stored->size > rp->file->size)
		r = pl_resize(rp->file, stored->size, err);
	for (size_t i = 0; i < rp->nr && r == 0; i++)
		r = bring_in_place(rp, &rp->overlays[i], err);
	return r == 0 ? pl_flush(rp->file, err) : r;
}

static int
read_log(struct log *log, struct pl_disk *file, const struct vhdx_header *h,
	 struct platter_error *err)
{
	int r;

	if (h->log_length > MAX_LOG) {
		r = pl_over_limit(err, h->at + VHDX_LOG_LENGTH,
				  "log of %" PRIu32 " bytes to replay, limit is %" PRIu64,
				  h->log_length, (uint64_t)MAX_LOG);
		pl_hint(err, "attach the image once to the system that wrote it");
		return r;
	}
	log->nr_sectors = h->log_length / SECTOR;
	r = pl_read_alloc(file, h->log_length, h->log_offset, &log->bytes, err);
	if (r < 0)
		return r;
	log->turned = malloc(h->log_length);
	log->entries = calloc(log->nr_sectors, sizeof *log->entries);
	if (!log->turned || !log->entries)
		return pl_no_memory(err);
	for (uint32_t i = 0; i < log->nr_sectors; i++)
		find_entry(log, h, i);
	return 0;
}

static int
replay(struct log *log, struct pl_disk *file, struct vhdx_info *info, struct pl_disk **ret,
       size_t *ret_nr, struct platter_error *err)
{
	struct patches patches = { 0 };
	uint32_t tail, head;
	int r = read_log(log, file, &info->header, err);

	if (r < 0)
		return r;
	*ret_nr = 0;
	/* The first entry was being written: nothing had been changed yet. */
	if (!find_sequence(log, &tail, &head)) {
		info->damage |= VHDX_LOG_EMPTY;
		*ret = pl_disk_ref(file);
		return 0;
	}
	for (uint32_t at = tail; r == 0; at = next_of(log, at)) {
		r = take_entry(log, file, &info->header, at, &patches, err);
		++*ret_nr;
		if (at == head)
			break;
	}
	if (r == 0)
		r = make_replayed(file, &patches, ret, err);
	free(patches.list);
	return r;
}

int
pl_vhdx_replay(struct pl_disk *file, struct vhdx_info *info, struct pl_disk **ret, size_t *ret_nr,
	       struct platter_error *err)
{
	struct log log = { 0 };
	int r;

	if (vhdx_is_zero_guid(info->header.log_guid)) {
		*ret = pl_disk_ref(file);
		*ret_nr = 0;
		return 0;
	}
	r = replay(&log, file, info, ret, ret_nr, err);
	free(log.bytes);
	free(log.turned);
	free(log.entries);
	return r;
}

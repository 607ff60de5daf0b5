/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ntfs/state.c - was it unmounted, does a system sleep on it, and which clusters are in use
 *
 *	offset  size  page at the beginning of $LogFile, and at 4096 (pages of 4 KiB)
 *	     0     4  "RSTR", or "CHKD" if chkdsk emptied it; 0xffffffff: empty
 *	    20     4  page size of the restart pages
 *	    24     2  offset of the restart area
 *
 *	offset  size  restart area
 *	     0     8  sequence number: the page with the higher one is valid
 *	    12     2  first client in use, 0xffff none
 *	    14     2  flags: 2 cleanly ended
 */
#include "ntfs.h"

enum {
	VOLUME_FLAGS = 10,
	VOLUME_LENGTH = 12,
};
enum {
	VOLUME_DIRTY = 0x1,
	VOLUME_CHKDSK = 0x4000,
};

enum {
	LOG_PAGE_SIZE = 16, /* "system page size" of the restart pages */
	LOG_AREA = 24,
	AREA_NUMBER = 0,
	AREA_CLIENTS = 12,
	AREA_FLAGS = 14,
	AREA_LENGTH = 16,
};
#define LOG_NO_CLIENT    0xffff
#define LOG_IS_CLEAN     2
#define LOG_DEFAULT_PAGE 4096
#define LOG_MAX_PAGE     KIB(64)

/* The first sector of the part of $Boot that volume shadow copies use. */
#define SNAPSHOT_OFFSET 0x1e00

/* Above this, free space is not counted at opening: 512 GiB of 4 KiB clusters. */
#define MAX_COUNTED MIB(16)

/* Read at once of $Bitmap. */
#define BITMAP_PART MIB(1)

int
pl_ntfs_stream_of(struct ntfs_fs *fs, uint64_t record, struct ntfs_stream *ret,
		  struct platter_error *err)
{
	const struct ntfs_attribute *data;
	struct ntfs_node n;
	int r = pl_ntfs_node_load(fs, record, NTFS_WHOLE, &n, err);

	*ret = (struct ntfs_stream){ 0 };
	if (r == 0) {
		data = pl_ntfs_find(&n, NTFS_DATA, NULL);
		r = data ? pl_ntfs_stream_load(fs, &n, data, ret, err)
			 : pl_corrupt(err, n.at, "MFT record %" PRIu64 " has no contents", record);
	}
	pl_ntfs_node_done(&n);
	return r;
}

static void
load_volume_flags(struct ntfs_fs *fs)
{
	const struct ntfs_attribute *a;
	struct ntfs_node n;

	if (pl_ntfs_node_load(fs, NTFS_RECORD_VOLUME, NTFS_WHOLE, &n, NULL) == 0) {
		a = pl_ntfs_find(&n, NTFS_VOLUME_INFORMATION, NULL);
		if (a && a->resident && a->length >= VOLUME_LENGTH) {
			fs->volume_flags = get_le16(a->value + VOLUME_FLAGS);
			fs->volume_flags_known = true;
		}
	}
	pl_ntfs_node_done(&n);
}

struct restart {
	bool valid, clean;
	uint64_t number;
	uint32_t page_size;
};

static void
read_restart(struct ntfs_fs *fs, const struct ntfs_stream *log, uint64_t offset,
	     struct restart *ret)
{
	uint8_t page[LOG_DEFAULT_PAGE], *area;
	uint16_t at;

	*ret = (struct restart){ .page_size = LOG_DEFAULT_PAGE };
	if (pl_ntfs_stream_read(fs, log, page, sizeof page, offset, NULL) < 0 ||
	    (memcmp(page, "RSTR", 4) != 0 && memcmp(page, "CHKD", 4) != 0))
		return;
	at = get_le16(page + LOG_AREA);
	if (at > sizeof page - AREA_LENGTH)
		return;
	area = page + at;
	ret->valid = true;
	ret->number = get_le64(area + AREA_NUMBER);
	ret->clean = get_le16(area + AREA_CLIENTS) == LOG_NO_CLIENT ||
		     get_le16(area + AREA_FLAGS) & LOG_IS_CLEAN;
	ret->page_size = get_le32(page + LOG_PAGE_SIZE);
}

static void
load_log(struct ntfs_fs *fs)
{
	struct ntfs_stream log;
	struct restart first, second;
	uint8_t head[512];

	if (pl_ntfs_stream_of(fs, NTFS_RECORD_LOGFILE, &log, NULL) == 0 &&
	    pl_ntfs_stream_read(fs, &log, head, sizeof head, 0, NULL) == 0) {
		read_restart(fs, &log, 0, &first);
		if (first.page_size < 512 || first.page_size > LOG_MAX_PAGE)
			first.page_size = LOG_DEFAULT_PAGE;
		read_restart(fs, &log, first.page_size, &second);
		if (first.valid || second.valid) {
			bool newer = !first.valid || (second.valid && second.number > first.number);

			fs->log_known = true;
			fs->log_clean = newer ? second.clean : first.clean;
		} else {
			/* Emptied: what mkntfs and chkdsk leave. */
			fs->log_clean = fs->log_known = get_le32(head) == UINT32_MAX;
		}
	}
	pl_ntfs_stream_done(&log);
}

/* What Windows leaves at the beginning of hiberfil.sys while it sleeps. */
static void
load_hibernation(struct ntfs_fs *fs)
{
	struct pl_volume *v = &fs->volume;
	PL_AUTOUNREF struct pl_disk *file = NULL;
	struct pl_node_id id;
	char magic[4];

	if (pl_ntfs_lookup(v, v->root, "hiberfil.sys", 12, &id, NULL) == 0 &&
	    pl_ntfs_open_file(v, id, NULL, "hiberfil.sys", &file, NULL) == 0 &&
	    file->size >= sizeof magic && pl_read(file, magic, sizeof magic, 0, NULL) == 0)
		fs->hibernated = !strncasecmp(magic, "hibr", sizeof magic);
}

static void
load_snapshots(struct ntfs_fs *fs)
{
	static const uint8_t guid[16] = { 0x6b, 0x87, 0x08, 0x38, 0x76, 0xc1, 0x48, 0x4e,
					  0xb7, 0xae, 0x04, 0x04, 0x6e, 0x6c, 0xc7, 0x52 };
	uint8_t found[sizeof guid];

	fs->has_snapshots =
		pl_meta_read(fs->volume.meta, found, sizeof found, SNAPSHOT_OFFSET, NULL) == 0 &&
		!memcmp(found, guid, sizeof guid);
}

static void
load_times(struct ntfs_fs *fs)
{
	const struct ntfs_attribute *a;
	struct ntfs_node n;

	if (pl_ntfs_node_load(fs, NTFS_RECORD_MFT, NTFS_BEGINNINGS, &n, NULL) == 0) {
		a = pl_ntfs_find(&n, NTFS_STANDARD_INFORMATION, NULL);
		if (a && a->resident && a->length >= 8)
			fs->mft_created = get_le64(a->value);
	}
	pl_ntfs_node_done(&n);
	if (pl_ntfs_node_load(fs, NTFS_RECORD_ROOT, NTFS_BEGINNINGS, &n, NULL) == 0) {
		a = pl_ntfs_find(&n, NTFS_STANDARD_INFORMATION, NULL);
		if (a && a->resident && a->length >= 24)
			fs->root_changed = get_le64(a->value + 16);
		/* mkntfs leaves 0 in the MFT. */
		if (a && a->resident && a->length >= 8 && !fs->mft_created)
			fs->mft_created = get_le64(a->value);
	}
	pl_ntfs_node_done(&n);
}

/* A call for each part of $Bitmap: bits of clusters from `first` on. */
typedef int bits_fn(void *closure, const uint8_t *bits, uint64_t nr, uint64_t first,
		    struct platter_error *err);

static int
each_bits(struct ntfs_fs *fs, const struct ntfs_stream *bitmap, uint64_t nr_clusters, bits_fn *fn,
	  void *closure, struct platter_error *err)
{
	uint64_t nr_bytes = pl_div_round_up(nr_clusters, 8);
	PL_AUTOFREE uint8_t *part = malloc(BITMAP_PART);
	int r = 0;

	if (!part)
		return pl_no_memory(err);
	if (bitmap->size < nr_bytes)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "$Bitmap of %" PRIu64 " bytes for %" PRIu64 " clusters",
				  bitmap->size, nr_clusters);
	for (uint64_t at = 0; at < nr_bytes && r == 0; at += BITMAP_PART) {
		size_t n = (size_t)PL_MIN(BITMAP_PART, nr_bytes - at);

		r = pl_ntfs_stream_read(fs, bitmap, part, n, at, err);
		if (r == 0)
			r = fn(closure, part, PL_MIN((uint64_t)n * 8, nr_clusters - at * 8), at * 8,
			       err);
	}
	return r;
}

static int
count_bits(void *closure, const uint8_t *bits, uint64_t nr, uint64_t first,
	   struct platter_error *err)
{
	uint64_t used = 0, i = 0;

	(void)first, (void)err;
	for (; i + 64 <= nr; i += 64)
		used += (unsigned)__builtin_popcountll(get_le64(bits + i / 8));
	for (; i < nr; i++)
		used += bits[i / 8] >> i % 8 & 1;
	*(uint64_t *)closure += nr - used;
	return 0;
}

static void
load_free(struct ntfs_fs *fs)
{
	struct ntfs_stream bitmap;
	uint64_t nr = 0;

	if (pl_ntfs_stream_of(fs, NTFS_RECORD_BITMAP, &bitmap, NULL) == 0 &&
	    fs->nr_clusters / 8 <= MAX_COUNTED &&
	    each_bits(fs, &bitmap, fs->nr_clusters, count_bits, &nr, NULL) == 0)
		fs->volume.free = nr * fs->boot.cluster_size;
	pl_ntfs_stream_done(&bitmap);
}

void
pl_ntfs_state_load(struct ntfs_fs *fs)
{
	struct pl_volume *v = &fs->volume;

	load_volume_flags(fs);
	load_log(fs);
	load_hibernation(fs);
	load_snapshots(fs);
	load_times(fs);
	load_free(fs);
	if (fs->hibernated)
		v->state = PLATTER_STATE_HIBERNATED;
	else if (fs->volume_flags & (VOLUME_DIRTY | VOLUME_CHKDSK) ||
		 (fs->log_known && !fs->log_clean))
		v->state = PLATTER_STATE_DIRTY;
	else if (fs->volume_flags_known && fs->log_known)
		v->state = PLATTER_STATE_CLEAN;
}

struct taker {
	struct pl_ranges *used;
	uint64_t cluster_size;
};

static int
add_bits(void *closure, const uint8_t *bits, uint64_t nr, uint64_t first, struct platter_error *err)
{
	const struct taker *t = closure;

	return pl_ranges_add_bits(t->used, bits, nr, PL_LSB_FIRST, true, first * t->cluster_size,
				  t->cluster_size, err);
}

int
pl_ntfs_used(struct pl_volume *v, struct pl_ranges *used, struct platter_error *err)
{
	struct ntfs_fs *fs = pl_ntfs_of(v);
	struct taker t = { used, fs->boot.cluster_size };
	/* The disk may be cut short. */
	uint64_t nr_clusters = PL_MIN(fs->nr_clusters, v->size / t.cluster_size);
	uint64_t end = nr_clusters * t.cluster_size;
	struct ntfs_stream bitmap;
	int r;

	/* What the log or a sleeping system still has to write may be in clusters not marked yet. */
	if (fs->hibernated)
		return pl_unsupported(err, PLATTER_NO_OFFSET, "a Windows hibernates on it");
	if (fs->volume_flags & (VOLUME_DIRTY | VOLUME_CHKDSK))
		return pl_unsupported(err, PLATTER_NO_OFFSET, "it is marked for a check by chkdsk");
	if (!fs->log_known || !fs->log_clean)
		return pl_unsupported(err, PLATTER_NO_OFFSET, "%s",
				      fs->log_known ? "its log holds changes that are not made yet"
						    : "its log cannot be read");
	r = pl_ntfs_stream_of(fs, NTFS_RECORD_BITMAP, &bitmap, err);
	if (r == 0)
		r = each_bits(fs, &bitmap, nr_clusters, add_bits, &t, err);
	pl_ntfs_stream_done(&bitmap);
	/* Sectors that make no cluster, and the copy of the boot sector. */
	if (r == 0 && end < v->size)
		r = pl_ranges_add(used, end, v->size - end, err);
	return r;
}

static void
fact_time(struct pl_facts *facts, const char *key, const char *label, uint64_t since_1601)
{
	struct platter_time t = pl_ntfs_time(since_1601);

	if (t.seconds != PLATTER_NO_TIME)
		pl_fact_time(facts, key, label, t.seconds);
}

void
pl_ntfs_describe(struct pl_volume *v, struct pl_facts *facts)
{
	struct ntfs_fs *fs = pl_ntfs_of(v);

	fact_time(facts, "created", "created", fs->mft_created);
	fact_time(facts, "changed", "root folder last changed", fs->root_changed);
	pl_fact_size(facts, "mft_size", "MFT size", fs->mft.size);
	if (fs->log_known)
		pl_fact_text(facts, "log", "log", "%s", fs->log_clean ? "clean" : "holds changes");
	pl_fact_flag(facts, "hibernated", "hibernated", fs->hibernated);
	pl_fact_flag(facts, "shadow_copies", "shadow copies", fs->has_snapshots);
	if (fs->hibernated)
		pl_warn(facts, "a Windows hibernates on it, or was shut down with fast startup: "
			       "it must find the volume unchanged");
	else if (fs->volume_flags & VOLUME_DIRTY)
		pl_warn(facts, "marked for a check by chkdsk");
	if (!fs->log_known)
		pl_warn(facts, "its log, $LogFile, is damaged");
	else if (!fs->log_clean)
		pl_warn(facts, "its log holds changes that are not made yet: "
			       "the newest files may be missing or old");
}

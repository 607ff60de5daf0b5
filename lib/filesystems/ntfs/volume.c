/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ntfs/volume.c - opens NTFS, the file system of Windows since NT 3.1
 *
 * Everything is a file; the table of files, $MFT, is record 0 of itself, where the boot sector
 * says. Microsoft never published the layout; the Linux-NTFS project's documentation
 * (flatcap.github.io/linux-ntfs) and libfsntfs' are what all readers go by, [MS-FSCC] and
 * [MS-XCA] tell of reparse points and of compression.
 */
#include "ntfs.h"

#define BOOT_SIZE 512

/* A record tells of some hundred pieces: of which each round finds those that were reached. */
#define MAX_ROUNDS 64

/* Record 0, from where the boot sector says it is or else from its copy. */
static int
read_first_record(struct ntfs_fs *fs, uint8_t *record, uint64_t *ret_at, struct platter_error *err)
{
	const uint64_t lcn[] = { fs->boot.mft, fs->boot.mirror };
	struct platter_error why = PLATTER_ERROR_INIT;
	int first = 0;

	for (size_t i = 0; i < ARRAY_SIZE(lcn); i++) {
		uint64_t at = lcn[i] * fs->boot.cluster_size;
		int r;

		if (lcn[i] >= fs->nr_clusters) {
			r = pl_corrupt(&why, 48 + 8 * i,
				       "MFT at cluster %" PRIu64 ", the volume has %" PRIu64,
				       lcn[i], fs->nr_clusters);
		} else {
			r = pl_meta_read(fs->volume.meta, record, fs->boot.record_size, at, &why);
			if (r == 0)
				r = pl_ntfs_record_check(fs, NTFS_RECORD_MFT, record, at, &why);
		}
		*ret_at = at;
		if (r == 0)
			return 0;
		if (!first) {
			first = r;
			if (err)
				*err = why;
		}
	}
	return first;
}

/* Read record 0 with what is known of the MFT; true: more of it is known now. */
static bool
learn_mft(struct ntfs_fs *fs, uint64_t *end)
{
	const struct ntfs_attribute *data = NULL;
	struct ntfs_runs runs = { 0 };
	struct ntfs_node n;
	uint64_t told = 0;

	if (pl_ntfs_node_load(fs, NTFS_RECORD_MFT, NTFS_WHOLE, &n, NULL) == 0)
		data = pl_ntfs_find(&n, NTFS_DATA, NULL);
	if (data && pl_ntfs_runs_load_some(fs, &n, data, &runs, &told, NULL) < 0)
		told = 0;
	pl_ntfs_node_done(&n);
	if (told <= *end) {
		pl_ntfs_runs_done(&runs);
		return false;
	}
	pl_ntfs_runs_done(&fs->mft.runs);
	fs->mft.runs = runs;
	*end = told;
	return true;
}

/*
 * Where the MFT is. Its own attribute list may name records in which more of that stands; each
 * of them is in a part that is known when its turn comes.
 */
static int
load_mft(struct ntfs_fs *fs, struct platter_error *err)
{
	PL_AUTOFREE uint8_t *record = malloc(fs->boot.record_size);
	struct ntfs_node n = { .attribute = n.few };
	const struct ntfs_attribute *data;
	uint64_t at, end = 0;
	int r;

	if (!record)
		return pl_no_memory(err);
	r = read_first_record(fs, record, &at, err);
	if (r == 0)
		r = pl_ntfs_node_add(fs, &n, record, at, err);
	data = r == 0 ? pl_ntfs_find(&n, NTFS_DATA, NULL) : NULL;
	if (r == 0 && (!data || data->resident))
		r = pl_corrupt(err, at, "the MFT has no contents");
	if (r == 0) {
		fs->mft.size = data->size;
		fs->mft.initialized = data->initialized;
		r = pl_ntfs_runs_decode(fs, data, &fs->mft.runs, &end, err);
	}
	pl_ntfs_node_done(&n);
	if (r < 0)
		return r;
	fs->nr_records = fs->mft.initialized / fs->boot.record_size;
	for (int i = 0; i < MAX_ROUNDS; i++)
		if (end >= pl_div_round_up(fs->mft.size, fs->boot.cluster_size) ||
		    !learn_mft(fs, &end))
			break;
	return 0;
}

static int
load(struct ntfs_fs *fs, struct platter_error *err)
{
	struct pl_volume *v = &fs->volume;
	uint8_t boot[BOOT_SIZE];
	uint64_t size;
	int r = pl_meta_read(v->meta, boot, sizeof boot, 0, err);

	if (r < 0)
		return r;
	if (!pl_ntfs_boot_decode(boot, &fs->boot))
		return pl_corrupt(err, 0, "no boot sector of NTFS");
	if (fs->boot.sectors > (uint64_t)INT64_MAX / fs->boot.sector_size - 1)
		return pl_corrupt(err, 40, "volume of %" PRIu64 " sectors", fs->boot.sectors);
	size = fs->boot.sectors * fs->boot.sector_size;
	fs->nr_clusters = size / fs->boot.cluster_size;
	/* The sector behind those that are counted has a copy of the first. */
	v->size = PL_MIN(v->size, size + fs->boot.sector_size);
	v->block_size = fs->boot.cluster_size;
	v->folds_case = true;
	v->root.inode = NTFS_RECORD_ROOT;
	r = load_mft(fs, err);
	if (r == 0)
		pl_ntfs_state_load(fs);
	return r;
}

static void
ntfs_free(struct pl_volume *v)
{
	struct ntfs_fs *fs = pl_ntfs_of(v);

	pl_ntfs_secure_free(fs->secure);
	free(fs->upcase);
	pl_ntfs_stream_done(&fs->mft);
	pthread_mutex_destroy(&fs->lock);
	pl_volume_done(v);
	free(fs);
}

static const struct pl_volume_ops ntfs_ops = {
	.stat = pl_ntfs_stat,
	.list = pl_ntfs_list,
	.lookup = pl_ntfs_lookup,
	.read_link = pl_ntfs_read_link,
	.open = pl_ntfs_open_file,
	.xattrs = pl_ntfs_xattrs,
	.streams = pl_ntfs_streams,
	.used = pl_ntfs_used,
	.deleted = pl_ntfs_deleted,
	.describe = pl_ntfs_describe,
	.free = ntfs_free,
};

int
pl_ntfs_open(const struct pl_volume_request *request, struct pl_volume **ret,
	     struct platter_error *err)
{
	struct ntfs_fs *fs = calloc(1, sizeof *fs);
	int r;

	if (!fs)
		return pl_no_memory(err);
	pthread_mutex_init(&fs->lock, NULL);
	r = pl_volume_init(&fs->volume, &ntfs_ops, request, err);
	if (r == 0)
		r = load(fs, err);
	if (r < 0) {
		ntfs_free(&fs->volume);
		return r;
	}
	*ret = &fs->volume;
	return 0;
}

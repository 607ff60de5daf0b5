/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * sparsebundle.c - Apple's sparse bundles: reading, checking and changing; sparsebundle.h has the
 * layout
 *
 * The storage room knows how a disk lies in files of a folder.  What is left are the property
 * list, which changes as a whole, and the encryption.
 */
#include "sparsebundle.h"
#include "storage.h"
#include "text.h"

struct sparsebundle {
	struct pl_disk disk;
	struct pl_disk *file;  /* the property list; a reference */
	struct pl_disk *bands; /* a reference */
	struct pl_disk *plain; /* what the disk reads: the bands, or what is encrypted in them */
	struct bundle_info info;
	struct pl_disk *backup; /* what counts if the property list is damaged; else NULL */
	bool no_token;
};

static struct sparsebundle *
sparsebundle_of(struct pl_disk *disk)
{
	return pl_container_of(disk, struct sparsebundle, disk);
}

static bool
is_encrypted(const struct sparsebundle *s)
{
	return s->plain && s->plain->ops == &pl_cdsa_disk_ops;
}

static uint32_t
block_size(const struct sparsebundle *s)
{
	return is_encrypted(s) ? pl_cdsa_disk_of(s->plain)->header.block_size : 1;
}

static int
sparsebundle_probe(const struct pl_probe *probe)
{
	return pl_sparsebundle_looks(probe->head, (size_t)PL_MIN(probe->size, PL_PROBE_HEAD)) ? 256
											      : 0;
}

static int
sparsebundle_map(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
		 struct platter_error *err)
{
	struct pl_disk *plain = sparsebundle_of(disk)->plain;
	struct pl_extent e;
	int r = pl_map(plain, offset, length, &e, err);

	/* What is not there is none of the bundle either; the rest is read through what has it. */
	if (r == 0)
		*ret = (struct pl_extent){ .kind = e.kind,
					   .length = PL_MIN(e.length, disk->size - offset),
					   .below = e.kind == PLATTER_DATA ? plain : NULL,
					   .stored_offset = offset };
	return r;
}

static int
sparsebundle_write(struct pl_disk *disk, const void *buf, size_t n, uint64_t offset,
		   struct platter_error *err)
{
	return pl_write(sparsebundle_of(disk)->plain, buf, n, offset, err);
}

static int
sparsebundle_zero(struct pl_disk *disk, uint64_t offset, uint64_t length, unsigned flags,
		  struct platter_error *err)
{
	return pl_zero(sparsebundle_of(disk)->plain, offset, length, flags, err);
}

static int
sparsebundle_discard(struct pl_disk *disk, uint64_t offset, uint64_t length,
		     struct platter_error *err)
{
	return pl_discard(sparsebundle_of(disk)->plain, offset, length, err);
}

static int
sparsebundle_flush(struct pl_disk *disk, struct platter_error *err)
{
	return pl_flush(sparsebundle_of(disk)->plain, err);
}

/* Both property lists, each in one step; the one that counts first. */
static int
write_info(struct sparsebundle *s, uint64_t size, struct platter_error *err)
{
	PL_AUTOFREE char *text = NULL;
	int r = pl_sparsebundle_resized_info(s->backup ? s->backup : s->file, size, &text, err);

	if (r == 0)
		r = pl_storage_put_beside(s->file, INFO_NAME, text, strlen(text), err);
	return r == 0 ? pl_storage_put_beside(s->file, BACKUP_NAME, text, strlen(text), err) : r;
}

/* The bands end where the disk does; in encrypted ones the last block stays whole. */
static int
resize_bands(struct sparsebundle *s, uint64_t size, struct platter_error *err)
{
	int r = pl_resize(s->bands, pl_round_up(size, block_size(s)), err);

	if (r == 0 && is_encrypted(s))
		pl_cdsa_set_length(s->plain, size);
	return r;
}

/* What follows the disk's end in its last block would come back when it is made longer. */
static int
clear_last_block(struct sparsebundle *s, uint64_t size, struct platter_error *err)
{
	uint64_t end = PL_MIN(pl_round_up(size, block_size(s)), s->disk.size);

	return size < end ? pl_zero(s->plain, size, end - size, 0, err) : 0;
}

/* Bands come after the property list when the disk becomes longer, and go after it. */
static int
sparsebundle_resize(struct pl_disk *disk, uint64_t size, struct platter_error *err)
{
	struct sparsebundle *s = sparsebundle_of(disk);
	bool grows = size > disk->size;
	int r;

	if (size % SECTOR)
		return pl_invalid(err, "a disk of %" PRIu64 " bytes is not whole sectors of 512",
				  size);
	if (size == disk->size)
		return 0;
	r = grows ? resize_bands(s, size, err) : clear_last_block(s, size, err);
	if (r == 0)
		r = pl_flush(s->plain, err);
	if (r == 0)
		r = write_info(s, size, err);
	if (r == 0 && !grows)
		r = resize_bands(s, size, err);
	if (r < 0)
		return r;
	s->info.size = size;
	__atomic_store_n(&disk->size, size, __ATOMIC_RELEASE);
	return 0;
}

static struct pl_disk *
sparsebundle_below(struct pl_disk *disk, size_t index)
{
	struct sparsebundle *s = sparsebundle_of(disk);

	return index == 0 ? s->file : index == 1 ? s->bands : NULL;
}

static int
count_band(void *closure, uint64_t number, uint64_t length, struct platter_error *err)
{
	(void)number, (void)length, (void)err;
	++*(uint64_t *)closure;
	return 0;
}

static void
sparsebundle_describe(struct pl_disk *disk, struct pl_facts *facts)
{
	struct sparsebundle *s = sparsebundle_of(disk);
	uint64_t nr = 0;

	pl_fact_size(facts, "band_size", "Band size", s->info.band_size);
	if (pl_storage_each_band(s->bands, count_band, &nr, NULL) == 0)
		pl_fact_number(facts, "stored_bands", "Bands", nr);
	if (is_encrypted(s))
		pl_cdsa_describe(&pl_cdsa_disk_of(s->plain)->header, facts);
	if (s->backup)
		pl_warn(facts, INFO_NAME " is damaged: " BACKUP_NAME " was read");
}

static void
sparsebundle_free(struct pl_disk *disk)
{
	struct sparsebundle *s = sparsebundle_of(disk);

	pl_disk_unref(s->plain);
	pl_disk_unref(s->bands);
	pl_disk_unref(s->backup);
	pl_disk_unref(s->file);
	pl_disk_done(disk);
	free(s);
}

static const struct pl_disk_ops sparsebundle_ops = {
	.name = "sparsebundle",
	.map = sparsebundle_map,
	.write = sparsebundle_write,
	.zero = sparsebundle_zero,
	.discard = sparsebundle_discard,
	.flush = sparsebundle_flush,
	.resize = sparsebundle_resize,
	.below = sparsebundle_below,
	.describe = sparsebundle_describe,
	.free = sparsebundle_free,
	.parallel_writes = true,
};

/* Another file of the bundle; *ret is NULL if it is not there. */
static int
open_beside(const char *folder, const char *name, struct pl_disk **ret, struct platter_error *err)
{
	PL_AUTOFREE char *path = pl_format("%s/%s", folder, name);
	int r = path ? pl_storage_open(path, PL_STORAGE_SINGLE, ret, err) : pl_no_memory(err);

	if (r == -ENOENT)
		*ret = NULL;
	return r == -ENOENT ? 0 : r;
}

/* From the backup where the list itself says nothing; the error stays that of the list. */
static int
read_info(struct sparsebundle *s, const char *folder, struct platter_error *err)
{
	PL_AUTOUNREF struct pl_disk *backup = NULL;
	int r = pl_sparsebundle_read_info(s->file, &s->info, err);
	bool damaged = r == -EUCLEAN || r == -EFBIG || r == -EIO;

	if (!damaged || open_beside(folder, BACKUP_NAME, &backup, NULL) < 0 || !backup ||
	    pl_sparsebundle_read_info(backup, &s->info, NULL) < 0)
		return r;
	s->backup = PL_STEAL(backup);
	return 0;
}

struct pl_cdsa_layout
pl_sparsebundle_layout(const struct bundle_info *info)
{
	return (struct pl_cdsa_layout){
		.length = info->size,
		.period = info->band_size,
		.stored_end = pl_storage_band_end,
	};
}

/* Whole blocks of them, of which the disk may end within the last. */
static int
open_bands(struct sparsebundle *s, const char *folder, uint32_t block, struct platter_error *err)
{
	PL_AUTOFREE char *path = pl_format("%s/" BANDS_NAME, folder);

	return path ? pl_storage_bands(path, s->info.band_size, pl_round_up(s->info.size, block),
				       s->disk.writable, &s->bands, err)
		    : pl_no_memory(err);
}

static int
open_encrypted(struct sparsebundle *s, const char *folder, struct pl_disk *token,
	       struct platter_error *err)
{
	struct pl_cdsa_layout layout = pl_sparsebundle_layout(&s->info);
	struct pl_cdsa_header header;
	struct pl_cdsa_keys keys;
	int r = pl_cdsa_read_header(token, &header, err);

	if (r == 0 && s->info.band_size % header.block_size)
		r = pl_corrupt(err, PLATTER_NO_OFFSET,
			       "bands of %" PRIu64 " bytes are not whole blocks of %" PRIu32,
			       s->info.band_size, header.block_size);
	if (r < 0)
		pl_error_place(err, token->name);
	else
		r = open_bands(s, folder, header.block_size, err);
	if (r < 0)
		return r;
	r = pl_cdsa_unlock(token, &header, &keys, err);
	if (r < 0) {
		pl_error_place(err, token->name);
		return r;
	}
	r = pl_cdsa_disk_new(s->bands, &header, &keys, &layout, s->bands->writable, &s->plain, err);
	pl_cdsa_wipe(&keys, sizeof keys);
	return r;
}

static int
open_plain(struct sparsebundle *s, const char *folder, struct platter_error *err)
{
	PL_AUTOUNREF struct pl_disk *token = NULL;
	int r = open_beside(folder, TOKEN_NAME, &token, err);

	if (r < 0)
		return r;
	s->no_token = !token;
	if (token && token->size)
		return open_encrypted(s, folder, token, err);
	r = open_bands(s, folder, 1, err);
	if (r == 0)
		s->plain = pl_disk_ref(s->bands);
	return r;
}

static int
open_parts(struct sparsebundle *s, const struct pl_open_request *request, struct platter_error *err)
{
	PL_AUTOFREE char *folder = request->related ? pl_storage_folder(request->file) : NULL;
	int r;

	if (request->snapshot)
		return pl_fail(err, -ENOENT, "'%s' is a sparse bundle, which has no snapshots",
			       request->file->name);
	r = folder ? read_info(s, folder, err) : pl_sparsebundle_read_info(s->file, &s->info, err);
	s->disk.writable = request->flags & PLATTER_OPEN_WRITE && request->file->writable;
	if (r == 0 && !folder)
		r = pl_unsupported(err, PLATTER_NO_OFFSET,
				   "the bands of a sparse bundle are files beside its " INFO_NAME
				   ", which cannot be reached from here");
	if (r == 0)
		r = open_plain(s, folder, err);
	if (r == 0)
		r = pl_disk_stack(&s->disk, s->plain, err);
	s->disk.size = s->info.size;
	return r;
}

static int
sparsebundle_open(const struct pl_open_request *request, struct pl_disk **ret,
		  struct platter_error *err)
{
	struct sparsebundle *s = calloc(1, sizeof *s);
	int r;

	if (!s)
		return pl_no_memory(err);
	r = pl_disk_init(&s->disk, &sparsebundle_ops, request->file->name, err);
	if (r < 0) {
		free(s);
		return r;
	}
	s->file = pl_disk_ref(request->file);
	r = open_parts(s, request, err);
	if (r < 0) {
		pl_error_place(err, s->file->name);
		sparsebundle_free(&s->disk);
		return r;
	}
	*ret = &s->disk;
	return 0;
}

struct check {
	struct sparsebundle *s;
	struct pl_findings *findings;
};

static int
check_band(void *closure, uint64_t number, uint64_t length, struct platter_error *err)
{
	const struct check *c = closure;
	const struct sparsebundle *s = c->s;
	uint64_t nr = pl_div_round_up(s->info.size, s->info.band_size);
	uint64_t end =
		number < nr ? PL_MIN(s->info.band_size, s->info.size - number * s->info.band_size)
			    : 0;

	(void)err;
	if (length == UINT64_MAX)
		pl_found(c->findings, PLATTER_DAMAGE, PLATTER_NO_OFFSET,
			 "band '%" PRIx64 "' is no regular file", number);
	else if (number >= nr)
		pl_found(c->findings, PLATTER_LEAK, PLATTER_NO_OFFSET,
			 "band '%" PRIx64 "' lies behind the end of the disk", number);
	else if (length > s->info.band_size)
		pl_found(c->findings, PLATTER_DAMAGE, PLATTER_NO_OFFSET,
			 "band '%" PRIx64 "' has %" PRIu64 " bytes, more than a band's %" PRIu64,
			 number, length, s->info.band_size);
	else if (length % block_size(s))
		pl_found(c->findings, PLATTER_DAMAGE, PLATTER_NO_OFFSET,
			 "band '%" PRIx64 "' of %" PRIu64 " bytes is not whole blocks of %" PRIu32,
			 number, length, block_size(s));
	else if (length > pl_round_up(end, block_size(s)))
		pl_found(c->findings, PLATTER_LEAK, PLATTER_NO_OFFSET,
			 "%" PRIu64 " bytes of band '%" PRIx64 "' lie behind the end of the disk",
			 length - end, number);
	return 0;
}

static void
check_backup(struct sparsebundle *s, struct pl_findings *findings)
{
	PL_AUTOFREE char *folder = pl_storage_folder(s->file);
	PL_AUTOUNREF struct pl_disk *backup = NULL;
	struct bundle_info info = { 0 };

	if (s->backup) {
		pl_found(findings, PLATTER_DAMAGE, 0, INFO_NAME " is damaged");
		return;
	}
	if (folder && open_beside(folder, BACKUP_NAME, &backup, NULL) == 0 && backup &&
	    pl_sparsebundle_read_info(backup, &info, NULL) == 0 && info.size == s->info.size &&
	    info.band_size == s->info.band_size)
		return;
	pl_found(findings, PLATTER_NOTE, PLATTER_NO_OFFSET,
		 BACKUP_NAME " is missing, or says other things than " INFO_NAME);
}

static int
sparsebundle_check(struct pl_disk *disk, struct pl_findings *findings, struct platter_error *err)
{
	struct check c = { sparsebundle_of(disk), findings };

	check_backup(c.s, findings);
	if (c.s->no_token)
		pl_found(findings, PLATTER_NOTE, PLATTER_NO_OFFSET,
			 "there is no file '" TOKEN_NAME "', which macOS wants");
	return pl_storage_each_band(c.s->bands, check_band, &c, err);
}

/* Bands of zeros have gone already; what lies behind the end is cut off. */
static int
sparsebundle_compact(struct pl_disk *disk, struct platter_error *err)
{
	return resize_bands(sparsebundle_of(disk), disk->size, err);
}

static void
sparsebundle_options_of(struct pl_disk *disk, struct pl_option_list *ret)
{
	const struct sparsebundle *s = sparsebundle_of(disk);

	/* Others than ours cannot be asked for. */
	if (pl_is_power_of_two(s->info.band_size) && s->info.band_size >= KIB(64))
		pl_option(ret, "band_size", "%" PRIu64, s->info.band_size);
	if (is_encrypted(s))
		pl_option(ret, "encryption", "AES-%" PRIu32,
			  pl_cdsa_disk_of(s->plain)->header.key_bits);
}

static const struct pl_change_ops change_ops = { .compact = sparsebundle_compact };

/* macOS makes the last one where it finds none, and locks it. */
static const char *const own_files[] = { INFO_NAME,  BACKUP_NAME, TOKEN_NAME,
					 BANDS_NAME, "lock",      NULL };

static const char *const extensions[] = { "sparsebundle", NULL };

const struct pl_format pl_format_sparsebundle = {
	.info = {
		.name = "sparsebundle",
		.longname = "Apple sparse bundle",
		.extensions = extensions,
		.abilities = PLATTER_CAN_READ | PLATTER_CAN_WRITE | PLATTER_CAN_CREATE | PLATTER_CAN_CHECK,
		.options = pl_sparsebundle_options,
	},
	.probe = sparsebundle_probe,
	.open = sparsebundle_open,
	.create = pl_sparsebundle_create,
	.check = sparsebundle_check,
	.options_of = sparsebundle_options_of,
	.change = &change_ops,
	.bundle = { INFO_NAME, BANDS_NAME, own_files },
	.creates_folder = true,
	.disk_ops = &sparsebundle_ops,
};

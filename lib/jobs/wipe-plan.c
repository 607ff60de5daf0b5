/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * wipe-plan.c - what a wipe would do: its target, its method and why, and where an earlier run
 * of it stopped
 *
 * Nothing is written here; but what will be written to is opened so that nobody else can mount or
 * overwrite it in the meantime.
 */
#include <fcntl.h>
#include <libgen.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "guard.h"
#include "hardware.h"
#include "storage.h"
#include "text.h"
#include "wipe.h"

#define WORDS_FLASH                                                                            \
	"overwriting does not reach cells that were replaced or set aside.  NIST SP 800-88 "   \
	"Rev. 1 purges such drives by their own sanitize command or by destroying their key, " \
	"and Apple's Disk Utility offers no overwriting for them but advises encryption"

int
pl_wipe_warn(struct pl_wipe *w, struct platter_error *err, const char *format, ...)
{
	char *text = NULL;
	va_list args;
	int n;

	va_start(args, format);
	n = vasprintf(&text, format, args);
	va_end(args);
	if (n < 0)
		return pl_no_memory(err);
	for (size_t i = 0; i < w->report.nr_warnings; i++)
		if (!strcmp(w->warnings[i], text)) {
			free(text);
			return 0;
		}
	if (w->report.nr_warnings == PL_WIPE_MAX_WARNINGS) {
		free(text);
		return 0;
	}
	w->strings[w->nr_strings++] = text;
	w->warnings[w->report.nr_warnings++] = text;
	return 0;
}

/* Where the partition that `target` names is, and on which file or device. */
static int
find_partition(struct pl_wipe *w, const char *target, struct platter_error *err)
{
	struct pl_place *place;
	struct pl_piece piece;
	const char *path;
	int r = pl_place_open(target, NULL, 0, &place, err);

	if (r < 0)
		return r;
	path = pl_storage_path(place->storage, 0);
	r = pl_resolve(place->disk, 0, place->disk->size, 0, &piece, err);
	if (r == 0 &&
	    (piece.kind != PLATTER_DATA || piece.leaf != place->storage ||
	     piece.length < place->disk->size || !path || pl_storage_path(place->storage, 1))) {
		r = pl_unsupported(err, PLATTER_NO_OFFSET,
				   "'%s' is stored in an image: it can only be wiped as a whole",
				   target);
		pl_hint(err, "wipe the image's file, or what is in it from inside");
	}
	if (r == 0 && !(w->path = strdup(path)))
		r = pl_no_memory(err);
	if (r == 0) {
		w->offset = piece.leaf_offset;
		w->size = place->disk->size;
		w->partition = true;
	}
	pl_place_close(place);
	return r;
}

static int
find_path(struct pl_wipe *w, const char *target, struct platter_error *err)
{
	struct stat st;
	int r;

	if (stat(target, &st) < 0)
		return errno == ENOENT && strchr(target, '@')
			       ? find_partition(w, target, err)
			       : pl_fail_errno(err, -errno, "find '%s'", target);
	if (S_ISDIR(st.st_mode) && w->report.part == PLATTER_WIPE_FREE_SPACE) {
		w->folder = true;
	} else if (!S_ISBLK(st.st_mode) && !S_ISREG(st.st_mode)) {
		r = pl_invalid(err, "'%s' is neither a device nor a file", target);
		if (S_ISDIR(st.st_mode))
			pl_hint(err, "--free-space fills what is free where a folder is");
		return r;
	}
	w->path = strdup(target);
	return w->path ? 0 : pl_no_memory(err);
}

static bool
same_file(const struct pl_wipe *w)
{
	struct pl_file_id id;
	struct stat st;

	if (fstat(w->fd, &st) < 0 || !pl_storage_id(w->storage, 0, &id))
		return false;
	return S_ISBLK(st.st_mode) ? id.device == st.st_rdev && id.inode == 0
				   : id.device == st.st_dev && id.inode == st.st_ino;
}

/* Past the page cache, if the file system can: some only say so when they are asked to read. */
static void
open_direct(struct pl_wipe *w)
{
	PL_AUTOFREE uint8_t *buf = pl_alloc_aligned(w->align);

	w->direct_fd = open(w->path, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_DIRECT);
	if (w->direct_fd < 0 || !buf || w->report.drive.device)
		return;
	if (pread(w->direct_fd, buf, w->align, 0) < 0 && errno == EINVAL) {
		close(w->direct_fd);
		w->direct_fd = -1;
	}
}

static int
open_folder(struct pl_wipe *w, struct platter_error *err)
{
	struct statvfs fs;

	w->fd = open(w->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (w->fd < 0)
		return pl_fail_errno(err, -errno, "open '%s'", w->path);
	if (fstatvfs(w->fd, &fs) < 0)
		return pl_fail_errno(err, -errno, "ask how full '%s' is", w->path);
	w->size = (uint64_t)(geteuid() ? fs.f_bavail : fs.f_bfree) * fs.f_frsize;
	w->report.drive.size = (uint64_t)fs.f_blocks * fs.f_frsize;
	w->sector_size = w->align = 4096;
	w->report.drive.rotational = -1;
	w->report.drive.model = w->report.drive.serial = w->report.drive.firmware =
		w->report.drive.bus = "";
	return 0;
}

static int
open_target(struct pl_wipe *w, struct platter_error *err)
{
	int r = pl_guard_device(w->path, err);

	if (r == 0)
		r = pl_storage_open(w->path,
				    PLATTER_OPEN_WRITE | PLATTER_OPEN_EXCLUSIVE | PL_STORAGE_SINGLE,
				    &w->storage, err);
	if (r < 0)
		return r;
	if (!w->storage->writable)
		return pl_fail(err, -EROFS, "'%s' cannot be written", w->path);
	w->fd = open(w->path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (w->fd < 0)
		return pl_fail_errno(err, -errno, "open '%s'", w->path);
	if (!same_file(w))
		return pl_fail(err, -EBUSY, "'%s' changed while it was opened", w->path);
	w->report.drive.device = pl_storage_is_device(w->storage);
	w->report.drive.size = w->storage->size;
	w->report.drive.sector_size = w->sector_size = w->storage->sector_size;
	if (!w->partition)
		w->size = w->storage->size;
	if (!w->size)
		return pl_invalid(err, "'%s' has no bytes that could be wiped", w->target);
	if (!pl_in_range(w->offset, w->size, w->storage->size))
		return pl_corrupt(err, PLATTER_NO_OFFSET, "'%s' ends past '%s'", w->target,
				  w->path);
	/* A file's sectors are what its file system can write past the page cache. */
	w->align = w->report.drive.device ? w->sector_size : 4096;
	pl_wipe_identify(w);
	open_direct(w);
	return 0;
}

/* Where pieces of sectors are written through the page cache, direct writes keep off its pages. */
static void
choose_alignment(struct pl_wipe *w)
{
	uint32_t page = (uint32_t)PL_MAX(4096, sysconf(_SC_PAGESIZE));

	for (size_t i = 0; i < w->extents.nr; i++)
		if ((w->offset + w->extents.range[i].start) % w->align ||
		    (w->offset + w->extents.range[i].end) % w->align) {
			w->align = PL_MAX(w->align, page);
			return;
		}
}

/* The method for what was found, and why. */
static const char *
choose(struct pl_wipe *w, const char **ret_reason)
{
	const struct platter_wipe_drive *d = &w->report.drive;
	unsigned purge = pl_wipe_best_purge(w->erases, d->rotational == 1);

	if (w->folder) {
		*ret_reason = "random bytes fill a file system that compresses, too";
		return "random";
	}
	if (w->report.part != PLATTER_WIPE_WHOLE) {
		*ret_reason = "what was deleted is overwritten once, and zeros compress best in "
			      "images";
		return "zero";
	}
	if (!d->device) {
		*ret_reason = "it is a file: its bytes are overwritten once";
		return "zero";
	}
	if (w->partition) {
		*ret_reason = "it is a part of a drive, whose own ways erase all of it";
		return "zero";
	}
	if (d->rotational == 1) {
		*ret_reason = "it is a hard disk: one pass over all of it is enough to clear it";
		return "zero";
	}
	if (purge) {
		*ret_reason = "the drive can erase itself, also what overwriting does not reach";
		return pl_wipe_method_by_erase(purge)->info.name;
	}
	*ret_reason = w->erase_reason ? "the drive cannot erase itself now"
				      : "the drive offers no way of its own to erase itself";
	return "zero";
}

/* What of a method does not go together with the target. */
static int
check_method(const struct pl_wipe *w, struct platter_error *err)
{
	const struct pl_wipe_method *m = w->method;
	bool drive = m->how == PL_WIPE_ERASE || m->how == PL_WIPE_PURGE;
	int r;

	if (m->how != PL_WIPE_OVERWRITE && w->report.part != PLATTER_WIPE_WHOLE)
		return pl_invalid(err, "%s is not for free space or slack", m->info.name);
	if (drive && (w->partition || !w->report.drive.device)) {
		r = pl_invalid(err, "%s erases a whole drive, and '%s' is %s", m->info.name,
			       w->target, w->partition ? "only a part of one" : "no drive");
		pl_hint(err, "name the whole drive, or choose a method that overwrites");
		return r;
	}
	if (w->hidden_areas &&
	    (w->partition || w->report.part != PLATTER_WIPE_WHOLE || !w->report.drive.device))
		return pl_invalid(err, "hidden areas are of a whole drive, which '%s' is not",
				  w->target);
	if (m->how == PL_WIPE_SECURE_DISCARD && !w->report.drive.device)
		return pl_invalid(err, "'%s' is no drive: it knows no %s", w->target,
				  m->info.title);
	return 0;
}

static int
choose_erase(struct pl_wipe *w, struct platter_error *err)
{
	const struct pl_wipe_method *m = w->method;
	int r;

	w->erase = m->how == PL_WIPE_PURGE
			   ? pl_wipe_best_purge(w->erases, w->report.drive.rotational == 1)
			   : m->erase;
	if (w->erase && (w->erases & w->erase))
		return pl_wipe_check_namespaces(w, err);
	if (w->erase_reason)
		r = pl_fail(err, -ENOTSUP, "'%s' cannot erase itself now: it is %s", w->target,
			    w->erase_reason);
	else
		r = pl_fail(err, -ENOTSUP, "'%s' has no %s", w->target,
			    m->how == PL_WIPE_PURGE ? "sanitize command, nor what may stand for it"
						    : m->info.title);
	pl_hint(err, w->erase_reason
			     ? "suspending the computer, or replugging the drive, often lifts it"
			     : "a method that overwrites clears it; to purge it, destroy it");
	return r;
}

static int
choose_method(struct pl_wipe *w, const char *name, struct platter_error *err)
{
	const char *reason = "";
	int r;

	if (!name || !strcmp(name, "auto"))
		name = choose(w, &reason);
	w->method = pl_wipe_method_by_name(name);
	if (!w->method) {
		r = pl_invalid(err, "no method of wiping is called '%s'", name);
		pl_hint(err, "'platter wipe --list-methods' lists them");
		return r;
	}
	w->report.reason = reason;
	r = check_method(w, err);
	if (r == 0 && (w->method->how == PL_WIPE_ERASE || w->method->how == PL_WIPE_PURGE))
		r = choose_erase(w, err);
	return r;
}

static int
warn(struct pl_wipe *w, struct platter_error *err)
{
	bool overwrites = w->method->pattern;
	int r = 0;

	if (!w->folder && !w->report.drive.device)
		r = pl_wipe_warn(w, err,
				 "the file system that this file is on may keep copies of what "
				 "stood in it: snapshots, reflinks, a journal, blocks that it "
				 "writes to another place");
	if (r == 0 && overwrites && w->report.drive.rotational == 0)
		r = pl_wipe_warn(w, err, "it stores in flash: " WORDS_FLASH);
	else if (r == 0 && overwrites && !strcmp(w->bus, "usb") && w->report.drive.rotational < 0)
		r = pl_wipe_warn(w, err,
				 "if it stores in flash, as memory sticks do: " WORDS_FLASH);
	if (r == 0 && w->erase_reason && overwrites && !w->partition)
		r = pl_wipe_warn(
			w, err,
			"the drive could erase itself, but is %s: suspending the computer, "
			"or taking the drive's power away for a moment, often ends that",
			w->erase_reason);
	if (r == 0 && w->report.drive.hidden && !w->hidden_areas)
		r = pl_wipe_warn(w, err,
				 "%" PRIu64
				 " bytes more are hidden by an HPA or DCO and stay as they "
				 "are; --hidden-areas makes them addressable first",
				 w->report.drive.hidden);
	if (r == 0 && w->erase_minutes &&
	    (w->erase == PL_ERASE_ATA_SECURITY || w->erase == PL_ERASE_ATA_SECURITY_ENHANCED))
		r = pl_wipe_warn(w, err,
				 "the drive estimates %u minutes, and must not lose its power "
				 "meanwhile",
				 w->erase_minutes);
	if (r == 0 && w->method->info.level == PLATTER_WIPE_NONE)
		r = pl_wipe_warn(w, err, "it is no erasure: %s", w->method->info.details);
	if (r == 0 && w->report.part == PLATTER_WIPE_FREE_SPACE)
		r = pl_wipe_warn(w, err,
				 "names of deleted files, and what of them is in folders, journals "
				 "and other metadata, stay; so does slack%s",
				 w->folder && geteuid() ? ", and what is kept free for root" : "");
	if (r == 0 && w->folder)
		r = pl_wipe_warn(w, err,
				 "the file system is full while this runs: other programs find no "
				 "room in it");
	if (r == 0 && w->partition)
		r = pl_wipe_warn(w, err, "the rest of the drive or image stays as it is");
	if (r == 0 && w->method->how == PL_WIPE_LUKS)
		r = pl_wipe_warn(w, err,
				 "who has a copy of the header, or the volume key, can still read "
				 "the rest");
	return r;
}

/* What is overwritten, with what; in the end of slack, which programs may see, with zeros. */
static int
choose_passes(struct pl_wipe *w, struct platter_error *err)
{
	const struct pl_wipe_pattern zeros = { 1, { 0, 0, 0 } };
	int r;

	if (!w->method->pattern)
		return 0;
	w->nr_passes = w->method->info.nr_passes;
	r = pl_wipe_order(w->method, w->state.seed, w->order, err);
	if (w->report.part == PLATTER_WIPE_SLACK &&
	    memcmp(&w->order[w->nr_passes - 1], &zeros, sizeof zeros) != 0)
		w->order[w->nr_passes++] = zeros;
	for (unsigned i = 0; i < w->nr_passes; i++)
		pl_wipe_pattern_text(w->order[i], w->passes[i].text, sizeof w->passes[i].text);
	return r;
}

static int
find_state_path(struct pl_wipe *w, const char *given, struct platter_error *err)
{
	PL_AUTOFREE char *copy = strdup(w->target);
	struct stat st;

	if (!copy)
		return pl_no_memory(err);
	if (given && stat(given, &st) == 0 && S_ISDIR(st.st_mode))
		w->state_path = pl_format("%s/%s.wipe-state", given, basename(copy));
	else if (given)
		w->state_path = strdup(given);
	else if (w->report.drive.device)
		w->state_path = pl_format("%s.wipe-state", basename(copy));
	else
		w->state_path = pl_format("%s.wipe-state", w->target);
	return w->state_path ? 0 : pl_no_memory(err);
}

/* "MODEL<tab>SERIAL", as the state file has it. */
static void
drive_text(const struct pl_wipe *w, char *buf, size_t n)
{
	const struct platter_wipe_drive *d = &w->report.drive;

	snprintf(buf, n, "%s\t%s", d->model, d->serial);
	for (char *c = buf; *c; c++)
		if ((unsigned char)*c < ' ' && *c != '\t')
			*c = ' ';
}

static int
not_the_same(const struct pl_wipe *w, const char *what, struct platter_error *err)
{
	int r = pl_fail(err, -ESTALE, "'%s' is of another %s", w->state_path, what);

	pl_hint(err, "--state names another file; --force starts again");
	return r;
}

/* Is it about this target, and about what is asked now? */
static int
check_state(const struct pl_wipe *w, const struct pl_wipe_state *s,
	    const struct platter_wipe_options *o, struct platter_error *err)
{
	char drive[sizeof s->drive];

	drive_text(w, drive, sizeof drive);
	if (s->drive_size != w->report.drive.size || strcmp(s->drive, drive) != 0)
		return not_the_same(w, "drive", err);
	if (s->offset != w->offset + w->node_offset || s->size != w->size)
		return not_the_same(w, "partition", err);
	if (s->part != w->report.part)
		return not_the_same(w, "part of the target", err);
	if (o->method && strcmp(o->method, "auto") != 0 &&
	    strcmp(o->method, s->method->info.name) != 0)
		return not_the_same(w, "method", err);
	return 0;
}

/* Go on by a state file, or make a state to begin with. */
static int
load_state(struct pl_wipe *w, const struct platter_wipe_options *o, bool *ret_resumed,
	   struct platter_error *err)
{
	struct pl_wipe_state loaded;
	int r;

	*ret_resumed = false;
	if (w->state_path && !o->restart && access(w->state_path, F_OK) == 0) {
		if (!o->resume) {
			r = pl_fail(err, -EEXIST, "an earlier run stopped: '%s' is there",
				    w->state_path);
			pl_hint(err, "--resume goes on where it stopped; --force starts again");
			return r;
		}
		r = pl_wipe_state_load(w->state_path, &loaded, err);
		if (r < 0)
			return r;
		r = check_state(w, &loaded, o, err);
		if (r < 0) {
			pl_wipe_state_done(&loaded);
			return r;
		}
		w->state = loaded;
		w->state.resumed++;
		*ret_resumed = true;
		return 0;
	}
	if (getrandom(w->state.seed, sizeof w->state.seed, 0) != sizeof w->state.seed)
		return pl_fail_errno(err, -errno, "get random bytes from the system");
	w->state.drive_size = w->report.drive.size;
	w->state.offset = w->offset + w->node_offset;
	w->state.size = w->size;
	w->state.part = w->report.part;
	w->state.verify = o->verify;
	w->state.share = o->share > 0 && o->share <= 1 ? o->share : 0.1;
	drive_text(w, w->state.drive, sizeof w->state.drive);
	return 0;
}

/* What is to be overwritten, which must be what it was when an earlier run stopped. */
static int
find_work(struct pl_wipe *w, bool resumed, struct platter_error *err)
{
	struct pl_wipe_state *s = &w->state;
	int r = 0;

	if (w->folder)
		r = pl_extents_add(&w->extents, 0, w->size, err);
	else
		r = pl_wipe_find_extents(w, err);
	if (r < 0)
		return r;
	if (resumed && (s->nr_extents != w->extents.nr || s->bytes != w->extents.bytes ||
			s->extents_crc != pl_extents_crc(&w->extents))) {
		r = pl_fail(err, -ESTALE, "what is %s on '%s' has changed since it stopped",
			    w->report.part == PLATTER_WIPE_FREE_SPACE ? "free" : "to be wiped",
			    w->target);
		pl_hint(err, "--force starts again");
		return r;
	}
	s->nr_extents = w->extents.nr;
	s->bytes = w->extents.bytes;
	s->extents_crc = pl_extents_crc(&w->extents);
	choose_alignment(w);
	return s->verify == PLATTER_WIPE_VERIFY_SAMPLE && !w->folder
		       ? pl_wipe_find_sample(w, s->share, err)
		       : 0;
}

static void
fill_report(struct pl_wipe *w)
{
	struct platter_wipe_report *r = &w->report;

	r->target = w->target;
	r->drive.path = w->path;
	r->method = &w->method->info;
	r->technique =
		w->erase ? pl_wipe_method_by_erase(w->erase)->info.title : w->method->info.title;
	r->warnings = w->warnings;
	r->offset = w->offset + w->node_offset;
	r->size = w->size;
	r->bytes = w->extents.bytes;
	r->nr_extents = w->extents.nr;
	r->passes = w->passes;
	r->nr_passes = w->nr_passes;
	for (size_t i = 0; i < PL_WIPE_SEED; i++)
		snprintf(w->seed_text + 2 * i, 3, "%02x", w->state.seed[i]);
	r->seed = w->seed_text;
	r->verify = w->state.verify;
	r->share = w->extents.bytes && w->sample.nr
			   ? (double)w->sample.bytes / (double)w->extents.bytes
			   : 1;
	r->verify_text = w->verify_text;
	r->resumed = w->state.resumed;
	r->state = w->state_path;
	r->error.offset = PLATTER_NO_OFFSET;
}

static int
plan(struct pl_wipe *w, const struct platter_wipe_options *o, struct platter_error *err)
{
	bool resumed = false;
	int r = find_path(w, w->target, err);

	if (r == 0)
		r = w->folder ? open_folder(w, err) : open_target(w, err);
	if (r < 0)
		return r;
	r = choose_method(w, o->method, err);
	if (r == 0 && w->method->pattern && !w->folder)
		r = find_state_path(w, o->state, err);
	if (r == 0)
		r = load_state(w, o, &resumed, err);
	if (r < 0)
		return r;
	if (resumed)
		w->method = w->state.method;
	w->state.method = w->method;
	r = choose_passes(w, err);
	if (r == 0)
		r = find_work(w, resumed, err);
	if (r == 0)
		r = warn(w, err);
	return r;
}

int
pl_wipe_plan(const char *target, const struct platter_wipe_options *options, struct pl_wipe **ret,
	     struct platter_error *err)
{
	struct pl_wipe *w = calloc(1, sizeof *w);
	int r;

	if (!w)
		return pl_no_memory(err);
	w->fd = w->direct_fd = -1;
	w->report.part = options->part;
	w->hidden_areas = options->hidden_areas;
	w->target = strdup(target);
	r = w->target ? plan(w, options, err) : pl_no_memory(err);
	if (r < 0) {
		pl_wipe_free(w);
		return r;
	}
	fill_report(w);
	*ret = w;
	return 0;
}

void
pl_wipe_free(struct pl_wipe *w)
{
	if (!w)
		return;
	if (w->direct_fd >= 0)
		close(w->direct_fd);
	if (w->fd >= 0)
		close(w->fd);
	pl_hardware_close(w->hardware);
	pl_disk_unref(w->storage);
	pl_extents_done(&w->extents);
	pl_extents_done(&w->sample);
	pl_wipe_state_done(&w->state);
	while (w->nr_strings)
		free(w->strings[--w->nr_strings]);
	free(w->bad);
	free(w->state_path);
	free(w->target);
	free(w->path);
	free(w);
}

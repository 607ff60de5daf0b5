/* SPDX-License-Identifier: GPL-3.0-or-later */
/* iso.c - new ISO 9660 images, from the options to the file under its name */
#include "iso.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "copy.h"
#include "implanted.h"
#include "epoch.h"
#include "isofs.h"
#include "text.h"

#define MAX_LABEL   32
#define MAX_ID      128
#define FIFO_BLOCKS 4096 /* 8 MiB: what libisofs may be ahead of who writes */
#define OVERWRITE   KIB(64)

/* libisofs keeps its messages, and the time of now, once for the process. */
static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

/* What libisofs said last, of those messages that say more than the code. */
static void
last_message(char ret[static ISO_MSGS_MESSAGE_LEN])
{
	char text[ISO_MSGS_MESSAGE_LEN], severity[80];
	int code, image;

	*ret = '\0';
	while (iso_obtain_msgs((char[]){ "SORRY" }, &code, &image, text, severity) == 1)
		if (!*ret)
			strcpy(ret, text);
}

static int
errno_of(int code)
{
	switch ((unsigned)code) {
	case ISO_OUT_OF_MEM: return -ENOMEM;
	case ISO_CANCELED: return -ECANCELED;
	case ISO_FILE_TOO_BIG:
	case ISO_MANGLE_TOO_MUCH_FILES: return -EFBIG;
	case ISO_FILE_DOESNT_EXIST:
	case ISO_NODE_DOESNT_EXIST: return -ENOENT;
	case ISO_WRITE_ERROR:
	case ISO_BUF_READ_ERROR:
	case ISO_FILE_ERROR:
	case ISO_FILE_READ_ERROR: return -EIO;
	default: return -EINVAL;
	}
}

int
pl_isofs_fail(struct platter_error *err, int code, const char *format, ...)
{
	PL_AUTOFREE char *message = calloc(1, ISO_MSGS_MESSAGE_LEN);
	struct pl_str what = { 0 };
	const char *why;
	va_list args;
	int r;

	if (!message)
		return pl_no_memory(err);
	last_message(message);
	va_start(args, format);
	pl_str_vaddf(&what, format, args);
	va_end(args);
	why = *message ? message : iso_error_to_msg(code);
	r = pl_fail(err, errno_of(code), "%s: libisofs: %s", what.text ? what.text : "",
		    why ? why : "no reason given");
	pl_str_done(&what);
	return r;
}

/* ---- options ---- */

static int
check_length(const char *what, const char *text, size_t limit, struct platter_error *err)
{
	if (!text || strlen(text) <= limit)
		return 0;
	return pl_invalid(err, "%s of %zu bytes, a disc has room for %zu: '%s'", what, strlen(text),
			  limit, text);
}

static int
check_options(const struct platter_iso_options *o, struct platter_error *err)
{
	int r = check_length("label", o->label, MAX_LABEL, err);

	if (r == 0)
		r = check_length("system", o->system, MAX_LABEL, err);
	if (r == 0)
		r = check_length("publisher", o->publisher, MAX_ID, err);
	if (r == 0)
		r = check_length("preparer", o->preparer, MAX_ID, err);
	if (r == 0)
		r = check_length("application", o->application, MAX_ID, err);
	if (r == 0)
		r = check_length("volume set", o->volume_set, MAX_ID, err);
	if (r < 0)
		return r;
	if (o->udf) {
		r = pl_unsupported(err, PLATTER_NO_OFFSET, "a disc with UDF cannot be written");
		pl_hint(err,
			"ISO 9660 level 3, which is, has room for files over 4 GiB too; for UDF on "
			"a"
			" disc use genisoimage -udf, on a disk 'platter new' with a udf partition");
		return r;
	}
	if (o->append && o->like)
		return pl_invalid(err, "a disc is appended to, or made like another, not both");
	if ((o->append || o->like) && (o->boot_bios || o->boot_uefi || o->mbr))
		return pl_invalid(err, "how the disc boots is taken from '%s'",
				  o->append ? o->append : o->like);
	if (o->mbr && !o->boot_bios)
		return pl_invalid(err, "a master boot record boots what a BIOS boots from the disc,"
				       " and no such file is given");
	return 0;
}

/* The last name of the folder, as far as it fits. */
static char *
label_of(const char *from)
{
	PL_AUTOFREE char *real = realpath(from, NULL);
	const char *path = real ? real : from, *slash;
	char *label;

	slash = strrchr(path, '/');
	label = strndup(slash && slash[1] ? slash + 1 : path, MAX_LABEL);
	return label;
}

static int
set_identifiers(struct pl_isofs *w, const char *from, struct platter_error *err)
{
	const struct platter_iso_options *o = w->options;
	PL_AUTOFREE char *label = o->label ? strdup(o->label) : label_of(from);

	if (!label)
		return pl_no_memory(err);
	/* A disc that there was keeps its own. */
	if (o->label || !w->old)
		iso_image_set_volume_id(w->image, label);
	if (o->publisher)
		iso_image_set_publisher_id(w->image, o->publisher);
	if (o->preparer)
		iso_image_set_data_preparer_id(w->image, o->preparer);
	if (o->application)
		iso_image_set_application_id(w->image, o->application);
	else if (!w->old)
		iso_image_set_application_id(w->image, "PLATTER " PLATTER_VERSION);
	if (o->system)
		iso_image_set_system_id(w->image, o->system);
	if (o->volume_set)
		iso_image_set_volset_id(w->image, o->volume_set);
	return 0;
}

/* Times of the volume, and identifiers that follow from them. */
static int
set_epoch(struct pl_isofs *w, struct platter_error *err)
{
	char digits[17] = "";
	uint8_t guid[16];
	struct tm tm;
	int r;

	if (w->epoch < 0)
		return 0;
	r = pl_derive_guid(w->epoch, "iso9660", guid, err);
	if (r < 0)
		return r;
	if (gmtime_r(&w->now, &tm))
		snprintf(digits, sizeof digits, "%04u%02u%02u%02u%02u%02u00",
			 (unsigned)(tm.tm_year + 1900) % 10000u, (unsigned)(tm.tm_mon + 1) % 100u,
			 (unsigned)tm.tm_mday % 100u, (unsigned)tm.tm_hour % 100u,
			 (unsigned)tm.tm_min % 100u, (unsigned)tm.tm_sec % 100u);
	iso_write_opts_set_pvd_times(w->write, w->now, w->now, 0, 0, digits);
	iso_write_opts_set_gpt_guid(w->write, guid, 1);
	iso_write_opts_set_hfsp_serial_number(w->write, guid);
	return 0;
}

static int
set_write_options(struct pl_isofs *w, struct platter_error *err)
{
	const struct platter_iso_options *o = w->options;
	IsoWriteOpts *write = w->write;

	iso_write_opts_set_iso_level(write, 3);
	iso_write_opts_set_rockridge(write, !o->no_rock_ridge);
	iso_write_opts_set_joliet(write, !o->no_joliet);
	iso_write_opts_set_hfsplus(write, o->hfsplus);
	iso_write_opts_set_hardlinks(write, 1);
	iso_write_opts_set_aaip(write, o->attributes);
	/* What every system has read for decades, against the letter of the standard. */
	iso_write_opts_set_allow_deep_paths(write, 1);
	iso_write_opts_set_allow_longer_paths(write, 1);
	iso_write_opts_set_joliet_longer_paths(write, 1);
	iso_write_opts_set_joliet_long_names(write, 1);
	iso_write_opts_set_joliet_utf16(write, 1);
	iso_write_opts_set_no_force_dots(write, 2); /* bit 1: Joliet */
	iso_write_opts_set_omit_version_numbers(write, 2);
	iso_write_opts_set_relaxed_vol_atts(write, 1);
	iso_write_opts_set_dir_rec_mtime(write, 7);
	iso_write_opts_set_always_gmt(write, 1);
	iso_write_opts_set_record_md5(write, 0, 0);
	iso_write_opts_set_output_charset(write, "UTF-8");
	iso_write_opts_set_fifo_size(write, FIFO_BLOCKS);
	return set_epoch(w, err);
}

/* ---- the image ---- */

static int
new_image(struct pl_isofs *w, struct platter_error *err)
{
	int code = iso_image_new("CDROM", &w->image);

	if (code >= 0)
		code = iso_write_opts_new(&w->write, 0);
	return code < 0 ? pl_isofs_fail(err, code, "cannot begin a disc") : 0;
}

static int
prepare(struct pl_isofs *w, const char *from, struct platter_error *err)
{
	const struct platter_iso_options *o = w->options;
	struct pl_isofs_like *like = NULL;
	int r = new_image(w, err);

	if (r == 0)
		r = set_write_options(w, err);
	if (r == 0 && (o->append || o->like))
		r = pl_isofs_import(w, o->append ? o->append : o->like, err);
	if (r == 0 && o->like)
		r = pl_isofs_like_begin(w, &like, err);
	if (r == 0)
		r = set_identifiers(w, from, err);
	if (r == 0)
		r = pl_isofs_add_tree(w, err);
	if (r == 0 && o->like)
		r = pl_isofs_like_end(w, like, err);
	if (r == 0 && o->append)
		r = pl_isofs_prepare_session(w, err);
	if (r == 0 && !w->old)
		r = pl_isofs_add_boot(w, err);
	pl_isofs_like_free(like);
	return r;
}

/* The new image begins with what is on the disc that it is appended to. */
static int
copy_old(struct pl_isofs *w, struct pl_disk *file, struct platter_error *err)
{
	struct pl_copy copy = {
		.source = w->old->disk,
		.target = file,
		.target_is_zero = true,
		.threads = w->options->threads,
		.progress = w->progress,
		.phase = "copying",
	};

	return pl_copy_run(&copy, err);
}

static int
write_file(struct pl_isofs *w, struct pl_disk *file, struct platter_error *err)
{
	uint64_t at = 0;
	int r = 0;

	if (w->options->append && file->sequential)
		return pl_invalid(err, "a session cannot be appended in a stream");
	if (w->options->implant_md5 && file->sequential)
		return pl_invalid(err, "an MD5 cannot be implanted in a stream");
	if (w->options->append) {
		at = w->old_blocks * ISO_BLOCK;
		r = copy_old(w, file, err);
	}
	if (r == 0)
		r = pl_isofs_write(w, file, at, err);
	/* From now on whoever reads the file from its start finds the new session. */
	if (r == 0 && w->options->append)
		r = pl_write(file, w->overwrite, OVERWRITE, 0, err);
	if (r == 0 && w->options->implant_md5)
		r = pl_implant_md5(file, err);
	return r;
}

static int
write_target(struct pl_isofs *w, const char *target, struct platter_author_result *ret,
	     struct platter_error *err)
{
	const struct pl_storage_create how = {
		.overwrite = w->options->overwrite,
		.direct = !w->options->no_sync,
	};
	struct pl_disk *file;
	int r = pl_storage_create(target, &how, &file, err);

	if (r < 0)
		return r;
	r = write_file(w, file, err);
	ret->size = pl_disk_size(file);
	if (r == 0)
		r = pl_storage_commit(file, !w->options->no_sync, err);
	if (r == 0)
		ret->stored = pl_storage_allocated(file);
	else
		pl_storage_abandon(file, false);
	pl_disk_unref(file);
	return r;
}

static void
done(struct pl_isofs *w)
{
	if (w->image)
		iso_image_unref(w->image);
	if (w->write)
		iso_write_opts_free(w->write);
	if (w->old_source)
		iso_data_source_unref(w->old_source);
	pl_place_close(w->old);
	for (size_t i = 0; i < w->nr_fds; i++)
		close(w->fds[i]);
	free(w->contents);
	free(w->rank);
	free(w->overwrite);
}

static int
begin(struct pl_isofs *w, struct platter_error *err)
{
	int code = iso_init_with_flag(1), r = pl_epoch(&w->epoch, err);

	if (r < 0)
		return r;
	if (code < 0)
		return pl_fail(err, -ENOMEM, "cannot start libisofs");
	if (getrandom(w->mark, sizeof w->mark, 0) != sizeof w->mark)
		return pl_fail_errno(err, -errno, "get random bytes");
	w->now = w->epoch >= 0 ? (time_t)w->epoch : time(NULL);
	iso_nowtime(&w->now, 1);
	iso_set_local_charset((char[]){ "UTF-8" }, 0);
	iso_set_msgs_severities((char[]){ "SORRY" }, (char[]){ "NEVER" }, (char[]){ "" });
	/* Else it writes zeros for a file that it cannot read. */
	iso_set_abort_severity((char[]){ "MISHAP" });
	return 0;
}

int
pl_author_iso(const char *target, const char *from, const struct platter_iso_options *options,
	      struct platter_progress *progress, struct platter_author_result *ret,
	      struct platter_error *err)
{
	struct pl_isofs w = { .options = options, .progress = progress };
	const struct pl_exclude exclude = { options->exclude, options->nr_exclude };
	struct pl_source *source;
	int r = check_options(options, err);

	if (r == 0)
		r = pl_source_open(from, &exclude, progress, &source, err);
	if (r < 0)
		return r;
	w.source = source;
	pthread_mutex_lock(&one_at_a_time);
	r = begin(&w, err);
	if (r == 0)
		r = prepare(&w, from, err);
	if (r == 0)
		r = write_target(&w, target, ret, err);
	done(&w);
	iso_finish();
	pthread_mutex_unlock(&one_at_a_time);
	ret->files = source->nr_files;
	ret->folders = source->nr_folders;
	ret->links = source->nr_links;
	ret->others = source->nr_others;
	ret->bytes = source->bytes;
	pl_source_close(source);
	return r;
}

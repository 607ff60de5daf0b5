/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * platter/wipe.h - what is stored on drives and in images is made unreadable
 *
 *	struct platter_wipe_options options = { .size = sizeof options, .method = "zero" };
 *	struct platter_wipe *wipe;
 *
 *	if (platter_wipe_plan("/dev/sdb", &options, &wipe, &err) == 0) {
 *		const struct platter_wipe_report *r = platter_wipe_report(wipe);
 *		... show r->drive and r->reason, and ask ...
 *		platter_wipe_run(&wipe, 1, &progress, &err);
 *		... tell r->outcome ...
 *		platter_wipe_free(wipe);
 *	}
 *
 * A plan examines and writes nothing.  Running it writes: until it is through, or cancelled, or
 * a drive is gone; how far it came is kept in a state file, from which a later plan goes on, also
 * after the process was killed.
 */
#ifndef PLATTER_WIPE_H
#define PLATTER_WIPE_H

#include <stdbool.h>
#include <stddef.h>

#include <platter/disk.h>
#include <platter/progress.h>

#ifdef __cplusplus
extern "C" {
#endif

enum platter_wipe_level {
	PLATTER_WIPE_NONE,  /* promises nothing */
	PLATTER_WIPE_CLEAR, /* in the words of NIST SP 800-88: against ordinary reading, */
	PLATTER_WIPE_PURGE, /* and against a laboratory */
};

struct platter_wipe_method {
	const char *name;     /* "zero", "gutmann", "nvme-format" */
	const char *title;    /* "zeros, once" */
	const char *standard; /* the text that it follows; "" if none */
	const char *details;  /* what it is, and is not; sentences */
	unsigned nr_passes;   /* of overwriting; 0: the drive does it */
	enum platter_wipe_level level;
};

/* The index-th method; NULL past the last. */
PLATTER_API const struct platter_wipe_method *platter_wipe_method(size_t index);

/*
 * What a pass of it writes: "zeros", "0xff", "0x92 0x49 0x24", "random".  Gutmann's passes 5 to 31
 * are done in an order that is chosen anew for each run; this is the order of his table.
 */
struct platter_wipe_pass_text {
	char text[24];
};
PLATTER_API struct platter_wipe_pass_text platter_wipe_pass_text(
	const struct platter_wipe_method *method, unsigned pass);

enum platter_wipe_part {
	PLATTER_WIPE_WHOLE,      /* everything */
	PLATTER_WIPE_FREE_SPACE, /* what no file uses */
	PLATTER_WIPE_SLACK,      /* what is behind the last byte of files in their last cluster */
};

enum platter_wipe_verify {
	PLATTER_WIPE_VERIFY_FULL,   /* all is read back */
	PLATTER_WIPE_VERIFY_SAMPLE, /* a share, from everywhere */
	PLATTER_WIPE_VERIFY_NONE,
};

struct platter_wipe_options {
	size_t size;        /* sizeof(struct platter_wipe_options) */
	const char *method; /* NULL or "auto": the one that is right for the drive */
	enum platter_wipe_part part;
	enum platter_wipe_verify verify;
	double share;      /* of VERIFY_SAMPLE: 0 to 1; 0: a tenth, as NIST SP 800-88 has it */
	bool hidden_areas; /* make an HPA and a DCO addressable first */
	/*
	 * The state file, or a folder for it.  NULL: TARGET.wipe-state, which for a device is in
	 * the current folder.
	 */
	const char *state;
	bool resume;  /* go on where the state file says; from the start if there is none */
	bool restart; /* start again even if there is a state file */
};

struct platter_wipe_drive {
	bool device;      /* else a file, or a folder whose file system is filled */
	const char *path; /* of the whole device or the file */
	const char *model, *serial, *firmware, *bus; /* "" unknown */
	uint64_t size;                               /* bytes of the whole device or file */
	uint64_t hidden; /* more bytes, which an HPA or DCO hides; 0 none, or not known */
	uint32_t sector_size;
	int rotational; /* 1: a hard disk; 0: flash; -1 not known */
};

struct platter_wipe_extent {
	uint64_t offset, length; /* bytes of the target */
};

struct platter_wipe_pass {
	char text[24];             /* what it wrote; see platter_wipe_pass_text() */
	int64_t started, finished; /* seconds since 1970; 0: not yet */
	uint64_t written;          /* bytes */
	uint64_t unwritable;       /* of the target's bytes in this pass */
};

enum platter_wipe_outcome {
	PLATTER_WIPE_NOT_DONE,   /* planned, or stopped before the end */
	PLATTER_WIPE_DONE,       /* done; not to be verified */
	PLATTER_WIPE_VERIFIED,   /* done, and what was read back is right */
	PLATTER_WIPE_INCOMPLETE, /* some sectors could not be written */
	PLATTER_WIPE_DIFFERS,    /* what was read back is not right, or could not be read */
};

/* What is known of a wipe, before, while and after it runs. */
struct platter_wipe_report {
	const char *target; /* as given */
	struct platter_wipe_drive drive;
	const struct platter_wipe_method *method;
	const char *technique;       /* what really is done: "NVMe sanitize, block erase" */
	const char *reason;          /* why this method, where "auto" chose it, else "" */
	const char *const *warnings; /* sentences, of which each is true of this target */
	size_t nr_warnings;

	enum platter_wipe_part part;
	uint64_t offset, size; /* of the target on the device or file: a partition's */
	uint64_t bytes;        /* of these to be overwritten */
	size_t nr_extents;     /* that they stand in */

	const struct platter_wipe_pass *passes;
	unsigned nr_passes;
	const char *seed; /* of random passes, as platter-wipe(1) describes; hexadecimal */

	enum platter_wipe_verify verify;
	double share;        /* of the bytes, where a sample is read */
	uint64_t verified;   /* bytes read back */
	uint64_t different;  /* of these not what was to be there */
	uint64_t unreadable; /* bytes that could not be read back */
	int64_t verify_started, verify_finished;
	const char *verify_text; /* "every sector holds zeros": what was found; "" nothing yet */

	uint64_t unwritable; /* bytes that could not be written in some pass or other */
	/* What could not be written, or read back, or differs; the first ones. */
	const struct platter_wipe_extent *bad;
	size_t nr_bad;

	int64_t started, finished; /* seconds since 1970; 0: not yet */
	double seconds;            /* of work, without the time between runs */
	unsigned resumed;          /* times that it was resumed */
	uint64_t kept;             /* bytes of all passes that were done in earlier runs */
	const char *state;         /* path of the state file; NULL: it has none */
	enum platter_wipe_outcome outcome;
	struct platter_error error; /* why it stopped; code 0: it did not */
};

struct platter_wipe;

/*
 * Examine `target`: a device, a partition of it (/dev/sda2, /dev/sda@2, disk.img@2), a file; to wipe
 * free space also a folder, whose file system then is filled.  Nothing is written.
 * Errors: -EBUSY: mounted or in use; -ENOTSUP: the drive cannot do what was asked, or the file
 * system does not tell what it uses; -EEXIST: an earlier run stopped, and neither `resume` nor
 * `restart` is set; -EINVAL, -ENOENT, -EACCES, -EROFS, -EIO, -EUCLEAN, -ENOMEM.
 */
PLATTER_API int platter_wipe_plan(const char *target, const struct platter_wipe_options *options,
				  struct platter_wipe **ret, struct platter_error *err);

/* Borrowed, valid until the wipe is freed; its contents change while the wipe runs. */
PLATTER_API const struct platter_wipe_report *platter_wipe_report(const struct platter_wipe *wipe);

/*
 * Run `nr` plans at once, which are of different drives.  One that fails does not stop the others;
 * its report says why.  Returns 0 if all came to an end, whatever it is (see `outcome`), else the
 * error of the first that did not.  -ECANCELED: cancelled; what is in the state files can be resumed.
 */
PLATTER_API int platter_wipe_run(struct platter_wipe *const *wipes, size_t nr,
				 struct platter_progress *progress, struct platter_error *err);

PLATTER_API void platter_wipe_free(struct platter_wipe *wipe); /* NULL is allowed */

#ifdef __cplusplus
}
#endif
#endif

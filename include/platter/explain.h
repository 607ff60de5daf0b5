/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * platter/explain.h - what a device or image is for, in plain words
 *
 * Type codes, labels and what stands in file systems say what a partition is for, whether data of
 * people is likely on it, and what is lost with it.  Each statement comes with what it was
 * concluded from.
 *
 *	struct platter_error err = PLATTER_ERROR_INIT;
 *	struct platter_explanation *e;
 *
 *	if (platter_explain("/dev/sda", NULL, &e, &err) == 0)
 *		printf("%s, because %s\n", e->top.purpose, e->top.because);
 *	platter_explanation_free(e);
 */
#ifndef PLATTER_EXPLAIN_H
#define PLATTER_EXPLAIN_H

#include <platter/disk.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How likely data of people is on something; more than one: the last that applies. */
enum platter_data_of_people {
	PLATTER_DATA_NONE,     /* there is none */
	PLATTER_DATA_UNLIKELY, /* it is made by programs, which may have put some there */
	PLATTER_DATA_UNKNOWN,  /* it cannot be read */
	PLATTER_DATA_POSSIBLE, /* there are files, of whatever kind */
	PLATTER_DATA_SEALED,   /* encrypted: nobody can tell without its key */
	PLATTER_DATA_LIKELY,   /* there are folders of people */
};

/* A disk, a partition, a logical volume, or an image in a file. */
struct platter_explained {
	const char *place; /* names it for every other function: "/dev/sda2", "disk.img@2" */
	uint64_t size;
	const char *id;      /* of what it was recognised as: "efi-system"; stable */
	const char *purpose; /* one or more sentences */
	const char *because; /* what that was concluded from; "" if there is nothing more to it */
	enum platter_data_of_people data;
	const char *data_because;
	const char *removal; /* what happens if it is removed or erased */
	const struct platter_explained *parts;
	size_t nr_parts;
};

struct platter_advice {
	const char *what;    /* "detach the image; its file stays" */
	const char *command; /* for a shell, whole */
	const char *system;  /* on which it is given: "Linux", "macOS" */
};

struct platter_explanation {
	const char *place; /* as given */
	const char
		*origin; /* what it is and where it comes from: a physical drive, an image, ... */
	const char *because; /* what that was concluded from */
	bool in_use;         /* something uses it now, and `advice` begins with how to end that */
	bool system;         /* the running system is on it: there is no such advice */
	struct platter_explained top;
	const struct platter_advice *advice; /* how to detach, remove or erase it */
	size_t nr_advice;
};

/*
 * Explain what `place` names: a device, an image, a part of one, something nested; or the folder
 * on which a file system is mounted, and what that is on.  `options` may be NULL.  Nothing is
 * written.  Free the result with platter_explanation_free().
 * Errors: those of platter_open(); -EISDIR: a folder on which nothing is mounted.
 */
PLATTER_API int platter_explain(const char *place, const struct platter_open_options *options,
				struct platter_explanation **ret, struct platter_error *err);
PLATTER_API void platter_explanation_free(struct platter_explanation *explanation);

#ifdef __cplusplus
}
#endif
#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * volume.h - a file system opened for reading: its tree of files, its used ranges
 *
 * A driver opens a disk, answers questions about nodes (files and folders) that are named
 * by their numbers, and opens the contents of a file as a disk, whose map says where they
 * are: the generic reader moves and decodes the bytes.  Paths, symbolic links, whole
 * trees, extraction and the like are made from these answers once for all drivers.
 *
 * Every operation may be called from any thread, on several at once.  Nothing is ever
 * written.
 */
#ifndef PL_VOLUME_H
#define PL_VOLUME_H

#include <platter/files.h>

#include "disk.h"
#include "facts.h"
#include "file.h"
#include "meta.h"
#include "ranges.h"

struct pl_content_driver;

/* Folders within folders: deeper ones are not looked into (-EFBIG). */
#define PL_MAX_FOLDERS 1024

/* No file system has longer names: 255 UTF-16 units are 765 bytes; Reiser4 has 3976 bytes. */
#define PL_MAX_NAME 4096

/* A symbolic link's target: longer ones are damage. */
#define PL_MAX_TARGET KIB(64)

/* An extended attribute's value that is shown and extracted; larger ones are refused. */
#define PL_MAX_XATTR MIB(16)

/*
 * What names a node within its volume.  A file system that has no inode numbers takes
 * where on the disk the entry is.  `tree` is the subvolume or volume of a container where
 * there are several, below 2^32; else 0.
 */
struct pl_node_id {
	uint64_t inode;
	uint64_t tree;
};

/* One name in a folder. */
struct pl_entry {
	const char *name; /* `length` bytes without a NUL, valid during the call */
	size_t length;
	struct pl_node_id id;
	enum platter_file_type type; /* PLATTER_FILE_UNKNOWN where the folder does not tell */
};

/* What takes entries; other than 0 ends the listing, which then returns that. */
typedef int pl_entry_fn(void *closure, const struct pl_entry *entry, struct platter_error *err);

/* An extended attribute, or an alternate stream (value NULL, `size` that of its contents). */
struct pl_attribute {
	const char *name; /* NUL-terminated, valid during the call */
	const void *value;
	uint64_t size;
};
typedef int pl_attribute_fn(void *closure, const struct pl_attribute *attribute,
			    struct platter_error *err);

/* A deleted file that the metadata still knows. */
struct pl_deleted {
	const char *path;     /* from the root, as far as it is known, without a leading '/' */
	struct pl_node_id id; /* for stat() and open() */
	struct platter_file file;
	enum platter_recovery recovery;
};
typedef int pl_deleted_fn(void *closure, const struct pl_deleted *deleted,
			  struct platter_error *err);

struct pl_volume;

/* A driver's operations; NULL is allowed where it says so. */
struct pl_volume_ops {
	int (*stat)(struct pl_volume *v, struct pl_node_id id, struct platter_file *ret,
		    struct platter_error *err);

	/*
	 * Every name in a folder but "." and "..", in the order of the file system.  Damage does
	 * not end it: what can still be read is listed, and the first error returned at the end.
	 * -ENOTDIR: it is no folder.
	 */
	int (*list)(struct pl_volume *v, struct pl_node_id folder, pl_entry_fn *fn, void *closure,
		    struct platter_error *err);

	/* One name; -ENOENT (no words needed).  NULL: the listing is searched, exactly first, then
	 * without regard to case if v->folds_case. */
	int (*lookup)(struct pl_volume *v, struct pl_node_id folder, const char *name, size_t n,
		      struct pl_node_id *ret, struct platter_error *err);

	/* The target of a symbolic link, malloc()ed, with '/' between names.  NULL: it has none. */
	int (*read_link)(struct pl_volume *v, struct pl_node_id id, char **ret,
			 struct platter_error *err);

	/*
	 * The contents of a regular file, or of one of its streams (NULL: the unnamed one), as a
	 * disk called `name`.  `stream` is NULL if there is no streams().  -ENOENT: no such stream; -EISDIR; -ENOTSUP: encrypted, or stored
	 * in a way that is not known.
	 */
	int (*open)(struct pl_volume *v, struct pl_node_id id, const char *stream, const char *name,
		    struct pl_disk **ret, struct platter_error *err);

	/* Extended attributes, by the names that Linux gives them; NULL: it has none. */
	int (*xattrs)(struct pl_volume *v, struct pl_node_id id, pl_attribute_fn *fn, void *closure,
		      struct platter_error *err);

	/* Alternate data streams and forks; NULL: it has none. */
	int (*streams)(struct pl_volume *v, struct pl_node_id id, pl_attribute_fn *fn,
		       void *closure, struct platter_error *err);

	/*
	 * Every range of the disk, within [0, v->size), whose bytes matter: metadata, files,
	 * boot areas.  When in doubt a range is in use.  -ENOTSUP or -EUCLEAN, with the reason:
	 * what it says of itself cannot be trusted, all of it is in use.  NULL: all is in use.
	 */
	int (*used)(struct pl_volume *v, struct pl_ranges *used, struct platter_error *err);

	/* Deleted files; NULL: nothing is left of them. */
	int (*deleted)(struct pl_volume *v, pl_deleted_fn *fn, void *closure,
		       struct platter_error *err);

	/* What identify() did not say: features, times, snapshots, state.  NULL: nothing. */
	void (*describe)(struct pl_volume *v, struct pl_facts *facts);

	/* Frees the driver's structure, pl_volume_done() first. */
	void (*free)(struct pl_volume *v);
};

/* A driver embeds this as its first member; see pl_volume_init(). */
struct pl_volume {
	const struct pl_volume_ops *ops;
	const struct pl_content_driver *driver;
	struct pl_disk *disk; /* what it is on; a reference */
	struct pl_meta *meta; /* cached reading of its metadata */
	struct pl_node_id root;
	uint64_t size; /* bytes from the disk's start that it covers; at most the disk's */
	uint64_t free; /* bytes, by its own count; UINT64_MAX: the used ranges tell */
	uint32_t block_size;
	enum platter_volume_state state;
	bool folds_case;    /* names that differ in case alone are one */
	bool links_folders; /* a folder may have several paths, as on HFS+ */
	bool ignore_checksums;
	atomic_uint refs;
};

/* What to open; `disk` is borrowed. */
struct pl_volume_request {
	struct pl_disk *disk;
	unsigned flags;       /* PLATTER_OPEN_IGNORE_CHECKSUMS */
	const char *view;     /* one of the driver's `views`, or NULL: the best */
	const char *snapshot; /* by name, or NULL: as it is now */
};

/*
 * Fill in a zeroed volume with one reference, on request->disk: size that of the disk, free
 * unknown, a cache for the metadata.
 */
int pl_volume_init(struct pl_volume *v, const struct pl_volume_ops *ops,
		   const struct pl_volume_request *request, struct platter_error *err);
/* What a driver's free() calls before it frees its structure; fine after a failed init. */
void pl_volume_done(struct pl_volume *v);

struct pl_volume *pl_volume_ref(struct pl_volume *v);
void pl_volume_unref(struct pl_volume *v); /* NULL is allowed */

static inline void
pl_volume_autounref_(struct pl_volume **v)
{
	pl_volume_unref(*v);
}
#define PL_AUTOUNREF_VOLUME __attribute__((cleanup(pl_volume_autounref_)))

/*
 * Open the file system on `disk`: the best that it is recognised as and that can be opened.
 * `name`: that one alone, by its content's name or a view of it ("iso9660", "joliet"), or
 * NULL.  -ENOENT: there is none; -ENOTSUP: what there is is known, but not read.
 */
int pl_volume_open(struct pl_disk *disk, const char *name, const char *snapshot, unsigned flags,
		   struct pl_volume **ret, struct platter_error *err);

/* These call the driver, check its answers, and stand in for operations that it lacks. */
int pl_volume_stat(struct pl_volume *v, struct pl_node_id id, struct platter_file *ret,
		   struct platter_error *err);
int pl_volume_list(struct pl_volume *v, struct pl_node_id folder, pl_entry_fn *fn, void *closure,
		   struct platter_error *err);
int pl_volume_lookup(struct pl_volume *v, struct pl_node_id folder, const char *name, size_t n,
		     struct pl_node_id *ret, struct platter_error *err);
int pl_volume_read_link(struct pl_volume *v, struct pl_node_id id, char **ret,
			struct platter_error *err);
int pl_volume_open_file(struct pl_volume *v, struct pl_node_id id, const char *stream,
			const char *name, struct pl_disk **ret, struct platter_error *err);

/*
 * The used ranges, finished; without the driver's word, or where that cannot be trusted,
 * everything.  *ret_why (may be NULL): why, malloc()ed, or NULL if the driver told.
 */
int pl_volume_used(struct pl_volume *v, struct pl_ranges *used, char **ret_why,
		   struct platter_error *err);

/* How full it is; see platter_volume_space(). */
int pl_volume_space(struct pl_volume *v, struct platter_space *ret, struct platter_error *err);

/* For a lookup through a listing: pl_finder_take() takes the entries. */
struct pl_finder {
	const char *name;
	size_t n;
	bool folds_case; /* one that differs in case alone is taken if none is the same */
	bool found, found_folded;
	struct pl_node_id id;
};
int pl_finder_take(void *finder, const struct pl_entry *entry, struct platter_error *err);
/* What a lookup returns when the listing returned r, which if it failed may still have found it. */
int pl_finder_answer(const struct pl_finder *finder, int r, struct pl_node_id *ret);

/* From st_mode, as Unix file systems store it; UNKNOWN if it has no type that Linux has. */
enum platter_file_type pl_type_of_mode(uint32_t mode);
/* From the number in a folder's entry that ext and what came after it have. */
enum platter_file_type pl_type_of_entry(uint8_t type);

/* Are two names one, without regard to case?  Unicode's simple folding. */
bool pl_names_equal_folded(const char *a, size_t a_length, const char *b, size_t b_length);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * platter/files.h - the files inside: list, read, find and extract them
 *
 * A *volume* is the tree of files of a file system: of a whole disk, a partition, an
 * image in any format.  A place (platter/disk.h) names it, and may name a file or folder
 * in it:
 *
 *	disk.vhdx@2:/etc/fstab		a file of partition 2
 *	disk.img			a disk with partitions: each is a folder, "1", "2", ...
 *	disc.iso?fs=joliet		one of several trees that the same files have
 *	a.img@2:/b.qcow2@1:/c		a file of an image inside a file system
 *
 * A file inside is a disk itself: platter_open() takes its place, so it is read, mapped,
 * hashed, converted and compared like any other.
 *
 *	struct platter_error err = PLATTER_ERROR_INIT;
 *	struct platter_volume *volume;
 *	struct platter_node node;
 *	struct platter_file file;
 *
 *	if (platter_volume_open("disk.img@1", NULL, &volume, &err) == 0 &&
 *	    platter_volume_find(volume, "etc/fstab", 0, &node, &file, &err) == 0)
 *		printf("%" PRIu64 " bytes\n", file.size);
 *	platter_volume_close(volume);
 *
 * A *node* is a file or folder, named by its number.  Paths have '/' between names;
 * symbolic links on the way are followed inside the volume and never leave it.  Names are
 * UTF-8 where the file system says what its names are encoded in, and else the bytes that
 * it stores.
 *
 * Any number of threads may use one volume at once.  Unless something else is said, errors
 * are -EUCLEAN (the file system contradicts itself; err->offset says where), -ENOTSUP
 * (encrypted, or stored in a way that is not known), -EIO, -EFBIG and -ENOMEM.
 */
#ifndef PLATTER_FILES_H
#define PLATTER_FILES_H

#include <platter/describe.h>
#include <platter/disk.h>
#include <platter/job.h>
#include <platter/progress.h>

#ifdef __cplusplus
extern "C" {
#endif

struct platter_volume;

enum platter_file_type {
	PLATTER_FILE_UNKNOWN, /* of an entry only: its platter_file tells */
	PLATTER_FILE_REGULAR,
	PLATTER_FILE_FOLDER,
	PLATTER_FILE_SYMLINK,
	PLATTER_FILE_FIFO,
	PLATTER_FILE_SOCKET,
	PLATTER_FILE_CHARACTER_DEVICE,
	PLATTER_FILE_BLOCK_DEVICE,
	PLATTER_FILE_OTHER, /* whiteouts, doors, unknown reparse points: `note` says what */
};

enum platter_file_attributes {
	PLATTER_FILE_READ_ONLY = 1 << 0,
	PLATTER_FILE_HIDDEN = 1 << 1,
	PLATTER_FILE_SYSTEM = 1 << 2,
	PLATTER_FILE_ARCHIVE = 1 << 3,
	PLATTER_FILE_COMPRESSED = 1 << 4,
	PLATTER_FILE_ENCRYPTED = 1 << 5, /* its contents (or names) cannot be read */
	PLATTER_FILE_SPARSE = 1 << 6,
	PLATTER_FILE_IMMUTABLE = 1 << 7,
	PLATTER_FILE_APPEND_ONLY = 1 << 8,
	PLATTER_FILE_METADATA = 1 << 9, /* the file system's own: $MFT, a journal */
	PLATTER_FILE_DELETED = 1 << 10,
	PLATTER_FILE_DAMAGED = 1 << 11, /* what the metadata says of it contradicts itself */
};

#define PLATTER_NO_TIME INT64_MIN

/* Seconds since 1970-01-01 00:00 UTC.  File systems that keep local time are taken as UTC. */
struct platter_time {
	int64_t seconds; /* PLATTER_NO_TIME: not recorded */
	uint32_t nanoseconds;
};

/* What a file system knows of one file. */
struct platter_file {
	enum platter_file_type type;
	uint32_t attributes; /* enum platter_file_attributes */
	uint32_t mode;       /* permission bits, 07777; meaningful if has_mode */
	uint32_t uid, gid;   /* meaningful if has_owner */
	bool has_mode, has_owner;
	uint32_t links;        /* names that it has; 1 where that is not counted */
	uint32_t major, minor; /* of devices */
	uint64_t inode;        /* its number in the file system; 0 if it has none */
	uint64_t size;         /* bytes of its contents; of a symbolic link: of its target */
	uint64_t allocated;    /* bytes of the disk that it takes up; UINT64_MAX unknown */
	struct platter_time modified, accessed, changed, created;
	const char *note; /* what is special about it, a literal, or NULL: "junction", ... */
};

/* What names a file or folder within its volume. */
struct platter_node {
	uint64_t inode, tree;
};

/*
 * Open the volume that `place` names; a path in it makes the file or folder at its end the
 * volume's *start*.  `options` may be NULL.  Close it with platter_volume_close().
 * Errors: those of platter_open(); -ENOENT: no file system is recognised, or the path leads
 * nowhere; -ENOTSUP: what is there is known, but its files cannot be read.
 */
PLATTER_API int platter_volume_open(const char *place, const struct platter_open_options *options,
				    struct platter_volume **ret, struct platter_error *err);
PLATTER_API void platter_volume_close(struct platter_volume *volume); /* NULL is allowed */

/* The place as given; valid until the volume is closed. */
PLATTER_API const char *platter_volume_name(const struct platter_volume *volume);

/* What the place says of where it starts: "/etc" of disk.img@2:/etc; "/" the root. */
PLATTER_API const char *platter_volume_path(const struct platter_volume *volume);

/* The node that the place led to: the root, or what its path names. */
PLATTER_API struct platter_node platter_volume_start(const struct platter_volume *volume);

enum platter_find_flags {
	PLATTER_NO_FOLLOW = 1 << 0, /* a symbolic link at the end is what is meant */
};

/*
 * The node that `path` leads to from the start, or, if it begins with '/', from the root; ""
 * is the start itself.  `ret_file` may be NULL.
 * Errors: -ENOENT, -ENOTDIR, -ELOOP.
 */
PLATTER_API int platter_volume_find(struct platter_volume *volume, const char *path, unsigned flags,
				    struct platter_node *ret, struct platter_file *ret_file,
				    struct platter_error *err);

PLATTER_API int platter_volume_stat(struct platter_volume *volume, struct platter_node node,
				    struct platter_file *ret, struct platter_error *err);

/* The target of a symbolic link, to be freed with free().  Errors: -EINVAL: it is none. */
PLATTER_API int platter_volume_read_link(struct platter_volume *volume, struct platter_node node,
					 char **ret, struct platter_error *err);

/*
 * The contents of a regular file, or of its stream of that name (NULL: the unnamed one), as a
 * disk; `name` is what messages call it.  It may outlive the volume.
 * Errors: -ENOENT: no such stream; -EISDIR, -EINVAL: no regular file.
 */
PLATTER_API int platter_volume_open_file(struct platter_volume *volume, struct platter_node node,
					 const char *stream, const char *name,
					 struct platter_disk **ret, struct platter_error *err);

enum platter_visit_kind {
	PLATTER_VISIT_FILE,   /* anything but a folder */
	PLATTER_VISIT_FOLDER, /* before what is in it */
	PLATTER_VISIT_LEAVE,  /* after it */
	PLATTER_VISIT_ERROR,  /* it, or all that is in it, could not be read */
};

/* What a walk meets; valid during the call. */
struct platter_visit {
	enum platter_visit_kind kind;
	const char *path; /* from where the walk began, no leading '/'; "": that itself */
	const char *name; /* the last part of it */
	unsigned depth;   /* 0: where the walk began */
	struct platter_node node;
	const struct platter_file *file;   /* NULL if an error hides it */
	const struct platter_error *error; /* PLATTER_VISIT_ERROR */
};

enum platter_walk_flags {
	PLATTER_WALK_SORTED = 1 << 0, /* each folder in the order of the names' bytes */
};

enum platter_walk_answer {
	PLATTER_WALK_ON,
	PLATTER_WALK_SKIP, /* a folder: do not look into it */
	PLATTER_WALK_STOP, /* end the walk, which then succeeds */
};

/*
 * Visit `node` and, if it is a folder, all that is below it, in one thread.  What cannot be
 * read is visited as an error, and the rest goes on.
 */
PLATTER_API int platter_volume_walk(
	struct platter_volume *volume, struct platter_node node, unsigned flags,
	enum platter_walk_answer (*visit)(const struct platter_visit *visit, void *closure),
	void *closure, struct platter_error *err);

/* An extended attribute, or an alternate stream. */
struct platter_attribute {
	const char *name;
	const void *value; /* NULL: a stream; platter_volume_open_file() reads it */
	uint64_t size;
};

/*
 * Call `each` for every extended attribute (by the names Linux gives them: "user.x",
 * "com.apple.FinderInfo"), then for every alternate stream of a node.
 */
PLATTER_API int platter_volume_attributes(struct platter_volume *volume, struct platter_node node,
					  void (*each)(const struct platter_attribute *attribute,
						       void *closure),
					  void *closure, struct platter_error *err);

enum platter_recovery {
	PLATTER_RECOVERY_WHOLE,   /* none of its space was given to another file */
	PLATTER_RECOVERY_PARTLY,  /* some was */
	PLATTER_RECOVERY_NOTHING, /* all was, or where it was is not known any more */
};

/* A deleted file or folder that the metadata still knows; valid during the call. */
struct platter_deleted {
	const char *path;         /* from the root, as far as it is known, without a leading '/' */
	struct platter_node node; /* its contents open like those of any other */
	struct platter_file file;
	enum platter_recovery recovery;
};

/*
 * Call `each` for what was deleted, in the whole volume, from one thread; other than
 * PLATTER_WALK_ON ends it.  Errors: -ENOTSUP: nothing is left of deleted files in this file
 * system.
 */
PLATTER_API int platter_volume_deleted(
	struct platter_volume *volume,
	enum platter_walk_answer (*each)(const struct platter_deleted *deleted, void *closure),
	void *closure, struct platter_error *err);

/* One file that platter_hash_files() hashed, or could not; valid during the call. */
struct platter_hashed_file {
	const char *path; /* as in platter_visit */
	uint64_t size;
	struct platter_hash hashes[PLATTER_MAX_HASHES];
	size_t nr_hashes;
	const struct platter_error *error; /* NULL: it was hashed */
};

/*
 * Hash the contents of `node`, or of every regular file below it, on all processors.
 * `hashes` as in platter_create_options.  `each` is called in the order of the names, from
 * one thread at a time.  Folders that cannot be read come with an error too.
 * Errors: -EINVAL, -ECANCELED.
 */
PLATTER_API int platter_hash_files(
	struct platter_volume *volume, struct platter_node node, const char *hashes,
	void (*each)(const struct platter_hashed_file *file, void *closure), void *closure,
	struct platter_progress *progress, struct platter_error *err);

enum platter_volume_state {
	PLATTER_STATE_UNKNOWN,
	PLATTER_STATE_CLEAN,
	PLATTER_STATE_DIRTY,      /* was not unmounted; what the tree says may be behind */
	PLATTER_STATE_RECOVERED,  /* its journal held changes: they are seen, and not written */
	PLATTER_STATE_HIBERNATED, /* a system sleeps on it and must find it unchanged */
};

/* A file system's space, in bytes. */
struct platter_space {
	const char *content; /* "ext4", ...; valid until the volume is closed */
	uint64_t size;       /* that it covers */
	uint64_t used, free; /* UINT64_MAX: it does not tell */
	uint32_t block_size; /* 0 unknown */
	enum platter_volume_state state;
};

/*
 * How full a volume is: by its own count of free blocks, or where it keeps none by its map.
 * Errors: -ENOTSUP: a disk with partitions, each of which is a volume.
 */
PLATTER_API int platter_volume_space(struct platter_volume *volume, struct platter_space *ret,
				     struct platter_error *err);

enum platter_extract_outcome {
	PLATTER_EXTRACT_RENAMED,    /* it has another name outside, which `message` tells */
	PLATTER_EXTRACT_INCOMPLETE, /* it is there, but for what `message` tells */
	PLATTER_EXTRACT_SKIPPED,    /* left out */
	PLATTER_EXTRACT_FAILED,     /* could not be read or written */
};

/* What did not go as the file system has it; valid during the call. */
struct platter_extract_note {
	enum platter_extract_outcome outcome;
	const char *path; /* inside, from where the extraction begins */
	const char *message;
};

struct platter_extract_options {
	size_t size;    /* sizeof(struct platter_extract_options) */
	bool overwrite; /* replace files that exist; else they are skipped */
	bool no_owner;  /* leave files to the caller, even if that is root */
	bool streams;   /* alternate streams and forks too, as files called NAME:STREAM */
	bool deleted;   /* what was deleted in the whole volume, as far as it can be recovered */
	/* Called for each note, from one thread at a time; may be NULL. */
	void (*note)(const struct platter_extract_note *note, void *closure);
	void *closure;
};

struct platter_extract_result {
	uint64_t files, folders, links, others; /* made; links: hard and symbolic ones */
	uint64_t bytes;                         /* contents of the files, holes included */
	uint64_t renamed, incomplete, skipped, failed;
	double seconds;
};

/*
 * Copy `node`, with all that is below it if it is a folder, into `folder`, which is made if it
 * does not exist.  It is called `name` there; NULL: what is in the folder goes straight into
 * `folder`.  Holes stay holes.  Times, modes, hard and symbolic links and extended attributes
 * are kept, owners and devices if the caller is root.
 *
 * Nothing is written outside of `folder`, whatever names and links the file system holds:
 * names that would lead out of it, or that are there twice, are changed.  A file appears
 * under its name when it is whole.  What cannot be read is noted, and the rest goes on.
 * Errors: -ENOSPC, -EACCES, -EROFS, -ENOTDIR, -EIO: nothing more can be written; -ECANCELED;
 * -ENOTSUP (deleted): nothing is left of deleted files.
 */
PLATTER_API int platter_extract(struct platter_volume *volume, struct platter_node node,
				const char *name, const char *folder,
				const struct platter_extract_options *options,
				struct platter_progress *progress,
				struct platter_extract_result *ret, struct platter_error *err);

struct platter_export_result {
	uint64_t entries; /* of the archive */
	uint64_t bytes;   /* contents of its files, holes included */
	uint64_t failed;  /* could not be read, and are not in it */
	double seconds;
};

/*
 * Write `node`, with all that is below it, to the file descriptor `fd` as a tar archive in the
 * pax format: with owners, modes, times, links, devices and extended attributes, and holes as
 * GNU tar writes them.  `name` is what it is called in the archive; NULL: a folder's files have
 * no folder in front of them.  `note` is told of what could not be read; a file that fails
 * halfway is filled up with zeros and noted.
 * Errors: -EPIPE, -ENOSPC, -EIO: it could not be written; -ECANCELED.
 */
PLATTER_API int platter_export_tar(struct platter_volume *volume, struct platter_node node,
				   const char *name, int fd,
				   void (*note)(const struct platter_extract_note *note,
						void *closure),
				   void *closure, struct platter_progress *progress,
				   struct platter_export_result *ret, struct platter_error *err);

#ifdef __cplusplus
}
#endif
#endif

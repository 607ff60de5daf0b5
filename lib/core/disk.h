/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * disk.h - the disk and its map
 *
 * Everything that has bytes is a `struct pl_disk`, described by its map: for any
 * offset, the extent that starts there, how long it is, what kind it is and where it
 * is stored.  A driver parses metadata and answers map(); it does not move payload.
 * The generic reader (pl_read) resolves maps down the stack, decodes through one
 * bounded cache and fills the caller's buffer.
 *
 * A *leaf* is a disk whose bytes are really there (a file, a device): it has a read()
 * of its own, and its map says only where it has holes.
 */
#ifndef PL_DISK_H
#define PL_DISK_H

#include <pthread.h>
#include <stdatomic.h>

#include <platter/disk.h>

#include "bytes.h"
#include "error.h"

struct pl_facts;
struct pl_disk;
struct pl_mapfile;

/* Layers below a disk, backing files included.  Deeper stacks are refused (-EFBIG). */
#define PL_MAX_DEPTH 64

/* The largest piece that a codec may be asked to decode at once. */
#define PL_MAX_CHUNK MIB(64)

/*
 * Turns the stored bytes of one chunk into its disk bytes.  Pure: may run on any
 * thread, on several at once.  `out` is filled wholly or the call fails; `in` may
 * be longer than the encoded data (QCOW2 knows its end only to the sector).
 * `chunk_offset` is where the chunk begins on its disk: ciphers need it.
 */
struct pl_decoder {
	const char *name;
	int (*decode)(const struct pl_decoder *decoder, const uint8_t *in, size_t in_size,
		      uint8_t *out, size_t out_size, uint64_t chunk_offset,
		      struct platter_error *err);
};

/* One extent of a disk's own map, starting at the offset that was asked for. */
struct pl_extent {
	uint64_t length; /* > 0; may pass what was asked for, and the disk's end */
	enum platter_kind kind;
	struct pl_disk *below; /* DATA: the disk that stores it, borrowed; NULL: a leaf's own */
	uint64_t
		stored_offset; /* DATA: of the asked offset in `below`; of the chunk with a decoder */
	const struct pl_decoder *decoder; /* DATA: NULL: stored as is */
	uint64_t stored_length;           /* with a decoder: bytes stored for the chunk */
	uint64_t chunk_offset;            /* with a decoder: where the chunk begins on this disk, */
	uint32_t chunk_length; /* and how many bytes it decodes to; the extent lies within */
};

enum pl_zero_flags {
	PL_ZERO_MAY_UNMAP = 1 << 0,   /* the range need not stay allocated */
	PL_ZERO_NO_FALLBACK = 1 << 1, /* -ENOTSUP rather than writing zeros */
};

/* A driver's operations.  NULL is allowed where it says so. */
struct pl_disk_ops {
	const char *name; /* "file", "qcow2", "partition", ... */

	/* The extent at `offset` (< size).  `length` is how far the caller will look, a hint. */
	int (*map)(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
		   struct platter_error *err);

	/* Leaves only, else NULL.  The range was checked against the size. */
	int (*read)(struct pl_disk *disk, void *buf, size_t n, uint64_t offset,
		    struct platter_error *err);

	/*
	 * NULL: read-only.  The core checks the range (against growable files only that it does
	 * not wrap) and that the disk is writable, and lets one writing call in at a time unless
	 * `parallel_writes`.
	 */
	int (*write)(struct pl_disk *disk, const void *buf, size_t n, uint64_t offset,
		     struct platter_error *err);
	/* NULL: pl_zero() writes zeros.  May return -ENOTSUP for the same effect. */
	int (*zero)(struct pl_disk *disk, uint64_t offset, uint64_t length, unsigned flags,
		    struct platter_error *err);
	/* NULL: nothing is done. */
	int (*discard)(struct pl_disk *disk, uint64_t offset, uint64_t length,
		       struct platter_error *err);
	/* NULL: nothing to flush. */
	int (*flush)(struct pl_disk *disk, struct platter_error *err);
	/*
	 * Growable leaves, and images whose disk can be cut or extended to `size`: the extension
	 * reads as zeros, over a longer parent too.  NULL: the size stays.
	 */
	int (*resize)(struct pl_disk *disk, uint64_t size, struct platter_error *err);

	/* The disks it stands on besides `parent`: index from 0, NULL past the last.  NULL: none. */
	struct pl_disk *(*below)(struct pl_disk *disk, size_t index);

	/* Adds facts; NULL: none. */
	void (*describe)(struct pl_disk *disk, struct pl_facts *facts);

	/* Frees the disk itself.  Called once, when the last reference is gone; never fails. */
	void (*free)(struct pl_disk *disk);

	bool parallel_writes; /* write, zero and discard of separate ranges may run at once */
};

/* A driver embeds this as its first member; see pl_disk_init(). */
struct pl_disk {
	const struct pl_disk_ops *ops;
	char *name;    /* for messages: a path or place; owned */
	uint64_t size; /* bytes; UINT64_MAX: a stream that has not ended; see pl_disk_size() */
	uint32_t sector_size; /* logical, 512 if not known */
	uint32_t physical_sector_size;
	bool writable;
	bool growable;           /* a file: writing past the end extends it */
	bool sequential;         /* a stream: read, or written, once, from front to back */
	uint64_t look_ahead;     /* its map() reads: how far pl_span() goes at once; 0: any way */
	struct pl_mapfile *lost; /* what of it could not be read once; see pl_disk_set_lost() */
	struct pl_disk *parent;  /* what holes fall through to, or NULL; a reference */
	unsigned depth;          /* layers below, kept by pl_disk_stack() */
	uint64_t id;             /* unique in the process: names its chunks in the cache */
	atomic_uint refs;
	atomic_uint generation; /* of the cached chunks; writing starts a new one */
	pthread_mutex_t write_lock;
};

/*
 * Fill in a zeroed disk with one reference, size 0 and 512-byte sectors.  `name` is
 * copied.  Returns 0 or -ENOMEM.
 */
int pl_disk_init(struct pl_disk *disk, const struct pl_disk_ops *ops, const char *name,
		 struct platter_error *err);
/* What a driver's free() calls last before free()ing its structure: name, parent, lock. */
void pl_disk_done(struct pl_disk *disk);

/* The size of a disk that another thread may be extending. */
static inline uint64_t
pl_disk_size(const struct pl_disk *disk)
{
	return __atomic_load_n(&disk->size, __ATOMIC_RELAXED);
}

struct pl_disk *pl_disk_ref(struct pl_disk *disk);
void pl_disk_unref(struct pl_disk *disk); /* NULL is allowed */

static inline void
pl_disk_autounref_(struct pl_disk **disk)
{
	pl_disk_unref(*disk);
}
#define PL_AUTOUNREF __attribute__((cleanup(pl_disk_autounref_)))

/* Record that `disk` stands on `below` (may be NULL): keeps the depth, refuses too deep a stack. */
int pl_disk_stack(struct pl_disk *disk, const struct pl_disk *below, struct platter_error *err);

/*
 * What this mapfile does not call finished is BAD, whatever the driver's map() says.  Takes over
 * the mapfile, which is from malloc().  Before anybody reads the disk.
 */
void pl_disk_set_lost(struct pl_disk *disk, struct pl_mapfile *lost);

/* One level of the map, checked and clipped to `length` (> 0) and to the disk's end. */
int pl_map(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
	   struct platter_error *err);

/* Where bytes of a disk really are, all layers resolved. */
struct pl_piece {
	uint64_t length;
	enum platter_kind kind; /* never HOLE with a parent: ZERO where nothing is below */
	uint32_t depth;         /* parents gone through */
	struct pl_disk *leaf;   /* DATA, no decoder: the leaf, borrowed, and the offset in it */
	uint64_t leaf_offset;
	struct pl_disk *owner;   /* DATA, decoder: the disk whose chunk it is, borrowed, */
	uint64_t owner_offset;   /* and the offset in that disk, */
	struct pl_extent extent; /* and its extent there */
};

enum pl_resolve_flags {
	PL_RESOLVE_LEAF_HOLES =
		1 << 0, /* ask the leaf for its holes too: it may cost a system call */
};

int pl_resolve(struct pl_disk *disk, uint64_t offset, uint64_t length, unsigned flags,
	       struct pl_piece *ret, struct platter_error *err);

/*
 * Like pl_resolve() with leaf holes, but only the kind, with neighbours of one kind
 * merged up to `length`: what a copy plans with.  ret_kind is DATA, ZERO or BAD.
 */
int pl_span(struct pl_disk *disk, uint64_t offset, uint64_t length, enum platter_kind *ret_kind,
	    uint64_t *ret_length, struct platter_error *err);

/* The generic reader: as platter_read() says. */
int pl_read(struct pl_disk *disk, void *buf, size_t n, uint64_t offset, struct platter_error *err);

/* The same for bytes that nobody will want again soon: whole chunks pass the cache by. */
int pl_read_once(struct pl_disk *disk, void *buf, size_t n, uint64_t offset,
		 struct platter_error *err);

/* What a probe wants: bytes past the end read as zeros.  *ret_n (may be NULL): how many are real. */
int pl_read_padded(struct pl_disk *disk, void *buf, size_t n, uint64_t offset, size_t *ret_n,
		   struct platter_error *err);

/* A metadata table of n bytes in malloc()ed memory; the caller has capped n. */
int pl_read_alloc(struct pl_disk *disk, size_t n, uint64_t offset, uint8_t **ret,
		  struct platter_error *err);

int pl_write(struct pl_disk *disk, const void *buf, size_t n, uint64_t offset,
	     struct platter_error *err);
int pl_zero(struct pl_disk *disk, uint64_t offset, uint64_t length, unsigned flags,
	    struct platter_error *err);
int pl_discard(struct pl_disk *disk, uint64_t offset, uint64_t length, struct platter_error *err);
int pl_flush(struct pl_disk *disk, struct platter_error *err);
int pl_resize(struct pl_disk *disk, uint64_t size, struct platter_error *err);

/*
 * Disk bytes [offset, offset + length) of `below` as a disk of their own.  Writing goes
 * through.  Takes no reference from the caller; keeps one of its own.
 */
int pl_slice_new(struct pl_disk *below, uint64_t offset, uint64_t length, const char *name,
		 struct pl_disk **ret, struct platter_error *err);

/* A read-write disk in memory, for tests and fuzzing.  `bytes` is copied. */
int pl_memory_new(const void *bytes, size_t n, const char *name, struct pl_disk **ret,
		  struct platter_error *err);

/*
 * Decoded bytes [skip, skip + n) of the chunk that `extent` of `owner` describes, through
 * the cache: a chunk that many threads want is decoded once.
 */
int pl_cache_read(struct pl_disk *owner, const struct pl_extent *extent, void *buf, size_t n,
		  size_t skip, struct platter_error *err);

/* Decode that chunk into `out` (chunk_length bytes), past the cache. */
int pl_decode_chunk(const struct pl_extent *extent, uint8_t *out, struct platter_error *err);

/* Bytes the cache of decoded chunks may hold, all disks together; 64 MiB at first. */
void pl_cache_set_limit(size_t bytes);

#endif

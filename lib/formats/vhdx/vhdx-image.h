/* SPDX-License-Identifier: GPL-3.0-or-later */
/* vhdx-image.h - an open VHDX, and what reading and changing it share */
#ifndef PL_VHDX_IMAGE_H
#define PL_VHDX_IMAGE_H

#include "blocks.h"
#include "store.h"
#include "vhdx.h"

struct vhdx {
	struct pl_disk disk;
	struct pl_disk *file;   /* a reference */
	struct pl_disk *stored; /* where data is: the file as the log leaves it; a reference */
	struct pl_disk *meta;   /* where metadata is: `stored`, or what waits over it; borrowed */
	struct vhdx_info info;
	size_t nr_replayed; /* log entries */
	struct pl_block_table bat;

	/* Of an image that is written. */
	struct pl_store store;
	uint8_t log_guid[16];  /* of the entries of this session; zero: none yet */
	uint64_t log_sequence; /* of the last entry */
	bool keep_log_empty;   /* mark the log as empty after each commit */
	bool touched;          /* the DataWriteGuid is new */
};

static inline struct vhdx *
vhdx_of(struct pl_disk *disk)
{
	return pl_container_of(disk, struct vhdx, disk);
}

/* Place of a block's entry in the table, and of the bitmap of its chunk. */
static inline uint64_t
vhdx_entry_of_block(const struct vhdx *v, uint64_t block)
{
	return block + block / v->info.chunk_ratio;
}

static inline uint64_t
vhdx_entry_of_bitmap(const struct vhdx *v, uint64_t block)
{
	uint64_t ratio = v->info.chunk_ratio;

	return block / ratio * (ratio + 1) + ratio;
}

/* Is the index-th entry that of a bitmap? */
static inline bool
vhdx_is_bitmap(const struct vhdx *v, uint64_t index)
{
	return index % (v->info.chunk_ratio + 1u) == v->info.chunk_ratio;
}

/* vhdx.c */
int pl_vhdx_get_entry(struct vhdx *v, uint64_t index, uint64_t *ret, struct platter_error *err);
int pl_vhdx_bad_entry(const struct vhdx *v, uint64_t index, uint64_t block, const char *what,
		      struct platter_error *err);
/* Where the bitmap of a block's chunk is; 0: there is none. */
int pl_vhdx_find_bitmap(struct vhdx *v, uint64_t block, uint64_t *ret, struct platter_error *err);
/* The next entry at or after *index that is not 0; *index is nr_entries if there is none. */
int pl_vhdx_next_entry(struct vhdx *v, uint64_t *index, uint64_t *ret, struct platter_error *err);
int pl_vhdx_check(struct pl_disk *disk, struct pl_findings *findings, struct platter_error *err);
/* The table again, when its place or length has changed. */
int pl_vhdx_load_table(struct vhdx *v, struct platter_error *err);

/* journal.c: bring what is staged into the file, through the log. */
int pl_vhdx_commit(struct pl_store *s, struct platter_error *err);
/* Mark the log as empty, once all that it holds is in its place. */
int pl_vhdx_close_log(struct vhdx *v, struct platter_error *err);

/* write.c */
int pl_vhdx_open_store(struct vhdx *v, struct platter_error *err);
void pl_vhdx_close_store(struct vhdx *v);
/* Before a change that a guest sees; children of the disk as it was can tell. */
int pl_vhdx_touch(struct vhdx *v, struct platter_error *err);
int pl_vhdx_write(struct pl_disk *disk, const void *buf, size_t n, uint64_t offset,
		  struct platter_error *err);
int pl_vhdx_zero(struct pl_disk *disk, uint64_t offset, uint64_t length, unsigned flags,
		 struct platter_error *err);
int pl_vhdx_discard(struct pl_disk *disk, uint64_t offset, uint64_t length,
		    struct platter_error *err);
int pl_vhdx_flush(struct pl_disk *disk, struct platter_error *err);

/* change.c */
int pl_vhdx_resize(struct pl_disk *disk, uint64_t size, struct platter_error *err);
int pl_vhdx_compact(struct pl_disk *disk, struct platter_error *err);
int pl_vhdx_repair(struct pl_disk *disk, bool dry_run, struct pl_findings *findings,
		   struct platter_error *err);

#endif

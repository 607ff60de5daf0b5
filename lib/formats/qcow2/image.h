/* SPDX-License-Identifier: GPL-3.0-or-later */
/* image.h - an open QCOW2 image, shared by the parts of the driver */
#ifndef PL_QCOW2_IMAGE_H
#define PL_QCOW2_IMAGE_H

#include "qcow2.h"

/* The header and its extensions in host order.  pl_qcow2_header_done() frees the texts. */
struct qcow2_header {
	uint32_t version;
	uint64_t backing_offset; /* 0: no backing file */
	uint32_t backing_size;
	uint32_t cluster_bits;
	uint64_t size;
	uint32_t crypt_method;
	uint32_t l1_size;
	uint64_t l1_offset;
	uint64_t refcount_table_offset;
	uint32_t refcount_table_clusters;
	uint32_t nr_snapshots;
	uint64_t snapshots_offset;
	uint64_t incompatible, compatible, autoclear;
	uint32_t refcount_order;
	uint32_t header_length;
	uint8_t compression_type;

	char *backing_name, *backing_format, *data_name; /* as stored; NULL: not there */
	char *feature_names[3][64]; /* incompatible, compatible, autoclear, by bit; fit to print */
	uint32_t nr_bitmaps;        /* 0: no extension */
	uint64_t bitmaps_size, bitmaps_offset;
	uint64_t luks_offset, luks_length; /* length 0: no extension */
};

/*
 * Read and check the header.  Errors name the field by its offset.  `for_repair`: a refcount
 * table that cannot be right is no error, and left out: its offset and clusters are then 0.
 */
int pl_qcow2_header_read(struct pl_disk *file, bool for_repair, struct qcow2_header *ret,
			 struct platter_error *err);
void pl_qcow2_header_done(struct qcow2_header *h);

/* Check that a table of n bytes at `offset`, named by the field at byte `at`, can be there. */
int pl_qcow2_check_table(const struct pl_disk *file, uint64_t cluster_size, uint64_t offset,
			 uint64_t n, uint64_t at, const char *what, struct platter_error *err);

/* One entry of the snapshot table. */
struct qcow2_snapshot {
	uint64_t at; /* byte of the file where the entry stands */
	uint64_t l1_offset;
	uint32_t l1_size;
	uint32_t seconds;
	uint64_t vm_state_size;
	uint64_t size;            /* of the disk then */
	bool has_size;            /* it is stored; else that of the disk now is taken for it */
	const uint8_t *id, *name; /* in the buffer of the table */
	uint16_t id_size, name_size;
};

/* The snapshot table, decoded. */
struct qcow2_snapshots {
	uint8_t *buffer;
	uint64_t table_size; /* bytes */
	struct qcow2_snapshot *list;
	size_t nr;
};

int pl_qcow2_snapshots_read(struct pl_disk *file, const struct qcow2_header *h,
			    struct qcow2_snapshots *ret, struct platter_error *err);
void pl_qcow2_snapshots_done(struct qcow2_snapshots *s);

/* The one that `text` names, by its id or else its name; NULL: none. */
const struct qcow2_snapshot *pl_qcow2_snapshot_find(const struct qcow2_snapshots *s,
						    const char *text);

/* One entry of the directory of dirty bitmaps. */
struct qcow2_bitmap {
	uint64_t at; /* byte of the file where the entry stands */
	uint64_t table_offset;
	uint32_t table_entries;
	uint32_t flags;
	uint8_t granularity_bits;
	uint16_t name_size;
	const uint8_t *name; /* in the buffer of the directory */
};
#define QCOW2_BITMAP_IN_USE 1u

struct qcow2_bitmaps {
	uint8_t *buffer; /* the directory as it is in the file */
	struct qcow2_bitmap *list;
	size_t nr;
};

/* None if the image says that they are out of date. */
int pl_qcow2_bitmaps_read(struct pl_disk *file, const struct qcow2_header *h,
			  struct qcow2_bitmaps *ret, struct platter_error *err);
void pl_qcow2_bitmaps_done(struct qcow2_bitmaps *b);

/*
 * A cluster of metadata in memory: an L2 table or a refcount block.  The bytes are as in
 * the file; those of L2 tables are guarded by qcow2.lock.
 */
enum qcow2_table_kind {
	QCOW2_TABLE_REFCOUNTS,
	QCOW2_TABLE_L2,
};

struct qcow2_table {
	uint64_t offset; /* in the file */
	uint8_t *bytes;
	unsigned users; /* not evicted while any, or while dirty */
	bool loading;
	bool dirty;                 /* bytes [dirty_start, dirty_end) are not in the file yet */
	bool fresh;                 /* nothing in the file refers to it yet */
	enum qcow2_table_kind kind; /* of dirty ones */
	size_t dirty_start, dirty_end;
	struct qcow2_table *next_dirty;
	struct qcow2_table *next; /* in its bucket */
	struct qcow2_table *older, *newer;
};

/* Such clusters, bounded, single flight, least recently used out first. */
struct qcow2_tables {
	pthread_mutex_t lock; /* guards all but the bytes */
	pthread_cond_t loaded;
	struct qcow2_table **buckets;
	size_t nr_buckets;
	struct qcow2_table *oldest, *newest;
	size_t nr, limit;
	struct qcow2_table *dirty[2]; /* by kind; changed by the writing thread only */
	size_t nr_dirty;
};

struct qcow2 {
	struct pl_disk disk;
	struct pl_disk *file; /* a reference */
	struct pl_disk *
		data; /* what host offsets of data count in: `file`, or an external one; a reference */
	struct qcow2_header header;
	bool external; /* data is an external file */
	bool extended; /* L2 entries of 16 bytes with subclusters */
	bool encrypted;
	bool needs_repair; /* opened to be repaired: nothing else may be written */
	uint64_t cluster_size;
	uint32_t l2_entry_size;
	uint32_t l2_bits;         /* log2 of the entries of an L2 table */
	uint64_t subcluster_size; /* cluster_size unless extended */
	const struct pl_decoder *decoder;

	/* Guards the entries of the active L1 and of L2 tables: one writing thread, many that map. */
	pthread_rwlock_t lock;
	uint64_t *l1; /* host order; as many as the size needs */
	uint32_t nr_l1;
	uint64_t l1_offset;
	struct qcow2_tables tables;

	uint64_t *refcount_table; /* host order; NULL until it is needed */
	size_t nr_refcount_table;

	/* What follows belongs to the writing thread. */
	bool prepared;              /* the header allows writing, and the refcount table is there */
	uint64_t free_hint;         /* no cluster before this one is free */
	bool *l1_dirty;             /* by sector of 64 entries: not in the file yet */
	bool l1_changed;            /* any of them */
	bool *refcount_table_dirty; /* the same */
	bool refcount_table_changed;
	uint64_t *unused; /* clusters to count down once no table in the file names them */
	size_t nr_unused, unused_capacity;
};

static inline struct qcow2 *
qcow2_of(struct pl_disk *disk)
{
	return pl_container_of(disk, struct qcow2, disk);
}

int pl_qcow2_tables_init(struct qcow2_tables *tables, uint64_t cluster_size,
			 struct platter_error *err);
void pl_qcow2_tables_done(struct qcow2_tables *tables);
/* The metadata cluster at `offset`, from memory or the file; give it back with _put(). */
int pl_qcow2_table_get(struct qcow2 *q, uint64_t offset, struct qcow2_table **ret,
		       struct platter_error *err);
void pl_qcow2_table_put(struct qcow2 *q, struct qcow2_table *table);

/* A zeroed one at a cluster just allocated, dirty and fresh. */
int pl_qcow2_table_new(struct qcow2 *q, uint64_t offset, enum qcow2_table_kind kind,
		       struct qcow2_table **ret, struct platter_error *err);
/* Forget one, and what was not written of it: its cluster is used for something else. */
void pl_qcow2_table_forget(struct qcow2 *q, uint64_t offset);
/* Its bytes [start, end) were changed. */
void pl_qcow2_table_dirty(struct qcow2 *q, struct qcow2_table *table, enum qcow2_table_kind kind,
			  size_t start, size_t end);
/* Write what is dirty of one kind, or of these the fresh ones only. */
int pl_qcow2_tables_write(struct qcow2 *q, enum qcow2_table_kind kind, bool fresh_only,
			  struct platter_error *err);

/* A decoded L2 entry. */
enum qcow2_entry_kind {
	QCOW2_ENTRY_NONE, /* no host cluster */
	QCOW2_ENTRY_NORMAL,
	QCOW2_ENTRY_COMPRESSED,
};

struct qcow2_entry {
	enum qcow2_entry_kind kind;
	bool copied;
	uint64_t host;   /* byte of the data file; of compressed data: of the image file */
	uint64_t stored; /* compressed: bytes that may belong to it */
	/* One bit a subcluster; standard entries have one that is the cluster: bit 0. */
	uint32_t allocated; /* read from the host cluster */
	uint32_t zero;      /* read as zeros */
};

/* Decode and check the `index`-th entry of an L2 table that stands at `table_offset`. */
int pl_qcow2_entry_decode(const struct qcow2 *q, const uint8_t *table, uint64_t table_offset,
			  uint32_t index, struct qcow2_entry *ret, struct platter_error *err);
/* Check the L1 entry; *ret_offset is that of its L2 table, 0 if there is none. */
int pl_qcow2_l1_decode(const struct qcow2 *q, uint64_t entry, uint64_t at, uint64_t *ret_offset,
		       struct platter_error *err);

/* relink.c */
int pl_qcow2_set_parent(struct pl_disk *disk, struct pl_disk *parent, const char *name,
			struct platter_error *err);
void pl_qcow2_options_of(struct pl_disk *disk, struct pl_option_list *ret);

int pl_qcow2_map(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
		 struct platter_error *err);

void pl_qcow2_describe(struct pl_disk *disk, struct pl_facts *facts);
int pl_qcow2_snapshots(struct pl_disk *disk, struct pl_arena *arena,
		       const struct platter_snapshot **ret, size_t *ret_nr,
		       struct platter_error *err);
int pl_qcow2_check(struct pl_disk *disk, struct pl_findings *findings, struct platter_error *err);

/* The snapshot's L1 table can be there, and maps a disk of its size. */
int pl_qcow2_snapshot_check(const struct qcow2 *q, const struct qcow2_snapshot *s,
			    struct platter_error *err);

/* What repair() needs to know of a check. */
struct qcow2_diagnosis {
	bool recount;      /* refcounts or copied flags are wrong */
	bool drop_bitmaps; /* they are damaged */
};

/* The same as pl_qcow2_check(), but what repair() puts right is reported as PLATTER_REPAIRED. */
int pl_qcow2_diagnose(struct qcow2 *q, struct pl_findings *findings, struct qcow2_diagnosis *ret,
		      struct platter_error *err);

/*
 * Call take() for each cluster of the file that something uses, in order; the refcount table
 * and blocks are not counted among what uses clusters.  Structures that cannot be right use none.
 */
int pl_qcow2_recount(struct qcow2 *q, bool bitmaps,
		     int (*take)(void *closure, uint64_t cluster, uint64_t users,
				 struct platter_error *err),
		     void *closure, struct platter_error *err);

/* log2 of the clusters that a refcount block counts. */
static inline uint32_t
qcow2_refcount_bits(const struct qcow2 *q)
{
	return q->header.cluster_bits + 3 - q->header.refcount_order;
}

/* Read the refcount table, unless it was. */
int pl_qcow2_refcounts_load(struct qcow2 *q, struct platter_error *err);
/* Offset of a refcount block, checked; 0: there is none, its refcounts are 0. */
int pl_qcow2_refcount_block(const struct qcow2 *q, size_t index, uint64_t *ret_offset,
			    struct platter_error *err);
uint64_t pl_qcow2_refcount_decode(const uint8_t *block, uint64_t index, uint32_t order);
void pl_qcow2_refcount_encode(uint8_t *block, uint64_t index, uint32_t order, uint64_t value);
int pl_qcow2_refcount_get(struct qcow2 *q, uint64_t cluster, uint64_t *ret,
			  struct platter_error *err);

/*
 * allocate.c: clusters for the writing thread.  An allocation is in memory only until
 * pl_qcow2_commit(); a cluster that is given up stays counted until then.
 */
int pl_qcow2_allocate(struct qcow2 *q, uint64_t want, uint64_t *ret_offset, uint64_t *ret_nr,
		      struct platter_error *err);
/* Make room to give up n clusters. */
int pl_qcow2_reserve_unused(struct qcow2 *q, size_t n, struct platter_error *err);
/* Give up the clusters that hold [offset, offset + n); room was reserved. */
void pl_qcow2_unuse(struct qcow2 *q, uint64_t offset, uint64_t n);
/* Bring tables into the file in an order that is safe at any moment. */
int pl_qcow2_commit(struct qcow2 *q, struct platter_error *err);

struct qcow2_count {
	uint64_t cluster;
	bool up; /* or down, by one */
};

/*
 * shadow.c: a change of many tables that takes effect at once.  New tables are written beside
 * the old ones, into clusters that nothing uses and nothing counts; a new refcount table counts
 * what will be in use; then one sector of the header, which names them all, is written.  A crash
 * leaves the image as it was, or as it is to be.
 */
struct qcow2_shadow {
	struct qcow2 *q;
	struct qcow2_header header;  /* as it is to be: sizes, offsets, flags; texts are borrowed */
	uint64_t *l1;                /* as it is to be, header.l1_size entries; NULL: stays */
	uint64_t *table;             /* refcount blocks as they are to be */
	bool *ours;                  /* the block is new, and may be changed */
	size_t capacity;             /* of both */
	bool empty;                  /* begun without the old counts */
	uint64_t next;               /* no cluster from here on is in use, before or after */
	uint64_t old_size;           /* of the file */
	struct qcow2_count *pending; /* counts that follow from new blocks */
	size_t nr_pending, pending_capacity;
};

/*
 * Begin; nothing may be dirty.  `first`: with no old counts, which are then not looked at, the
 * first cluster to hand out; 0: go on from the old counts.
 */
int pl_qcow2_shadow_begin(struct qcow2_shadow *s, struct qcow2 *q, uint64_t first,
			  struct platter_error *err);
/* nr clusters in a row, counted once each. */
int pl_qcow2_shadow_allocate(struct qcow2_shadow *s, uint64_t nr, uint64_t *ret_offset,
			     struct platter_error *err);
int pl_qcow2_shadow_get(struct qcow2_shadow *s, uint64_t cluster, uint64_t *ret,
			struct platter_error *err);
int pl_qcow2_shadow_set(struct qcow2_shadow *s, uint64_t cluster, uint64_t users,
			struct platter_error *err);
/* One user more or less of each cluster that holds [offset, offset + n). */
int pl_qcow2_shadow_count(struct qcow2_shadow *s, uint64_t offset, uint64_t n, bool up,
			  struct platter_error *err);
/* The same for what L2 entries `first` and later refer to. */
int pl_qcow2_shadow_count_l2(struct qcow2_shadow *s, const struct qcow2_table *l2, uint32_t first,
			     bool up, struct platter_error *err);
/* The same for an L1 table in the file, from its entry `first` on, L2 tables included. */
int pl_qcow2_shadow_release(struct qcow2_shadow *s, uint64_t l1_offset, uint32_t first, uint32_t nr,
			    struct platter_error *err);
/* A new L2 table with these bytes; *ret_entry is for the L1. */
int pl_qcow2_shadow_add_l2(struct qcow2_shadow *s, const uint8_t *bytes, uint64_t *ret_entry,
			   struct platter_error *err);
/* Entries [0, nr) of an L1 table in the file, in host order; malloc()ed, with room for `room`. */
int pl_qcow2_read_l1(struct qcow2 *q, uint64_t l1_offset, uint32_t nr, uint32_t room,
		     uint64_t **ret, struct platter_error *err);
/*
 * Make the active L1 say truly what is used only by it, in new tables where it does not.
 * `lenient`: entries that cannot be right stay as they are.
 */
int pl_qcow2_shadow_fix_flags(struct qcow2_shadow *s, bool lenient, struct platter_error *err);
/* Write everything, then the header.  The shadow is gone afterwards, whether it succeeded. */
int pl_qcow2_shadow_commit(struct qcow2_shadow *s, struct platter_error *err);
/* Forget it: nothing was changed. */
void pl_qcow2_shadow_abandon(struct qcow2_shadow *s);

/* resize.c, snapshot-change.c, repair.c */
int pl_qcow2_resize(struct pl_disk *disk, uint64_t size, struct platter_error *err);
int pl_qcow2_snapshot_create(struct pl_disk *disk, const char *name, struct platter_error *err);
int pl_qcow2_snapshot_apply(struct pl_disk *disk, const char *snapshot, struct platter_error *err);
int pl_qcow2_snapshot_delete(struct pl_disk *disk, const char *snapshot, struct platter_error *err);
/* compact.c */
int pl_qcow2_compact(struct pl_disk *disk, struct platter_error *err);

int pl_qcow2_repair(struct pl_disk *disk, bool dry_run, struct pl_findings *findings,
		    struct platter_error *err);

/* write.c */
/* Before the first change to the disk: what the image promises and we do not keep is taken back. */
int pl_qcow2_prepare(struct qcow2 *q, struct platter_error *err);
/* As pl_qcow2_zero(), for a part of the disk that the tables reach, in memory until a commit. */
int pl_qcow2_zero_range(struct qcow2 *q, uint64_t offset, uint64_t end, unsigned flags,
			struct platter_error *err);
int pl_qcow2_write(struct pl_disk *disk, const void *buf, size_t n, uint64_t offset,
		   struct platter_error *err);
int pl_qcow2_zero(struct pl_disk *disk, uint64_t offset, uint64_t length, unsigned flags,
		  struct platter_error *err);
int pl_qcow2_discard(struct pl_disk *disk, uint64_t offset, uint64_t length,
		     struct platter_error *err);
int pl_qcow2_flush(struct pl_disk *disk, struct platter_error *err);

/* What an open image may keep in memory of tables that are not in the file yet. */
#define QCOW2_MAX_DIRTY_BYTES MIB(8)
/* What QEMU opens: an L1 table of 32 MiB is 2 PiB of disk with 64 KiB clusters. */
#define QCOW2_MAX_L1_BYTES MIB(32)
/* The same for the refcount table: 8 MiB is 2 PiB of file with 64 KiB clusters. */
#define QCOW2_MAX_REFCOUNT_TABLE_BYTES MIB(8)
/* Host offsets have 56 bits. */
#define QCOW2_MAX_FILE_SIZE (1ull << 56)

/* Number of L1 entries that a disk of `size` bytes needs. */
static inline uint64_t
qcow2_l1_needed(uint64_t size, uint32_t cluster_bits, uint32_t l2_bits)
{
	return pl_div_round_up(size, 1ull << (cluster_bits + l2_bits));
}

#endif

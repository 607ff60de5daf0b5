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

/* Read and check the header.  Errors name the field by its offset. */
int pl_qcow2_header_read(struct pl_disk *file, struct qcow2_header *ret, struct platter_error *err);
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

int pl_qcow2_map(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
		 struct platter_error *err);

void pl_qcow2_describe(struct pl_disk *disk, struct pl_facts *facts);
int pl_qcow2_snapshots(struct pl_disk *disk, struct pl_arena *arena,
		       const struct platter_snapshot **ret, size_t *ret_nr,
		       struct platter_error *err);
int pl_qcow2_check(struct pl_disk *disk, struct pl_findings *findings, struct platter_error *err);

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

/* write.c */
int pl_qcow2_write(struct pl_disk *disk, const void *buf, size_t n, uint64_t offset,
		   struct platter_error *err);
int pl_qcow2_zero(struct pl_disk *disk, uint64_t offset, uint64_t length, unsigned flags,
		  struct platter_error *err);
int pl_qcow2_discard(struct pl_disk *disk, uint64_t offset, uint64_t length,
		     struct platter_error *err);
int pl_qcow2_flush(struct pl_disk *disk, struct platter_error *err);

/* Number of L1 entries that a disk of `size` bytes needs. */
static inline uint64_t
qcow2_l1_needed(uint64_t size, uint32_t cluster_bits, uint32_t l2_bits)
{
	return pl_div_round_up(size, 1ull << (cluster_bits + l2_bits));
}

#endif

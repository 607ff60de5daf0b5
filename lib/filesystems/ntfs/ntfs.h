/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ntfs.h - what the files of the ntfs driver share
 *
 *	boot.c      boot sector, update sequences
 *	record.c    MFT records, their attributes, attribute lists: a node
 *	runs.c      mapping pairs, and reading the attributes that metadata are in
 *	index.c     B-trees: folders, $Secure
 *	folder.c    listing, looking up
 *	node.c      stat, links, extended attributes, streams
 *	secure.c    security descriptors
 *	reparse.c   what a reparse point is
 *	contents.c  files and streams as disks: plain, sparse, LZNT1, XPRESS, LZX
 *	deleted.c   records that are not in use
 *	state.c     $Volume, $LogFile, hibernation, $Bitmap
 *	volume.c    opens it
 *
 * A node's number is its file reference as NTFS stores it: the record's number in 48 bits, and
 * above it 16 bits that are counted up when the record is used again (0: any).  That of a
 * deleted file has NTFS_DELETED set; no MFT has 2^47 records.
 */
#ifndef PL_NTFS_H
#define PL_NTFS_H

#include <pthread.h>

#include "volume.h"

#define NTFS_RECORD_MASK    0xffffffffffffu
#define NTFS_DELETED        (1ull << 47)
#define NTFS_SEQUENCE_SHIFT 48

/* Update sequences cover 512 bytes, whatever the sector size. */
#define NTFS_STRIDE 512

/* The largest record that Windows makes is 4 KiB, the largest index block 64 KiB. */
#define NTFS_MAX_RECORD      KIB(64)
#define NTFS_MAX_INDEX_BLOCK KIB(64)

/* What Windows allows for one attribute list. */
#define NTFS_MAX_LIST KIB(256)

enum ntfs_record_number {
	NTFS_RECORD_MFT = 0,
	NTFS_RECORD_VOLUME = 3,
	NTFS_RECORD_ROOT = 5,
	NTFS_RECORD_BITMAP = 6,
	NTFS_RECORD_LOGFILE = 2,
	NTFS_RECORD_SECURE = 9,
	NTFS_RECORD_UPCASE = 10,
	NTFS_RECORD_EXTEND = 11,
	NTFS_FIRST_USER_RECORD = 16, /* 12 to 15 are reserved */
};

enum ntfs_type {
	NTFS_STANDARD_INFORMATION = 0x10,
	NTFS_ATTRIBUTE_LIST = 0x20,
	NTFS_FILE_NAME = 0x30,
	NTFS_SECURITY_DESCRIPTOR = 0x50,
	NTFS_VOLUME_NAME = 0x60,
	NTFS_VOLUME_INFORMATION = 0x70,
	NTFS_DATA = 0x80,
	NTFS_INDEX_ROOT = 0x90,
	NTFS_INDEX_ALLOCATION = 0xa0,
	NTFS_BITMAP = 0xb0,
	NTFS_REPARSE_POINT = 0xc0,
	NTFS_EA = 0xe0,
	NTFS_END = -1,
};

enum ntfs_record_flags {
	NTFS_IN_USE = 1,
	NTFS_IS_FOLDER = 2,
};

enum ntfs_attribute_flags {
	NTFS_COMPRESSION = 0xff, /* the method; 1 is LZNT1 */
	NTFS_ENCRYPTED = 0x4000,
	NTFS_SPARSE = 0x8000,
};

/* Of $STANDARD_INFORMATION and $FILE_NAME; FILE_ATTRIBUTE_ in Windows. */
enum ntfs_file_flags {
	NTFS_FILE_READ_ONLY = 0x1,
	NTFS_FILE_HIDDEN = 0x2,
	NTFS_FILE_SYSTEM = 0x4,
	NTFS_FILE_ARCHIVE = 0x20,
	NTFS_FILE_SPARSE = 0x200,
	NTFS_FILE_REPARSE = 0x400,
	NTFS_FILE_COMPRESSED = 0x800,
	NTFS_FILE_OFFLINE = 0x1000,
	NTFS_FILE_ENCRYPTED = 0x4000,
	NTFS_FILE_RECALL_ON_DATA = 0x400000,
	NTFS_FILE_FOLDER = 0x10000000, /* of $FILE_NAME only */
};

/* The value of $FILE_NAME, and the key of a folder's index. */
enum {
	FILE_NAME_PARENT = 0,
	FILE_NAME_CREATED = 8,
	FILE_NAME_MODIFIED = 16,
	FILE_NAME_CHANGED = 24,
	FILE_NAME_ACCESSED = 32,
	FILE_NAME_FLAGS = 56,
	FILE_NAME_TAG = 60, /* of the reparse point */
	FILE_NAME_LENGTH = 64,
	FILE_NAME_SPACE = 65,
	FILE_NAME_NAME = 66,
};

enum ntfs_name_space {
	NTFS_POSIX,
	NTFS_WIN32,
	NTFS_DOS,
	NTFS_WIN32_AND_DOS,
};

enum ntfs_reparse_tag {
	NTFS_TAG_MOUNT_POINT = 0xa0000003,
	NTFS_TAG_SYMLINK = 0xa000000c,
	NTFS_TAG_LX_SYMLINK = 0xa000001d,
	NTFS_TAG_WOF = 0x80000017,
	NTFS_TAG_DEDUP = 0x80000013,
	NTFS_TAG_NFS = 0x80000014,
	NTFS_TAG_APP_EXEC_LINK = 0x8000001b,
	NTFS_TAG_AF_UNIX = 0x80000023,
	NTFS_TAG_LX_FIFO = 0x80000024,
	NTFS_TAG_LX_CHR = 0x80000025,
	NTFS_TAG_LX_BLK = 0x80000026,
	NTFS_TAG_CLOUD = 0x9000001a, /* and 0x9000N01a */
	NTFS_TAG_CLOUD_MASK = 0xf000,
	NTFS_TAG_NAME_SURROGATE = 0x20000000, /* it stands for another file */
};

struct ntfs_boot {
	uint32_t sector_size, cluster_size, record_size;
	uint64_t sectors, mft, mirror; /* clusters */
	uint64_t serial;
};

/* From the first 512 bytes; false: no boot sector of NTFS. */
bool pl_ntfs_boot_decode(const uint8_t *boot, struct ntfs_boot *ret);

/*
 * Put back what the check values of a record or index block of `size` bytes stand for.
 * False: they differ, it was written partly, or is none.  Unless `check`, they may differ.
 */
bool pl_ntfs_apply_fixups(uint8_t *block, uint32_t size, bool check);

/* Clusters [vcn, vcn + length) of an attribute, at `lcn` of the volume or not stored. */
struct ntfs_run {
	uint64_t vcn, length, lcn;
};
#define NTFS_NOT_STORED UINT64_MAX

struct ntfs_runs {
	struct ntfs_run *run;
	size_t nr, capacity;
};

/* An attribute of metadata, to be read at any offset. */
struct ntfs_stream {
	uint8_t *value; /* resident: a copy */
	struct ntfs_runs runs;
	uint64_t size, initialized;
};

/* The lowest of them with `vcn` 0, or resident, tells the sizes of the whole. */
struct ntfs_attribute {
	uint32_t type;
	uint16_t flags;
	bool resident;
	uint8_t name_units, unit_shift; /* clusters of a compression unit, as a power of two */
	const uint8_t *name;            /* UTF-16 */
	const uint8_t *value;           /* resident: the value; else mapping pairs */
	uint32_t length;                /* of those */
	uint64_t vcn;                   /* where the mapping pairs begin */
	uint64_t size, initialized, allocated;
	uint64_t at; /* byte of the volume, for messages */
};

struct ntfs_record {
	struct ntfs_record *next;
	uint64_t number;
	uint8_t bytes[];
};

#define NTFS_FEW_ATTRIBUTES 10

/* A file or folder: its record, and those that its attribute list names. */
struct ntfs_node {
	uint64_t number, at;
	uint16_t sequence, flags;
	struct ntfs_record *records;
	struct ntfs_attribute *attribute, few[NTFS_FEW_ATTRIBUTES];
	size_t nr, capacity;
	unsigned nr_damaged;
	int damage; /* the first thing that could not be read of it, */
	struct platter_error why;
};

struct ntfs_fs {
	struct pl_volume volume;
	struct ntfs_boot boot;
	uint64_t nr_clusters;
	struct ntfs_stream mft;
	uint64_t nr_records;
	uint64_t mft_created, root_changed; /* as NTFS counts */
	uint16_t volume_flags;
	bool volume_flags_known, log_known, log_clean, hibernated, has_snapshots;

	pthread_mutex_t lock; /* guards the making of what follows, which then stays */
	uint16_t *upcase;     /* 65536 units */
	struct ntfs_secure *secure;
	bool tried_upcase, tried_secure;
};

static inline struct ntfs_fs *
pl_ntfs_of(struct pl_volume *v)
{
	return pl_container_of(v, struct ntfs_fs, volume);
}

static inline uint64_t
pl_ntfs_number(uint64_t reference)
{
	return reference & NTFS_RECORD_MASK & ~NTFS_DELETED;
}

/* --- record.c */

/* MFT record `number`, checked and with its check values replaced, into `record`. */
int pl_ntfs_record_read(struct ntfs_fs *fs, uint64_t number, uint8_t *record,
			struct platter_error *err);
/* The same for a record that was read already, from byte `at`. */
int pl_ntfs_record_check(struct ntfs_fs *fs, uint64_t number, uint8_t *record, uint64_t at,
			 struct platter_error *err);

enum ntfs_extent {
	NTFS_BEGINNINGS, /* attributes, without the further parts of their mapping pairs */
	NTFS_WHOLE,
};

/*
 * Load a node, which is not to be moved.  What cannot be read of its further records is told by ret->damage; -EUCLEAN only
 * if there is nothing.  pl_ntfs_node_done() in any case.
 */
int pl_ntfs_node_load(struct ntfs_fs *fs, uint64_t reference, enum ntfs_extent extent,
		      struct ntfs_node *ret, struct platter_error *err);
void pl_ntfs_node_done(struct ntfs_node *n);

/* Attributes of `record` (whose first byte is `at`) join those of the node. */
int pl_ntfs_node_add(struct ntfs_fs *fs, struct ntfs_node *n, const uint8_t *record, uint64_t at,
		     struct platter_error *err);

/* The beginning of the attribute of that type and ASCII name (NULL: none); NULL: it has none. */
const struct ntfs_attribute *pl_ntfs_find(const struct ntfs_node *n, uint32_t type,
					  const char *name);

/* --- runs.c */

void pl_ntfs_runs_done(struct ntfs_runs *runs);

/* Where the attribute is whose beginning is `a`, from cluster 0 to before *ret_end: as far as is
 * told without a gap. */
int pl_ntfs_runs_load_some(struct ntfs_fs *fs, const struct ntfs_node *n,
			   const struct ntfs_attribute *a, struct ntfs_runs *ret, uint64_t *ret_end,
			   struct platter_error *err);
/* All of it; -EUCLEAN if that is less than its size. */
int pl_ntfs_runs_load(struct ntfs_fs *fs, const struct ntfs_node *n, const struct ntfs_attribute *a,
		      struct ntfs_runs *ret, struct platter_error *err);
/* Add the runs of one piece of it; *ret_end is the cluster of the attribute behind them. */
int pl_ntfs_runs_decode(struct ntfs_fs *fs, const struct ntfs_attribute *a, struct ntfs_runs *runs,
			uint64_t *ret_end, struct platter_error *err);
/* The run that holds `vcn`, or NULL. */
const struct ntfs_run *pl_ntfs_runs_find(const struct ntfs_runs *runs, uint64_t vcn);

int pl_ntfs_stream_load(struct ntfs_fs *fs, const struct ntfs_node *n,
			const struct ntfs_attribute *a, struct ntfs_stream *ret,
			struct platter_error *err);
int pl_ntfs_stream_read(struct ntfs_fs *fs, const struct ntfs_stream *s, void *buf, size_t n,
			uint64_t offset, struct platter_error *err);
void pl_ntfs_stream_done(struct ntfs_stream *s);

/* The whole value of a small attribute, malloc()ed; longer than `limit`: -EUCLEAN. */
int pl_ntfs_value_load(struct ntfs_fs *fs, const struct ntfs_node *n,
		       const struct ntfs_attribute *a, size_t limit, uint8_t **ret, size_t *ret_n,
		       struct platter_error *err);

/* --- index.c */

/* An index of a node, "$I30" of a folder. */
struct ntfs_index {
	struct ntfs_fs *fs;
	const struct ntfs_node *node; /* borrowed */
	const struct ntfs_attribute *root;
	struct ntfs_stream blocks;
	uint64_t nr_blocks;
	uint32_t block_size, vcn_size;
};

struct ntfs_index_entry {
	uint64_t reference; /* of folders */
	const uint8_t *key;
	uint32_t key_length;
	const uint8_t *data; /* of other indexes */
	uint32_t data_length;
};
/* Other than 0 ends the walk, which returns that. */
typedef int ntfs_index_fn(void *closure, const struct ntfs_index_entry *e,
			  struct platter_error *err);
/* Below 0: what is sought comes before the entry. */
typedef int ntfs_index_compare(const void *sought, const struct ntfs_index_entry *e);

/* -ENOENT, without words, if the node has no such index. */
int pl_ntfs_index_open(struct ntfs_fs *fs, const struct ntfs_node *n, const char *name,
		       struct ntfs_index *ret, struct platter_error *err);
void pl_ntfs_index_done(struct ntfs_index *index);
/* All entries in order.  What cannot be read is left out and told at the end. */
int pl_ntfs_index_walk(struct ntfs_index *index, ntfs_index_fn *fn, void *closure,
		       struct platter_error *err);
/* All entries that are equal to what is sought. */
int pl_ntfs_index_search(struct ntfs_index *index, ntfs_index_compare *compare, const void *sought,
			 ntfs_index_fn *fn, void *closure, struct platter_error *err);

/* --- folder.c */

int pl_ntfs_list(struct pl_volume *v, struct pl_node_id folder, pl_entry_fn *fn, void *closure,
		 struct platter_error *err);
int pl_ntfs_lookup(struct pl_volume *v, struct pl_node_id folder, const char *name, size_t n,
		   struct pl_node_id *ret, struct platter_error *err);
/* Is this the value of a $FILE_NAME, whole? */
bool pl_ntfs_is_file_name(const uint8_t *value, uint32_t length);

/* --- reparse.c */

struct ntfs_reparse {
	uint32_t tag;
	uint8_t *value; /* the whole attribute */
	size_t length;
	enum platter_file_type type; /* UNKNOWN: that of the node */
	const char *note;
	uint32_t major, minor;
};

/* -ENOENT, without words: the node is no reparse point. */
int pl_ntfs_reparse_load(struct ntfs_fs *fs, const struct ntfs_node *n, struct ntfs_reparse *ret,
			 struct platter_error *err);
void pl_ntfs_reparse_done(struct ntfs_reparse *r);
/* The target of a symbolic link with '/' between names, malloc()ed. */
int pl_ntfs_reparse_target(const struct ntfs_node *n, const struct ntfs_reparse *r, char **ret,
			   struct platter_error *err);

enum ntfs_wof_algorithm {
	NTFS_WOF_XPRESS4K,
	NTFS_WOF_LZX32K,
	NTFS_WOF_XPRESS8K,
	NTFS_WOF_XPRESS16K,
};
/* How a file with NTFS_TAG_WOF is compressed; -ENOTSUP: in another way. */
int pl_ntfs_wof_algorithm(const struct ntfs_node *n, const struct ntfs_reparse *r,
			  enum ntfs_wof_algorithm *ret, struct platter_error *err);

/* --- node.c */

int pl_ntfs_stat(struct pl_volume *v, struct pl_node_id id, struct platter_file *ret,
		 struct platter_error *err);
int pl_ntfs_stat_node(struct ntfs_fs *fs, const struct ntfs_node *n, struct platter_file *ret,
		      struct platter_error *err);
int pl_ntfs_read_link(struct pl_volume *v, struct pl_node_id id, char **ret,
		      struct platter_error *err);
int pl_ntfs_xattrs(struct pl_volume *v, struct pl_node_id id, pl_attribute_fn *fn, void *closure,
		   struct platter_error *err);
int pl_ntfs_streams(struct pl_volume *v, struct pl_node_id id, pl_attribute_fn *fn, void *closure,
		    struct platter_error *err);
struct platter_time pl_ntfs_time(uint64_t since_1601);
/* The flags of $STANDARD_INFORMATION, 0 without it. */
uint32_t pl_ntfs_file_flags(const struct ntfs_node *n);

/* --- secure.c */

/* Security descriptor `id` of $Secure, malloc()ed; -ENOENT, without words: it is not there. */
int pl_ntfs_secure_find(struct ntfs_fs *fs, uint32_t id, uint8_t **ret, size_t *ret_n,
			struct platter_error *err);
void pl_ntfs_secure_free(struct ntfs_secure *s);

/* --- contents.c */

#define NTFS_WOF_STREAM "WofCompressedData"

int pl_ntfs_open_file(struct pl_volume *v, struct pl_node_id id, const char *stream,
		      const char *name, struct pl_disk **ret, struct platter_error *err);
/* The attribute `a` alone, whatever the node is. */
int pl_ntfs_open_attribute(struct ntfs_fs *fs, const struct ntfs_node *n,
			   const struct ntfs_attribute *a, const char *name, struct pl_disk **ret,
			   struct platter_error *err);

/* --- deleted.c */

int pl_ntfs_deleted(struct pl_volume *v, pl_deleted_fn *fn, void *closure,
		    struct platter_error *err);

/* --- state.c */

/* The contents of one of the first records, to be ended with pl_ntfs_stream_done() in any case. */
int pl_ntfs_stream_of(struct ntfs_fs *fs, uint64_t record, struct ntfs_stream *ret,
		      struct platter_error *err);

/* What $Volume, $LogFile and hiberfil.sys say; damage there leaves it unknown. */
void pl_ntfs_state_load(struct ntfs_fs *fs);
int pl_ntfs_used(struct pl_volume *v, struct pl_ranges *used, struct platter_error *err);
void pl_ntfs_describe(struct pl_volume *v, struct pl_facts *facts);

/* --- volume.c */

int pl_ntfs_open(const struct pl_volume_request *request, struct pl_volume **ret,
		 struct platter_error *err);

#endif

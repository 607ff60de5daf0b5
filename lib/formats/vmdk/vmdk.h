/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * vmdk.h - what the parts of the VMDK driver share: the on-disk layout, an open image
 *
 * Spec: VMware, "Virtual Disk Format 5.0".  All integers are little-endian; offsets and
 * lengths count sectors of 512 bytes.
 *
 *	offset  size  header of a hosted sparse extent
 *	     0     4  magic, "KDMV"
 *	     4     4  version, 1 to 3
 *	     8     4  flags
 *	    12     8  capacity
 *	    20     8  grain size, a power of two
 *	    28     8  descriptor: first sector
 *	    36     8  descriptor: sectors
 *	    44     4  entries of a grain table, 512
 *	    48     8  redundant grain directory
 *	    56     8  grain directory; all ones: the header's copy at the end has it
 *	    64     8  overhead: sectors before the first grain
 *	    72     1  unclean shutdown
 *	    73     4  "\n \r\n", to notice transfers as text
 *	    77     2  compression: 0 none, 1 deflate
 *
 *	offset  size  header of a COWD extent (vmfsSparse)
 *	     0     4  magic, "COWD"
 *	     4     4  version, 1
 *	    12     4  capacity
 *	    16     4  grain size
 *	    20     4  grain directory
 *	    24     4  entries of the grain directory
 *
 *	offset  size  header of a SESPARSE extent
 *	     0     8  magic, 0xcafebabe
 *	     8     8  version, 2.1
 *	    16     8  capacity
 *	    24     8  grain size, 8
 *	    32     8  size of a grain table, 64
 *	    80     8  volatile header
 *	   128     8  grain directory; 136: its sectors
 *	   144     8  grain tables; 152: their sectors
 *	   192     8  grains
 */
#ifndef PL_VMDK_H
#define PL_VMDK_H

#include "format.h"

#define VMDK_SECTOR 512u

#define HOSTED_MAGIC 0x564d444bu /* "KDMV" */
enum {
	HOSTED_VERSION = 4,
	HOSTED_FLAGS = 8,
	HOSTED_CAPACITY = 12,
	HOSTED_GRAIN = 20,
	HOSTED_DESCRIPTOR = 28,
	HOSTED_DESCRIPTOR_SECTORS = 36,
	HOSTED_GT_ENTRIES = 44,
	HOSTED_REDUNDANT = 48,
	HOSTED_DIRECTORY = 56,
	HOSTED_OVERHEAD = 64,
	HOSTED_UNCLEAN = 72,
	HOSTED_NEWLINES = 73,
	HOSTED_COMPRESSION = 77,
};
#define HOSTED_FLAG_NEWLINES   (1u << 0)
#define HOSTED_FLAG_REDUNDANT  (1u << 1)
#define HOSTED_FLAG_ZEROED     (1u << 2) /* entry 1 of a grain table: zeros */
#define HOSTED_FLAG_COMPRESSED (1u << 16)
#define HOSTED_FLAG_MARKERS    (1u << 17)
#define HOSTED_AT_END          UINT64_MAX
#define HOSTED_NEWLINE_TEXT    "\n \r\n"

/* Before each grain and table of a streamOptimized extent. */
enum {
	MARKER_VALUE = 0, /* of a grain: its sector on the disk; else sectors that follow */
	MARKER_SIZE = 8,  /* of a grain: bytes that follow; else 0 */
	MARKER_TYPE = 12,
	MARKER_DATA = 12, /* of a grain */
};
enum {
	MARKER_END = 0,
	MARKER_TABLE = 1,
	MARKER_DIRECTORY = 2,
	MARKER_FOOTER = 3,
};

#define COWD_MAGIC 0x44574f43u /* "COWD" */
enum {
	COWD_VERSION = 4,
	COWD_CAPACITY = 12,
	COWD_GRAIN = 16,
	COWD_DIRECTORY = 20,
	COWD_DIRECTORY_ENTRIES = 24,
};
#define COWD_GT_ENTRIES 4096u

#define SE_MAGIC          0x00000000cafebabeu
#define SE_VERSION_2_1    0x0000000200000001u
#define SE_VOLATILE_MAGIC 0x00000000cafecafeu
enum {
	SE_VERSION = 8,
	SE_CAPACITY = 16,
	SE_GRAIN = 24,
	SE_TABLE_SECTORS = 32,
	SE_VOLATILE = 80,
	SE_DIRECTORY = 128,
	SE_DIRECTORY_SECTORS = 136,
	SE_TABLES = 144,
	SE_TABLES_SECTORS = 152,
	SE_GRAINS = 192,
	SE_REPLAY = 24, /* in the volatile header: its journal is to be replayed */
};

/* The descriptor: text that lists the extents of which the disk is made. */

enum vmdk_type {
	VMDK_FLAT,
	VMDK_ZERO,
	VMDK_SPARSE, /* hosted sparse */
	VMDK_COWD,
	VMDK_SESPARSE,
};

/* "RW 4192256 SPARSE "disk-s001.vmdk"" */
struct vmdk_line {
	uint64_t at; /* byte of the file where it stands */
	bool no_access;
	enum vmdk_type type;
	uint64_t sectors;
	const char *name;     /* of its file, NULL if it has none; borrowed from the text */
	uint64_t file_sector; /* FLAT: where in that file */
};

#define VMDK_NO_PARENT 0xffffffffu

struct vmdk_descriptor {
	char *text; /* what the strings below are parts of; NULL: there is none */
	uint32_t version;
	bool has_cid;
	uint32_t cid, parent_cid;
	const char *create_type, *parent_hint, *adapter_type, *hw_version;
	bool encrypted;
	struct vmdk_line *lines;
	size_t nr_lines;
};

/* Larger descriptors are refused; what VMware writes has a few hundred bytes. */
#define VMDK_MAX_DESCRIPTOR MIB(1)
/* 8 TiB in pieces of 2 GiB, and fewer than a process may have open when it asks. */
#define VMDK_MAX_EXTENTS 4096u

/* Parse n bytes of text that stand at byte `at` of their file; it ends at the first NUL. */
int pl_vmdk_descriptor_parse(const uint8_t *bytes, size_t n, uint64_t at,
			     struct vmdk_descriptor *ret, struct platter_error *err);
void pl_vmdk_descriptor_done(struct vmdk_descriptor *d); /* also of a zeroed one */
/* Does a text begin like a descriptor?  Bits of evidence. */
int pl_vmdk_descriptor_probe(const uint8_t *bytes, size_t n);

/* A grain of a streamOptimized extent that was found by its marker. */
struct vmdk_found {
	uint32_t grain;  /* number on the disk */
	uint32_t sector; /* of the marker in the file */
};

/* 4096 entries of 8 bytes, as SESPARSE has them; the tables of hosted extents are of 2 KiB. */
#define VMDK_MAX_TABLE 32768u

/* A sparse extent. */
struct vmdk_sparse {
	enum vmdk_type type;
	struct pl_disk *file;   /* borrowed */
	struct pl_disk *tables; /* where tables are read: `file`, or staged over it; borrowed */
	uint64_t capacity;      /* bytes */
	uint64_t grain;         /* bytes, a power of two */
	uint32_t gt_entries, entry_size;
	uint32_t version;
	uint32_t flags; /* HOSTED_FLAG_... */
	bool unclean;
	uint64_t descriptor_at, descriptor_bytes; /* 0: none */
	uint64_t overhead;                        /* bytes before the first grain, 0 not known */
	uint64_t directory_at, redundant_at;      /* in bytes; redundant_at 0: none */
	uint64_t directory_field;                 /* byte of the file that tells directory_at */
	uint64_t grains_at;                       /* SESPARSE */

	size_t nr_tables;
	/* Bytes where the grain tables are, 0: none; the redundant ones are NULL without a copy. */
	uint64_t *tables_at, *redundant_tables_at;
	size_t nr_replaced;   /* entries of the directory that were taken from its copy */
	bool lost_directory;  /* all of them, for the directory could not be read */
	uint32_t table_bytes; /* of a grain table, at most VMDK_MAX_TABLE */

	/* Without a directory: what the markers told. */
	bool salvaged;
	bool whole;               /* the mark of the end was found */
	struct vmdk_found *found; /* in order of `grain` */
	size_t nr_found;
};

/*
 * Open the sparse extent in `file`, whose kind its magic tells.  `flags`: of the open
 * request.  -ENOTSUP: it is not one.
 */
int pl_vmdk_sparse_open(struct pl_disk *file, unsigned flags, struct vmdk_sparse **ret,
			struct platter_error *err);
void pl_vmdk_sparse_free(struct vmdk_sparse *s);
/* Read the markers of a streamOptimized extent from front to back for want of a directory. */
int pl_vmdk_salvage(struct vmdk_sparse *s, uint64_t *ret_footer, struct platter_error *err);

/* The grain table at `at`, through the cache of decoded chunks. */
int pl_vmdk_table_read(const struct vmdk_sparse *s, uint64_t at, uint8_t ret[static VMDK_MAX_TABLE],
		       struct platter_error *err);

enum vmdk_grain_kind {
	VMDK_GRAIN_NONE,
	VMDK_GRAIN_ZERO,
	VMDK_GRAIN_DATA,
};

struct vmdk_grain {
	enum vmdk_grain_kind kind;
	uint64_t at; /* byte of the file: of the data, or of the marker before it */
};

/* Decode and check an entry of the table at `table_at`; `first_grain` is that of its entry 0. */
int pl_vmdk_grain_decode(const struct vmdk_sparse *s, const uint8_t *table, uint64_t table_at,
			 uint32_t index, uint64_t first_grain, struct vmdk_grain *ret,
			 struct platter_error *err);
/* The grain with that number, by its table or the copy of that. */
int pl_vmdk_grain_get(const struct vmdk_sparse *s, uint64_t number, struct vmdk_grain *ret,
		      struct platter_error *err);
/* Where the compressed bytes of a grain are, whose marker or start is at `at`. */
int pl_vmdk_grain_stored(const struct vmdk_sparse *s, uint64_t number, uint64_t at,
			 uint64_t *ret_at, uint64_t *ret_n, struct platter_error *err);
/* map() of a sparse extent; offsets count in it, but chunk_offset of *ret from `base`. */
int pl_vmdk_sparse_map(const struct vmdk_sparse *s, uint64_t base, uint64_t offset, uint64_t length,
		       struct pl_extent *ret, struct platter_error *err);

/* A part of the disk. */
struct vmdk_extent {
	enum vmdk_type type;
	uint64_t start, length;     /* bytes of the disk */
	struct pl_disk *file;       /* borrowed; NULL: ZERO */
	uint64_t file_offset;       /* FLAT */
	struct vmdk_sparse *sparse; /* NULL: FLAT or ZERO */
	struct vmdk_store *store;   /* of a sparse one that is written */
};

struct vmdk {
	struct pl_disk disk;
	struct vmdk_descriptor descriptor;
	struct pl_disk **files; /* references: the file that was opened, then those it names */
	size_t nr_files;
	struct vmdk_extent *extents; /* in order, without gaps */
	size_t nr_extents;

	/* Where files[0] has the descriptor, with the room for it; 0: nowhere. */
	uint64_t text_at, text_room;
	bool changed; /* since it was opened: its content ID is new */
};

static inline struct vmdk *
vmdk_of(struct pl_disk *disk)
{
	return pl_container_of(disk, struct vmdk, disk);
}

/* The extent that holds a byte of the disk. */
struct vmdk_extent *pl_vmdk_extent_at(struct vmdk *v, uint64_t offset);

/* write.c: make an open image one that can be written; put an end to that. */
int pl_vmdk_prepare(struct vmdk *v, unsigned flags, struct platter_error *err);
void pl_vmdk_close(struct vmdk_extent *e);
int pl_vmdk_write(struct pl_disk *disk, const void *buf, size_t n, uint64_t offset,
		  struct platter_error *err);
int pl_vmdk_zero(struct pl_disk *disk, uint64_t offset, uint64_t length, unsigned flags,
		 struct platter_error *err);
int pl_vmdk_discard(struct pl_disk *disk, uint64_t offset, uint64_t length,
		    struct platter_error *err);
int pl_vmdk_begin_commit(struct pl_disk *disk, struct pl_disk *overlay, struct platter_error *err);
/* Has a commit of this overlay given its parent the content ID that it has? */
bool pl_vmdk_was_begun(const struct vmdk *overlay, uint32_t parent_cid);
int pl_vmdk_flush(struct pl_disk *disk, struct platter_error *err);
int pl_vmdk_resize(struct pl_disk *disk, uint64_t size, struct platter_error *err);
int pl_vmdk_compact(struct pl_disk *disk, struct platter_error *err);
int pl_vmdk_repair(struct pl_disk *disk, bool dry_run, struct pl_findings *findings,
		   struct platter_error *err);

void pl_vmdk_describe(struct pl_disk *disk, struct pl_facts *facts);
int pl_vmdk_check(struct pl_disk *disk, struct pl_findings *findings, struct platter_error *err);

/* relink.c */
int pl_vmdk_set_parent(struct pl_disk *disk, struct pl_disk *parent, const char *name,
		       struct platter_error *err);
void pl_vmdk_options_of(struct pl_disk *disk, struct pl_option_list *ret);

/* writer.c, several.c: new images, front to back. */
int pl_vmdk_create(const struct pl_create_request *request, struct pl_writer **ret,
		   struct platter_error *err);
/* The options that it takes, ending with key == NULL. */
extern const struct platter_option_info pl_vmdk_options[];

#endif

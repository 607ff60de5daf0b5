/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * dmg.h - what the files of the driver of Apple's disk images (UDIF) share
 *
 * Specifications: none by Apple but hdiutil(1); libmodi's "Mac OS disk image types format" has what
 * is known.  All integers are big-endian, a sector is always of 512 bytes.
 *
 *	data fork | property list in XML | code signature | trailer "koly" of 512 bytes
 *
 * The property list holds resources, as the resource fork of a file does that has one instead:
 * each `blkx` is a table of the chunks of a range of the disk.
 */
#ifndef DMG_H
#define DMG_H

#include "format.h"

#define DMG_SECTOR 512u
/* Offsets in bytes have 63 bits. */
#define DMG_MAX_SECTORS (UINT64_C(1) << 54)
/* A list of 256 MiB has the tables of 4 TiB in chunks of 1 MiB. */
#define DMG_MAX_PLIST MIB(256)

/* The trailer. */
#define KOLY_SIZE      512u
#define KOLY_MAGIC     "koly"
#define KOLY_VERSION_4 4u

enum {
	KOLY_VERSION = 0x4,
	KOLY_HEADER_SIZE = 0x8,
	KOLY_FLAGS = 0xc,
	KOLY_RUNNING_OFFSET = 0x10, /* bytes of the data forks of earlier segments */
	KOLY_DATA_OFFSET = 0x18,
	KOLY_DATA_LENGTH = 0x20,
	KOLY_RSRC_OFFSET = 0x28,
	KOLY_RSRC_LENGTH = 0x30,
	KOLY_SEGMENT = 0x38, /* from 1; 0: not told */
	KOLY_SEGMENTS = 0x3c,
	KOLY_SEGMENT_ID = 0x40,
	KOLY_DATA_SUM = 0x50,
	KOLY_XML_OFFSET = 0xd8,
	KOLY_XML_LENGTH = 0xe0,
	KOLY_SIGNATURE_OFFSET = 0x128,
	KOLY_SIGNATURE_LENGTH = 0x130,
	KOLY_MASTER_SUM = 0x160,
	KOLY_VARIANT = 0x1e8, /* 1: a device with a partition map, 2: one partition */
	KOLY_SECTORS = 0x1ec,
};

enum {
	KOLY_FLATTENED = 1,
	KOLY_INTERNET_ENABLED = 4,
};

/* A checksum: type and size in bits, 4 bytes each, and 128 bytes for it. */
#define SUM_BYTES 136u
enum {
	SUM_NONE = 0,
	SUM_CRC32 = 2,
};

/* A table. */
#define MISH_SIZE  204u
#define MISH_MAGIC "mish"
enum {
	MISH_VERSION = 0x4,
	MISH_FIRST = 0x8, /* sector of the disk */
	MISH_NR_SECTORS = 0x10,
	MISH_DATA_OFFSET = 0x18, /* to add to that of each chunk */
	MISH_BUFFERS = 0x20,     /* sectors of memory that decoding needs */
	MISH_DESCRIPTOR = 0x24,
	MISH_SUM = 0x40,
	MISH_NR_CHUNKS = 0xc8,
};

/* A chunk. */
#define CHUNK_SIZE 40u
enum {
	CHUNK_TYPE = 0,
	CHUNK_COMMENT = 4,
	CHUNK_FIRST = 8, /* sector of the table */
	CHUNK_NR_SECTORS = 16,
	CHUNK_OFFSET = 24,
	CHUNK_LENGTH = 32,
};

enum {
	TYPE_ZERO = 0,
	TYPE_RAW = 1,
	TYPE_IGNORE = 2, /* nothing is promised of it; reads as zeros */
	TYPE_COMMENT = 0x7ffffffe,
	TYPE_FIRST_CODEC = (int)0x80000004,
	TYPE_TERMINATOR = -1,
};

/* How the bytes of a chunk are stored. */
enum dmg_kind {
	DMG_ZERO,
	DMG_IGNORE,
	DMG_GAP, /* of the driver: between chunks that do not follow each other */
	DMG_RAW,
	DMG_ADC, /* from here on in the order of the types from TYPE_FIRST_CODEC on */
	DMG_ZLIB,
	DMG_BZIP2,
	DMG_LZFSE,
	DMG_LZMA,
	DMG_NR_KINDS
};

static inline bool
dmg_is_stored(enum dmg_kind kind)
{
	return kind >= DMG_RAW;
}

/* What hdiutil calls an image of the kind, "UDZO"; and the compression, "zlib". */
const char *dmg_kind_code(enum dmg_kind kind);
const char *dmg_kind_name(enum dmg_kind kind);
const struct pl_decoder *dmg_decoder(enum dmg_kind kind); /* NULL: stored as it is */

struct dmg_sum {
	uint32_t type, bits;
	uint32_t crc; /* SUM_CRC32 */
};

struct dmg_sum dmg_sum_decode(const uint8_t bytes[static SUM_BYTES]);
/* "CRC-32 1a52db4e", "none", or the number of a type that is not known. */
char *dmg_sum_text(const struct dmg_sum *sum, char ret[static 32]);

struct dmg_koly {
	uint64_t at; /* byte of the file where it stands */
	uint32_t flags, segment, segments, variant;
	uint64_t running, data_offset, data_length, rsrc_offset, rsrc_length;
	uint64_t xml_offset, xml_length, signature_offset, signature_length, sectors;
	uint8_t id[16];
	struct dmg_sum data_sum, master_sum;
	bool list_moved; /* the property list is not where the trailer says, but behind the data */
};

/* Is there a trailer in these bytes? */
bool dmg_is_koly(const uint8_t bytes[static KOLY_SIZE]);
/* Find it and check what it says against the file.  -EUCLEAN: there is none. */
int dmg_koly_read(struct pl_disk *file, struct dmg_koly *ret, struct platter_error *err);

struct dmg_chunk {
	uint64_t sector; /* of the disk; it ends where the next one of its table begins */
	uint64_t offset; /* in the data fork */
	uint32_t stored; /* bytes, of those that are decoded */
	uint8_t kind;
};

struct dmg_table {
	char *name; /* UTF-8, fit to print; owned */
	uint64_t first, nr_sectors;
	uint64_t at; /* byte of the file where it is told of */
	int32_t descriptor;
	struct dmg_sum sum;
	size_t first_chunk, nr_chunks;
};

/* All tables, in the order of the property list. */
struct dmg_tables {
	struct dmg_table *list;
	size_t nr, room;
	struct dmg_chunk *chunks;
	size_t nr_chunks, chunk_room;
	size_t *order; /* indexes of those that have sectors, by their first */
	size_t nr_ordered;
	uint64_t nr_sectors;  /* where the last one ends */
	uint64_t gap_sectors; /* that nothing tells of, before that */
	uint64_t stored_end;  /* of the stored chunks, in the data fork */
	unsigned kinds;       /* bit of each that occurs */
};

void dmg_tables_done(struct dmg_tables *t);

/* A table being decoded from its bytes, however they come in pieces. */
struct dmg_table_reader {
	struct dmg_tables *tables;
	uint64_t fork_size; /* bytes that the chunks may be stored in */
	struct dmg_table table;
	uint64_t data_offset;
	uint8_t buf[MISH_SIZE];
	size_t have, wanted;
	uint64_t number;    /* chunks so far */
	uint64_t nr_chunks; /* that it says it has */
	uint64_t next;      /* sector, of the disk, that no chunk has told of */
	bool terminated;
};

/* `at`: where the table begins, for what is wrong in it. */
void dmg_table_begin(struct dmg_table_reader *r, struct dmg_tables *t, uint64_t fork_size,
		     uint64_t at);
int dmg_table_feed(struct dmg_table_reader *r, const uint8_t *bytes, size_t n,
		   struct platter_error *err);
/* It is whole: add it to the tables.  Takes `name` (malloc()ed, or NULL), also when it fails. */
int dmg_table_end(struct dmg_table_reader *r, char *name, struct platter_error *err);

/* All are there: put them in order.  -EUCLEAN: two overlap. */
int dmg_tables_order(struct dmg_tables *t, struct platter_error *err);

/* The table and chunk that hold a sector; false: neither does, up to *ret_end. */
bool dmg_find(const struct dmg_tables *t, uint64_t sector, const struct dmg_table **ret_table,
	      const struct dmg_chunk **ret_chunk, uint64_t *ret_end);
/* Where a chunk of the table ends. */
uint64_t dmg_chunk_end(const struct dmg_tables *t, const struct dmg_table *table,
		       const struct dmg_chunk *chunk);

/* A small resource that is kept as it is: the parts of a licence agreement. */
struct dmg_resource {
	char type[5];
	int id;
	uint8_t *bytes;
	size_t n;
};

struct dmg_resources {
	struct dmg_resource *list;
	size_t nr;
	size_t bytes; /* of all */
	bool ndif;    /* there is a block map of NDIF, `bcem` */
};

void dmg_resources_done(struct dmg_resources *r);
bool dmg_resource_is_kept(const char *type);
/* Keep a copy; those past a sum of 4 MiB are dropped. */
int dmg_resource_add(struct dmg_resources *r, const char *type, int id, const uint8_t *bytes,
		     size_t n, struct platter_error *err);
/* The licence agreement in the language that is the default, UTF-8, or NULL; to be freed. */
char *dmg_license(const struct dmg_resources *r);

/* Resources from the property list, or from the resource fork. */
int dmg_read_plist(struct pl_disk *file, const struct dmg_koly *koly, uint64_t fork_size,
		   struct dmg_tables *tables, struct dmg_resources *resources,
		   struct platter_error *err);
int dmg_read_resource_fork(struct pl_disk *file, const struct dmg_koly *koly, uint64_t fork_size,
			   struct dmg_tables *tables, struct dmg_resources *resources,
			   struct platter_error *err);

struct dmg_segment {
	uint64_t end; /* of its data fork, in all of them */
	struct dmg_sum data_sum;
};

/*
 * The data forks of an image in segments, one after the other, as a disk, and what the trailer of
 * each says, malloc()ed.  `file` is the first segment; the others stand beside it.
 */
int dmg_join_segments(const struct pl_open_request *request, const struct dmg_koly *koly,
		      struct pl_disk **ret, struct dmg_segment **ret_segments,
		      struct platter_error *err);

struct dmg {
	struct pl_disk disk;
	struct pl_disk *file;
	struct pl_disk *fork; /* holds the data fork, from `fork_base` on */
	uint64_t fork_base, fork_length;
	struct dmg_segment *segments; /* of koly.segments, or NULL: there is one file */
	struct dmg_koly koly;
	struct dmg_tables tables;
	struct dmg_resources resources;
	bool is_signed;
	bool raw; /* there are no tables: the data fork is the disk */
};

static inline struct dmg *
dmg_of(struct pl_disk *disk)
{
	return pl_container_of(disk, struct dmg, disk);
}

void dmg_describe(struct pl_disk *disk, struct pl_facts *facts);
int dmg_check(struct pl_disk *disk, struct pl_findings *findings, struct platter_error *err);
int dmg_create(const struct pl_create_request *request, struct pl_writer **ret,
	       struct platter_error *err);
void dmg_options_of(struct pl_disk *disk, struct pl_option_list *ret);
extern const struct platter_option_info dmg_options[];

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* udf.h - what the files of the UDF driver share */
#ifndef PL_UDF_H
#define PL_UDF_H

#include "volume.h"

/* Blocks of 512 to 4096 are written; the specification has no limit. */
#define UDF_MAX_BLOCK KIB(32)

enum udf_tag {
	TAG_PRIMARY = 1,
	TAG_ANCHOR = 2,
	TAG_POINTER = 3,
	TAG_IMPLEMENTATION = 4,
	TAG_PARTITION = 5,
	TAG_LOGICAL = 6,
	TAG_UNALLOCATED = 7,
	TAG_TERMINATOR = 8,
	TAG_INTEGRITY = 9,
	TAG_FILE_SET = 256,
	TAG_FILE_IDENTIFIER = 257,
	TAG_ALLOCATION_EXTENT = 258,
	TAG_INDIRECT = 259,
	TAG_FILE = 261,
	TAG_ATTRIBUTES = 262,
	TAG_UNALLOCATED_SPACE = 263,
	TAG_SPACE_BITMAP = 264,
	TAG_EXTENDED_FILE = 266,
};

enum udf_file_type {
	UDF_FOLDER = 4,
	UDF_FILE = 5,
	UDF_BLOCK_DEVICE = 6,
	UDF_CHARACTER_DEVICE = 7,
	UDF_FIFO = 9,
	UDF_SOCKET = 10,
	UDF_SYMLINK = 12,
	UDF_STREAM_FOLDER = 13,
	UDF_VAT = 248,
	UDF_REAL_TIME_FILE = 249,
};

/* A block of a partition, by the number of the partition's map: long_ad of ECMA-167 4/14.14.2. */
struct udf_address {
	uint32_t length, block;
	uint16_t map;
};

/* Bytes and sector: extent_ad of 3/7.1. */
struct udf_extent {
	uint32_t length, sector;
};

struct udf_spare {
	uint32_t original, mapped; /* first blocks of packets; of the partition, of the disk */
};

enum udf_map_kind {
	MAP_PHYSICAL,
	MAP_VIRTUAL,
	MAP_SPARABLE,
	MAP_METADATA,
	MAP_UNKNOWN, /* of a kind, or on a volume, that is not read */
};

struct udf_map {
	enum udf_map_kind kind;
	uint16_t partition; /* its number */
	unsigned base;      /* virtual, metadata: the map of the same partition below */
	uint64_t start;     /* byte of the disk */
	uint32_t nr_blocks; /* of the partition below */
	/* virtual */
	struct pl_disk *vat;
	struct pl_meta *vat_cache;
	uint32_t vat_header, nr_virtual;
	/* sparable */
	uint32_t packet_blocks;
	struct udf_spare *spare; /* in the order of `original` */
	unsigned nr_spares;
	/* metadata: the files that it and its copy are; empty: damaged */
	uint32_t metadata_block, mirror_block;
	struct pl_runs metadata, mirror;
};

#define UDF_MAX_MAPS       16
#define UDF_MAX_PARTITIONS 16
#define UDF_DESCRIPTOR     512 /* bytes of a descriptor that say something */

struct udf_partition {
	uint32_t sequence;
	uint16_t number;
	uint32_t access, start, nr_blocks;           /* in sectors */
	struct udf_extent space_table, space_bitmap; /* `sector`: block of the partition */
};

/* What a volume descriptor sequence says. */
struct udf_sequence {
	bool has_primary, has_logical;
	uint8_t primary[UDF_DESCRIPTOR];
	uint8_t *logical; /* of a sector */
	struct udf_partition partition[UDF_MAX_PARTITIONS];
	unsigned nr_partitions;
};

struct udf {
	struct pl_volume volume;
	uint32_t sector_size, block_size;
	uint32_t anchor, last_anchor; /* sectors: that was followed, that was found */
	struct udf_extent main, reserve;
	struct udf_sequence seq;
	struct udf_map map[UDF_MAX_MAPS];
	unsigned nr_maps;
	struct udf_address root, system_streams;
	uint16_t revision;
	/* of the integrity descriptor */
	bool has_integrity, is_closed;
	struct udf_extent integrity;
	uint64_t free_blocks; /* UINT64_MAX: not known */
	uint32_t nr_files, nr_folders;
	uint16_t min_read, min_write, max_write;
	struct platter_time integrity_time, file_set_time;
};

static inline struct udf *
udf_of(struct pl_volume *v)
{
	return pl_container_of(v, struct udf, volume);
}

static inline struct udf_address
udf_address_at(const uint8_t *p)
{
	return (struct udf_address){ get_le32(p), get_le32(p + 4), get_le16(p + 8) };
}

static inline struct udf_extent
udf_extent_at(const uint8_t *p)
{
	return (struct udf_extent){ get_le32(p), get_le32(p + 4) };
}

/* --- descriptor.c */

/*
 * Is `d`, of which n bytes are there, a descriptor of this kind (0: any) at this block?
 * Checksum, CRC and place must match, unless checksums are ignored: then the kind alone.
 */
int pl_udf_check_tag(const struct udf *fs, const uint8_t *d, size_t n, unsigned tag, uint32_t block,
		     uint64_t at, struct platter_error *err);

/* Anchor, volume descriptors: everything of `fs` up to `seq`. */
int pl_udf_read_sequences(struct udf *fs, struct platter_error *err);

/* Twelve bytes (1/7.3); those of no known zone are taken as UTC. */
struct platter_time pl_udf_time(const uint8_t t[static 12]);

/*
 * Characters of CS0, compression first (OSTA UDF 2.1.1), as UTF-8: `out` has room for 3 * n.
 * Returns the bytes; 0 if they are none.
 */
size_t pl_udf_name(const uint8_t *s, size_t n, char *out);
/* A dstring of `size` bytes, malloc()ed, fit to print; NULL: no memory. */
char *pl_udf_text(const uint8_t *s, size_t size);

/* --- partition.c */

int pl_udf_read_maps(struct udf *fs, struct platter_error *err);
void pl_udf_maps_done(struct udf *fs);

/*
 * Byte of the disk of a block of a map, and how many bytes from there are those of this and
 * the following blocks.  `mirror`: by the copy of the metadata file.
 */
int pl_udf_translate(const struct udf *fs, unsigned map, uint32_t block, bool mirror,
		     uint64_t *ret_at, uint64_t *ret_length, struct platter_error *err);

/* --- icb.c: file entries */

struct udf_icb {
	uint64_t at; /* byte of the disk */
	unsigned map;
	uint8_t type;
	uint16_t flags, links;
	uint32_t uid, gid, permissions;
	uint64_t size, nr_blocks, unique;
	struct platter_time modified, accessed, changed, created;
	struct udf_address streams;
	uint32_t major, minor;    /* of the attributes */
	uint32_t ads, ads_length; /* allocation descriptors, in `bytes` */
	uint8_t *bytes;           /* the whole block */
};

int pl_udf_read_icb(const struct udf *fs, unsigned map, uint32_t block, struct udf_icb *ret,
		    struct platter_error *err);
void pl_udf_icb_done(struct udf_icb *icb);

/* Where the contents are, up to the size.  *ret starts from {0}; released on failure. */
int pl_udf_runs(const struct udf *fs, const struct udf_icb *icb, struct pl_runs *ret,
		struct platter_error *err);

/* n bytes of the contents, through the cache. */
int pl_udf_read(const struct udf *fs, const struct pl_runs *runs, void *buf, size_t n,
		uint64_t offset, struct platter_error *err);

/* --- folder.c */

struct udf_entry {
	uint8_t characteristics;
	const uint8_t *name; /* CS0 */
	size_t name_length;
	struct udf_address icb;
};

enum udf_characteristics {
	ENTRY_HIDDEN = 1 << 0,
	ENTRY_FOLDER = 1 << 1,
	ENTRY_DELETED = 1 << 2,
	ENTRY_PARENT = 1 << 3,
};

typedef int udf_entry_fn(void *closure, const struct udf_entry *e, struct platter_error *err);

/* Every entry that is not deleted, not the parent; goes on behind damage. */
int pl_udf_each_entry(const struct udf *fs, const struct udf_icb *folder, udf_entry_fn *fn,
		      void *closure, struct platter_error *err);

/* --- space.c */

int pl_udf_used(struct pl_volume *v, struct pl_ranges *used, struct platter_error *err);

/* --- volume.c */

int pl_udf_open(const struct pl_volume_request *request, struct pl_volume **ret,
		struct platter_error *err);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * vhdx.h - what the parts of the VHDX driver share: the on-disk layout
 *
 * Spec: Microsoft, [MS-VHDX].  All integers are little-endian; CRCs are CRC-32C over the
 * whole structure with their own field as zero.
 *
 *	     0  "vhdxfile", then the creator in UTF-16, 512 bytes
 *	 64 KiB  header 1	128 KiB  header 2
 *	192 KiB  region table 1	256 KiB  region table 2
 *	  1 MiB  log, metadata and block allocation table (BAT) in any order, blocks
 *
 *	offset  size  header field (4096 bytes)
 *	     0     4  "head"
 *	     4     4  CRC
 *	     8     8  sequence number: the larger one counts
 *	    16    16  FileWriteGuid
 *	    32    16  DataWriteGuid
 *	    48    16  LogGuid, zero: the log is empty
 *	    64     2  log version, 0
 *	    66     2  version, 1
 *	    68     4  log length
 *	    72     8  log offset
 *
 *	offset  size  region table field (64 KiB)
 *	     0     4  "regi"
 *	     4     4  CRC
 *	     8     4  entries, of 32 bytes from byte 16 on: GUID, offset u64, length u32,
 *		      1 if it must be known
 *
 *	offset  size  metadata table field (the first 64 KiB of its region)
 *	     0     8  "metadata"
 *	    10     2  entries, of 32 bytes from byte 32 on: GUID, offset u32 in the region,
 *		      length u32, flags: 1 user's, 2 of the disk, 4 must be known
 *
 * A BAT entry has a state in bits 0..2 and a number of MiB in bits 20..63.  After every
 * R = 2^23 * logical sector / block size entries of blocks comes one of a sector bitmap of
 * 1 MiB, least significant bit first, which partially present blocks refer to.
 */
#ifndef PL_VHDX_H
#define PL_VHDX_H

#include "format.h"

#define VHDX_HEADER_1    KIB(64)
#define VHDX_HEADER_2    KIB(128)
#define VHDX_REGIONS_1   KIB(192)
#define VHDX_REGIONS_2   KIB(256)
#define VHDX_HEADER_SIZE 4096u
#define VHDX_TABLE_SIZE  65536u
/* Where everything else may lie, in which units. */
#define VHDX_UNIT        MIB(1)
#define VHDX_MAX_SIZE    TIB(64)
#define VHDX_MAX_ENTRIES 2047u
#define VHDX_BITMAP_BITS (1u << 23)

enum {
	VHDX_CRC = 4, /* of headers, region tables and log entries */
	VHDX_SEQUENCE = 8,
	VHDX_FILE_WRITE_GUID = 16,
	VHDX_DATA_WRITE_GUID = 32,
	VHDX_LOG_GUID = 48,
	VHDX_LOG_VERSION = 64,
	VHDX_VERSION = 66,
	VHDX_LOG_LENGTH = 68,
	VHDX_LOG_OFFSET = 72,
};

/* File parameters. */
#define VHDX_LEAVE_ALLOCATED 1u
#define VHDX_HAS_PARENT      2u
/* Metadata entries. */
#define VHDX_META_USER     1u
#define VHDX_META_DISK     2u
#define VHDX_META_REQUIRED 4u

enum vhdx_state {
	VHDX_NOT_PRESENT = 0,
	VHDX_UNDEFINED = 1,
	VHDX_ZERO = 2,
	VHDX_UNMAPPED = 3,
	VHDX_UNMAPPED_V095 = 5, /* before the specification was final */
	VHDX_FULLY_PRESENT = 6,
	VHDX_PARTIALLY_PRESENT = 7,
};
#define VHDX_STATE_MASK    7u
#define VHDX_RESERVED_MASK 0xffff8u
#define VHDX_OFFSET_MASK   (~(uint64_t)0xfffff)

struct vhdx_header {
	uint64_t at; /* which of the two it is */
	uint64_t sequence;
	uint8_t data_write_guid[16], log_guid[16];
	uint32_t log_length;
	uint64_t log_offset;
};

struct vhdx_region {
	uint64_t offset, length; /* length 0: not there */
};

/* What is not as it should be. */
enum vhdx_damage {
	VHDX_HEADER_LOST = 1 << 0,    /* one of the headers cannot be read: normal after a crash */
	VHDX_HEADERS_DIFFER = 1 << 1, /* both say they are the current one */
	VHDX_REGIONS_LOST = 1 << 2,   /* one of the region tables is damaged */
	VHDX_REGIONS_DIFFER = 1 << 3,
	VHDX_LOG_EMPTY = 1 << 4,   /* a log that is not marked as empty has no whole entry */
	VHDX_CRC_IGNORED = 1 << 5, /* neither copy of something is sound: only to rescue data */
};

/* What the metadata says, and the tables that lead to it. */
struct vhdx_info {
	struct vhdx_header header;
	struct vhdx_region bat, metadata;
	bool other_regions;  /* there are more, which need not be known */
	uint64_t regions_at; /* the region table that was taken */
	char *creator;
	uint32_t block_size;
	uint32_t flags;         /* VHDX_LEAVE_ALLOCATED, VHDX_HAS_PARENT */
	uint64_t size, size_at; /* of the disk; where the file says so */
	uint32_t sector_size, physical_sector_size;
	uint8_t disk_id[16];

	/* Of the parent locator; NULL: not there. */
	char *linkage, *linkage2, *relative_path, *volume_path, *absolute_path;
	uint64_t locator_at;

	uint32_t chunk_ratio;
	uint64_t nr_blocks, nr_entries; /* entries of the BAT that are needed */
	unsigned damage;
};

/* CRC-32C of n bytes whose CRC field is at byte 4. */
uint32_t pl_vhdx_crc(const uint8_t *bytes, size_t n);

static inline bool
vhdx_is_zero_guid(const uint8_t *guid)
{
	return pl_is_zero(guid, 16);
}

/* header.c: file identifier and the current header, straight from the file. */
int pl_vhdx_header_read(struct pl_disk *file, unsigned flags, struct vhdx_info *info,
			struct platter_error *err);
/*
 * Make a header the current one, and then the other too, on stable storage: with new GUIDs for
 * what `changes` says, with h->log_guid, otherwise as it was.
 */
#define VHDX_CHANGES_FILE 1u /* FileWriteGuid: before the first change in a session */
#define VHDX_CHANGES_DATA 2u /* DataWriteGuid: before the first that a guest sees */
int pl_vhdx_header_update(struct pl_disk *file, struct vhdx_header *h, unsigned changes,
			  struct platter_error *err);
/* The same with this DataWriteGuid. */
int pl_vhdx_header_name(struct pl_disk *file, struct vhdx_header *h,
			const uint8_t data_write_guid[static 16], struct platter_error *err);
/* metadata.c: regions and metadata, from the file as the log leaves it. */
int pl_vhdx_metadata_read(struct pl_disk *file, unsigned flags, struct vhdx_info *info,
			  struct platter_error *err);
/*
 * Make both region tables like the one that was taken, but with the BAT at `bat`: if that is
 * where it was, in the file itself, as the sound copy stays so; otherwise through the log.
 */
int pl_vhdx_write_regions(struct pl_disk *file, const struct vhdx_info *info,
			  const struct vhdx_region *bat, struct platter_error *err);
/* Blocks and entries of the BAT that follow from the sizes and flags. */
void pl_vhdx_count_entries(struct vhdx_info *info);
void pl_vhdx_info_done(struct vhdx_info *info);

/*
 * log.c: the file as it is once the log has been replayed, which is done in memory.  *ret is
 * a new reference to `file` itself if there is nothing to do.  *ret_nr is the number of log
 * entries.
 */
int pl_vhdx_replay(struct pl_disk *file, struct vhdx_info *info, struct pl_disk **ret,
		   size_t *ret_nr, struct platter_error *err);
/* Bring into the file what pl_vhdx_replay() laid over it, if anything, on stable storage. */
int pl_vhdx_replay_in_place(struct pl_disk *stored, struct platter_error *err);

/*
 * locator.c: a parent locator in `bytes`, that are zero: *ret_n of them.  And another one in
 * the metadata `region` of a file whose log is empty.
 */
struct pl_parent_paths;
int pl_vhdx_locator_build(const uint8_t *write_guid, const struct pl_parent_paths *paths,
			  uint8_t *bytes, uint32_t room, uint32_t *ret_n,
			  struct platter_error *err);
int pl_vhdx_relink(struct pl_disk *file, const struct vhdx_region *region,
		   const uint8_t *write_guid, const struct pl_parent_paths *paths,
		   struct platter_error *err);

/* What is known of an open disk of this format; NULL if it is another's. */
const struct vhdx_info *pl_vhdx_info_of(struct pl_disk *disk);

extern const uint8_t pl_vhdx_guid_bat[16], pl_vhdx_guid_metadata[16];
extern const uint8_t pl_vhdx_guid_parameters[16], pl_vhdx_guid_size[16], pl_vhdx_guid_id[16];
extern const uint8_t pl_vhdx_guid_sector[16], pl_vhdx_guid_physical[16];
extern const uint8_t pl_vhdx_guid_locator[16], pl_vhdx_guid_locator_type[16];

/* writer.c */
int pl_vhdx_create(const struct pl_create_request *request, struct pl_writer **ret,
		   struct platter_error *err);
extern const struct platter_option_info pl_vhdx_options[];

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * vhd.h - what the parts of the VHD driver share: the on-disk layout
 *
 * Spec: Microsoft, "Virtual Hard Disk Image Format Specification" 1.0, 2006.  All integers
 * are big-endian.
 *
 *	offset  size  footer field (the last 512 bytes of the file)
 *	     0     8  cookie, "conectix"
 *	     8     4  features: 1 temporary, 2 always set
 *	    12     4  format version, 0x00010000
 *	    16     8  offset of the dynamic header, all ones for a fixed disk
 *	    24     4  seconds since 2000-01-01 00:00 UTC
 *	    28     4  creator application
 *	    32     4  creator version
 *	    36     4  creator host, "Wi2k" or "Mac "
 *	    40     8  original size of the disk
 *	    48     8  current size of the disk
 *	    56     4  geometry: cylinders u16, heads u8, sectors a track u8
 *	    60     4  disk type: 2 fixed, 3 dynamic, 4 differencing
 *	    64     4  checksum: one's complement of the sum of the bytes, this field as zero
 *	    68    16  UUID
 *	    84     1  saved state
 *
 *	offset  size  dynamic header field
 *	     0     8  cookie, "cxsparse"
 *	     8     8  all ones
 *	    16     8  offset of the block allocation table
 *	    24     4  version, 0x00010000
 *	    28     4  entries of the table
 *	    32     4  block size, a power of two
 *	    36     4  checksum of the 1024 bytes
 *	    40    16  UUID of the parent
 *	    56     4  timestamp of the parent
 *	    64   512  name of the parent, UTF-16
 *	   576   192  eight parent locators
 *
 *	offset  size  parent locator field
 *	     0     4  platform code: W2ru relative path, W2ku absolute path, UTF-16LE
 *	     4     4  room for the data: in sectors, or as many write it in bytes
 *	     8     4  bytes of the data
 *	    16     8  offset of the data
 *
 * A table entry is the sector where a block begins, all ones if it is not there.  A block
 * is a bitmap of its sectors, most significant bit first, padded to a sector, then the data.
 */
#ifndef PL_VHD_H
#define PL_VHD_H

#include "format.h"

#define VHD_FOOTER_SIZE  512u
#define VHD_HEADER_SIZE  1024u
#define VHD_VERSION_1    0x00010000u
#define VHD_NR_LOCATORS  8u
#define VHD_LOCATOR_SIZE 24u
#define VHD_NO_BLOCK     0xffffffffu
/* Timestamps count from 2000-01-01. */
#define VHD_EPOCH 946684800
/* What geometry can say at most. */
#define VHD_MAX_CHS (65535ull * 16 * 255)
/* Of Microsoft's documentation; what Virtual PC and Hyper-V attach. */
#define VHD_MAX_SIZE GIB(2040)

enum {
	VHD_FEATURES = 8,
	VHD_VERSION = 12,
	VHD_DATA_OFFSET = 16,
	VHD_TIMESTAMP = 24,
	VHD_CREATOR = 28,
	VHD_CREATOR_VERSION = 32,
	VHD_CREATOR_HOST = 36,
	VHD_ORIGINAL_SIZE = 40,
	VHD_CURRENT_SIZE = 48,
	VHD_GEOMETRY = 56,
	VHD_DISK_TYPE = 60,
	VHD_CHECKSUM = 64,
	VHD_UUID = 68,
	VHD_SAVED_STATE = 84,
};

enum {
	VHD_TABLE_OFFSET = 16,
	VHD_HEADER_VERSION = 24,
	VHD_MAX_ENTRIES = 28,
	VHD_BLOCK_SIZE = 32,
	VHD_HEADER_CHECKSUM = 36,
	VHD_PARENT_UUID = 40,
	VHD_PARENT_TIME = 56,
	VHD_PARENT_NAME = 64,
	VHD_LOCATORS = 576,
};
#define VHD_PARENT_NAME_UNITS 256u

enum vhd_type {
	VHD_FIXED = 2,
	VHD_DYNAMIC = 3,
	VHD_DIFFERENCING = 4
};

struct vhd_footer {
	uint32_t features;
	uint64_t data_offset;
	uint32_t timestamp;
	char creator[5]; /* fit to print */
	uint32_t creator_version;
	char creator_host[5];
	uint64_t original_size, current_size;
	uint16_t cylinders;
	uint8_t heads, sectors;
	uint32_t type; /* enum vhd_type once it was checked */
	uint8_t uuid[16];
	uint8_t saved_state;
};

/* What is not as it should be at the ends of the file. */
enum vhd_damage {
	VHD_TAIL_MISSING = 1 << 0, /* no footer at the end */
	VHD_TAIL_SUM = 1 << 1,     /* its checksum is wrong */
	VHD_TAIL_SHORT = 1 << 2,   /* it has 511 bytes */
	VHD_COPY_MISSING = 1 << 3, /* no copy of it at the start, of a disk that is not fixed */
	VHD_COPY_SUM = 1 << 4,     /* its checksum is wrong */
	VHD_COPY_DIFFERS = 1 << 5, /* both are sound, and not the same */
	VHD_HEADER_SUM = 1 << 6,   /* the checksum of the dynamic header is wrong */
};

/* Sum over a footer or dynamic header of n bytes, whose checksum field is at `field`. */
uint32_t pl_vhd_checksum(const uint8_t *bytes, size_t n, size_t field);

/*
 * Find and check the footer: the one at the end, or if that is damaged, its copy at the
 * start.  *ret_at is where it stands, *ret_end where the file's data ends, *ret_damage bits of
 * enum vhd_damage.
 */
int pl_vhd_footer_read(struct pl_disk *file, unsigned flags, struct vhd_footer *ret,
		       uint64_t *ret_at, uint64_t *ret_end, unsigned *ret_damage,
		       struct platter_error *err);

/* Bytes of the disk as its geometry has it. */
static inline uint64_t
vhd_chs_size(const struct vhd_footer *f)
{
	return (uint64_t)f->cylinders * f->heads * f->sectors * 512;
}

/* The geometry that the specification's appendix gives a disk of so many bytes. */
void pl_vhd_geometry(uint64_t size, struct vhd_footer *ret);

/* `bytes` is filled wholly, checksum included. */
void pl_vhd_footer_encode(const struct vhd_footer *f, uint8_t bytes[static VHD_FOOTER_SIZE]);

/* The footer of an open disk of this format; NULL if it is another's. */
const struct vhd_footer *pl_vhd_footer_of(struct pl_disk *disk);

/* relink.c: give the dynamic or differencing disk in `file` another parent, NULL: none. */
struct pl_parent_paths;
struct pl_str;
int pl_vhd_relink(struct pl_disk *file, const struct vhd_footer *parent,
		  const struct pl_parent_paths *paths, struct platter_error *err);

/*
 * The parent's fields of a dynamic header, where they are zero.  *ret_stored: its paths, whole
 * sectors that go to byte `at` of the file.
 */
int pl_vhd_put_parent(const struct vhd_footer *parent, const struct pl_parent_paths *paths,
		      uint64_t at, uint8_t header[static VHD_HEADER_SIZE],
		      struct pl_str *ret_stored, struct platter_error *err);

/* writer.c */
int pl_vhd_create(const struct pl_create_request *request, struct pl_writer **ret,
		  struct platter_error *err);
extern const struct platter_option_info pl_vhd_options[];

#endif

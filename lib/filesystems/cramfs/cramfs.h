/* SPDX-License-Identifier: GPL-3.0-or-later */
/* cramfs.h - what the files of the cramfs driver share */
#ifndef PL_CRAMFS_H
#define PL_CRAMFS_H

#include "volume.h"

#define CRAMFS_MAGIC     0x28cd3d45
#define CRAMFS_SIGNATURE "Compressed ROMFS"

/* The superblock may leave room for a boot sector. */
#define CRAMFS_SHIFTED 512

enum {
	SB_MAGIC = 0,
	SB_BYTES = 4,
	SB_FLAGS = 8,
	SB_SIGNATURE = 16,
	SB_CRC = 32,
	SB_EDITION = 36,
	SB_FILES = 44,
	SB_LABEL = 48,
	SB_ROOT = 64, /* its inode */
	SB_SIZE = 76,
};

enum {
	FLAG_VERSION_2 = 0x1,
	FLAG_KNOWN = 0xff | 0x100 /* holes */ | 0x200 | 0x400 /* shifted root */ |
		     0x800 /* block pointers with flags */,
};

static inline uint32_t
cramfs_word(bool big_endian, const uint8_t *b)
{
	return big_endian ? get_be32(b) : get_le32(b);
}

static inline bool
cramfs_is_superblock(const uint8_t *sb)
{
	return (get_be32(sb) == CRAMFS_MAGIC || get_le32(sb) == CRAMFS_MAGIC) &&
	       !memcmp(sb + SB_SIGNATURE, CRAMFS_SIGNATURE, 16);
}

int pl_cramfs_open(const struct pl_volume_request *request, struct pl_volume **ret,
		   struct platter_error *err);

#endif

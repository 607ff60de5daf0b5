/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * corestorage/identify.c - the header of a physical volume of Apple's Core Storage, which
 * FileVault 2 is built on, little-endian, at byte 0
 */
#include "checksums.h"
#include "superblock.h"

enum {
	CS_CHECKSUM = 0,
	CS_SEED = 4,
	CS_VERSION = 8,
	CS_TYPE = 10,
	CS_SIZE = 64,
	CS_MAGIC = 88,
	CS_ALGORITHM = 90,
	CS_BLOCK_SIZE = 96,
	CS_UUID = 304
};
enum {
	TYPE_VOLUME_HEADER = 0x10,
	ALGORITHM_CRC32C = 1
};

static int
corestorage_identify(struct pl_disk *disk, struct pl_content *c, struct platter_error *err)
{
	const uint8_t *h = c->head;

	if (memcmp(h + CS_MAGIC, "CS", 2) || get_le16(h + CS_VERSION) != 1 ||
	    get_le16(h + CS_TYPE) != TYPE_VOLUME_HEADER ||
	    get_le32(h + CS_ALGORITHM) != ALGORITHM_CRC32C)
		return -ENOENT;
	c->evidence = 16 + 16 + 16 + 32;
	pl_super_checksum(c, pl_crc32c_raw(get_le32(h + CS_SEED), h + 8, 512 - 8) ==
				     get_le32(h + CS_CHECKSUM));
	pl_super_uuid(c, h + CS_UUID);
	pl_super_size(disk, c, 0, get_le64(h + CS_SIZE), 1);
	c->content.block_size = get_le32(h + CS_BLOCK_SIZE);
	return 0;
}

const struct pl_content_driver pl_content_corestorage = {
	.info = { .name = "cs_fvault2", .longname = "Apple Core Storage (FileVault 2)" },
	.usage = "crypto",
	.identify = corestorage_identify,
};

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * bitlocker/identify.c - the boot sector of BitLocker, little-endian, in its three shapes,
 * and the metadata that it points to
 *
 *	jump      OEM name    since           metadata offsets at
 *	EB 52 90  -FVE-FS-    Vista           56, one, in clusters
 *	EB 58 90  -FVE-FS-    7               176
 *	EB 58 90  MSWIN4.1    7, To Go        440, behind a GUID at 424
 */
#include "superblock.h"
#include "text.h"

enum {
	BOOT_SECTOR_SIZE = 11,
	BOOT_CLUSTER_SECTORS = 13
};
enum {
	FVE_VERSION = 10,
	FVE_SIZE = 16,
	FVE_GUID = 80,
	FVE_METHOD = 100
};

static const uint8_t to_go_guid[16] = { 0x3b, 0xd6, 0x67, 0x49, 0x29, 0x2e, 0xd8, 0x4a,
					0x83, 0x99, 0xf6, 0xa3, 0x39, 0xe3, 0xd0, 0x01 };

/* Where the metadata is; 0: this is no BitLocker. */
static uint64_t
metadata_at(const uint8_t *boot, bool *ret_to_go)
{
	*ret_to_go = false;
	if (!memcmp(boot, "\xeb\x52\x90-FVE-FS-", 11))
		return (get_le64(boot + 56) & (UINT64_MAX >> 24)) * boot[BOOT_CLUSTER_SECTORS] *
		       get_le16(boot + BOOT_SECTOR_SIZE);
	if (!memcmp(boot, "\xeb\x58\x90-FVE-FS-", 11))
		return get_le64(boot + 176);
	*ret_to_go =
		!memcmp(boot, "\xeb\x58\x90MSWIN4.1", 11) && !memcmp(boot + 424, to_go_guid, 16);
	return *ret_to_go ? get_le64(boot + 440) : 0;
}

static const char *
method_name(uint16_t method)
{
	switch (method) {
	case 0x8000: return "AES-128-CBC with diffuser";
	case 0x8001: return "AES-256-CBC with diffuser";
	case 0x8002: return "AES-128-CBC";
	case 0x8003: return "AES-256-CBC";
	case 0x8004: return "AES-128-XTS";
	case 0x8005: return "AES-256-XTS";
	default: return NULL;
	}
}

static int
bitlocker_identify(struct pl_disk *disk, struct pl_content *c, struct platter_error *err)
{
	uint8_t m[128];
	char guid[PL_UUID_TEXT];
	bool to_go;
	uint64_t at = metadata_at(c->head, &to_go);
	const char *method;

	if (!at)
		return -ENOENT;
	c->evidence = to_go ? 88 + 128 : 88;
	if (to_go)
		c->content.longname = "BitLocker To Go encryption";
	if (!pl_super_read(disk, c, m, sizeof m, at, "its metadata"))
		return 0;
	if (memcmp(m, "-FVE-FS-", 8)) {
		pl_warn(&c->facts, "no metadata at byte %" PRIu64, at);
		return 0;
	}
	c->evidence += 64;
	if (get_le16(m + FVE_VERSION) >= 2)
		pl_super_size(disk, c, 0, get_le64(m + FVE_SIZE), 1);
	c->content.block_size = 0;
	pl_fact_number(&c->facts, "version", "version", get_le16(m + FVE_VERSION));
	method = method_name(get_le16(m + FVE_METHOD));
	if (method)
		pl_fact_text(&c->facts, "cipher", "cipher", "%s", method);
	pl_guid_text(m + FVE_GUID, guid);
	pl_fact_text(&c->facts, "volume_guid", "volume GUID", "%s", guid);
	return 0;
}

const struct pl_content_driver pl_content_bitlocker = {
	.info = { .name = "BitLocker", .longname = "BitLocker encryption" },
	.usage = "crypto",
	.identify = bitlocker_identify,
};

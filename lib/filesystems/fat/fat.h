/* SPDX-License-Identifier: GPL-3.0-or-later */
/* fat.h - what the files of the FAT driver share */
#ifndef PL_FAT_H
#define PL_FAT_H

#include <pthread.h>

#include "clusters.h"
#include "volume.h"

enum {
	FAT_OEM = 3,
	FAT_SECTOR_SIZE = 11,
	FAT_CLUSTER_SECTORS = 13,
	FAT_RESERVED = 14,
	FAT_FATS = 16,
	FAT_ROOT_ENTRIES = 17,
	FAT_SECTORS_16 = 19,
	FAT_MEDIA = 21,
	FAT_FAT_SIZE_16 = 22,
	FAT_HIDDEN = 28,
	FAT_SECTORS_32 = 32,
	FAT_FAT_SIZE_32 = 36,
	FAT_EXT_FLAGS = 40,
	FAT_VERSION = 42,
	FAT_ROOT_CLUSTER = 44,
	FAT_FSINFO = 48,
	FAT_BACKUP_BOOT = 50,
	FAT_SIGNATURE = 510,
	/* The extended part: behind the common fields, in FAT32 behind its own. */
	FAT_EXT_16 = 36,
	FAT_EXT_32 = 64,
	EXT_STATE = 1,
	EXT_BOOT_SIGNATURE = 2,
	EXT_SERIAL = 3,
	EXT_LABEL = 7,
	EXT_TYPE = 18,
};

#define FAT_BOOT_SIZE 512

struct fat_boot {
	uint32_t sector_size, cluster_sectors, reserved, fats, root_entries, fat_sectors, sectors;
	uint32_t root_cluster, fsinfo, backup_boot, hidden, version;
	int active;          /* the only FAT that is kept up to date; -1: all are the same */
	uint8_t state;       /* bit 0: dirty, bit 1: read errors; Windows and Linux keep it */
	uint32_t data_start; /* sector of cluster 2 */
	uint32_t clusters;   /* that there is room for */
	int bits;            /* 12, 16, 32 */
};

int pl_fat_boot_decode(const uint8_t boot[static FAT_BOOT_SIZE], struct fat_boot *ret,
		       struct platter_error *err);

/*
 * The copy of the boot sector that FAT32 has in sector 6, among the n bytes that the disk
 * begins with; NULL: there is none that can be trusted.
 */
const uint8_t *pl_fat_backup_boot(const uint8_t *head, size_t n, struct fat_boot *ret);

/* Where the first FAT begins. */
static inline uint64_t
fat_at(const struct fat_boot *b)
{
	return (uint64_t)b->reserved * b->sector_size;
}

/* ---- folders ---- */

#define FAT_ENTRY_SIZE 32

enum {
	ENTRY_ATTRIBUTES = 11,
	ENTRY_CASE = 12,
	ENTRY_CREATED_HUNDREDTHS = 13,
	ENTRY_CREATED_TIME = 14,
	ENTRY_CREATED_DATE = 16,
	ENTRY_ACCESSED_DATE = 18,
	ENTRY_CLUSTER_HIGH = 20,
	ENTRY_TIME = 22,
	ENTRY_DATE = 24,
	ENTRY_CLUSTER_LOW = 26,
	ENTRY_SIZE = 28,
	LONG_CHECKSUM = 13,
};

enum {
	ATTRIBUTE_READ_ONLY = 1,
	ATTRIBUTE_HIDDEN = 2,
	ATTRIBUTE_SYSTEM = 4,
	ATTRIBUTE_LABEL = 8,
	ATTRIBUTE_FOLDER = 16,
	ATTRIBUTE_ARCHIVE = 32,
	ATTRIBUTE_LONG_NAME = 15,
	ATTRIBUTE_MASK = 63,
};

#define ENTRY_DELETED 0xe5

/* 20 parts of 13 UTF-16 units make up the longest name. */
#define LONG_PARTS 20
#define PART_UNITS 13
#define MAX_UNITS  (LONG_PARTS * PART_UNITS)

#define MAX_SHORT_NAME (12 * 3 + 1)
#define MAX_FAT_NAME   (MAX_UNITS * 3 + 1)

/*
 * A node is named by where its entry is, a multiple of 32.  Bit 0 is set if it was deleted, or
 * is in a folder that was: then the table knows no clusters of it.
 */
#define FAT_ROOT        0
#define FAT_WAS_DELETED 1u

struct fat {
	struct pl_volume volume;
	struct fat_boot boot;
	struct pl_clusters clusters;
	const uint16_t *code_page; /* bytes 0x80-0xff of short names */
	bool backup;               /* opened by the copy of the boot sector */
	pthread_mutex_t lock;      /* guards `mapped`; what follows does not change after */
	bool mapped;
	struct pl_cluster_map map;
	uint64_t nr_bad;
};

/* The map of clusters in use, made when it is first wanted. */
int pl_fat_map(struct fat *f, struct platter_error *err);

static inline uint32_t
entry_cluster(const struct fat *f, const uint8_t *raw)
{
	return get_le16(raw + ENTRY_CLUSTER_LOW) |
	       (f->boot.bits == 32 ? (uint32_t)get_le16(raw + ENTRY_CLUSTER_HIGH) << 16 : 0);
}

/* A file or folder found in a folder; the pointers are valid during the call. */
struct fat_entry {
	const uint8_t *raw; /* its short entry */
	uint64_t at;
	const uint8_t *units; /* UTF-16 of its long name, NULL if it has none */
	size_t nr_units;
	bool deleted;
};
typedef int fat_entry_fn(void *closure, const struct fat_entry *entry, struct platter_error *err);

/*
 * Every file and folder in a folder; with `deleted` also what was deleted from it.  What
 * can be read is told, then the first error returned.
 */
int pl_fat_scan(struct fat *f, struct pl_node_id folder, bool deleted, fat_entry_fn *fn,
		void *closure, struct platter_error *err);

/* The short entry that names a node other than the root. */
int pl_fat_read_entry(struct fat *f, struct pl_node_id id, uint8_t raw[static FAT_ENTRY_SIZE],
		      struct platter_error *err);

/* The clusters of a folder. */
int pl_fat_folder_runs(struct fat *f, struct pl_node_id folder, struct pl_runs *runs,
		       struct pl_chain *ret_chain, uint32_t *ret_first, struct platter_error *err);

/* ---- names ---- */

extern const uint16_t pl_code_page_437[128], pl_code_page_850[128];

uint8_t pl_fat_checksum(const uint8_t name[static 11]);

/* The first letter that gives a name that sum. */
uint8_t pl_fat_first_letter(const uint8_t name[static 11], uint8_t sum);

/* UTF-8 of a short name, NUL-terminated; a lost first letter is '_'. */
size_t pl_fat_short_name(const struct fat *f, const uint8_t *raw, char out[static MAX_SHORT_NAME]);

/* The name that is shown: the long one if there is one. */
size_t pl_fat_name(const struct fat *f, const struct fat_entry *e, char out[static MAX_FAT_NAME]);

/* ---- files ---- */

/* What a short entry says of its file. */
int pl_fat_file(struct fat *f, const uint8_t *raw, struct pl_node_id id, struct platter_file *ret,
		struct platter_error *err);

/* Is it one that a system could have written? */
bool pl_fat_entry_is_plausible(const struct fat *f, const uint8_t *raw);

int pl_fat_deleted(struct pl_volume *v, pl_deleted_fn *fn, void *closure,
		   struct platter_error *err);

/* Short names in another code page than 437. */
extern const char *const pl_fat_views[];

int pl_fat_open(const struct pl_volume_request *request, struct pl_volume **ret,
		struct platter_error *err);

#endif

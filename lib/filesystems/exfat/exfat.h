/* SPDX-License-Identifier: GPL-3.0-or-later */
/* exfat.h - what the files of the exFAT driver share; names as in Microsoft's specification */
#ifndef PL_EXFAT_H
#define PL_EXFAT_H

#include <pthread.h>

#include "clusters.h"
#include "volume.h"

enum {
	EXFAT_NAME = 3,
	EXFAT_ZERO = 11,
	EXFAT_PARTITION_OFFSET = 64,
	EXFAT_SECTORS = 72,
	EXFAT_FAT_OFFSET = 80,
	EXFAT_FAT_LENGTH = 84,
	EXFAT_HEAP_OFFSET = 88,
	EXFAT_CLUSTERS = 92,
	EXFAT_ROOT_CLUSTER = 96,
	EXFAT_SERIAL = 100,
	EXFAT_REVISION = 104,
	EXFAT_FLAGS = 106,
	EXFAT_SECTOR_BITS = 108,
	EXFAT_CLUSTER_BITS = 109,
	EXFAT_FATS = 110,
	EXFAT_PERCENT_IN_USE = 112,
};
enum {
	FLAG_SECOND_FAT = 1,
	FLAG_DIRTY = 2,
	FLAG_MEDIA_FAILURE = 4
};

#define EXFAT_BOOT_SIZE 512

/* Sectors of a boot region; the copy follows the first. */
#define BOOT_REGION_SECTORS 12

struct exfat_boot {
	uint64_t sectors, partition_offset;
	uint32_t fat_offset, fat_length, heap_offset, clusters, root_cluster;
	unsigned sector_bits, cluster_bits; /* of a sector in bytes, a cluster in bytes */
	unsigned flags, fats;
};

int pl_exfat_boot_decode(const uint8_t boot[static EXFAT_BOOT_SIZE], struct exfat_boot *ret,
			 struct platter_error *err);

/* Of a boot region, all of its sectors: the last one holds the sum of the others. */
bool pl_exfat_boot_checksum_matches(const uint8_t *region, unsigned sector_bits);

/*
 * The second boot region among the n bytes that the disk begins with, if it is whole and its
 * checksum right; or NULL.
 */
const uint8_t *pl_exfat_backup_boot(const uint8_t *head, size_t n, struct exfat_boot *ret);

/* ---- folders ---- */

#define EXFAT_ENTRY_SIZE 32

enum {
	TYPE_IN_USE = 0x80,
	TYPE_SECONDARY = 0x40,
	TYPE_KIND = 0x7f, /* but for the bit that says whether it is in use */
	ENTRY_BITMAP = 0x81,
	ENTRY_UPCASE = 0x82,
	ENTRY_LABEL = 0x83,
	ENTRY_FILE = 0x85,
	ENTRY_GUID = 0xa0,
	ENTRY_TEXFAT = 0xa1,
	ENTRY_STREAM = 0xc0,
	ENTRY_NAME = 0xc1,
};
enum {
	FILE_SECONDARY_COUNT = 1,
	FILE_SET_CHECKSUM = 2,
	FILE_ATTRIBUTES = 4,
	FILE_RESERVED = 6,
	FILE_CREATED = 8,
	FILE_MODIFIED = 12,
	FILE_ACCESSED = 16,
	FILE_CREATED_10MS = 20,
	FILE_MODIFIED_10MS = 21,
	FILE_CREATED_OFFSET = 22,
	FILE_MODIFIED_OFFSET = 23,
	FILE_ACCESSED_OFFSET = 24,
	STREAM_FLAGS = 1,
	STREAM_NAME_LENGTH = 3,
	STREAM_VALID_DATA_LENGTH = 8,
	/* Of every entry that has clusters. */
	ENTRY_FIRST_CLUSTER = 20,
	ENTRY_DATA_LENGTH = 24,
};
enum {
	STREAM_NO_FAT_CHAIN = 2
};
enum {
	RESERVED_ENCRYPTED = 0x8000
};
#define ENCRYPTED_HEADER KIB(4)
enum {
	ATTRIBUTE_READ_ONLY = 1,
	ATTRIBUTE_HIDDEN = 2,
	ATTRIBUTE_SYSTEM = 4,
	ATTRIBUTE_FOLDER = 16,
	ATTRIBUTE_ARCHIVE = 32,
};

#define MAX_NAME_UNITS       255
#define NAME_UNITS_PER_ENTRY 15
#define MAX_EXFAT_NAME       (MAX_NAME_UNITS * 3 + 1)

/* SecondaryCount is a byte; files need 2 to 18. */
#define MAX_SET_ENTRIES 256

/*
 * A node is named by where its file entry is, a multiple of 32.  Bit 0 is set if it was deleted,
 * bit 1 if the entries behind it go on in the next cluster of the disk, and not in that of a
 * chain.
 */
#define EXFAT_ROOT        0
#define EXFAT_WAS_DELETED 1u
#define EXFAT_CONTIGUOUS  2u
#define EXFAT_ID_FLAGS    31u

struct exfat {
	struct pl_volume volume;
	struct exfat_boot boot;
	struct pl_clusters clusters;
	struct pl_disk *bitmap; /* NULL: there is none that is whole */
	char *no_bitmap;        /* then: why */
	uint16_t *upcase;       /* 65536 of them; NULL: there is no table that is whole */
	bool backup;            /* opened by the second boot region */
	bool has_guid;
	uint8_t guid[16];
	pthread_mutex_t lock; /* guards `mapped`; what follows does not change after */
	bool mapped;
	struct pl_cluster_map map;
};

/* The map of clusters in use, made when it is first wanted. */
int pl_exfat_map(struct exfat *x, struct platter_error *err);

/* What a set of entries says of a file or folder. */
struct exfat_file {
	struct pl_node_id id;
	bool deleted, damaged; /* damaged: the set's checksum does not match */
	bool contiguous, encrypted;
	const uint8_t *primary; /* its file entry */
	unsigned attributes;
	uint32_t cluster;
	uint64_t size, valid;
	uint8_t units[MAX_NAME_UNITS * 2];
	size_t nr_units;
};
typedef int exfat_file_fn(void *closure, const struct exfat_file *file, struct platter_error *err);

/* An entry in use that is no part of a file's set. */
typedef int exfat_entry_fn(void *closure, const uint8_t *raw, struct platter_error *err);

/*
 * Every file and folder in a folder; with `deleted` also what was deleted from it.  What
 * can be read is told, then the first error returned.  `other` may be NULL.
 */
int pl_exfat_scan(struct exfat *x, struct pl_node_id id, bool deleted, exfat_file_fn *fn,
		  exfat_entry_fn *other, void *closure, struct platter_error *err);

/* The file or folder, other than the root, that an id names; `set` is what it points into. */
int pl_exfat_read_file(struct exfat *x, struct pl_node_id id,
		       uint8_t set[static MAX_SET_ENTRIES * EXFAT_ENTRY_SIZE],
		       struct exfat_file *ret, struct platter_error *err);

/* Where the first `size` bytes of a file or folder are; of a deleted one, when the map is there. */
int pl_exfat_runs(struct exfat *x, const struct exfat_file *file, uint64_t size,
		  struct pl_runs *runs, struct platter_error *err);

/*
 * What is left of a deleted file; the map is there.  `budget` is how many clusters may still
 * be followed in chains.
 */
enum platter_recovery pl_exfat_judge(const struct exfat *x, const struct exfat_file *file,
				     uint64_t *budget);

/* ---- names ---- */

/* The table of the characters' capital letters, 65536 of them, malloc()ed. */
int pl_exfat_upcase_decode(const uint8_t *table, size_t n, uint32_t checksum, uint16_t **ret,
			   struct platter_error *err);

/* ---- files ---- */

void pl_exfat_file_info(const struct exfat *x, const struct exfat_file *file,
			struct platter_file *ret);

int pl_exfat_deleted(struct pl_volume *v, pl_deleted_fn *fn, void *closure,
		     struct platter_error *err);

int pl_exfat_open(const struct pl_volume_request *request, struct pl_volume **ret,
		  struct platter_error *err);

#endif

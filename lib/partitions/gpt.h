/* SPDX-License-Identifier: GPL-3.0-or-later */
/* gpt.h - the two copies of a GUID partition table, as reading and fitting it need them */
#ifndef PL_GPT_H
#define PL_GPT_H

#include "disk.h"

/* Offsets in the header, which fills one sector at most. */
enum {
	GPT_SIGNATURE = 0,
	GPT_REVISION = 8,
	GPT_HEADER_SIZE = 12,
	GPT_HEADER_CRC = 16,
	GPT_MY_LBA = 24,
	GPT_ALTERNATE_LBA = 32,
	GPT_FIRST_USABLE = 40,
	GPT_LAST_USABLE = 48,
	GPT_DISK_GUID = 56,
	GPT_ARRAY_LBA = 72,
	GPT_NR_ENTRIES = 80,
	GPT_ENTRY_SIZE = 84,
	GPT_ARRAY_CRC = 88,
};

/* Offsets in an entry of the array. */
enum {
	GPT_TYPE = 0,
	GPT_UNIQUE = 16,
	GPT_FIRST_LBA = 32,
	GPT_LAST_LBA = 40,
	GPT_ATTRIBUTES = 48,
	GPT_NAME = 56,
	GPT_NAME_UNITS = 36,
};

#define GPT_MAX_SECTOR 4096

/* Offsets in the MBR. */
enum {
	MBR_ENTRIES = 446,
	MBR_ENTRY = 16,
	MBR_PROTECTIVE = 0xee
};

struct pl_gpt_header {
	uint32_t revision, size, crc;
	uint64_t my_lba, alternate_lba, first_usable, last_usable;
	uint8_t guid[16];
	uint64_t array_lba;
	uint32_t nr_entries, entry_size, array_crc;
};

enum pl_gpt_state {
	PL_GPT_ABSENT,       /* no signature */
	PL_GPT_DAMAGED,      /* not to be used */
	PL_GPT_BAD_CHECKSUM, /* only a checksum is wrong */
	PL_GPT_GOOD,
};

/* One copy: header and array. */
struct pl_gpt_copy {
	enum pl_gpt_state state;
	char why[160]; /* what is wrong, as "header checksum is ..."; or "" */
	uint32_t sector_size;
	uint64_t lba;                   /* where the header was read */
	uint8_t sector[GPT_MAX_SECTOR]; /* as stored */
	struct pl_gpt_header header;    /* decoded unless ABSENT */
	uint8_t *array;                 /* nr_entries * entry_size bytes if GOOD or BAD_CHECKSUM */
};

struct pl_gpt {
	struct pl_gpt_copy primary, backup;
	struct pl_gpt_copy *use; /* the copy to believe, or NULL */
	uint64_t nr_sectors;     /* of use->sector_size, whole ones */
	bool has_mbr;            /* sector 0 ends in 55 AA */
	bool protective;         /* it has an entry of type EE, */
	bool other_entries;      /* it has entries of other types */
};

/*
 * Find both copies on the first `size` bytes of `disk`.  `flags`: PLATTER_OPEN_IGNORE_CHECKSUMS
 * takes a copy whose checksums are wrong if there is no better one.  0, also if there is
 * none at all; release with pl_gpt_done().  Errors: -EIO (sector 0), -ENOMEM.
 */
int pl_gpt_load(struct pl_disk *disk, uint64_t size, unsigned flags, struct pl_gpt *ret,
		struct platter_error *err);
void pl_gpt_done(struct pl_gpt *g);

/*
 * *ret: the only good copy is a backup that what stands at the start of the disk does not
 * belong to: left from an earlier use, as tools that clear only the start leave it.  g->use
 * is not NULL.
 */
int pl_gpt_is_stale(const struct pl_gpt *g, struct pl_disk *disk, bool *ret,
		    struct platter_error *err);

/* g->use is NULL: -ENOENT if there is no GPT at all, else -EUCLEAN with what is wrong. */
int pl_gpt_explain_none(const struct pl_gpt *g, struct platter_error *err);

/* CRC-32 of a header of `size` bytes, its own field taken as zero. */
uint32_t pl_gpt_header_crc(const uint8_t *sector, uint32_t size);

static inline uint64_t
pl_gpt_array_sectors(const struct pl_gpt_header *h, uint32_t sector_size)
{
	return pl_div_round_up((uint64_t)h->nr_entries * h->entry_size, sector_size);
}

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * sparseimage.h - Apple's sparse images: layout, and what the parts share
 *
 * The disk is cut into bands, 1 MiB each.  The file begins with a header of one node; behind it
 * stand slots, each with room for a band, and the node lists which band each slot holds.  When its
 * slots are used another node follows, and further slots.  All integers are big-endian.
 *
 *	offset  size  header node, 4096 bytes
 *	     0     4  "sprs"
 *	     4     4  version, 3
 *	     8     4  sectors of a band
 *	    12     4  flags, 1
 *	    16     4  sectors of the disk, low half
 *	    20     8  where the next node is, 0: there is none
 *	    28     8  sectors of the disk
 *	    64  4032  of each slot: the number of its band and 1, 0: it is unused
 *
 *	offset  size  index node, 4096 bytes
 *	     0     4  "sprs"
 *	     4     4  number of the node, 1 and so on
 *	     8     4  flags, 1
 *	    12     8  where the next node is
 *	    56  4040  of each slot, as in the header
 */
#ifndef PL_SPARSEIMAGE_H
#define PL_SPARSEIMAGE_H

#include <stdatomic.h>

#include "blocks.h"
#include "format.h"
#include "store.h"

#define MAGIC        "sprs"
#define MAGIC_SIZE   4u
#define NODE_SIZE    4096u
#define SECTOR       512u
#define THIS_VERSION 3u
#define THIS_FLAGS   1u
#define NEW_BAND     (1u << 20)
#define MAX_BAND     (256u << 20)
#define HEADER_SLOTS 1008u
#define NODE_SLOTS   1010u
#define MAX_BANDS    UINT32_MAX

enum {
	VERSION = 4,
	BAND_SECTORS = 8,
	FLAGS = 12,
	SECTORS_LOW = 16,
	HEADER_NEXT = 20,
	SECTORS = 28,
	HEADER_IDS = 64,

	NODE_NUMBER = 4,
	NODE_FLAGS = 8,
	NODE_NEXT = 12,
	NODE_IDS = 56,
};

/* A node, and the slots that follow it. */
struct node {
	uint64_t at;   /* byte of the file; the slots begin behind it */
	uint32_t used; /* slots up to the last that is used, when it was read */
};

/* Two slots of one band, as a kill while a band moved leaves them: the first counts. */
struct twice {
	uint32_t node, slot;
};

struct sparseimage {
	struct pl_disk disk;
	struct pl_disk *file; /* a reference */
	uint32_t band;        /* bytes */
	uint64_t nr_bands;    /* of the disk */
	uint64_t nr_stored;   /* that have a slot */
	struct node *nodes;   /* in the order of the chain, and of the file */
	size_t nr_nodes, room;
	struct twice *twice;
	size_t nr_twice, twice_room;

	/* Where in the file each band is, 0: nowhere; by pages, those without a band are NULL. */
	_Atomic(_Atomic(uint64_t) *) *pages;
	uint64_t nr_pages, nr_used_pages;

	/* Of an image that is written: */
	struct pl_store store;
	uint64_t *left; /* slots that bands left since the last commit */
	size_t nr_left, left_room;
};

static inline struct sparseimage *
sparseimage_of(struct pl_disk *disk)
{
	return pl_container_of(disk, struct sparseimage, disk);
}

static inline uint32_t
nr_slots(size_t node)
{
	return node ? NODE_SLOTS : HEADER_SLOTS;
}

/* Where in the file the number of a slot's band stands. */
static inline uint64_t
id_at(const struct sparseimage *s, size_t node, uint32_t slot)
{
	return s->nodes[node].at + (node ? NODE_IDS : HEADER_IDS) + 4ull * slot;
}

/* Where the band of a slot is. */
static inline uint64_t
slot_at(const struct sparseimage *s, size_t node, uint32_t slot)
{
	return s->nodes[node].at + NODE_SIZE + (uint64_t)slot * s->band;
}

/* Where a band is in the file; 0: nowhere. */
uint64_t pl_sparseimage_get(const struct sparseimage *s, uint64_t band);
/* One thread at a time; others may get() meanwhile. */
int pl_sparseimage_set(struct sparseimage *s, uint64_t band, uint64_t at,
		       struct platter_error *err);
/* Room for the pages of so many bands. */
int pl_sparseimage_reserve(struct sparseimage *s, uint64_t nr_bands, struct platter_error *err);
/* Add a node that is in the file at `at` to the list. */
int pl_sparseimage_add_node(struct sparseimage *s, uint64_t at, struct platter_error *err);

/* write.c */
extern const struct pl_store_ops pl_sparseimage_store_ops;
int pl_sparseimage_write(struct pl_disk *disk, const void *buf, size_t n, uint64_t offset,
			 struct platter_error *err);
int pl_sparseimage_zero(struct pl_disk *disk, uint64_t offset, uint64_t length, unsigned flags,
			struct platter_error *err);
int pl_sparseimage_discard(struct pl_disk *disk, uint64_t offset, uint64_t length,
			   struct platter_error *err);
int pl_sparseimage_flush(struct pl_disk *disk, struct platter_error *err);
int pl_sparseimage_resize(struct pl_disk *disk, uint64_t size, struct platter_error *err);
int pl_sparseimage_compact(struct pl_disk *disk, struct platter_error *err);

/* writer.c */
int pl_sparseimage_create(const struct pl_create_request *request, struct pl_writer **ret,
			  struct platter_error *err);
extern const struct platter_option_info pl_sparseimage_options[];

#endif

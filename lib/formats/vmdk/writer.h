/* SPDX-License-Identifier: GPL-3.0-or-later */
/* writer.h - what the writers of VMDK's subformats share */
#ifndef PL_VMDK_WRITER_H
#define PL_VMDK_WRITER_H

#include "text.h"
#include "vmdk.h"

#define VMDK_GRAIN      KIB(64)
#define VMDK_GT_ENTRIES 512u
#define VMDK_GT_BYTES   (VMDK_GT_ENTRIES * 4)
#define VMDK_TABLE_SPAN (VMDK_GT_ENTRIES * VMDK_GRAIN)

/* In the order of the names that vmdk_subformat_name() has. */
enum vmdk_subformat {
	VMDK_MONOLITHIC_SPARSE,
	VMDK_STREAM_OPTIMIZED,
	VMDK_MONOLITHIC_FLAT,
	VMDK_SPLIT_SPARSE,
	VMDK_SPLIT_FLAT,
	VMDK_NR_SUBFORMATS,
};

struct vmdk_params {
	enum vmdk_subformat subformat;
	int level;
	const char *adapter_type; /* borrowed from the request */
	const char *hw_version;
	const char *parent; /* the name of one, or NULL */
	uint32_t parent_cid;
	uint64_t parent_size;
	uint32_t cid;
};

const char *pl_vmdk_subformat_name(enum vmdk_subformat subformat);

/* Of a new sparse extent; in bytes. */
struct vmdk_new_header {
	uint32_t version, flags;
	uint64_t capacity, descriptor_at, descriptor_bytes;
	uint64_t directory_at; /* HOSTED_AT_END: that is told by the footer */
	uint64_t redundant_at, overhead;
};
void pl_vmdk_put_header(const struct vmdk_new_header *header, uint8_t ret[static VMDK_SECTOR]);

/* What the flags must say of an extent whose tables have entries for zeros. */
#define VMDK_ENTRY_ZERO 1u

/*
 * The text of a descriptor: `add_extents` appends the lines of the extents, of a disk of `size`
 * bytes.  The caller checks ret->failed.
 */
void pl_vmdk_descriptor_text(const struct vmdk_params *p, uint64_t size,
			     void (*add_extents)(struct pl_str *s, const void *with),
			     const void *with, struct pl_str *ret);

/* several.c: the subformats that are a descriptor and other files. */
int pl_vmdk_several_create(const struct pl_create_request *request, const struct vmdk_params *p,
			   struct pl_writer **ret, struct platter_error *err);

/* As VMware cuts disks: a sparse extent with all its tables is a file of less than 2 GiB too. */
#define VMDK_PIECE MIB(2047)

/* A new sparse extent that is a file of its own; zeroed at first. */
struct vmdk_new_extent {
	uint8_t *head;     /* what comes before the grains, which is written last; owned */
	uint64_t overhead; /* bytes of it */
	uint64_t directory_at, tables_at, redundant_tables_at; /* in it */
};

/* For up to `size` bytes of the disk; whatever it was before. */
int pl_vmdk_extent_begin(struct vmdk_new_extent *e, uint64_t size, struct platter_error *err);
/* The entry for the grain that holds byte `offset` of the extent. */
void pl_vmdk_extent_set(struct vmdk_new_extent *e, uint64_t offset, uint32_t value);
/* Write the head at byte `at` of `file`; `size`: of the extent. */
int pl_vmdk_extent_write(struct vmdk_new_extent *e, uint64_t size, bool over_parent,
			 struct pl_disk *file, uint64_t at, struct platter_error *err);

#endif

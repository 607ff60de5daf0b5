/* SPDX-License-Identifier: GPL-3.0-or-later */
/* create.h - what a new QCOW2 image is to be like: options and header */
#ifndef PL_QCOW2_CREATE_H
#define PL_QCOW2_CREATE_H

#include "codec.h"
#include "qcow2.h"

struct qcow2_params {
	uint32_t version; /* 2 or 3 */
	uint32_t cluster_bits;
	uint32_t refcount_order;
	uint8_t compression_type; /* 0 deflate, 1 zstd */
	bool lazy_refcounts;
	const struct pl_codec *codec; /* NULL: nothing is compressed */
	int level;                    /* of `codec`, within its limits */
	const char *backing_file;   /* as the image names it, or NULL; borrowed from the request */
	const char *backing_format; /* "qcow2", "raw"; borrowed */
	uint64_t backing_size;      /* bytes of the disk that it holds */
};

/* Check the options of a request.  Errors: -EINVAL; those of opening the backing file. */
int pl_qcow2_params_read(const struct pl_create_request *request, struct qcow2_params *ret,
			 struct platter_error *err);

/* The header never takes more of the first cluster than this, and is written as so much. */
#define QCOW2_HEADER_AREA 4096u

/* What the header says beyond the parameters. */
struct qcow2_layout {
	uint64_t size; /* of the disk, a multiple of 512 */
	uint64_t l1_offset;
	uint32_t l1_size;
	uint64_t refcount_table_offset; /* 0 while the image is unfinished */
	uint32_t refcount_table_clusters;
	uint64_t checkpoint; /* bytes of the disk that an unfinished image holds */
};

/*
 * The first bytes of the image, of an unfinished one if there is no refcount table.  `ret` is
 * filled wholly.  -EFBIG: the backing file's name does not fit into the cluster.
 */
int pl_qcow2_header_build(const struct qcow2_params *params, const struct qcow2_layout *layout,
			  uint8_t ret[static QCOW2_HEADER_AREA], struct platter_error *err);

/* Where such an unfinished header has its checkpoint: 8 bytes. */
size_t pl_qcow2_checkpoint_at(const struct qcow2_params *params);

#endif

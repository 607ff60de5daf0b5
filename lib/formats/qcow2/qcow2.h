/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * qcow2.h - what the parts of the QCOW2 driver share: the on-disk layout
 *
 * Spec: QEMU, docs/interop/qcow2.rst.  All integers are big-endian.
 *
 *	offset  size  header field
 *	     0     4  magic, "QFI\xfb"
 *	     4     4  version, 2 or 3
 *	     8     8  backing file name: offset, 0 none
 *	    16     4  backing file name: bytes, <= 1023
 *	    20     4  cluster_bits, 9..21
 *	    24     8  size of the disk
 *	    32     4  crypt_method: 0 none, 1 AES, 2 LUKS
 *	    36     4  l1_size: entries
 *	    40     8  l1_table_offset
 *	    48     8  refcount_table_offset
 *	    56     4  refcount_table_clusters
 *	    60     4  nb_snapshots
 *	    64     8  snapshots_offset
 *	    72     8  incompatible_features	(version 3 from here on)
 *	    80     8  compatible_features
 *	    88     8  autoclear_features
 *	    96     4  refcount_order
 *	   100     4  header_length
 *	   104     1  compression_type: 0 deflate, 1 zstd
 */
#ifndef PL_QCOW2_H
#define PL_QCOW2_H

#include "format.h"

#define QCOW2_MAGIC          0x514649fbu
#define QCOW2_V2_HEADER_SIZE 72
#define QCOW2_V3_HEADER_SIZE 104

enum {
	QCOW2_VERSION = 4,
	QCOW2_BACKING_OFFSET = 8,
	QCOW2_BACKING_SIZE = 16,
	QCOW2_CLUSTER_BITS = 20,
	QCOW2_SIZE = 24,
	QCOW2_CRYPT_METHOD = 32,
	QCOW2_L1_SIZE = 36,
	QCOW2_L1_OFFSET = 40,
	QCOW2_REFCOUNT_TABLE_OFFSET = 48,
	QCOW2_REFCOUNT_TABLE_CLUSTERS = 56,
	QCOW2_NR_SNAPSHOTS = 60,
	QCOW2_SNAPSHOTS_OFFSET = 64,
	QCOW2_INCOMPATIBLE = 72,
	QCOW2_COMPATIBLE = 80,
	QCOW2_AUTOCLEAR = 88,
	QCOW2_REFCOUNT_ORDER = 96,
	QCOW2_HEADER_LENGTH = 100,
	QCOW2_COMPRESSION_TYPE = 104,
};

/* Incompatible features. */
#define QCOW2_INCOMPAT_DIRTY       (1u << 0)
#define QCOW2_INCOMPAT_CORRUPT     (1u << 1)
#define QCOW2_INCOMPAT_DATA_FILE   (1u << 2)
#define QCOW2_INCOMPAT_COMPRESSION (1u << 3)
#define QCOW2_INCOMPAT_EXTENDED_L2 (1u << 4)
#define QCOW2_INCOMPAT_KNOWN       0x1fu
/* Compatible and autoclear features. */
#define QCOW2_COMPAT_LAZY_REFCOUNTS   (1u << 0)
#define QCOW2_AUTOCLEAR_BITMAPS       (1u << 0)
#define QCOW2_AUTOCLEAR_DATA_FILE_RAW (1u << 1)

/* Header extensions. */
#define QCOW2_EXT_END            0u
#define QCOW2_EXT_BACKING_FORMAT 0xe2792acau
#define QCOW2_EXT_FEATURE_NAMES  0x6803f857u
#define QCOW2_EXT_BITMAPS        0x23852875u
#define QCOW2_EXT_LUKS           0x0537be77u
#define QCOW2_EXT_DATA_FILE      0x44415441u

/* L1, L2 and refcount table entries. */
#define QCOW2_OFFSET_MASK 0x00fffffffffffe00u /* bits 9..55 */
#define QCOW2_COPIED      (1ull << 63)        /* the refcount is exactly 1 */
#define QCOW2_COMPRESSED  (1ull << 62)
#define QCOW2_ZERO        (1ull << 0) /* standard L2 entries of version 3 */

#define QCOW2_MIN_CLUSTER_BITS 9
#define QCOW2_MAX_CLUSTER_BITS 21

/* writer.c: new images, front to back. */
int pl_qcow2_create(const struct pl_create_request *request, struct pl_writer **ret,
		    struct platter_error *err);
/* The options that it takes, ending with key == NULL. */
extern const struct platter_option_info pl_qcow2_options[];

#endif

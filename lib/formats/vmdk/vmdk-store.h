/* SPDX-License-Identifier: GPL-3.0-or-later */
/* vmdk-store.h - an open VMDK that is changed in place */
#ifndef PL_VMDK_STORE_H
#define PL_VMDK_STORE_H

#include "store.h"
#include "vmdk.h"

/* A sparse extent's. */
struct vmdk_store {
	struct pl_store store;
	struct vmdk *image;
	struct vmdk_sparse *sparse;
};

static inline struct vmdk_store *
vmdk_store_of(struct pl_store *s)
{
	return pl_container_of(s, struct vmdk_store, store);
}

/* Before the disk's first change: another content ID. */
int pl_vmdk_begin(struct vmdk *v, struct platter_error *err);

/* Give a sparse extent its store. */
int pl_vmdk_prepare_extent(struct vmdk *v, struct vmdk_extent *e, struct platter_error *err);

/* The text of the descriptor as it is in the file, malloc()ed. */
int pl_vmdk_read_text(struct vmdk *v, char **ret, struct platter_error *err);

#endif

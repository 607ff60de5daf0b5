/* SPDX-License-Identifier: GPL-3.0-or-later */
/* hash-files.h - hashes of files inside; see platter_hash_files() */
#ifndef PL_HASH_FILES_H
#define PL_HASH_FILES_H

#include "volume.h"

int pl_hash_files(struct pl_volume *v, struct pl_node_id start, const char *hashes,
		  void (*each)(const struct platter_hashed_file *file, void *closure),
		  void *closure, struct platter_progress *progress, struct platter_error *err);

#endif

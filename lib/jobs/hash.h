/* SPDX-License-Identifier: GPL-3.0-or-later */
/* hash.h - several hashes of one stream of bytes (OpenSSL does the work, but for CRC-32) */
#ifndef PL_HASH_H
#define PL_HASH_H

#include <platter/job.h>

#include "error.h"

struct pl_hasher;

/* `names`: "sha256,md5,sha1,sha512,sha384,blake2b512,crc32".  -EINVAL names what is not known. */
int pl_hasher_new(const char *names, struct pl_hasher **ret, struct platter_error *err);
void pl_hasher_free(struct pl_hasher *h);
size_t pl_hasher_count(const struct pl_hasher *h);
/* Feed the index-th hash; different hashes may be fed from different threads at once. */
void pl_hasher_update(struct pl_hasher *h, size_t index, const void *buf, size_t n);
void pl_hasher_update_zeros(struct pl_hasher *h, size_t index, uint64_t n);
/* Results of all; the hasher is spent. */
void pl_hasher_finish(struct pl_hasher *h, struct platter_hash ret[static PLATTER_MAX_HASHES],
		      size_t *ret_nr);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* fscrypt.h - names in folders that Linux encrypted, without their key */
#ifndef PL_FSCRYPT_H
#define PL_FSCRYPT_H

#include "bytes.h"

/* Room for what a name becomes, with its NUL. */
#define PL_FSCRYPT_NAME 256

/*
 * The name that Linux shows for an encrypted one without its key; the length, 0: it is damaged.
 * The hashes are those that the folder keeps with it, 0 where it keeps none.
 */
size_t pl_fscrypt_name(const uint8_t *name, size_t n, uint32_t hash, uint32_t minor_hash,
		       char out[static PL_FSCRYPT_NAME]);

#endif

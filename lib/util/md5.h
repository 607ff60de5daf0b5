/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * md5.h - MD5 (RFC 1321) of a short buffer
 *
 * Not for security: Apple derives the UUID of an HFS volume from it.
 */
#ifndef PL_MD5_H
#define PL_MD5_H

#include <stddef.h>
#include <stdint.h>

/* At most 55 bytes: what fits one block with its padding. */
#define PL_MD5_SHORT 55

void pl_md5_short(const void *buf, size_t n, uint8_t ret[static 16]);

#endif

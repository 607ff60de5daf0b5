/* SPDX-License-Identifier: GPL-3.0-or-later */
/* platter/text.h - sizes as people write them */
#ifndef PLATTER_TEXT_H
#define PLATTER_TEXT_H

#include <platter/disk.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Read a size: digits, an optional fraction, and a unit.  K M G T P E and KiB MiB ...
 * are powers of 1024, KB MB ... powers of 1000, s is 512-byte sectors, none is bytes.
 * Returns 0, -EINVAL if it is no size, -ERANGE past 2^63 - 1.
 */
PLATTER_API int platter_parse_size(const char *text, uint64_t *ret_bytes);

/* Write `bytes` for people, "4.0 GiB", into buf (at least 16 bytes); returns buf. */
PLATTER_API char *platter_format_size(uint64_t bytes, char *buf, size_t n);

#ifdef __cplusplus
}
#endif
#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* checksums.h - the checksums that on-disk structures carry */
#ifndef PL_CHECKSUMS_H
#define PL_CHECKSUMS_H

#include <stddef.h>
#include <stdint.h>

/* CRC-32 as in zlib and UEFI (IEEE 802.3).  Start with crc = 0; may be chained. */
uint32_t pl_crc32(uint32_t crc, const void *buf, size_t n);

/* The CRC-32 of two pieces after each other, from that of each; `n`: bytes of the second. */
uint32_t pl_crc32_combine(uint32_t first, uint32_t second, uint64_t n);

/* pl_crc32() of n bytes of zeros, however many, at no cost. */
uint32_t pl_crc32_zeros(uint32_t crc, uint64_t n);

/* CRC-32C (Castagnoli), chained the same way: start with 0. */
uint32_t pl_crc32c(uint32_t crc, const void *buf, size_t n);

/* As pl_crc32c(), without the inversions at start and end: what ext4 and others seed. */
uint32_t pl_crc32c_raw(uint32_t crc, const void *buf, size_t n);

/* CRC-16 of ITU-T V.41, not inverted: UDF starts with 0, CHD with 0xffff.  May be chained. */
uint16_t pl_crc16_ccitt(uint16_t crc, const void *buf, size_t n);

#endif

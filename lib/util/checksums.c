/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "checksums.h"

#include <libdeflate.h>
#include <pthread.h>
#include <string.h>

#include "bytes.h"

uint32_t
pl_crc32(uint32_t crc, const void *buf, size_t n)
{
	return libdeflate_crc32(crc, buf, n);
}

/*
 * Polynomials over GF(2) modulo that of the CRC-32, the coefficient of x^0 in the highest bit.  A
 * register behind n bytes of zeros is what it was, times x to the power of 8n.
 */
static uint32_t
multiply(uint32_t a, uint32_t b)
{
	uint32_t product = 0;

	for (; a; a <<= 1) {
		if (a & 0x80000000)
			product ^= b;
		b = b & 1 ? b >> 1 ^ 0xedb88320 : b >> 1;
	}
	return product;
}

static uint32_t
power_of_bytes(uint64_t n)
{
	uint32_t result = 0x80000000, square = 0x00800000; /* x^0, x^8 */

	for (; n; n >>= 1) {
		if (n & 1)
			result = multiply(result, square);
		square = multiply(square, square);
	}
	return result;
}

uint32_t
pl_crc32_combine(uint32_t first, uint32_t second, uint64_t n)
{
	return multiply(power_of_bytes(n), first) ^ second;
}

uint32_t
pl_crc32_zeros(uint32_t crc, uint64_t n)
{
	return ~multiply(power_of_bytes(n), ~crc);
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t
crc32c_sse42(uint32_t crc, const uint8_t *p, size_t n)
{
	uint64_t c = crc;

	for (; n >= 8; p += 8, n -= 8)
		c = __builtin_ia32_crc32di(c, get_le64(p));
	for (; n; p++, n--)
		c = __builtin_ia32_crc32qi((uint32_t)c, *p);
	return (uint32_t)c;
}
#endif

static uint32_t table[256];
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

static void
make_table(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t c = i;

		for (int k = 0; k < 8; k++)
			c = c & 1 ? c >> 1 ^ 0x82f63b78 : c >> 1;
		table[i] = c;
	}
}

uint32_t
pl_crc32c_raw(uint32_t crc, const void *buf, size_t n)
{
	const uint8_t *p = buf;

#if defined(__x86_64__)
	if (__builtin_cpu_supports("sse4.2"))
		return crc32c_sse42(crc, p, n);
#endif
	pthread_once(&table_once, make_table);
	for (; n; p++, n--)
		crc = table[(crc ^ *p) & 0xff] ^ crc >> 8;
	return crc;
}

uint32_t
pl_crc32c(uint32_t crc, const void *buf, size_t n)
{
	return ~pl_crc32c_raw(~crc, buf, n);
}

/* CRC-16 with the polynomial 0x1021, most significant bit first: two steps of 4 bits a byte. */
/* What a byte that is followed by n zeros makes of a CRC-16 of 0. */
static uint16_t crc16_tables[8][256];
static pthread_once_t crc16_once = PTHREAD_ONCE_INIT;

static void
make_crc16_tables(void)
{
	for (unsigned i = 0; i < 256; i++) {
		unsigned crc = i << 8;

		for (int bit = 0; bit < 8; bit++)
			crc = crc << 1 ^ (crc & 0x8000 ? 0x1021 : 0);
		crc16_tables[0][i] = (uint16_t)crc;
	}
	for (unsigned n = 1; n < 8; n++)
		for (unsigned i = 0; i < 256; i++) {
			uint16_t crc = crc16_tables[n - 1][i];

			crc16_tables[n][i] = (uint16_t)(crc << 8 ^ crc16_tables[0][crc >> 8]);
		}
}

uint16_t
pl_crc16_ccitt(uint16_t crc, const void *buf, size_t n)
{
	const uint8_t *p = buf;

	pthread_once(&crc16_once, make_crc16_tables);
	for (; n >= 8; n -= 8, p += 8)
		crc = (uint16_t)(crc16_tables[7][p[0] ^ crc >> 8] ^
				 crc16_tables[6][p[1] ^ (crc & 255)] ^ crc16_tables[5][p[2]] ^
				 crc16_tables[4][p[3]] ^ crc16_tables[3][p[4]] ^
				 crc16_tables[2][p[5]] ^ crc16_tables[1][p[6]] ^
				 crc16_tables[0][p[7]]);
	for (; n; n--, p++)
		crc = (uint16_t)(crc << 8 ^ crc16_tables[0][*p ^ crc >> 8]);
	return crc;
}

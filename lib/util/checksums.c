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
uint16_t
pl_crc16_ccitt(uint16_t crc, const void *buf, size_t n)
{
	static const uint16_t nibbles[16] = {
		0x0000, 0x1021, 0x2042, 0x3063, 0x4084, 0x50a5, 0x60c6, 0x70e7,
		0x8108, 0x9129, 0xa14a, 0xb16b, 0xc18c, 0xd1ad, 0xe1ce, 0xf1ef,
	};
	const uint8_t *p = buf;

	for (; n; n--, p++) {
		crc = (uint16_t)(nibbles[(crc >> 12 ^ *p >> 4) & 15] ^ crc << 4);
		crc = (uint16_t)(nibbles[(crc >> 12 ^ *p) & 15] ^ crc << 4);
	}
	return crc;
}

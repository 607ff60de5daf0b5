/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * exfat/upcase.c - the up-case table (section 7.2)
 *
 * The capital letters of the characters from U+0000 on, 16 bits each; ffff and a number stand
 * for so many characters that are their own.
 */
#include "exfat.h"

#define CHARACTERS 65536u

int
pl_exfat_upcase_decode(const uint8_t *table, size_t n, uint32_t checksum, uint16_t **ret,
		       struct platter_error *err)
{
	uint16_t *upcase;
	uint32_t sum = 0, c = 0;

	for (size_t i = 0; i < n; i++)
		sum = (sum << 31 | sum >> 1) + table[i];
	if (sum != checksum)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "up-case table has the sum %#" PRIx32
				  ", its entry says %#" PRIx32,
				  sum, checksum);
	upcase = malloc(CHARACTERS * sizeof *upcase);
	if (!upcase)
		return pl_no_memory(err);
	for (uint32_t i = 0; i < CHARACTERS; i++)
		upcase[i] = (uint16_t)i;
	for (size_t i = 0; i + 2 <= n && c < CHARACTERS; i += 2) {
		unsigned unit = get_le16(table + i);

		if (unit == 0xffff && i + 4 <= n) {
			i += 2;
			c += get_le16(table + i);
		} else {
			upcase[c++] = (uint16_t)unit;
		}
	}
	*ret = upcase;
	return 0;
}

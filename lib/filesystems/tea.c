/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * tea.c - names hashed by sixteen rounds of TEA, the Tiny Encryption Algorithm, as ext4 and F2FS
 * do; see fs/ext4/hash.c and fs/f2fs/hash.c of the Linux kernel
 */
#include "tea.h"

void
pl_tea_pack(const uint8_t *name, size_t n, bool is_unsigned, uint32_t *words, size_t nr_words)
{
	uint32_t pad = (uint32_t)(n | n << 8 | n << 16 | n << 24), word = pad;
	size_t nr = 0;

	n = PL_MIN(n, nr_words * 4);
	for (size_t i = 0; i < n; i++) {
		word = (word << 8) + (is_unsigned ? name[i] : (uint32_t)(int8_t)name[i]);
		if (i % 4 == 3) {
			words[nr++] = word;
			word = pad;
		}
	}
	if (nr < nr_words)
		words[nr++] = word;
	while (nr < nr_words)
		words[nr++] = pad;
}

void
pl_tea(uint32_t state[static 2], const uint32_t words[static 4])
{
	uint32_t x = state[0], y = state[1], sum = 0;

	for (int i = 0; i < 16; i++) {
		sum += 0x9e3779b9;
		x += ((y << 4) + words[0]) ^ (y + sum) ^ ((y >> 5) + words[1]);
		y += ((x << 4) + words[2]) ^ (x + sum) ^ ((x >> 5) + words[3]);
	}
	state[0] += x;
	state[1] += y;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ext/hash.c - the hashes of names that folders are indexed by
 *
 * Whether bytes from 80 on count as negative was once decided by the processor, and is told
 * by the superblock now.  See Documentation/filesystems/ext4/directory.rst of
 * the Linux kernel, "Hash Tree Directories", and its fs/ext4/hash.c.
 */
#include "ext.h"
#include "tea.h"

#define NR_WORDS 8

static uint32_t
legacy(const uint8_t *name, size_t n, bool is_unsigned)
{
	uint32_t before = 0x37abe8f9, now = 0x12a3fe2d;

	for (size_t i = 0; i < n; i++) {
		uint32_t c = is_unsigned ? name[i] : (uint32_t)(int8_t)name[i];
		uint32_t next = before + (now ^ c * 7152373);

		if (next & 0x80000000)
			next -= 0x7fffffff;
		before = now;
		now = next;
	}
	return now << 1;
}

static uint32_t
rotate(uint32_t x, unsigned n)
{
	return x << n | x >> (32 - n);
}

/* MD4's three functions, and half of its steps: the words taken and the turns made in each. */
static void
half_md4(uint32_t state[static 4], const uint32_t words[static NR_WORDS])
{
	static const uint32_t constants[3] = { 0, 0x5a827999, 0x6ed9eba1 };
	static const uint8_t order[3][NR_WORDS] = {
		{ 0, 1, 2, 3, 4, 5, 6, 7 },
		{ 1, 3, 5, 7, 0, 2, 4, 6 },
		{ 3, 7, 2, 6, 1, 5, 0, 4 },
	};
	static const uint8_t turns[3][4] = { { 3, 7, 11, 19 }, { 3, 5, 9, 13 }, { 3, 9, 11, 15 } };
	uint32_t a = state[0], b = state[1], c = state[2], d = state[3];

	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < NR_WORDS; i++) {
			uint32_t f = round == 0   ? d ^ (b & (c ^ d))
				     : round == 1 ? (b & c) + ((b ^ c) & d)
						  : b ^ c ^ d;
			uint32_t turned = rotate(a + f + words[order[round][i]] + constants[round],
						 turns[round][i % 4]);

			a = d;
			d = c;
			c = b;
			b = turned;
		}
	}
	state[0] += a;
	state[1] += b;
	state[2] += c;
	state[3] += d;
}

bool
ext_hash_name(const struct ext_super *sb, unsigned version, const uint8_t *name, size_t n,
	      uint32_t *ret, uint32_t *ret_minor)
{
	uint32_t state[4] = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476 };
	bool is_unsigned = version >= HASH_LEGACY_UNSIGNED || sb->unsigned_hash;
	bool is_half_md4 = version == HASH_HALF_MD4 || version == HASH_HALF_MD4_UNSIGNED;
	size_t nr_words = is_half_md4 ? NR_WORDS : 4;
	uint32_t words[NR_WORDS], hash, minor = 0;

	if (version > HASH_TEA_UNSIGNED)
		return false;
	if (sb->hash_seed[0] || sb->hash_seed[1] || sb->hash_seed[2] || sb->hash_seed[3])
		memcpy(state, sb->hash_seed, sizeof state);
	if (version == HASH_LEGACY || version == HASH_LEGACY_UNSIGNED) {
		hash = legacy(name, n, is_unsigned);
	} else {
		for (size_t i = 0; i < n; i += nr_words * 4) {
			pl_tea_pack(name + i, n - i, is_unsigned, words, nr_words);
			if (is_half_md4)
				half_md4(state, words);
			else
				pl_tea(state, words);
		}
		hash = state[is_half_md4 ? 1 : 0];
		minor = state[is_half_md4 ? 2 : 1];
	}
	/* Bit 0 marks a block whose names' hash begins in the one before; the highest is no hash. */
	hash &= ~1u;
	*ret = hash == 0xfffffffe ? 0xfffffffc : hash;
	if (ret_minor)
		*ret_minor = minor;
	return true;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * bcj.c - the filter for x86 programs of the LZMA SDK, undone
 *
 * The encoder makes relative addresses behind e8 and e9 (call, jmp) absolute where their highest
 * byte is 0 or ff.  Whether it took an opcode for one depends on the opcodes in the four bytes before:
 * `mask` has a bit for each of these, the nearest lowest, in its bits 0 to 2 at the time of the
 * decision.
 */
#include "codec.h"

#define INSTRUCTION 5

static bool
is_sign(uint8_t byte)
{
	return byte == 0 || byte == 0xff;
}

/* Is it an instruction, by the opcodes before it? */
static bool
allowed(uint32_t mask)
{
	return mask == 0 || mask == 1 || mask == 2 || mask == 4;
}

/* Which byte of the address, counted from its highest, may be the sign of one that overlaps it. */
static unsigned
overlapped(uint32_t mask)
{
	return mask >= 4 ? 3 : mask >= 2 ? 2 : mask;
}

static uint32_t
relative(uint32_t address, uint32_t after, uint32_t mask)
{
	for (;;) {
		unsigned bits = 8 * overlapped(mask);
		uint32_t value = address - after;

		if (!mask || !is_sign((uint8_t)(value >> (24 - bits))))
			return value;
		address = value ^ (uint32_t)((1ull << (32 - bits)) - 1);
	}
}

void
pl_bcj_x86_decode(uint8_t *bytes, size_t n)
{
	uint32_t mask = 0;
	size_t at = 0, last = 0; /* last: behind the opcode that was looked at last */

	while (n >= INSTRUCTION && at <= n - INSTRUCTION) {
		uint8_t *p = bytes + at;

		if ((*p & 0xfe) != 0xe8) {
			at++;
			continue;
		}
		mask = at - last >= 3 ? 0 : mask << (at - last) & 7;
		if (is_sign(p[4]) && allowed(mask) &&
		    (!mask || !is_sign(p[4 - overlapped(mask)]))) {
			uint32_t value =
				relative(get_le32(p + 1), (uint32_t)at + INSTRUCTION, mask);

			value &= 0x01ffffff;
			put_le32(p + 1, value & 0x01000000 ? value | 0xff000000 : value);
			at += INSTRUCTION;
			mask = 0;
		} else {
			at++;
			mask = (mask << 1 | 1) & 7;
		}
		last = at;
	}
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * hfs/names.c - names in Mac OS Roman and decomposed UTF-16, and their order
 *
 * "Case-Insensitive String Comparison Algorithm" of Apple's Technical Note TN1150 gives
 * the table of cases, frozen with Unicode 2.1 or so: it decides where a name stands in the
 * tree, and no later Unicode may change that.
 */
#include "hfs.h"
#include "roman.h"
#include "text.h"

/* Of these, every `step`th is folded to the character `delta` behind it, or ignored. */
#define IGNORED 0
static const struct {
	uint16_t first, last;
	uint8_t step, delta;
} cases[] = {
	{ 0x0110, 0x0110, 1, 1 },       { 0x0126, 0x0126, 1, 1 },
	{ 0x0132, 0x0132, 1, 1 },       { 0x013f, 0x0141, 2, 1 },
	{ 0x014a, 0x014a, 1, 1 },       { 0x0152, 0x0152, 1, 1 },
	{ 0x0166, 0x0166, 1, 1 },       { 0x0181, 0x0181, 1, 210 },
	{ 0x0182, 0x0184, 2, 1 },       { 0x0186, 0x0186, 1, 206 },
	{ 0x0187, 0x0187, 1, 1 },       { 0x0189, 0x018a, 1, 205 },
	{ 0x018b, 0x018b, 1, 1 },       { 0x018e, 0x018e, 1, 79 },
	{ 0x018f, 0x018f, 1, 202 },     { 0x0190, 0x0190, 1, 203 },
	{ 0x0191, 0x0191, 1, 1 },       { 0x0193, 0x0193, 1, 205 },
	{ 0x0194, 0x0194, 1, 207 },     { 0x0196, 0x0196, 1, 211 },
	{ 0x0197, 0x0197, 1, 209 },     { 0x0198, 0x0198, 1, 1 },
	{ 0x019c, 0x019c, 1, 211 },     { 0x019d, 0x019d, 1, 213 },
	{ 0x019f, 0x019f, 1, 214 },     { 0x01a2, 0x01a4, 2, 1 },
	{ 0x01a7, 0x01a7, 1, 1 },       { 0x01a9, 0x01a9, 1, 218 },
	{ 0x01ac, 0x01ac, 1, 1 },       { 0x01ae, 0x01ae, 1, 218 },
	{ 0x01b1, 0x01b2, 1, 217 },     { 0x01b3, 0x01b5, 2, 1 },
	{ 0x01b7, 0x01b7, 1, 219 },     { 0x01b8, 0x01b8, 1, 1 },
	{ 0x01bc, 0x01bc, 1, 1 },       { 0x01c4, 0x01c4, 1, 2 },
	{ 0x01c5, 0x01c5, 1, 1 },       { 0x01c7, 0x01c7, 1, 2 },
	{ 0x01c8, 0x01c8, 1, 1 },       { 0x01ca, 0x01ca, 1, 2 },
	{ 0x01cb, 0x01cb, 1, 1 },       { 0x01e4, 0x01e4, 1, 1 },
	{ 0x01f1, 0x01f1, 1, 2 },       { 0x01f2, 0x01f2, 1, 1 },
	{ 0x0391, 0x03a1, 1, 32 },      { 0x03a3, 0x03a9, 1, 32 },
	{ 0x03e2, 0x03ee, 2, 1 },       { 0x0402, 0x0404, 2, 80 },
	{ 0x0405, 0x0406, 1, 80 },      { 0x0408, 0x040b, 1, 80 },
	{ 0x040f, 0x040f, 1, 80 },      { 0x0410, 0x0418, 1, 32 },
	{ 0x041a, 0x042f, 1, 32 },      { 0x0460, 0x0474, 2, 1 },
	{ 0x0478, 0x0480, 2, 1 },       { 0x0490, 0x04be, 2, 1 },
	{ 0x04c3, 0x04c3, 1, 1 },       { 0x04c7, 0x04c7, 1, 1 },
	{ 0x04cb, 0x04cb, 1, 1 },       { 0x0531, 0x0556, 1, 48 },
	{ 0x10a0, 0x10c5, 1, 48 },      { 0x200c, 0x200f, 1, IGNORED },
	{ 0x202a, 0x202e, 1, IGNORED }, { 0x206a, 0x206f, 1, IGNORED },
	{ 0x2160, 0x216f, 1, 16 },      { 0xfeff, 0xfeff, 1, IGNORED },
	{ 0xff21, 0xff3a, 1, 32 },
};

static unsigned
fold(unsigned c)
{
	size_t low = 0, high = ARRAY_SIZE(cases);

	if (c < 0x100) {
		/* Letters with accents are decomposed and do not occur. */
		if ((c >= 'A' && c <= 'Z') || c == 0xc6 || c == 0xd0 || c == 0xd8 || c == 0xde)
			return c + 32;
		return c ? c : 0xffff;
	}
	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (cases[mid].last < c)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == ARRAY_SIZE(cases) || c < cases[low].first ||
	    (c - cases[low].first) % cases[low].step)
		return c;
	return cases[low].delta ? c + cases[low].delta : 0;
}

/* The next character that counts, 0 at the end. */
static unsigned
next_folded(const uint8_t **p, const uint8_t *end)
{
	unsigned c = 0;

	while (*p < end && !c) {
		c = fold(get_be16(*p));
		*p += 2;
	}
	return c;
}

static int
order_binary(const uint8_t *a, unsigned nr_a, const uint8_t *b, unsigned nr_b)
{
	/* Big-endian units compare as their bytes do. */
	int order = memcmp(a, b, 2 * (size_t)PL_MIN(nr_a, nr_b));

	return order ? order : (nr_a > nr_b) - (nr_a < nr_b);
}

int
pl_hfs_name_order(bool binary, const uint8_t *a, unsigned nr_a, const uint8_t *b, unsigned nr_b)
{
	const uint8_t *a_end = a + 2 * (size_t)nr_a, *b_end = b + 2 * (size_t)nr_b;
	unsigned ca, cb;

	if (binary)
		return order_binary(a, nr_a, b, nr_b);
	do {
		ca = next_folded(&a, a_end);
		cb = next_folded(&b, b_end);
	} while (ca == cb && ca);
	return (ca > cb) - (ca < cb);
}

void
pl_hfs_from_roman(const uint8_t *bytes, size_t n, uint8_t *units)
{
	for (size_t i = 0; i < n; i++)
		put_be16(units + 2 * i, pl_mac_roman(bytes[i]));
}

size_t
pl_hfs_name(bool plus, const uint8_t *name, unsigned n, char *out)
{
	uint8_t units[2 * HFS_MAX_UNITS];

	n = PL_MIN(n, HFS_MAX_UNITS);
	if (plus)
		memcpy(units, name, 2 * (size_t)n);
	else
		pl_hfs_from_roman(name, n, units);
	for (unsigned i = 0; i < n; i++) {
		if (get_be16(units + 2 * i) == '/')
			put_be16(units + 2 * i, ':');
		else if (!get_be16(units + 2 * i))
			put_be16(units + 2 * i, 0x2400);
	}
	return pl_name_from_utf16be(units, n, out);
}

bool
pl_hfs_name_units(const char *name, size_t n, uint8_t units[static 2 * HFS_MAX_UNITS],
		  unsigned *ret_nr)
{
	char text[HFS_MAX_UTF8 + 1];
	PL_AUTOFREE uint8_t *wide = NULL;
	size_t nr;

	if (n > HFS_MAX_UTF8 || memchr(name, 0, n))
		return false;
	memcpy(text, name, n);
	text[n] = '\0';
	wide = pl_utf16be_from_text(text, &nr);
	if (!wide || nr > HFS_MAX_UNITS)
		return false;
	for (size_t i = 0; i < nr; i++) {
		unsigned c = get_be16(wide + 2 * i);

		put_be16(units + 2 * i, (uint16_t)(c == ':' ? '/' : c == 0x2400 ? 0 : c));
	}
	*ret_nr = (unsigned)nr;
	return true;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * classify.c - what bytes look like
 *
 * A block of 4 KiB is tried as a whole first, which settles most of a disk at once; what is
 * mixed is looked at by sectors.  Cheap counts that the compiler turns into vector code come
 * before the histogram: only what may be random pays for that.
 */
#include "classify.h"

#define BLOCK KIB(4)

/*
 * Limits of chi-square with 255 degrees of freedom.  By Wilson and Hilferty's approximation
 * (1931) a random block passes 450 once in 1.5e12, less than once on any disk of today; one
 * below 120 is as rare, and is a table of all byte values or the like.  A sector of 512 bytes
 * has two bytes for each value, and a longer tail.
 */
#define CHI_LOW         120
#define CHI_HIGH        450
#define CHI_HIGH_SECTOR 500

unsigned
pl_pattern_period(const uint8_t *buf, size_t n)
{
	/* Bytes with a period begin with two of it: what has none is refused here. */
	const size_t look = 2 * PLATTER_MAX_PATTERN;

	for (unsigned k = 1; k <= PLATTER_MAX_PATTERN; k++)
		if (buf[0] == buf[k] && !memcmp(buf, buf + k, look - k) &&
		    !memcmp(buf, buf + k, n - k))
			return k;
	return 0;
}

/* The rotation that comes first in the order of memcmp(): the same wherever the run was cut. */
static void
smallest_rotation(const uint8_t *p, unsigned period, uint8_t *ret)
{
	uint8_t twice[2 * PLATTER_MAX_PATTERN];
	unsigned best = 0;

	memcpy(twice, p, period);
	memcpy(twice + period, p, period);
	for (unsigned i = 1; i < period; i++)
		if (memcmp(twice + i, twice + best, period) < 0)
			best = i;
	memset(ret, 0, PLATTER_MAX_PATTERN);
	memcpy(ret, twice + best, period);
}

double
pl_chi_square(const uint64_t histogram[static 256], uint64_t total)
{
	double sum = 0;

	if (!total)
		return 0;
	for (unsigned i = 0; i < 256; i++)
		sum += (double)histogram[i] * (double)histogram[i];
	return sum * 256 / (double)total - (double)total;
}

/* Counts of one block (n < 64 KiB), in four tables so that equal neighbours do not wait for each other. */
static void
count_bytes(const uint8_t *p, size_t n, uint32_t counts[static 256])
{
	uint16_t parts[4][256] = { 0 };
	size_t i = 0;

	for (; i + 8 <= n; i += 8) {
		uint64_t v;

		memcpy(&v, p + i, 8);
		parts[0][v & 0xff]++;
		parts[1][v >> 8 & 0xff]++;
		parts[2][v >> 16 & 0xff]++;
		parts[3][v >> 24 & 0xff]++;
		parts[0][v >> 32 & 0xff]++;
		parts[1][v >> 40 & 0xff]++;
		parts[2][v >> 48 & 0xff]++;
		parts[3][v >> 56]++;
	}
	for (; i < n; i++)
		parts[0][p[i]]++;
	for (i = 0; i < 256; i++)
		counts[i] = (uint32_t)(parts[0][i] + parts[1][i] + parts[2][i] + parts[3][i]);
}

static bool
is_even(const uint32_t counts[static 256], size_t n, unsigned high)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < 256; i++)
		sum += (uint64_t)counts[i] * counts[i];
	/* chi-square + n, times n */
	sum *= 256;
	return sum > (CHI_LOW + n) * n && sum < (high + n) * n;
}

/*
 * Do neighbours differ as randomly as the bytes themselves?  Counters and samples do not.  256 pairs
 * of them or more are looked at.
 */
static bool
neighbours_are_even(const uint8_t *p, size_t n, unsigned high)
{
	size_t step = n >= BLOCK ? 8 : 2;
	uint32_t counts[256] = { 0 };

	for (size_t i = 0; i + 1 < n; i += step)
		counts[p[i] ^ p[i + 1]]++;
	return is_even(counts, n / step, high);
}

/* What most bytes that are not random show at once: too many zeros, or too few high bits. */
static bool
may_be_random(const uint8_t *p, size_t n)
{
	unsigned zeros = 0, high = 0, middle = (unsigned)n / 2;
	/* More than ten standard deviations of a binomial distribution, in either direction. */
	unsigned most_zeros = (unsigned)n / 256 + 60, slack = n >= BLOCK ? 330 : 116;

	for (size_t i = 0; i < n; i += 64) {
		uint8_t z = 0, h = 0;

		for (size_t k = 0; k < 64; k++) {
			z = (uint8_t)(z + !p[i + k]);
			h = (uint8_t)(h + (p[i + k] >> 7));
		}
		zeros += z;
		high += h;
	}
	return zeros <= most_zeros && high >= middle - slack && high <= middle + slack;
}

/* n: a multiple of 64, 512 at least. */
static bool
is_random(const uint8_t *p, size_t n, uint64_t histogram[static 256])
{
	unsigned limit = n >= BLOCK ? CHI_HIGH : CHI_HIGH_SECTOR;
	uint32_t counts[256];

	if (!may_be_random(p, n))
		return false;
	count_bytes(p, n, counts);
	if (!is_even(counts, n, limit) || !neighbours_are_even(p, n, limit + 100))
		return false;
	for (unsigned i = 0; i < 256; i++)
		histogram[i] += counts[i];
	return true;
}

/* Bytes of a character of UTF-8 at p, 0: none.  (RFC 3629, without its rarer limits) */
static size_t
utf8_length(const uint8_t *p, size_t n)
{
	size_t length = p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 0;

	if (!length)
		return 0;
	/* A character may go on in the next sector. */
	for (size_t i = 1; i < length && i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return PL_MIN(length, n);
}

static bool
is_text_byte(uint8_t c)
{
	return (c >= ' ' && c < 0x7f) || (c >= '\t' && c <= '\r');
}

/* Text with letters and blanks in UTF-16, to which nothing outside of Latin-1 belongs. */
static bool
is_utf16(const uint8_t *p, size_t n)
{
	size_t good = 0;

	if (!p[0] == !p[1])
		return false;
	for (size_t i = 0; i + 1 < n; i += 2) {
		uint8_t c = p[0] ? p[i] : p[i + 1], other = p[0] ? p[i + 1] : p[i];

		good += !other && is_text_byte(c);
	}
	return good >= n / 2 * 9 / 10;
}

/* Bytes of text that n bytes begin with; what follows must be zeros, and little may. */
static bool
is_text(const uint8_t *p, size_t n)
{
	size_t i = 0, letters = 0;

	/* Only at the front of a sector may a character from before end. */
	while (i < 3 && i < n && (p[i] & 0xc0) == 0x80)
		i++;
	while (i < n && p[i]) {
		size_t length = 1;

		if (!is_text_byte(p[i])) {
			length = p[i] & 0x80 ? utf8_length(p + i, n - i) : 0;
			if (!length)
				return is_utf16(p, n);
		}
		letters += length;
		i += length;
	}
	if (i < n && i < 8)
		return is_utf16(p, n);
	return letters >= 8 && pl_is_zero(p + i, n - i);
}

static void
add_run(struct pl_class_run *runs, size_t *nr, size_t start, size_t length,
	const struct pl_class_run *what)
{
	struct pl_class_run *last = *nr ? &runs[*nr - 1] : NULL;

	if (last && last->kind == what->kind && last->period == what->period &&
	    !memcmp(last->pattern, what->pattern, sizeof last->pattern)) {
		last->length += (uint32_t)length;
		return;
	}
	runs[*nr] = *what;
	runs[*nr].start = (uint32_t)start;
	runs[(*nr)++].length = (uint32_t)length;
}

/* What a whole block, or else a sector, can be told as.  False: it is mixed. */
static bool
is_uniform(const uint8_t *p, size_t n, struct pl_class_run *what, uint64_t histogram[static 256])
{
	*what = (struct pl_class_run){ .kind = PLATTER_CLASS_ZERO };
	if (pl_is_zero(p, n))
		return true;
	if (n >= 64)
		what->period = (uint8_t)pl_pattern_period(p, n);
	if (what->period) {
		what->kind = PLATTER_CLASS_PATTERN;
		smallest_rotation(p, what->period, what->pattern);
		return true;
	}
	what->kind = PLATTER_CLASS_RANDOM;
	return n >= PL_CLASS_SECTOR && n % 64 == 0 && is_random(p, n, histogram);
}

size_t
pl_classify(const uint8_t *buf, size_t n, struct pl_class_run *ret, uint64_t histogram[static 256])
{
	size_t nr = 0, length;

	for (size_t at = 0; at < n; at += length) {
		struct pl_class_run what;

		length = PL_MIN(BLOCK, n - at);
		if (length == BLOCK && is_uniform(buf + at, length, &what, histogram)) {
			add_run(ret, &nr, at, length, &what);
			continue;
		}
		for (size_t i = 0, k; i < length; i += k) {
			const uint8_t *p = buf + at + i;

			k = PL_MIN(PL_CLASS_SECTOR, length - i);
			if (!is_uniform(p, k, &what, histogram))
				what.kind =
					is_text(p, k) ? PLATTER_CLASS_TEXT : PLATTER_CLASS_OTHER;
			add_run(ret, &nr, at + i, k, &what);
		}
	}
	return nr;
}

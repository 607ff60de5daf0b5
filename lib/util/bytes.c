/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "bytes.h"

#include <errno.h>

bool
pl_is_zero(const void *buf, size_t n)
{
	const uint8_t *p = buf;

	/* Most data shows itself in the first bytes. */
	for (; n && ((uintptr_t)p & 7 || n < 16); p++, n--)
		if (*p)
			return false;
	while (n >= 256) {
		uint64_t any = 0;

		for (size_t i = 0; i < 256; i += 8) {
			uint64_t v;

			memcpy(&v, p + i, 8);
			any |= v;
		}
		if (any)
			return false;
		p += 256;
		n -= 256;
	}
	for (; n >= 8; p += 8, n -= 8) {
		uint64_t v;

		memcpy(&v, p, 8);
		if (v)
			return false;
	}
	for (; n; p++, n--)
		if (*p)
			return false;
	return true;
}

size_t
pl_zero_run(const uint8_t *buf, size_t n, size_t block, bool *ret_zero)
{
	size_t at = PL_MIN(n, block);
	bool zero = pl_is_zero(buf, at);

	while (at < n) {
		size_t len = PL_MIN(n - at, block);

		if (pl_is_zero(buf + at, len) != zero)
			break;
		at += len;
	}
	*ret_zero = zero;
	return at;
}

void *
pl_alloc_aligned(size_t n)
{
	return aligned_alloc(4096, (size_t)pl_round_up(n ? n : 1, 4096));
}

void *
pl_realloc_array(void *p, size_t nr, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(nr, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	return realloc(p, bytes ? bytes : 1);
}

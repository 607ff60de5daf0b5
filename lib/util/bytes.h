/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bytes.h - byte order, ranges, zero tests: what every parser needs */
#ifndef PL_BYTES_H
#define PL_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define KIB(n) ((uint64_t)(n) << 10)
#define MIB(n) ((uint64_t)(n) << 20)
#define GIB(n) ((uint64_t)(n) << 30)
#define TIB(n) ((uint64_t)(n) << 40)

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define PL_MIN(a, b)  ((a) < (b) ? (a) : (b))
#define PL_MAX(a, b)  ((a) > (b) ? (a) : (b))

#define pl_container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

static inline void
pl_autofree_(void *p)
{
	free(*(void **)p);
}

/* A local that frees itself; leave with PL_STEAL() to keep it. */
#define PL_AUTOFREE __attribute__((cleanup(pl_autofree_)))
#define PL_STEAL(p)                   \
	__extension__({               \
		__auto_type t_ = (p); \
		(p) = NULL;           \
		t_;                   \
	})

#define PL_GET_LE(bits)                                                                    \
	static inline uint##bits##_t get_le##bits(const void *p)                           \
	{                                                                                  \
		uint##bits##_t v;                                                          \
		memcpy(&v, p, sizeof v);                                                   \
		return __builtin_choose_expr(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, v, \
					     __builtin_bswap##bits(v));                    \
	}                                                                                  \
	static inline void put_le##bits(void *p, uint##bits##_t v)                         \
	{                                                                                  \
		if (__BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__)                             \
			v = __builtin_bswap##bits(v);                                      \
		memcpy(p, &v, sizeof v);                                                   \
	}                                                                                  \
	static inline uint##bits##_t get_be##bits(const void *p)                           \
	{                                                                                  \
		uint##bits##_t v;                                                          \
		memcpy(&v, p, sizeof v);                                                   \
		return __builtin_choose_expr(__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__, v,    \
					     __builtin_bswap##bits(v));                    \
	}                                                                                  \
	static inline void put_be##bits(void *p, uint##bits##_t v)                         \
	{                                                                                  \
		if (__BYTE_ORDER__ != __ORDER_BIG_ENDIAN__)                                \
			v = __builtin_bswap##bits(v);                                      \
		memcpy(p, &v, sizeof v);                                                   \
	}
PL_GET_LE(16)
PL_GET_LE(32)
PL_GET_LE(64)
#undef PL_GET_LE

/* True when [off, off + len) lies inside [0, size), for any three values. */
static inline bool
pl_in_range(uint64_t off, uint64_t len, uint64_t size)
{
	return off <= size && len <= size - off;
}

/* Round down or up to a multiple of `unit`, a power of two.  Rounding up saturates. */
static inline uint64_t
pl_round_down(uint64_t n, uint64_t unit)
{
	return n & ~(unit - 1);
}

static inline uint64_t
pl_round_up(uint64_t n, uint64_t unit)
{
	return n > UINT64_MAX - (unit - 1) ? pl_round_down(UINT64_MAX, unit)
					   : pl_round_down(n + unit - 1, unit);
}

/* The same for any unit > 0. */
static inline uint64_t
pl_multiple_below(uint64_t n, uint64_t unit)
{
	return n - n % unit;
}

static inline uint64_t
pl_multiple_above(uint64_t n, uint64_t unit)
{
	uint64_t rest = n % unit;

	if (!rest)
		return n;
	return n - rest > UINT64_MAX - unit ? n - rest : n - rest + unit;
}

/* n / unit, rounded up, for any unit > 0, without wrapping. */
static inline uint64_t
pl_div_round_up(uint64_t n, uint64_t unit)
{
	return n / unit + (n % unit != 0);
}

static inline bool
pl_is_power_of_two(uint64_t n)
{
	return n && !(n & (n - 1));
}

/* True when all n bytes are zero; true for n = 0.  At memory speed, stops early. */
bool pl_is_zero(const void *buf, size_t n);

/*
 * The length of the run at the start of `buf` (n > 0) whose `block`-sized blocks (the
 * last may be short) are all zero, or all not: *ret_zero tells which.
 */
size_t pl_zero_run(const uint8_t *buf, size_t n, size_t block, bool *ret_zero);

/* A buffer aligned for direct I/O (4096), or NULL; free() it. */
void *pl_alloc_aligned(size_t n);

/* realloc() of nr elements of `size` bytes that refuses to wrap; NULL when it fails. */
void *pl_realloc_array(void *p, size_t nr, size_t size);

/*
 * Bounds-checked reading of a buffer from front to back.  pl_take() returns the next
 * n bytes, or NULL if fewer are left, and then every later call returns NULL too.
 */
struct pl_cursor {
	const uint8_t *p, *end;
};

static inline const uint8_t *
pl_take(struct pl_cursor *c, size_t n)
{
	const uint8_t *p = c->p;

	if (!p || (size_t)(c->end - p) < n) {
		c->p = NULL;
		return NULL;
	}
	c->p += n;
	return p;
}

#endif

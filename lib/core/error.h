/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * error.h - filling in struct platter_error
 *
 * Each helper that sets the words returns the code, so that `return pl_corrupt(...)`
 * cannot give one without the other.  A NULL err is fine everywhere.
 */
#ifndef PL_ERROR_H
#define PL_ERROR_H

#include <errno.h>
#include <inttypes.h>
#include <platter/error.h>

#define PL_PRINTF(f, a) __attribute__((format(printf, f, a)))

void pl_set_error(struct platter_error *err, int code, uint64_t at, const char *format, ...)
	PL_PRINTF(4, 5) __attribute__((cold));

/* Lets the compiler and the analyser see that what a failing call returns is negative. */
static inline int
pl_negative(int code)
{
	return code < 0 ? code : -EIO;
}

/* `code` is a negative errno; `at` a byte of the file being read, or PLATTER_NO_OFFSET. */
#define pl_fail_at(err, code, at, ...)                         \
	__extension__({                                        \
		int code_ = (code);                            \
		pl_set_error((err), code_, (at), __VA_ARGS__); \
		pl_negative(code_);                            \
	})

/* The image contradicts its format (-EUCLEAN), is beyond us (-ENOTSUP), passes a limit (-EFBIG). */
#define pl_corrupt(err, at, ...)     pl_fail_at(err, -EUCLEAN, at, __VA_ARGS__)
#define pl_unsupported(err, at, ...) pl_fail_at(err, -ENOTSUP, at, __VA_ARGS__)
#define pl_over_limit(err, at, ...)  pl_fail_at(err, -EFBIG, at, __VA_ARGS__)
#define pl_invalid(err, ...)         pl_fail_at(err, -EINVAL, PLATTER_NO_OFFSET, __VA_ARGS__)
#define pl_fail(err, code, ...)      pl_fail_at(err, code, PLATTER_NO_OFFSET, __VA_ARGS__)

void pl_set_errno_error(struct platter_error *err, int code, const char *format, ...)
	PL_PRINTF(3, 4) __attribute__((cold));

/* "cannot WHAT: strerror(-code)"; `code` is a negative errno. */
#define pl_fail_errno(err, code, ...)                          \
	__extension__({                                        \
		int code_ = (code);                            \
		pl_set_errno_error((err), code_, __VA_ARGS__); \
		pl_negative(code_);                            \
	})

#define pl_no_memory(err) pl_fail(err, -ENOMEM, "out of memory")

/* What the user can do.  Replaces an earlier hint. */
void pl_hint(struct platter_error *err, const char *format, ...) PL_PRINTF(2, 3);

/* Put context in front of the message: "opening disk.qcow2: MESSAGE". */
void pl_context(struct platter_error *err, const char *format, ...) PL_PRINTF(2, 3);

/* Say which file the offset counts in, unless a deeper layer already said. */
void pl_error_place(struct platter_error *err, const char *place);

#endif

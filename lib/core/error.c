/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bytes.h"

void
pl_set_error(struct platter_error *err, int code, uint64_t at, const char *format, ...)
{
	va_list args;

	if (!err)
		return;
	err->code = code;
	err->offset = at;
	err->place[0] = err->hint[0] = '\0';
	va_start(args, format);
	vsnprintf(err->message, sizeof err->message, format, args);
	va_end(args);
}

void
pl_set_errno_error(struct platter_error *err, int code, const char *format, ...)
{
	char what[512], why[128];
	va_list args;

	if (!err)
		return;
	va_start(args, format);
	vsnprintf(what, sizeof what, format, args);
	va_end(args);
	pl_set_error(err, code, PLATTER_NO_OFFSET, "cannot %s: %s", what,
		     strerror_r(-code, why, sizeof why));
}

void
pl_hint(struct platter_error *err, const char *format, ...)
{
	va_list args;

	if (!err)
		return;
	va_start(args, format);
	vsnprintf(err->hint, sizeof err->hint, format, args);
	va_end(args);
}

void
pl_context(struct platter_error *err, const char *format, ...)
{
	char text[sizeof err->message];
	size_t n, rest;
	va_list args;

	if (!err)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	n = strlen(text);
	if (n + 3 > sizeof text)
		return;
	/* The end of a long message gives way to its context. */
	rest = PL_MIN(strlen(err->message), sizeof text - n - 3);
	memmove(err->message + n + 2, err->message, rest);
	err->message[n + 2 + rest] = '\0';
	memcpy(err->message, text, n);
	memcpy(err->message + n, ": ", 2);
}

void
pl_error_place(struct platter_error *err, const char *place)
{
	if (err && !err->place[0] && err->offset != PLATTER_NO_OFFSET)
		snprintf(err->place, sizeof err->place, "%s", place);
}

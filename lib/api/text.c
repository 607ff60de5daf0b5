/* SPDX-License-Identifier: GPL-3.0-or-later */
/* text.c - platter/text.h: sizes as people write them */
#include <platter/text.h>

#include <errno.h>

#include "text.h"

int
platter_parse_size(const char *text, uint64_t *ret_bytes)
{
	return text && ret_bytes ? pl_parse_size(text, ret_bytes) : -EINVAL;
}

char *
platter_format_size(uint64_t bytes, char *buf, size_t n)
{
	return buf ? pl_format_size(bytes, buf, n) : NULL;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* format.c - platter/format.h: what can be read, written and created */
#include "format.h"

#include "content.h"
#include "scheme.h"

/* The index-th of a NULL-terminated registry, without trusting the index. */
#define AT(registry, index, ret)                                       \
	do {                                                           \
		size_t i_ = 0;                                         \
		while (i_ < (index) && (registry)[i_])                 \
			i_++;                                          \
		(ret) = (registry)[i_] ? &(registry)[i_]->info : NULL; \
	} while (0)

const struct platter_format_info *
platter_format_info(size_t index)
{
	const struct platter_format_info *info;

	AT(pl_formats, index, info);
	return info;
}

const struct platter_format_info *
platter_table_info(size_t index)
{
	const struct platter_format_info *info;

	AT(pl_schemes, index, info);
	return info;
}

const struct platter_format_info *
platter_content_info(size_t index)
{
	const struct platter_format_info *info;

	AT(pl_content_drivers, index, info);
	return info;
}

bool
platter_content_has_files(const struct platter_format_info *content)
{
	for (size_t i = 0; pl_content_drivers[i]; i++)
		if (&pl_content_drivers[i]->info == content)
			return pl_content_drivers[i]->open;
	return false;
}

const char *
platter_version(void)
{
	return PLATTER_VERSION;
}

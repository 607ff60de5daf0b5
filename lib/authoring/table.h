/* SPDX-License-Identifier: GPL-3.0-or-later */
/* table.h - partitions put into the table of a disk that is there */
#ifndef PL_TABLE_H
#define PL_TABLE_H

#include <platter/examine.h>

/* As platter_write_table() says. */
int pl_write_table(const char *target, const struct platter_lost_partition *partitions, size_t nr,
		   const struct platter_table_options *options, struct platter_error *err);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test-partitions.c - disks that hold no table at all */
#include "tables.h"

TEST(a_disk_without_a_table_has_none)
{
	uint8_t *disk = calloc(1, MBR_SIZE);

	look(disk, MBR_SIZE);
	EXPECT_STR(names(), "");
	look(disk, 0);
	EXPECT_STR(names(), "");
	look(disk, 1);
	EXPECT_STR(names(), "");
	EXPECT_STR(warnings(NULL), "");
	free(disk);
}

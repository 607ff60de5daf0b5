/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * mapfile.c - which sectors of a disc could be read, in the form of GNU ddrescue
 *
 * GNU ddrescue manual, chapter 9 "Mapfile structure": comments; a line with the position, status
 * and pass ('+': finished); a line for each block with its position, size and status ('+': read,
 * '-': bad), which together cover the disk without gaps.
 */
#include "drive.h"
#include "text.h"

static void
add_block(struct pl_str *s, uint64_t offset, uint64_t length, char status)
{
	if (length)
		pl_str_addf(s, "0x%08" PRIX64 "  0x%08" PRIX64 "  %c\n", offset, length, status);
}

char *
pl_drive_leaf_mapfile(struct pl_disk *leaf)
{
	struct pl_str s = { 0 };
	uint64_t at = 0, offset, length;

	pl_str_add(&s, "# Mapfile. Created by platter " PLATTER_VERSION "\n"
		       "# current_pos  current_status  current_pass\n");
	pl_str_addf(&s, "0x%08" PRIX64 "     +               1\n", leaf->size);
	pl_str_add(&s, "#      pos        size  status\n");
	for (size_t i = 0; pl_drive_leaf_bad(leaf, i, &offset, &length); i++) {
		add_block(&s, at, offset - at, '+');
		add_block(&s, offset, length, '-');
		at = offset + length;
	}
	add_block(&s, at, leaf->size - at, '+');
	if (s.failed)
		pl_str_done(&s);
	return s.text;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* drive.c - drives whatever is behind them */
#include "drive.h"

#include <stdlib.h>
#include <string.h>

/* ECMA-119: the first volume descriptor, and in it the number of blocks and their size. */
#define ISO_DESCRIPTOR_LBA 16
enum {
	ISO_IDENTIFIER = 1,
	ISO_SPACE_SIZE = 80,
	ISO_BLOCK_SIZE = 128,
};

/* What a session is aligned to: 64 KiB, as libisoburn has it; DVDs write 32 KiB at once, BDs 64. */
#define SESSION_ALIGNMENT 32

bool
pl_drive_is_file(const char *address)
{
	return !strncmp(address, "stdio:", 6);
}

const char *
pl_drive_path(const char *address)
{
	return pl_drive_is_file(address) ? address + 6 : address;
}

/*
 * Of an overwritable disc: where a session that follows the ISO 9660 image on it begins; 0: there is
 * no such image.
 */
static int
find_end_of_image(struct pl_drive *drive, int64_t *ret, struct platter_error *err)
{
	uint8_t sector[PL_DISC_SECTOR];
	size_t nr;
	int r;

	*ret = 0;
	if (drive->info.disc.size < (ISO_DESCRIPTOR_LBA + 1) * (uint64_t)PL_DISC_SECTOR)
		return 0;
	r = drive->ops->read(drive, false, ISO_DESCRIPTOR_LBA, 1, sector, &nr, err);
	if (r < 0 || nr != 1)
		return r;
	if (sector[0] == 1 && !memcmp(sector + ISO_IDENTIFIER, "CD001", 5) &&
	    get_le16(sector + ISO_BLOCK_SIZE) == PL_DISC_SECTOR)
		*ret = (int64_t)pl_round_up(get_le32(sector + ISO_SPACE_SIZE), SESSION_ALIGNMENT);
	return 0;
}

void
pl_drive_init(struct pl_drive *drive, const struct pl_drive_ops *ops)
{
	drive->ops = ops;
	pthread_mutex_init(&drive->lock, NULL);
}

int
pl_drive_look(struct pl_drive *drive, struct platter_error *err)
{
	struct platter_drive_disc *disc = &drive->info.disc;
	int64_t end = 0;
	int r = drive->ops->look(drive, err);

	if (r == 0 && disc->state == PLATTER_DISC_OVERWRITABLE) {
		r = find_end_of_image(drive, &end, err);
		if (end > 0) {
			disc->next_writable = end;
			disc->last_session = 0;
		}
	}
	if (r == 0 && drive->arena.failed)
		return pl_no_memory(err);
	return r;
}

void
pl_drive_close(struct pl_drive *drive, bool eject)
{
	struct pl_arena arena;

	if (!drive)
		return;
	arena = drive->arena;
	pthread_mutex_destroy(&drive->lock);
	drive->ops->free(drive, eject);
	pl_arena_done(&arena);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* drive.c - platter/drive.h: optical drives */
#include <platter/drive.h>

#include <stdlib.h>
#include <sys/stat.h>

#include "api.h"
#include "burn.h"
#include "create.h"
#include "guard.h"
#include "identity.h"
#include "progress.h"

struct platter_drive {
	struct pl_drive *drive;
};

/* The list that is handed out, and what it is made of. */
struct list {
	struct platter_drive_list public;
	struct pl_drive_listing listing;
};

static void
list_free(struct list *l)
{
	free((struct platter_drive_info *)(uintptr_t)l->public.drives);
	pl_drive_list_done(&l->listing);
	free(l);
}

/* A file that is no address is a mistake; what is not there, or is in use, is told in the list. */
static int
check_addresses(const char *const *addresses, size_t nr, struct platter_error *err)
{
	for (size_t i = 0; i < nr; i++) {
		struct stat st;
		int r;

		if (pl_drive_is_file(addresses[i]) || stat(addresses[i], &st) < 0 ||
		    !(S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)))
			continue;
		r = pl_invalid(err, "'%s' is no drive", addresses[i]);
		pl_hint(err, "a file that behaves like a drive is stdio:%s", addresses[i]);
		return r;
	}
	return 0;
}

int
platter_drive_list(const char *const *addresses, size_t nr_addresses,
		   struct platter_drive_list **ret, struct platter_error *err)
{
	struct platter_drive_info *infos;
	struct list *l;
	int r;

	if (!ret || (nr_addresses && !addresses))
		return pl_invalid(err, "no list to fill in");
	r = check_addresses(addresses, nr_addresses, err);
	if (r < 0)
		return r;
	l = calloc(1, sizeof *l);
	if (!l)
		return pl_no_memory(err);
	r = pl_drive_list(addresses, nr_addresses, &l->listing, err);
	infos = r == 0 ? calloc(l->listing.nr + 1, sizeof *infos) : NULL;
	if (r == 0 && !infos)
		r = pl_no_memory(err);
	if (r < 0) {
		list_free(l);
		return r;
	}
	for (size_t i = 0; i < l->listing.nr; i++)
		infos[i] = l->listing.list[i].info;
	l->public.drives = infos;
	l->public.nr_drives = l->listing.nr;
	*ret = &l->public;
	return 0;
}

void
platter_drive_list_free(struct platter_drive_list *list)
{
	if (list)
		list_free(pl_container_of(list, struct list, public));
}

int
platter_drive_open(const char *address, struct platter_drive **ret, struct platter_error *err)
{
	struct platter_drive *d;
	int r;

	if (!address || !ret)
		return pl_invalid(err, "no drive to open");
	r = pl_guard_device(pl_drive_path(address), err);
	if (r < 0)
		return r;
	d = malloc(sizeof *d);
	if (!d)
		return pl_no_memory(err);
	r = pl_drive_open(address, true, &d->drive, err);
	if (r < 0)
		free(d);
	else
		*ret = d;
	return r;
}

void
platter_drive_close(struct platter_drive *drive, bool eject)
{
	if (!drive)
		return;
	pl_drive_close(drive->drive, eject);
	free(drive);
}

const struct platter_drive_info *
platter_drive_info(const struct platter_drive *drive)
{
	return &drive->drive->info;
}

int
platter_drive_disk(struct platter_drive *drive, const struct platter_drive_read_options *options,
		   struct platter_disk **ret, struct platter_error *err)
{
	struct platter_drive_read_options o;
	struct platter_disk *disk;
	int r;

	if (!drive || !ret)
		return pl_invalid(err, "no drive to read");
	r = pl_api_options(&o, sizeof o, options, err);
	if (r < 0)
		return r;
	disk = malloc(sizeof *disk);
	if (!disk)
		return pl_no_memory(err);
	r = pl_drive_place(drive->drive, &o, &disk->place, err);
	if (r < 0)
		free(disk);
	else
		*ret = disk;
	return r;
}

/* The options, and whether the image is what would be overwritten. */
static int
check_source(const struct platter_disk *image, const struct platter_drive *drive,
	     const struct platter_burn_options *options, struct platter_burn_options *ret,
	     struct platter_error *err)
{
	int r = pl_api_options(ret, sizeof *ret, options, err);

	if (r == 0 && image)
		r = pl_refuse_same_file(image->place, pl_drive_path(drive->drive->info.address),
					err);
	return r;
}

int
platter_burn_check(struct platter_disk *image, struct platter_drive *drive,
		   const struct platter_burn_options *options, int64_t *ret_lost,
		   struct platter_error *err)
{
	struct platter_burn_options o;
	int64_t lost = -1;
	int r;

	if (!drive)
		return pl_invalid(err, "no drive to burn with");
	r = check_source(image, drive, options, &o, err);
	if (r == 0)
		r = pl_burn_check(image ? image->place->disk : NULL, drive->drive, &o, &lost, err);
	if (r == 0 && ret_lost)
		*ret_lost = lost;
	return r;
}

int
platter_burn(struct platter_disk *image, struct platter_drive *drive,
	     const struct platter_burn_options *options, struct platter_progress *progress,
	     struct platter_burn_result *ret, struct platter_error *err)
{
	struct platter_burn_result result;
	struct platter_burn_options o;
	int r;

	if (!drive)
		return pl_invalid(err, "no drive to burn with");
	r = check_source(image, drive, options, &o, err);
	if (r == 0 && o.identity)
		r = pl_identity_check_path(&o.identity->identity,
					   pl_drive_path(drive->drive->info.address), err);
	if (r < 0)
		return r;
	r = pl_burn(image ? image->place->disk : NULL, drive->drive, &o, progress, &result, err);
	if (ret)
		*ret = result;
	return r;
}

int
platter_rip(struct platter_drive *drive, const char *target,
	    const struct platter_drive_read_options *how,
	    const struct platter_create_options *options, struct platter_progress *progress,
	    struct platter_rip_result *ret, struct platter_error *err)
{
	struct platter_rip_result result = { 0 };
	struct platter_drive_read_options h;
	struct platter_create_options o;
	struct pl_meter clock;
	int r;

	if (!drive || !target || !*target)
		return pl_invalid(err, "no drive or no target to rip");
	r = pl_api_options(&h, sizeof h, how, err);
	if (r == 0)
		r = pl_api_options(&o, sizeof o, options, err);
	if (r < 0)
		return r;
	pl_meter_start(&clock, NULL, "", 0);
	r = pl_rip(drive->drive, target, &h, &o, progress, &result, err);
	result.copy.seconds = pl_meter_seconds(&clock);
	if (ret)
		*ret = result;
	return r;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * list.c - the optical drives of this computer
 *
 * The kernel names them: sr0, sr1, ...  One that is in use, or that we may not open, is listed
 * by what the kernel knows of it.
 */
#include "drive.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

#define BLOCK_DEVICES "/sys/class/block"

static const char *
attribute(struct pl_arena *arena, const char *name, const char *key)
{
	char path[300], line[80] = "";
	FILE *f;

	snprintf(path, sizeof path, BLOCK_DEVICES "/%.64s/device/%s", name, key);
	f = fopen(path, "re");
	if (!f)
		return "";
	if (!fgets(line, sizeof line, f))
		line[0] = '\0';
	fclose(f);
	line[strcspn(line, "\n")] = '\0';
	return pl_arena_take(arena, pl_text_from_bytes(line, strlen(line)));
}

static int
add(struct pl_drive_listing *l, const char *address, struct platter_error *err)
{
	static const char *const nothing[] = { NULL };
	struct pl_listed *list = pl_realloc_array(l->list, l->nr + 1, sizeof *list), *one;
	struct platter_error why = PLATTER_ERROR_INIT;
	const char *name = strrchr(address, '/');

	if (!list)
		return pl_no_memory(err);
	l->list = list;
	one = &list[l->nr++];
	*one = (struct pl_listed){ 0 };
	if (pl_drive_open(address, false, &one->drive, &why) == 0) {
		one->info = one->drive->info;
		return 0;
	}
	if (why.code == -ENOMEM)
		return pl_no_memory(err);
	name = name ? name + 1 : address;
	one->info = (struct platter_drive_info){
		.address = pl_arena_strdup(&l->arena, address),
		.vendor = attribute(&l->arena, name, "vendor"),
		.model = attribute(&l->arena, name, "model"),
		.revision = attribute(&l->arena, name, "rev"),
		.is_file = pl_drive_is_file(address),
		.writes = nothing,
		.problem = pl_arena_strdup(&l->arena, why.message),
		.disc = { .state = PLATTER_DISC_UNKNOWN,
			  .profile_name = "",
			  .medium = "",
			  .manufacturer = "",
			  .next_writable = -1,
			  .last_session = -1 },
	};
	return 0;
}

static int
is_drive(const struct dirent *e)
{
	return !strncmp(e->d_name, "sr", 2) && e->d_name[2] >= '0' && e->d_name[2] <= '9';
}

static int
add_drives(struct pl_drive_listing *l, struct platter_error *err)
{
	struct dirent **names = NULL;
	int nr = scandir(BLOCK_DEVICES, &names, is_drive, versionsort), r = 0;

	for (int i = 0; i < nr; i++) {
		char address[80];

		snprintf(address, sizeof address, "/dev/%.64s", names[i]->d_name);
		if (r == 0)
			r = add(l, address, err);
		free(names[i]);
	}
	free(names);
	return r;
}

int
pl_drive_list(const char *const *addresses, size_t nr_addresses, struct pl_drive_listing *ret,
	      struct platter_error *err)
{
	int r = nr_addresses ? 0 : add_drives(ret, err);

	for (size_t i = 0; i < nr_addresses && r == 0; i++)
		r = add(ret, addresses[i], err);
	if (r == 0 && ret->arena.failed)
		r = pl_no_memory(err);
	return r;
}

void
pl_drive_list_done(struct pl_drive_listing *l)
{
	for (size_t i = 0; i < l->nr; i++)
		pl_drive_close(l->list[i].drive, false);
	free(l->list);
	pl_arena_done(&l->arena);
}

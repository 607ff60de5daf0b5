/* SPDX-License-Identifier: GPL-3.0-or-later */
/* device.c - platter/device.h: block devices */
#include <platter/device.h>

#include <sys/stat.h>

#include "api.h"
#include "devices.h"
#include "drive.h"
#include "guard.h"
#include "identity.h"
#include "inventory.h"

/* The list that is handed out, and what it is made of. */
struct uses {
	struct platter_device_uses public;
	struct pl_users found;
};

struct list {
	struct platter_device_list public;
	struct pl_inventory inventory;
	struct pl_survey *survey;
};

/*
 * The path that a place begins with: all of it, or what stands before the last '@', '?' or ":/"
 * with which it names a file; to be freed.  A drive of libburn's that is a file is that file.
 */
static int
path_of_place(const char *place, char **ret, struct platter_error *err)
{
	PL_AUTOFREE char *path = NULL;
	struct stat st;
	size_t n;

	if (!place || !*place)
		return pl_invalid(err, "no device to check");
	path = strdup(pl_drive_path(place));
	if (!path)
		return pl_no_memory(err);
	for (n = strlen(path); n && stat(path, &st) < 0;) {
		if (errno != ENOENT && errno != ENOTDIR)
			return pl_fail_errno(err, -errno, "examine '%s'", path);
		do
			n--;
		while (n && path[n] != '@' && path[n] != '?' &&
		       !(path[n] == ':' && path[n + 1] == '/'));
		path[n] = '\0';
	}
	if (!n)
		return pl_fail_errno(err, -ENOENT, "find '%s'", place);
	*ret = PL_STEAL(path);
	return 0;
}

/* A device, and what stands on it. */
static void
want(const struct pl_inventory *inventory, size_t index, bool *wanted)
{
	const struct platter_device *d = &inventory->list[index];

	if (wanted[index])
		return;
	wanted[index] = true;
	for (size_t i = 0; i < d->nr_children; i++)
		want(inventory, d->children[i], wanted);
}

static int
want_path(const struct pl_inventory *inventory, const char *path, bool *wanted,
	  struct platter_error *err)
{
	struct stat st;
	size_t index;

	if (stat(path, &st) < 0)
		return pl_fail_errno(err, -errno, "find '%s'", path);
	index = S_ISBLK(st.st_mode) ? pl_blocks_by_number(inventory->blocks, st.st_rdev)
				    : PL_NO_BLOCK;
	if (index == PL_NO_BLOCK)
		return pl_fail(err, -ENOTBLK, "'%s' is no block device", path);
	want(inventory, index, wanted);
	/* The table of its disk tells of a partition. */
	if (inventory->blocks->list[index].disk != PL_NO_BLOCK)
		wanted[inventory->blocks->list[index].disk] = true;
	return 0;
}

static int
survey(struct list *l, const char *const *paths, size_t nr_paths,
       const struct platter_device_list_options *o, struct platter_error *err)
{
	size_t nr = l->inventory.blocks->nr;
	PL_AUTOFREE bool *wanted = calloc(nr + 1, sizeof *wanted);
	int r = wanted ? 0 : pl_no_memory(err);

	for (size_t i = 0; i < nr_paths && r == 0; i++)
		r = want_path(&l->inventory, paths[i], wanted, err);
	for (size_t i = 0; i < nr && r == 0 && !nr_paths; i++)
		wanted[i] = true;
	return r < 0 ? r : pl_survey_devices(&l->inventory, wanted, o, &l->survey, err);
}

int
platter_device_list(const char *const *paths, size_t nr_paths,
		    const struct platter_device_list_options *options,
		    struct platter_device_list **ret, struct platter_error *err)
{
	struct platter_device_list_options o;
	struct list *l;
	int r;

	if (!ret || (nr_paths && !paths))
		return pl_invalid(err, "no list to fill in");
	r = pl_api_options(&o, sizeof o, options, err);
	if (r < 0)
		return r;
	l = calloc(1, sizeof *l);
	if (!l)
		return pl_no_memory(err);
	r = pl_inventory_read("", &l->inventory, err);
	if (r == 0)
		r = survey(l, paths, nr_paths, &o, err);
	if (r == 0 && l->inventory.arena.failed)
		r = pl_no_memory(err);
	if (r < 0) {
		platter_device_list_free(&l->public);
		return r;
	}
	l->public.devices = l->inventory.list;
	l->public.nr_devices = l->inventory.blocks->nr;
	*ret = &l->public;
	return 0;
}

void
platter_device_list_free(struct platter_device_list *list)
{
	struct list *l = list ? pl_container_of(list, struct list, public) : NULL;

	if (!l)
		return;
	pl_survey_free(l->survey);
	if (l->inventory.blocks)
		pl_inventory_done(&l->inventory);
	free(l);
}

int
platter_device_uses(const char *place, struct platter_device_uses **ret, struct platter_error *err)
{
	PL_AUTOFREE char *path = NULL;
	struct platter_device_use *list;
	struct uses *u;
	int r;

	if (!ret)
		return pl_invalid(err, "no list to fill in");
	r = path_of_place(place, &path, err);
	if (r < 0)
		return r;
	u = calloc(1, sizeof *u);
	if (!u)
		return pl_no_memory(err);
	r = pl_users_find(path, &u->found, err);
	list = r == 0 ? calloc(u->found.nr + 1, sizeof *list) : NULL;
	if (r == 0 && !list)
		r = pl_no_memory(err);
	if (r < 0) {
		platter_device_uses_free(&u->public);
		return r;
	}
	for (size_t i = 0; i < u->found.nr; i++) {
		const struct pl_user *use = &u->found.list[i];

		list[i] = (struct platter_device_use){
			.kind = (enum platter_use_kind)use->kind,
			.device = use->device,
			.user = use->by,
			.text = use->text,
			.release = use->release,
			.system = use->system,
		};
	}
	u->public.uses = list;
	u->public.nr_uses = u->found.nr;
	*ret = &u->public;
	return 0;
}

void
platter_device_uses_free(struct platter_device_uses *uses)
{
	struct uses *u = uses ? pl_container_of(uses, struct uses, public) : NULL;

	if (!u)
		return;
	free((struct platter_device_use *)(uintptr_t)u->public.uses);
	pl_users_done(&u->found);
	free(u);
}

static int
take_identity(const char *path, struct platter_identity **ret, struct platter_error *err)
{
	PL_AUTOFREE struct platter_identity *identity = malloc(sizeof *identity);
	int r = identity ? pl_identity_take(path, &identity->identity, err) : pl_no_memory(err);

	if (r == 0)
		*ret = PL_STEAL(identity);
	return r;
}

int
platter_device_check(const char *place, struct platter_identity **ret, struct platter_error *err)
{
	PL_AUTOFREE char *path = NULL;
	int r = path_of_place(place, &path, err);

	if (r == 0)
		r = pl_guard_device(path, err);
	return r == 0 && ret ? take_identity(path, ret, err) : r;
}

int
platter_identity_take(const char *place, struct platter_identity **ret, struct platter_error *err)
{
	PL_AUTOFREE char *path = NULL;
	int r = ret ? path_of_place(place, &path, err) : pl_invalid(err, "no identity to fill in");

	return r < 0 ? r : take_identity(path, ret, err);
}

const char *
platter_identity_word(const struct platter_identity *identity, enum platter_word_kind *ret_kind)
{
	const struct pl_identity *i = &identity->identity;

	if (ret_kind)
		*ret_kind = !i->is_device      ? PLATTER_WORD_NONE
			    : *i->names.serial ? PLATTER_WORD_SERIAL
			    : *i->names.model  ? PLATTER_WORD_MODEL
					       : PLATTER_WORD_PATH;
	return pl_identity_word(i);
}

int
platter_identity_check(const struct platter_identity *identity, const char *place,
		       struct platter_error *err)
{
	PL_AUTOFREE char *path = NULL;
	int r = path_of_place(place, &path, err);

	return r < 0 ? r : pl_identity_check_path(&identity->identity, path, err);
}

void
platter_identity_free(struct platter_identity *identity)
{
	free(identity);
}

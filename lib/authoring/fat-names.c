/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * fat-names.c - whether the names of a folder can stand in a FAT file system
 *
 * mcopy changes names that FAT does not know, and asks what to do with two that are the same to it.
 * Both are refused before.
 *
 * Microsoft, "FAT: General Overview of On-Disk Format", 1.03, "Long Directory Entries": case is kept
 * and ignored; control characters and  " * / : < > ? \ |  are not allowed; trailing dots and spaces
 * are ignored.
 */
#include "fat-names.h"

#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <wctype.h>

#include "bytes.h"
#include "text.h"

/* A name as FAT compares it: UTF-16, in upper case. */
struct key {
	const struct pl_item *item;
	uint8_t *units;
	size_t n; /* bytes */
};

static int
refuse(const struct pl_item *item, const char *why, struct platter_error *err)
{
	PL_AUTOFREE char *path = pl_item_path(item);
	int r = pl_unsupported(err, PLATTER_NO_OFFSET, "FAT cannot hold '%s': %s",
			       path ? path : item->name, why);

	pl_hint(err, "give it another name, or choose another file system");
	return r;
}

static int
check_characters(const struct pl_item *item, struct platter_error *err)
{
	const char *name = item->name;
	size_t n = strlen(name);

	for (const char *c = name; *c; c++)
		if ((unsigned char)*c < 0x20 || strchr("\"*:<>?\\|", *c))
			return refuse(item, "its name has a character that FAT does not know", err);
	if (name[n - 1] == '.' || name[n - 1] == ' ')
		return refuse(item, "its name ends with a dot or a space", err);
	return 0;
}

static int
compare_keys(const void *a, const void *b)
{
	const struct key *x = a, *y = b;
	int r = memcmp(x->units, y->units, PL_MIN(x->n, y->n));

	return r ? r : (x->n > y->n) - (x->n < y->n);
}

static int
take_key(const struct pl_item *item, locale_t locale, struct key *ret, struct platter_error *err)
{
	*ret = (struct key){ .item = item };
	ret->units = pl_utf16le_from_text(item->name, &ret->n);
	if (!ret->units)
		return pl_no_memory(err);
	for (size_t i = 0; i < ret->n; i++) {
		uint8_t *unit = ret->units + 2 * i;

		put_le16(unit, (uint16_t)towupper_l(get_le16(unit), locale));
	}
	ret->n *= 2;
	return 0;
}

static int
check_clashes(const struct pl_item *folder, struct key *keys, struct platter_error *err)
{
	qsort(keys, folder->nr_items, sizeof *keys, compare_keys);
	for (size_t i = 1; i < folder->nr_items; i++) {
		PL_AUTOFREE char *path = NULL;
		int r;

		if (compare_keys(&keys[i - 1], &keys[i]) != 0)
			continue;
		path = pl_item_path(keys[i].item);
		r = pl_fail(err, -EEXIST, "FAT ignores case: '%s' and '%s' are the same to it",
			    path ? path : keys[i].item->name, keys[i - 1].item->name);
		pl_hint(err, "give one another name, or choose another file system");
		return r;
	}
	return 0;
}

static int
check_folder(const struct pl_item *folder, locale_t locale, struct platter_error *err)
{
	struct key *keys = calloc(folder->nr_items + 1, sizeof *keys);
	int r = keys ? 0 : pl_no_memory(err);

	for (size_t i = 0; r == 0 && i < folder->nr_items; i++) {
		r = check_characters(&folder->items[i], err);
		if (r == 0)
			r = take_key(&folder->items[i], locale, &keys[i], err);
	}
	if (r == 0)
		r = check_clashes(folder, keys, err);
	for (size_t i = 0; keys && i < folder->nr_items; i++)
		free(keys[i].units);
	free(keys);
	for (size_t i = 0; r == 0 && i < folder->nr_items; i++)
		r = check_folder(&folder->items[i], locale, err);
	return r;
}

int
pl_fat_check_names(const struct pl_source *source, struct platter_error *err)
{
	/* The locale that mcopy runs with. */
	locale_t locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", NULL);
	int r = locale ? check_folder(&source->root, locale, err) : pl_no_memory(err);

	if (locale)
		freelocale(locale);
	return r;
}

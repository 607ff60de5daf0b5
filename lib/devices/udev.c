/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * udev.c - what udev found out about a block device
 *
 * libudev has no way to look at another root, so that a recorded tree is read from the file that
 * it would read: lines "E:KEY=VALUE" and "S:disk/by-id/NAME" in run/udev/data/bMAJOR:MINOR.
 */
#include "udev.h"

#include <libudev.h>
#include <limits.h>
#include <stdio.h>
#include <sys/sysmacros.h>

#include "text.h"

/* Where a property goes, the better one of a member first. */
static const struct {
	const char *key;
	size_t member;
	bool encoded; /* blanks are \x20 in it */
} properties[] = {
	{ "ID_MODEL_ENC", offsetof(struct pl_udev, model), true },
	{ "ID_MODEL", offsetof(struct pl_udev, model), false },
	{ "ID_VENDOR_ENC", offsetof(struct pl_udev, vendor), true },
	{ "ID_VENDOR", offsetof(struct pl_udev, vendor), false },
	{ "ID_SCSI_SERIAL", offsetof(struct pl_udev, serial), false },
	{ "ID_SERIAL_SHORT", offsetof(struct pl_udev, serial), false },
	{ "ID_WWN_WITH_EXTENSION", offsetof(struct pl_udev, wwn), false },
	{ "ID_WWN", offsetof(struct pl_udev, wwn), false },
	{ "ID_REVISION", offsetof(struct pl_udev, revision), false },
	{ "ID_BUS", offsetof(struct pl_udev, bus), false },
};

static char **
member_of(struct pl_udev *u, size_t member)
{
	return (char **)((char *)u + member);
}

void
pl_udev_done(struct pl_udev *u)
{
	free(u->model);
	free(u->vendor);
	free(u->serial);
	free(u->wwn);
	free(u->revision);
	free(u->bus);
	free(u->by_id);
	*u = (struct pl_udev){ 0 };
}

/* "Samsung\x20SSD" without the blanks at its ends; to be freed, NULL if nothing is left. */
static char *
decode(const char *value)
{
	size_t n = strlen(value), length = 0;
	PL_AUTOFREE char *bytes = malloc(n + 1);
	char *text;

	if (!bytes)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		unsigned code;

		if (value[i] == '\\' && value[i + 1] == 'x' &&
		    sscanf(value + i + 2, "%2x", &code) == 1 && code) {
			bytes[length++] = (char)code;
			i += 3;
		} else {
			bytes[length++] = value[i];
		}
	}
	for (n = 0; n < length && bytes[n] == ' '; n++)
		;
	text = pl_text_from_bytes(bytes + n, length - n);
	if (text && !*text) {
		free(text);
		return NULL;
	}
	return text;
}

/* The value that `get` has of each property that is wanted. */
static void
take(struct pl_udev *u, const char *(*get)(void *source, const char *key), void *source)
{
	for (size_t i = 0; i < ARRAY_SIZE(properties); i++) {
		char **member = member_of(u, properties[i].member);
		const char *value = *member ? NULL : get(source, properties[i].key);

		if (!value)
			continue;
		*member = properties[i].encoded ? decode(value)
						: pl_text_from_bytes(value, strlen(value));
	}
}

/*
 * A drive has several names in by-id.  Those made of its model and serial number are what people
 * know; those of its world-wide name alone come last.
 */
static unsigned
rank_of(const char *name)
{
	static const char *const last[] = { "wwn-",  "nvme-eui.", "nvme-nvme.", "nvme-uuid.",
					    "scsi-", "lvm-",      "dm-uuid-",   "md-uuid-" };

	for (size_t i = 0; i < ARRAY_SIZE(last); i++)
		if (strncmp(name, last[i], strlen(last[i])) == 0)
			return 1;
	return 0;
}

/* `link`: from /dev on. */
static void
take_link(struct pl_udev *u, const char *link)
{
	static const char folder[] = "disk/by-id/", whole[] = "/dev/disk/by-id/";
	const char *name = link + strlen(folder),
		   *have = u->by_id ? u->by_id + strlen(whole) : NULL;

	if (strncmp(link, folder, strlen(folder)) != 0)
		return;
	if (have && (rank_of(have) < rank_of(name) ||
		     (rank_of(have) == rank_of(name) && strcmp(have, name) <= 0)))
		return;
	free(u->by_id);
	u->by_id = pl_format("%s%s", whole, name);
}

static const char *
get_live(void *source, const char *key)
{
	return udev_device_get_property_value(source, key);
}

static void
read_live(dev_t number, struct pl_udev *ret)
{
	struct udev *context = udev_new();
	struct udev_device *device =
		context ? udev_device_new_from_devnum(context, 'b', number) : NULL;
	struct udev_list_entry *e;

	if (device) {
		take(ret, get_live, device);
		udev_list_entry_foreach(e, udev_device_get_devlinks_list_entry(device))
		{
			const char *link = udev_list_entry_get_name(e);

			if (strncmp(link, "/dev/", 5) == 0)
				take_link(ret, link + 5);
		}
		udev_device_unref(device);
	}
	if (context)
		udev_unref(context);
}

/* Its lines, joined by NULs, one more at the end. */
static const char *
get_recorded(void *source, const char *key)
{
	size_t n = strlen(key);

	for (const char *line = source; *line; line += strlen(line) + 1)
		if (strncmp(line, "E:", 2) == 0 && strncmp(line + 2, key, n) == 0 &&
		    line[2 + n] == '=')
			return line + 3 + n;
	return NULL;
}

static void
read_recorded(const struct pl_blocks *blocks, size_t index, struct pl_udev *ret)
{
	dev_t number = blocks->list[index].number;
	char path[PATH_MAX], text[8192];
	size_t n;
	FILE *f;

	snprintf(path, sizeof path, "%s/run/udev/data/b%u:%u", blocks->root, major(number),
		 minor(number));
	f = fopen(path, "re");
	if (!f)
		return;
	n = fread(text, 1, sizeof text - 2, f);
	fclose(f);
	text[n] = text[n + 1] = '\0';
	for (size_t i = 0; i < n; i++)
		if (text[i] == '\n')
			text[i] = '\0';
	take(ret, get_recorded, text);
	for (const char *line = text; *line; line += strlen(line) + 1)
		if (strncmp(line, "S:", 2) == 0)
			take_link(ret, line + 2);
}

void
pl_udev_read(const struct pl_blocks *blocks, size_t index, struct pl_udev *ret)
{
	*ret = (struct pl_udev){ 0 };
	if (*blocks->root)
		read_recorded(blocks, index, ret);
	else
		read_live(blocks->list[index].number, ret);
}

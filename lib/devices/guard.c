/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * guard.c - what uses a block device
 *
 * The kernel is asked in the ways that can name the user: the mount table, the table of swap
 * spaces, the holders of a device in /sys, the backing files of loop devices; of the device, its
 * partitions, and all that stands on these.  An exclusive open at the end finds what none of them
 * shows, such as mounts in another container.
 */
#include "guard.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "text.h"

struct search {
	const struct pl_blocks *blocks;
	size_t target; /* PL_NO_BLOCK: a file */
	bool *seen;    /* of each block: what stands on it is looked at, or was */
	struct pl_users *uses;
};

void
pl_users_done(struct pl_users *uses)
{
	for (size_t i = 0; i < uses->nr; i++) {
		free(uses->list[i].device);
		free(uses->list[i].by);
		free(uses->list[i].text);
		free(uses->list[i].release);
	}
	free(uses->list);
	*uses = (struct pl_users){ 0 };
}

/* Folders without which the system does not run on, or does not start again. */
static bool
is_system_folder(const char *point)
{
	static const char *const folders[] = { "/", "/usr", "/boot", "/boot/efi", "/efi", "/var" };

	for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
		if (strcmp(folders[i], point) == 0)
			return true;
	return false;
}

/* As a shell takes it; to be freed. */
static char *
quoted(const char *word)
{
	struct pl_str s = { 0 };

	if (word[strcspn(word, " \t\n'\"\\$`*?[]{}()<>|&;!#~")] == '\0')
		return strdup(word);
	pl_str_add(&s, "'");
	for (; *word; word++) {
		if (*word == '\'')
			pl_str_add(&s, "'\\''");
		else
			pl_str_add_bytes(&s, word, 1);
	}
	pl_str_add(&s, "'");
	return s.text;
}

static int add_use(struct pl_users *uses, const struct pl_user *like, const char *subject,
		   struct platter_error *err, const char *format, ...) PL_PRINTF(5, 6);

/* `subject`: what it says of whom; "it" for the target itself.  Strings of `like` are copied. */
static int
add_use(struct pl_users *uses, const struct pl_user *like, const char *subject,
	struct platter_error *err, const char *format, ...)
{
	struct pl_user *list = pl_realloc_array(uses->list, uses->nr + 1, sizeof *list), *use;
	struct pl_str text = { 0 };
	va_list args;

	if (!list)
		return pl_no_memory(err);
	uses->list = list;
	use = &list[uses->nr++];
	pl_str_addf(&text, "%s ", subject);
	va_start(args, format);
	pl_str_vaddf(&text, format, args);
	va_end(args);
	*use = (struct pl_user){
		.kind = like->kind,
		.device = strdup(like->device),
		.by = strdup(like->by),
		.text = text.text,
		.release = strdup(like->release ? like->release : ""),
		.system = like->system,
	};
	return use->device && use->by && use->text && use->release ? 0 : pl_no_memory(err);
}

/* "it", or "'/dev/sda2'"; to be freed. */
static char *
subject_of(const struct search *s, size_t index)
{
	return index == s->target ? strdup("it") : pl_format("'%s'", s->blocks->list[index].path);
}

static int
add_mount(struct search *s, size_t index, const char *point, struct platter_error *err)
{
	PL_AUTOFREE char *subject = subject_of(s, index), *folder = quoted(point);
	PL_AUTOFREE char *release = folder ? pl_format("umount %s", folder) : NULL;
	struct pl_user use = {
		.kind = PL_USER_MOUNT,
		.device = s->blocks->list[index].path,
		.by = (char *)(uintptr_t)point,
		.system = is_system_folder(point),
	};

	if (!subject || !release)
		return pl_no_memory(err);
	use.release = use.system ? NULL : release;
	return add_use(s->uses, &use, subject, err, "is mounted on '%s'", point);
}

static int
add_swap(struct search *s, const char *device, const char *subject, struct platter_error *err)
{
	PL_AUTOFREE char *path = quoted(device);
	PL_AUTOFREE char *release = path ? pl_format("swapoff %s", path) : NULL;
	PL_AUTOFREE char *name = strdup(device);
	struct pl_user use = {
		.kind = PL_USER_SWAP,
		.device = name,
		.by = (char[]){ "" },
		.release = release,
	};

	if (!release || !name)
		return pl_no_memory(err);
	return add_use(s->uses, &use, subject, err, "is swap space");
}

/* Who made a device of the device mapper, by its UUID, and how it is taken down. */
static const struct {
	const char *prefix, *command;
} mappers[] = {
	{ "CRYPT-", "cryptsetup close" },
	{ "LVM-", "lvchange -an" },
	{ "mpath-", "multipath -f" },
	{ "", "dmsetup remove" },
};

/* The command that takes away a device which stands on others; "": there is no one such. */
static char *
release_of(const struct pl_block_device *b)
{
	const char *word = b->loop_file                                    ? "losetup -d"
			   : b->md_level || strncmp(b->name, "md", 2) == 0 ? "mdadm --stop"
									   : NULL;
	PL_AUTOFREE char *target = quoted(b->dm_name ? b->dm_name : b->path);

	if (!target)
		return NULL;
	if (!b->dm_name)
		return word ? pl_format("%s %s", word, target) : strdup("");
	for (size_t i = 0; i < ARRAY_SIZE(mappers); i++) {
		const char *uuid = b->dm_uuid ? b->dm_uuid : "", *prefix = mappers[i].prefix;

		if (strncmp(uuid, prefix, strlen(prefix)) != 0)
			continue;
		/* lvchange is the one that takes no bare name. */
		return pl_format("%s %s%s", mappers[i].command,
				 strncmp(prefix, "LVM-", 4) == 0 ? "/dev/mapper/" : "", target);
	}
	return strdup("");
}

/* `above` stands on `index`. */
static int
add_member(struct search *s, size_t index, size_t above, struct platter_error *err)
{
	const struct pl_block_device *b = &s->blocks->list[above];
	PL_AUTOFREE char *subject = subject_of(s, index), *release = release_of(b);
	struct pl_user use = {
		.kind = b->loop_file ? PL_USER_LOOP : PL_USER_MEMBER,
		.device = s->blocks->list[index].path,
		.by = b->path,
		.release = release,
	};

	if (!subject || !release)
		return pl_no_memory(err);
	if (b->loop_file)
		return add_use(s->uses, &use, subject, err, "is attached as '%s'", b->path);
	if (b->dm_name)
		return add_use(s->uses, &use, subject, err, "is part of '%s' (/dev/%s)", b->dm_name,
			       b->name);
	return add_use(s->uses, &use, subject, err, "is part of '%s'", b->path);
}

/* Where a Btrfs with this device is mounted. */
static const char *
btrfs_point(const struct pl_blocks *blocks, const char *uuid)
{
	const char *point = NULL;

	for (size_t i = 0; i < blocks->nr_btrfs; i++)
		for (size_t m = 0; m < blocks->nr_mounts; m++) {
			if (strcmp(blocks->btrfs[i].uuid, uuid) != 0 ||
			    blocks->mounts[m].block != blocks->btrfs[i].block)
				continue;
			if (!point || strcmp(blocks->mounts[m].point, "/") == 0)
				point = blocks->mounts[m].point;
		}
	return point;
}

static bool
is_mounted(const struct pl_blocks *blocks, size_t index)
{
	for (size_t i = 0; i < blocks->nr_mounts; i++)
		if (blocks->mounts[i].block == index)
			return true;
	return false;
}

static int
add_btrfs(struct search *s, size_t index, const char *uuid, struct platter_error *err)
{
	const char *point = btrfs_point(s->blocks, uuid);
	PL_AUTOFREE char *subject = subject_of(s, index), *folder = quoted(point ? point : "");
	PL_AUTOFREE char *release = folder && point ? pl_format("umount %s", folder) : NULL;
	PL_AUTOFREE char *user = strdup(point ? point : "");
	struct pl_user use = {
		.kind = PL_USER_BTRFS,
		.device = s->blocks->list[index].path,
		.by = user,
		.release = release,
		.system = point && is_system_folder(point),
	};

	if (!subject || !folder || !user)
		return pl_no_memory(err);
	if (use.system)
		use.release = NULL;
	return add_use(s->uses, &use, subject, err,
		       "is part of the mounted Btrfs file system %s%s%s", uuid, point ? " on " : "",
		       user);
}

static int find_uses(struct search *s, size_t index, bool with_partitions,
		     struct platter_error *err);

/* What uses the device as a whole, last mounted first. */
static int
find_direct_uses(struct search *s, size_t index, struct platter_error *err)
{
	const struct pl_blocks *b = s->blocks;
	PL_AUTOFREE char *subject = subject_of(s, index);
	int r = subject ? 0 : pl_no_memory(err);

	for (size_t i = b->nr_mounts; i-- > 0 && r == 0;)
		if (b->mounts[i].block == index)
			r = add_mount(s, index, b->mounts[i].point, err);
	for (size_t i = 0; i < b->nr_btrfs && r == 0; i++)
		if (b->btrfs[i].block == index && !is_mounted(b, index))
			r = add_btrfs(s, index, b->btrfs[i].uuid, err);
	for (size_t i = 0; i < b->nr_swaps && r == 0; i++)
		if (b->swaps[i].block == index)
			r = add_swap(s, b->swaps[i].path, subject, err);
	return r;
}

/* What stands on the device, after what uses that. */
static int
find_members(struct search *s, size_t index, struct platter_error *err)
{
	const struct pl_block_device *b = &s->blocks->list[index];
	int r = 0;

	for (size_t i = 0; i < b->nr_above && r == 0; i++) {
		r = find_uses(s, b->above[i], true, err);
		if (r == 0)
			r = add_member(s, index, b->above[i], err);
	}
	return r;
}

/* Each device is gone through once, so that this ends. */
static int
find_uses(struct search *s, size_t index, bool with_partitions, struct platter_error *err)
{
	const struct pl_blocks *b = s->blocks;
	int r = 0;

	if (s->seen[index])
		return 0;
	s->seen[index] = true;
	for (size_t i = 0; i < b->nr && r == 0 && with_partitions; i++)
		if (b->list[i].disk == index)
			r = find_uses(s, i, true, err);
	if (r == 0)
		r = find_members(s, index, err);
	return r == 0 ? find_direct_uses(s, index, err) : r;
}

int
pl_users_of_block(const struct pl_blocks *blocks, size_t index, struct pl_users *ret,
		  struct platter_error *err)
{
	struct pl_users uses = { 0 };
	struct search s = { blocks, index, calloc(blocks->nr, sizeof(bool)), &uses };
	size_t disk = blocks->list[index].disk;
	int r = s.seen ? find_uses(&s, index, true, err) : pl_no_memory(err);

	/* What uses the disk as a whole uses this part of it. */
	if (r == 0 && disk != PL_NO_BLOCK)
		r = find_uses(&s, disk, false, err);
	free(s.seen);
	if (r < 0)
		pl_users_done(&uses);
	else
		*ret = uses;
	return r;
}

/* Loop devices that show the file, what uses these, and whether it is swap. */
static int
find_file_uses(struct search *s, const char *path, const struct stat *st, struct platter_error *err)
{
	const struct pl_blocks *b = s->blocks;
	int r = 0;

	for (size_t i = 0; i < b->nr && r == 0; i++) {
		PL_AUTOFREE char *release = NULL, *name = NULL;
		struct stat file;

		if (!b->list[i].loop_file || stat(b->list[i].loop_file, &file) < 0 ||
		    file.st_dev != st->st_dev || file.st_ino != st->st_ino)
			continue;
		release = release_of(&b->list[i]);
		name = strdup(path);
		r = release && name ? find_uses(s, i, true, err) : pl_no_memory(err);
		if (r == 0)
			r = add_use(s->uses,
				    &(struct pl_user){ .kind = PL_USER_LOOP,
						       .device = name,
						       .by = b->list[i].path,
						       .release = release },
				    "it", err, "is attached as '%s'", b->list[i].path);
	}
	for (size_t i = 0; i < b->nr_swaps && r == 0; i++)
		if (b->swaps[i].block == PL_NO_BLOCK && b->swaps[i].id.device == st->st_dev &&
		    b->swaps[i].id.inode == st->st_ino)
			r = add_swap(s, path, "it", err);
	return r;
}

/* Somebody holds it whom none of the tables showed. */
static int
find_holder(const char *path, struct pl_users *uses, struct platter_error *err)
{
	int fd = open(path, O_RDONLY | O_EXCL | O_NONBLOCK | O_CLOEXEC);
	PL_AUTOFREE char *name = NULL;

	if (fd >= 0)
		close(fd);
	if (fd >= 0 || errno != EBUSY)
		return 0;
	name = strdup(path);
	if (!name)
		return pl_no_memory(err);
	return add_use(uses,
		       &(struct pl_user){
			       .kind = PL_USER_HELD, .device = name, .by = (char[]){ "" } },
		       "another program, or the kernel,", err, "holds it or a part of it");
}

static int
find_listed_uses(const struct pl_blocks *blocks, const char *path, const struct stat *st,
		 struct pl_users *uses, struct platter_error *err)
{
	struct search s = { blocks, PL_NO_BLOCK, NULL, uses };
	size_t index;
	int r;

	if (S_ISBLK(st->st_mode)) {
		index = pl_blocks_by_number(blocks, st->st_rdev);
		return index == PL_NO_BLOCK ? 0 : pl_users_of_block(blocks, index, uses, err);
	}
	s.seen = calloc(blocks->nr + 1, sizeof *s.seen);
	r = s.seen ? find_file_uses(&s, path, st, err) : pl_no_memory(err);
	free(s.seen);
	return r;
}

int
pl_users_find(const char *path, struct pl_users *ret, struct platter_error *err)
{
	struct pl_blocks *blocks = NULL;
	struct pl_users uses = { 0 };
	struct stat st;
	int r;

	*ret = uses;
	/* What cannot be examined cannot be opened for writing either. */
	if (stat(path, &st) < 0 || !(S_ISBLK(st.st_mode) || S_ISREG(st.st_mode)))
		return 0;
	/* Where there is no /sys, the exclusive open has to do. */
	r = pl_blocks_read("", &blocks, err);
	if (r < 0 && r != -ENOENT)
		return r;
	r = blocks ? find_listed_uses(blocks, path, &st, &uses, err) : 0;
	pl_blocks_free(blocks);
	if (r == 0 && !uses.nr && S_ISBLK(st.st_mode))
		r = find_holder(path, &uses, err);
	if (r < 0)
		pl_users_done(&uses);
	else
		*ret = uses;
	return r;
}

/* As many as there is room for; the error keeps a message of a thousand bytes. */
#define MAX_NAMED 4

static void
hint_release(const struct pl_users *uses, struct platter_error *err)
{
	struct pl_str commands = { 0 };
	bool system = false, all = true;
	const char *verb = uses->list[0].kind == PL_USER_MOUNT  ? "unmount it"
			   : uses->list[0].kind == PL_USER_SWAP ? "turn it off"
			   : uses->list[0].kind == PL_USER_LOOP ? "detach it"
								: "free it";

	for (size_t i = 0; i < uses->nr; i++) {
		system = system || uses->list[i].system;
		all = all && *uses->list[i].release;
		if (*uses->list[i].release)
			pl_str_addf(&commands, "%s%s", commands.length ? "; " : "",
				    uses->list[i].release);
	}
	if (system)
		pl_hint(err, "it holds the running system");
	else if (uses->list[0].kind == PL_USER_HELD)
		pl_hint(err, "it may be mounted in a container, or part of a disk array");
	else if (commands.text && all)
		pl_hint(err, "%s first: %s", uses->nr > 1 ? "free it" : verb, commands.text);
	pl_str_done(&commands);
}

int
pl_users_refuse(const struct pl_users *uses, const char *path, struct platter_error *err)
{
	struct pl_str text = { 0 };
	int r;

	if (!uses->nr)
		return 0;
	for (size_t i = 0; i < PL_MIN(uses->nr, MAX_NAMED); i++)
		pl_str_addf(&text, "%s%s", i ? "; " : "", uses->list[i].text);
	if (uses->nr > MAX_NAMED)
		pl_str_addf(&text, "; and %zu more", uses->nr - MAX_NAMED);
	r = pl_fail(err, -EBUSY, "'%s' is in use: %s", path, text.text ? text.text : "");
	pl_str_done(&text);
	hint_release(uses, err);
	return r;
}

int
pl_guard_device(const char *path, struct platter_error *err)
{
	struct pl_users uses;
	int r = pl_users_find(path, &uses, err);

	if (r < 0)
		return r;
	r = pl_users_refuse(&uses, path, err);
	pl_users_done(&uses);
	return r;
}

bool
pl_loop_file(const char *path, struct pl_file_id *ret)
{
	static const char *const attributes[] = { "loop/backing_file", "../loop/backing_file" };
	struct stat st;

	if (stat(path, &st) < 0 || !S_ISBLK(st.st_mode))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(attributes); i++) {
		char name[64], file[PATH_MAX];
		struct stat backing;
		FILE *f;
		bool ok;

		snprintf(name, sizeof name, "/sys/dev/block/%u:%u/%s", major(st.st_rdev),
			 minor(st.st_rdev), attributes[i]);
		f = fopen(name, "re");
		ok = f && fgets(file, sizeof file, f);
		if (f)
			fclose(f);
		if (ok)
			file[strcspn(file, "\n")] = '\0';
		if (!ok || stat(file, &backing) < 0)
			continue;
		*ret = (struct pl_file_id){ backing.st_dev, backing.st_ino };
		return true;
	}
	return false;
}

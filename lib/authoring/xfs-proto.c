/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "xfs-proto.h"

#include <stdio.h>
#include <string.h>

#include "tool.h"

struct writing {
	FILE *to;
	const char *from;
};

/*
 * The list is words between blanks, tabs and ends of lines, in which nothing can be quoted.  From a
 * word that begins with a colon to the end of its line is a comment.
 */
static bool
has_white_space(const char *word)
{
	return word[strcspn(word, " \t\n")] != '\0';
}

static bool
is_comment(const char *word)
{
	return *word == ':';
}

/* Where a name is expected this word ends the folder. */
#define END_OF_FOLDER "$"

static int
refuse(const char *what, const char *name, struct platter_error *err)
{
	int r = pl_unsupported(err, PLATTER_NO_OFFSET,
			       "mkfs.xfs cannot put '%s' into a new file system: %s", name, what);

	pl_hint(err, "make it empty, mount the disk and copy the files; or choose ext4 or btrfs");
	return r;
}

/* Three characters of kind and permissions' special bits, then the permissions, owner and group. */
static void
put_mode(struct writing *w, char kind, const struct platter_file *f)
{
	fprintf(w->to, "%c%c%c%03o %" PRIu32 " %" PRIu32, kind, f->mode & 04000 ? 'u' : '-',
		f->mode & 02000 ? 'g' : '-', f->mode & 0777, f->uid, f->gid);
}

static int put_items(struct writing *w, const struct pl_item *folder, struct platter_error *err);

static int
put_item(struct writing *w, const struct pl_item *item, struct platter_error *err)
{
	const struct platter_file *f = &item->file;
	PL_AUTOFREE char *path = pl_item_path(item);

	if (!path)
		return pl_no_memory(err);
	if (has_white_space(item->name))
		return refuse("its name has white space", path, err);
	if (is_comment(item->name))
		return refuse("its name begins with a colon", path, err);
	if (!strcmp(item->name, END_OF_FOLDER))
		return refuse("that name ends a folder in its list", path, err);
	fprintf(w->to, "%s ", item->name);
	switch (f->type) {
	case PLATTER_FILE_REGULAR:
		if (has_white_space(w->from) || has_white_space(path))
			return refuse("its path here has white space", path, err);
		put_mode(w, '-', f);
		fprintf(w->to, " %s%s/%s\n", pl_path_prefix(w->from), w->from, path);
		return 0;
	case PLATTER_FILE_FOLDER:
		put_mode(w, 'd', f);
		fputc('\n', w->to);
		return put_items(w, item, err);
	case PLATTER_FILE_SYMLINK:
		if (has_white_space(item->target))
			return refuse("its target has white space", path, err);
		if (is_comment(item->target))
			return refuse("its target begins with a colon", path, err);
		put_mode(w, 'l', f);
		fprintf(w->to, " %s\n", item->target);
		return 0;
	case PLATTER_FILE_FIFO:
		put_mode(w, 'p', f);
		fputc('\n', w->to);
		return 0;
	case PLATTER_FILE_CHARACTER_DEVICE:
	case PLATTER_FILE_BLOCK_DEVICE:
		put_mode(w, f->type == PLATTER_FILE_BLOCK_DEVICE ? 'b' : 'c', f);
		fprintf(w->to, " %" PRIu32 " %" PRIu32 "\n", f->major, f->minor);
		return 0;
	default: return refuse("it is a socket", path, err);
	}
}

static int
put_items(struct writing *w, const struct pl_item *folder, struct platter_error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < folder->nr_items; i++)
		r = put_item(w, &folder->items[i], err);
	fputs(END_OF_FOLDER "\n", w->to);
	return r;
}

int
pl_xfs_proto_write(const char *path, const struct pl_source *source, struct platter_error *err)
{
	struct writing w = { .to = fopen(path, "we"), .from = source->path };
	int r;

	if (!w.to)
		return pl_fail_errno(err, -errno, "create '%s'", path);
	/* What once was a boot program, and sizes that are not looked at. */
	fputs("/\n0 0\n", w.to);
	put_mode(&w, 'd', &source->root.file);
	fputc('\n', w.to);
	r = put_items(&w, &source->root, err);
	if (fclose(w.to) != 0 && r == 0)
		r = pl_fail_errno(err, -errno, "write '%s'", path);
	return r;
}

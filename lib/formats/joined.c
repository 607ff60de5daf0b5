/* SPDX-License-Identifier: GPL-3.0-or-later */
/* joined.c - parts of files as one disk, and what the files are called */
#include "joined.h"

#include <ctype.h>
#include <strings.h>

#include "text.h"

struct joined {
	struct pl_disk disk;
	struct pl_joined_part *parts;
	uint64_t *ends; /* of each on the disk */
	size_t nr;
};

static struct joined *
joined_of(struct pl_disk *disk)
{
	return pl_container_of(disk, struct joined, disk);
}

static int
joined_map(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
	   struct platter_error *err)
{
	struct joined *j = joined_of(disk);
	size_t low = 0, high = j->nr - 1;
	uint64_t skip;

	(void)length, (void)err;
	while (low < high) {
		size_t middle = (low + high) / 2;

		if (offset < j->ends[middle])
			high = middle;
		else
			low = middle + 1;
	}
	skip = offset - (low ? j->ends[low - 1] : 0);
	*ret = (struct pl_extent){ .length = j->parts[low].length - skip,
				   .kind = PLATTER_DATA,
				   .below = j->parts[low].file,
				   .stored_offset = j->parts[low].offset + skip };
	return 0;
}

static struct pl_disk *
joined_below(struct pl_disk *disk, size_t index)
{
	return index < joined_of(disk)->nr ? joined_of(disk)->parts[index].file : NULL;
}

static void
joined_free(struct pl_disk *disk)
{
	struct joined *j = joined_of(disk);

	for (size_t i = 0; i < j->nr; i++)
		pl_disk_unref(j->parts[i].file);
	free(j->parts);
	free(j->ends);
	pl_disk_done(disk);
	free(j);
}

static const struct pl_disk_ops joined_ops = {
	.name = "parts",
	.map = joined_map,
	.below = joined_below,
	.free = joined_free,
};

static int
add_parts(struct joined *j, struct platter_error *err)
{
	int r = 0;

	for (size_t i = 0; i < j->nr && r == 0; i++) {
		const struct pl_joined_part *p = &j->parts[i];

		if (!pl_in_range(p->offset, p->length, p->file->size))
			return pl_corrupt(err, p->offset,
					  "'%s' has %" PRIu64 " bytes, and %" PRIu64
					  " are wanted from byte %" PRIu64,
					  p->file->name, p->file->size, p->length, p->offset);
		if (__builtin_add_overflow(j->disk.size, p->length, &j->disk.size) ||
		    j->disk.size > INT64_MAX)
			return pl_over_limit(err, PLATTER_NO_OFFSET,
					     "the parts have more than %" PRId64 " bytes",
					     INT64_MAX);
		j->ends[i] = j->disk.size;
		r = pl_disk_stack(&j->disk, p->file, err);
	}
	return r;
}

int
pl_joined_new(const char *name, const struct pl_joined_part *parts, size_t nr, struct pl_disk **ret,
	      struct platter_error *err)
{
	struct joined *j = calloc(1, sizeof *j);
	int r = j ? pl_disk_init(&j->disk, &joined_ops, name, err) : pl_no_memory(err);

	if (r == 0) {
		j->parts = calloc(nr, sizeof *j->parts);
		j->ends = calloc(nr, sizeof *j->ends);
	}
	if (r < 0 || !j->parts || !j->ends) {
		for (size_t i = 0; i < nr; i++)
			pl_disk_unref(parts[i].file);
		if (r == 0) {
			r = pl_no_memory(err);
			joined_free(&j->disk);
		} else {
			free(j);
		}
		return r;
	}
	memcpy(j->parts, parts, nr * sizeof *parts);
	j->nr = nr;
	r = add_parts(j, err);
	if (r < 0) {
		joined_free(&j->disk);
		return r;
	}
	*ret = &j->disk;
	return 0;
}

/* The digits of ".part01" in front of the extension at `dot`; 0: it is no such name. */
static size_t
part_digits(const char *name, const char *dot)
{
	static const char marker[] = ".part";
	size_t n = 0, before = sizeof marker - 1;

	while (dot - n > name && isdigit((unsigned char)dot[-1 - (long)n]))
		n++;
	if (n < 2 || n > 3 || (size_t)(dot - name) < n + before ||
	    strncasecmp(dot - n - before, marker, before) != 0)
		return 0;
	return n;
}

char *
pl_joined_name(const char *first, char letter, unsigned from, unsigned index)
{
	const char *slash = strrchr(first, '/'), *name = slash ? slash + 1 : first;
	const char *dot = strrchr(name, '.');
	size_t digits;

	if (!dot)
		dot = name + strlen(name);
	digits = part_digits(name, dot);
	if (digits)
		return pl_format("%.*s%0*u%s", (int)(dot - name - (long)digits), name, (int)digits,
				 index + 1, dot);
	if (dot[0] && isupper((unsigned char)dot[1]))
		letter = (char)toupper((unsigned char)letter);
	return pl_format("%.*s.%c%02u", (int)(dot - name), name, letter, from + index - 1);
}

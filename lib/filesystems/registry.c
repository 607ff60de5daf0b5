/* SPDX-License-Identifier: GPL-3.0-or-later */
/* registry.c - everything that a disk or partition is recognised to begin with */
#include "content.h"

#define DRIVER(x) extern const struct pl_content_driver pl_content_##x;
#include "drivers.h"
#undef DRIVER

/* Among equal evidence the earlier is shown first. */
const struct pl_content_driver *const pl_content_drivers[] = {
#define DRIVER(x) &pl_content_##x,
#include "drivers.h"
#undef DRIVER
	NULL,
};

/* Bad sectors leave zeros behind, so that what can be read is still recognised. */
static int
read_head(struct pl_disk *disk, uint8_t *head, struct platter_error *err)
{
	const size_t piece = KIB(4);
	bool any = false;
	int r = pl_read_padded(disk, head, PL_CONTENT_HEAD, 0, NULL, err);

	if (r != -EIO)
		return r;
	for (size_t at = 0; at < PL_CONTENT_HEAD; at += piece) {
		if (pl_read_padded(disk, head + at, piece, at, NULL, NULL) < 0)
			memset(head + at, 0, piece);
		else if (at < disk->size)
			any = true;
	}
	return any ? 0 : r;
}

/*
 * What hides the rest goes first: behind the superblock of a RAID member, or before the
 * payload of an encrypted volume, a file system of the contents may show, or an old one.
 */
static int
rank(const struct pl_content *c)
{
	bool hides = !strcmp(c->content.usage, "raid") || !strcmp(c->content.usage, "crypto");

	return c->leftover ? -1 : hides;
}

static bool
goes_before(const struct pl_content *a, const struct pl_content *b)
{
	if (rank(a) != rank(b))
		return rank(a) > rank(b);
	return a->evidence > b->evidence;
}

static int
identify_all(struct pl_disk *disk, struct pl_arena *arena, const uint8_t *head,
	     struct pl_content *found, size_t *ret_nr, struct platter_error *err)
{
	size_t nr = 0;
	int failed = 0;

	for (const struct pl_content_driver *const *d = pl_content_drivers; *d; d++) {
		struct pl_content c = {
			.driver = *d,
			.arena = arena,
			.head = head,
			.content = {
				.name = (*d)->info.name,
				.longname = (*d)->info.longname,
				.usage = (*d)->usage,
				.label = "",
				.uuid = "",
				.free = UINT64_MAX,
			},
			.facts = { .arena = arena },
		};
		size_t i = nr;
		int r = (*d)->identify(disk, &c, err);

		if (r == -ENOMEM)
			return r;
		if (r < 0) {
			if (r != -ENOENT)
				failed = r;
			continue;
		}
		for (; i && goes_before(&c, &found[i - 1]); i--)
			found[i] = found[i - 1];
		found[i] = c;
		nr++;
	}
	*ret_nr = nr;
	return nr ? 0 : failed;
}

int
pl_contents_find(struct pl_disk *disk, struct pl_arena *arena, struct pl_content **ret,
		 size_t *ret_nr, struct platter_error *err)
{
	PL_AUTOFREE struct pl_content *found =
		calloc(ARRAY_SIZE(pl_content_drivers), sizeof *found);
	PL_AUTOFREE uint8_t *head = malloc(PL_CONTENT_HEAD);
	struct platter_error why = PLATTER_ERROR_INIT; /* *err is for what fails in the end */
	struct pl_content *kept = NULL;
	size_t nr = 0;

	if (!found || !head)
		return pl_no_memory(err);
	/* A stream cannot be looked at without using it up. */
	if (disk->size && !disk->sequential) {
		int r = read_head(disk, head, &why);

		if (r == 0)
			r = identify_all(disk, arena, head, found, &nr, &why);
		if (r < 0) {
			if (err)
				*err = why;
			return r;
		}
	}
	for (size_t i = 0; i < nr; i++) {
		found[i].head = NULL;
		found[i].content.facts = found[i].facts.list;
	}
	if (nr) {
		kept = pl_arena_alloc(arena, nr * sizeof *kept);
		if (kept)
			memcpy(kept, found, nr * sizeof *kept);
	}
	if (arena->failed)
		return pl_no_memory(err);
	*ret = kept;
	*ret_nr = nr;
	return 0;
}

int
pl_contents_identify(struct pl_disk *disk, struct pl_arena *arena,
		     const struct platter_content **ret, size_t *ret_nr, struct platter_error *err)
{
	struct platter_content *contents = NULL;
	struct pl_content *found;
	size_t nr;
	int r = pl_contents_find(disk, arena, &found, &nr, err);

	if (r < 0)
		return r;
	if (nr) {
		contents = pl_arena_alloc(arena, nr * sizeof *contents);
		if (!contents)
			return pl_no_memory(err);
	}
	for (size_t i = 0; i < nr; i++)
		contents[i] = found[i].content;
	*ret = contents;
	*ret_nr = nr;
	return 0;
}

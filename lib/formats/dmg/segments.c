/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * segments.c - images that `hdiutil segment` has cut into several files
 *
 * NAME.dmg is the first and has the tables, NAME.002.dmgpart and so on follow.  Each has a trailer
 * with its number, the identifier that all share, and the bytes of the data forks before its own.
 * Offsets of chunks count through all data forks, and a chunk may go on in the next file.
 */
#include "dmg.h"
#include "joined.h"
#include "text.h"

/* A terabyte in pieces of a gigabyte. */
#define MAX_SEGMENTS 1024

struct segments {
	struct pl_joined_part *list; /* references */
	struct dmg_segment *told;
	size_t nr;
	uint64_t length; /* of all data forks so far */
};

static int
add_segment(struct segments *s, struct pl_disk *file, const struct dmg_koly *k,
	    struct platter_error *err)
{
	if (k->running != s->length)
		return pl_corrupt(err, k->at + KOLY_RUNNING_OFFSET,
				  "the data of segment %zu follows on %" PRIu64
				  " bytes, but the segments before it have %" PRIu64,
				  s->nr + 1, k->running, s->length);
	/* Each lies in a file, whose size has 63 bits; a thousand of them may have more. */
	if (k->data_length > INT64_MAX - s->length)
		return pl_over_limit(err, k->at + KOLY_DATA_LENGTH,
				     "segments of more than 2^63 bytes");
	s->length += k->data_length;
	s->told[s->nr] = (struct dmg_segment){ s->length, k->data_sum };
	s->list[s->nr++] =
		(struct pl_joined_part){ pl_disk_ref(file), k->data_offset, k->data_length };
	return 0;
}

/* Segment `number` of `first`, by its name beside it. */
static int
open_segment(struct segments *s, const struct pl_open_request *request,
	     const struct dmg_koly *first, unsigned number, struct platter_error *err)
{
	const char *path = request->file->name, *slash = strrchr(path, '/'), *dot;
	const char *base = slash ? slash + 1 : path;
	PL_AUTOUNREF struct pl_disk *file = NULL;
	PL_AUTOFREE char *name = NULL;
	struct dmg_koly k;
	int r;

	dot = strrchr(base, '.');
	/* The folder in front keeps a name with a colon from being taken for a protocol. */
	name = pl_format("./%.*s.%03u.dmgpart",
			 (int)(dot && dot > base ? dot - base : (ptrdiff_t)strlen(base)), base,
			 number);
	if (!name)
		return pl_no_memory(err);
	r = request->related->open(request->related, name, "raw", false, &file, err);
	if (r == 0)
		r = dmg_koly_read(file, &k, err);
	if (r == 0 && (k.segment != number || memcmp(k.id, first->id, 16) != 0))
		r = pl_corrupt(err, k.at + KOLY_SEGMENT, "it is segment %" PRIu32 " of %s",
			       k.segment,
			       memcmp(k.id, first->id, 16) ? "another image" : "this image");
	if (r == 0)
		r = add_segment(s, file, &k, err);
	if (r < 0) {
		pl_context(err, "segment %u of %" PRIu32, number, first->segments);
		pl_hint(err, "put all segments into one folder, under the names that they had");
	}
	return r;
}

static int
open_all(struct segments *s, const struct pl_open_request *request, const struct dmg_koly *first,
	 struct platter_error *err)
{
	int r = add_segment(s, request->file, first, err);

	for (unsigned i = 2; r == 0 && i <= first->segments; i++)
		r = open_segment(s, request, first, i, err);
	return r;
}

int
dmg_join_segments(const struct pl_open_request *request, const struct dmg_koly *koly,
		  struct pl_disk **ret, struct dmg_segment **ret_segments,
		  struct platter_error *err)
{
	struct segments s = { 0 };
	int r;

	if (koly->segment > 1) {
		r = pl_unsupported(err, koly->at + KOLY_SEGMENT,
				   "'%s' is segment %" PRIu32 " of %" PRIu32 " of an image",
				   request->file->name, koly->segment, koly->segments);
		pl_hint(err, "open the first, which is named *.dmg");
		return r;
	}
	if (koly->segments > MAX_SEGMENTS)
		return pl_over_limit(err, koly->at + KOLY_SEGMENTS,
				     "an image of %" PRIu32 " segments, limit is %d",
				     koly->segments, MAX_SEGMENTS);
	if (!request->related)
		return pl_unsupported(err, koly->at + KOLY_SEGMENTS,
				      "an image of %" PRIu32
				      " segments, of which the others cannot be reached from here",
				      koly->segments);
	s.list = calloc(koly->segments, sizeof *s.list);
	s.told = calloc(koly->segments, sizeof *s.told);
	r = s.list && s.told ? open_all(&s, request, koly, err) : pl_no_memory(err);
	if (r == 0) {
		r = pl_joined_new(request->file->name, s.list, s.nr, ret, err);
		s.nr = 0;
	}
	for (size_t i = 0; i < s.nr; i++)
		pl_disk_unref(s.list[i].file);
	free(s.list);
	if (r < 0)
		free(s.told);
	else
		*ret_segments = s.told;
	return r;
}

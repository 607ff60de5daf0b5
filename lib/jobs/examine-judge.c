/* SPDX-License-Identifier: GPL-3.0-or-later */
/* examine-judge.c - what the finds on a disk mean, in plain words */
#include <stdio.h>

#include "classify.h"
#include "examination.h"
#include "text.h"

/* Old contents: so many bytes of data where no file system has any. */
#define OLD_DATA MIB(1)
/* A wiped beginning: shorter ones are what tools leave free. */
#define WIPED_BEGINNING MIB(4)

struct sums {
	uint64_t blank, data, files, unused_files;
	uint64_t known;             /* bytes of volumes that hold something known, */
	uint64_t crypto;            /* of these encrypted */
	size_t nr_known, nr_opaque; /* volumes; that are neither empty, nor looked into */
	uint64_t entries;
	size_t nr_old; /* structures that are no part of the present layout */
};

static void
note(struct pl_examination *x, const char *text)
{
	if (text && x->e.nr_notes < PL_EXAMINE_NOTES)
		x->notes[x->e.nr_notes++] = text;
}

static const char *
size_of(struct pl_examination *x, uint64_t bytes)
{
	char text[32];

	return pl_arena_strdup(&x->arena, pl_format_size(bytes, text, sizeof text));
}

static const char *
plural(uint64_t n)
{
	return n == 1 ? "" : "s";
}

/* A copy in a journal or in an image has the identifier of a better one, and is none of its own. */
static bool
is_shadowed(const struct pl_examination *x, const struct platter_structure *s)
{
	if (s->opens || s->present || !*s->uuid)
		return false;
	for (size_t i = 0; i < x->e.nr_structures; i++) {
		const struct platter_structure *other = &x->structures[i];

		if (other != s && !strcmp(other->uuid, s->uuid) && !strcmp(other->name, s->name) &&
		    (other->opens || other->present || (other->backup && !s->backup)))
			return true;
	}
	return false;
}

static int
by_place(const void *a, const void *b)
{
	const struct platter_structure *x = a, *y = b;

	if (x->offset != y->offset)
		return x->offset < y->offset ? -1 : 1;
	return (x->at > y->at) - (x->at < y->at);
}

static void
tidy_structures(struct pl_examination *x)
{
	bool drop[PL_EXAMINE_STRUCTURES];
	size_t nr = 0;

	for (size_t i = 0; i < x->e.nr_structures; i++)
		drop[i] = is_shadowed(x, &x->structures[i]);
	for (size_t i = 0; i < x->e.nr_structures; i++)
		if (!drop[i])
			x->structures[nr++] = x->structures[i];
	x->e.structures_found -= x->e.nr_structures - nr;
	x->e.nr_structures = nr;
	if (nr)
		qsort(x->structures, nr, sizeof *x->structures, by_place);
	x->e.structures = x->structures;
}

static int
by_count(const void *a, const void *b)
{
	const struct platter_remains_type *x = a, *y = b;

	return x->count > y->count ? -1 : x->count < y->count;
}

static void
tidy_types(struct pl_examination *x)
{
	size_t nr = 0;

	for (size_t i = 0; i < pl_nr_signatures; i++)
		if (x->types[i].count) {
			x->e.remains[x->types[i].kind] += x->types[i].count;
			x->types[nr++] = x->types[i];
		}
	if (nr)
		qsort(x->types, nr, sizeof *x->types, by_count);
	x->e.types = x->types;
	x->e.nr_types = nr;
}

static int
by_size(const void *a, const void *b)
{
	const struct platter_pattern *x = a, *y = b;

	return x->size > y->size ? -1 : x->size < y->size;
}

/* Of equal bytes the class that says more. */
static enum platter_class
main_class(const struct pl_cell *cell)
{
	enum platter_class main = PLATTER_CLASS_ZERO;

	for (int k = 1; k < PLATTER_NR_CLASSES; k++)
		if (cell->bytes[k] && cell->bytes[k] >= cell->bytes[main])
			main = (enum platter_class)k;
	/* A sector that is left matters more than the zeros around it. */
	if (main <= PLATTER_CLASS_PATTERN)
		for (int k = PLATTER_CLASS_RANDOM; k < PLATTER_NR_CLASSES; k++)
			if (cell->bytes[k] &&
			    (main <= PLATTER_CLASS_PATTERN || cell->bytes[k] >= cell->bytes[main]))
				main = (enum platter_class)k;
	return main;
}

static bool
is_seen(const struct pl_cell *cell)
{
	return !pl_is_zero(cell, sizeof *cell);
}

/* Cells of one class make a region; those that a sample passed over go with the one before. */
static int
make_regions(struct pl_examination *x, struct platter_error *err)
{
	struct platter_region *regions =
		pl_arena_alloc(&x->arena, (x->nr_cells + 1) * sizeof *regions);
	size_t nr = 0;

	if (!regions)
		return pl_no_memory(err);
	for (size_t i = 0; i < x->nr_cells; i++) {
		uint64_t at = i * x->e.granularity;
		enum platter_class main = main_class(&x->cells[i]);
		struct platter_region *last = nr ? &regions[nr - 1] : NULL;

		if (last && (last->main == main || !is_seen(&x->cells[i]))) {
			last->length += PL_MIN(x->e.granularity, x->e.size - at);
		} else {
			last = &regions[nr++];
			*last = (struct platter_region){
				.offset = at,
				.length = PL_MIN(x->e.granularity, x->e.size - at),
				.main = main,
			};
		}
		for (int k = 0; k < PLATTER_NR_CLASSES; k++)
			last->bytes[k] += x->cells[i].bytes[k];
	}
	x->e.regions = regions;
	x->e.nr_regions = nr;
	return 0;
}

static struct sums
sum_up(struct pl_examination *x)
{
	const uint64_t *b = x->e.bytes;
	struct sums s = {
		.blank = b[PLATTER_CLASS_ZERO] + b[PLATTER_CLASS_PATTERN],
		.data = b[PLATTER_CLASS_RANDOM] + b[PLATTER_CLASS_TEXT] + b[PLATTER_CLASS_OTHER],
	};

	for (size_t i = 0; i < x->e.nr_types; i++) {
		s.files += x->e.types[i].count;
		s.unused_files += x->e.types[i].unused;
	}
	for (size_t i = 0; i < x->nr_volumes; i++) {
		const struct pl_examined_volume *v = &x->volumes[i];
		bool crypto = !strcmp(v->usage, "crypto");

		if (!*v->name)
			continue;
		s.nr_known++;
		s.known += v->size;
		s.crypto += crypto ? v->size : 0;
		s.entries += v->entries;
		s.nr_opaque += !v->opens && !crypto && strcmp(v->usage, "other") != 0;
	}
	for (size_t i = 0; i < x->e.nr_structures; i++)
		s.nr_old += !x->e.structures[i].present;
	return s;
}

static void
set_verdict(struct pl_examination *x, enum platter_verdict verdict, const char *text)
{
	x->e.verdict = verdict;
	x->e.verdict_text = text;
	x->e.left = verdict > PLATTER_VERDICT_RANDOM && verdict != PLATTER_VERDICT_UNREADABLE;
}

static const char *
pattern_text(struct pl_examination *x, const struct platter_pattern *p)
{
	struct pl_str s = { 0 };
	const char *text;

	for (unsigned i = 0; i < p->length; i++)
		pl_str_addf(&s, "%s%02x", i ? " " : "", p->bytes[i]);
	text = pl_arena_strdup(&x->arena, s.text ? s.text : "");
	pl_str_done(&s);
	return text;
}

/* Everything is zero or a pattern. */
static void
judge_blank(struct pl_examination *x)
{
	const struct platter_pattern *p = x->patterns;
	const char *of = x->e.samples ? "all that was looked at" : "all of it";

	if (!x->e.bytes[PLATTER_CLASS_PATTERN])
		set_verdict(x, PLATTER_VERDICT_ZEROS,
			    pl_arena_format(&x->arena,
					    "Nothing is left: %s is zeros. It is new, or was wiped "
					    "with zeros or discarded.",
					    of));
	else if (!x->e.bytes[PLATTER_CLASS_ZERO] && x->e.nr_patterns == 1)
		set_verdict(x, PLATTER_VERDICT_PATTERN,
			    pl_arena_format(&x->arena,
					    "Nothing is left: %s was wiped with the pattern %s.",
					    of, pattern_text(x, p)));
	else
		set_verdict(x, PLATTER_VERDICT_PATTERN,
			    pl_arena_format(&x->arena,
					    "Nothing is left: %s is zeros and patterns; %s is %s.",
					    of, size_of(x, p->size), pattern_text(x, p)));
}

/* Nothing can be recognised, and all data looks random. */
static void
judge_random(struct pl_examination *x, const struct sums *s)
{
	const char *rest = s->blank ? pl_arena_format(&x->arena, " The other %s are blank.",
						      size_of(x, s->blank))
				    : "";

	set_verdict(
		x, PLATTER_VERDICT_RANDOM,
		pl_arena_format(&x->arena,
				"Nothing recognisable is left: %s %s random bytes. It was wiped "
				"with them, or is encrypted without a header.%s",
				s->blank ? size_of(x, s->data) : "all of it",
				s->blank ? "are" : "is", rest));
}

static bool
is_only_random(const struct pl_examination *x, const struct sums *s)
{
	/* What a random sector of a million might be taken for. */
	return !s->nr_known && !x->table && !x->e.nr_structures && !s->files &&
	       !x->e.mail_addresses && x->e.even &&
	       x->e.bytes[PLATTER_CLASS_RANDOM] >= s->data - s->data / 1000000;
}

static void
judge_encrypted(struct pl_examination *x)
{
	const struct pl_examined_volume *largest = NULL;

	for (size_t i = 0; i < x->nr_volumes; i++)
		if (!strcmp(x->volumes[i].usage, "crypto") &&
		    (!largest || x->volumes[i].size > largest->size))
			largest = &x->volumes[i];
	set_verdict(x, PLATTER_VERDICT_ENCRYPTED,
		    pl_arena_format(&x->arena,
				    "Encrypted: %s on %s. Who has the key can read it; without its "
				    "header nobody could.",
				    largest->longname, size_of(x, largest->size)));
}

/* The present file systems and their table hold no files. */
static void
judge_unused(struct pl_examination *x, const struct sums *s)
{
	const char *what = s->nr_known ? "file system" : "partition table";
	bool old = s->unused_files || x->e.unused_data >= OLD_DATA || s->nr_old;

	/* A table alone: what its partitions hold belongs to nothing. */
	if (!s->nr_known)
		old = s->files || s->data >= OLD_DATA || s->nr_old;
	if (old)
		set_verdict(x, PLATTER_VERDICT_FORMATTED,
			    pl_arena_format(
				    &x->arena,
				    "Only formatted: there is a new, empty %s, but old contents "
				    "can be recovered.",
				    what));
	else
		set_verdict(x, PLATTER_VERDICT_EMPTY,
			    pl_arena_format(&x->arena,
					    "Only an empty %s is left, and nothing else.", what));
}

static void
judge_used(struct pl_examination *x, const struct sums *s)
{
	const char *names[4];
	struct pl_str list = { 0 };
	size_t nr = 0;

	for (size_t i = 0; i < x->nr_volumes; i++) {
		size_t k = 0;

		if (!*x->volumes[i].name)
			continue;
		while (k < nr && strcmp(names[k], x->volumes[i].longname) != 0)
			k++;
		if (k == nr && nr < ARRAY_SIZE(names))
			names[nr++] = x->volumes[i].longname;
	}
	for (size_t i = 0; i < nr; i++)
		pl_str_addf(&list, "%s%s", i ? ", " : "", names[i]);
	set_verdict(x, PLATTER_VERDICT_IN_USE,
		    pl_arena_format(&x->arena, "In use: %s with files or data on it.",
				    list.text ? list.text : "a file system"));
	pl_str_done(&list);
	if (x->e.unused_data >= OLD_DATA || s->unused_files)
		note(x,
		     pl_arena_format(&x->arena,
				     "Of the space that the file systems do not use, %s hold old "
				     "data, with the beginnings of %" PRIu64 " file%s.",
				     size_of(x, x->e.unused_data), s->unused_files,
				     plural(s->unused_files)));
}

/* No table and no file system begins it, but there is data. */
static void
judge_contents(struct pl_examination *x, const struct sums *s)
{
	uint64_t wiped = PL_MAX(x->leading_blank, x->leading_random);
	bool random = x->leading_random > x->leading_blank;

	if (wiped >= WIPED_BEGINNING && wiped < x->e.size)
		set_verdict(
			x, PLATTER_VERDICT_PARTLY_WIPED,
			pl_arena_format(&x->arena,
					"Partly wiped: the first %s are %s, but behind them old "
					"contents are left.",
					size_of(x, wiped), random ? "random bytes" : "blank"));
	else
		set_verdict(x, PLATTER_VERDICT_CONTENTS,
			    pl_arena_format(
				    &x->arena,
				    "Contents are left: %s of data, without a partition table or "
				    "file system at its beginning.",
				    size_of(x, s->data)));
}

static void
add_notes(struct pl_examination *x, const struct sums *s)
{
	const uint64_t *remains = x->e.remains;

	if (x->e.samples)
		note(x,
		     pl_arena_format(&x->arena,
				     "A sample of %" PRIu64 " places: at 99 %% confidence, no more "
				     "than %.3g %% of the disk is of a class that was not seen.",
				     x->e.samples, x->e.missed * 100));
	if (s->nr_old)
		note(x,
		     pl_arena_format(&x->arena,
				     "%zu table%s or file system%s of an earlier use can be told.",
				     s->nr_old, plural(s->nr_old), plural(s->nr_old)));
	if (remains[PLATTER_REMAINS_METADATA])
		note(x,
		     pl_arena_format(&x->arena, "%" PRIu64 " records and folders of file systems.",
				     remains[PLATTER_REMAINS_METADATA]));
	if (x->e.bytes[PLATTER_CLASS_UNREADABLE])
		note(x, pl_arena_format(&x->arena, "%s cannot be read: what is there is not known.",
					size_of(x, x->e.bytes[PLATTER_CLASS_UNREADABLE])));
	if (s->data && x->e.bytes[PLATTER_CLASS_RANDOM] >= MIB(1))
		note(x, x->e.even
				? "What looks random is evenly so: encrypted or random, not "
				  "compressed."
				: "What looks random is not evenly so: some of it is compressed.");
}

int
pl_examine_judge(struct pl_examination *x, struct platter_error *err)
{
	static const char *const names[] = { "zeros",     "pattern",   "random",    "empty",
					     "formatted", "in-use",    "encrypted", "partly-wiped",
					     "contents",  "unreadable" };
	uint64_t random = x->e.bytes[PLATTER_CLASS_RANDOM];
	struct sums s;
	int r;

	x->e.chi_square = pl_chi_square(x->histogram, random);
	/* Six standard deviations: random bytes pass it once in 10^8 disks. */
	x->e.even = x->e.chi_square < 391;
	x->e.false_alarms = pl_signature_false_alarms(random / PL_CLASS_SECTOR);
	tidy_structures(x);
	tidy_types(x);
	qsort(x->patterns, x->e.nr_patterns, sizeof *x->patterns, by_size);
	x->e.patterns = x->patterns;
	r = make_regions(x, err);
	if (r < 0)
		return r;
	s = sum_up(x);
	if (x->e.size && x->e.bytes[PLATTER_CLASS_UNREADABLE] == x->e.examined)
		set_verdict(x, PLATTER_VERDICT_UNREADABLE, "Nothing of it could be read.");
	else if (!s.data)
		judge_blank(x);
	else if (is_only_random(x, &s))
		judge_random(x, &s);
	else if (s.crypto && s.crypto >= s.known / 2)
		judge_encrypted(x);
	else if (s.nr_known && (s.entries || s.nr_opaque))
		judge_used(x, &s);
	else if (s.nr_known || x->table)
		judge_unused(x, &s);
	else
		judge_contents(x, &s);
	x->e.verdict_name = names[x->e.verdict];
	add_notes(x, &s);
	x->e.notes = x->notes;
	return x->arena.failed ? pl_no_memory(err) : 0;
}

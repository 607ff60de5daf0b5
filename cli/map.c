/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * map.c - platter map: what of a disk is stored, and where
 *
 * Each extent is printed as soon as it is known, so a disk of millions of them takes no
 * memory; that is why the array of the JSON answer is written by hand.
 */
#include <inttypes.h>
#include <string.h>

#include "commands.h"
#include "output.h"
#include "picture.h"

/*
 * Compressed pieces that follow each other in the file are one extent, although what pads
 * them to sectors and a marker between them may be no part of either.
 */
#define PADDING 1024

/* Where the fifth column begins. */
#define COLUMNS 53

enum {
	NR_KINDS = PLATTER_BAD + 1
};

static const char *const kinds[NR_KINDS] = { "data", "zero", "hole", "bad" };

/* Of the picture: the kinds, and what is compressed. */
enum {
	CLASS_COMPRESSED = NR_KINDS,
	NR_CLASSES
};

static const struct picture_class classes[NR_CLASSES] = {
	[PLATTER_DATA] = { .label = "data", .rgb = 0x2e7d32 },
	[PLATTER_ZERO] = { .label = "zero", .rgb = 0xb0bec5 },
	[PLATTER_HOLE] = { .label = "hole", .rgb = 0xe6eaec },
	[PLATTER_BAD] = { .label = "bad", .rgb = 0xc62828, .always = true },
	[CLASS_COMPRESSED] = { .label = "compressed", .rgb = 0x1565c0 },
};

struct map {
	const struct arguments *args;
	struct platter_extent run;    /* found, and perhaps not at its end yet; length 0: none */
	uint64_t last_stored;         /* where the last compressed piece of it begins */
	uint64_t bytes[NR_KINDS], nr; /* of what was printed */
	struct picture *picture;      /* NULL: none is drawn */

	/* The file that was named last: as JSON, to be freed; whether it needs no care in text. */
	const char *file;
	char *file_json;
	bool file_is_plain;
};

/* Millions of lines may name the same file: look at its name once. */
static void
know_file(struct map *m, const char *file)
{
	json_t *name;

	if (m->file == file && m->file_json)
		return;
	name = json_text(file);
	free(m->file_json);
	m->file_json = json_dumps(name, JSON_ENCODE_ANY);
	json_decref(name);
	m->file = file;
	m->file_is_plain = true;
	for (; file && *file; file++)
		if (*file < ' ' || *file > '~')
			m->file_is_plain = false;
}

static bool
stored_on(const struct map *m, const struct platter_extent *e)
{
	const struct platter_extent *run = &m->run;
	uint64_t end = run->stored_offset + run->stored_length;

	/* One disk gives one file the same pointer; another with the same name is not the same. */
	if (run->stored_in != e->stored_in || e->stored_offset == UINT64_MAX)
		return false;
	if (!e->compressed)
		return e->stored_offset == end;
	/* Lengths may be rounded up, so that pieces seem to overlap. */
	return e->stored_offset > m->last_stored && e->stored_offset <= end + PADDING;
}

static bool
continues(const struct map *m, const struct platter_extent *e)
{
	if (!m->run.length || m->run.kind != e->kind || m->run.depth != e->depth ||
	    m->run.compressed != e->compressed)
		return false;
	return e->kind != PLATTER_DATA || stored_on(m, e);
}

static void
print_line(struct map *m, const struct platter_extent *e)
{
	const char *kind = e->compressed ? "compressed" : kinds[e->kind];
	char place[128];

	snprintf(place, sizeof place, "0x%-14" PRIx64 "  0x%-14" PRIx64 "  %-10s  %" PRIu32,
		 e->offset, e->length, kind, e->depth);
	if (e->kind != PLATTER_DATA) {
		puts(place);
		return;
	}
	if (!e->stored_in) {
		printf("%-*s  ?\n", COLUMNS, place);
		return;
	}
	know_file(m, e->stored_in);
	if (m->file_is_plain)
		printf("%-*s  0x%-14" PRIx64 "  %s\n", COLUMNS, place, e->stored_offset,
		       e->stored_in);
	else
		say(stdout, "%-*s  0x%-14" PRIx64 "  %s", COLUMNS, place, e->stored_offset,
		    e->stored_in);
}

/* A number of a map is below 2^63, or UINT64_MAX. */
static void
print_number(const char *key, uint64_t n)
{
	if (n == UINT64_MAX)
		printf(", \"%s\": null", key);
	else
		printf(", \"%s\": %" PRIu64, key, n);
}

static void
print_object(struct map *m, const struct platter_extent *e)
{
	bool data = e->kind == PLATTER_DATA;

	know_file(m, e->stored_in);
	printf("%s    {\"offset\": %" PRIu64 ", \"length\": %" PRIu64 ", \"kind\": \"%s\""
	       ", \"depth\": %" PRIu32 ", \"compressed\": %s",
	       m->nr ? ",\n" : "", e->offset, e->length, kinds[e->kind], e->depth,
	       e->compressed ? "true" : "false");
	print_number("stored_offset", data ? e->stored_offset : UINT64_MAX);
	print_number("stored_length", data ? e->stored_length : UINT64_MAX);
	printf(", \"file\": %s}", m->file_json ? m->file_json : "null");
}

/* A picture stands for the lines. */
static bool
wants_lines(const struct map *m)
{
	return !m->picture && !m->args->option[OPT_QUIET].given;
}

static void
print_run(struct map *m)
{
	if (!m->run.length)
		return;
	if (m->args->json)
		print_object(m, &m->run);
	else if (wants_lines(m))
		print_line(m, &m->run);
	if (m->picture)
		picture_fill(m->picture, m->run.offset, m->run.length,
			     m->run.compressed ? CLASS_COMPRESSED : m->run.kind);
	m->bytes[m->run.kind] += m->run.length;
	m->nr++;
	m->run.length = 0;
}

static void
take(struct map *m, const struct platter_extent *e)
{
	if (continues(m, e)) {
		m->run.length += e->length;
		m->run.stored_length = e->stored_offset + e->stored_length - m->run.stored_offset;
	} else {
		print_run(m);
		m->run = *e;
	}
	m->last_stored = e->stored_offset;
}

static int
walk(struct map *m, struct platter_disk *disk, uint64_t offset, uint64_t end,
     struct platter_error *err)
{
	int r = 0;

	while (r == 0 && offset < end) {
		struct platter_extent e;

		r = platter_map(disk, offset, end - offset, &e, err);
		if (r == 0) {
			take(m, &e);
			offset += e.length;
		}
	}
	print_run(m);
	return r;
}

/* The members of `object` as lines of the answer, without its braces; releases it. */
static void
print_members(json_t *object)
{
	AUTOFREE char *text = json_dumps(object, JSON_INDENT(2));
	size_t n = text ? strlen(text) : 0;

	/* "{\n  ...\n}" */
	if (n > 4)
		fwrite(text + 2, 1, n - 4, stdout);
	json_decref(object);
}

static void
begin(const struct map *m, struct platter_disk *disk)
{
	if (m->args->json) {
		json_t *head = json_answer(m->args);

		json_put(head, "place", json_text(m->args->operands[0]));
		json_put(head, "size", json_number(platter_size(disk)));
		fputs("{\n", stdout);
		print_members(head);
		fputs(",\n  \"extents\": [\n", stdout);
	} else if (wants_lines(m)) {
		puts("Offset            Length            Kind        Depth  Stored at         "
		     "File");
	}
}

static void
finish(const struct map *m, const struct platter_error *err)
{
	if (m->args->json) {
		json_t *tail = json_object();

		for (size_t i = 0; i < NR_KINDS; i++)
			json_put(tail, kinds[i], json_number(m->bytes[i]));
		if (err)
			json_put(tail, "error", json_error(err, "cannot map"));
		fputs(m->nr ? "\n  ],\n" : "  ],\n", stdout);
		print_members(tail);
		fputs("\n}\n", stdout);
	} else if (!err && !m->args->option[OPT_QUIET].given) {
		say(stdout, "%s: data %s, zero %s, hole %s, bad %s",
		    count_text(m->nr, "extent", "extents").text,
		    exact_size_text(m->bytes[PLATTER_DATA]).text,
		    exact_size_text(m->bytes[PLATTER_ZERO]).text,
		    exact_size_text(m->bytes[PLATTER_HOLE]).text,
		    exact_size_text(m->bytes[PLATTER_BAD]).text);
	}
}

static int
save_pictures(const struct arguments *args, const struct picture *p, struct platter_error *err)
{
	const struct option_value *png = &args->option[OPT_PNG], *svg = &args->option[OPT_SVG];
	int r = png->given ? picture_save_png(p, png->text, args->operands[0], err) : 0;

	return r == 0 && svg->given ? picture_save_svg(p, svg->text, args->operands[0], err) : r;
}

static int
map(const struct arguments *args, struct platter_disk *disk)
{
	const struct option_value *length = &args->option[OPT_LENGTH];
	uint64_t offset = args->option[OPT_OFFSET].number, size = platter_size(disk), end = size;
	struct platter_error err = PLATTER_ERROR_INIT;
	struct map m = { .args = args };
	struct picture picture;
	int r;

	if (offset > size)
		return report_usage(args,
				    "--offset=%s is past the end of the disk (%" PRIu64 " bytes)",
				    args->option[OPT_OFFSET].text, size);
	if (length->given && length->number < size - offset)
		end = offset + length->number;
	if (args->option[OPT_PNG].given || args->option[OPT_SVG].given) {
		picture_init(&picture, size, classes, NR_CLASSES);
		m.picture = &picture;
	}
	begin(&m, disk);
	r = walk(&m, disk, offset, end, &err);
	if (r == 0 && m.picture)
		r = save_pictures(args, &picture, &err);
	finish(&m, r < 0 ? &err : NULL);
	free(m.file_json);
	if (m.picture)
		picture_done(&picture);
	if (r == 0)
		return STATUS_DONE;
	return args->json ? STATUS_FAILED
			  : report(args, &err, "cannot map '%s'", args->operands[0]);
}

int
command_map(const struct arguments *args)
{
	struct platter_disk *disk;
	int status;

	if (open_operand(args, args->operands[0], &disk) < 0)
		return STATUS_FAILED;
	status = map(args, disk);
	platter_close(disk);
	return status;
}

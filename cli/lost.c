/* SPDX-License-Identifier: GPL-3.0-or-later */
/* lost.c - info --lost and repair --table: partitions that a table does not have */
#include <inttypes.h>
#include <string.h>

#include <platter/change.h>
#include <platter/examine.h>

#include "commands.h"
#include "output.h"
#include "progress.h"

static size_t
count_fitting(const struct platter_lost *lost)
{
	size_t nr = 0;

	for (size_t i = 0; i < lost->nr_partitions; i++)
		nr += lost->partitions[i].fits;
	return nr;
}

/* Which kind of table to make: the one that is there, or what holds them all. */
static const char *
table_for(const struct platter_lost *lost)
{
	if (!strcmp(lost->table, "mbr"))
		return "mbr";
	return "gpt";
}

int
find_lost(const struct arguments *args, const char *place, struct platter_lost **ret,
	  struct platter_error *err)
{
	struct progress progress;
	struct platter_disk *disk;
	int r = try_open(args, place, &disk, err);

	if (r < 0)
		return r;
	progress_start(&progress, args);
	r = platter_find_lost(disk, &progress.job, ret, err);
	progress_end(&progress);
	platter_close(disk);
	return r;
}

static void
list_lost(FILE *to, const struct platter_lost *lost)
{
	static const char *const headings[] = { ">Start", ">Sectors", ">Size",   "Contents",
						"Label",  "Type",     "Told by", "" };
	uint32_t unit = lost->sector_size ? lost->sector_size : 512;
	struct table t;

	table_init(&t, headings, ARRAY_SIZE(headings));
	for (size_t i = 0; i < lost->nr_partitions; i++) {
		const struct platter_lost_partition *p = &lost->partitions[i];

		table_cell(&t, "%" PRIu64, p->offset / unit);
		table_cell(&t, "%" PRIu64, p->length / unit);
		table_cell(&t, "%s", size_text(p->length).text);
		table_cell(&t, "%s", p->structure.longname);
		table_cell(&t, "%s", p->structure.label);
		table_cell(&t, "%s", p->type);
		table_cell(&t, "%s%s", p->structure.evidence,
			   p->structure.opens ? ", its files can be listed" : "");
		table_cell(&t, "%s",
			   !p->fits ? "no room"
			   : p->structure.length
				   ? ""
				   : "its length is not known: up to what comes next");
	}
	table_print(&t, to, "  ");
}

void
say_lost(const char *place, const struct platter_lost *lost)
{
	AUTOFREE char *quoted = shell_quoted(place);
	size_t nr = count_fitting(lost);

	putchar('\n');
	say(stdout, "Lost partitions (searched %s)", size_text(lost->searched).text);
	if (lost->damaged)
		say(stdout, "  Part of the %s is wrong or missing", lost->table);
	if (!lost->nr_partitions)
		say(stdout, "  None was found");
	else
		list_lost(stdout, lost);
	if (nr)
		say(stdout, "  To put %s into the table: platter repair --table=%s %s",
		    count_text(nr, "partition", "partitions").text, table_for(lost), quoted);
	else if (lost->damaged)
		say(stdout, "  To make the table whole: platter repair --table=%s %s",
		    table_for(lost), quoted);
}

json_t *
json_lost(const struct platter_lost *lost)
{
	json_t *object = json_object(), *partitions = json_array();

	for (size_t i = 0; i < lost->nr_partitions; i++) {
		const struct platter_lost_partition *p = &lost->partitions[i];
		json_t *one = json_object();

		json_put(one, "offset", json_number(p->offset));
		json_put(one, "length", json_number(p->length));
		json_put(one, "type", json_text(p->type));
		json_put(one, "fits", json_boolean(p->fits));
		json_put(one, "structure", json_structure(&p->structure));
		json_array_append_new(partitions, one);
	}
	json_put(object, "table", json_text(lost->table));
	json_put(object, "damaged", json_boolean(lost->damaged));
	json_put(object, "searched", json_number(lost->searched));
	json_put(object, "seconds", json_real(lost->seconds));
	json_put(object, "partitions", partitions);
	return object;
}

/* ---- repair --table ---- */

struct table_repair {
	const struct arguments *args;
	const char *target;
	const struct platter_lost *lost;
	bool in_bytes;                     /* what is saved can be put back with dd */
	struct platter_identity *identity; /* of the target; NULL until somebody is asked */
	json_t *saved;                     /* with --json */
};

static void
take_saved(const char *file, uint64_t offset, uint64_t length, void *closure)
{
	struct table_repair *repair = closure;

	if (repair->saved) {
		json_t *one = json_object();

		json_put(one, "file", json_text(file));
		json_put(one, "offset", json_number(offset));
		json_put(one, "length", json_number(length));
		json_array_append_new(repair->saved, one);
	} else if (repair->args->option[OPT_QUIET].given) {
		return;
	} else if (repair->in_bytes) {
		AUTOFREE char *from = shell_quoted(file);
		AUTOFREE char *to = shell_quoted(repair->target);

		say(stdout,
		    "to undo: dd if=%s of=%s bs=512 seek=%" PRIu64 " oflag=seek_bytes conv=notrunc",
		    from, to, offset);
	} else {
		say(stdout, "kept what was at byte %" PRIu64 " of the disk in %s", offset, file);
	}
}

/* Is the target a disk byte for byte, a device or a raw image? */
static bool
is_plain(const struct arguments *args, const char *target)
{
	struct platter_description *d = NULL;
	struct platter_disk *disk = NULL;
	bool plain = false;

	if (try_open(args, target, &disk, NULL) == 0 && platter_describe(disk, &d, NULL) == 0)
		plain = d->nr_layers == 1 ||
			(d->nr_layers == 2 && !strcmp(d->layers[1].name, "raw"));
	platter_description_free(d);
	platter_close(disk);
	return plain;
}

static int
finish(struct table_repair *repair, size_t nr)
{
	const struct arguments *args = repair->args;
	bool dry_run = args->option[OPT_DRY_RUN].given;

	if (args->json) {
		json_t *answer = json_answer(args);

		json_put(answer, "place", json_text(repair->target));
		json_put(answer, "dry_run", json_boolean(dry_run));
		json_put(answer, "repaired", json_number(nr));
		json_put(answer, "left",
			 json_number(repair->lost->nr_partitions - count_fitting(repair->lost)));
		json_put(answer, "findings", json_array());
		json_put(answer, "lost", json_lost(repair->lost));
		json_put(answer, "saved", json_incref(repair->saved));
		json_print(answer, stdout);
	} else if (!args->option[OPT_QUIET].given) {
		if (!nr && !repair->lost->damaged)
			say(stdout, "%s: no partition is missing", repair->target);
		else if (!nr)
			say(stdout, "%s: the table %s made whole", repair->target,
			    dry_run ? "would be" : "was");
		else
			say(stdout, "%s: %s %s the %s table", repair->target,
			    count_text(nr, "partition", "partitions").text,
			    dry_run ? "would be put into" : "put into",
			    args->option[OPT_TABLE].text);
	}
	return dry_run && (nr || repair->lost->damaged) ? STATUS_NO : STATUS_DONE;
}

static int
write_table(struct table_repair *repair, struct platter_table_options *options)
{
	const struct arguments *args = repair->args;
	const struct platter_lost *lost = repair->lost;
	struct platter_lost_partition none;
	struct platter_error err = PLATTER_ERROR_INIT;
	size_t nr = count_fitting(lost);
	int status;

	if (!nr && !lost->damaged)
		return finish(repair, 0);
	/* First whether it can be done at all. */
	options->dry_run = true;
	if (platter_write_table(repair->target, lost->nr_partitions ? lost->partitions : &none,
				lost->nr_partitions, options, &err) < 0)
		return report(args, &err, "cannot repair the table of '%s'", repair->target);
	if (args->option[OPT_DRY_RUN].given) {
		if (!args->json && !args->option[OPT_QUIET].given)
			list_lost(stdout, lost);
		return finish(repair, nr);
	}
	if (!args->option[OPT_QUIET].given || !args->option[OPT_YES].given) {
		say(stderr, "The %s table of %s will be written, with %s",
		    args->option[OPT_TABLE].text, repair->target,
		    nr ? count_text(nr, "more partition:", "more partitions:").text
		       : "what its other copy says");
		if (nr)
			list_lost(stderr, lost);
	}
	if (platter_device_check(repair->target, &repair->identity, &err) < 0)
		return report(args, &err, "cannot repair the table of '%s'", repair->target);
	status = ask_to_overwrite(args, repair->target, repair->target, repair->identity);
	if (status != STATUS_DONE)
		return status;
	options->dry_run = false;
	options->identity = repair->identity;
	if (platter_write_table(repair->target, lost->nr_partitions ? lost->partitions : &none,
				lost->nr_partitions, options, &err) < 0)
		return report(args, &err, "cannot repair the table of '%s'", repair->target);
	return finish(repair, nr);
}

int
repair_table(const struct arguments *args)
{
	const char *target = args->operands[0], *slash = strrchr(target, '/');
	AUTOFREE char *save = text_of("%s", slash ? slash + 1 : target);
	struct table_repair repair = { .args = args, .target = target };
	struct platter_table_options options = {
		.size = sizeof options,
		.format = args->option[OPT_INPUT_FORMAT].text,
		.gpt = !strcmp(args->option[OPT_TABLE].text, "gpt"),
		.save = save,
		.saved = take_saved,
		.closure = &repair,
	};
	struct platter_error err = PLATTER_ERROR_INIT;
	struct platter_lost *lost = NULL;
	int status;

	if (find_lost(args, target, &lost, &err) < 0)
		return report(args, &err, "cannot search '%s'", target);
	repair.lost = lost;
	repair.in_bytes = is_plain(args, target);
	repair.saved = args->json ? json_array() : NULL;
	status = write_table(&repair, &options);
	json_decref(repair.saved);
	platter_identity_free(repair.identity);
	platter_lost_free(lost);
	return status;
}

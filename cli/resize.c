/* SPDX-License-Identifier: GPL-3.0-or-later */
/* resize.c - platter resize: the disk of an image becomes longer or shorter */
#include <errno.h>

#include <platter/change.h>
#include <platter/text.h>

#include "commands.h"
#include "output.h"

/* "4G", "+4G", "-4G"; false: no size that a disk of `now` bytes can get. */
static bool
parse_new_size(const char *text, uint64_t now, uint64_t *ret)
{
	char sign = *text == '+' || *text == '-' ? *text++ : '\0';
	uint64_t n;

	if (platter_parse_size(text, &n) < 0)
		return false;
	if (sign == '-' && n >= now)
		return false;
	if (sign == '+' && n > INT64_MAX - now)
		return false;
	*ret = sign == '-' ? now - n : sign == '+' ? now + n : n;
	return *ret > 0;
}

/* What the partition tables, which stayed as they were, have against the new size. */
static struct platter_description *
describe(struct platter_disk *disk)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	struct platter_description *d = NULL;

	return platter_describe(disk, &d, &err) < 0 ? NULL : d;
}

static void
tell(const struct arguments *args, uint64_t before, uint64_t size,
     const struct platter_description *d)
{
	json_t *answer = args->json ? json_answer(args) : NULL, *warnings = json_array();

	if (answer) {
		json_put(answer, "place", json_text(args->operands[0]));
		json_put(answer, "size_before", json_number(before));
		json_put(answer, "size", json_number(size));
	} else if (!args->option[OPT_QUIET].given) {
		say(stdout, "%s: a disk of %s, it was %s", args->operands[0],
		    exact_size_text(size).text, exact_size_text(before).text);
	}
	for (size_t t = 0; d && t < d->nr_tables; t++)
		for (size_t i = 0; i < d->tables[t].facts.nr_warnings; i++) {
			const char *text = d->tables[t].facts.warnings[i];

			if (answer)
				json_array_append_new(warnings, json_text(text));
			else if (!args->option[OPT_QUIET].given)
				say(stdout, "  note: %s: %s", d->tables[t].longname, text);
		}
	if (!answer) {
		json_decref(warnings);
		return;
	}
	json_put(answer, "warnings", warnings);
	json_print(answer, stdout);
}

static int
resize(const struct arguments *args, struct platter_disk *disk)
{
	struct platter_resize_options options = {
		.size = sizeof options,
		.discard_data = args->option[OPT_DISCARD_DATA].given,
	};
	struct platter_error err = PLATTER_ERROR_INIT;
	struct platter_description *d;
	uint64_t before = platter_size(disk), size;

	if (!parse_new_size(args->operands[1], before, &size))
		return report_usage(
			args, "'%s' is no size for a disk of %s: 40G is one, or +10G, or -10G",
			args->operands[1], exact_size_text(before).text);
	if (platter_resize(disk, size, &options, &err) < 0)
		return report(args, &err, "cannot resize '%s'", args->operands[0]);
	d = describe(disk);
	tell(args, before, platter_size(disk), d);
	platter_description_free(d);
	return STATUS_DONE;
}

int
command_resize(const struct arguments *args)
{
	struct platter_disk *disk;
	int status;

	if (open_to_change(args, args->operands[0], &disk) < 0)
		return STATUS_FAILED;
	status = resize(args, disk);
	platter_close(disk);
	return status;
}

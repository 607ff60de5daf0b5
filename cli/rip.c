/* SPDX-License-Identifier: GPL-3.0-or-later */
/* rip.c - platter rip: an image of an optical disc */
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "output.h"
#include "progress.h"
#include "sums.h"

#define DEFAULT_RETRIES 3

/* The list of what could not be read; to be freed, or NULL. */
static char *
mapfile_of(const char *target, const struct platter_rip_result *r)
{
	return r->mapped ? text_of("%s.map", target) : NULL;
}

static void
tell(const struct arguments *args, const char *target, const struct platter_rip_result *r,
     const struct sums *sums)
{
	FILE *to = strcmp(target, "-") ? stdout : stderr;
	AUTOFREE char *mapfile = mapfile_of(target, r);
	json_t *answer, *files;

	if (args->json) {
		answer = json_answer(args);
		files = json_array();
		json_put(answer, "source", json_text(args->operands[0]));
		json_put(answer, "target", json_text(target));
		json_put_result(answer, &r->copy);
		for (size_t i = 0; i < sums->nr_files; i++)
			json_array_append_new(files, json_text(sums->files[i]));
		json_put(answer, "sums", files);
		json_put(answer, "map", json_text(mapfile));
		json_print(answer, to);
	} else if (!args->option[OPT_QUIET].given) {
		say(to, "wrote %s: a disc of %s, in %s",
		    strcmp(target, "-") ? target : "to standard output",
		    exact_size_text(r->copy.size).text, duration_text(r->copy.seconds).text);
		say_result_details(to, &r->copy);
		if (mapfile)
			say(to, "  %s lists what could not be read", mapfile);
	}
}

static int
rip(const struct arguments *args, struct platter_drive *drive, const char *target)
{
	struct platter_drive_read_options how = {
		.size = sizeof how,
		.retries = args->option[OPT_RETRIES].given
				   ? (unsigned)args->option[OPT_RETRIES].number
				   : DEFAULT_RETRIES,
	};
	struct platter_error err = PLATTER_ERROR_INIT;
	struct platter_create_options options;
	struct platter_rip_result result = { 0 };
	struct progress progress;
	struct sums sums = { 0 };
	int r;

	fill_create_options(args, &options);
	if (sums_check(&options, target, &err) < 0)
		return report_create_stopped(args, target, &err);
	progress_start(&progress, args);
	r = platter_rip(drive, target, &how, &options, &progress.job, &result, &err);
	if (r < 0) {
		progress_end(&progress);
		return report_create_stopped(args, target, &err);
	}
	r = sums_write(&options, target, &result.copy, &progress.job, &sums, &err);
	progress_end(&progress);
	if (r < 0) {
		r = report(args, &err, "wrote '%s', but cannot write its checksums", target);
	} else {
		tell(args, target, &result, &sums);
		r = result.copy.bad ? STATUS_BAD_SECTORS : STATUS_DONE;
	}
	sums_done(&sums);
	return r;
}

int
command_rip(const struct arguments *args)
{
	const char *target = args->operands[1];
	struct platter_error err = PLATTER_ERROR_INIT;
	struct platter_drive *drive;
	int status;

	if (!strcmp(target, "-") && isatty(STDOUT_FILENO))
		return report_usage(args,
				    "standard output is a terminal; an image would garble it");
	if (platter_drive_open(args->operands[0], &drive, &err) < 0)
		return report(args, &err, "cannot read '%s'", args->operands[0]);
	status = rip(args, drive, target);
	platter_drive_close(drive, args->option[OPT_EJECT].given && status != STATUS_USAGE);
	return status;
}

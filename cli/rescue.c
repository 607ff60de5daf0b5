/* SPDX-License-Identifier: GPL-3.0-or-later */
/* rescue.c - platter rescue: what a failing drive still gives */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <platter/rescue.h>

#include "commands.h"
#include "live.h"
#include "output.h"
#include "progress.h"

#define DEFAULT_RETRIES 1

/* Files that were hit and are named; the others are only counted. */
#define MAX_NAMED 1000

struct named_file {
	char *path;
	uint64_t size, lost;
};

struct lost {
	struct named_file *files;
	size_t nr;
	struct platter_lost_files sum;
	bool looked; /* for them, to the end */
};

static void
name_file(const struct platter_lost_file *file, void *closure)
{
	struct lost *lost = closure;

	if (lost->nr == MAX_NAMED)
		return;
	lost->files = grown(lost->files, lost->nr + 1, sizeof *lost->files);
	lost->files[lost->nr++] =
		(struct named_file){ text_of("%s", file->path), file->size, file->lost };
}

static void
lost_done(struct lost *lost)
{
	for (size_t i = 0; i < lost->nr; i++)
		free(lost->files[i].path);
	free(lost->files);
}

static char *
mapfile_of(const struct arguments *args)
{
	return args->nr_operands > 2 ? text_of("%s", args->operands[2])
				     : text_of("%s.map", args->operands[1]);
}

/* Through the file systems of the image; what cannot be looked into has no files. */
static void
find_lost_files(const struct arguments *args, struct lost *lost)
{
	struct platter_open_options raw = { .size = sizeof raw, .format = "raw" };
	AUTOFREE char *place = args->nr_operands > 2
				       ? text_of("%s?map=%s", args->operands[1], args->operands[2])
				       : text_of("%s", args->operands[1]);
	struct platter_error err = PLATTER_ERROR_INIT;
	struct platter_disk *disk = NULL;
	struct progress progress;

	if (platter_open(place, &raw, &disk, &err) < 0)
		return;
	progress_start(&progress, args);
	lost->looked = platter_find_lost_files(disk, name_file, lost, &progress.job, &lost->sum,
					       &err) == 0;
	progress_end(&progress);
	platter_close(disk);
}

static json_t *
json_lost_files(const struct lost *lost)
{
	json_t *list = json_array();

	for (size_t i = 0; i < lost->nr; i++) {
		json_t *file = json_object();

		json_put(file, "path", json_text(lost->files[i].path));
		json_put(file, "size", json_number(lost->files[i].size));
		json_put(file, "lost", json_number(lost->files[i].lost));
		json_array_append_new(list, file);
	}
	return list;
}

static void
tell_json(const struct arguments *args, const char *mapfile, const struct platter_rescue_result *r,
	  const struct lost *lost)
{
	json_t *answer = json_answer(args);

	json_put(answer, "device", json_text(args->operands[0]));
	json_put(answer, "image", json_text(args->operands[1]));
	json_put(answer, "map", json_text(mapfile));
	json_put(answer, "size", json_number(r->size));
	json_put(answer, "wanted", json_number(r->wanted));
	json_put(answer, "finished", json_number(r->finished));
	json_put(answer, "untried", json_number(r->untried));
	json_put(answer, "untrimmed", json_number(r->untrimmed));
	json_put(answer, "unscraped", json_number(r->unscraped));
	json_put(answer, "bad", json_number(r->bad));
	json_put(answer, "areas", json_number(r->areas));
	json_put(answer, "before", json_number(r->before));
	json_put(answer, "reads", json_number(r->reads));
	json_put(answer, "read", json_number(r->bytes));
	json_put(answer, "seconds", json_real(r->seconds));
	json_put(answer, "files", json_lost_files(lost));
	json_put(answer, "files_lost", json_number(lost->sum.lost));
	json_put(answer, "files_checked", json_number(lost->sum.files));
	json_put(answer, "files_unreadable", json_number(lost->sum.unreadable));
	json_print(answer, stdout);
}

static void
say_if(uint64_t bytes, const char *what)
{
	if (bytes)
		say(stdout, "  %s %s", exact_size_text(bytes).text, what);
}

static void
say_lost_files(const struct lost *lost)
{
	if (lost->sum.lost)
		say(stdout, "%s hit:", count_text(lost->sum.lost, "file is", "files are").text);
	for (size_t i = 0; i < lost->nr; i++)
		say(stdout, "  %s (%s of %s lost)", lost->files[i].path,
		    size_text(lost->files[i].lost).text, size_text(lost->files[i].size).text);
	if (lost->sum.lost > lost->nr)
		say(stdout, "  and %s",
		    count_text(lost->sum.lost - lost->nr, "other", "others").text);
	if (lost->looked && lost->sum.files && !lost->sum.lost)
		say(stdout, "None of the %s on it is hit.",
		    count_text(lost->sum.files, "file", "files").text);
	if (lost->sum.unreadable)
		say(stdout, "%s could not be looked at.",
		    count_text(lost->sum.unreadable, "file or folder", "files and folders").text);
}

static void
tell(const struct arguments *args, const char *mapfile, const struct platter_rescue_result *r,
     const struct lost *lost)
{
	say(stdout, "read %s of %s, %s of it now, in %s", exact_size_text(r->finished).text,
	    exact_size_text(r->wanted).text,
	    size_text(r->finished > r->before ? r->finished - r->before : 0).text,
	    duration_text(r->seconds).text);
	say_if(r->bad, "cannot be read");
	say_if(r->unscraped, "between bad sectors were left out");
	say_if(r->untrimmed, "around bad sectors were left out");
	say_if(r->untried, "were not tried");
	if (r->finished == r->wanted)
		return;
	say(stdout, "  in %s, which %s lists; zeros stand there",
	    count_text(r->areas, "area", "areas").text, mapfile);
	say_lost_files(lost);
}

/* The same command line, but what is there is not begun anew. */
static char *
command_that_goes_on(const struct arguments *args)
{
	char *text = text_of("platter %s", args->verb->name);

	for (int i = 1; i < args->argc; i++) {
		AUTOFREE char *earlier = text;
		AUTOFREE char *word = shell_quoted(args->argv[i]);

		if (!strcmp(args->argv[i], "--force") || !strcmp(args->argv[i], "-f"))
			text = text_of("%s", earlier);
		else
			text = text_of("%s %s", earlier, word);
	}
	return text;
}

static int
report_stopped(const struct arguments *args, const struct platter_rescue_result *r,
	       struct platter_error *err)
{
	bool begun = r->size && err->code != -EBUSY;
	AUTOFREE char *context = text_of("cannot rescue '%s'", args->operands[0]);
	AUTOFREE char *command = begun ? command_that_goes_on(args) : NULL;

	if (begun && !args->json)
		say(stderr, "%s of %s were read, %s of it now.", size_text(r->finished).text,
		    size_text(r->wanted).text,
		    size_text(r->finished > r->before ? r->finished - r->before : 0).text);
	return report_kept(args, err, context, begun ? args->operands[1] : NULL, command);
}

static bool
is_device(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISBLK(st.st_mode);
}

static bool
exists(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0;
}

/* A device that is not gone on with is overwritten.  *ret: which device was asked about, or NULL. */
static int
ask_about_target(const struct arguments *args, struct platter_identity **ret)
{
	struct platter_error err = PLATTER_ERROR_INIT;

	if (!is_device(args->operands[1]) ||
	    (args->nr_operands > 2 && exists(args->operands[2]) && !args->option[OPT_FORCE].given))
		return STATUS_DONE;
	if (!args->option[OPT_QUIET].given || !args->option[OPT_YES].given)
		show_target(args->operands[1]);
	if (platter_device_check(args->operands[1], ret, &err) < 0)
		return report(args, &err, "cannot rescue to '%s'", args->operands[1]);
	return ask_to_overwrite(args, args->operands[0], args->operands[1], *ret);
}

static int
rescue(const struct arguments *args, struct platter_rescue_options *options,
       struct platter_rescue_result *ret, struct platter_error *err)
{
	struct progress progress;
	struct live live;
	int r;

	progress_start(&progress, args);
	if (live_start(&live, &progress)) {
		options->watch = live_show;
		options->closure = &live;
	}
	r = platter_rescue(args->operands[0], args->operands[1], options, &progress.job, ret, err);
	live_end(&live);
	progress_end(&progress);
	return r;
}

static int
rescue_and_tell(const struct arguments *args, const struct platter_identity *identity)
{
	struct platter_rescue_options options = {
		.size = sizeof options,
		.mapfile = args->nr_operands > 2 ? args->operands[2] : NULL,
		.offset = args->option[OPT_OFFSET].number,
		.length = args->option[OPT_LENGTH].number,
		.retries = args->option[OPT_RETRIES].given
				   ? (unsigned)args->option[OPT_RETRIES].number
				   : DEFAULT_RETRIES,
		.timeout = (unsigned)args->option[OPT_TIMEOUT].number,
		.reverse = args->option[OPT_REVERSE].given,
		.no_trim = args->option[OPT_NO_TRIM].given,
		.no_scrape = args->option[OPT_NO_SCRAPE].given,
		.used_first = args->option[OPT_USED_FIRST].given,
		.used_only = args->option[OPT_USED_ONLY].given,
		.overwrite = args->option[OPT_FORCE].given,
		.identity = identity,
	};
	struct platter_error err = PLATTER_ERROR_INIT;
	struct platter_rescue_result result = { 0 };
	AUTOFREE char *mapfile = mapfile_of(args);
	AUTOFREE const char **also = NULL;
	struct lost lost = { 0 };

	if (option_list(args, OPT_ALSO, &also, &options.nr_also) < 0)
		return report_usage(args, "out of memory");
	options.also = also;
	if (rescue(args, &options, &result, &err) < 0)
		return report_stopped(args, &result, &err);
	if (result.finished < result.wanted)
		find_lost_files(args, &lost);
	if (args->json)
		tell_json(args, mapfile, &result, &lost);
	else if (!args->option[OPT_QUIET].given)
		tell(args, mapfile, &result, &lost);
	lost_done(&lost);
	return result.finished < result.wanted ? STATUS_BAD_SECTORS : STATUS_DONE;
}

int
command_rescue(const struct arguments *args)
{
	struct platter_identity *identity = NULL;
	int status = ask_about_target(args, &identity);

	if (status == STATUS_DONE)
		status = rescue_and_tell(args, identity);
	platter_identity_free(identity);
	return status;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* extract.c - platter extract and export: files inside copied out, or into an archive */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "files.h"
#include "progress.h"

/* In the order of enum platter_extract_outcome. */
static const char *const outcomes[] = { "renamed", "incomplete", "skipped", "failed" };

struct extraction {
	const struct arguments *args;
	const char *place;
	struct progress progress;
	json_t *notes; /* with --json */
	struct platter_extract_result sum;
};

static void
take_note(const struct platter_extract_note *n, void *closure)
{
	struct extraction *x = closure;
	json_t *one;

	if (!x->notes) {
		if (x->progress.drawn)
			fputs("\r\033[K", stderr);
		say(stderr, "platter: %s: '%s' of '%s': %s", outcomes[n->outcome], n->path,
		    x->place, n->message);
		return;
	}
	one = json_object();
	json_put(one, "outcome", json_text(outcomes[n->outcome]));
	json_put(one, "place", json_text(x->place));
	json_put_path(one, n->path);
	json_put(one, "message", json_text(n->message));
	json_array_append_new(x->notes, one);
}

/* What the start of a volume is called outside: its own name; NULL: it is the root. */
static const char *
name_of_start(char *path)
{
	size_t n = strlen(path);
	char *slash;

	while (n && path[n - 1] == '/')
		path[--n] = '\0';
	slash = strrchr(path, '/');
	return slash && slash[1] ? slash + 1 : NULL;
}

static void
add(struct platter_extract_result *sum, const struct platter_extract_result *r)
{
	sum->files += r->files;
	sum->folders += r->folders;
	sum->links += r->links;
	sum->others += r->others;
	sum->bytes += r->bytes;
	sum->renamed += r->renamed;
	sum->incomplete += r->incomplete;
	sum->skipped += r->skipped;
	sum->failed += r->failed;
	sum->seconds += r->seconds;
}

static int
extract_place(struct extraction *x, const char *folder)
{
	const struct option_value *o = x->args->option;
	const struct platter_extract_options options = {
		.size = sizeof options,
		.overwrite = o[OPT_FORCE].given,
		.no_owner = o[OPT_NO_OWNER].given,
		.streams = o[OPT_STREAMS].given,
		.deleted = o[OPT_DELETED].given,
		.note = take_note,
		.closure = x,
	};
	struct platter_extract_result result = { 0 };
	struct platter_error err = PLATTER_ERROR_INIT;
	struct platter_volume *volume;
	AUTOFREE char *path = NULL;
	int r;

	if (open_volume(x->args, x->place, &volume) < 0)
		return STATUS_FAILED;
	path = text_of("%s", platter_volume_path(volume));
	progress_start(&x->progress, x->args);
	r = platter_extract(volume, platter_volume_start(volume), name_of_start(path), folder,
			    &options, &x->progress.job, &result, &err);
	progress_end(&x->progress);
	platter_volume_close(volume);
	add(&x->sum, &result);
	if (r < 0)
		return report(x->args, &err, "cannot extract '%s'", x->place);
	return result.failed || result.incomplete ? STATUS_BAD_SECTORS : STATUS_DONE;
}

static void
say_sum(const struct platter_extract_result *r, const char *folder)
{
	say(stdout, "extracted %s, %s and %s, %s, to %s in %s",
	    count_text(r->files, "file", "files").text,
	    count_text(r->folders, "folder", "folders").text,
	    count_text(r->links + r->others, "link or device", "links and devices").text,
	    exact_size_text(r->bytes).text, folder, duration_text(r->seconds).text);
	if (r->renamed)
		say(stdout, "  %s changed, since they were unsafe or there twice",
		    count_text(r->renamed, "name was", "names were").text);
	if (r->skipped)
		say(stdout, "  %s left out", count_text(r->skipped, "was", "were").text);
	if (r->failed || r->incomplete)
		say(stdout, "  %" PRIu64 " could not be extracted, %" PRIu64 " only in part",
		    r->failed, r->incomplete);
}

static void
print_sum(struct extraction *x, const char *folder)
{
	const struct platter_extract_result *r = &x->sum;
	json_t *answer = json_answer(x->args);

	json_put(answer, "folder", json_text(folder));
	json_put(answer, "files", json_number(r->files));
	json_put(answer, "folders", json_number(r->folders));
	json_put(answer, "links", json_number(r->links));
	json_put(answer, "others", json_number(r->others));
	json_put(answer, "bytes", json_number(r->bytes));
	json_put(answer, "renamed", json_number(r->renamed));
	json_put(answer, "incomplete", json_number(r->incomplete));
	json_put(answer, "skipped", json_number(r->skipped));
	json_put(answer, "failed", json_number(r->failed));
	json_put(answer, "seconds", json_real(r->seconds));
	json_put(answer, "notes", x->notes);
	json_print(answer, stdout);
}

int
command_extract(const struct arguments *args)
{
	const char *folder = args->option[OPT_FOLDER].given ? args->option[OPT_FOLDER].text : ".";
	struct extraction x = { .args = args, .notes = args->json ? json_array() : NULL };
	int worst = STATUS_DONE;

	for (size_t i = 0; i < args->nr_operands && worst != STATUS_FAILED; i++) {
		int status;

		x.place = args->operands[i];
		status = extract_place(&x, folder);
		worst = status ? status : worst;
	}
	if (args->json && worst != STATUS_FAILED)
		print_sum(&x, folder);
	else if (args->json)
		json_decref(x.notes);
	else if (!args->option[OPT_QUIET].given)
		say_sum(&x.sum, folder);
	return worst;
}

int
command_export(const struct arguments *args)
{
	struct platter_export_result result = { 0 };
	struct platter_error err = PLATTER_ERROR_INIT;
	struct extraction x = { .args = args, .place = args->operands[0] };
	struct platter_volume *volume;
	AUTOFREE char *path = NULL;
	int r;

	if (isatty(STDOUT_FILENO))
		return report_usage(args,
				    "standard output is a terminal; an archive would garble it");
	if (open_volume(args, x.place, &volume) < 0)
		return STATUS_FAILED;
	path = text_of("%s", platter_volume_path(volume));
	progress_start(&x.progress, args);
	r = platter_export_tar(volume, platter_volume_start(volume), name_of_start(path),
			       STDOUT_FILENO, take_note, &x, &x.progress.job, &result, &err);
	progress_end(&x.progress);
	platter_volume_close(volume);
	if (r < 0)
		return report(args, &err, "cannot export '%s'", x.place);
	if (!args->option[OPT_QUIET].given)
		say(stderr, "exported %s, %s, in %s",
		    count_text(result.entries, "entry", "entries").text,
		    exact_size_text(result.bytes).text, duration_text(result.seconds).text);
	return result.failed ? STATUS_BAD_SECTORS : STATUS_DONE;
}

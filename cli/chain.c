/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * chain.c - platter compact, commit, flatten and rebase: work on whole images
 */
#include <errno.h>

#include <platter/change.h>

#include "commands.h"
#include "output.h"
#include "progress.h"

static void
print_json(const struct arguments *args, const struct platter_change_result *r)
{
	json_t *answer = json_answer(args);

	json_put(answer, "image", json_text(args->operands[0]));
	json_put(answer, "size", json_number(r->size));
	json_put(answer, "moved", json_number(r->moved));
	json_put(answer, "stored_before", json_number(r->stored_before));
	json_put(answer, "stored_after", json_number(r->stored_after));
	json_put(answer, "in_place", json_boolean(r->in_place));
	json_put(answer, "seconds", json_real(r->seconds));
	json_print(answer, stdout);
}

/* `done` is what was done to the image: "merged into its parent". */
static int
tell(const struct arguments *args, const char *done, const struct platter_change_result *r)
{
	if (args->json)
		print_json(args, r);
	else if (!args->option[OPT_QUIET].given)
		say(stdout, "%s: %s; a disk of %s, %s of it written in %s", args->operands[0], done,
		    exact_size_text(r->size).text, size_text(r->moved).text,
		    duration_text(r->seconds).text);
	return STATUS_DONE;
}

int
command_commit(const struct arguments *args)
{
	struct platter_commit_options options = {
		.size = sizeof options,
		.remove = args->option[OPT_REMOVE].given,
		.parents = args->parents,
		.nr_parents = args->nr_parents,
	};
	struct platter_error err = PLATTER_ERROR_INIT;
	struct platter_change_result result;
	struct progress progress;
	int r;

	progress_start(&progress, args);
	r = platter_commit(args->operands[0], &options, &progress.job, &result, &err);
	progress_end(&progress);
	if (r < 0)
		return report(args, &err, "cannot merge '%s' into its parent", args->operands[0]);
	return tell(args,
		    options.remove ? "merged into its parent and deleted"
				   : "merged into its parent",
		    &result);
}

int
command_flatten(const struct arguments *args)
{
	struct platter_flatten_options options = {
		.size = sizeof options,
		.parents = args->parents,
		.nr_parents = args->nr_parents,
	};
	struct platter_error err = PLATTER_ERROR_INIT;
	struct platter_change_result result;
	struct progress progress;
	int r;

	progress_start(&progress, args);
	r = platter_flatten(args->operands[0], &options, &progress.job, &result, &err);
	progress_end(&progress);
	if (r < 0)
		return report(args, &err, "cannot make '%s' whole", args->operands[0]);
	return tell(args, "needs no parent any more", &result);
}

static int
rebase(const struct arguments *args, const char *parent)
{
	struct platter_rebase_options options = {
		.size = sizeof options,
		.parent_format = args->option[OPT_PARENT_FORMAT].text,
		.rename_only = args->option[OPT_UNSAFE].given,
	};
	struct platter_error err = PLATTER_ERROR_INIT;
	struct platter_change_result result;
	struct progress progress;
	AUTOFREE char *done = parent ? text_of("stands on %s", parent)
				     : text_of("%s", "needs no parent any more");
	int r;

	progress_start(&progress, args);
	r = platter_rebase(args->operands[0], parent, &options, &progress.job, &result, &err);
	progress_end(&progress);
	if (r < 0)
		return report(args, &err, "cannot give '%s' another parent", args->operands[0]);
	return tell(args, done, &result);
}

int
command_rebase(const struct arguments *args)
{
	if (args->nr_parents > 1)
		return report_usage(args, "an overlay stands on one --parent");
	if (args->nr_parents && args->option[OPT_NO_PARENT].given)
		return report_usage(args, "--parent and --no-parent contradict each other");
	if (!args->nr_parents && !args->option[OPT_NO_PARENT].given)
		return report_usage(args, "say on which --parent it is to stand, or --no-parent");
	if (!args->nr_parents && args->option[OPT_PARENT_FORMAT].given)
		return report_usage(args, "--parent-format is that of a --parent");
	return rebase(args, args->nr_parents ? args->parents[0] : NULL);
}

int
command_compact(const struct arguments *args)
{
	struct platter_compact_options options = {
		.size = sizeof options,
		.copy = args->option[OPT_COPY].given,
	};
	struct platter_error err = PLATTER_ERROR_INIT;
	struct platter_change_result result;
	struct progress progress;
	int r;

	progress_start(&progress, args);
	r = platter_compact(args->operands[0], &options, &progress.job, &result, &err);
	progress_end(&progress);
	if (r < 0)
		return report(args, &err, "cannot compact '%s'", args->operands[0]);
	if (args->json)
		print_json(args, &result);
	else if (!args->option[OPT_QUIET].given)
		say(stdout, "%s: takes up %s, it was %s; done %s in %s", args->operands[0],
		    size_text(result.stored_after).text, size_text(result.stored_before).text,
		    result.in_place ? "in place" : "through a new file",
		    duration_text(result.seconds).text);
	return STATUS_DONE;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * wipe.c - platter wipe: what is stored is made unreadable
 *
 * Every target is examined, and what will be done to it and why is shown, before it is asked
 * whether to go on.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <platter/platter.h>

#include "commands.h"
#include "output.h"
#include "progress.h"
#include "wipe-certificate.h"

/* The wipes of one command. */
struct wipes {
	struct platter_wipe **list;
	const struct platter_wipe_report **reports;
	size_t nr;
};

static void
print_methods(void)
{
	static const char *const headings[] = { "METHOD", ">PASSES", "NIST", "WHAT IT IS" };
	static const char *const levels[] = { "", "Clear", "Purge" };
	const struct platter_wipe_method *m;
	struct table table;

	table_init(&table, headings, ARRAY_SIZE(headings));
	for (size_t i = 0; (m = platter_wipe_method(i)); i++) {
		table_cell(&table, "%s", m->name);
		table_cell(&table, "%.0u", m->nr_passes); /* nothing for 0 */
		table_cell(&table, "%s", levels[m->level]);
		table_cell(&table, "%s", m->title);
	}
	table_print(&table, stdout, "");
}

static json_t *
json_methods(void)
{
	static const char *const levels[] = { "none", "clear", "purge" };
	const struct platter_wipe_method *m;
	json_t *list = json_array();

	for (size_t i = 0; (m = platter_wipe_method(i)); i++) {
		json_t *o = json_object(), *passes = json_array();

		for (unsigned k = 0; k < m->nr_passes; k++)
			json_array_append_new(passes, json_text(platter_wipe_pass_text(m, k).text));
		json_put(o, "name", json_text(m->name));
		json_put(o, "title", json_text(m->title));
		json_put(o, "standard", json_text(m->standard));
		json_put(o, "details", json_text(m->details));
		json_put(o, "level", json_text(levels[m->level]));
		json_put(o, "passes", passes);
		json_array_append_new(list, o);
	}
	return list;
}

static int
list_methods(const struct arguments *args)
{
	json_t *answer;

	if (!args->json) {
		print_methods();
		return STATUS_DONE;
	}
	answer = json_answer(args);
	json_put(answer, "methods", json_methods());
	json_print(answer, stdout);
	return STATUS_DONE;
}

/* "full", "none", "sample" or "sample:0.1", also "sample:10%". */
static int
set_verify(const struct arguments *args, struct platter_wipe_options *o)
{
	const char *text = args->option[OPT_WIPE_VERIFY].text, *share;
	char *end;

	if (!args->option[OPT_WIPE_VERIFY].given || !strcmp(text, "full"))
		return STATUS_DONE;
	if (!strcmp(text, "none")) {
		o->verify = PLATTER_WIPE_VERIFY_NONE;
		return STATUS_DONE;
	}
	share = strchr(text, ':');
	if (strncmp(text, "sample", 6) != 0 || (text[6] && text + 6 != share))
		return report_usage(args,
				    "--verify is full, sample, sample:SHARE or none, not '%s'",
				    text);
	o->verify = PLATTER_WIPE_VERIFY_SAMPLE;
	if (!share)
		return STATUS_DONE;
	o->share = strtod(share + 1, &end);
	if (*end == '%') {
		o->share /= 100;
		end++;
	}
	if (end == share + 1 || *end || !(o->share > 0 && o->share <= 1))
		return report_usage(args, "a share is 0.1 or 10%%, not '%s'", share + 1);
	return STATUS_DONE;
}

static int
fill_options(const struct arguments *args, struct platter_wipe_options *ret)
{
	*ret = (struct platter_wipe_options){
		.size = sizeof *ret,
		.method = args->option[OPT_METHOD].text,
		.hidden_areas = args->option[OPT_HIDDEN_AREAS].given,
		.state = args->option[OPT_STATE].text,
		.resume = args->option[OPT_RESUME].given,
	};
	/* The command that goes on has all words of the one that stopped. */
	ret->restart = args->option[OPT_FORCE].given && !ret->resume;
	if (args->option[OPT_FREE_SPACE].given && args->option[OPT_SLACK].given)
		return report_usage(args, "--free-space and --slack do not go together");
	if (args->option[OPT_FREE_SPACE].given)
		ret->part = PLATTER_WIPE_FREE_SPACE;
	if (args->option[OPT_SLACK].given)
		ret->part = PLATTER_WIPE_SLACK;
	return set_verify(args, ret);
}

static void
wipes_done(struct wipes *w)
{
	for (size_t i = 0; i < w->nr; i++)
		platter_wipe_free(w->list[i]);
	free(w->list);
	free(w->reports);
}

static int
plan_all(const struct arguments *args, const struct platter_wipe_options *options,
	 struct wipes *ret)
{
	*ret = (struct wipes){ 0 };
	ret->list = grown(NULL, args->nr_operands, sizeof *ret->list);
	ret->reports = grown(NULL, args->nr_operands, sizeof *ret->reports);
	for (size_t i = 0; i < args->nr_operands; i++) {
		struct platter_error err = PLATTER_ERROR_INIT;

		if (platter_wipe_plan(args->operands[i], options, &ret->list[i], &err) < 0)
			return report(args, &err, "cannot wipe '%s'", args->operands[i]);
		ret->reports[i] = platter_wipe_report(ret->list[i]);
		ret->nr++;
	}
	return STATUS_DONE;
}

static void
say_contents(const struct platter_wipe_report *r)
{
	struct platter_open_options options = {
		.size = sizeof options,
		.format = r->drive.device && r->size == r->drive.size ? "raw" : NULL,
	};
	struct platter_error err = PLATTER_ERROR_INIT;
	struct platter_description *d = NULL;
	struct platter_disk *disk = NULL;

	if (platter_open(r->target, &options, &disk, &err) == 0 &&
	    platter_describe(disk, &d, &err) == 0)
		say_what_is_on_it(stderr, d);
	platter_description_free(d);
	platter_close(disk);
}

/* "Samsung SSD 870, serial S5Y2, SATA, 465.8 GiB", as far as it is known. */
static char *
drive_text(const struct platter_wipe_drive *d)
{
	return text_of("%s%s%s%s%s%s%s%s", d->model, *d->model ? ", " : "",
		       *d->serial ? "serial " : "", d->serial, *d->serial ? ", " : "", d->bus,
		       *d->bus ? ", " : "", exact_size_text(d->size).text);
}

static void
say_plan(const struct platter_wipe_report *r)
{
	AUTOFREE char *drive = drive_text(&r->drive);

	if (r->part == PLATTER_WIPE_WHOLE)
		say(stderr, "All of %s (%s) will be wiped:", r->target, drive);
	else
		say(stderr, "%s of %s will be wiped:",
		    r->part == PLATTER_WIPE_SLACK ? "The slack of files" : "What is free",
		    r->target);
	if (r->part == PLATTER_WIPE_WHOLE)
		say_contents(r);
	say(stderr, "  method  %s (%s)%s%s", r->technique, r->method->name, *r->reason ? ": " : "",
	    r->reason);
	if (r->bytes != r->size || r->part != PLATTER_WIPE_WHOLE)
		say(stderr, "  bytes   %s in %s", exact_size_text(r->bytes).text,
		    count_text(r->nr_extents, "piece", "pieces").text);
	if (r->verify == PLATTER_WIPE_VERIFY_SAMPLE)
		say(stderr, "  verify  a sample of %.1f %%", r->share * 100);
	else
		say(stderr, "  verify  %s",
		    r->verify == PLATTER_WIPE_VERIFY_FULL ? "all is read back" : "no");
	if (r->resumed)
		say(stderr, "  goes on where an earlier run stopped");
	for (size_t i = 0; i < r->nr_warnings; i++)
		say(stderr, "  mind    %s", r->warnings[i]);
}

static int
ask_about(const struct arguments *args, const char *target)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	struct platter_identity *identity = NULL;
	int status;

	/* That nobody uses it, and nobody will until it is wiped, the plan has seen to. */
	if (platter_identity_take(target, &identity, &err) < 0)
		identity = NULL;
	status = ask_to_overwrite(args, "", target, identity);
	platter_identity_free(identity);
	return status;
}

static int
ask_about_all(const struct arguments *args, const struct wipes *w)
{
	int status = STATUS_DONE;

	for (size_t i = 0; i < w->nr && status == STATUS_DONE; i++) {
		if (!args->option[OPT_QUIET].given || !args->option[OPT_YES].given)
			say_plan(w->reports[i]);
		if (!args->option[OPT_DRY_RUN].given)
			status = ask_about(args, w->reports[i]->target);
	}
	return status;
}

static void
tell_one(const struct platter_wipe_report *r)
{
	switch (r->outcome) {
	case PLATTER_WIPE_DONE:
	case PLATTER_WIPE_VERIFIED:
		say(stdout, "wiped %s: %s of %s, in %s", r->target, r->technique,
		    exact_size_text(r->bytes).text, duration_text(r->seconds).text);
		break;
	case PLATTER_WIPE_INCOMPLETE:
		say(stdout, "wiped %s, but %s could not be written", r->target,
		    exact_size_text(r->unwritable).text);
		break;
	case PLATTER_WIPE_DIFFERS:
		say(stdout, "wiped %s, but it does not hold what was written", r->target);
		break;
	default: return;
	}
	if (*r->verify_text)
		say(stdout, "  read back: %s", r->verify_text);
	for (size_t i = 0; i < r->nr_bad && i < 8; i++)
		say(stdout, "  %" PRIu64 " bytes at byte %" PRIu64, r->bad[i].length,
		    r->bad[i].offset);
	if (r->nr_bad > 8)
		say(stdout, "  and %s; --certificate or --json lists all",
		    count_text(r->nr_bad - 8, "more", "more").text);
}

/* Those that did not come to their end, and how to go on. */
static void
tell_stopped(const struct arguments *args, const struct wipes *w)
{
	for (size_t i = 0; i < w->nr; i++) {
		const struct platter_wipe_report *r = w->reports[i];
		AUTOFREE char *context = text_of("cannot wipe '%s'", r->target);
		AUTOFREE char *command = r->state ? resume_command(args) : NULL;

		if (r->error.code)
			report_kept(args, &r->error, context, NULL, command);
	}
}

static int
status_of(const struct wipes *w)
{
	int status = STATUS_DONE;

	for (size_t i = 0; i < w->nr; i++) {
		switch (w->reports[i]->outcome) {
		case PLATTER_WIPE_NOT_DONE: return STATUS_FAILED;
		case PLATTER_WIPE_DIFFERS: status = STATUS_NO; break;
		case PLATTER_WIPE_INCOMPLETE:
			if (status == STATUS_DONE)
				status = STATUS_BAD_SECTORS;
			break;
		default: break;
		}
	}
	return status;
}

static int
run(const struct arguments *args, const struct wipes *w)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	struct progress progress;
	int status, written = STATUS_DONE, r;

	progress_start(&progress, args);
	r = platter_wipe_run(w->list, w->nr, &progress.job, &err);
	progress_end(&progress);
	status = status_of(w);
	if (r == 0)
		written = certificates_write(args, w->reports, w->nr);
	if (args->json) {
		json_t *answer = json_wipes(args, w->reports, w->nr);

		if (r < 0) {
			AUTOFREE char *command = resume_command(args);
			json_t *error = json_error(&err, "cannot wipe");

			json_put(error, "resume", json_text(command));
			json_put(answer, "error", error);
		}
		json_print(answer, stdout);
	} else {
		if (!args->option[OPT_QUIET].given)
			for (size_t i = 0; i < w->nr; i++)
				tell_one(w->reports[i]);
		tell_stopped(args, w);
	}
	return written == STATUS_DONE ? status : written;
}

int
command_wipe(const struct arguments *args)
{
	struct platter_wipe_options options;
	struct wipes w;
	int status;

	if (args->option[OPT_LIST_METHODS].given)
		return list_methods(args);
	if (!args->nr_operands)
		return report_usage(args, "too few arguments: %s", args->verb->operands);
	status = fill_options(args, &options);
	if (status == STATUS_DONE)
		status = certificate_check(args);
	if (status != STATUS_DONE)
		return status;
	status = plan_all(args, &options, &w);
	if (status == STATUS_DONE)
		status = ask_about_all(args, &w);
	if (status == STATUS_DONE && args->option[OPT_DRY_RUN].given && args->json)
		json_print(json_wipes(args, w.reports, w.nr), stdout);
	else if (status == STATUS_DONE && !args->option[OPT_DRY_RUN].given)
		status = run(args, &w);
	wipes_done(&w);
	return status;
}

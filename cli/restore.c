/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * restore.c - platter restore and clone: a disk's bytes onto a device
 *
 * Nothing is written before the target was found fit, what stands on it was shown, and
 * the user agreed.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "commands.h"
#include "output.h"
#include "progress.h"

static bool
is_block_device(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISBLK(st.st_mode);
}

/* "Samsung SSD 870, ", or "". */
static char *
model_text(const struct platter_description *d)
{
	for (size_t i = 0; d->nr_layers && i < d->layers[0].facts.nr_facts; i++) {
		const struct platter_fact *f = &d->layers[0].facts.facts[i];

		if (!strcmp(f->key, "model") && f->type == PLATTER_FACT_TEXT && *f->text)
			return text_of("%s, ", f->text);
	}
	return text_of("%s", "");
}

static void
say_partitions(const struct platter_table *t)
{
	static const char *const headings[] = { "", ">", "", "", "" };
	struct table table;

	table_init(&table, headings, ARRAY_SIZE(headings));
	for (size_t i = 0; i < t->nr_partitions; i++) {
		const struct platter_partition *p = &t->partitions[i];
		AUTOFREE char *contents = contents_text(p->contents, p->nr_contents);

		if (p->role != PLATTER_PARTITION && p->role != PLATTER_PARTITION_LOGICAL)
			continue;
		table_cell(&table, "partition %" PRIu32, p->number);
		table_cell(&table, "%s", size_text(p->length).text);
		table_cell(&table, "%s", p->type_name);
		table_cell(&table, "%s", contents);
		table_cell(&table, "%s", p->name);
	}
	table_print(&table, stderr, "  ");
}

/* What will be lost. */
static void
say_target(const char *target, const struct platter_description *d)
{
	AUTOFREE char *model = model_text(d);

	say(stderr, "What stands on %s (%s%s) will be overwritten:", target, model,
	    exact_size_text(d->size).text);
	say_what_is_on_it(stderr, d);
	for (size_t i = 0; i < d->nr_tables; i++)
		say_partitions(&d->tables[i]);
}

void
show_target(const char *target)
{
	/* A device is overwritten as it is, also when an image was written to it. */
	struct platter_open_options options = {
		.size = sizeof options,
		.format = is_block_device(target) ? "raw" : NULL,
	};
	struct platter_error err = PLATTER_ERROR_INIT;
	struct platter_description *d = NULL;
	struct platter_disk *disk = NULL;

	if (platter_open(target, &options, &disk, &err) == 0 &&
	    platter_describe(disk, &d, &err) == 0)
		say_target(target, d);
	else
		say(stderr, "%s will be overwritten. What stands on it cannot be told: %s", target,
		    err.message);
	platter_description_free(d);
	platter_close(disk);
}

/* The question, and the answer that agrees. */
static const char *
ask_for_word(const struct platter_identity *identity)
{
	enum platter_word_kind kind = PLATTER_WORD_NONE;
	const char *word = identity ? platter_identity_word(identity, &kind) : "";

	switch (kind) {
	case PLATTER_WORD_SERIAL:
		ask(stderr, "Type its serial number, %s, to overwrite it: ", word);
		break;
	case PLATTER_WORD_MODEL: ask(stderr, "Type its model, %s, to overwrite it: ", word); break;
	case PLATTER_WORD_PATH: ask(stderr, "Type its name, %s, to overwrite it: ", word); break;
	case PLATTER_WORD_NONE: ask(stderr, "Type 'yes' to overwrite it: "); return "yes";
	}
	return word;
}

/* A line of standard input without the blanks around it; false: there is none, or too long a one. */
static bool
read_answer(char *answer, size_t n)
{
	char *start;
	size_t length;

	if (!fgets(answer, (int)n, stdin) || !strchr(answer, '\n'))
		return false;
	start = answer + strspn(answer, " \t");
	for (length = strcspn(start, "\n"); length && strchr(" \t", start[length - 1]); length--)
		;
	memmove(answer, start, length);
	answer[length] = '\0';
	return true;
}

int
ask_to_overwrite(const struct arguments *args, const char *source, const char *target,
		 const struct platter_identity *identity)
{
	const char *word;
	char answer[1024];

	if (args->option[OPT_YES].given)
		return STATUS_DONE;
	if (!isatty(STDIN_FILENO) || !strcmp(source, "-"))
		return report_usage(args,
				    "nobody can be asked whether '%s' may be overwritten; "
				    "--yes says so",
				    target);
	word = ask_for_word(identity);
	if (read_answer(answer, sizeof answer) &&
	    (!strcmp(answer, word) || (!strcmp(word, "yes") && !strcmp(answer, "y"))))
		return STATUS_DONE;
	say(stderr, "platter: nothing was written to '%s'", target);
	return STATUS_FAILED;
}

/* Returns STATUS_DONE if the target may be overwritten. */
static int
show_and_ask(const struct arguments *args, const char *source, const char *target,
	     const struct platter_identity *identity)
{
	if (!args->option[OPT_QUIET].given || !args->option[OPT_YES].given)
		show_target(target);
	return ask_to_overwrite(args, source, target, identity);
}

static void
tell(const struct arguments *args, const struct platter_copy_result *r)
{
	if (args->json) {
		json_t *answer = json_answer(args);

		json_put(answer, "source", json_text(args->operands[0]));
		json_put(answer, "target", json_text(args->operands[1]));
		json_put_result(answer, r);
		json_print(answer, stdout);
	} else if (!args->option[OPT_QUIET].given) {
		say(stdout, "restored to %s: a disk of %s, %s of it data, in %s", args->operands[1],
		    exact_size_text(r->size).text, size_text(r->data).text,
		    duration_text(r->seconds).text);
		say_result_details(stdout, r);
	}
}

static int
report_stopped(const struct arguments *args, struct platter_error *err)
{
	AUTOFREE char *context = text_of("cannot restore to '%s'", args->operands[1]);
	AUTOFREE char *command = err->code == -ECANCELED ? resume_command(args) : NULL;

	if (command && !err->hint[0])
		strcpy(err->hint, "restore again: the target is overwritten only in part");
	return report_kept(args, err, context, NULL, command);
}

/* The target is known: ask, and write what is there if nobody changed it meanwhile. */
static int
restore(const struct arguments *args, struct platter_disk *source,
	const struct platter_identity *identity)
{
	struct platter_restore_options options = {
		.size = sizeof options,
		.wipe_rest = args->option[OPT_WIPE_REST].given,
		.no_gpt_fix = args->option[OPT_NO_GPT_FIX].given,
		.verify = args->option[OPT_VERIFY].given,
		.resume = args->option[OPT_RESUME].given,
		.hashes = args->option[OPT_HASH].text,
		.threads = (unsigned)args->option[OPT_THREADS].number,
		.identity = identity,
	};
	const char *target = args->operands[1];
	struct platter_error err = PLATTER_ERROR_INIT;
	struct platter_copy_result result = { 0 };
	struct progress progress;
	int r, status;

	if (platter_restore_check(source, target, &options, &err) < 0)
		return report(args, &err, "cannot restore to '%s'", target);
	status = show_and_ask(args, args->operands[0], target, identity);
	if (status != STATUS_DONE)
		return status;
	progress_start(&progress, args);
	r = platter_restore(source, target, &options, &progress.job, &result, &err);
	progress_end(&progress);
	if (r < 0)
		return report_stopped(args, &err);
	tell(args, &result);
	return result.bad ? STATUS_BAD_SECTORS : STATUS_DONE;
}

int
command_restore(const struct arguments *args)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	struct platter_identity *identity;
	struct platter_disk *source;
	int status;

	if (open_operand(args, args->operands[0], &source) < 0)
		return STATUS_FAILED;
	if (platter_device_check(args->operands[1], &identity, &err) < 0) {
		status = report(args, &err, "cannot restore to '%s'", args->operands[1]);
	} else {
		status = restore(args, source, identity);
		platter_identity_free(identity);
	}
	platter_close(source);
	return status;
}

int
command_clone(const struct arguments *args)
{
	return is_block_device(args->operands[1]) ? command_restore(args) : command_create(args);
}

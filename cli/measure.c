/* SPDX-License-Identifier: GPL-3.0-or-later */
/* measure.c - platter measure: how large an image would be, in one format or in all */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <platter/format.h>

#include "commands.h"
#include "output.h"
#include "progress.h"

struct measurement {
	const char *format;
	int status;               /* of the measuring: 0 or negative errno, */
	struct platter_error err; /* and why */
	struct platter_measure_result result;
};

struct measuring {
	const struct arguments *args;
	struct platter_disk *source; /* NULL: --size */
	struct progress progress;
	struct measurement *list;
	size_t nr;
};

static void
measure(struct measuring *m, const char *format)
{
	const struct option_value *o = m->args->option;
	struct platter_measure_options options = {
		.size = sizeof options,
		.format = format,
		.options = m->args->pairs,
		.nr_options = m->args->nr_pairs,
		.compress = o[OPT_COMPRESS].text,
		.sparse = (enum platter_sparse)o[OPT_SPARSE].number,
		.look_for_zeros = o[OPT_SPARSE].given,
		.threads = (unsigned)o[OPT_THREADS].number,
	};
	struct measurement *one;

	m->list = grown(m->list, m->nr + 1, sizeof *m->list);
	one = &m->list[m->nr++];
	*one = (struct measurement){ .format = format, .err = PLATTER_ERROR_INIT };
	if (m->source)
		one->status = platter_measure(m->source, &options, &m->progress.job, &one->result,
					      &one->err);
	else
		one->status = platter_measure_empty(o[OPT_SIZE].number, &options, &m->progress.job,
						    &one->result, &one->err);
}

/* Every format that can be created, until one is stopped by more than itself. */
static void
measure_all(struct measuring *m)
{
	const struct platter_format_info *info;

	for (size_t i = 0; (info = platter_format_info(i)); i++) {
		int last = m->nr ? m->list[m->nr - 1].status : 0;

		if (last == -ECANCELED || last == -EIO || last == -EUCLEAN || last == -ENOMEM)
			return;
		if (info->abilities & PLATTER_CAN_CREATE && info->holds == PLATTER_HOLDS_DISK)
			measure(m, info->name);
	}
}

static json_t *
json_measurement(const struct measurement *one)
{
	json_t *object = json_object();

	json_put(object, "format", json_text(one->format));
	if (one->status < 0) {
		json_put(object, "error", json_error(&one->err, "cannot measure"));
		return object;
	}
	json_put(object, "size", json_number(one->result.size));
	json_put(object, "data", json_number(one->result.data));
	json_put(object, "bad", json_number(one->result.bad));
	json_put(object, "required", json_number(one->result.required));
	json_put(object, "written", json_number(one->result.written));
	json_put(object, "full", json_number(one->result.full));
	json_put(object, "seconds", json_real(one->result.seconds));
	return object;
}

static void
print_json(const struct measuring *m)
{
	json_t *answer = json_answer(m->args), *formats = json_array();

	for (size_t i = 0; i < m->nr; i++)
		json_array_append_new(formats, json_measurement(&m->list[i]));
	json_put(answer, "source", json_text(m->source ? m->args->operands[0] : NULL));
	json_put(answer, "formats", formats);
	json_print(answer, stdout);
}

static void
cell_of_size(struct table *t, uint64_t bytes)
{
	if (bytes == UINT64_MAX) {
		table_cell(t, "no room");
		table_cell(t, "%s", "");
	} else {
		table_cell(t, "%s", size_text(bytes).text);
		table_cell(t, "%" PRIu64, bytes);
	}
}

static void
print_table(const struct measuring *m)
{
	static const char *const headings[] = { "Format",           ">Required", ">bytes",
						">Fully allocated", ">bytes",    "" };
	struct table t;

	table_init(&t, headings, ARRAY_SIZE(headings));
	for (size_t i = 0; i < m->nr; i++) {
		const struct measurement *one = &m->list[i];

		table_cell(&t, "%s", one->format);
		if (one->status < 0) {
			for (size_t k = 0; k < 4; k++)
				table_cell(&t, "%s", "");
			table_cell(&t, "%s", one->err.message);
		} else {
			cell_of_size(&t, one->result.required);
			cell_of_size(&t, one->result.full);
			table_cell(&t, "%s", "");
		}
	}
	table_print(&t, stdout, "");
}

static void
say_disk(const struct platter_measure_result *r)
{
	say(stdout, "A disk of %s, %s of it data.", exact_size_text(r->size).text,
	    size_text(r->data).text);
	if (r->bad)
		say(stdout, "%s of it are known as unreadable.", exact_size_text(r->bad).text);
}

/* The first that could be measured; else the first of all. */
static const struct measurement *
first_good(const struct measuring *m)
{
	for (size_t i = 0; i < m->nr; i++)
		if (m->list[i].status == 0)
			return &m->list[i];
	return &m->list[0];
}

static int
tell(const struct measuring *m)
{
	const struct measurement *first = first_good(m), *last = &m->list[m->nr - 1];

	if (last->status == -ECANCELED)
		first = last;
	if (first->status < 0)
		return report(m->args, &first->err, "cannot measure %s",
			      m->source ? m->args->operands[0] : first->format);
	if (m->args->json) {
		print_json(m);
	} else if (!m->args->option[OPT_QUIET].given) {
		say_disk(&first->result);
		print_table(m);
	}
	return STATUS_DONE;
}

static int
run(struct measuring *m)
{
	const char *format = m->args->option[OPT_FORMAT].text;
	int status;

	progress_start(&m->progress, m->args);
	if (format)
		measure(m, format);
	else
		measure_all(m);
	progress_end(&m->progress);
	status = tell(m);
	free(m->list);
	return status;
}

int
command_measure(const struct arguments *args)
{
	const struct option_value *o = args->option;
	struct measuring m = { .args = args };
	int status;

	if (args->nr_operands == 0 && !o[OPT_SIZE].given)
		return report_usage(args, "too few arguments: SOURCE or --size=SIZE");
	if (args->nr_operands && o[OPT_SIZE].given)
		return report_usage(args, "--size stands for a SOURCE, but '%s' is given",
				    args->operands[0]);
	if (!o[OPT_FORMAT].given && (args->nr_pairs || o[OPT_COMPRESS].given))
		return report_usage(args, "--%s is for one format: name it with --format",
				    args->nr_pairs ? "option" : "compress");
	if (args->nr_operands && open_operand(args, args->operands[0], &m.source) < 0)
		return STATUS_FAILED;
	if (!o[OPT_FORMAT].given && m.source && platter_size(m.source) == UINT64_MAX)
		status = report_usage(args, "a stream is read only once: name one format with"
					    " --format");
	else
		status = run(&m);
	platter_close(m.source);
	return status;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* repair.c - platter repair: what counting again or a copy can put right in an image */
#include <errno.h>
#include <inttypes.h>

#include <platter/change.h>

#include "commands.h"
#include "output.h"

struct repair {
	const struct arguments *args;
	bool dry_run;
	json_t *findings; /* with --json */
};

static const char *
severity_name(const struct repair *repair, enum platter_severity severity)
{
	static const char *const names[] = { "note", "leak", "damage", "repaired" };

	if (severity == PLATTER_REPAIRED && repair->dry_run)
		return "repairable";
	return names[severity];
}

static void
take_finding(const struct platter_finding *f, void *closure)
{
	struct repair *repair = closure;
	const char *severity = severity_name(repair, f->severity);

	if (repair->findings) {
		json_t *one = json_object();

		json_put(one, "severity", json_text(severity));
		json_put(one, "offset", json_number(f->offset));
		json_put(one, "message", json_text(f->message));
		json_array_append_new(repair->findings, one);
	} else if (repair->args->option[OPT_QUIET].given) {
		return;
	} else if (f->offset == PLATTER_NO_OFFSET) {
		say(stdout, "%s: %s: %s", repair->args->operands[0], severity, f->message);
	} else {
		say(stdout, "%s: %s: byte %" PRIu64 ": %s", repair->args->operands[0], severity,
		    f->offset, f->message);
	}
}

static void
say_verdict(const struct repair *repair, const struct platter_repair_result *result)
{
	const char *image = repair->args->operands[0];

	if (!result->repaired && !result->left)
		say(stdout, "%s: nothing to repair", image);
	if (result->repaired)
		say(stdout, "%s: %s %s", image,
		    count_text(result->repaired, "finding", "findings").text,
		    repair->dry_run ? "would be put right" : "put right");
	if (result->left)
		say(stdout, "%s: %s cannot be put right", image,
		    count_text(result->left, "damage", "damages").text);
}

static void
print_json(const struct repair *repair, const struct platter_repair_result *result)
{
	json_t *answer = json_answer(repair->args);

	json_put(answer, "place", json_text(repair->args->operands[0]));
	json_put(answer, "dry_run", json_boolean(repair->dry_run));
	json_put(answer, "repaired", json_number(result->repaired));
	json_put(answer, "left", json_number(result->left));
	json_put(answer, "findings", json_incref(repair->findings));
	json_print(answer, stdout);
}

int
command_repair(const struct arguments *args)
{
	struct repair repair = { .args = args,
				 .dry_run = args->option[OPT_DRY_RUN].given,
				 .findings = args->json ? json_array() : NULL };
	struct platter_repair_options options = { .size = sizeof options,
						  .dry_run = repair.dry_run };
	struct platter_repair_result result = { 0 };
	struct platter_error err = PLATTER_ERROR_INIT;
	int r, status;

	if (args->option[OPT_TABLE].given) {
		json_decref(repair.findings);
		return repair_table(args);
	}
	r = platter_repair(args->operands[0], &options, take_finding, &repair, &result, &err);
	status = result.left || (repair.dry_run && result.repaired) ? STATUS_NO : STATUS_DONE;
	if (r < 0)
		status = report(args, &err, "cannot repair '%s'", args->operands[0]);
	else if (args->json)
		print_json(&repair, &result);
	else if (!args->option[OPT_QUIET].given)
		say_verdict(&repair, &result);
	json_decref(repair.findings);
	return status;
}
